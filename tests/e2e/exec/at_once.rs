//! What nobody is asked about is asked for and run in one call: once, also when the answer is lost, and
//! only for whoever still wants it.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use countersign_shared::json;
use countersign_shared::wire::pb;
use countersign_tests::line::Line;
use countersign_tests::{Home, Running, wait_until};
use pb::execute_request::Message as Asks;
use pb::execute_response::Message as Told;
use rustix::process::Signal;
use tonic::Status;

use super::{NOBODY, Place};
use crate::asking::show;
use crate::wire::{Refusal, Wire, asking};

const EXECUTE: &str = "/countersign.v1.AgentService/Execute";

/// Sends one message, and returns the first of the answer. The call is given up then.
fn execute(wire: &Wire, message: Asks) -> Result<pb::ExecuteResponse, Status> {
    let message = Some(message);
    wire.call(EXECUTE, pb::ExecuteRequest { message })
}

#[track_caller]
fn asked(answer: Result<pb::ExecuteResponse, Status>) -> pb::SubmitResponse {
    match answer.expect("an answer").message {
        Some(Told::Asked(asked)) => asked,
        other => panic!("{other:?}"),
    }
}

/// Returns the state of the only request there is.
#[track_caller]
fn state(home: &Home) -> String {
    let all = home.list();
    assert_eq!(all.len(), 1);
    all.first()
        .and_then(|row| row["state"].as_str())
        .expect("a state")
        .to_owned()
}

#[test]
fn an_answer_that_is_lost_with_the_run_is_no_second_run() {
    let place = Place::with_policy("echo ran >>ran; exec sleep 1000", "", NOBODY);
    let line = Line::to(&place.home);
    // What the profile would run is told in less.
    line.swallow_from(2000);
    let mut command = place.home.agent_command(&["--home"]);
    command.arg(line.path());
    command.args(["exec", "--as", "deploy", "--", "tool"]);
    let agent = Running::start(&mut command, Stdio::null());
    let ran = place.work().join("ran");
    wait_until("it runs", || ran.exists());
    line.cut();
    let told = agent.wait().expect_code(125);
    assert!(
        told.stderr.contains("was lost while the daemon ran it"),
        "{told:?}"
    );
    assert!(!told.stderr.contains("nothing ran"), "{told:?}");
    wait_until("it has ended with its asker", || {
        state(&place.home) == "killed"
    });
    assert_eq!(fs::read_to_string(ran).unwrap(), "ran\n");
}

#[test]
fn a_signal_that_comes_before_the_answer_reaches_the_run_that_had_begun() {
    let script = "trap 'echo told; exit 9' INT; echo up; while :; do sleep 0.02; done";
    let place = Place::with_policy(script, "", NOBODY);
    slow_secret(&place, "0.2");
    let agent = place.start(&["--", "tool"]);
    let asked_for_secret = place.root().join("reading");
    wait_until("the secret is read", || asked_for_secret.exists());
    agent.signal(Signal::INT);
    let told = agent.wait();
    assert!([9, 130].contains(&told.code), "{told:?}");
    wait_until("it is over", || {
        ["failed", "killed"].contains(&state(&place.home).as_str())
    });
}

#[test]
fn what_nobody_wants_any_more_before_the_use_is_not_run() {
    let place = Place::with_policy("touch ran", "", NOBODY);
    slow_secret(&place, "3");
    let agent = place.start(&["--", "tool"]);
    let asked_for_secret = place.root().join("reading");
    wait_until("the secret is read", || asked_for_secret.exists());
    agent.signal(Signal::INT);
    let told = agent.wait().expect_code(130);
    assert!(told.stderr.contains("ends with this call"), "{told:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(!place.work().join("ran").exists());
    assert!(place.home.list().is_empty());
}

/// Lets the profile read its secret by a command that takes this many seconds.
#[track_caller]
fn slow_secret(place: &Place, seconds: &str) {
    let root = place.root().display().to_string();
    let reader = place.root().join("reader");
    super::tool(
        &reader,
        &format!("touch {root}/reading; sleep {seconds}; cat {root}/secret"),
    );
    let text = format!(
        "[profile.deploy]\nprograms = [\"{root}/tool\"]\ndirectories = [\"{root}/work\"]\n\
         [profile.deploy.secrets]\nTOKEN = {{ command = [\"{root}/reader\"] }}\n"
    );
    place.take_profiles(&text);
}

#[test]
fn a_secret_that_cannot_be_had_costs_no_use() {
    let place = Place::with_policy("touch ran", "", NOBODY);
    fs::remove_file(place.root().join("secret")).unwrap();
    let told = place.run(&["--", "tool"]).expect_code(125);
    assert!(told.stderr.contains("`TOKEN`"), "{told:?}");
    assert!(!place.work().join("ran").exists());
    assert_eq!(state(&place.home), "withdrawn");
    assert!(!place.log().contains("request.redeemed"));
}

#[test]
fn a_repeated_asking_gets_no_second_run() {
    let place = Place::with_policy("echo ran >>ran", "", NOBODY);
    place.run(&["--", "tool"]).expect_code(0);
    let before = place.home.wait_for_state("succeeded");
    let shown = show(&place.home, &before);
    let action = json::canonical(&shown["document"]["action"]).unwrap();
    let wire = Wire::to_agents(&place.home);
    let again = asking(&action);
    let first = asked(execute(&wire, Asks::Ask(again.clone())));
    assert!(!first.joined);
    assert_eq!(first.state, i32::from(pb::State::Redeemed));
    assert!(first.redeemed.is_none());
    wait_until("it is over", || {
        !["redeemed", "running"].contains(&place.home.look(&first.id).state.as_str())
    });
    let second = asked(execute(&wire, Asks::Ask(again)));
    assert!(second.joined);
    assert_eq!(second.id, first.id);
    assert_eq!(place.log().matches("request.redeemed").count(), 2);
}

#[test]
fn what_the_daemon_would_not_run_is_not_asked_for() {
    let place = Place::with_policy("touch ran", "", NOBODY);
    let wire = Wire::to_agents(&place.home);
    let own =
        br#"{"arguments":{},"kind":"data.export","target":{"kind":"database","name":"x"},"v":1}"#;
    let found = Refusal::of(execute(&wire, Asks::Ask(asking(own))));
    assert_eq!(found.reason, "not-brokered");
    let by_caller = pb::SubmitRequest {
        use_at_once: Some(pb::UseAtOnce { pid: 0 }),
        ..asking(own)
    };
    let found = Refusal::of(execute(&wire, Asks::Ask(by_caller)));
    assert_eq!(
        (found.reason.as_str(), found.metadata("field")),
        ("malformed-message", "use_at_once")
    );
    for strange in [Asks::Input(vec![1]), Asks::InputEnd(true), Asks::Signal(2)] {
        let found = Refusal::of(execute(&wire, strange));
        assert_eq!(found.metadata("field"), "begin");
    }
    assert!(place.home.list().is_empty());
}
