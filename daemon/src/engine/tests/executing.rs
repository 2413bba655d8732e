//! R14: who may tell of a run.

use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::machine::{Redeemer, RunOutcome, State};

use super::super::*;
use super::world::{EXECUTOR, World, ana, ended_well, moment};

fn not_run() -> Report {
    Report::NotRun {
        because: "the program has changed".to_owned(),
    }
}

/// A world with a redeemed request, and who redeemed it.
fn redeemed() -> (World, countersign_shared::id::RequestId, Redeemer) {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    world.redeem(id).unwrap();
    let by = world.redeemer(id);
    (world, id, by)
}

#[test]
fn r14_nobody_but_who_redeemed_tells_of_the_run() {
    let (mut world, id, by) = redeemed();
    let strangers = [
        // A process of the same side, with the ticket.
        Reporter {
            pid: 5000,
            ..EXECUTOR
        },
        // The number again, in another process.
        Reporter {
            started: Some(100),
            ..EXECUTOR
        },
        // One of which nobody knows when it started.
        Reporter {
            started: None,
            ..EXECUTOR
        },
        // The very process, with a secret that is not the run's.
        Reporter {
            run: Some(Digest::of(b"guessed")),
            ..EXECUTOR
        },
    ];
    for stage in [State::Redeemed, State::Running] {
        assert_eq!(world.state(id), stage);
        let size = world.engine.tail.size();
        for stranger in strangers {
            for report in [not_run(), ended_well(), Report::Started { pid: None }] {
                let error = world.report_as(id, stranger, report).unwrap_err();
                assert_eq!(error.code(), "not-the-executor", "{stranger:?}");
            }
        }
        assert_eq!(world.engine.tail.size(), size);
        if stage == State::Redeemed {
            let started = Report::Started { pid: Some(7) };
            assert_eq!(
                world.report_as(id, EXECUTOR, started).unwrap(),
                State::Running
            );
        }
    }
    // Another process that was given the run secret.
    let holder = Reporter {
        run: Some(by.run),
        pid: 5000,
        started: None,
    };
    let state = world.report_as(id, holder, ended_well()).unwrap();
    assert_eq!(state, State::Succeeded);
    world.check();
}

#[test]
fn r14_on_another_boot_the_number_and_start_of_a_process_prove_nothing() {
    let (world, id, _) = redeemed();
    let mut world = world.crash_and_start(moment("b", 5, 0));
    let error = world.report_as(id, EXECUTOR, not_run()).unwrap_err();
    // The boot ended the run first.
    assert_eq!(error.code(), "indeterminate");
    world.check();
}

#[test]
fn r14_a_report_after_the_executor_died_settles_and_is_called_late() {
    let (mut world, id, _) = redeemed();
    let stranger = Reporter {
        pid: 5000,
        ..EXECUTOR
    };
    assert!(world.report_as(id, stranger, ended_well()).is_err());
    let error = world.engine.turn(vec![Command::ExecutorGone(id).into()]);
    assert!(error.is_none());
    assert_eq!(world.state(id), State::Indeterminate);
    // That nothing ran is not for somebody else to say, now or then.
    assert!(world.report_as(id, stranger, not_run()).is_err());
    assert_eq!(
        world.report_as(id, stranger, ended_well()).unwrap(),
        State::Settled
    );
    let view = world.view(id);
    assert_eq!(view.request.reason(), "reported late");
    let end = view.request.redemption().and_then(|run| run.end.clone());
    assert_eq!(end.map(|end| end.outcome), Some(RunOutcome::Succeeded));
    world.check();
}

#[test]
fn r14_a_lost_answer_to_the_redemption_can_still_be_told_by_the_process_that_redeemed() {
    let (mut world, id, _) = redeemed();
    world.hand.advance(Duration::from_secs(1));
    assert_eq!(
        world.report_as(id, EXECUTOR, not_run()).unwrap(),
        State::NotRun
    );
    world.check();
}
