use proptest::prelude::*;

use super::*;
use crate::log::entry::{Actor, ActorKind, Separation, Sync};
use crate::log::note::SignerKey;
use crate::log::tree::{Frontier, leaf_hash};
use crate::time::{BootId, Moment};

const ORIGIN: &str = "countersign/test";

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

fn vkey(seed: u8) -> String {
    key(seed).verifier().to_string()
}

fn entry(seq: u64, wall: i64, event: LogEvent) -> Entry {
    Entry {
        log: ORIGIN.to_owned(),
        seq,
        now: Moment {
            wall: Timestamp::from_millis(wall),
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
    }
}

fn rotated(seq: u64, old: u8, new: u8) -> Entry {
    let event = LogEvent::KeyRotated {
        old: vkey(old),
        new: vkey(new),
        until: Timestamp::from_millis(5000),
        reason: "yearly".to_owned(),
    };
    entry(seq, 1000, event)
}

fn retired(seq: u64, wall: i64, old: u8, head: String, reason: Option<&str>) -> Entry {
    let event = LogEvent::KeyRetired {
        vkey: vkey(old),
        head,
        reason: reason.map(str::to_owned),
    };
    entry(seq, wall, event)
}

fn head(size: u64) -> TreeHead {
    let mut frontier = Frontier::new();
    for at in 0..size {
        drop(frontier.push(leaf_hash(&at.to_be_bytes())).unwrap());
    }
    frontier.head()
}

fn note(size: u64, signers: &[u8]) -> String {
    let head = Checkpoint::new(ORIGIN, head(size)).unwrap();
    let (first, others) = signers.split_first().unwrap();
    let others: Vec<_> = others.iter().map(|seed| key(*seed)).collect();
    head.sign_with(&key(*first), &others)
}

fn keys() -> LogKeys {
    LogKeys::begin(ORIGIN, key(1).verifier().clone()).unwrap()
}

fn rotating() -> LogKeys {
    let mut keys = keys();
    keys.take(&rotated(4, 1, 2)).unwrap();
    keys
}

#[test]
fn each_head_is_signed_by_the_keys_of_its_size_and_no_other() {
    let mut keys = rotating();
    assert!(keys.open(&note(4, &[1])).is_ok());
    assert!(keys.open(&note(5, &[2, 1])).is_ok());
    for alone in [1, 2] {
        let error = keys.open(&note(5, &[alone])).unwrap_err();
        assert!(
            matches!(error, KeysError::Missing { size: 5, .. }),
            "{error}"
        );
    }
    let early = keys.open(&note(4, &[1, 2])).unwrap_err();
    assert!(
        matches!(early, KeysError::OutOfTime { size: 4, .. }),
        "{early}"
    );
    let end = retired(9, 6000, 1, note(9, &[2, 1]), None);
    assert_eq!(keys.take(&end), Ok(Some(head(9))));
    assert!(keys.open(&note(9, &[2, 1])).is_ok());
    assert!(keys.open(&note(10, &[2])).is_ok());
    let late = keys.open(&note(10, &[1])).unwrap_err();
    assert!(
        matches!(late, KeysError::Missing { size: 10, .. }),
        "{late}"
    );
    let both = keys.open(&note(10, &[2, 1])).unwrap_err();
    assert!(
        matches!(both, KeysError::OutOfTime { size: 10, .. }),
        "{both}"
    );
    assert!(keys.open(&note(10, &[3])).is_err());
    assert!(keys.ending().is_none());
}

#[test]
fn a_head_kept_elsewhere_needs_one_key_of_its_size() {
    let mut keys = rotating();
    keys.take(&retired(9, 6000, 1, note(9, &[2, 1]), None))
        .unwrap();
    for (size, signer) in [(4, 1), (5, 1), (5, 2), (9, 1), (10, 2)] {
        assert!(
            keys.open_kept(&note(size, &[signer])).is_ok(),
            "{size} {signer}"
        );
    }
    for (size, signer) in [(4, 2), (10, 1), (3, 3)] {
        assert!(
            keys.open_kept(&note(size, &[signer])).is_err(),
            "{size} {signer}"
        );
    }
}

#[test]
fn a_rotation_begins_with_the_key_in_force_and_waits_for_the_one_before() {
    let mut keys = keys();
    assert!(matches!(
        keys.take(&rotated(4, 2, 3)),
        Err(KeysError::NotInForce { .. })
    ));
    assert_eq!(keys.take(&rotated(4, 1, 1)), Err(KeysError::Again));
    keys.take(&rotated(4, 1, 2)).unwrap();
    assert!(matches!(
        keys.take(&rotated(5, 2, 3)),
        Err(KeysError::Overlapping { .. })
    ));
    keys.take(&retired(6, 1000, 1, note(6, &[1, 2]), Some("lost")))
        .unwrap();
    assert_eq!(keys.take(&rotated(7, 2, 1)), Err(KeysError::Again));
    keys.take(&rotated(7, 2, 3)).unwrap();
    assert_eq!(keys.current(), Some(key(3).verifier()));
}

#[test]
fn a_key_ends_with_a_head_that_both_signed_and_not_before_its_time_without_a_reason() {
    let refused = |end: Entry| rotating().take(&end).unwrap_err();
    let early = refused(retired(9, 4999, 1, note(9, &[2, 1]), None));
    assert!(matches!(early, KeysError::TooEarly { .. }), "{early}");
    let forged = refused(retired(9, 6000, 1, note(9, &[2]), None));
    assert!(matches!(forged, KeysError::Missing { .. }), "{forged}");
    let before = refused(retired(9, 6000, 1, note(4, &[1]), None));
    assert!(
        matches!(before, KeysError::Handover { from: 5, .. }),
        "{before}"
    );
    let ahead = refused(retired(9, 6000, 1, note(10, &[1, 2]), None));
    assert!(
        matches!(ahead, KeysError::Handover { to: 9, .. }),
        "{ahead}"
    );
    let other = refused(retired(9, 6000, 2, note(9, &[2, 1]), None));
    assert_eq!(other, KeysError::NotEnding);
    let idle = keys().take(&retired(9, 6000, 1, note(9, &[1]), None));
    assert_eq!(idle, Err(KeysError::NotEnding));
}

#[test]
fn the_entries_have_these_bytes_for_ever() {
    let rotated = String::from_utf8(rotated(4, 1, 2).to_bytes().unwrap()).unwrap();
    assert_eq!(
        rotated,
        include_str!("../../../testdata/key-rotated.json").trim_end()
    );
    let retired = retired(9, 6000, 1, note(9, &[2, 1]), None);
    let bytes = String::from_utf8(retired.to_bytes().unwrap()).unwrap();
    assert_eq!(
        bytes,
        include_str!("../../../testdata/key-retired.json").trim_end()
    );
    assert_eq!(Entry::read(bytes.as_bytes()), Ok(retired));
}

/// What a log does next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Entry,
    Rotate,
    Retire,
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![4 => Just(Next::Entry), 1 => Just(Next::Rotate), 1 => Just(Next::Retire)]
}

