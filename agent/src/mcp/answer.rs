//! Messages of our own making: what a client reads when a call is not passed on, and while it waits.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::Id;

/// JSON-RPC 2.0: the bytes are no message.
pub(super) const PARSE_ERROR: i32 = -32700;

/// JSON-RPC 2.0: the message is none that could be passed on.
pub(super) const INVALID_REQUEST: i32 = -32600;

/// JSON-RPC 2.0: the parameters of a call are none.
pub(super) const INVALID_PARAMS: i32 = -32602;

/// JSON-RPC 2.0: there is no such method.
pub(super) const NO_METHOD: i32 = -32601;

/// JSON-RPC 2.0: it did not work.
pub(super) const INTERNAL: i32 = -32603;

/// The result of a call that was not made, which the agent reads.
pub(super) fn not_called(id: &Id, is_typed: bool, why: &str) -> Value {
    let mut result = json!({ "content": [{ "type": "text", "text": why }], "isError": true });
    if is_typed && let Some(members) = result.as_object_mut() {
        members.insert("resultType".to_owned(), json!("complete"));
    }
    json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result })
}

/// An error about a message that is not passed on; without an id when it has none that can be read.
pub(super) fn error(id: Option<&Id>, code: i32, why: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id.map(Id::to_value),
        "error": { "code": code, "message": format!("countersign: {why}") },
    })
}

/// A sign of life while a call is held. `count` goes up with each.
///
/// All of them together stay below 1, where a server's own begin that comes later.
pub(super) fn progress(token: &RawValue, count: u32) -> Value {
    let token: Value = serde_json::from_str(token.get()).unwrap_or_default();
    let progress = f64::from(count.min(999_999)) / 1_000_000.0;
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {
            "progressToken": token,
            "progress": progress,
            "message": "countersign: waiting for review",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_not_made_is_an_error_that_the_agent_reads() {
        let said = not_called(&Id::Number(7), false, "no");
        assert_eq!(
            said,
            json!({"jsonrpc": "2.0", "id": 7, "result":
                   {"content": [{"type": "text", "text": "no"}], "isError": true}})
        );
        let said = not_called(&Id::Text("a".to_owned()), true, "no");
        assert_eq!(said["id"], "a");
        assert_eq!(said["result"]["resultType"], "complete");
    }

    #[test]
    fn signs_of_life_go_up_and_stay_below_a_servers_own() {
        let token = RawValue::from_string("\"t\"".to_owned()).unwrap();
        let value = |count| {
            let said = progress(&token, count);
            assert_eq!(said["params"]["progressToken"], "t");
            said["params"]["progress"].as_f64().unwrap()
        };
        assert!(value(1) > 0.0);
        assert!(value(1) < value(2));
        assert!(value(u32::MAX) < 1.0);
    }
}
