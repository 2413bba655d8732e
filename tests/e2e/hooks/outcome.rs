//! What the log holds after a call that was allowed.

use std::fs;

use countersign_tests::Home;
use serde_json::{Value, json};

use super::{Call, Heard, after, answer, denied, heard, start};
use crate::asking::show;

/// Returns what a client writes after the call that it wrote `before`.
fn over(before: &Value, client: &str, response: &Value) -> Value {
    let mut payload = before.clone();
    match client {
        "gemini" => {
            payload["hook_event_name"] = json!("AfterTool");
            payload["tool_response"] = response.clone();
        }
        "copilot" => payload["toolResult"] = response.clone(),
        _ => {
            payload["hook_event_name"] = json!("PostToolUse");
            payload["tool_response"] = response.clone();
        }
    }
    payload
}

#[test]
fn the_end_of_a_call_is_reported_as_the_client_tells_it() {
    let home = Home::new();
    for (client, response, state) in [
        (
            "claude",
            json!({"stdout": "x", "interrupted": false}),
            "succeeded",
        ),
        (
            "claude",
            json!({"stdout": "", "interrupted": true}),
            "killed",
        ),
        ("codex", json!("hello\n"), "succeeded"),
        ("codex", json!("Exit code: 3\nOutput:\n"), "failed"),
        ("gemini", json!({"llmContent": "x"}), "succeeded"),
        ("gemini", json!({"error": {"message": "x"}}), "failed"),
        ("copilot", json!({"resultType": "success"}), "succeeded"),
        ("copilot", json!({"resultType": "failure"}), "failed"),
        ("copilot", json!({"resultType": "denied"}), "not-run"),
    ] {
        let call = Call::new(client, &format!("echo {state}"));
        let (hook, asked) = call.held(&home, &[]);
        home.approve(&asked).expect_code(0);
        assert_eq!(answer(client, hook), Heard::Allowed);
        let ran = after(&home, client, &over(&call.before(&home), client, &response));
        assert_eq!(heard(client, &ran), Heard::Silence, "{ran:?}");
        assert_eq!(home.look(&asked.id).state, state, "{client} {response}");
        let ticket = home.root().join("state/tickets").join(&asked.id);
        assert!(!ticket.exists(), "{client} {response}");
    }
}

#[test]
fn a_call_that_failed_or_was_not_permitted_after_all_is_reported_so() {
    let home = Home::new();
    for (event, more, state) in [
        (
            "PostToolUseFailure",
            json!({"error": "exit 1", "is_interrupt": false}),
            "failed",
        ),
        (
            "PostToolUseFailure",
            json!({"error": "x", "is_interrupt": true}),
            "killed",
        ),
        ("PermissionDenied", json!({"reason": "a rule"}), "not-run"),
    ] {
        let call = Call::new("claude", &format!("echo {event} {state}"));
        let (hook, asked) = call.held(&home, &[]);
        home.approve(&asked).expect_code(0);
        assert_eq!(answer("claude", hook), Heard::Allowed);
        let mut payload = call.before(&home);
        payload["hook_event_name"] = json!(event);
        for (name, value) in more.as_object().unwrap() {
            payload[name] = value.clone();
        }
        after(&home, "claude", &payload).expect_code(0);
        assert_eq!(home.look(&asked.id).state, state, "{event}");
    }
}

#[test]
fn a_file_that_is_not_as_it_was_approved_is_not_a_success() {
    let home = Home::new();
    let file = home.root().join("a.txt");
    for (written, state) in [("new\n", "succeeded"), ("something else\n", "failed")] {
        fs::write(&file, format!("old {state}\n")).unwrap();
        let mut before = Call::new("claude", "").before(&home);
        before["tool_name"] = json!("Write");
        before["tool_input"] = json!({"file_path": file, "content": "new\n"});
        let hook = start(&home, "claude", &[], &before);
        let asked = home.wait_for_state("pending");
        home.approve(&asked).expect_code(0);
        assert_eq!(answer("claude", hook), Heard::Allowed);
        fs::write(&file, written).unwrap();
        let ran = after(
            &home,
            "claude",
            &over(&before, "claude", &json!({"type": "update"})),
        );
        ran.expect_code(0);
        assert_eq!(home.look(&asked.id).state, state);
        assert_eq!(show(&home, &asked)["execution"]["state"], state);
    }
}

