//! Documents go when their time is over, and what happened stays provable.

use std::path::Path;
use std::time::Duration;

use countersign_shared::log::entry::Body;
use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;

use super::super::erasing::Retention;
use super::super::*;
use super::world::{ORIGIN, World, ana, bo, entries, everyone};
use crate::verify::{Report, Trust, verify};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MARK: &str = "erase_this_table_name_everywhere";

fn keeping(days: u32) -> World {
    let mut world = World::new();
    world.engine.retention = Retention::of(Some(DAY * days));
    world
}

fn checked(world: &World) -> Report {
    let trust = Trust {
        origin: ORIGIN.to_owned(),
        vkey: world.engine.signers.in_force.verifier().clone(),
        heads: Vec::new(),
        policy: None,
        archives: Vec::new(),
        mark: None,
    };
    verify(&world.database(), &trust, &mut |_, _| {}).unwrap()
}

fn holds(path: &Path, needle: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

fn erased(world: &World) -> Vec<RequestId> {
    entries(&world.engine.store)
        .into_iter()
        .filter(|entry| matches!(entry.body, Body::Log(LogEvent::DocumentErased { .. })))
        .map(|entry| entry.request.unwrap())
        .collect()
}

#[test]
fn a_document_goes_when_its_time_is_over_and_its_digest_stays() {
    let mut world = keeping(2);
    let id = world.submit(&format!("DELETE FROM {MARK}"));
    let digest = world.view(id).request.digest();
    world.decide(id, &ana(), Said::Deny).unwrap();
    world.advance(DAY);
    world.engine.erase();
    assert_eq!(erased(&world), []);
    assert!(world.view(id).document.len() > 10);

    world.advance(DAY + Duration::from_secs(1));
    world.engine.erase();
    assert_eq!(erased(&world), [id]);
    let gone = world
        .ask(|reply| Query::Get(id.to_string(), reply))
        .unwrap_err();
    assert_eq!(gone.code(), "erased");
    assert_eq!(world.engine.row(id).unwrap().request.digest(), digest);
    let page = world
        .ask(|reply| Query::Page {
            before: None,
            limit: 10,
            reply,
        })
        .unwrap();
    assert_eq!(page[0].request.state(), State::Denied);
    // Not in the file, and not in its journal.
    for name in ["state.db", "state.db-wal"] {
        let path = world.database().with_file_name(name);
        assert!(!path.exists() || !holds(&path, MARK), "{name} holds it");
    }
    let report = checked(&world);
    assert!(report.is_good(), "{report}");
    world.check();
    // Nothing goes twice.
    world.advance(DAY);
    world.engine.erase();
    assert_eq!(erased(&world), [id]);
}

#[test]
fn what_is_not_over_is_kept_however_old_it_is() {
    let mut rules = everyone("1 of anyone");
    rules.list_for_break_glass(&[ana().name]);
    let mut world = World::with(rules);
    world.engine.retention = Retention::of(Some(DAY));
    let lost = world.submit("SELECT 1");
    world.approve(lost, &ana());
    world.redeem(lost).unwrap();
    let owing = world.submit("SELECT 2");
    world.break_glass(owing, &ana()).unwrap();
    let over = world.submit("SELECT 3");
    world.decide(over, &bo(), Said::Deny).unwrap();
    world.advance(DAY * 3);
    let pending = world.submit("SELECT 4");
    assert_eq!(world.state(lost), State::Indeterminate);
    world.engine.erase();
    assert_eq!(erased(&world), [over]);
    for id in [lost, owing, pending] {
        assert!(!world.view(id).document.is_empty(), "{id}");
    }
    assert!(checked(&world).is_good());
}

#[test]
fn a_document_that_is_gone_without_an_entry_or_there_with_one_is_found() {
    let mut world = keeping(1);
    let id = world.submit("SELECT 1");
    world.decide(id, &ana(), Said::Deny).unwrap();
    world.execute("CREATE TABLE kept AS SELECT * FROM document");
    world.advance(DAY * 2);
    world.engine.erase();
    world.execute("INSERT INTO document SELECT * FROM kept; DROP TABLE kept");
    let found = checked(&world).to_string();
    assert!(
        found.contains(&format!("request {id}: has a document that was erased")),
        "{found}"
    );
    world.execute("DELETE FROM document");
    assert!(checked(&world).is_good());
    let other = world.submit("SELECT 2");
    world.decide(other, &ana(), Said::Deny).unwrap();
    world.execute("DELETE FROM document");
    let found = checked(&world).to_string();
    assert!(
        found.contains(&format!("request {other}: has no document, and no entry")),
        "{found}"
    );
}

#[test]
fn without_a_period_everything_is_kept() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.decide(id, &ana(), Said::Deny).unwrap();
    world.advance(DAY * 10_000);
    world.engine.erase();
    assert_eq!(erased(&world), []);
    assert!(!world.view(id).document.is_empty());
}

