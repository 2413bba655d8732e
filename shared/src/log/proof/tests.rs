use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use ct_merkle_sha2::Sha256;
use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::log::tree::{Frontier, leaf_hash};

/// The leaves 0, 1, 2, … of one byte each, and every complete node over them.
struct Nodes(HashMap<(u8, u64), Hash>);

impl Nodes {
    fn new(size: u8) -> Self {
        let mut frontier = Frontier::new();
        let mut nodes = HashMap::new();
        for byte in 0..size {
            for node in frontier.push(leaf_hash(&[byte])).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
        }
        Self(nodes)
    }

    fn get(&self, level: u8, index: u64) -> Result<Hash, ()> {
        self.0.get(&(level, index)).copied().ok_or(())
    }

    fn range(&self, start: u64, end: u64) -> Hash {
        let Some(range) = NodeRange::new(start, end) else {
            return empty_root();
        };
        range.hash(|level, index| self.get(level, index)).unwrap()
    }

    fn head(&self, size: u64) -> TreeHead {
        let root = root_at(size, |level, index| self.get(level, index)).unwrap();
        TreeHead { size, root }
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        prove_inclusion(index, size, |l, i| self.get(l, i)).unwrap()
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        prove_consistency(old, new, |l, i| self.get(l, i)).unwrap()
    }
}

fn is_subtree(start: u64, end: u64) -> bool {
    start == end || NodeRange::new(start, end).is_some()
}

fn line(mut text: String, hashes: &[Hash]) -> String {
    for hash in hashes {
        write!(text, " {hash}").unwrap();
    }
    text.push('\n');
    text
}

/// The proof that `start..end` is a subtree of the tree of the first `size` leaves, by the
/// recursive definition; `consistency_nodes` is its case `start == 0`.
fn subtree_proof(nodes: &Nodes, start: u64, end: u64, (from, to): (u64, u64)) -> Vec<Hash> {
    let mut proof = Vec::new();
    let (mut from, mut to, mut start) = (from, to, start);
    let mut known = true;
    while (start, end) != (from, to) {
        let middle = from + split(to - from);
        if end <= middle {
            proof.push(nodes.range(middle, to));
            to = middle;
        } else {
            proof.push(nodes.range(from, middle));
            known = known && middle <= start;
            start = start.max(middle);
            from = middle;
        }
    }
    if !known {
        proof.push(nodes.range(start, end));
    }
    proof.reverse();
    proof
}

// The three digests are those of appendix C.1 of draft-ietf-plants-merkle-tree-certs: every output
// for every tree of up to 130 leaves, one line each, under one SHA-256.

#[test]
fn all_subtree_hashes_up_to_130_leaves_are_those_of_the_draft() {
    let nodes = Nodes::new(130);
    let mut text = String::new();
    for end in 0..=130 {
        for start in (0..=end).filter(|start| is_subtree(*start, end)) {
            writeln!(text, "[{start}, {end}) {}", nodes.range(start, end)).unwrap();
        }
    }
    assert_eq!(
        Digest::of(text.as_bytes()).to_hex(),
        "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81"
    );
}

#[test]
fn all_inclusion_proofs_up_to_130_leaves_are_those_of_the_draft() {
    let nodes = Nodes::new(130);
    let mut text = String::new();
    for end in 0..=130 {
        for start in (0..=end).filter(|start| is_subtree(*start, end)) {
            for index in start..end {
                let proof: Vec<Hash> = inclusion_nodes(index - start, end - start)
                    .unwrap()
                    .iter()
                    .map(|range| nodes.range(range.start() + start, range.end() + start))
                    .collect();
                if start == 0 {
                    assert_eq!(proof, nodes.inclusion(index, end));
                }
                text.push_str(&line(format!("{index} [{start}, {end})"), &proof));
            }
        }
    }
    assert_eq!(
        Digest::of(text.as_bytes()).to_hex(),
        "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"
    );
}

#[test]
fn all_consistency_proofs_up_to_130_leaves_are_those_of_the_draft() {
    let nodes = Nodes::new(130);
    let mut text = String::new();
    for size in 0..=130 {
        for end in 0..=size {
            for start in (0..=end).filter(|start| is_subtree(*start, end)) {
                let proof = if start == end {
                    Vec::new()
                } else if start == 0 {
                    nodes.consistency(end, size)
                } else {
                    subtree_proof(&nodes, start, end, (0, size))
                };
                text.push_str(&line(format!("[{start}, {end}) {size}"), &proof));
            }
        }
    }
    assert_eq!(
        Digest::of(text.as_bytes()).to_hex(),
        "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74"
    );
}

