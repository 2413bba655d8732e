//! What the agent says about itself and its action, and nobody can check.

use std::collections::BTreeSet;

use countersign_shared::json::MAX_INTEGER;
use serde_json::{Map, Value, json};

use super::text;

pub(super) fn of(action: &Value) -> Map<String, Value> {
    let mut stated = Map::new();
    for name in ["agent", "model", "session", "reason"] {
        let said = text(action, &format!("/claims/{name}"));
        stated.insert(name.to_owned(), json!(said));
    }
    stated.insert("ticket".to_owned(), json!(text(action, "/context/ticket")));
    let data = || {
        let items = action.get("data").and_then(Value::as_array);
        items.into_iter().flatten()
    };
    let records = data()
        .filter_map(|item| item.get("records").and_then(Value::as_i64))
        .fold(0_i64, i64::saturating_add)
        .min(MAX_INTEGER);
    stated.insert("records".to_owned(), json!(records));
    let classes: BTreeSet<&str> = data()
        .map(|item| text(item, "/classification"))
        .filter(|class| !class.is_empty())
        .collect();
    stated.insert("classifications".to_owned(), json!(classes));
    stated.insert("hints".to_owned(), json!(hints(action)));
    stated
}

/// Returns what an MCP server says of its tool (`annotations` of the protocol), each by its word.
fn hints(action: &Value) -> Vec<&'static str> {
    [
        ("destructiveHint", "destructive"),
        ("idempotentHint", "idempotent"),
        ("openWorldHint", "open-world"),
        ("readOnlyHint", "read-only"),
    ]
    .into_iter()
    .filter(|(name, _)| {
        let pointer = format!("/arguments/annotations/{name}");
        action.pointer(&pointer).and_then(Value::as_bool) == Some(true)
    })
    .map(|(_, word)| word)
    .collect()
}
