use super::*;
use crate::log::checkpoint::Checkpoint;
use crate::log::entry::{Actor, ActorKind, Separation, Sync};
use crate::log::keeper::{Advance, Fork};
use crate::log::note::SignerKey;
use crate::log::proof::{prove_consistency, prove_inclusion};
use crate::log::tree::{Frontier, TreeHead};
use crate::time::{BootId, Moment, Timestamp};
use std::collections::HashMap;

const ORIGIN: &str = "countersign/test";

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
    entry(seq, event)
}

fn entry(seq: u64, event: LogEvent) -> Vec<u8> {
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

struct Log {
    entries: Vec<Vec<u8>>,
    heads: Vec<TreeHead>,
    nodes: HashMap<(u8, u64), Hash>,
}

impl Log {
    fn new(entries: Vec<Vec<u8>>) -> Self {
        let mut frontier = Frontier::new();
        let mut heads = vec![frontier.head()];
        let mut nodes = HashMap::new();
        for entry in &entries {
            for node in frontier.push(leaf_hash(entry)).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
            heads.push(frontier.head());
        }
        Self {
            entries,
            heads,
            nodes,
        }
    }

    /// Three entries, the change of key, three more.
    fn rotating() -> Self {
        let plain = |seq| entry(seq, LogEvent::DaemonStopped {});
        let mut entries: Vec<_> = (0..7).map(plain).collect();
        entries[3] = rotated(3, 1, 2);
        Self::new(entries)
    }

    fn note(&self, size: usize, signers: &[u8]) -> String {
        let head = Checkpoint::new(ORIGIN, self.heads[size]).unwrap();
        let (first, others) = signers.split_first().unwrap();
        let others: Vec<_> = others.iter().map(|seed| key(*seed)).collect();
        head.sign_with(&key(*first), &others)
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        prove_consistency(old, new, |level, at| {
            self.nodes.get(&(level, at)).copied().ok_or(())
        })
        .unwrap()
    }

    fn inclusion(&self, at: u64, size: u64) -> Vec<Hash> {
        prove_inclusion(at, size, |level, at| {
            self.nodes.get(&(level, at)).copied().ok_or(())
        })
        .unwrap()
    }

    /// A keeper of the old key that has seen the log before the change, and a head behind it.
    fn overlapping(&self, size: u64, signers: &[u8]) -> HeadKeeper {
        let mut keeper = HeadKeeper::new(ORIGIN, key(1).verifier().clone()).unwrap();
        assert_eq!(
            keeper.advance(&self.note(2, &[1]), &[], 0),
            Ok(Advance::First)
        );
        let at = usize::try_from(size).unwrap();
        let grew = keeper.advance(&self.note(at, signers), &self.consistency(2, size), 2);
        assert_eq!(grew, Ok(Advance::Grew { from: 2, to: size }));
        keeper
    }

    fn learn(&self, keeper: &mut HeadKeeper, at: u64) -> Result<bool, RotationError> {
        let entry = &self.entries[usize::try_from(at).unwrap()];
        keeper.learn(at, entry, &self.inclusion(at, keeper.size()))
    }
}

#[test]
fn the_next_key_is_learned_under_a_head_of_the_old_one_and_then_demanded() {
    let log = Log::rotating();
    let mut keeper = log.overlapping(5, &[2, 1]);
    assert_eq!(log.learn(&mut keeper, 3), Ok(true));
    assert_eq!(log.learn(&mut keeper, 3), Ok(false));
    assert_eq!(keeper.key(), key(2).verifier());
    assert!(keeper.knows(key(1).verifier()));
    let proof = log.consistency(5, 7);
    let old_alone = keeper.advance(&log.note(7, &[1]), &proof, 5);
    assert!(
        matches!(old_alone, Err(Fork::NotSigned { .. })),
        "{old_alone:?}"
    );
    assert!(keeper.advance(&log.note(7, &[2]), &proof, 5).is_ok());
    let stored = HeadKeeper::from_text(&keeper.to_text()).unwrap();
    assert_eq!(stored, keeper);
}

#[test]
fn a_change_of_key_counts_only_under_a_head_that_both_keys_signed() {
    let log = Log::rotating();
    let mut keeper = HeadKeeper::new(ORIGIN, key(1).verifier().clone()).unwrap();
    assert_eq!(
        keeper.learn(3, &log.entries[3], &[]),
        Err(RotationError::NoHead)
    );
    let mut keeper_of_old = log.overlapping(5, &[1]);
    let error = log.learn(&mut keeper_of_old, 3).unwrap_err();
    assert!(matches!(error, RotationError::NotSigned(_)), "{error}");
    assert_eq!(keeper_of_old.key(), key(1).verifier());
    let mut keeper = log.overlapping(5, &[2, 1]);
    let forged = rotated(3, 1, 9);
    let error = keeper.learn(3, &forged, &log.inclusion(3, 5)).unwrap_err();
    assert!(matches!(error, RotationError::Inclusion(_)), "{error}");
    assert_eq!(log.learn(&mut keeper, 2), Err(RotationError::NotARotation));
}

#[test]
fn a_change_that_begins_with_another_key_is_not_ours() {
    let plain = |seq| entry(seq, LogEvent::DaemonStopped {});
    for (old, new) in [(3, 2), (1, 1)] {
        let log = Log::new(vec![plain(0), plain(1), rotated(2, old, new), plain(3)]);
        let mut keeper = log.overlapping(4, &[1, 2, 3]);
        assert_eq!(log.learn(&mut keeper, 2), Err(RotationError::OtherKey));
        assert_eq!(keeper.key(), key(1).verifier());
    }
}

#[test]
fn a_head_of_before_the_change_that_comes_late_is_an_older_one() {
    let log = Log::rotating();
    let mut keeper = log.overlapping(5, &[2, 1]);
    log.learn(&mut keeper, 3).unwrap();
    let late = keeper.advance(&log.note(3, &[1]), &log.consistency(2, 3), 2);
    assert!(
        matches!(late, Err(Fork::WentBack { found: 3, .. })),
        "{late:?}"
    );
}

#[test]
fn who_missed_the_change_adopts_the_key_and_still_sees_a_fork() {
    let log = Log::rotating();
    let mut keeper = HeadKeeper::new(ORIGIN, key(1).verifier().clone()).unwrap();
    assert!(keeper.advance(&log.note(2, &[1]), &[], 0).is_ok());
    let proof = log.consistency(2, 7);
    let refused = keeper.advance(&log.note(7, &[2]), &proof, 2);
    assert!(
        matches!(refused, Err(Fork::NotSigned { .. })),
        "{refused:?}"
    );
    keeper.adopt(key(2).verifier().clone()).unwrap();
    let mut keeper = HeadKeeper::from_text(&keeper.to_text()).unwrap();
    let mut forged = log.entries.clone();
    forged[0] = entry(
        0,
        LogEvent::DaemonStarted {
            software: "x".to_owned(),
        },
    );
    let other = Log::new(forged);
    let fork = keeper.advance(&other.note(7, &[2]), &other.consistency(2, 7), 2);
    assert!(matches!(fork, Err(Fork::Forked { .. })), "{fork:?}");
    assert!(keeper.advance(&log.note(7, &[2]), &proof, 2).is_ok());
    let back = keeper.adopt(key(1).verifier().clone());
    assert!(
        matches!(back, Err(RotationError::GivenUp { .. })),
        "a key that was given up stays given up"
    );
    let foreign = SignerKey::from_seed("other", &[2; 32]).unwrap();
    let other = keeper.adopt(foreign.verifier().clone());
    assert!(
        matches!(other, Err(RotationError::GivenUp { .. })),
        "{other:?}"
    );
}