#[test]
fn every_proof_up_to_65_leaves_verifies() {
    let nodes = Nodes::new(65);
    for size in 0..=65 {
        let head = nodes.head(size);
        for index in 0..size {
            let leaf = nodes.range(index, index + 1);
            let proof = nodes.inclusion(index, size);
            assert_eq!(verify_inclusion(&leaf, index, &head, &proof), Ok(()));
        }
        for old in 0..=size {
            let proof = nodes.consistency(old, size);
            assert_eq!(verify_consistency(&nodes.head(old), &head, &proof), Ok(()));
        }
    }
}

#[test]
fn a_tree_without_leaves_has_one_root_only() {
    let good = TreeHead::empty();
    let root = leaf_hash(b"x");
    let bad = TreeHead { size: 0, root };
    let one = TreeHead { size: 1, root };
    assert_eq!(verify_consistency(&good, &good, &[]), Ok(()));
    assert_eq!(verify_consistency(&good, &one, &[]), Ok(()));
    for (old, new) in [(bad, bad), (bad, good), (good, bad), (bad, one)] {
        let error = Err(ProofError::EmptyRoot { root });
        assert_eq!(verify_consistency(&old, &new, &[]), error);
    }
    assert_eq!(
        verify_consistency(&good, &one, &[root]),
        Err(ProofError::Length {
            expected: 0,
            found: 1
        })
    );
}

#[test]
fn equal_sizes_need_equal_roots_and_no_proof() {
    let nodes = Nodes::new(9);
    let head = nodes.head(9);
    let other = TreeHead {
        root: leaf_hash(b"x"),
        ..head
    };
    assert_eq!(verify_consistency(&head, &head, &[]), Ok(()));
    assert!(matches!(
        verify_consistency(&head, &head, &[head.root]),
        Err(ProofError::Length { expected: 0, .. })
    ));
    assert!(matches!(
        verify_consistency(&head, &other, &[]),
        Err(ProofError::DifferentRoots { size: 9, .. })
    ));
}

#[test]
fn questions_without_an_answer_are_refused() {
    let nodes = Nodes::new(4);
    let head = nodes.head(4);
    let past = ProofError::OutOfTree { index: 4, size: 4 };
    let shrunk = ProofError::Shrunk { old: 4, new: 3 };
    let leaf = leaf_hash(b"x");
    assert_eq!(verify_inclusion(&leaf, 4, &head, &[]), Err(past.clone()));
    assert_eq!(
        verify_inclusion(&leaf, 0, &TreeHead::empty(), &[]),
        Err(ProofError::OutOfTree { index: 0, size: 0 })
    );
    assert_eq!(
        verify_consistency(&head, &nodes.head(3), &[]),
        Err(shrunk.clone())
    );
    let fetch = |level, index| nodes.get(level, index);
    assert_eq!(
        prove_inclusion(4, 4, fetch),
        Err(ProveError::Impossible(past))
    );
    assert_eq!(
        prove_consistency(4, 3, fetch),
        Err(ProveError::Impossible(shrunk))
    );
}

#[test]
fn a_node_that_cannot_be_read_is_named() {
    let result = prove_inclusion(0, 3, |level, _| {
        if level == 0 {
            Err("gone")
        } else {
            Ok(empty_root())
        }
    });
    let error = ProveError::Node {
        level: 0,
        index: 1,
        source: "gone",
    };
    assert_eq!(result, Err(error));
}

#[test]
fn ranges_that_are_no_subtree_are_refused() {
    for (start, end) in [
        (0, 0),
        (5, 5),
        (2, 1),
        (1, 3),
        (2, 5),
        (4, 9),
        (1, u64::MAX),
    ] {
        assert_eq!(NodeRange::new(start, end), None, "{start} {end}");
    }
    let range = NodeRange::new(8, 15).unwrap();
    assert_eq!(range.complete_nodes(), [(2, 2), (1, 6), (0, 14)]);
}

#[test]
fn the_largest_trees_are_proven_without_overflow() {
    let fetch = |_: u8, _: u64| Ok::<_, Infallible>(empty_root());
    for size in [u64::MAX, u64::MAX >> 1, (1 << 63) + 1, 1 << 63] {
        for index in [0, size / 2, size - 1] {
            assert!(prove_inclusion(index, size, fetch).unwrap().len() <= 64);
            assert!(prove_consistency(index, size, fetch).unwrap().len() <= 65);
        }
    }
}

type Oracle = MemoryBackedTree<Sha256, [u8; 1]>;

fn oracle(size: u8) -> Oracle {
    let mut tree = Oracle::new();
    (0..size).for_each(|byte| tree.push([byte]));
    tree
}

