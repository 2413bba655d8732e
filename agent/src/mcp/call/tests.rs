//! All that a call says, in what is shown.

use serde_json::json;

use super::super::strict;
use super::*;

fn read(text: &str) -> Call {
    Call::read(&strict::line(text.as_bytes()).unwrap()).unwrap()
}

/// Calls of tools as real clients wrote them.
fn recorded(name: &str) -> Vec<Call> {
    let path = format!("{}/testdata/mcp/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| line.contains("tools/call"))
        .map(read)
        .collect()
}

#[test]
fn calls_of_known_clients_show_nothing_but_tool_and_arguments() {
    let calls = recorded("claude-2.1.330-modern");
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(call.tool, "danger");
    assert_eq!(call.arguments, json!({"target": "prod-db"}));
    assert_eq!(call.more, Map::new());
    assert_eq!(call.use_id.as_deref(), Some("toolu_fake_0_0"));
    assert_eq!(call.progress.as_ref().map(|token| token.get()), Some("1"));
    assert!(call.is_typed);
    assert_eq!(call.claims, [("agent", "claude-code".to_owned())]);

    let calls = recorded("codex-0.169-legacy");
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(call.arguments, json!({"target": "prod"}));
    assert_eq!(call.more, Map::new());
    assert_eq!(call.use_id.as_deref(), Some("call_fake_0_0"));
    assert!(!call.is_typed);
}

#[test]
fn a_call_made_again_with_what_a_person_entered_shows_that() {
    let calls = recorded("claude-2.1.330-elicit");
    let [first, again] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(first.more, Map::new());
    assert_eq!(
        Value::Object(again.more.clone()),
        json!({"params": {"inputResponses": {"ok": {"action": "cancel"}}, "requestState": "opaque-1"}})
    );
    assert_eq!(first.use_id, again.use_id);
}

#[test]
fn nothing_that_a_server_could_act_upon_is_left_out() {
    let call = read(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","tenant":"a","params":{"name":"x","task":{"ttl":1},
            "_meta":{"progressToken":"p","tenant":"b"}}}"#,
    );
    assert_eq!(
        Value::Object(call.more),
        json!({"message": {"tenant": "a"}, "params": {"task": {"ttl": 1}}, "meta": {"tenant": "b"}})
    );
    assert_eq!(call.arguments, json!({}));
    assert_eq!(call.progress.unwrap().get(), "\"p\"");
}

#[test]
fn arguments_that_an_action_could_not_carry_are_shown_as_their_text() {
    let call = read(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x",
            "arguments":{"update":{"$set": {"a":12345678901234567890}}}}}"#,
    );
    assert_eq!(
        call.arguments,
        json!(r#"{"update":{"$set": {"a":12345678901234567890}}}"#)
    );
    let call = read(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x",
            "arguments":{"a":12345678901234567890}}}"#,
    );
    assert_eq!(
        call.arguments,
        json!({"a": {"$number": "12345678901234567890"}})
    );
}

#[test]
fn a_name_of_a_use_that_is_too_long_is_none() {
    let with = |id: &str| {
        read(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","_meta":{{"callId":"{id}"}}}}}}"#
        ))
    };
    assert_eq!(with(&"a".repeat(256)).use_id.map(|id| id.len()), Some(256));
    assert_eq!(with(&"a".repeat(257)).use_id, None);
    assert_eq!(with("").use_id, None);
}