proptest! {
    #[test]
    fn rotations_at_any_place_leave_one_or_two_keys_and_every_head_opens(
        steps in proptest::collection::vec(next(), 1..60)
    ) {
        let mut keys = keys();
        let mut signers: Vec<u8> = vec![1];
        let mut heads = vec![(0, signers.clone())];
        let mut newest = 1;
        for (step, seq) in steps.into_iter().zip(0u64..) {
            match step {
                Next::Entry => {}
                Next::Rotate => {
                    let done = keys.take(&rotated(seq, signers[0], newest + 1));
                    prop_assert_eq!(done.is_ok(), signers.len() == 1);
                    if done.is_ok() {
                        newest += 1;
                        signers.insert(0, newest);
                    }
                }
                Next::Retire => {
                    let old = *signers.last().unwrap();
                    let end = retired(seq, 6000, old, note(seq, &signers), None);
                    let done = keys.take(&end);
                    prop_assert_eq!(done.is_ok(), signers.len() == 2);
                    if done.is_ok() {
                        signers.pop();
                    }
                }
            }
            heads.push((seq + 1, signers.clone()));
        }
        for (size, signers) in &heads {
            prop_assert!(keys.open(&note(*size, signers)).is_ok(), "{} {:?}", size, signers);
            for other in 1..=newest {
                let opens = keys.open(&note(*size, &[other])).is_ok();
                prop_assert_eq!(opens, *signers == [other], "{} {}", size, other);
                let kept = keys.open_kept(&note(*size, &[other])).is_ok();
                prop_assert_eq!(kept, signers.contains(&other), "{} {}", size, other);
            }
        }
    }
}
