//! What holds for every action: text that hides something, contents nobody can read, masks,
//! arguments, data.

use std::collections::BTreeSet;

use countersign_shared::text::{Findings, Hidden, Untrusted};
use serde_json::{Value, json};

use super::{Draft, is_masked, seen, text};

/// A run of spaces or a line that is longer hides what stands behind it.
const LONG_SPACES: usize = 64;
const LONG_LINE: usize = 2_000;

/// An argument that is longer, in bytes, is not compared with as a whole.
const LONGEST_ARGUMENT: usize = 1024;

/// What a walk through an action found.
#[derive(Default)]
struct Walk {
    findings: Findings,
    opaque: usize,
    masked: u32,
}

pub(super) fn look(action: &Value, draft: &mut Draft) {
    let mut walk = Walk::default();
    walk.enter(action);
    let found = names(&walk.findings);
    draft.set("hidden_text", walk.findings.is_hostile());
    draft.set_all("findings", found);
    draft.set("opaque_contents", walk.opaque > 0);
    draft.set("masked", walk.masked);
    arguments(action, draft);
    data(action, draft);
}

impl Walk {
    fn enter(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.read(text),
            Value::Array(items) => items.iter().for_each(|item| self.enter(item)),
            Value::Object(members) => {
                if members.contains_key("$mask") {
                    self.masked = self.masked.saturating_add(1);
                    return;
                }
                if members.get("base64").is_some_and(Value::is_string) {
                    self.opaque = self.opaque.saturating_add(1);
                }
                for (name, member) in members {
                    self.read(name);
                    self.enter(member);
                }
            }
        }
    }

    fn read(&mut self, text: &str) {
        self.findings.merge(&Findings::of(&Untrusted::new(text)));
    }
}

fn names(findings: &Findings) -> Vec<&'static str> {
    [
        ("control-characters", findings.hidden(Hidden::Control) > 0),
        ("direction-controls", findings.hidden(Hidden::Bidi) > 0),
        ("tag-characters", findings.hidden(Hidden::Tag) > 0),
        (
            "variation-selectors",
            findings.hidden(Hidden::VariationSelector) > 0,
        ),
        ("invisible", findings.hidden(Hidden::Invisible) > 0),
        ("right-to-left", findings.right_to_left() > 0),
        ("stacked-marks", findings.stacked_marks() > 0),
        ("long-spaces", findings.longest_spaces() > LONG_SPACES),
        ("long-line", findings.longest_line() > LONG_LINE),
        ("mixed-scripts", !findings.mixed_words().is_empty()),
    ]
    .into_iter()
    .filter_map(|(name, found)| found.then_some(name))
    .collect()
}

/// Writes the members of `arguments` that are one short value as `name=value`. Where there are
/// others, a policy does not see all of them, and that is a fact.
fn arguments(action: &Value, draft: &mut Draft) {
    let members = action.get("arguments").and_then(Value::as_object);
    let mut pairs = Vec::new();
    for (name, value) in members.into_iter().flatten() {
        let text = match value {
            Value::String(_) | Value::Object(_) => seen(value),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Null | Value::Array(_) => None,
        };
        if is_masked(value) {
            draft.unknown("arguments", "a part of them is masked");
        }
        match text.filter(|text| text.len() <= LONGEST_ARGUMENT) {
            Some(text) => pairs.push(format!("{name}={text}")),
            None if value.is_null() => {}
            None => draft.unknown("arguments", "not all of them are one short value"),
        }
    }
    draft.set_all("arguments", pairs.iter().map(String::as_str));
}

/// Writes what the action would do to data. What kind of data it is, the catalogue says.
fn data(action: &Value, draft: &mut Draft) {
    let items: Vec<&Value> = action
        .get("data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    let all = |pointer: &str| -> BTreeSet<&str> {
        let texts = items.iter().map(|item| text(item, pointer));
        texts.filter(|text| !text.is_empty()).collect()
    };
    let value = json!({
        "names": all("/name"),
        "accesses": all("/access"),
        "destinations": all("/destination"),
    });
    draft.set("data", value);
}