fn by(reason: &str) -> ErasedEarly {
    ErasedEarly {
        uid: 0,
        user: "root".to_owned(),
        login_uid: Some(1001),
        reason: reason.to_owned(),
    }
}

/// Stops the daemon, runs the command, and starts the daemon again.
fn erase_early(world: World, rules: &Rules, id: RequestId) -> (World, Result<bool, BootError>) {
    let (path, clock) = (world.database(), world.engine.clock.clone());
    let now = clock.now();
    let directory = world.close();
    let settings = super::world::settings(rules.clone(), clock);
    let done = Engine::erase_early(&path, settings, id, by("a password in a comment"));
    let world = World::open(directory, rules.clone(), now, 500).unwrap();
    (world, done)
}

#[test]
fn a_document_goes_before_its_time_with_who_and_why_in_the_log() {
    let rules = everyone("1 of anyone");
    let mut world = World::with(rules.clone());
    let id = world.submit(&format!("DELETE FROM {MARK}"));
    let kept = world.submit("SELECT 1");
    world.decide(id, &ana(), Said::Deny).unwrap();
    world.decide(kept, &ana(), Said::Deny).unwrap();
    let (mut world, done) = erase_early(world, &rules, id);
    assert!(done.unwrap(), "the journal holds nothing of it");
    assert_eq!(erased(&world), [id]);
    let body = entries(&world.engine.store)
        .into_iter()
        .find_map(|entry| match entry.body {
            Body::Log(LogEvent::DocumentErased {
                retained_until,
                early,
            }) => Some((retained_until, early)),
            Body::Log(_) | Body::Request(_) => None,
        });
    let said = Some(Box::new(by("a password in a comment")));
    assert_eq!(body, Some((None, said)));
    let gone = world
        .ask(|reply| Query::Get(id.to_string(), reply))
        .unwrap_err();
    assert_eq!(gone.code(), "erased");
    assert!(!world.view(kept).document.is_empty());
    for name in ["state.db", "state.db-wal"] {
        let path = world.database().with_file_name(name);
        assert!(!path.exists() || !holds(&path, MARK), "{name} holds it");
    }
    let report = checked(&world);
    assert!(report.is_good(), "{report}");
    assert_eq!(report.erased_early, 1);
    assert!(report.to_string().contains("1 document was erased before"));
    world.check();
    let (_, again) = erase_early(world, &rules, id);
    let error = again.unwrap_err().to_string();
    assert!(error.ends_with("it was erased before"), "{error}");
}

#[test]
fn what_is_not_over_is_not_erased_before_its_time() {
    let mut rules = everyone("1 of anyone");
    rules.list_for_break_glass(&[ana().name]);
    let mut world = World::with(rules.clone());
    let pending = world.submit("SELECT 1");
    let owing = world.submit("SELECT 2");
    world.break_glass(owing, &ana()).unwrap();
    world.redeem(owing).unwrap();
    world.report(owing, super::world::ended_well()).unwrap();
    let lost = world.submit("SELECT 3");
    world.approve(lost, &ana());
    world.redeem(lost).unwrap();
    let nobody = RequestId::from_bytes([9; 16]);
    for (id, why) in [
        (pending, "the request is pending; it has to be over"),
        (owing, "a review of it is owed"),
        (lost, "the request is redeemed"),
        (nobody, "there is no such request"),
    ] {
        let done;
        (world, done) = erase_early(world, &rules, id);
        let error = done.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(erased(&world), []);
    assert!(!world.view(pending).document.is_empty());
    assert!(checked(&world).is_good());
}

#[test]
fn an_erasure_without_a_reason_or_of_both_kinds_is_found() {
    for (retained_until, early) in [
        (None, None),
        (None, Some(by(" "))),
        (Some(Timestamp::from_millis(0)), Some(by("both"))),
    ] {
        // Of a request of which something is wrong nothing later is said.
        let mut world = World::new();
        let id = world.submit("SELECT 1");
        world.decide(id, &ana(), Said::Deny).unwrap();
        world.engine.commit(|engine, batch, scene| {
            let event = LogEvent::DocumentErased {
                retained_until,
                early: early.map(Box::new),
            };
            engine
                .step(batch, scene, |engine, step| {
                    let (actor, body) = (daemon_actor(), Body::Log(event));
                    step.append(&mut engine.store, scene, actor, Some(id), body)?;
                    Ok(())
                })
                .unwrap();
            Vec::new()
        });
        let found = checked(&world).to_string();
        let last = world.engine.tail.size() - 1;
        assert!(found.contains(&format!("entry {last}: ")), "{found}");
    }
}
