//! The log's key changes, is cut off in doing so, and is tampered with.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::Body;
use countersign_shared::log::note::{SignerKey, VerifierKey};
use tempfile::TempDir;

use super::super::*;
use super::world::{ORIGIN, World, ana, entries, everyone, moment, settings};
use crate::keyring::Keyring;
use crate::verify::{Report, Trust, verify};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A directory with the files of the key of the seed 9, and a log that has begun.
fn home() -> Arc<TempDir> {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    put(&dir, "log.key", &[9; 32]);
    put(&dir, "log.vkey", format!("{}\n", first()).as_bytes());
    let mut world = World::with_key_files(&dir, moment("a", 0, 0)).unwrap();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    dir
}

fn put(dir: &TempDir, name: &str, bytes: &[u8]) {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn first() -> VerifierKey {
    SignerKey::from_seed(ORIGIN, &[9; 32])
        .unwrap()
        .verifier()
        .clone()
}

fn offline(dir: &TempDir) -> Settings {
    let (clock, _hand) = Clock::fixed(moment("a", 50, 50));
    Settings {
        keys: Keyring::read(dir.path(), ORIGIN).unwrap(),
        ..settings(everyone("1 of anyone"), clock)
    }
}

fn rotate(dir: &TempDir) -> Result<Rotated, BootError> {
    let database = dir.path().join("state.db");
    Engine::rotate(&database, offline(dir), DAY, "yearly".to_owned())
}

fn finish(dir: &TempDir) -> Result<VerifierKey, BootError> {
    let database = dir.path().join("state.db");
    Engine::end_old_key(&database, offline(dir), "it was stolen".to_owned())
}

fn start(dir: &Arc<TempDir>, wall_s: i64) -> Result<World, BootError> {
    World::with_key_files(dir, moment("a", wall_s, wall_s.unsigned_abs()))
}

fn checked(dir: &TempDir, vkey: &VerifierKey, heads: &[String]) -> Report {
    let trust = Trust {
        origin: ORIGIN.to_owned(),
        vkey: vkey.clone(),
        heads: heads.to_vec(),
        policy: None,
        archives: Vec::new(),
        mark: Some(dir.path().join("head")),
    };
    verify(&dir.path().join("state.db"), &trust, &mut |_, _| {}).unwrap()
}

#[track_caller]
fn is_found(dir: &TempDir, vkey: &VerifierKey, words: &str) {
    let report = checked(dir, vkey, &[]);
    let said = report.to_string();
    assert!(
        !report.is_good() && said.contains(words),
        "no `{words}` in {said}"
    );
}

fn files(dir: &TempDir) -> Vec<String> {
    let names = std::fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("log."))
        .collect();
    names.sort();
    names
}

