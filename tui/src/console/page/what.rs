//! Page 1, What: what would be done, worked out from the document's bytes.
//!
//! Every row is gated. An argument vector is one row per argument, never a joined string: how a
//! shell would read it is not what runs. Contents of changed files are on the Diff page.

use countersign_shared::text::{Findings, Printable, Untrusted};
use serde_json::{Map, Value};

use super::{Gutter, Line, Look, Page, Writer, leaves, line, worked_out};

/// Keys of an action that have a place of their own.
const KNOWN: [&str; 8] = [
    "v",
    "kind",
    "target",
    "arguments",
    "changes",
    "data",
    "context",
    "claims",
];

/// What was found in the texts of a request.
#[derive(Debug)]
pub struct Found<'a> {
    /// In what would be done.
    pub action: &'a Findings,
    /// In what the agent says for itself.
    pub claims: &'a Findings,
}

/// Writes the page. `with_code` asks for the place where a sheet's code is shown.
pub fn page(
    document: &Map<String, Value>,
    found: &Found<'_>,
    parts: &mut Vec<usize>,
    with_code: bool,
) -> Page {
    let empty = Map::new();
    let action = match document.get("action") {
        Some(Value::Object(action)) => action,
        _ => &empty,
    };
    let mut writer = Writer::new(parts, true);
    write_findings(&mut writer, document, found);
    headline(&mut writer, action);
    let from = writer.at();
    arguments(&mut writer, action);
    if with_code && !writer.code_at_first_from(from) {
        writer.code_at_first_from(0);
    }
    changes(&mut writer, action);
    section(
        &mut writer,
        "DATA IT TOUCHES",
        Gutter::Agent,
        action.get("data"),
    );
    section(&mut writer, "CONTEXT", Gutter::Agent, action.get("context"));
    for (key, value) in action {
        if !KNOWN.contains(&key.as_str()) {
            let name = Printable::exact(&Untrusted::new(key.clone()));
            leaves::write(&mut writer, Gutter::Agent, &name, value);
        }
    }
    worked_out::write(&mut writer, document.get("facts"));
    writer.finish(None)
}

/// Everything that cannot be undone or hides something, first.
fn write_findings(writer: &mut Writer<'_>, document: &Map<String, Value>, found: &Found<'_>) {
    let mut warn = |text| {
        writer.push(Line {
            look: Look::Warning,
            ..line(Gutter::Computed, text)
        });
    };
    let reversibility = document
        .get("facts")
        .and_then(|facts| facts.pointer("/computed/reversibility"));
    if reversibility.and_then(Value::as_str) == Some("irreversible") {
        warn(Printable::ours("it cannot be undone"));
    }
    for text in found.action.summary() {
        warn(text);
    }
    for text in found.claims.summary() {
        warn(Printable::concat([
            &Printable::ours("in what the agent says: "),
            &text,
        ]));
    }
}

fn headline(writer: &mut Writer<'_>, action: &Map<String, Value>) {
    leaves::write(
        writer,
        Gutter::Agent,
        &Printable::ours("kind"),
        action.get("kind").unwrap_or(&Value::Null),
    );
    leaves::write(
        writer,
        Gutter::Agent,
        &Printable::ours("target"),
        action.get("target").unwrap_or(&Value::Null),
    );
}

fn arguments(writer: &mut Writer<'_>, action: &Map<String, Value>) {
    let Some(arguments) = action.get("arguments") else {
        return;
    };
    let is_run = action.get("kind").and_then(Value::as_str) == Some("exec.run");
    let Some(Value::Array(argv)) = arguments.get("argv").filter(|_| is_run) else {
        section(writer, "WILL BE DONE", Gutter::Agent, Some(arguments));
        return;
    };
    writer.heading("WILL RUN, one row per argument, without a shell");
    for (at, argument) in argv.iter().enumerate() {
        let name = Printable::from_ours(format!("argv[{at}]"));
        leaves::write(writer, Gutter::Agent, &name, argument);
    }
    for (key, value) in arguments.as_object().into_iter().flatten() {
        // The program too: its path and digest are the agent's words, which hold only once the
        // executor has looked at the file again.
        if key == "argv" {
            continue;
        }
        let name = Printable::exact(&Untrusted::new(key.clone()));
        leaves::write(writer, Gutter::Agent, &name, value);
    }
}

fn changes(writer: &mut Writer<'_>, action: &Map<String, Value>) {
    let Some(Value::Array(changes)) = action.get("changes").filter(|changes| !is_empty(changes))
    else {
        return;
    };
    writer.heading("CHANGES FILES, contents on page 2");
    for change in changes {
        let path = change.get("path").unwrap_or(&Value::Null);
        leaves::write(writer, Gutter::Agent, &Printable::ours("path"), path);
        let verb = match (
            change.get("before").is_none_or(Value::is_null),
            change.get("after").is_none_or(Value::is_null),
        ) {
            (true, false) => "the file is new",
            (false, true) => "the file is deleted",
            (false, false) => "the file is changed",
            (true, true) => "the file stays absent",
        };
        writer.push(line(Gutter::Computed, Printable::ours(verb)));
        if let Some(mode) = change.get("mode").filter(|mode| !mode.is_null()) {
            leaves::write(writer, Gutter::Agent, &Printable::ours("mode"), mode);
        }
    }
}

fn section(writer: &mut Writer<'_>, heading: &'static str, gutter: Gutter, value: Option<&Value>) {
    let Some(value) = value.filter(|value| !is_empty(value)) else {
        return;
    };
    writer.heading(heading);
    leaves::write(writer, gutter, &Printable::default(), value);
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
