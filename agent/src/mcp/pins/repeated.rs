//! Which arguments of a tool its clients repeat in headers, as its schema says (`x-mcp-header`, since
//! 2026-07-28).
//!
//! An argument is named by the properties down to it and by nothing else: what stands below `items`,
//! `anyOf` or a reference has no one place in a call. Two arguments of one header are none.

use std::collections::BTreeMap;

use serde_json::Value;

/// The names of headers, in small letters and without what they all begin with, and the names down to
/// the argument.
pub(crate) type Repeated = BTreeMap<String, Vec<String>>;

/// What names the header in a schema.
const HEADER: &str = "x-mcp-header";

/// Reads them out of the schema of a tool's input.
pub(super) fn of(schema: &Value) -> Repeated {
    let mut found = BTreeMap::new();
    walk(schema, &mut Vec::new(), &mut found);
    let one = |(header, paths): (String, Vec<Vec<String>>)| {
        let [path] = <[Vec<String>; 1]>::try_from(paths).ok()?;
        Some((header, path))
    };
    found.into_iter().filter_map(one).collect()
}

fn walk(schema: &Value, at: &mut Vec<String>, found: &mut BTreeMap<String, Vec<Vec<String>>>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        at.push(name.clone());
        if let Some(header) = property.get(HEADER).and_then(Value::as_str) {
            let paths = found.entry(header.to_ascii_lowercase()).or_default();
            paths.push(at.clone());
        }
        walk(property, at, found);
        at.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_argument_is_named_by_the_properties_down_to_it_and_by_nothing_else() {
        let schema = json!({
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "outer": {"type": "object", "properties": {
                    "inner": {"type": "integer", "x-mcp-header": "Inner-Part"},
                }},
                "list": {"type": "array", "items": {
                    "properties": {"a": {"x-mcp-header": "In-A-List"}},
                }},
                "plain": {"type": "string"},
                "one": {"x-mcp-header": "Twice"},
                "two": {"x-mcp-header": "TWICE"},
            },
            "anyOf": [{"properties": {"b": {"x-mcp-header": "Maybe"}}}],
        });
        let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = BTreeMap::from([
            ("region".to_owned(), path(&["region"])),
            ("inner-part".to_owned(), path(&["outer", "inner"])),
        ]);
        assert_eq!(of(&schema), expected);
        assert_eq!(of(&json!(null)), BTreeMap::new());
    }
}
