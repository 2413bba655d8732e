//! Either side ends, and the other one after it.

use std::process::Command;

use countersign_tests::process::run;
use countersign_tests::{Home, wait_until};
use rustix::process::Signal;
use serde_json::json;

use super::Talk;

/// Tells whether a server of this test runs.
fn runs(talk: &Talk) -> bool {
    let path = talk.seen.display().to_string();
    run(Command::new("pgrep").args(["-f", "--", &path]))
        .stdout
        .lines()
        .filter(|pid| *pid != talk.child.id().to_string())
        .count()
        > 0
}

#[test]
fn a_client_that_goes_takes_what_is_held_with_it_and_ends_the_server() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 1, "drop");
    talk.input = None;
    let ran = talk.ended().expect_code(0);
    assert!(ran.stdout.contains("isError"), "{ran:?}");
    assert_eq!(home.look(&asked.id).state, "withdrawn");
    talk.assert_not_called();
    assert!(!runs(&talk));
}

#[test]
fn what_the_server_was_sent_is_answered_after_the_client_closed_its_side() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    talk.call(1, "slow", &json!({"tenths": 15}));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    talk.wait_for_sent("slow");
    talk.input = None;
    assert_eq!(
        talk.hear()["result"]["content"][0]["text"],
        "slow, and done"
    );
    talk.ended().expect_code(0);
    assert_eq!(home.look(&asked.id).state, "succeeded");
}

#[test]
fn a_killed_proxy_leaves_nothing_that_could_still_be_passed_on() {
    let home = Home::with("[limits]\ndisconnect_grace = \"1s\"\n");
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 1, "drop");
    talk.signal(Signal::KILL);
    talk.ended();
    home.wait_until_state(&asked.id, "withdrawn");
    talk.assert_not_called();
    wait_until("the server has ended", || !runs(&talk));
}

#[test]
fn a_proxy_that_is_told_to_end_takes_back_what_is_held_and_ends_the_server() {
    let home = Home::new();
    let mut talk = Talk::with(&home, "stubborn");
    let asked = talk.held(&home, 1, "drop");
    talk.signal(Signal::TERM);
    talk.ended().expect_code(143);
    assert_eq!(home.look(&asked.id).state, "withdrawn");
    talk.assert_not_called();
    assert!(!runs(&talk));
}

#[test]
fn a_server_that_ends_takes_what_is_held_with_it_and_ends_the_client() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    talk.call(1, "exit", &json!({"code": 7}));
    let exit = home.wait_for_state("pending");
    talk.call(2, "drop", &json!({}));
    wait_until("both are held", || home.list().len() == 2);
    home.approve(&exit).expect_code(0);
    let mut answers = [talk.hear(), talk.hear()];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    let [lost, held] = answers;
    assert_eq!((&lost["id"], &held["id"]), (&json!(1), &json!(2)));
    let why = lost["error"]["message"].as_str().expect("a message");
    assert!(why.contains("how the call ended is not known"), "{why}");
    assert_eq!(held["result"]["isError"], true, "{held}");
    let why = held["result"]["content"][0]["text"]
        .as_str()
        .expect("a text");
    assert!(why.contains("the server has ended"), "{why}");
    talk.ended().expect_code(7);
    // What it did before it ended nobody can tell.
    home.wait_until_state(&exit.id, "indeterminate");
    let states: Vec<_> = home
        .list()
        .iter()
        .map(|asked| asked["state"].clone())
        .collect();
    assert!(states.contains(&json!("withdrawn")), "{states:?}");
}

#[test]
fn a_server_that_does_not_start_is_an_error() {
    let home = Home::new();
    let ran = home
        .agent(&["mcp", "--", "/nonexistent/server"])
        .expect_code(1);
    assert!(
        ran.stderr.contains("cannot start `/nonexistent/server`"),
        "{ran:?}"
    );
    assert_eq!(ran.stdout, "");
    home.agent(&["mcp"]).expect_code(2);
}
