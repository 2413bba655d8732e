//! An indeterminate run ends by a late report or by a person's signed word.

use countersign_shared::machine::State;
use countersign_shared::statement::{ActKind as StatementKind, Outcome};

use super::super::*;
use super::world::{World, ana, bo, cy, ended_well, everyone, moment, rules};

const SETTLE: (StatementKind, ActKind) =
    (StatementKind::Settle, ActKind::Settle(Outcome::Succeeded));

/// A world with a run of which nobody can say how it went.
fn indeterminate() -> (World, countersign_shared::id::RequestId) {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    world.redeem(id).unwrap();
    assert!(
        world
            .engine
            .turn(vec![Command::ExecutorGone(id).into()])
            .is_none()
    );
    assert_eq!(world.state(id), State::Indeterminate);
    (world, id)
}

#[test]
fn an_indeterminate_run_is_settled_by_a_signed_word_and_only_once() {
    let (mut world, id) = indeterminate();
    assert_eq!(world.act(id, &bo(), SETTLE).unwrap(), State::Settled);
    let view = world.view(id);
    assert_eq!(view.request.reason(), "bo says succeeded: because");
    let settled = view.request.redemption().and_then(|run| run.settled);
    assert_eq!(settled, Some(Outcome::Succeeded));
    assert_eq!(world.act(id, &cy(), SETTLE).unwrap_err().code(), "settled");
    assert!(world.report(id, ended_well()).is_err());
    world.check();
}

#[test]
fn only_what_is_indeterminate_is_settled() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    assert_eq!(world.act(id, &bo(), SETTLE).unwrap_err().code(), "pending");
    world.approve(id, &ana());
    assert!(world.act(id, &bo(), SETTLE).is_err());
    world.redeem(id).unwrap();
    assert_eq!(world.act(id, &bo(), SETTLE).unwrap_err().code(), "redeemed");
    world.check();
}

#[test]
fn what_is_indeterminate_stands_in_no_list_of_what_is_open_and_is_told_when_it_ends() {
    let (mut world, id) = indeterminate();
    let snapshot = world.ask(Query::Watch).unwrap();
    assert!(snapshot.open.is_empty());
    let listed = world.ask(|reply| Query::List { limit: 9, reply }).unwrap();
    assert!(listed.is_empty());
    // A start takes up nothing of it either, and rules change without it.
    let mut world = world.crash_and_start(moment("b", 5, 0));
    assert!(world.engine.live.is_empty());
    world
        .change_rules(rules(
            &[ana(), bo()],
            "1 of sre",
            &everyone("1 of sre").limits,
        ))
        .unwrap();
    world.check();
    let mut changes = world.ask(Query::Watch).unwrap().changes;
    world.act(id, &bo(), SETTLE).unwrap();
    let told = std::iter::from_fn(|| changes.try_recv().ok()).any(|change| match change {
        Change::Request(view) => view.request.state() == State::Settled,
        Change::Head | Change::Rules | Change::Draining => false,
    });
    assert!(told, "nobody was told that the run is settled");
    world.check();
}
