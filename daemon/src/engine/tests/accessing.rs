//! Which data an action touched is in the log once it ran, and not before.

use countersign_shared::action::{Access, DataUse};
use countersign_shared::id::RequestId;
use countersign_shared::log::accessed::{Basis, DataAccessed};
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::machine::State;
use countersign_shared::statement::{ActKind as StatementKind, Outcome, Verdict as Said};
use serde_json::json;

use super::super::*;
use super::world::{Ask, EXECUTOR, HOUR, World, ana, bo, ended_well, entries, everyone, moment};

/// A world with an approved request that touches two sets of data, one of which is listed.
fn approved() -> (World, RequestId) {
    let mut rules = everyone("1 of anyone");
    rules.put_file(
        "targets.toml",
        "[[target]]\nkind = \"table\"\nname = \"orders\"\nclassification = \"pii\"\n",
    );
    let mut world = World::with(rules);
    let data = |name: &str| {
        json!({"name": name, "classification": "public", "access": "delete", "records": 7,
            "destination": null})
    };
    let id = world
        .try_submit(&Ask {
            data: vec![data("lines"), data("orders")],
            ..Ask::of("DELETE FROM orders")
        })
        .unwrap()
        .id;
    world.approve(id, &ana());
    (world, id)
}

fn told(world: &World) -> Vec<(Entry, DataAccessed)> {
    let told = |entry: Entry| match entry.body.clone() {
        Body::Log(LogEvent::DataAccessed(data)) => Some((entry, *data)),
        Body::Log(_) | Body::Request(_) => None,
    };
    entries(&world.engine.store)
        .into_iter()
        .filter_map(told)
        .collect()
}

/// The types of the last entries.
fn last<const N: usize>(world: &World) -> [String; N] {
    let types = world.types();
    let from = types.len() - N;
    types[from..].to_vec().try_into().unwrap()
}

#[test]
fn data_is_told_right_behind_the_end_of_the_run_by_the_requester() {
    let (mut world, id) = approved();
    world.redeem(id).unwrap();
    assert_eq!(told(&world), []);
    world.report(id, ended_well()).unwrap();
    assert_eq!(
        last(&world),
        ["execution.finished", "data.accessed", "data.accessed"]
    );
    let ended = entries(&world.engine.store)
        .into_iter()
        .rev()
        .nth(2)
        .unwrap();
    let told = told(&world);
    for (entry, _) in &told {
        assert_eq!((entry.request, &entry.now), (Some(id), &ended.now));
        assert_eq!(entry.actor, ended.actor);
    }
    let expected = |name: &str, classification: &str| {
        vec![DataUse {
            name: name.to_owned(),
            classification: Some(classification.to_owned()),
            access: Access::Delete,
            records: Some(7),
            destination: None,
        }]
    };
    let bodies: Vec<_> = told
        .into_iter()
        .map(|(_, body)| (body.basis, body.data))
        .collect();
    assert_eq!(
        bodies,
        [
            (Basis::Computed, expected("orders", "pii")),
            (Basis::Stated, expected("lines", "public")),
        ]
    );
    world.check();
}

#[test]
fn what_did_not_run_touched_nothing() {
    let (mut world, id) = approved();
    world.redeem(id).unwrap();
    let because = "the program has changed".to_owned();
    assert_eq!(
        world.report(id, Report::NotRun { because }).unwrap(),
        State::NotRun
    );
    let (mut denied, other) = approved();
    let another = denied
        .try_submit(&Ask {
            data: vec![
                json!({"name": "a", "classification": null, "access": "read",
                "records": null, "destination": null}),
            ],
            ..Ask::of("SELECT 1")
        })
        .unwrap()
        .id;
    denied.decide(another, &bo(), Said::Deny).unwrap();
    denied.advance(HOUR);
    assert_eq!(denied.state(other), State::Lapsed);
    assert_eq!((told(&world), told(&denied)), (Vec::new(), Vec::new()));
}

#[test]
fn what_may_have_run_is_told_once_whatever_is_said_later() {
    let (mut world, id) = approved();
    world.redeem(id).unwrap();
    assert!(
        world
            .engine
            .turn(vec![Command::ExecutorGone(id).into()])
            .is_none()
    );
    assert_eq!(
        last(&world),
        ["execution.indeterminate", "data.accessed", "data.accessed"]
    );
    let mut world = world.crash_and_start(moment("a", 5, 5));
    let settle = (StatementKind::Settle, ActKind::Settle(Outcome::Succeeded));
    assert_eq!(world.act(id, &bo(), settle).unwrap(), State::Settled);
    assert_eq!(told(&world).len(), 2);
    world.check();

    // A report after the run's time: indeterminate and settled in one step.
    let (mut world, id) = approved();
    world.redeem(id).unwrap();
    world.hand.advance(HOUR);
    assert_eq!(
        world.report_as(id, EXECUTOR, ended_well()).unwrap(),
        State::Settled
    );
    assert_eq!(
        last(&world),
        [
            "execution.indeterminate",
            "data.accessed",
            "data.accessed",
            "execution.settled"
        ]
    );
    world.check();
}
