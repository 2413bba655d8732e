//! Which facts the condition of a policy reads, as far as its text says.
//!
//! Read off Cedar's own JSON form of the policy, which is complete. A form that is not known here
//! is walked through, and a variable that is used as a whole counts as a use of all it holds: the
//! answer may name too much, never too little. What the scope says (`resource in …`) is not part of
//! it: a scope can only be met, not evaded, by what is missing.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

/// The facts a condition reads, as policies write them: `context.statements`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mentions(BTreeSet<String>);

impl Mentions {
    /// Reads the conditions of a policy. A policy without a JSON form mentions everything.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut mentions = Self::default();
        match policy.to_json() {
            Ok(value) => mentions.walk(value.get("conditions").unwrap_or(&Value::Null)),
            Err(_) => ["principal", "resource", "context"]
                .into_iter()
                .for_each(|name| mentions.add(name, "*")),
        }
        mentions
    }

    /// Tells whether a fact is read, alone or as part of the whole variable.
    pub(crate) fn has(&self, fact: &str) -> bool {
        let whole = fact
            .split_once('.')
            .map(|(variable, _)| format!("{variable}.*"));
        self.0.contains(fact) || whole.is_some_and(|whole| self.0.contains(&whole))
    }

    /// Returns the facts, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn add(&mut self, variable: &str, attribute: &str) {
        self.0.insert(format!("{variable}.{attribute}"));
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(members) => {
                for (name, inner) in members {
                    self.form(name, inner);
                }
            }
        }
    }

    fn form(&mut self, name: &str, inner: &Value) {
        let left = inner.get("left").and_then(variable);
        match (name, left) {
            ("." | "has", Some(variable)) => match inner.get("attr") {
                Some(Value::String(attribute)) => self.add(variable, attribute),
                // `has a.b` may be written as a list, of which the first is the attribute.
                Some(Value::Array(path)) => {
                    let first = path.first().and_then(Value::as_str).unwrap_or("*");
                    self.add(variable, first);
                }
                _ => self.add(variable, "*"),
            },
            ("in" | "is", Some(variable)) => {
                let is_hierarchy = name == "in" || inner.get("in").is_some();
                match variable {
                    "resource" if is_hierarchy => self.add(variable, "parents"),
                    "principal" if is_hierarchy => self.add(variable, "groups"),
                    "context" => self.add(variable, "*"),
                    _ => {}
                }
                self.walk(inner.get("right").unwrap_or(&Value::Null));
                self.walk(inner.get("in").unwrap_or(&Value::Null));
            }
            // Which entity it is, is always known.
            ("==" | "!=", _) => {
                for side in ["left", "right"] {
                    match inner.get(side) {
                        Some(side) if variable(side).is_some_and(|name| name != "context") => {}
                        Some(side) => self.walk(side),
                        None => {}
                    }
                }
            }
            ("Var", _) => {
                if let Some(name) = inner.as_str().filter(|name| *name != "action") {
                    self.add(name, "*");
                }
            }
            ("Value", _) => {}
            _ => self.walk(inner),
        }
    }
}

fn variable(value: &Value) -> Option<&str> {
    value.get("Var")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(condition: &str) -> Vec<String> {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).unwrap();
        Mentions::of(&policy).iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_fact_is_found_however_it_is_written() {
        for (condition, expected) in [
            (
                "context.statements.contains(\"drop\")",
                "context.statements",
            ),
            ("context[\"statements\"] == [\"a\"]", "context.statements"),
            ("!(context.stated.agent like \"*x\")", "context.stated"),
            ("context has stated", "context.stated"),
            ("context has stated.reason", "context.stated"),
            (
                "if true then true else context.data.names.isEmpty()",
                "context.data",
            ),
            ("resource.environment != \"prod\"", "resource.environment"),
            ("!(resource in Target::\"a/b\")", "resource.parents"),
            ("resource is Target in Target::\"a/b\"", "resource.parents"),
            ("principal in Group::\"x\"", "principal.groups"),
            ("[context].isEmpty()", "context.*"),
            ("{\"a\": context}.a == {\"b\": 1}", "context.*"),
            ("context == {\"a\": 1}", "context.*"),
            ("1 == 1 || 2 < context.masked", "context.masked"),
        ] {
            assert_eq!(of(condition), [expected], "{condition}");
        }
    }

    #[test]
    fn which_entity_it_is_is_no_fact_that_could_be_missing() {
        assert!(of("resource == Target::\"a/b\" && principal is Agent").is_empty());
    }

    #[test]
    fn the_whole_holds_its_parts() {
        let text = "permit (principal, action, resource) when { [context].isEmpty() };";
        let mentions = Mentions::of(&Policy::parse(None, text).unwrap());
        assert!(mentions.has("context.stated") && !mentions.has("resource.environment"));
    }
}
