//! A log that changes its key, shown to users who hold the old one.

use countersign_shared::log::entry::{Actor, ActorKind, Body, Entry, LogEvent, Separation, Sync};
use countersign_shared::time::{BootId, Moment, Timestamp};

use super::*;
use crate::shown::ShownRotation;

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

fn rotated(seq: u64, old: u8, new: u8) -> Vec<u8> {
    let event = LogEvent::KeyRotated {
        old: key(old).verifier().to_string(),
        new: key(new).verifier().to_string(),
        until: Timestamp::from_millis(9000),
        reason: "yearly".to_owned(),
    };
    let entry = Entry {
        log: ORIGIN.to_owned(),
        seq,
        now: Moment {
            wall: Timestamp::from_millis(1000),
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
    entry.to_bytes().unwrap()
}

impl Log {
    /// Two entries, and the change from the key of `Log` (5) to the one of the seed 6.
    fn rotating() -> Self {
        Self::new(&[b"a", b"b", &rotated(2, 5, 6), b"d"])
    }

    /// The head signed with these keys, and the change of key.
    fn overlapping(&self, from: u64, signers: &[u8]) -> ShownHead {
        let entry = self.entries[2].clone();
        let proof = prove_inclusion(2, self.size(), |level, index| {
            Ok::<_, Infallible>(self.node(level, index))
        });
        let rotation = ShownRotation {
            index: 2,
            entry,
            proof: proof.unwrap(),
        };
        ShownHead {
            rotation: Some(rotation),
            ..self.signed(from, signers)
        }
    }

    fn signed(&self, from: u64, signers: &[u8]) -> ShownHead {
        let head = Checkpoint::new(ORIGIN, self.head_of(0, self.size())).unwrap();
        let (first, others) = signers.split_first().unwrap();
        let others: Vec<_> = others.iter().map(|seed| key(*seed)).collect();
        ShownHead {
            note: head.sign_with(&key(*first), &others),
            ..self.shown(from)
        }
    }
}

/// A user who keeps the head of two entries, under the old key.
fn user() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a", b"b"]);
    log.heads(&home).accept(&log.shown(0)).unwrap();
    home
}

fn opened(home: &tempfile::TempDir, announced: u8) -> Heads {
    let key = key(announced).verifier().clone();
    Heads::open(home.path(), key, Lasting::PowerCut).unwrap()
}

#[test]
fn who_keeps_the_old_key_learns_the_new_one_whichever_the_installation_names() {
    for announced in [5, 6] {
        let home = user();
        let log = Log::rotating();
        opened(&home, announced)
            .accept(&log.overlapping(2, &[6, 5]))
            .unwrap();
        // The next process believes the new key, and no head of the old one alone.
        for announced in [5, 6] {
            let mut later = opened(&home, announced);
            assert_eq!(later.keeper.key(), key(6).verifier());
            let error = later.accept(&log.signed(4, &[5])).unwrap_err();
            assert!(matches!(error, HeadsError::Fork(_)), "{error}");
            later.accept(&log.signed(4, &[6])).unwrap();
        }
    }
}

#[test]
fn a_new_key_in_the_installation_is_not_believed_without_the_entry() {
    let home = user();
    let log = Log::rotating();
    let error = opened(&home, 6)
        .accept(&log.signed(2, &[6, 5]))
        .unwrap_err();
    assert!(matches!(error, HeadsError::OtherKey { .. }), "{error}");
    let mut forged = log.overlapping(2, &[6, 5]);
    forged.rotation.as_mut().unwrap().entry = rotated(2, 5, 7);
    let error = opened(&home, 7).accept(&forged).unwrap_err();
    assert!(matches!(error, HeadsError::Rotation(_)), "{error}");
    assert_eq!(opened(&home, 5).catch_up().unwrap(), 2, "nothing was kept");
}

#[test]
fn who_was_away_for_the_whole_overlap_is_told_what_to_compare_and_how_to_go_on() {
    let home = user();
    let log = Log::rotating();
    let error = opened(&home, 6).accept(&log.signed(2, &[6])).unwrap_err();
    let (old, new) = (key(5).verifier().to_string(), key(6).verifier().to_string());
    let said = error.to_string();
    assert!(matches!(error, HeadsError::KeyEnded { .. }), "{said}");
    assert!(
        said.contains(&old) && said.contains(&format!("`adopt-log-key {new}`")),
        "{said}"
    );
    // An unknown key is no missed change.
    let error = opened(&home, 6).accept(&log.signed(2, &[7])).unwrap_err();
    assert!(matches!(error, HeadsError::Fork(_)), "{error}");

    let adopted = adopt(home.path(), key(6).verifier().clone()).unwrap();
    assert_eq!(adopted.before, *key(5).verifier());
    let mut other = log.entries.clone();
    other[0] = b"x".to_vec();
    let forked = Log {
        key: key(6),
        entries: other,
    };
    let error = opened(&home, 6).accept(&forked.shown(2)).unwrap_err();
    assert!(
        matches!(error, HeadsError::Fork(Fork::Forked { .. })),
        "{error}"
    );
    opened(&home, 6).accept(&log.signed(2, &[6])).unwrap();
    let error = adopt(home.path(), key(5).verifier().clone()).unwrap_err();
    assert!(matches!(error, HeadsError::NotAdopted(_)), "{error}");
}

#[test]
fn nothing_is_adopted_where_nothing_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let error = adopt(home.path(), key(6).verifier().clone()).unwrap_err();
    assert!(matches!(error, HeadsError::NothingKept { .. }), "{error}");
}

#[test]
fn a_process_that_knows_the_old_key_only_follows_one_that_learned_the_new_one() {
    let home = user();
    let log = Log::rotating();
    let mut running = opened(&home, 5);
    opened(&home, 6)
        .accept(&log.overlapping(2, &[6, 5]))
        .unwrap();
    assert_eq!(running.catch_up().unwrap(), 2);
    assert_eq!(running.keeper.key(), key(5).verifier());
    let gap = running.gap().unwrap();
    assert_eq!(running.bridge(&log.consistency(gap)).unwrap(), 4);
    assert_eq!(running.keeper.key(), key(6).verifier());
}

#[test]
fn the_longer_head_is_gone_on_from_under_the_newer_key_whoever_has_which() {
    let home = user();
    let mut log = Log::rotating();
    let mut running = opened(&home, 5);
    opened(&home, 6)
        .accept(&log.overlapping(2, &[6, 5]))
        .unwrap();
    // It is told of the log's growth without the change of the key.
    log.entries.push(b"e".to_vec());
    running.accept(&log.signed(2, &[6, 5])).unwrap();
    assert_eq!(running.catch_up().unwrap(), 5);
    let gap = running.gap().unwrap();
    assert_eq!((gap.from, gap.to), (4, 5));
    assert_eq!(running.bridge(&log.consistency(gap)).unwrap(), 5);
    assert_eq!(running.keeper.key(), key(6).verifier());
    let kept = opened(&home, 6);
    assert_eq!(kept.keeper.key(), key(6).verifier());
    assert_eq!(kept.last().map(Checkpoint::size), Some(5));
}
