//! A call of a tool as an action that people can be asked about.
//!
//! A hook writes the same action for the same call, so that a person who was asked by the one is not
//! asked again by the other.

use countersign_shared::action::{ActionBuilder, ActionError};
use countersign_shared::limits::Limits;
use serde_json::{Value, json};

use super::call::Call;
use super::pins::Seen;

/// Begins the action of a call: what both a hook and a proxy know of it.
pub(crate) fn begin(server: &str, tool: &str, arguments: Value, seen: &Seen) -> ActionBuilder {
    let mut action = ActionBuilder::new("mcp.call", "tool", &format!("{server}/{tool}"))
        .argument("server", json!(server))
        .argument("tool", json!(tool))
        .argument("arguments", arguments);
    if !seen.annotations.is_empty() {
        action = action.argument("annotations", json!(seen.annotations));
    }
    if let Some(change) = &seen.change {
        action = action.argument("definition", change.to_value());
    }
    action
}

/// Writes the action of a call.
///
/// # Errors
/// When it is too large, or something in it cannot be shown.
pub(super) fn describe(server: &str, call: &Call, seen: &Seen) -> Result<Vec<u8>, ActionError> {
    let mut action = begin(server, &call.tool, call.arguments.clone(), seen);
    for (place, rest) in &call.more {
        action = action.argument(place, rest.clone());
    }
    for (name, text) in &call.claims {
        action = action.claim(name, text);
    }
    action.build(&Limits::default())
}
