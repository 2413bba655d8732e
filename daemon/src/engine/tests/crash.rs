//! R14: the engine is killed at random times, and what it had acknowledged is there.
//!
//! The engine runs in a child, which is this test program again, started for one test only. The
//! child writes a line for each answer it got; the parent kills it, opens what is on the disk, and
//! checks the log against rows, machines and answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::log::tree::Hash;
use countersign_shared::statement::Verdict as Said;

use super::super::*;
use super::world::{World, ana, bo, cy, ended_well, everyone, moment};

/// Names the home of the child's log; only the child has it.
const HOME: &str = "COUNTERSIGN_TEST_CRASH_HOME";
/// Makes the ids of one run other ones than those of another.
const SERIAL: &str = "COUNTERSIGN_TEST_CRASH_SERIAL";
const CHILD: &str = "engine::tests::crash::the_child_works_until_it_is_killed";

/// Tells the parent the head that the last answer came with.
fn acknowledge(world: &World) {
    let head = world.engine.tail.frontier().head();
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {} {}", head.size, head.root.to_base64()).unwrap();
    out.flush().unwrap();
}

#[test]
fn the_child_works_until_it_is_killed() {
    // Started by hand or by the suite there is no home, and nothing to do.
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    let serial: u64 = std::env::var(SERIAL).unwrap().parse().unwrap();
    let rules = everyone("2 of anyone");
    let start = moment("a", i64::try_from(serial / 100).unwrap(), serial / 100);
    let mut world = World::at(PathBuf::from(home), rules, start, serial).unwrap();
    acknowledge(&world);
    for round in 0.. {
        let id = world.submit(&format!("SELECT {serial} + {round}"));
        acknowledge(&world);
        world.approve(id, &ana());
        acknowledge(&world);
        match round % 4 {
            0 => {
                world.approve(id, &bo());
                acknowledge(&world);
                world.redeem(id).unwrap();
                acknowledge(&world);
                world.report(id, ended_well()).unwrap();
            }
            1 => {
                world.decide(id, &cy(), Said::Deny).unwrap();
            }
            2 => {
                let right = world.right(id);
                world
                    .ask(|reply| Command::Withdraw(id, right, reply))
                    .unwrap();
            }
            _ => world.advance(Duration::from_secs(3600)),
        }
        acknowledge(&world);
        world.advance(Duration::from_secs(31));
    }
}

/// Runs a child for so long, kills it, and returns the heads it acknowledged.
fn run_and_kill(home: &Path, serial: u64, after: Duration) -> Vec<(u64, Hash)> {
    let mut child = process::Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture", "--test-threads", "1"])
        .env(HOME, home)
        .env(SERIAL, serial.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let read = |line: &str| {
        let (size, root) = line.split_once("ack ")?.1.split_once(' ')?;
        Some((size.parse().ok()?, Hash::from_base64(root)?))
    };
    // The time runs from the first answer on: before it there is nothing to lose.
    let first = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| read(&line));
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = lines.map_while(Result::ok).filter_map(|line| read(&line));
    first.into_iter().chain(rest).collect()
}

#[test]
fn r14_whatever_was_acknowledged_is_there_after_a_kill_at_any_time() {
    let (mut answers, mut grown) = (0, 0);
    for log in 0..6u64 {
        let dir = tempfile::tempdir().unwrap();
        for kill in 0..10u64 {
            let seed = Digest::of(&[log.to_le_bytes(), kill.to_le_bytes()].concat());
            let after = Duration::from_micros(u64::from(seed.as_bytes()[0]) * 250);
            let serial = (kill + 1) * 100_000_000;
            let acknowledged = run_and_kill(dir.path(), serial, after);
            assert!(!acknowledged.is_empty(), "the child never started");
            answers += acknowledged.len();
            let second = serial / 100 + 900_000;
            let now = moment("a", i64::try_from(second).unwrap(), second);
            let rules = everyone("2 of anyone");
            let world = World::at(dir.path().to_owned(), rules, now, 0).unwrap();
            world.check();
            let size = world.engine.tail.size();
            for (size, root) in &acknowledged {
                assert_eq!(
                    world.engine.store.root_at(*size).unwrap(),
                    *root,
                    "at {size}"
                );
            }
            let (last, _) = acknowledged[acknowledged.len() - 1];
            assert!(size > last);
            grown += usize::from(size > last + 1);
        }
    }
    // A kill between commit and answer shows as entries that nobody was told of.
    assert!(
        answers > 120,
        "the children were killed before they did anything: {answers}"
    );
    println!("{answers} answers, {grown} logs with entries that were not yet acknowledged");
}
