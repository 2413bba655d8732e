//! Whatever fails: no call reaches the server.

use std::fs;

use countersign_tests::Home;
use serde_json::json;

use super::{Talk, call_with};

#[test]
fn without_a_daemon_every_call_is_an_error_and_everything_else_passes() {
    let mut home = Home::stopped("");
    let mut talk = Talk::start(&home);
    for id in 1..=3 {
        talk.call(id, "drop", &json!({}));
        let why = talk.refused(id);
        assert!(why.contains("countersign: "), "{why}");
    }
    talk.say(&json!({"jsonrpc": "2.0", "id": 9, "method": "tools/list"}));
    assert!(talk.hear()["result"]["tools"].is_array());
    talk.assert_not_called();
    // And when it is there, calls are held.
    home.start();
    let asked = talk.held(&home, 4, "echo");
    home.approve(&asked).expect_code(0);
    assert_eq!(talk.hear()["id"], 4);
}

#[test]
fn a_daemon_that_dies_and_comes_back_finds_the_call_waiting() {
    let mut home = Home::new();
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 1, "echo");
    home.kill();
    talk.silence();
    talk.assert_not_called();
    home.start();
    home.approve(&asked).expect_code(0);
    assert_eq!(talk.hear()["result"]["content"][0]["text"], "echo done");
    home.wait_until_state(&asked.id, "succeeded");
}

#[test]
fn a_daemon_that_stays_away_is_a_no() {
    let mut home = Home::with("ttl = \"3s\"\n");
    let mut talk = Talk::start(&home);
    talk.held(&home, 1, "drop");
    home.kill();
    let why = talk.refused(1);
    assert!(why.contains("not approved"), "{why}");
    talk.assert_not_called();
}

#[test]
fn without_the_logs_key_nothing_is_asked_for() {
    let home = Home::new();
    for dir in [home.path(), home.path().join("run")] {
        let key = dir.join("log.vkey");
        if key.exists() {
            fs::remove_file(key).expect("the key");
        }
    }
    let mut talk = Talk::start(&home);
    talk.call(1, "drop", &json!({}));
    let why = talk.refused(1);
    assert!(why.contains("log.vkey"), "{why}");
    talk.assert_not_called();
}

#[test]
fn an_answer_to_a_call_that_the_server_was_not_sent_does_not_pass() {
    let home = Home::new();
    let mut talk = Talk::with(&home, "forge");
    // Before anything was asked, as any message.
    assert_eq!(talk.hear()["result"]["content"][0]["text"], "forged");
    let asked = talk.held(&home, 41, "drop");
    home.deny(&asked, "no").expect_code(0);
    assert!(talk.refused(41).contains("no"));
    talk.end().expect_code(0);
}

#[test]
fn more_calls_at_once_than_can_be_held_are_errors() {
    let home = Home::with("[limits]\nheld_per_uid = 2\n");
    let mut talk = Talk::start(&home);
    for id in 1..=3 {
        talk.call(id, "drop", &json!({ "id": id }));
    }
    let said = talk.hear();
    assert_eq!(said["result"]["isError"], true, "{said}");
    talk.assert_not_called();
}

#[test]
fn two_calls_in_the_name_of_one_use_of_a_tool_are_one_request_and_one_is_made() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let meta = json!({"claudecode/toolUseId": "toolu_1"});
    talk.say(&call_with(1, "echo", &meta));
    let asked = home.wait_for_state("pending");
    talk.say(&call_with(2, "echo", &meta));
    talk.silence();
    assert_eq!(home.list().len(), 1);
    home.approve(&asked).expect_code(0);
    let heard = [talk.hear(), talk.hear()];
    let failed = heard
        .iter()
        .filter(|said| said["result"]["isError"] == true);
    assert_eq!(failed.count(), 1, "{heard:?}");
    let calls = talk
        .sent()
        .iter()
        .filter(|line| line.contains("tools/call"))
        .count();
    assert_eq!(calls, 1);
}