#[test]
fn a_call_that_is_not_the_approved_one_is_not_a_success() {
    let home = Home::new();
    let call = Call::new("claude", "make");
    let (hook, asked) = call.held(&home, &[]);
    home.approve(&asked).expect_code(0);
    assert_eq!(answer("claude", hook), Heard::Allowed);
    // As another hook of the same client can bring about.
    let mut payload = over(&call.before(&home), "claude", &json!({}));
    payload["tool_input"]["command"] = json!("make install");
    let ran = after(&home, "claude", &payload).expect_code(0);
    assert!(
        ran.stderr.contains("not the one that was approved"),
        "{ran:?}"
    );
    assert_eq!(home.look(&asked.id).state, "failed");
}

#[test]
fn equal_calls_without_names_are_reported_one_each() {
    let home = Home::new();
    let call = Call::new("gemini", "make");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (hook, asked) = call.held(&home, &[]);
        home.approve(&asked).expect_code(0);
        assert_eq!(answer("gemini", hook), Heard::Allowed);
        ids.push(asked.id);
    }
    for (index, state) in ["succeeded", "failed"].into_iter().enumerate() {
        let response = if state == "failed" {
            json!({"error": "x"})
        } else {
            json!({})
        };
        after(
            &home,
            "gemini",
            &over(&call.before(&home), "gemini", &response),
        )
        .expect_code(0);
        assert_eq!(home.look(&ids[index]).state, state);
    }
}

#[test]
fn a_call_that_nobody_was_asked_about_is_passed_over() {
    let mut home = Home::new();
    home.stop();
    let before = Call::new("claude", "make").before(&home);
    let ran = after(&home, "claude", &over(&before, "claude", &json!({})));
    assert_eq!(heard("claude", &ran), Heard::Silence);
}

#[test]
fn what_could_not_be_reported_is_kept_for_later() {
    let mut home = Home::new();
    let call = Call::new("claude", "make");
    let (hook, asked) = call.held(&home, &[]);
    home.approve(&asked).expect_code(0);
    assert_eq!(answer("claude", hook), Heard::Allowed);
    home.stop();
    let payload = over(&call.before(&home), "claude", &json!({}));
    let ran = after(&home, "claude", &payload);
    assert_eq!(heard("claude", &ran), Heard::Failed);
    home.start();
    home.agent(&["report", &asked.id]).expect_code(0);
    assert_eq!(home.look(&asked.id).state, "succeeded");
}

#[test]
fn a_held_call_that_its_client_makes_all_the_same_is_told_and_its_request_taken_back() {
    let home = Home::new();
    let call = Call::new("claude", "make deploy");
    let reason = denied("claude", call.start(&home, &["--limit", "2s"]));
    assert!(reason.contains("denied for now"), "{reason}");
    let asked = home.wait_for_state("pending");
    let response = json!({"stdout": "x", "interrupted": false});
    let other = Call::new("claude", "make test");
    let ran = after(
        &home,
        "claude",
        &over(&other.before(&home), "claude", &response),
    );
    assert_eq!(heard("claude", &ran), Heard::Silence, "{ran:?}");
    assert_eq!(home.look(&asked.id).state, "pending");

    let ran = after(
        &home,
        "claude",
        &over(&call.before(&home), "claude", &response),
    );
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains(&asked.id), "{ran:?}");
    assert!(
        ran.stderr.contains("although it was denied for now"),
        "{ran:?}"
    );
    assert_eq!(home.look(&asked.id).state, "withdrawn");
}
