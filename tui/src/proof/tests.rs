//! A small log, proven as it is and with each part of the proof damaged.

use std::convert::Infallible;

use countersign_client::private::Lasting;
use countersign_client::shown::ShownHead;
use countersign_shared::log::entry::{Actor, ActorKind, Body, LogEvent, Separation, Sync};
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::proof::{prove_consistency, prove_inclusion};
use countersign_shared::log::tree::{Frontier, TreeHead};
use countersign_shared::time::{BootId, Moment, Timestamp};

use super::*;

const ORIGIN: &str = "countersign/test";

fn entry(seq: u64) -> Vec<u8> {
    Entry {
        log: ORIGIN.to_owned(),
        seq,
        now: Moment {
            wall: Timestamp::from_millis(1_795_262_400_000),
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
        body: Body::Log(LogEvent::DaemonStopped {}),
    }
    .to_bytes()
    .unwrap()
}

fn head_of(from: u64, to: u64) -> TreeHead {
    let mut frontier = Frontier::default();
    for seq in from..to {
        let _nodes = frontier.push(leaf_hash(&entry(seq))).unwrap();
    }
    frontier.head()
}

fn node(level: u8, index: u64) -> Hash {
    let width = 1u64 << level;
    head_of(index * width, (index + 1) * width).root
}

fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[5; 32]).unwrap()
}

fn inclusion(seq: u64, size: u64, known: u64) -> Inclusion {
    let nodes = |level, index| Ok::<_, Infallible>(node(level, index));
    let note = Checkpoint::new(ORIGIN, head_of(0, size))
        .unwrap()
        .sign(&key());
    Inclusion {
        index: seq,
        entry: entry(seq),
        proof: prove_inclusion(seq, size, nodes).unwrap(),
        head: ShownHead {
            note,
            proof: prove_consistency(known, size, nodes).unwrap(),
            from: known,
            rotation: None,
        },
    }
}

fn checked(known: u64, size: u64, damage: impl FnOnce(&mut Inclusion)) -> Proof {
    let home = tempfile::tempdir().unwrap();
    let key = key().verifier().clone();
    let mut heads = Heads::open(home.path(), key, Lasting::PowerCut).unwrap();
    if known > 0 {
        heads.hold(&inclusion(0, known, 0)).unwrap();
    }
    let mut shown = inclusion(3, size, known);
    damage(&mut shown);
    Proof::check(&mut heads, 3, &leaf_hash(&entry(3)), &shown)
}

fn failed_at(proof: &Proof) -> Option<usize> {
    proof
        .steps
        .iter()
        .position(|step| matches!(step.outcome, Outcome::Failed(_)))
}

#[test]
fn an_entry_that_is_in_the_log_is_verified_and_every_step_says_so() {
    let proof = checked(5, 9, |_| {});
    assert!(proof.is_verified(), "{proof:?}");
    assert!(!proof.is_alarm());
    let says = "VERIFIED: entry 3 is in the log of 9 entries, head signed by countersign/test; \
                it extends the head this console held at 5";
    assert_eq!(proof.says.as_str(), says);
    assert!(
        checked(9, 9, |_| {})
            .says
            .as_str()
            .ends_with("it is the head this console held")
    );
    assert!(
        checked(0, 9, |_| {})
            .says
            .as_str()
            .ends_with("it is the first head this console holds")
    );
}

#[test]
fn every_damage_is_found_at_its_step_and_nothing_after_it_counts() {
    type Damage = fn(&mut Inclusion);
    let damages: [(&str, usize, Damage); 7] = [
        ("another entry", 0, |shown| shown.entry = entry(4)),
        ("another place", 0, |shown| shown.index = 4),
        ("no entry", 0, |shown| shown.entry.clear()),
        ("another signature", 1, |shown| {
            shown.head.note = shown.head.note.replace("— ", "— other");
        }),
        ("a hash too few", 2, |shown| {
            shown.proof.pop();
        }),
        ("another hash", 2, |shown| {
            shown.proof[0] = leaf_hash(b"other");
        }),
        ("another past", 3, |shown| {
            shown.head.proof[0] = leaf_hash(b"other");
        }),
    ];
    for (name, step, damage) in damages {
        let proof = checked(5, 9, damage);
        assert!(!proof.is_verified(), "{name}");
        assert!(proof.is_alarm(), "{name}");
        assert_eq!(failed_at(&proof), Some(step), "{name}: {proof:?}");
        assert_eq!(proof.steps.len(), 4);
        assert!(
            proof.steps[step + 1..]
                .iter()
                .all(|step| step.outcome == Outcome::NotReached)
        );
        assert!(proof.says.as_str().starts_with("NOT VERIFIED"), "{name}");
    }
}

#[test]
fn a_shorter_log_than_was_kept_is_not_verified() {
    let home = tempfile::tempdir().unwrap();
    let key = key().verifier().clone();
    let mut heads = Heads::open(home.path(), key, Lasting::PowerCut).unwrap();
    heads.hold(&inclusion(0, 9, 0)).unwrap();
    let proof = Proof::check(&mut heads, 3, &leaf_hash(&entry(3)), &inclusion(3, 5, 0));
    assert!(!proof.is_verified());
    assert_eq!(failed_at(&proof), Some(3), "{proof:?}");
}

#[test]
fn what_could_not_be_asked_for_is_not_verified() {
    let proof = Proof::missing("the daemon is not connected");
    assert!(!proof.is_verified());
    assert_eq!(
        proof.failure().unwrap().as_str(),
        "the daemon is not connected"
    );
}

#[test]
fn numbers_are_grouped_from_their_end() {
    for (number, text) in [
        (0, "0"),
        (812, "812"),
        (1_204, "1,204"),
        (1_000_000, "1,000,000"),
    ] {
        assert_eq!(grouped(number), text);
    }
}
