//! R17: breaking the glass, the review that it owes, and calls for more eyes.

use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::machine::{State, Via};
use countersign_shared::requirement::Assurance;
use countersign_shared::statement::{ActKind as StatementKind, Verdict as Said};

use super::super::*;
use super::world::{Ask, HOUR, World, ana, bo, cy, ended_well, everyone, moment};
use crate::judge::JudgeError;

const CLOSE: (StatementKind, ActKind) = (StatementKind::CloseDebt, ActKind::CloseDebt);

/// Rules that take two people, and let one of them break the glass.
fn glass_for_ana() -> Rules {
    let mut rules = everyone("1 of sre and 1 of dba");
    rules.list_for_break_glass(&["ana"]);
    rules
}

fn owed(world: &mut World) -> Vec<RequestId> {
    let owed = world.ask(Query::Owed).unwrap();
    owed.debts.iter().map(|view| view.request.id()).collect()
}

#[test]
fn r17_a_listed_person_approves_alone_and_another_one_closes_the_debt() {
    let mut world = World::with(glass_for_ana());
    let id = world.submit("SELECT 1");
    let changes = world.engine.changes.subscribe();
    let done = world.break_glass(id, &ana()).unwrap();
    assert_eq!(done.state, State::Approved);
    assert!(String::from_utf8_lossy(&done.recorded.entry).contains("breakglass.used"));
    assert!(!changes.is_empty());
    let view = world.view(id);
    let via = view.request.approval().map(|approval| approval.via);
    assert_eq!(via, Some(Via::BreakGlass));
    assert_eq!(view.request.debt(), Some("ana"));
    assert_eq!(owed(&mut world), [id]);

    world.redeem(id).unwrap();
    world.report(id, Report::Started { pid: None }).unwrap();
    world.report(id, ended_well()).unwrap();
    // It ended long ago, and the review is still owed, over a restart as well.
    let mut world = world.crash_and_start(moment("b", 50, 0));
    assert_eq!(owed(&mut world), [id]);
    let own = world.act(id, &ana(), CLOSE).unwrap_err();
    assert_eq!(own.code(), "own-debt");
    assert_eq!(owed(&mut world), [id], "a refused act closed the debt");
    assert_eq!(world.act(id, &bo(), CLOSE).unwrap(), State::Succeeded);
    assert!(owed(&mut world).is_empty());
    assert_eq!(world.act(id, &cy(), CLOSE).unwrap_err().code(), "no-debt");
    world.check();
}

#[test]
fn r17_nobody_breaks_the_glass_who_is_not_listed_for_it() {
    let mut world = World::with(glass_for_ana());
    let id = world.submit("SELECT 1");
    for person in [bo(), cy()] {
        let error = world.break_glass(id, &person).unwrap_err();
        assert_eq!(error.code(), "not-on-break-glass-list");
    }
    assert_eq!(world.state(id), State::Pending);
    assert!(owed(&mut world).is_empty());

    let mut world = World::with(everyone("2 of anyone"));
    let id = world.submit("SELECT 1");
    assert!(world.break_glass(id, &ana()).is_err(), "an empty list");
    world.check();
}

#[test]
fn r17_breaking_the_glass_takes_a_reason() {
    let mut world = World::with(glass_for_ana());
    let id = world.submit("SELECT 1");
    world.reason = " ".to_owned();
    let error = world.break_glass(id, &ana()).unwrap_err();
    assert_eq!(error.code(), "reason-required");
    assert_eq!(world.state(id), State::Pending);
    assert!(owed(&mut world).is_empty());
    world.check();
}

#[test]
fn r4_who_stands_behind_a_request_does_not_break_its_glass() {
    let mut world = World::with(glass_for_ana());
    let mut own = Ask::of("SELECT 1");
    own.uid = ana().uid;
    let mut launched = Ask::of("SELECT 2");
    launched.launchers.insert(ana().uid);
    for ask in [own, launched] {
        let id = world.try_submit(&ask).unwrap().id;
        let error = world.break_glass(id, &ana()).unwrap_err();
        assert_eq!(error.code(), "own-request");
        assert_eq!(world.state(id), State::Pending);
    }
    assert!(owed(&mut world).is_empty());
    world.check();
}

#[test]
fn r17_the_glass_is_broken_for_what_is_pending_and_nothing_else() {
    let mut world = World::with(glass_for_ana());
    let denied = world.submit("SELECT 1");
    world.decide(denied, &bo(), Said::Deny).unwrap();
    let error = world.break_glass(denied, &ana()).unwrap_err();
    assert_eq!(error.code(), "denied");
    let late = world.submit("SELECT 2");
    world.hand.advance(HOUR);
    // Nothing was written about the deadline yet, and it binds all the same.
    let error = world.break_glass(late, &ana()).unwrap_err();
    assert_eq!(error.code(), "deadline-passed");
    assert!(owed(&mut world).is_empty());
    world.check();
}

#[test]
fn r17_breaking_the_glass_is_as_sure_as_an_approval_has_to_be() {
    let mut rules = glass_for_ana();
    rules.change_default(|default| default.assurance = Assurance::Passphrase);
    let mut world = World::with(rules);
    let id = world.submit("SELECT 1");
    let error = world
        .signed_act(id, &ana(), StatementKind::BreakGlass)
        .unwrap_err();
    assert!(matches!(error, JudgeError::Refused(_)), "{error}");
    assert_eq!(error.code(), "assurance-too-low");
}

#[test]
fn r11_who_is_taken_off_the_list_takes_the_broken_glass_along() {
    let mut world = World::with(glass_for_ana());
    let id = world.submit("SELECT 1");
    world.break_glass(id, &ana()).unwrap();
    world
        .change_rules(everyone("1 of sre and 1 of dba"))
        .unwrap();
    assert_eq!(world.state(id), State::Invalidated);
    // What was approved so is still to be reviewed.
    assert_eq!(owed(&mut world), [id]);
    world.check();
}

#[test]
fn r17_an_act_checked_under_other_rules_breaks_nothing() {
    let mut world = World::with(glass_for_ana());
    let id = world.submit("SELECT 1");
    let act = world
        .signed_act(id, &ana(), StatementKind::BreakGlass)
        .unwrap();
    let emergency = Box::new(Emergency {
        act,
        rules: Digest::of(b"older rules"),
        known_size: 0,
    });
    let error = world
        .ask(|reply| Command::BreakGlass(id, emergency, reply))
        .unwrap_err();
    assert_eq!(error.code(), "rules-changed");
    assert_eq!(world.state(id), State::Pending);
}

#[test]
fn a_request_calls_for_more_eyes_when_its_requirement_says() {
    let mut rules = everyone("1 of anyone");
    rules.change_default(|default| default.escalate = vec!["at 25% to dba".parse().unwrap()]);
    let mut world = World::with(rules);
    let id = world.submit("SELECT 1");
    world.advance(Duration::from_secs(899));
    assert!(!world.view(id).request.is_escalated());
    world.advance(Duration::from_secs(1));
    assert!(world.view(id).request.is_escalated());
    world.advance(Duration::from_secs(1200));
    let calls = world.types();
    let calls = calls.iter().filter(|name| *name == "request.escalated");
    assert_eq!(calls.count(), 1);
    world.check();
}
