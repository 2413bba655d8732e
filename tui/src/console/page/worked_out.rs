//! What the daemon worked out about a request: the part of its facts that says more than the action.
//!
//! One row each, however long a text in it is: a line feed of the agent's stays a marker, so no row
//! here begins with the agent's words. What only repeats the action is left out here and stands on
//! the Exact page, as everything does; so does who asks, which has a page of its own.

use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Map, Value};

use super::{Gutter, Look, Writer, line};

/// Facts that repeat the action, or that have a place of their own.
const REPEATED: [&str; 25] = [
    "address",
    "argument_count",
    "arguments",
    "argv",
    "changes",
    "components",
    "data",
    "environment",
    "findings",
    "first",
    "functions",
    "hidden_text",
    "host",
    "kind",
    "masked",
    "names",
    "path",
    "paths",
    "port",
    "program",
    "program_name",
    "scheme",
    "second",
    "tables",
    "time",
];

/// Writes the facts of a request document.
pub(super) fn write(writer: &mut Writer<'_>, facts: Option<&Value>) {
    let part = |name: &str| facts?.get(name)?.as_object();
    let computed = part("computed").into_iter().flatten();
    let said: Vec<(&String, Printable)> = computed
        .filter(|(name, _)| !REPEATED.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name, said(value)?)))
        .collect();
    let unknown = part("unknown").filter(|unknown| !unknown.is_empty());
    if said.is_empty() && unknown.is_none() {
        return;
    }
    writer.heading("WORKED OUT");
    for (name, value) in said {
        let name = Printable::exact(&Untrusted::new(name.replace('_', " ")));
        let text = Printable::concat([&name, &Printable::ours(": "), &value]);
        writer.push(line(Gutter::Computed, text));
    }
    for (name, why) in unknown.into_iter().flat_map(Map::iter) {
        let name = name.strip_prefix("context.").unwrap_or(name);
        let text = Printable::concat([
            &Printable::ours("not known: "),
            &exact(name),
            &Printable::ours(", "),
            &exact(why.as_str().unwrap_or_default()),
        ]);
        writer.push(super::Line {
            look: Look::Warning,
            ..line(Gutter::Computed, text)
        });
    }
}

/// Returns what a fact says in one row; nothing when it says no.
fn said(value: &Value) -> Option<Printable> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(Printable::ours("yes")),
        Value::Number(number) => Some(exact(&number.to_string())),
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(exact(text)),
        Value::Array(items) => joined(items.iter().filter_map(said)),
        Value::Object(fields) => joined(fields.iter().filter_map(|(name, value)| {
            let value = said(value).filter(|_| value.as_u64() != Some(0))?;
            Some(Printable::concat([
                &exact(name),
                &Printable::ours(" "),
                &value,
            ]))
        })),
    }
}

fn joined(parts: impl Iterator<Item = Printable>) -> Option<Printable> {
    parts.reduce(|mut all, part| {
        all.push(&Printable::ours(", "));
        all.push(&part);
        all
    })
}

fn exact(text: &str) -> Printable {
    Printable::exact(&Untrusted::new(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(facts: &Value) -> Vec<String> {
        let mut parts = Vec::new();
        let mut writer = Writer::new(&mut parts, true);
        write(&mut writer, Some(facts));
        let page = writer.finish(None);
        page.lines
            .iter()
            .map(|line| line.text.as_str().to_owned())
            .filter(|row| !row.is_empty())
            .collect()
    }

    #[test]
    fn a_fact_is_one_row_and_what_repeats_the_action_is_none() {
        let facts = json!({
            "computed": {
                "argv": ["rm", "x\nF0RGED"], "reversibility": "irreversible",
                "statements": ["drop", "se\nlect"], "hidden_text": true, "parsed": false,
                "recent": {"denials": 2, "requests": 0}, "program": "/bin/rm",
            },
            "unknown": {"context.paths": "nobody\nresolved them"},
        });
        assert_eq!(
            rows(&facts),
            [
                "WORKED OUT",
                "reversibility: irreversible",
                "statements: drop, se<U+000A>lect",
                "recent: denials 2",
                "not known: paths, nobody<U+000A>resolved them",
            ]
        );
    }

    #[test]
    fn without_facts_there_is_no_heading() {
        assert_eq!(rows(&json!({})), Vec::<String>::new());
        assert_eq!(
            rows(&json!({"computed": {"kind": "a.b"}, "unknown": {}})),
            Vec::<String>::new()
        );
    }
}
