use std::time::Duration;

use countersign_shared::log::entry::{Actor, ActorKind, Body, Entry, LogEvent, Separation, Sync};
use countersign_shared::time::{BootId, Moment, Timestamp};
use tempfile::TempDir;

use super::*;

const ORIGIN: &str = "countersign/test";

fn key(seed: u8) -> VerifierKey {
    let key = SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap();
    key.verifier().clone()
}

/// A log with the key of the seed 1, and with that of the seed 2 as well when it was changed.
fn log(rotated: bool) -> LogKeys {
    let mut keys = LogKeys::begin(ORIGIN, key(1)).unwrap();
    if rotated {
        let wall = Timestamp::from_millis(1000);
        let event = LogEvent::KeyRotated {
            old: key(1).to_string(),
            new: key(2).to_string(),
            until: wall.plus(Duration::from_secs(1)),
            reason: "yearly".to_owned(),
        };
        let entry = Entry {
            log: ORIGIN.to_owned(),
            seq: 3,
            now: Moment {
                wall,
                boot: BootId::new("a"),
                mono_ms: 1,
            },
            sync: Sync::Unknown,
            actor: Actor {
                kind: ActorKind::Daemon,
                id: "countersignd".to_owned(),
                uid: None,
            },
            request: None,
            separation: Separation::None,
            body: Body::Log(event),
        };
        assert_eq!(keys.take(&entry), Ok(None));
    }
    keys
}

/// A directory with these files: of key files the seed, of the public one the seed of its key.
fn directory(files: &[(&str, u8)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, seed) in files {
        let path = dir.path().join(name);
        let bytes = if *name == PUBLIC {
            format!("{}\n", key(*seed)).into_bytes()
        } else {
            vec![*seed; 32]
        };
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    dir
}

fn files(dir: &TempDir) -> Vec<(String, u8)> {
    let mut found: Vec<(String, u8)> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let name = entry.file_name().into_string().unwrap();
            assert_eq!(mode, 0o600, "{name}");
            let bytes = fs::read(entry.path()).unwrap();
            let seed = (1..9).find(|seed| {
                bytes == [*seed; 32] || bytes == format!("{}\n", key(*seed)).as_bytes()
            });
            (name, seed.unwrap_or(0))
        })
        .collect();
    found.sort();
    found
}

fn settled(dir: &TempDir, keys: &LogKeys) -> Result<(), KeyringError> {
    let mut ring = Keyring::read(dir.path(), ORIGIN)?;
    ring.check_public(keys)?;
    ring.settle(keys)
}

#[test]
fn wherever_a_rotation_is_cut_off_the_files_end_where_the_log_wants_them() {
    let old = [("log.key", 1), ("log.vkey", 1)];
    let both = [("log.key", 2), ("log.key.ending", 1), ("log.vkey", 2)];
    let named = |files: &[(&str, u8)]| -> Vec<(String, u8)> {
        files
            .iter()
            .map(|(name, seed)| ((*name).to_owned(), *seed))
            .collect()
    };
    // Before the entry is durable there is one key, whatever was drawn.
    for begun in [
        &[][..],
        &[("log.key.next", 2)],
        &[("log.key.next.unfinished", 2)],
    ] {
        let dir = directory(&[&old[..], begun].concat());
        settled(&dir, &log(false)).unwrap();
        let mut left = files(&dir);
        left.retain(|(name, _)| !name.ends_with(".unfinished"));
        assert_eq!(left, named(&old), "{begun:?}");
    }
    // Behind it there are two, at each step.
    for step in [
        &[("log.key", 1), ("log.key.next", 2), ("log.vkey", 1)][..],
        &[
            ("log.key", 1),
            ("log.key.ending", 1),
            ("log.key.next", 2),
            ("log.vkey", 1),
        ],
        &[
            ("log.key", 2),
            ("log.key.ending", 1),
            ("log.key.next", 2),
            ("log.vkey", 1),
        ],
        &[
            ("log.key", 2),
            ("log.key.ending", 1),
            ("log.key.next", 2),
            ("log.vkey", 2),
        ],
        &both,
    ] {
        let dir = directory(step);
        settled(&dir, &log(true)).unwrap();
        assert_eq!(files(&dir), named(&both), "{step:?}");
        settled(&dir, &log(true)).unwrap();
        assert_eq!(files(&dir), named(&both), "again: {step:?}");
    }
}

#[test]
fn a_key_that_the_log_demands_and_nobody_has_changes_nothing() {
    for there in [
        &[("log.key", 1), ("log.vkey", 1)][..],
        &[("log.key", 2), ("log.vkey", 2)],
        &[("log.key", 3), ("log.key.ending", 1), ("log.vkey", 1)],
    ] {
        let dir = directory(there);
        let before = files(&dir);
        let error = settled(&dir, &log(true)).unwrap_err();
        assert!(matches!(error, KeyringError::Missing { .. }), "{error}");
        assert_eq!(files(&dir), before);
    }
}

#[test]
fn a_public_file_with_another_key_is_refused_and_not_overwritten() {
    let dir = directory(&[("log.key", 1), ("log.vkey", 3)]);
    let before = files(&dir);
    let error = settled(&dir, &log(false)).unwrap_err();
    assert!(
        error.to_string().contains("find out who changed the file"),
        "{error}"
    );
    assert_eq!(files(&dir), before);
    fs::write(dir.path().join(PUBLIC), "nonsense").unwrap();
    assert!(settled(&dir, &log(false)).is_err());
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let dir = directory(&[("log.key", 1), ("log.key.next", 2)]);
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(dir.path().join("log.key.next"), open).unwrap();
    let error = Keyring::read(dir.path(), ORIGIN).unwrap_err();
    assert!(
        matches!(error, KeyringError::File(HomeError::TooOpen { .. })),
        "{error}"
    );
}

#[test]
fn the_next_key_is_in_its_file_before_anything_names_it() {
    let dir = directory(&[("log.key", 1)]);
    let mut ring = Keyring::read(dir.path(), ORIGIN).unwrap();
    let next = ring.draw_next(&log(false)).unwrap();
    let read = Keyring::read(dir.path(), ORIGIN).unwrap();
    assert_eq!(
        read.signer(next.verifier()).unwrap().verifier(),
        next.verifier()
    );
    assert!(!log(false).has(next.verifier()));
    let shown = format!("{ring:?}");
    assert!(!shown.contains("seed"), "{shown}");
}
