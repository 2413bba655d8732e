//! `countersign-agent permission-tool`: what Claude Code asks when nothing else permits a call.

use countersign_tests::{Home, wait_until};
use serde_json::{Value, json};

use super::Talk;
use crate::asking::show;

fn start(home: &Home, options: &[&str]) -> Talk {
    let mut command = home.agent_command(&["permission-tool"]);
    command.args(options);
    Talk::of(&mut command, home.root().join("nothing"))
}

/// Asks as the client does.
fn ask(id: u64, use_id: &str, command: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": "approve",
        "arguments": {"tool_name": "Bash", "input": {"command": command, "description": "x"},
                      "tool_use_id": use_id},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                  "claudecode/toolUseId": use_id, "progressToken": 1}}})
}

/// Reads the answer that the client reads out of the text.
#[track_caller]
fn answer(talk: &Talk, id: u64) -> Value {
    let mut said = talk.hear();
    while said["method"] == "notifications/progress" {
        said = talk.hear();
    }
    assert_eq!(said["id"], id, "{said}");
    assert_eq!(said["result"]["resultType"], "complete", "{said}");
    let text = said["result"]["content"][0]["text"]
        .as_str()
        .expect("a text");
    serde_json::from_str(text).expect("JSON in the text")
}

#[test]
fn an_approved_question_is_allowed_with_its_own_input_and_its_end_is_reported_by_the_hook() {
    let home = Home::new();
    let mut talk = start(&home, &[]);
    talk.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"}));
    assert_eq!(talk.hear()["result"]["tools"][0]["name"], "approve");
    talk.say(&ask(1, "toolu_1", "make deploy"));
    let asked = home.wait_for_state("pending");
    let shown = show(&home, &asked);
    let action = &shown["document"]["action"];
    assert_eq!(action["kind"], "exec.run");
    assert_eq!(action["arguments"]["argv"][2], "make deploy");
    home.approve(&asked).expect_code(0);
    assert_eq!(
        answer(&talk, 1),
        json!({"behavior": "allow", "updatedInput": {"command": "make deploy", "description": "x"}})
    );
    assert_eq!(home.look(&asked.id).state, "redeemed");
    // The hook knows the client's own conversation, and the use by its name.
    let event = json!({
        "session_id": "the client's own", "transcript_path": "/nowhere.jsonl", "cwd": home.root(),
        "permission_mode": "default", "hook_event_name": "PostToolUse", "tool_name": "Bash",
        "tool_input": {"command": "make deploy", "description": "x"},
        "tool_response": {"stdout": "", "interrupted": false}, "tool_use_id": "toolu_1",
    });
    let path = home.root().join("event");
    std::fs::write(&path, event.to_string()).expect("a file");
    let mut hook = home.agent_command(&["hook", "claude"]);
    let input = std::fs::File::open(path).expect("a file").into();
    countersign_tests::Running::start(&mut hook, input)
        .wait()
        .expect_code(0);
    assert_eq!(home.look(&asked.id).state, "succeeded");
    talk.end().expect_code(0);
}

#[test]
fn whatever_is_not_an_approval_is_a_deny() {
    let mut home = Home::new();
    let mut talk = start(&home, &[]);
    talk.say(&ask(1, "toolu_1", "make"));
    let asked = home.wait_for_state("pending");
    home.deny(&asked, "not on a friday").expect_code(0);
    let said = answer(&talk, 1);
    assert_eq!(said["behavior"], "deny");
    let message = said["message"].as_str().expect("a message");
    assert!(message.contains("not on a friday"), "{message}");
    home.kill();
    talk.say(&ask(2, "toolu_2", "make it"));
    assert_eq!(answer(&talk, 2)["behavior"], "deny");
    for garbage in [
        &br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"approve","arguments":{}}}"#[..],
        br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"other","arguments":{}}}"#,
        br#"[{"jsonrpc":"2.0","id":3,"method":"tools/call"}]"#,
        b"garbage",
    ] {
        talk.write(garbage);
        let said = talk.hear();
        assert!(said["error"]["code"].is_i64(), "{said}");
    }
    talk.end().expect_code(0);
}

#[test]
fn a_question_that_takes_too_long_is_denied_for_now_and_taken_up_again() {
    let home = Home::new();
    let mut talk = start(&home, &["--limit", "2s"]);
    talk.say(&ask(1, "toolu_1", "make"));
    let asked = home.wait_for_state("pending");
    let said = answer(&talk, 1);
    assert_eq!(said["behavior"], "deny");
    let message = said["message"].as_str().expect("a message");
    assert!(message.contains(&asked.id), "{message}");
    home.approve(&asked).expect_code(0);
    talk.say(&ask(2, "toolu_2", "make"));
    assert_eq!(answer(&talk, 2)["behavior"], "allow");
    assert_eq!(home.list().len(), 1);
}

#[test]
fn a_question_that_is_taken_back_is_withdrawn() {
    let home = Home::new();
    let mut talk = start(&home, &[]);
    talk.say(&ask(1, "toolu_1", "make"));
    talk.say(&ask(2, "toolu_2", "make it"));
    wait_until("both are held", || home.list().len() == 2);
    talk.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                     "params": {"requestId": 1}}),
    );
    home.wait_for_state("withdrawn");
    talk.end().expect_code(0);
    assert!(
        home.list()
            .iter()
            .all(|asked| asked["state"] == "withdrawn")
    );
}
