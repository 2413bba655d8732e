//! One request, several processes: who joined, who has the use, and whose answer was lost.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_tests::home::Asked;
use countersign_tests::line::Line;
use countersign_tests::{Home, Running, wait_until};
use rustix::process::Signal;

use crate::asking::{document, redeem, request};

/// Takes the one use over a line on which the answer is lost.
#[track_caller]
fn redeem_without_an_answer(home: &Home, asked: &Asked) {
    let line = Line::to(home);
    let exact = document(home, asked);
    let mut command: Command = home.agent_command(&["--home"]);
    command.arg(line.path()).args(["redeem", &asked.id]);
    command.arg("--document").arg(exact);
    line.swallow();
    let agent = Running::start(&mut command, Stdio::null());
    home.wait_until_state(&asked.id, "redeemed");
    line.cut();
    let ran = agent.wait().expect_code(7);
    assert!(ran.stderr.contains("carry out nothing"), "{ran:?}");
}

#[test]
fn a_lost_redemption_of_an_own_request_is_reported_as_not_run() {
    let home = Home::new();
    let asked = request(&home, "orders");
    home.approve(&asked).expect_code(0);
    redeem_without_an_answer(&home, &asked);
    assert_eq!(home.look(&asked.id).state, "not-run");
}

#[test]
fn a_lost_redemption_of_a_joined_request_is_reported_by_who_has_the_use() {
    let home = Home::new();
    let first = request(&home, "orders");
    let second = request(&home, "orders");
    assert_eq!(first.id, second.id);
    home.approve(&first).expect_code(0);
    redeem_without_an_answer(&home, &second);
    assert_eq!(home.look(&first.id).state, "not-run");
}

#[test]
fn a_lost_answer_says_nothing_about_the_run_of_another_process() {
    let home = Home::new();
    let asked = request(&home, "orders");
    assert_eq!(request(&home, "orders").id, asked.id);
    home.approve(&asked).expect_code(0);
    let exact = document(&home, &asked);
    redeem(&home, &asked, &exact).expect_code(0);
    // The other one tries as well, and does not get to hear that it came too late.
    let line = Line::to(&home);
    line.swallow();
    let mut command: Command = home.agent_command(&["--home"]);
    command.arg(line.path()).args(["redeem", &asked.id]);
    let late = Running::start(command.arg("--document").arg(exact), Stdio::null());
    // The refusal is longer than what every connection begins with.
    wait_until("the refusal was lost", || line.lost_bytes() > 200);
    line.cut();
    late.wait().expect_code(7);
    assert_eq!(home.look(&asked.id).state, "redeemed");
    home.agent(&["report", &asked.id, "--outcome", "succeeded"])
        .expect_code(0);
    assert_eq!(home.look(&asked.id).state, "succeeded");
}

#[test]
fn of_two_runs_that_share_a_request_one_runs_and_the_other_says_so() {
    let home = Home::new();
    let command = ["run", "--", "sh", "-c", "echo ran >>ran"];
    let first = Running::start(&mut home.agent_command(&command), Stdio::null());
    let asked = home.wait_for_state("pending");
    let second = Running::start(&mut home.agent_command(&command), Stdio::null());
    let ticket = home
        .root()
        .join("state/tickets")
        .join(&asked.id)
        .join("ticket.json");
    wait_until("the second has joined", || {
        fs::read_to_string(&ticket).is_ok_and(|text| text.contains(r#""shared":true"#))
    });
    home.approve(&asked).expect_code(0);
    let codes = [first, second].map(|agent| agent.wait().code);
    assert!(codes == [0, 120] || codes == [120, 0], "{codes:?}");
    assert_eq!(
        fs::read_to_string(home.root().join("ran")).unwrap(),
        "ran\n"
    );
    assert_eq!(home.look(&asked.id).state, "succeeded");
    assert_eq!(home.list().len(), 1);
}

const NOBODY: &str = "@id(\"free\") @review(\"nobody\") @tier(\"low\")\n\
                      permit (principal, action in [Action::\"exec.run\"], resource);\n";

const MARK: [&str; 5] = ["run", "--", "sh", "-c", "echo ran >>ran"];

#[test]
fn a_use_that_comes_with_the_approval_and_gets_lost_is_not_made() {
    let home = Home::with_policy("", NOBODY);
    // The refusal of the agent's process number, which over the line is another one, is shorter.
    let line = Line::to(&home);
    line.swallow_from(1000);
    let mut command = home.agent_command(&["--home"]);
    let agent = Running::start(command.arg(line.path()).args(MARK), Stdio::null());
    home.wait_for_state("redeemed");
    line.cut();
    // The same asking on another connection finds the use taken.
    let ran = agent.wait().expect_code(122);
    assert!(ran.stderr.contains("was lost; nothing ran"), "{ran:?}");
    home.wait_for_state("not-run");
    assert!(!home.root().join("ran").exists());
    home.agent(&MARK).expect_code(0);
    assert_eq!(home.list().len(), 2);
}

#[test]
fn a_use_that_nobody_wants_any_more_when_it_comes_is_given_back() {
    let mut home = Home::with_policy("", NOBODY);
    home.daemon().signal(Signal::STOP);
    let agent = Running::start(&mut home.agent_command(&MARK), Stdio::null());
    std::thread::sleep(Duration::from_millis(300));
    agent.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    home.daemon().signal(Signal::CONT);
    let ran = agent.wait().expect_code(130);
    assert!(ran.stderr.contains("nothing ran"), "{ran:?}");
    home.wait_for_state("not-run");
    assert!(!home.root().join("ran").exists());
}

#[test]
fn the_end_of_who_took_the_use_with_the_approval_is_seen() {
    let home = Home::with_policy("", NOBODY);
    let command = ["run", "--", "sleep", "60"];
    let agent = Running::start(&mut home.agent_command(&command), Stdio::null());
    home.wait_for_state("running");
    agent.signal(Signal::KILL);
    home.wait_for_state("indeterminate");
    drop(agent.wait());
}

#[test]
fn runs_of_one_user_at_the_same_moment_all_run_under_one_history() {
    let home = Home::with_policy("", NOBODY);
    let start = |number: u32| {
        let script = format!("echo {number} >>ran");
        let mut command = home.agent_command(&["run", "--", "sh", "-c", &script]);
        Running::start(&mut command, Stdio::null())
    };
    let all: Vec<_> = (0..24).map(start).collect();
    for agent in all {
        agent.wait().expect_code(0);
    }
    let ran = fs::read_to_string(home.root().join("ran")).unwrap();
    let mut ran: Vec<u32> = ran.lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..24).collect::<Vec<_>>());
    // What was kept of the log is what the last of them was shown.
    home.agent(&["run", "--", "true"]).expect_code(0);
    home.person(&["verify"]).expect_code(0);
}
