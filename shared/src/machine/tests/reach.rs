//! That the properties are not empty.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::ledger::states;
use super::lives::{life, play};
use crate::machine::{Event, State};

/// The properties say nothing about states that no life comes to.
#[test]
fn the_lives_that_are_played_reach_every_state_and_every_right() {
    let mut runner = TestRunner::deterministic();
    let mut reached: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..4_000 {
        let life = life().new_tree(&mut runner).unwrap().current();
        let world = play(&life, |_| Ok(())).unwrap();
        for state in states(&world) {
            *reached.entry(state.to_string()).or_default() += 1;
        }
        for attempt in world.accepted() {
            if let Event::Approved { via, .. } = attempt.event {
                *reached.entry(format!("{via:?}")).or_default() += 1;
            }
            *reached
                .entry(attempt.event.entry_type().to_owned())
                .or_default() += 1;
        }
    }
    let counts = format!("{reached:#?}");
    let rights = ["Policy", "Reviewers", "SelfAttested", "BreakGlass"];
    let words = State::ALL.map(State::word);
    for word in words
        .iter()
        .chain(&rights)
        .chain(&["debt.closed", "request.invalidated"])
    {
        let count = reached.get(*word).copied().unwrap_or(0);
        assert!(count >= 10, "`{word}` was reached {count} times: {counts}");
    }
}