fn concat(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn their_root(head: &TreeHead) -> RootHash<Sha256> {
    RootHash::new((*head.root.as_bytes()).into(), head.size)
}

#[test]
fn ct_merkle_makes_the_same_roots_and_proofs() {
    let nodes = Nodes::new(70);
    for size in 1..=70u8 {
        let theirs = oracle(size);
        assert_eq!(theirs.root(), their_root(&nodes.head(size.into())));
        for index in 0..size {
            let proof = concat(&nodes.inclusion(index.into(), size.into()));
            assert_eq!(theirs.prove_inclusion(index.into()).as_bytes(), proof);
            if index > 0 {
                let proof = concat(&nodes.consistency(index.into(), size.into()));
                let added = usize::from(size - index);
                assert_eq!(theirs.prove_consistency(added).as_bytes(), proof);
            }
        }
    }
}

fn flipped(hash: &Hash, bit: u8) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

proptest! {
    #[test]
    fn an_inclusion_proof_proves_only_its_own_leaf(
        (size, index, other) in (1u8..130).prop_flat_map(|n| (Just(n), 0..n, 0..n)),
        bit: u8,
        place: prop::sample::Index,
    ) {
        let nodes = Nodes::new(size);
        let head = nodes.head(size.into());
        let index = u64::from(index);
        let leaf = nodes.range(index, index + 1);
        let proof = nodes.inclusion(index, size.into());
        prop_assert_eq!(verify_inclusion(&leaf, index, &head, &proof), Ok(()));
        if u64::from(other) != index {
            prop_assert!(verify_inclusion(&leaf, other.into(), &head, &proof).is_err());
        }
        prop_assert!(verify_inclusion(&flipped(&leaf, bit), index, &head, &proof).is_err());
        let wrong = TreeHead { root: flipped(&head.root, bit), ..head };
        prop_assert!(verify_inclusion(&leaf, index, &wrong, &proof).is_err());
        prop_assert!(verify_inclusion(&leaf, index, &head, &[proof.clone(), vec![leaf]].concat()).is_err());
        if !proof.is_empty() {
            let at = place.index(proof.len());
            let mut bad = proof;
            bad[at] = flipped(&bad[at], bit);
            prop_assert!(verify_inclusion(&leaf, index, &head, &bad).is_err());
            bad.remove(at);
            prop_assert!(verify_inclusion(&leaf, index, &head, &bad).is_err());
        }
    }

    #[test]
    fn a_consistency_proof_proves_only_its_own_trees(
        (new, old) in (1u8..130).prop_flat_map(|n| (Just(n), 1..=n)),
        bit: u8,
        place: prop::sample::Index,
    ) {
        let nodes = Nodes::new(new);
        let (old, new) = (nodes.head(old.into()), nodes.head(new.into()));
        let proof = nodes.consistency(old.size, new.size);
        prop_assert_eq!(verify_consistency(&old, &new, &proof), Ok(()));
        let wrong = TreeHead { root: flipped(&old.root, bit), ..old };
        prop_assert!(verify_consistency(&wrong, &new, &proof).is_err());
        let wrong = TreeHead { root: flipped(&new.root, bit), ..new };
        prop_assert!(verify_consistency(&old, &wrong, &proof).is_err());
        prop_assert!(verify_consistency(&old, &new, &[proof.clone(), vec![old.root]].concat()).is_err());
        if !proof.is_empty() {
            let at = place.index(proof.len());
            let mut bad = proof;
            bad[at] = flipped(&bad[at], bit);
            prop_assert!(verify_consistency(&old, &new, &bad).is_err());
            bad.remove(at);
            prop_assert!(verify_consistency(&old, &new, &bad).is_err());
        }
    }

    // A size alone is not bound by a proof: leaf 0 is proven alike in trees of 3 and of 4 leaves
    // with one root. The signature on the head binds it; here it is enough to judge as others do.
    #[test]
    fn ct_merkle_judges_shifted_sizes_and_indices_alike(
        (size, index) in (1u8..130).prop_flat_map(|n| (Just(n), 0..n)),
        claimed in 1u64..140,
        claimed_index in 0u64..140,
    ) {
        let nodes = Nodes::new(size);
        let proof = nodes.inclusion(index.into(), size.into());
        let head = TreeHead { size: claimed, root: nodes.head(size.into()).root };
        let ours = verify_inclusion(&leaf_hash(&[index]), claimed_index, &head, &proof);
        let theirs = InclusionProof::<Sha256>::try_from_bytes(concat(&proof)).unwrap();
        let theirs = their_root(&head).verify_inclusion(&[index], claimed_index, &theirs);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());

        let old = TreeHead { size: claimed_index.max(1), root: nodes.head(u64::from(index) + 1).root };
        let proof = nodes.consistency(u64::from(index) + 1, size.into());
        if old.size < head.size {
            let ours = verify_consistency(&old, &head, &proof);
            let theirs = ConsistencyProof::<Sha256>::try_from_bytes(concat(&proof)).unwrap();
            let theirs = their_root(&head).verify_consistency(&their_root(&old), &theirs);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        }
    }
}
