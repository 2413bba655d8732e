//! A client without a terminal that ends and comes back with the same call.

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign_tests::programs::{AGENT, program};
use countersign_tests::{Home, Running};
use serde_json::{Value, json};

use super::{Call, Heard, answer, denied, start_with};

/// Writes a transcript in which one message makes these calls.
fn transcript(home: &Home, ids: &[&str]) -> std::path::PathBuf {
    let path = home.root().join(format!("{}.jsonl", ids.join("-")));
    let lines: Vec<String> = ids
        .iter()
        .map(|id| {
            json!({"type": "assistant", "message": {"id": "msg_1", "content": [
                {"type": "tool_use", "id": id, "name": "Bash", "input": {}},
            ]}})
            .to_string()
        })
        .collect();
    fs::write(&path, lines.join("\n")).expect("a file");
    path
}

/// Starts the hook below a process with or without the option of a client without a terminal.
fn start(home: &Home, transcript: &Path, headless: bool) -> Running {
    let mut payload: Value = Call::new("claude", "make").before(home);
    payload["transcript_path"] = json!(transcript);
    let mut client = Command::new("bash");
    home.furnish(&mut client);
    client
        .env("COUNTERSIGN_HOME", home.path())
        .current_dir(home.root());
    if headless {
        client.arg("-p");
    }
    let script = "\"$0\" hook claude --defer --limit 2s; exit $?";
    client.args(["-c", script]).arg(program(AGENT));
    start_with(home, &mut client, payload.to_string().as_bytes())
}

#[test]
fn a_deferred_call_is_decided_when_it_comes_back() {
    let home = Home::new();
    let transcript = transcript(&home, &["toolu_01"]);
    let again = || answer("claude", start(&home, &transcript, true));
    assert_eq!(again(), Heard::Deferred);
    let asked = home.wait_for_state("pending");
    // It may come back before anybody decided.
    assert_eq!(again(), Heard::Deferred);
    home.approve(&asked).expect_code(0);
    assert_eq!(again(), Heard::Allowed);
    assert_eq!(home.look(&asked.id).state, "redeemed");
    assert_eq!(home.list().len(), 1);
}

#[test]
fn a_client_that_takes_no_notice_of_deferring_is_told_no() {
    let home = Home::new();
    let alone = transcript(&home, &["toolu_01"]);
    let several = transcript(&home, &["toolu_01", "toolu_02"]);
    let absent = home.root().join("absent.jsonl");
    for (transcript, headless) in [(&alone, false), (&several, true), (&absent, true)] {
        let reason = denied("claude", start(&home, transcript, headless));
        assert!(reason.contains("denied for now"), "{reason}");
    }
    assert_eq!(home.list().len(), 1);
}

#[test]
fn no_other_client_is_asked_to_defer() {
    let home = Home::new();
    for client in ["codex", "gemini", "copilot"] {
        let hook = Call::new(client, "make").start(&home, &["--defer"]);
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
    assert!(home.list().is_empty());
}
