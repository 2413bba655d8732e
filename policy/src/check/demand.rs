//! Whether a policy can only match where the operator has listed the target's environment.
//!
//! Read off Cedar's own JSON form of the policy: some part that must hold names the environments it
//! is about, and `unknown` is not among them. A form that is not known here demands nothing.

use cedar_policy::Policy;
use serde_json::Value;

use crate::catalogue::UNKNOWN;

/// Tells whether a policy never matches a target whose environment is unknown.
pub(super) fn is_listed(policy: &Policy) -> bool {
    let Ok(value) = policy.to_json() else {
        return false;
    };
    let conditions = value.get("conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("kind").and_then(Value::as_str) == Some("when")
            && condition.get("body").is_some_and(demands)
    })
}

/// Tells whether an expression is false for an environment that is unknown.
fn demands(expression: &Value) -> bool {
    if let Some(both) = expression.get("&&") {
        return sides(both).any(demands);
    }
    if let Some(either) = expression.get("||") {
        return sides(either).all(demands);
    }
    if let Some(equal) = expression.get("==") {
        return sides(equal).any(is_environment) && sides(equal).any(is_another);
    }
    if let Some(contains) = expression.get("contains") {
        let listed = contains
            .pointer("/left/Set")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().all(is_another));
        return listed && contains.get("right").is_some_and(is_environment);
    }
    false
}

fn sides(operands: &Value) -> impl Iterator<Item = &Value> {
    // An operand that is not there demands nothing.
    ["left", "right"]
        .into_iter()
        .map(|side| operands.get(side).unwrap_or(&Value::Null))
}

fn is_environment(expression: &Value) -> bool {
    let Some(access) = expression.get(".") else {
        return false;
    };
    access.pointer("/left/Var").and_then(Value::as_str) == Some("resource")
        && access.get("attr").and_then(Value::as_str) == Some("environment")
}

/// Tells whether an expression is the name of an environment, and not `unknown`.
fn is_another(expression: &Value) -> bool {
    expression
        .get("Value")
        .and_then(Value::as_str)
        .is_some_and(|name| name != UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(clause: &str) -> bool {
        let text = format!("permit (principal, action, resource) {clause};");
        is_listed(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn a_policy_that_names_its_environments_does_not_match_unknown_ones() {
        for clause in [
            "when { resource.environment == \"dev\" }",
            "when { \"dev\" == resource.environment }",
            "when { context.masked == 0 && [\"dev\", \"test\"].contains(resource.environment) }",
            "when { resource.environment == \"dev\" || resource.environment == \"test\" }",
            "unless { context.masked == 0 } when { resource.environment == \"dev\" }",
        ] {
            assert!(listed(clause), "{clause}");
        }
    }

    #[test]
    fn any_other_policy_may_match_them() {
        for clause in [
            "",
            "when { resource.environment != \"prod\" }",
            "when { !(resource.environment == \"prod\") }",
            "unless { resource.environment == \"prod\" }",
            "when { resource.environment == \"unknown\" }",
            "when { [\"dev\", \"unknown\"].contains(resource.environment) }",
            "when { resource.environment == \"dev\" || context.masked == 0 }",
            "when { resource.classification == \"none\" }",
            "when { resource.environment == resource.classification }",
            "when { [].contains(resource.environment) || true }",
            "when { context.names.contains(resource.environment) }",
            "when { resource.environment like \"d*\" }",
        ] {
            assert!(!listed(clause), "{clause}");
        }
    }
}
