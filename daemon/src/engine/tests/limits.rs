//! Quotas, escalation, the waiters' grace and the summary of refused calls.

use std::time::Duration;

use countersign_shared::limits::Limits;
use countersign_shared::machine::State;

use super::super::*;
use super::Ask;
use super::world::{AGENT, HOUR, World, ana, bo, cy, rules};

fn world(limits: &Limits) -> World {
    World::with(rules(&[ana(), bo(), cy()], "1 of anyone", limits))
}

fn burst(
    world: &mut World,
    asks: impl Iterator<Item = Ask>,
) -> Vec<Result<Submitted, EngineError>> {
    let drafts: Vec<_> = asks.map(|ask| Box::new(world.draft(&ask))).collect();
    let calls = drafts
        .into_iter()
        .map(|draft| Box::new(move |reply| Command::Submit(draft, reply)) as Box<_>)
        .collect();
    world.batch(calls)
}

#[test]
fn a_burst_of_100_in_one_batch_holds_16_of_one_user() {
    let mut world = World::new();
    let asks = (0..100).map(|at| Ask::of(&format!("SELECT {at}")));
    let answers = burst(&mut world, asks);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 16);
    let error = answers.into_iter().find_map(Result::err).unwrap();
    assert_eq!(
        error.to_string(),
        "limit `held_per_uid` is 16 and this would be 17"
    );
    let mut other = Ask::of("SELECT 1");
    other.uid += 1;
    world.try_submit(&other).unwrap();
    let first = world.engine.live.keys().copied().min().unwrap();
    let uid = world.engine.live[&first].intake.uid;
    if uid == AGENT {
        world.approve(first, &ana());
    }
    world.check();
}

#[test]
fn what_no_longer_waits_makes_room() {
    let limits = Limits {
        held_per_uid: 1,
        ..Limits::default()
    };
    let mut world = world(&limits);
    let id = world.submit("SELECT 1");
    assert_eq!(
        world.try_submit(&Ask::of("SELECT 2")).unwrap_err().code(),
        "limit-exceeded"
    );
    world.approve(id, &ana());
    let id = world.submit("SELECT 2");
    let right = world.right(id);
    world
        .ask(|reply| Command::Withdraw(id, right, reply))
        .unwrap();
    world.submit("SELECT 3");
    world.check();
}

#[test]
fn a_user_is_held_so_often_an_hour() {
    let limits = Limits {
        held_per_uid_and_hour: 3,
        ..Limits::default()
    };
    let mut world = world(&limits);
    for at in 0..3 {
        let id = world.submit(&format!("SELECT {at}"));
        let right = world.right(id);
        world
            .ask(|reply| Command::Withdraw(id, right, reply))
            .unwrap();
        world.advance(Duration::from_secs(60));
    }
    let error = world.try_submit(&Ask::of("SELECT 9")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "limit `held_per_uid_and_hour` is 3 and this would be 4"
    );
    // A minute that is partly within the hour counts whole.
    world.advance(Duration::from_secs(3600 - 180 + 60));
    world.submit("SELECT 9");
    world.check();
}

#[test]
fn all_users_together_are_held_so_often() {
    let limits = Limits {
        pending: 3,
        ..Limits::default()
    };
    let mut world = world(&limits);
    let asks = (0..5).map(|at| Ask {
        uid: AGENT + at,
        ..Ask::of("SELECT 1")
    });
    let answers = burst(&mut world, asks);
    let held: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, true, true, false, false]);
    let id = answers[0].as_ref().unwrap().id;
    world.approve(id, &ana());
    world
        .try_submit(&Ask {
            uid: AGENT + 9,
            ..Ask::of("SELECT 1")
        })
        .unwrap();
    world.check();
}

#[test]
fn a_request_calls_for_more_eyes_at_half_of_its_lifetime_once() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.advance(Duration::from_secs(1799));
    assert!(!world.view(id).request.is_escalated());
    world.advance(Duration::from_secs(1));
    assert!(world.view(id).request.is_escalated());
    world.advance(Duration::from_secs(1));
    assert_eq!(
        world
            .types()
            .iter()
            .filter(|kind| *kind == "request.escalated")
            .count(),
        1
    );
    world.advance(HOUR);
    assert_eq!(world.state(id), State::Expired);
    world.check();
}

fn attached(world: &mut World) -> countersign_shared::id::RequestId {
    let mut ask = Ask::of("SELECT 1");
    ask.attached = true;
    world.try_submit(&ask).unwrap().id
}

#[test]
fn r13_the_last_waiter_leaving_withdraws_after_the_grace_not_the_first() {
    let mut world = World::new();
    let id = attached(&mut world);
    let mut follow = || {
        let right = world.right(id);
        world.ask(|reply| Query::Follow(id, right, reply)).unwrap()
    };
    let (first, second) = (follow(), follow());
    world
        .engine
        .turn(vec![Query::Leave(id, first.waiter).into()]);
    drop(first);
    world.advance(Duration::from_secs(100));
    assert_eq!(world.state(id), State::Pending);
    world
        .engine
        .turn(vec![Query::Leave(id, second.waiter).into()]);
    drop(second);
    world.advance(Duration::from_secs(19));
    assert_eq!(world.state(id), State::Pending);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.state(id), State::Withdrawn);
    world.check();
}

#[test]
fn r16_a_waiter_whose_leaving_got_lost_is_missed_all_the_same() {
    let mut world = World::new();
    let id = attached(&mut world);
    let right = world.right(id);
    let following = world.ask(|reply| Query::Follow(id, right, reply)).unwrap();
    world.advance(Duration::from_secs(100));
    assert!(world.view(id).waiter_present);
    drop(following);
    world.advance(Duration::from_secs(1));
    assert!(!world.view(id).waiter_present);
    assert_eq!(world.state(id), State::Pending);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.state(id), State::Withdrawn);
    world.check();
}

#[test]
fn r16_an_attached_request_that_nobody_ever_waits_for_ends_with_the_grace() {
    let mut world = World::new();
    let id = attached(&mut world);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.state(id), State::Withdrawn);
    world.check();
}

#[test]
fn r7_refused_calls_are_summed_up_by_user_and_minute() {
    let mut world = World::new();
    for (uid, code) in [
        (1, "malformed"),
        (1, "malformed"),
        (1, "over-limit"),
        (2, "malformed"),
    ] {
        world.engine.turn(vec![Query::Count { uid, code }.into()]);
    }
    world.advance(Duration::from_secs(59));
    assert_eq!(world.engine.tail.size(), 2);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.types()[2..], ["event.refused", "event.refused"]);
    assert!(world.engine.counts.is_empty());
    world.check();
}
