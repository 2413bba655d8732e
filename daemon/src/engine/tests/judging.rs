//! R4, R12, R17: statements that do not count, each with one thing wrong.

use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::statement::{
    ActKind as StatementKind, Decision, Statement, Verdict as Said,
};

use super::super::*;
use super::Ask;
use super::world::{World, ana, bo, cy, rules};
use crate::judge::JudgeError;

/// What is wrong with a statement, and the code it is refused with.
type Wrong = (&'static str, &'static str, fn(&mut Decision));

const WRONG: [Wrong; 14] = [
    ("another document", "stale-digest", |it| {
        it.digest = Digest::of(b"other");
    }),
    ("another request", "stale-digest", |it| {
        it.request = countersign_shared::id::RequestId::from_bytes([1; 16]);
    }),
    ("another display", "not-shown", |it| {
        it.display.sha256 = Digest::of(b"other");
    }),
    ("not all was shown", "not-shown", |it| {
        it.display.complete = false;
    }),
    ("other rules", "rules-changed", |it| {
        it.rules = Digest::of(b"other");
    }),
    ("another requester", "statement-does-not-fit", |it| {
        it.requester.uid += 1;
    }),
    ("self-attested", "statement-does-not-fit", |it| {
        it.self_attested = true;
    }),
    ("in another name", "foreign-key", |it| {
        it.reviewer = "bo".to_owned();
    }),
    ("another log", "wrong-head", |it| {
        it.log.origin = "countersign/other".to_owned();
    }),
    ("a head before the request", "wrong-head", |it| {
        it.log.size = 2;
    }),
    ("a head of another history", "wrong-head", |it| {
        it.log.root = Digest::of(b"other");
    }),
    ("a head that is still to come", "wrong-head", |it| {
        it.log.size += 100;
    }),
    ("from the future", "statement-does-not-fit", |it| {
        it.issued_at = it.issued_at.plus(Duration::from_secs(121));
        it.expires_at = it.expires_at.plus(Duration::from_secs(121));
    }),
    ("a touch that was none", "statement-does-not-fit", |it| {
        it.assurance = countersign_shared::statement::Assurance::Touch;
    }),
];

#[test]
fn r12_an_approval_with_one_thing_wrong_does_not_count() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    for (what, code, spoil) in WRONG {
        let mut decision = world.statement(id, &ana(), Said::Approve);
        spoil(&mut decision);
        let error = world.judge(id, &ana(), &ana(), decision).unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
    }
    let decision = world.statement(id, &ana(), Said::Approve);
    world.judge(id, &ana(), &ana(), decision).unwrap();
}

#[test]
fn an_old_statement_does_not_count() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let decision = world.statement(id, &ana(), Said::Approve);
    world.advance(Duration::from_secs(60));
    let error = world.judge(id, &ana(), &ana(), decision).unwrap_err();
    assert_eq!(error.code(), "statement-does-not-fit");
}

#[test]
fn a_signature_counts_only_in_the_name_and_from_the_account_of_its_key() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let decision = world.statement(id, &ana(), Said::Approve);
    let error = world
        .judge(id, &ana(), &bo(), decision.clone())
        .unwrap_err();
    assert_eq!(
        error.code(),
        "foreign-key",
        "signed by another person: {error}"
    );
    let error = world
        .judge(id, &bo(), &ana(), decision.clone())
        .unwrap_err();
    assert_eq!(
        error.code(),
        "foreign-key",
        "handed in from another account: {error}"
    );
    let mut stranger = ana();
    stranger.uid = 4711;
    let error = world.judge(id, &stranger, &ana(), decision).unwrap_err();
    assert!(
        matches!(error, JudgeError::NotInRoster { uid: 4711 }),
        "{error}"
    );
}

#[test]
fn r17_a_signature_for_one_act_is_none_for_another() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let decision = world.statement(id, &ana(), Said::Approve);
    let bytes = Statement::Decision(decision).to_bytes().unwrap();
    for kind in StatementKind::ALL {
        let sshsig = ana().sign(kind.namespace(), &bytes);
        let error = world.judge_bytes(id, &ana(), &bytes, &sshsig).unwrap_err();
        assert_eq!(error.code(), "bad-signature", "{error}");
    }
    let sshsig = ana().sign(Decision::NAMESPACE, b"something else");
    let error = world.judge_bytes(id, &ana(), &bytes, &sshsig).unwrap_err();
    assert_eq!(error.code(), "bad-signature");
}

#[test]
fn r4_whoever_launched_the_agent_may_not_approve_and_may_deny() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.launchers.insert(ana().uid);
    let id = world.try_submit(&ask).unwrap().id;
    let mut decision = world.statement(id, &ana(), Said::Approve);
    decision.self_attested = true;
    let verdict = Box::new(world.judge(id, &ana(), &ana(), decision).unwrap());
    let error = world
        .ask(|reply| Command::Decide(id, verdict, reply))
        .unwrap_err();
    assert_eq!(error.code(), "own-request");
    let mut decision = world.statement(id, &ana(), Said::Deny);
    decision.self_attested = true;
    let verdict = Box::new(world.judge(id, &ana(), &ana(), decision).unwrap());
    world
        .ask(|reply| Command::Decide(id, verdict, reply))
        .unwrap();
    world.check();
}

#[test]
fn r5_a_statement_signed_before_its_key_was_removed_does_not_count_after() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let decision = world.statement(id, &ana(), Said::Deny);
    let limits = world.engine.rules.limits.clone();
    world
        .change_rules(rules(&[bo(), cy()], "1 of anyone", &limits))
        .unwrap();
    let error = world.judge(id, &ana(), &ana(), decision).unwrap_err();
    assert_eq!(error.code(), "not-in-roster");
}
