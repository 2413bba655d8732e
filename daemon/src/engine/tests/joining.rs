//! R13: who joins whom, repeated submits, and the cooldown after a deny.

use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;

use super::super::*;
use super::Ask;
use super::world::{World, ana};

#[test]
fn r13_an_asking_for_the_same_joins_what_is_pending_or_approved_and_not_what_is_redeemed() {
    let mut world = World::new();
    let ask = Ask::of("SELECT 1");
    let first = world.try_submit(&ask).unwrap().id;
    let second = world.try_submit(&ask).unwrap();
    assert_eq!((second.id, second.joined), (first, true));
    world.approve(first, &ana());
    let third = world.try_submit(&ask).unwrap();
    assert_eq!((third.id, third.standing.state), (first, State::Approved));
    world.redeem(first).unwrap();
    let fourth = world.try_submit(&ask).unwrap();
    assert!(fourth.id != first && !fourth.joined);
    world.check();
}

#[test]
fn r13_askings_join_within_one_batch_and_know_the_entry_they_joined() {
    let mut world = World::new();
    let ask = Ask::of("SELECT 1");
    let drafts: Vec<_> = (0..10).map(|_| Box::new(world.draft(&ask))).collect();
    let calls = drafts
        .into_iter()
        .map(|draft| Box::new(move |reply| Command::Submit(draft, reply)) as Box<_>)
        .collect();
    let answers: Vec<Submitted> = world
        .batch(calls)
        .into_iter()
        .map(|answer| answer.unwrap())
        .collect();
    assert_eq!(answers.iter().filter(|answer| !answer.joined).count(), 1);
    for answer in &answers {
        assert_eq!(answer.id, answers[0].id);
        assert_eq!(answer.standing, answers[0].standing);
        assert_eq!(answer.document, answers[0].document);
    }
    world.check();
}

#[test]
fn r13_other_ask_keys_principals_and_actions_do_not_join() {
    let mut world = World::new();
    let ask = Ask::of("SELECT 1");
    let first = world.try_submit(&ask).unwrap().id;
    let mut others = vec![Ask::of("SELECT 2"), ask.clone(), ask.clone()];
    others[1].tool_call = "toolu_1".to_owned();
    others[2].uid += 1;
    for other in others {
        let submitted = world.try_submit(&other).unwrap();
        assert!(!submitted.joined && submitted.id != first, "{other:?}");
    }
    world.check();
}

#[test]
fn r4_an_asking_launched_by_somebody_else_does_not_join() {
    // Whoever launched the joined asking would redeem it, and could have approved it.
    let mut world = World::new();
    let mut by_ana = Ask::of("SELECT 1");
    by_ana.launchers.insert(ana().uid);
    let first = world.try_submit(&by_ana).unwrap().id;
    let mut by_cron = Ask::of("SELECT 1");
    by_cron.submission = Some([7; 16]);
    let second = world.try_submit(&by_cron).unwrap();
    assert!(!second.joined && second.id != first);
    by_ana.submission = Some([7; 16]);
    let error = world.try_submit(&by_ana).unwrap_err();
    assert_eq!(error.code(), "submission-reused");
    world.check();
}

#[test]
fn r13_a_repeated_submission_returns_the_same_request_whatever_became_of_it() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.submission = Some([1; 16]);
    let first = world.try_submit(&ask).unwrap();
    let size = world.engine.tail.size();
    let again = world.try_submit(&ask).unwrap();
    assert_eq!((again.id, &again.document), (first.id, &first.document));
    assert_eq!(world.engine.tail.size(), size);
    world.decide(first.id, &ana(), Said::Deny).unwrap();
    let again = world.try_submit(&ask).unwrap();
    assert_eq!((again.id, again.standing.state), (first.id, State::Denied));
    ask.statement = "SELECT 2".to_owned();
    let error = world.try_submit(&ask).unwrap_err();
    assert_eq!(error.code(), "submission-reused");
    world.check();
}

#[test]
fn r13_a_repeated_submission_within_one_batch_is_one_request() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.submission = Some([1; 16]);
    let drafts: Vec<_> = (0..3).map(|_| Box::new(world.draft(&ask))).collect();
    let calls = drafts
        .into_iter()
        .map(|draft| Box::new(move |reply| Command::Submit(draft, reply)) as Box<_>)
        .collect();
    let ids: Vec<_> = world
        .batch::<Submitted>(calls)
        .into_iter()
        .map(|answer| answer.unwrap().id)
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    world.check();
}

#[test]
fn r13_after_a_deny_the_same_action_is_refused_for_the_cooldown() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    let denied = world.try_submit(&ask).unwrap().id;
    world.decide(denied, &ana(), Said::Deny).unwrap();
    ask.tool_call = "another tool call".to_owned();
    let error = world.try_submit(&ask).unwrap_err();
    assert!(
        matches!(error, EngineError::Cooldown { id, .. } if id == denied),
        "{error}"
    );
    world.submit("SELECT 2");
    world.advance(Duration::from_secs(599));
    assert_eq!(world.try_submit(&ask).unwrap_err().code(), "deny-cooldown");
    world.advance(Duration::from_secs(1));
    world.try_submit(&ask).unwrap();
    world.check();
}

#[test]
fn r13_a_deny_and_the_same_asking_in_one_batch_meet_the_cooldown() {
    let mut world = World::new();
    let ask = Ask::of("SELECT 1");
    let id = world.try_submit(&ask).unwrap().id;
    let deny = world.verdict(id, &ana(), Said::Deny);
    let draft = Box::new(world.draft(&ask));
    let (reply, mut denied) = tokio::sync::oneshot::channel();
    world.push(Command::Decide(id, deny, reply));
    let (reply, mut submitted) = tokio::sync::oneshot::channel();
    world.push(Command::Submit(draft, reply));
    world.drain();
    assert_eq!(denied.try_recv().unwrap().unwrap().state, State::Denied);
    assert_eq!(
        submitted.try_recv().unwrap().unwrap_err().code(),
        "deny-cooldown"
    );
    world.check();
}

#[test]
fn r13_whoever_withdraws_what_others_share_leaves_it_to_them_until_the_last_is_gone() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.attached = true;
    let id = world.try_submit(&ask).unwrap().id;
    assert!(world.try_submit(&ask).unwrap().joined);
    let right = world.right(id);
    let other = right.clone();
    let following = world.ask(|reply| Query::Follow(id, other, reply)).unwrap();
    for _ in 0..2 {
        let right = right.clone();
        let state = world
            .ask(|reply| Command::Withdraw(id, right, reply))
            .unwrap();
        assert_eq!(state, State::Pending);
    }
    world.advance(Duration::from_secs(100));
    assert_eq!(world.state(id), State::Pending);
    world
        .engine
        .turn(vec![Query::Leave(id, following.waiter).into()]);
    drop(following);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.state(id), State::Withdrawn);
    world.check();
}

#[test]
fn r13_whoever_asks_alone_withdraws_at_once_also_after_a_repeated_submit() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.attached = true;
    ask.submission = Some([1; 16]);
    let id = world.try_submit(&ask).unwrap().id;
    world.try_submit(&ask).unwrap();
    let right = world.right(id);
    let state = world
        .ask(|reply| Command::Withdraw(id, right, reply))
        .unwrap();
    assert_eq!(state, State::Withdrawn);
    world.check();
}
