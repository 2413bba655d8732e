//! Page 4, Who: the requester, as the kernel says and as the agent says.
//!
//! Only the user and what the control group tells are authority (`✓`); the rest of what was read of
//! the process is evidence (`=`), and the agent's own name is a claim (`│`).

use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Map, Value};

use super::super::model::Row;
use super::{Gutter, Look, Page, Writer, leaves, line};

/// Facts that a process cannot choose for itself.
const AUTHORITY: [&str; 6] = ["uid", "user", "gid", "cgroup", "unit", "container"];

/// Writes the page.
pub fn page(document: &Map<String, Value>, row: &Row) -> Page {
    let mut parts = Vec::new();
    let mut writer = Writer::new(&mut parts, false);
    writer.heading("ASKED BY, as the kernel says");
    match document.get("requester") {
        Some(Value::Object(requester)) => requester_of(&mut writer, requester),
        _ => writer.remark(Look::Warning, "the document does not say"),
    }
    writer.heading("CALLS ITSELF (not verified)");
    writer.text(Gutter::Agent, &Printable::ours("agent"), &row.agent);
    writer.heading("THE REQUEST");
    for key in ["id", "origin", "received_at", "expires_at", "rules"] {
        if let Some(value) = document.get(key) {
            leaves::write(&mut writer, Gutter::Computed, &Printable::ours(key), value);
        }
    }
    writer.text(
        Gutter::Computed,
        &Printable::ours("digest"),
        &Untrusted::new(row.digest.to_string()),
    );
    writer.finish(None)
}

fn requester_of(writer: &mut Writer<'_>, requester: &Map<String, Value>) {
    for (key, value) in requester {
        // What is not there is not worth a row; page 3 has it.
        if key == "evidence" || value.is_null() {
            continue;
        }
        let gutter = if AUTHORITY.contains(&key.as_str()) {
            Gutter::Kernel
        } else {
            Gutter::Computed
        };
        leaves::write(writer, gutter, &name_of(key), value);
    }
    if let Some(Value::Object(evidence)) = requester.get("evidence") {
        writer.heading("READ OF THE PROCESS (page 3 has all of it)");
        for (key, value) in evidence {
            match (key.as_str(), value.get("computed")) {
                ("ancestry", Some(Value::Array(ancestors))) => {
                    for ancestor in ancestors {
                        writer.push(line(Gutter::Computed, started_by(ancestor)));
                    }
                }
                (_, Some(Value::Null)) => {}
                _ => {
                    let text =
                        Printable::concat([&name_of(key), &Printable::ours(" "), &known(value)]);
                    writer.push(line(Gutter::Computed, text));
                }
            }
        }
    }
}

/// One process above the requester, on one row.
fn started_by(ancestor: &Value) -> Printable {
    let number = |pointer: &str| {
        ancestor
            .pointer(pointer)
            .map_or_else(|| "?".to_owned(), Value::to_string)
    };
    // The numbers first: behind a path, they could be part of its name.
    let facts = format!(
        "started by pid {}, uid {}: ",
        number("/pid"),
        number("/uids/0")
    );
    Printable::concat([
        &Printable::from_ours(facts),
        &known(ancestor.get("program").unwrap_or(&Value::Null)),
    ])
}

/// A piece of evidence: `{"computed": …}`, or `{"unknown": WHY}`.
fn known(value: &Value) -> Printable {
    let text = |value: &Value| match value {
        Value::String(text) => Printable::exact(&Untrusted::new(text.clone())),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => Printable::exact(&Untrusted::new(other.to_string())),
    };
    match (value.get("computed"), value.get("unknown")) {
        (Some(value), _) => text(value),
        (None, Some(why)) => Printable::concat([&Printable::ours("unknown, "), &text(why)]),
        (None, None) => text(value),
    }
}

fn name_of(key: &str) -> Printable {
    Printable::exact(&Untrusted::new(key.to_owned()))
}
