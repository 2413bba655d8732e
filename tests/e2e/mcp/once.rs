//! A client with a hook and a proxy: one use of a tool, one question.

use std::fs;

use countersign_tests::{Home, Ran, Running};
use serde_json::{Value, json};

use super::{SERVER, Talk, call_with};

/// Runs the client's hook for a use of `drop`.
#[track_caller]
fn hook(home: &Home, event: &str, input: &Value) -> Running {
    let mut payload = json!({
        "session_id": "s", "transcript_path": "/nowhere.jsonl", "cwd": home.root(),
        "permission_mode": "default", "hook_event_name": event,
        "tool_name": format!("mcp__{SERVER}__drop"), "tool_input": input, "tool_use_id": "toolu_1",
        "mcp_server": {"name": SERVER, "source": "project"},
    });
    if event == "PostToolUse" {
        payload["tool_response"] = json!([]);
    }
    let path = home.root().join("event");
    fs::write(&path, payload.to_string()).expect("a file");
    let file = fs::File::open(path).expect("a file");
    Running::start(&mut home.agent_command(&["hook", "claude"]), file.into())
}

fn allowed(ran: &Ran) -> bool {
    ran.json()["hookSpecificOutput"]["permissionDecision"] == "allow"
}

/// Lets the client list the server's tools, and has a hook's question approved.
#[track_caller]
fn begun(home: &Home) -> (Talk, String) {
    let mut talk = Talk::start(home);
    talk.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"}));
    talk.hear();
    let before = hook(home, "PreToolUse", &json!({"table": "a"}));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    assert!(allowed(&before.wait()));
    (talk, asked.id)
}

fn use_of(id: u64, table: &str) -> Value {
    let mut message = call_with(id, "drop", &json!({"claudecode/toolUseId": "toolu_1"}));
    message["params"]["arguments"] = json!({ "table": table });
    message
}

#[test]
fn what_a_hook_had_approved_is_passed_on_once_without_another_question() {
    let home = Home::new();
    let (mut talk, id) = begun(&home);
    talk.say(&use_of(1, "a"));
    assert_eq!(talk.hear()["result"]["content"][0]["text"], "drop done");
    home.wait_until_state(&id, "succeeded");
    // The client's event after it has nothing to add.
    hook(&home, "PostToolUse", &json!({"table": "a"}))
        .wait()
        .expect_code(0);
    assert_eq!(home.list().len(), 1);
    // A second call in the same name is asked for.
    talk.say(&use_of(2, "a"));
    let asked = home.wait_for_state("pending");
    assert_ne!(asked.id, id);
    home.deny(&asked, "no").expect_code(0);
    talk.refused(2);
}

#[test]
fn a_call_that_is_not_what_the_hook_had_approved_is_asked_for() {
    let home = Home::new();
    let (mut talk, id) = begun(&home);
    talk.say(&use_of(1, "b"));
    let asked = home.wait_for_state("pending");
    assert_ne!(asked.id, id);
    home.deny(&asked, "no").expect_code(0);
    talk.refused(1);
    talk.assert_not_called();
    // The other use is still there for its own call.
    talk.say(&use_of(2, "a"));
    assert_eq!(talk.hear()["result"]["content"][0]["text"], "drop done");
    home.wait_until_state(&id, "succeeded");
}

#[test]
fn a_use_whose_time_is_over_is_not_taken_over() {
    let home = Home::with("max_run = \"2s\"\n");
    let (mut talk, id) = begun(&home);
    home.wait_until_state(&id, "indeterminate");
    talk.say(&use_of(1, "a"));
    talk.refused(1);
    talk.assert_not_called();
}
