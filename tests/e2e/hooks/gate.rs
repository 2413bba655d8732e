//! A call that is held, and the answer to it.

use std::fs;

use countersign_tests::{Home, wait_until};
use serde_json::{Value, json};

use super::{CLIENTS, Call, Heard, answer, denied, start};
use crate::asking::show;

#[test]
fn an_approved_call_is_allowed_in_the_clients_own_dialect_and_its_use_is_taken() {
    let home = Home::new();
    for client in CLIENTS {
        let (hook, asked) = Call::new(client, &format!("echo {client}")).held(&home, &[]);
        let shown = show(&home, &asked);
        let argv = &shown["document"]["action"]["arguments"]["argv"];
        assert_eq!(argv[2], format!("echo {client}"));
        home.approve(&asked).expect_code(0);
        assert_eq!(answer(client, hook), Heard::Allowed, "{client}");
        assert_eq!(home.look(&asked.id).state, "redeemed", "{client}");
    }
}

#[test]
fn a_denied_call_is_denied_with_the_reviewers_reason() {
    let home = Home::new();
    for client in CLIENTS {
        let (hook, asked) = Call::new(client, &format!("echo {client}")).held(&home, &[]);
        home.deny(&asked, "not on a friday").expect_code(0);
        let reason = denied(client, hook);
        assert!(reason.contains("not on a friday"), "{client}: {reason}");
    }
}

#[test]
fn calls_made_at_once_are_requests_of_their_own() {
    let home = Home::new();
    // The same twice, and with a client that has no names for its calls.
    let calls = [
        Call::new("claude", "make"),
        Call::new("claude", "make").id("toolu_02"),
        Call::new("gemini", "make"),
        Call::new("gemini", "make"),
    ];
    let hooks: Vec<_> = calls
        .iter()
        .map(|call| (call.client, call.start(&home, &[])))
        .collect();
    wait_until("all are held", || home.list().len() == calls.len());
    for asked in home.list() {
        let asked = countersign_tests::home::Asked::read(&asked);
        home.approve(&asked).expect_code(0);
    }
    for (client, hook) in hooks {
        assert_eq!(answer(client, hook), Heard::Allowed);
    }
}

/// A call that changes a file, as one of the clients makes it.
fn change(home: &Home, client: &str, tool: &str, input: &Value) -> Value {
    let mut payload = Call::new("claude", "").before(home);
    if client == "gemini" {
        payload = Call::new("gemini", "").before(home);
    } else if client == "codex" {
        payload = Call::new("codex", "").before(home);
    } else if client == "copilot" {
        payload = Call::new("copilot", "").before(home);
        payload["toolName"] = json!(tool);
        payload["toolArgs"] = input.clone();
        return payload;
    }
    payload["tool_name"] = json!(tool);
    payload["tool_input"] = input.clone();
    payload
}

#[test]
fn every_tool_that_changes_a_file_is_shown_with_what_it_changes() {
    let home = Home::new();
    let file = home.root().canonicalize().unwrap().join("a.txt");
    fs::write(&file, "one\ntwo\n").unwrap();
    let path = file.to_str().unwrap();
    let lines = "*** Begin Patch\n*** Update File: a.txt\n@@\n-two\n+TWO\n*** End Patch\n";
    let heredoc = format!("apply_patch <<'EOF'\n{lines}EOF\n");
    let pieces = json!({"file_path": path, "old_string": "two", "new_string": "TWO"});
    let both = json!({"file_path": path, "edits": [
        {"old_string": "two", "new_string": "2"}, {"old_string": "2", "new_string": "TWO"},
    ]});
    let contents = json!({"file_path": path, "content": "one\nTWO\n"});
    for (client, tool, input) in [
        ("claude", "Edit", pieces.clone()),
        ("claude", "MultiEdit", both),
        ("claude", "Write", contents.clone()),
        ("codex", "apply_patch", json!({"command": lines})),
        ("codex", "Bash", json!({"command": heredoc})),
        ("gemini", "replace", pieces),
        ("gemini", "write_file", contents),
        (
            "copilot",
            "edit",
            json!({"path": path, "old_str": "two", "new_str": "TWO"}),
        ),
        (
            "copilot",
            "create",
            json!({"path": path, "file_text": "one\nTWO\n"}),
        ),
    ] {
        let hook = start(&home, client, &[], &change(&home, client, tool, &input));
        let asked = home.wait_for_state("pending");
        let shown = show(&home, &asked);
        let changes = &shown["document"]["action"]["changes"];
        assert_eq!(
            changes,
            &json!([{
                "path": path, "mode": null,
                "before": {"text": "one\ntwo\n"}, "after": {"text": "one\nTWO\n"},
            }]),
            "{client} {tool}"
        );
        let diff = home.person(&["diff", &asked.id]).expect_code(0).stdout;
        assert!(diff.contains("TWO"), "{diff}");
        home.deny(&asked, "no").expect_code(0);
        denied(client, hook);
    }
}

#[test]
fn a_file_that_changed_while_pending_makes_the_call_another_one() {
    let home = Home::new();
    let file = home.root().join("a.txt");
    fs::write(&file, "one\ntwo\n").unwrap();
    let input = json!({"file_path": file, "old_string": "two", "new_string": "TWO"});
    let hook = start(
        &home,
        "claude",
        &[],
        &change(&home, "claude", "Edit", &input),
    );
    let asked = home.wait_for_state("pending");
    fs::write(&file, "something else\ntwo\n").unwrap();
    home.approve(&asked).expect_code(0);
    let reason = denied("claude", hook);
    assert!(reason.contains("not what was asked for"), "{reason}");
    assert_eq!(home.look(&asked.id).state, "withdrawn");
}

#[test]
fn what_cannot_be_shown_is_denied_and_nobody_is_asked() {
    let home = Home::new();
    let file = home.root().join("a.txt");
    fs::write(&file, "x\nx\n").unwrap();
    for (tool, input) in [
        (
            "Edit",
            json!({"file_path": file, "old_string": "x", "new_string": "y"}),
        ),
        (
            "Edit",
            json!({"file_path": file, "old_string": "z", "new_string": "y"}),
        ),
        ("Edit", json!({"file_path": file})),
        ("Write", json!({"file_path": "~/x", "content": "y"})),
        (
            "NotebookEdit",
            json!({"notebook_path": file, "new_source": "y"}),
        ),
        ("mcp__t__danger", json!({"$filter": "x"})),
    ] {
        let hook = start(&home, "claude", &[], &change(&home, "claude", tool, &input));
        let reason = denied("claude", hook);
        assert!(reason.contains("nobody could be shown"), "{tool}: {reason}");
    }
    assert!(home.list().is_empty());
}

#[test]
fn a_tool_that_is_not_known_is_asked_for_as_what_it_is() {
    let home = Home::new();
    let input = json!({"prompt": "look around", "subagent_type": "explorer"});
    let hook = start(
        &home,
        "claude",
        &[],
        &change(&home, "claude", "Agent", &input),
    );
    let asked = home.wait_for_state("pending");
    let shown = show(&home, &asked);
    let action = &shown["document"]["action"];
    assert_eq!(action["kind"], "tool.call");
    assert_eq!(action["arguments"]["input"], input);
    home.approve(&asked).expect_code(0);
    assert_eq!(answer("claude", hook), Heard::Allowed);
}
