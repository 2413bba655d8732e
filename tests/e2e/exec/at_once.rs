//! What nobody is asked about is asked for and run in one call: once, also when the answer is lost, and
//! only for whoever still wants it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use countersign_shared::json;
use countersign_shared::wire::pb;
use countersign_tests::line::Line;
use countersign_tests::{Home, Ran, Running, wait_until};
use pb::execute_request::Message as Asks;
use pb::execute_response::Message as Told;
use rustix::process::Signal;
use tonic::Status;

use super::{NOBODY, Place};
use crate::asking::show;
use crate::wire::{Refusal, Wire, asking};

const EXECUTE: &str = "/countersign.v1.AgentService/Execute";

/// Sends one message, and returns the first of the answer. The others are taken, and go nowhere.
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

/// An installation whose profile has no secret, so that what nobody is asked about runs at once.
#[track_caller]
fn without_secrets(script: &str) -> Place {
    let place = Place::with_policy(script, "", NOBODY);
    let root = place.root().display();
    place.take_profiles(&format!(
        "[profile.deploy]\nprograms = [\"{root}/tool\"]\ndirectories = [\"{root}/work\"]\n"
    ));
    place
}

/// A run whose agent has not heard of it.
struct Unheard {
    place: Place,
    line: Line,
    /// Its status comes on standard output.
    agent: Running,
}

impl Unheard {
    /// Has the program write a line to `ran`, and go on as `then` says.
    #[track_caller]
    fn begin(then: &str) -> Self {
        let place = without_secrets(&format!("echo ran >>ran; {then}"));
        let line = Line::to(&place.home);
        // What the profile would run is told in less.
        line.swallow_from(2000);
        let mut command = place.home.agent_command(&["--home"]);
        command.arg(line.path()).args(["exec", "--as", "deploy"]);
        command.args(["--status-fd", "1", "--", "tool"]);
        let agent = Running::start(&mut command, Stdio::null());
        wait_until("it runs", || place.work().join("ran").exists());
        Self { place, line, agent }
    }
}

/// Checks that nobody is told that nothing ran.
#[track_caller]
fn says_that_it_may_have_run(told: &Ran) {
    assert!(!told.stderr.contains("nothing ran"), "{told:?}");
    assert_eq!(told.json()["ran"], true);
}

#[test]
fn an_answer_that_is_lost_with_the_run_is_no_second_run() {
    let Unheard { place, line, agent } = Unheard::begin("exec sleep 1000");
    line.cut();
    let told = agent.wait().expect_code(125);
    assert!(
        told.stderr.contains("was lost while the daemon ran it"),
        "{told:?}"
    );
    says_that_it_may_have_run(&told);
    wait_until("it has ended with its asker", || {
        state(&place.home) == "killed"
    });
    let ran = fs::read_to_string(place.work().join("ran")).unwrap();
    assert_eq!(ran, "ran\n");
}

#[test]
fn a_run_whose_ticket_cannot_be_kept_is_not_said_to_have_not_run() {
    // It goes on for a while after its asker is gone.
    let goes_on = "trap '' TERM; while :; do sleep 0.05; done";
    let Unheard { place, line, agent } = Unheard::begin(goes_on);
    // Where tickets are kept there is a file now.
    let tickets = place.root().join("state/tickets");
    drop(fs::remove_dir_all(&tickets));
    fs::write(&tickets, "").unwrap();
    line.cut();
    let told = agent.wait().expect_code(125);
    assert!(told.stderr.contains("ticket"), "{told:?}");
    says_that_it_may_have_run(&told);
}

#[test]
fn what_may_run_is_not_said_to_have_not_run() {
    let Unheard { place, line, agent } = Unheard::begin("exec sleep 1000");
    agent.signal(Signal::INT);
    let told = agent.wait().expect_code(130);
    assert!(told.stderr.contains("ends with this call"), "{told:?}");
    says_that_it_may_have_run(&told);
    line.cut();
    wait_until("it has ended with its asker", || {
        state(&place.home) == "killed"
    });
}

#[test]
fn a_signal_that_comes_before_the_answer_reaches_the_run_that_had_begun() {
    let script = "trap 'exit 9' INT; echo up; while :; do sleep 0.02; done";
    let mut place = without_secrets(script);
    // An agent on a machine that is very slow gives up before it is answered, which it says.
    for _ in 0..5 {
        let told = interrupted_while_asking(&mut place);
        if !told.stderr.is_empty() {
            assert!(told.stderr.contains("ends with this call"), "{told:?}");
            continue;
        }
        // The signal may come before its trap.
        assert!([9, 130].contains(&told.code), "{told:?}");
        let all = place.home.list();
        let states: Vec<_> = all.iter().map(|row| row["state"].clone()).collect();
        assert!(states.contains(&"failed".into()) || states.contains(&"killed".into()));
        return;
    }
    panic!("it never was answered in time");
}

/// Sends an agent SIGINT between its asking and the answer.
#[track_caller]
fn interrupted_while_asking(place: &mut Place) -> Ran {
    // More than every connection begins with, and less than is told of a profile and its program.
    const DESCRIBED: usize = 400;
    let line = Line::to(&place.home);
    let (read, mut input) = std::io::pipe().expect("a pipe");
    let mut command = place.home.agent_command(&["--home"]);
    command.arg(line.path()).args(["exec", "--as", "deploy"]);
    let agent = Running::start(command.args(["--", "tool"]), read.into());
    // It asks once its input has ended, and has been told by then what the profile would run.
    wait_until("the profile was described", || {
        line.told_bytes() > DESCRIBED
    });
    place.home.daemon().signal(Signal::STOP);
    let before = line.asked_bytes();
    input.write_all(b"input").expect("to write");
    drop(input);
    wait_until("it has asked", || line.asked_bytes() > before + DESCRIBED);
    agent.signal(Signal::INT);
    place.home.daemon().signal(Signal::CONT);
    agent.wait()
}

#[test]
fn secrets_are_read_when_the_request_stands_in_the_log() {
    let place = Place::with_policy("touch ran", "", NOBODY);
    let root = place.root().display().to_string();
    let reader =
        format!("touch {root}/reading; until [ -e {root}/seen ]; do sleep 0.02; done; exit 1");
    super::tool(&place.root().join("reader"), &reader);
    place.take_profiles(&format!(
        "[profile.deploy]\nprograms = [\"{root}/tool\"]\ndirectories = [\"{root}/work\"]\n\
         [profile.deploy.secrets]\nTOKEN = {{ command = [\"{root}/reader\"] }}\n"
    ));
    let agent = place.start(&["--", "tool"]);
    let reading = place.root().join("reading");
    wait_until("the secret is read", || reading.exists());
    assert_eq!(state(&place.home), "approved");
    fs::write(place.root().join("seen"), "").unwrap();
    agent.wait().expect_code(125);
    assert_eq!(state(&place.home), "withdrawn");
    assert!(!place.work().join("ran").exists());
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
    let place = without_secrets("echo ran >>ran");
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
    let ran = fs::read_to_string(place.work().join("ran")).unwrap();
    assert_eq!(ran, "ran\nran\n");
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
