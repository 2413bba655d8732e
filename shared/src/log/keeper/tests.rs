use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::log::note::{NoteError, SignerKey};
use crate::log::proof::prove_consistency;
use crate::log::tree::{Frontier, leaf_hash};

const ORIGIN: &str = "example.com/log";

fn signer() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn keeper() -> HeadKeeper {
    HeadKeeper::new(ORIGIN, signer().verifier().clone()).unwrap()
}

/// A log that can answer for every size it ever had.
struct Log {
    heads: Vec<TreeHead>,
    nodes: HashMap<(u8, u64), Hash>,
}

impl Log {
    fn new(entries: &[u8]) -> Self {
        let mut frontier = Frontier::new();
        let mut heads = vec![frontier.head()];
        let mut nodes = HashMap::new();
        for entry in entries {
            for node in frontier.push(leaf_hash(&[*entry])).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
            heads.push(frontier.head());
        }
        Self { heads, nodes }
    }

    fn note(&self, size: usize) -> String {
        Checkpoint::new(ORIGIN, self.heads[size])
            .unwrap()
            .sign(&signer())
    }

    fn proof(&self, old: u64, new: u64) -> Vec<Hash> {
        let fetch = |level, index| self.nodes.get(&(level, index)).copied().ok_or(());
        prove_consistency(old, new, fetch).unwrap()
    }
}

#[test]
fn a_log_that_grows_is_followed() {
    let log = Log::new(&[0; 9]);
    let mut keeper = keeper();
    assert_eq!(keeper.size(), 0);
    assert_eq!(keeper.advance(&log.note(0), &[], 0), Ok(Advance::First));
    let grew = |from, to| Ok(Advance::Grew { from, to });
    assert_eq!(keeper.advance(&log.note(3), &[], 0), grew(0, 3));
    assert_eq!(keeper.advance(&log.note(3), &[], 3), Ok(Advance::Same));
    assert_eq!(
        keeper.advance(&log.note(9), &log.proof(3, 9), 3),
        grew(3, 9)
    );
    assert_eq!(keeper.last().map(Checkpoint::head), Some(&log.heads[9]));
    assert_eq!(keeper.note(), Some(log.note(9).as_str()));
}

#[test]
fn an_older_head_is_refused_and_the_kept_one_stays() {
    let log = Log::new(&[0; 9]);
    let mut keeper = keeper();
    assert_eq!(keeper.advance(&log.note(9), &[], 0), Ok(Advance::First));
    let before = keeper.clone();
    for size in 0..9 {
        let error = Fork::WentBack {
            origin: ORIGIN.to_owned(),
            kept: 9,
            found: u64::try_from(size).unwrap(),
        };
        assert_eq!(keeper.advance(&log.note(size), &[], 9), Err(error));
    }
    assert_eq!(keeper, before);
}

#[test]
fn two_roots_of_one_size_convict_the_log_whatever_the_proof() {
    let (log, other) = (Log::new(&[0, 1, 2]), Log::new(&[0, 1, 3]));
    let mut keeper = keeper();
    assert_eq!(keeper.advance(&log.note(3), &[], 0), Ok(Advance::First));
    for (proof, from) in [(vec![], 3), (vec![], 0), (log.proof(2, 3), 2)] {
        let error = keeper.advance(&other.note(3), &proof, from).unwrap_err();
        let Fork::Forked {
            evidence, source, ..
        } = error
        else {
            panic!("{error}");
        };
        assert!(matches!(source, ProofError::DifferentRoots { size: 3, .. }));
        assert_eq!(evidence.kept, log.note(3));
        assert_eq!(evidence.shown, other.note(3));
    }
    assert_eq!(keeper.note(), Some(log.note(3).as_str()));
}

#[test]
fn a_head_that_another_call_brought_already_is_no_fork_whatever_its_proof() {
    let log = Log::new(&[0; 8]);
    let mut keeper = keeper();
    assert_eq!(keeper.advance(&log.note(3), &[], 0), Ok(Advance::First));
    let grew = Advance::Grew { from: 3, to: 8 };
    assert_eq!(keeper.advance(&log.note(8), &log.proof(3, 8), 3), Ok(grew));
    // Two calls began at 3, and both were answered at 8.
    for (proof, from) in [(log.proof(3, 8), 3), (Vec::new(), 0), (Vec::new(), 8)] {
        let same = keeper.advance(&log.note(8), &proof, from);
        assert_eq!(same, Ok(Advance::Same));
    }
    assert_eq!(keeper.size(), 8);
}

#[test]
fn a_rewritten_tail_is_a_fork_with_either_histories_proof() {
    let (log, other) = (Log::new(&[0; 8]), Log::new(&[0, 0, 0, 0, 1, 0, 0, 0]));
    let mut keeper = keeper();
    assert_eq!(keeper.advance(&log.note(5), &[], 0), Ok(Advance::First));
    let before = keeper.clone();
    for proof in [log.proof(5, 8), other.proof(5, 8), Vec::new()] {
        let result = keeper.advance(&other.note(8), &proof, 5);
        assert!(matches!(result, Err(Fork::Forked { .. })), "{result:?}");
    }
    assert_eq!(keeper, before);
    assert!(keeper.advance(&log.note(8), &log.proof(5, 8), 5).is_ok());
}

