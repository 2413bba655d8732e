//! The engine against real signatures, a real database, broken disks and wrong clocks.

use std::time::Duration;

use countersign_shared::log::checkpoint;
use countersign_shared::log::proof::{verify_consistency, verify_inclusion};
use countersign_shared::log::tree::{TreeHead, leaf_hash};
use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;

use super::*;

mod accessing;
mod at_once;
mod brokered;
mod crash;
mod decisions;
mod emergencies;
mod erasing;
mod executing;
mod faults;
mod floods;
mod foretelling;
mod full_disk;
mod joining;
mod judging;
mod limits;
mod listing;
mod mark;
mod people;
mod pruning;
mod restart;
mod rotating;
mod ruling;
mod settling;
mod world;

use world::{Ask, World, ana, bo, cy, ended_well, everyone};

#[test]
fn two_sizes_of_the_log_are_proven_to_be_of_one_history_as_far_as_it_goes() {
    let mut world = World::new();
    let root = |world: &mut World, size| {
        let root = world.ask(|reply| Query::Root(size, reply)).unwrap();
        TreeHead {
            size,
            root: root.unwrap(),
        }
    };
    for number in 0..4 {
        world.submit(&format!("SELECT {number}"));
    }
    let size = world.engine.tail.size();
    for from in 1..size {
        for to in from + 1..=size {
            let shown = world
                .ask(|reply| Query::Consistency(from, to, reply))
                .unwrap();
            assert_eq!(shown.size, size);
            let (old, new) = (root(&mut world, from), root(&mut world, to));
            verify_consistency(&old, &new, &shown.proof).unwrap();
        }
    }
    for (from, to) in [(1, size + 1), (size, 1), (u64::MAX - 1, u64::MAX)] {
        let shown = world
            .ask(|reply| Query::Consistency(from, to, reply))
            .unwrap();
        assert_eq!((shown.proof.len(), shown.size), (0, size), "{from} {to}");
    }
}

/// Checks an inclusion the way a console does, with nothing but the log's key.
fn check_inclusion(world: &World, inclusion: &Inclusion) {
    let keys = [world.engine.signers.in_force.verifier().clone()];
    let head = checkpoint::open(&inclusion.head.note, &keys, world::ORIGIN).unwrap();
    assert_eq!(head.size(), inclusion.head.size);
    let leaf = leaf_hash(&inclusion.entry);
    verify_inclusion(&leaf, inclusion.index, head.head(), &inclusion.proof).unwrap();
}

#[test]
fn a_request_lives_from_submit_to_report_and_every_answer_can_be_checked() {
    let mut world = World::with(everyone("1 of sre and 1 of dba"));
    let keys = [world.engine.signers.in_force.verifier().clone()];
    let before = world.engine.tail.frontier().head();

    let mut ask = Ask::of("DROP TABLE orders_2024");
    ask.known_size = before.size;
    let submitted = world.try_submit(&ask).unwrap();
    let id = submitted.id;
    assert_eq!(submitted.standing.state, State::Pending);
    assert!(!submitted.joined);
    let head = checkpoint::open(&submitted.head.note, &keys, world::ORIGIN).unwrap();
    assert_eq!(submitted.head.from, before.size);
    verify_consistency(&before, head.head(), &submitted.head.consistency).unwrap();

    let display = world.view(id).request.received().display;
    world
        .ask(|reply| Command::Open(id, "ana".to_owned(), display, reply))
        .unwrap();
    let first = world.approve(id, &ana());
    assert_eq!(first.state, State::Pending);
    assert_eq!(first.missing.as_deref(), Some("waits for dba"));
    check_inclusion(&world, &first.recorded);
    let second = world.approve(id, &cy());
    assert_eq!((second.state, second.missing), (State::Approved, None));
    check_inclusion(&world, &second.recorded);

    let (redeemed, until) = world.redeem(id).unwrap();
    check_inclusion(&world, &redeemed);
    assert_eq!(until.left(&world.engine.now()), Duration::from_secs(600));
    assert_eq!(
        world.report(id, Report::Started { pid: Some(7) }).unwrap(),
        State::Running
    );
    assert_eq!(world.report(id, ended_well()).unwrap(), State::Succeeded);

    assert_eq!(
        world.types(),
        [
            "log.genesis",
            "daemon.started",
            "request.received",
            "policy.evaluated",
            "review.opened",
            "decision.recorded",
            "decision.recorded",
            "request.approved",
            "request.redeemed",
            "execution.started",
            "execution.finished",
        ]
    );
    for at in 0..world.engine.tail.size() {
        let proven = world.ask(|reply| Query::Prove(at, 0, reply)).unwrap();
        check_inclusion(&world, &proven);
    }
    world.check();
    assert!(world.engine.live.is_empty());
}

#[test]
fn a_thread_serves_the_same_engine_and_stops_in_good_order() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let (clock, _hand) = Clock::fixed(world::moment("a", 0, 0));
    let settings = world::settings(everyone("1 of anyone"), clock);
    let handle = Engine::start(&path, settings).unwrap();
    runtime.block_on(async {
        let head = handle.ask(|reply| Query::Head(0, reply)).await.unwrap();
        assert_eq!(head.size, 2);
        let snapshot = handle.ask(Query::Watch).await.unwrap();
        let mut changes = snapshot.changes;
        handle.ask(Call::Stop).await.unwrap();
        assert!(matches!(changes.recv().await, Ok(Change::Draining)));
        handle.ended().await;
        // The thread is gone: what is asked now is answered, and with a no.
        let error = handle.ask(|reply| Query::Head(0, reply)).await.unwrap_err();
        assert!(matches!(error, EngineError::Draining), "{error}");
    });
    let store = Store::open_read_only(&path).unwrap();
    world::check_store(&store);
    assert_eq!(
        world::entries(&store).last().unwrap().body.entry_type(),
        "daemon.stopped"
    );
}

#[test]
fn whoever_follows_is_told_each_standing_and_only_after_it_is_durable() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let right = world.right(id);
    let following = world.ask(|reply| Query::Follow(id, right, reply)).unwrap();
    let mut standing = following.standing;
    assert_eq!(standing.borrow_and_update().state, State::Pending);
    world.decide(id, &bo(), Said::Deny).unwrap();
    assert!(
        standing.has_changed().is_ok_and(|changed| changed)
            || standing.borrow().state == State::Denied
    );
    let last = standing.borrow_and_update().clone();
    assert_eq!(
        (last.state, last.reason.as_str()),
        (State::Denied, "because")
    );
    let entry = world
        .ask(|reply| Query::Prove(last.entry, 0, reply))
        .unwrap();
    check_inclusion(&world, &entry);
    assert!(String::from_utf8_lossy(&entry.entry).contains("\"type\":\"request.denied\""));
}
