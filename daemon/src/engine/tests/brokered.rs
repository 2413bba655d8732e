//! R14: what the daemon runs itself. Nobody else tells of it, and it ends with the daemon.

use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::statement::{ActKind as StatementKind, Outcome};
use countersign_shared::time::Deadline;

use super::super::*;
use super::world::{EXECUTOR, World, ana, bo, ended_well, moment};

fn redeem(world: &mut World, id: RequestId) -> Result<(Inclusion, Deadline), EngineError> {
    let (right, digest) = (world.right(id), world.view(id).request.digest());
    let taken = Use {
        digest,
        by: Taker::Daemon,
        known_size: 0,
    };
    world.ask(|reply| Command::Redeem(id, right, taken, reply))
}

fn tell(world: &mut World, id: RequestId, told: Brokered) -> Result<State, EngineError> {
    world.ask(|reply| Command::Brokered(id, told, reply))
}

fn started() -> Brokered {
    Brokered::Told(Report::Started { pid: Some(7) })
}

/// A world with a request that the daemon is to run.
fn taken() -> (World, RequestId) {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    redeem(&mut world, id).unwrap();
    (world, id)
}

#[test]
fn r14_of_a_run_of_the_daemons_own_no_agent_tells() {
    let (mut world, id) = taken();
    for stage in [State::Redeemed, State::Running] {
        assert_eq!(world.state(id), stage);
        let error = world.report(id, ended_well()).unwrap_err();
        assert_eq!(error.code(), "not-the-executor");
        if stage == State::Redeemed {
            assert_eq!(tell(&mut world, id, started()).unwrap(), State::Running);
        }
    }
    let told = Brokered::Told(ended_well());
    assert_eq!(tell(&mut world, id, told).unwrap(), State::Succeeded);
    world.check();
}

#[test]
fn r14_of_a_run_of_the_agents_side_the_daemon_tells_nothing() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    world.redeem(id).unwrap();
    let told = Brokered::Told(ended_well());
    let error = tell(&mut world, id, told).unwrap_err();
    assert_eq!(error.code(), "not-the-executor");
    assert_eq!(world.state(id), State::Redeemed);
    world.check();
}

#[test]
fn r14_a_start_of_the_daemon_loses_its_own_runs_and_keeps_those_of_others() {
    let (mut world, running) = taken();
    tell(&mut world, running, started()).unwrap();
    let [redeemed, theirs] = ["SELECT 2", "SELECT 3"].map(|text| {
        let id = world.submit(text);
        world.approve(id, &ana());
        id
    });
    redeem(&mut world, redeemed).unwrap();
    world.redeem(theirs).unwrap();
    let mut world = world.crash_and_start(moment("a", 1, 1));
    for id in [running, redeemed] {
        assert_eq!(world.state(id), State::Indeterminate);
        let error = world.report_as(id, EXECUTOR, ended_well()).unwrap_err();
        assert_eq!(
            error.code(),
            "not-the-executor",
            "an agent saw nothing of it"
        );
    }
    assert_eq!(world.state(theirs), State::Redeemed);
    let settle = (StatementKind::Settle, ActKind::Settle(Outcome::Failed));
    assert_eq!(world.act(running, &bo(), settle).unwrap(), State::Settled);
    world.check();
}

#[test]
fn r10_a_run_that_is_told_of_after_its_time_stays_indeterminate() {
    let (mut world, id) = taken();
    tell(&mut world, id, started()).unwrap();
    world.hand.advance(Duration::from_secs(24 * 3600));
    let told = Brokered::Told(ended_well());
    assert_eq!(tell(&mut world, id, told).unwrap(), State::Indeterminate);
    world.check();
}

#[test]
fn r8_a_use_that_the_daemon_took_is_nobody_elses() {
    let (mut world, id) = taken();
    for _ in 0..2 {
        let error = redeem(&mut world, id).unwrap_err();
        assert_eq!(error.code(), "already-redeemed");
        let error = world.redeem(id).unwrap_err();
        assert_eq!(error.code(), "already-redeemed");
    }
    world.check();
}