#[test]
fn a_proof_from_another_size_says_nothing() {
    let log = Log::new(&[0; 8]);
    let mut keeper = keeper();
    let start = |kept, found| Err(Fork::OtherStart { kept, found });
    assert_eq!(
        keeper.advance(&log.note(3), &log.proof(2, 3), 2),
        start(0, 2)
    );
    assert_eq!(
        keeper.advance(&log.note(3), &[leaf_hash(b"")], 0),
        Err(Fork::ProofOfFirst { found: 1 })
    );
    assert_eq!(keeper.last(), None);
    assert_eq!(keeper.advance(&log.note(3), &[], 0), Ok(Advance::First));
    assert_eq!(
        keeper.advance(&log.note(8), &log.proof(4, 8), 4),
        start(3, 4)
    );
    assert_eq!(keeper.advance(&log.note(8), &[], 0), start(3, 0));
    assert_eq!(keeper.size(), 3);
}

#[test]
fn a_head_of_another_log_or_key_is_not_accepted() {
    let head = TreeHead::empty();
    let stranger = SignerKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    let unsigned = Checkpoint::new(ORIGIN, head).unwrap().sign(&stranger);
    let other = Checkpoint::new("other", head).unwrap().sign(&signer());
    let mut keeper = keeper();
    for (note, source) in [
        (
            unsigned,
            CheckpointError::Note(NoteError::Unsigned { known: 1 }),
        ),
        (
            other,
            CheckpointError::OtherLog {
                expected: ORIGIN.to_owned(),
            },
        ),
    ] {
        let error = Fork::NotSigned {
            origin: ORIGIN.to_owned(),
            source,
        };
        assert_eq!(keeper.advance(&note, &[], 0), Err(error));
    }
    assert_eq!(keeper.last(), None);
}

const GOLDEN: &str = "countersign kept head v1\n\
    origin example.com/log\n\
    key example.com/log+9be5d3c6+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n\n\
    example.com/log\n\
    1\n\
    lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=\n\n\
    \u{2014} example.com/log m+XTxhy0miV9wiT2PwONkmd7yAmpafTuBAetnq+iDx2dg3Hyh7Lb19Ga3rJOFPXmQfsqH3fT+ps81VScQ6cN04TSwAE=\n";

#[test]
fn the_file_of_a_keeper_is_this() {
    let log = Log::new(&[0]);
    let mut keeper = keeper();
    assert_eq!(HeadKeeper::from_text(&keeper.to_text()), Ok(keeper.clone()));
    assert_eq!(keeper.advance(&log.note(1), &[], 0), Ok(Advance::First));
    assert_eq!(keeper.to_text(), GOLDEN);
    assert_eq!(HeadKeeper::from_text(GOLDEN), Ok(keeper));
}

#[test]
fn a_file_that_no_keeper_wrote_is_refused() {
    let log = Log::new(&[0]);
    let mut keeper = keeper();
    assert_eq!(keeper.advance(&log.note(1), &[], 0), Ok(Advance::First));
    let good = keeper.to_text();
    for text in [
        String::new(),
        good.replace(" v1\n", " v2\n"),
        good.replace("origin ", ""),
        good.replace("origin example", "origin Example"),
        good.replace("key ", ""),
        good.replace("key example", "key Example"),
        good.replace("\n\nexample", "\nexample"),
        good.replace("\n\nexample", "\n\n\nexample"),
        good.replace("\n1\n", "\n2\n"),
        good.replace('\n', "\r\n"),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        format!("{}\n", self::keeper().to_text()),
        self::keeper().to_text().trim_end().to_owned(),
    ] {
        assert_ne!(text, good);
        assert!(HeadKeeper::from_text(&text).is_err(), "{text}");
    }
    assert_eq!(
        HeadKeeper::new("a\nb", signer().verifier().clone()),
        Err(CheckpointError::Origin)
    );
}

proptest! {
    #[test]
    fn whatever_sizes_an_honest_log_shows_it_is_never_called_forked(
        sizes in prop::collection::vec(0usize..40, 1..20),
    ) {
        let log = Log::new(&[7; 40]);
        let mut keeper = keeper();
        let mut newest = 0;
        for size in sizes {
            let to = u64::try_from(size).unwrap();
            let from = keeper.size();
            let proof = if from <= to { log.proof(from, to) } else { Vec::new() };
            match keeper.advance(&log.note(size), &proof, from) {
                Ok(_) => newest = newest.max(to),
                Err(Fork::WentBack { .. }) => prop_assert!(to < from),
                Err(fork) => prop_assert!(false, "{fork}"),
            }
            prop_assert_eq!(keeper.size(), newest);
            keeper = HeadKeeper::from_text(&keeper.to_text()).unwrap();
        }
    }

    #[test]
    fn a_log_that_changed_a_seen_entry_is_never_followed(
        (kept, shown, changed) in (1usize..40).prop_flat_map(|k| (Just(k), k..40, 0..k)),
    ) {
        let log = Log::new(&[7; 40]);
        let mut entries = [7; 40];
        entries[changed] = 8;
        let other = Log::new(&entries);
        let mut keeper = keeper();
        prop_assert_eq!(keeper.advance(&log.note(kept), &[], 0), Ok(Advance::First));
        let (from, to) = (u64::try_from(kept).unwrap(), u64::try_from(shown).unwrap());
        for proof in [log.proof(from, to), other.proof(from, to)] {
            let result = keeper.advance(&other.note(shown), &proof, from);
            let forked = matches!(result, Err(Fork::Forked { .. }));
            prop_assert!(forked, "{:?}", result);
        }
    }
}