fn signatures(note: &str) -> usize {
    note.matches("\u{2014} ").count()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn both_keys_sign_until_the_time_of_the_old_one_is_over() {
    let dir = home();
    let before = start(&dir, 1).unwrap().engine.note;
    let rotated = rotate(&dir).unwrap();
    assert_eq!(rotated.old, first());
    assert_eq!(files(&dir), ["log.key", "log.key.ending", "log.vkey"]);
    let mut world = start(&dir, 60).unwrap();
    assert_eq!(signatures(&world.engine.note), 2);
    assert_eq!(*world.engine.signers.in_force.verifier(), rotated.new);
    let id = world.submit("SELECT 2");
    world.approve(id, &ana());
    let shown = world.engine.head(1).unwrap().rotation.unwrap();
    let head = checkpoint_of(&world.engine.note);
    countersign_shared::log::proof::verify_inclusion(
        &countersign_shared::log::tree::leaf_hash(&shown.entry),
        shown.index,
        head.head(),
        &shown.proof,
    )
    .unwrap();
    for key in [&rotated.old, &rotated.new] {
        let report = checked(&dir, key, &[before.clone(), world.engine.note.clone()]);
        assert!(report.is_good(), "{report}");
    }
    let during = world.engine.note.clone();

    // The daemon runs on, and the time comes.
    world.hand.advance(DAY);
    world.engine.retire_when_over();
    assert_eq!(signatures(&world.engine.note), 1);
    assert!(world.engine.head(1).unwrap().rotation.is_none());
    assert_eq!(files(&dir), ["log.key", "log.vkey"]);
    world.submit("SELECT 3");
    let entries = entries(&world.engine.store);
    assert!(entries.iter().any(|entry| matches!(
        &entry.body,
        Body::Log(LogEvent::KeyRetired { head, reason: None, .. }) if *head == during
    )));
    let report = checked(
        &dir,
        &rotated.old,
        &[before, during, world.engine.note.clone()],
    );
    assert!(report.is_good(), "{report}");
    drop(start(&dir, 100_000).unwrap());
}

fn checkpoint_of(note: &str) -> Checkpoint {
    countersign_shared::log::checkpoint::unverified(note).unwrap()
}

#[test]
fn a_time_that_passed_while_the_daemon_was_stopped_ends_the_key_at_the_start() {
    let dir = home();
    let rotated = rotate(&dir).unwrap();
    let world = start(&dir, 2 * 24 * 3600).unwrap();
    assert_eq!(signatures(&world.engine.note), 1);
    assert_eq!(files(&dir), ["log.key", "log.vkey"]);
    assert!(checked(&dir, &rotated.new, &[]).is_good());
}

#[test]
fn a_second_rotation_waits_for_the_first_one_or_for_its_end() {
    let dir = home();
    let one = rotate(&dir).unwrap();
    let refused = rotate(&dir).unwrap_err().to_string();
    assert!(refused.contains("rotate-log-key --finish"), "{refused}");
    assert_eq!(finish(&dir).unwrap(), one.old);
    assert!(matches!(finish(&dir), Err(BootError::NothingEnds)));
    let two = rotate(&dir).unwrap();
    assert_eq!(two.old, one.new);
    drop(start(&dir, 70).unwrap());
    for key in [first(), one.new, two.new] {
        let report = checked(&dir, &key, &[]);
        assert!(report.is_good(), "{report}");
    }
    let stranger = SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap();
    is_found(
        &dir,
        stranger.verifier(),
        "never had the key that it is checked with",
    );
}

#[test]
fn a_rotation_that_is_cut_off_leaves_a_home_that_starts() {
    let dir = home();
    // Drawn, and named nowhere.
    put(&dir, "log.key.next", &[3; 32]);
    let world = start(&dir, 2).unwrap();
    assert_eq!(*world.engine.signers.in_force.verifier(), first());
    assert_eq!(files(&dir), ["log.key", "log.vkey"]);
    drop(world);
    // Durable in the log, and no file moved.
    let public = read(&dir.path().join("log.vkey"));
    let rotated = rotate(&dir).unwrap();
    let next = read(&dir.path().join("log.key"));
    std::fs::remove_file(dir.path().join("log.key.ending")).unwrap();
    put(&dir, "log.key", &[9; 32]);
    put(&dir, "log.key.next", &next);
    put(&dir, "log.vkey", &public);
    assert!(checked(&dir, &first(), &[]).is_good());
    let world = start(&dir, 60).unwrap();
    assert_eq!(*world.engine.signers.in_force.verifier(), rotated.new);
    assert_eq!(signatures(&world.engine.note), 2);
    assert_eq!(files(&dir), ["log.key", "log.key.ending", "log.vkey"]);
}

#[test]
fn a_rotation_that_cannot_be_written_changes_no_key() {
    let dir = home();
    let conn = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    conn.execute_batch(
        "CREATE TRIGGER fail BEFORE INSERT ON log_rotation BEGIN SELECT RAISE(FAIL, 'no'); END",
    )
    .unwrap();
    rotate(&dir).unwrap_err();
    conn.execute_batch("DROP TRIGGER fail").unwrap();
    let world = start(&dir, 60).unwrap();
    assert_eq!(*world.engine.signers.in_force.verifier(), first());
    assert_eq!(signatures(&world.engine.note), 1);
    assert_eq!(files(&dir), ["log.key", "log.vkey"]);
    assert!(checked(&dir, &first(), &[]).is_good());
}

#[test]
fn an_end_that_cannot_be_written_leaves_both_keys() {
    let dir = home();
    rotate(&dir).unwrap();
    let mut world = start(&dir, 60).unwrap();
    world.execute(
        "CREATE TRIGGER fail BEFORE UPDATE ON log_rotation BEGIN SELECT RAISE(FAIL, 'no'); END",
    );
    world.hand.advance(DAY);
    world.engine.retire_when_over();
    world.submit("SELECT 2");
    assert_eq!(signatures(&world.engine.note), 2);
    assert_eq!(files(&dir), ["log.key", "log.key.ending", "log.vkey"]);
    world.execute("DROP TRIGGER fail");
    world.engine.retire_when_over();
    assert_eq!(signatures(&world.engine.note), 1);
    assert!(checked(&dir, &first(), &[]).is_good());
}

#[test]
fn without_the_old_key_nothing_is_signed_until_it_is_ended() {
    let dir = home();
    rotate(&dir).unwrap();
    std::fs::remove_file(dir.path().join("log.key.ending")).unwrap();
    let refused = start(&dir, 60).map(drop).unwrap_err();
    assert!(matches!(refused, BootError::EndingKey { .. }), "{refused}");
    finish(&dir).unwrap();
    drop(start(&dir, 60).unwrap());
    assert!(checked(&dir, &first(), &[]).is_good());
}

#[test]
fn a_swapped_key_file_stops_the_start_and_is_found() {
    let dir = home();
    put(&dir, "log.key", &[4; 32]);
    let refused = start(&dir, 60).map(drop).unwrap_err();
    assert!(matches!(refused, BootError::Keys(_)), "{refused}");
    put(&dir, "log.key", &[9; 32]);
    let other = SignerKey::from_seed(ORIGIN, &[4; 32]).unwrap();
    put(
        &dir,
        "log.vkey",
        format!("{}\n", other.verifier()).as_bytes(),
    );
    let refused = start(&dir, 60).map(drop).unwrap_err();
    assert!(matches!(refused, BootError::Keys(_)), "{refused}");
    is_found(&dir, other.verifier(), "entry 0: ");
}

#[test]
fn a_head_without_one_of_its_keys_or_with_a_retired_one_is_found() {
    let dir = home();
    let old = SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap();
    let rotated = rotate(&dir).unwrap();
    let world = start(&dir, 60).unwrap();
    let note = world.engine.note.clone();
    drop(world);
    let conn = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    let write = |note: &str| {
        let written = conn
            .execute("UPDATE audit_head SET note = ?1", [note])
            .unwrap();
        assert_eq!(written, 1);
    };
    let alone = checkpoint_of(&note).sign(&old);
    write(&alone);
    is_found(
        &dir,
        &first(),
        &format!("is not signed by `{}`", rotated.new),
    );
    start(&dir, 61).map(drop).unwrap_err();
    write(&note);
    finish(&dir).unwrap();
    let world = start(&dir, 62).unwrap();
    let note = world.engine.note.clone();
    drop(world);
    let mut both = note.clone();
    let again = checkpoint_of(&note).sign(&old);
    both.push_str(again.rsplit_once("\n\n").unwrap().1);
    write(&both);
    is_found(&dir, &first(), "which did not sign the log then");
    // Kept elsewhere, a head of the retired key is none of this log's either.
    write(&note);
    let report = checked(&dir, &first(), &[again]);
    let said = report.to_string();
    assert!(
        !report.is_good() && said.contains("one that was kept"),
        "{said}"
    );
}

#[test]
fn places_of_rotations_that_are_not_those_of_the_log_are_found() {
    let dir = home();
    rotate(&dir).unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    for change in [
        "UPDATE log_rotation SET retired = 7",
        "DELETE FROM log_rotation",
    ] {
        conn.execute_batch(change).unwrap();
        is_found(&dir, &first(), "places where the log's key changed");
        start(&dir, 60).map(drop).unwrap_err();
    }
}

#[test]
fn a_daemon_that_stops_between_any_two_commits_of_a_rotation_goes_on() {
    let dir = home();
    for round in 0..3 {
        let begun = rotate(&dir).unwrap();
        let world = start(&dir, 60 + round).unwrap();
        world.check();
        drop(world);
        finish(&dir).unwrap();
        let world = start(&dir, 60 + round).unwrap();
        assert_eq!(*world.engine.signers.in_force.verifier(), begun.new);
        world.check();
    }
    let report = checked(&dir, &first(), &[]);
    assert!(report.is_good(), "{report}");
}
