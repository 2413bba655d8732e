//! Input that is streamed to what the daemon runs, and does not come to its end.

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use countersign_tests::{Running, wait_until};
use rustix::process::Signal;

use super::{NOBODY, Place};

fn exec(place: &Place) -> std::process::Command {
    place
        .home
        .agent_command(&["exec", "--as", "deploy", "--", "tool"])
}

#[test]
fn input_that_is_cut_off_is_not_taken_for_whole() {
    // Whoever asks a program to end may be ignored; the end of its input is not.
    let script = "trap '' TERM; touch up\n\
                  while read -r line; do echo \"$line\" >>got; done\n\
                  echo \"[$line]\" >>got; touch ended";
    let place = Place::with_policy(script, "input = \"streamed\"", NOBODY);
    let mut agent = exec(&place).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = agent.stdin.take().unwrap();
    stdin.write_all(b"keep /srv/a\nrm -rf /srv/").unwrap();
    stdin.flush().unwrap();
    wait_until("the first line is read", || {
        place.work().join("got").exists()
    });
    // Time for what has no line feed yet.
    std::thread::sleep(Duration::from_millis(300));
    agent.kill().unwrap();
    agent.wait().unwrap();
    place.home.wait_for_state("killed");
    assert_eq!(
        fs::read_to_string(place.work().join("got")).unwrap(),
        "keep /srv/a\n"
    );
    assert!(!place.work().join("ended").exists());
}

#[test]
fn input_that_nobody_takes_does_not_keep_a_signal_from_ending_it() {
    let place = Place::with_policy("touch up; sleep 600", "input = \"streamed\"", NOBODY);
    let zero = File::open("/dev/zero").unwrap();
    let agent = Running::start(&mut exec(&place), Stdio::from(zero));
    wait_until("the program runs", || place.work().join("up").exists());
    std::thread::sleep(Duration::from_millis(300));
    agent.signal(Signal::INT);
    agent.wait().expect_code(130);
    place.home.wait_for_state("killed");
}

#[test]
fn a_signal_comes_through_to_a_program_that_takes_no_input_before_its_output_is_taken() {
    let script = "trap 'touch cleaned; exit 3' INT; touch up\n\
                  while head -c 65536; do sleep 0.02; done";
    let lines = "input = \"streamed\"\nlimits = { output = 4294967296 }";
    let place = Place::with_policy(script, lines, NOBODY);
    let zero = File::open("/dev/zero").unwrap();
    let agent = Running::start(&mut exec(&place), Stdio::from(zero));
    wait_until("the program runs", || place.work().join("up").exists());
    // What was sent before the signal fills every buffer on the way.
    std::thread::sleep(Duration::from_millis(300));
    agent.signal(Signal::INT);
    agent.wait().expect_code(3);
    assert!(place.work().join("cleaned").exists());
}

#[test]
fn whoever_waits_for_the_input_of_a_command_can_be_interrupted() {
    let place = Place::with_policy("cat", "", NOBODY);
    let mut agent = Running::start(&mut exec(&place), Stdio::piped());
    std::thread::sleep(Duration::from_millis(500));
    assert!(!agent.has_ended());
    agent.signal(Signal::INT);
    agent.wait().expect_code(130);
    assert!(place.home.list().is_empty());
}
