//! Proofs about the tree: that a leaf is in it, and that one tree begins with another.
//!
//! [`inclusion_nodes`] and [`consistency_nodes`] say which subtrees a proof consists of;
//! [`prove_inclusion`] and [`prove_consistency`] put it together from stored complete nodes,
//! asking for each by level and index. [`verify_inclusion`] and [`verify_consistency`] follow
//! RFC 9162 sections 2.1.3.2 and 2.1.4.2 and accept exactly one proof for each question.
//!
//! Nothing here knows where nodes are stored, nor who signed a head.

use super::tree::{Hash, TreeHead, empty_root, fold, node_hash};

/// A proof that does not prove what it is shown for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is beyond the end of the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    OutOfTree {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The later tree is the smaller one.
    #[error("a tree of {new} leaves cannot begin with one of {old}")]
    Shrunk {
        /// The size of the earlier tree.
        old: u64,
        /// The size of the later tree.
        new: u64,
    },
    /// A tree without leaves has one root only, SHA-256 of nothing, and this is another.
    #[error("a tree without leaves has the root `{}`, not `{root}`", empty_root())]
    EmptyRoot {
        /// The root that was claimed.
        root: Hash,
    },
    /// Two heads of one size have different roots.
    #[error("two trees of {size} leaves have different roots, `{old}` and `{new}`")]
    DifferentRoots {
        /// The size of both.
        size: u64,
        /// The root of the earlier head.
        old: Hash,
        /// The root of the later head.
        new: Hash,
    },
    /// The proof has too few or too many hashes.
    #[error("the proof has {found} hashes where {expected} are needed")]
    Length {
        /// The only number that is right.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// The hashes do not lead to the root of the earlier tree.
    #[error("the proof leads to the earlier root `{computed}`, not `{expected}`")]
    OldRoot {
        /// The root of the earlier head.
        expected: Hash,
        /// The root the proof leads to.
        computed: Hash,
    },
    /// The hashes do not lead to the root.
    #[error("the proof leads to the root `{computed}`, not `{expected}`")]
    Root {
        /// The root of the head.
        expected: Hash,
        /// The root the proof leads to.
        computed: Hash,
    },
}

/// A proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// There is no such proof.
    #[error("there is nothing to prove")]
    Impossible(#[source] ProofError),
    /// A stored node could not be had.
    #[error("node {index} of level {level} could not be read")]
    Node {
        /// The node's level.
        level: u8,
        /// The node's index in its level.
        index: u64,
        /// Why not.
        source: E,
    },
}

/// The leaves from `start` up to, not including, `end`, as one subtree.
///
/// The length is at least 1, and `start` is a multiple of the smallest power of two not below it;
/// so the range is one node of every tree that ends at `end` or, when the length is itself a power
/// of two, of every larger tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRange {
    start: u64,
    end: u64,
}

impl NodeRange {
    /// Makes a range; `None` when these leaves are no subtree.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        let length = end.checked_sub(start).filter(|length| *length > 0)?;
        let aligned = start == 0
            || matches!(length.checked_next_power_of_two(), Some(p) if start.is_multiple_of(p));
        aligned.then_some(Self { start, end })
    }

    /// Returns the first leaf.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the first leaf after the range.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Returns level and index of the complete nodes the range falls into, from left to right.
    pub fn complete_nodes(&self) -> Vec<(u8, u64)> {
        let mut nodes = Vec::new();
        let mut from = self.start;
        while let Some(level) = (self.end - from).checked_ilog2() {
            nodes.push((u8::try_from(level).unwrap_or(u8::MAX), from >> level));
            from += 1 << level;
        }
        nodes
    }

    /// Computes the range's hash from stored nodes: `fetch(level, index)` returns the hash of a
    /// complete node.
    pub fn hash<E>(
        &self,
        mut fetch: impl FnMut(u8, u64) -> Result<Hash, E>,
    ) -> Result<Hash, ProveError<E>> {
        let parts = self
            .complete_nodes()
            .into_iter()
            .map(|(level, index)| {
                fetch(level, index).map_err(|source| ProveError::Node {
                    level,
                    index,
                    source,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(fold(&parts).unwrap_or_else(empty_root))
    }
}

/// Returns the largest power of two below `length`, where a tree of that many leaves is split.
const fn split(length: u64) -> u64 {
    match length.saturating_sub(1).checked_ilog2() {
        Some(log) => 1 << log,
        None => 0,
    }
}

/// Returns the subtrees whose hashes prove that leaf `index` is in a tree of `size` leaves, the
/// leaf's sibling first (RFC 9162 section 2.1.3.1).
pub fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<NodeRange>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfTree { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut nodes = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            nodes.push(NodeRange { start: middle, end });
            end = middle;
        } else {
            nodes.push(NodeRange { start, end: middle });
            start = middle;
        }
    }
    nodes.reverse();
    Ok(nodes)
}

/// Returns the subtrees whose hashes prove that a tree of `new` leaves begins with the tree of its
/// first `old` ones (RFC 9162 section 2.1.4.1).
///
/// There are none when the sizes are equal, and none from the empty tree, with which every tree
/// begins.
pub fn consistency_nodes(old: u64, new: u64) -> Result<Vec<NodeRange>, ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut nodes = Vec::new();
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            nodes.push(NodeRange { start: middle, end });
            end = middle;
        } else {
            nodes.push(NodeRange { start, end: middle });
            start = middle;
        }
    }
    // A verifier knows the old root; only a part of the old tree has to be told.
    if start > 0 {
        nodes.push(NodeRange { start, end });
    }
    nodes.reverse();
    Ok(nodes)
}

fn hashes<E>(
    nodes: Result<Vec<NodeRange>, ProofError>,
    mut fetch: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    nodes
        .map_err(ProveError::Impossible)?
        .iter()
        .map(|range| range.hash(&mut fetch))
        .collect()
}

/// Makes the proof that leaf `index` is in the tree of the first `size` leaves.
///
/// `fetch(level, index)` returns the hash of a complete node below `size`.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    fetch: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    hashes(inclusion_nodes(index, size), fetch)
}

/// Makes the proof that the tree of the first `new` leaves begins with that of the first `old`.
///
/// `fetch(level, index)` returns the hash of a complete node below `new`.
pub fn prove_consistency<E>(
    old: u64,
    new: u64,
    fetch: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    hashes(consistency_nodes(old, new), fetch)
}

/// Computes the root over the first `size` leaves from stored nodes.
///
/// `fetch(level, index)` returns the hash of a complete node below `size`.
pub fn root_at<E>(
    size: u64,
    fetch: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, ProveError<E>> {
    match NodeRange::new(0, size) {
        Some(range) => range.hash(fetch),
        None => Ok(empty_root()),
    }
}

/// Checks the length before any hashing: each question has exactly one length of proof.
fn check_length(expected: &[NodeRange], proof: &[Hash]) -> Result<(), ProofError> {
    if expected.len() == proof.len() {
        return Ok(());
    }
    Err(ProofError::Length {
        expected: expected.len(),
        found: proof.len(),
    })
}

/// Checks that the leaf with hash `leaf` is at `index` in the tree of `head` (RFC 9162 section
/// 2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    head: &TreeHead,
    proof: &[Hash],
) -> Result<(), ProofError> {
    check_length(&inclusion_nodes(index, head.size)?, proof)?;
    let (mut node, mut last) = (index, head.size.saturating_sub(1));
    let mut computed = *leaf;
    for sibling in proof {
        if node % 2 == 1 || node == last {
            computed = node_hash(sibling, &computed);
            // A node without a right sibling is its own parent until it becomes a right child.
            while node % 2 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            computed = node_hash(&computed, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 || computed != head.root {
        return Err(ProofError::Root {
            expected: head.root,
            computed,
        });
    }
    Ok(())
}

/// Checks that the tree of `new` begins with the tree of `old` (RFC 9162 section 2.1.4.2).
///
/// Every tree begins with the empty one, and equal sizes need equal roots; in both cases the proof
/// is empty.
pub fn verify_consistency(
    old: &TreeHead,
    new: &TreeHead,
    proof: &[Hash],
) -> Result<(), ProofError> {
    for head in [old, new] {
        if head.size == 0 && head.root != empty_root() {
            return Err(ProofError::EmptyRoot { root: head.root });
        }
    }
    if old.size == new.size && old.root != new.root {
        return Err(ProofError::DifferentRoots {
            size: old.size,
            old: old.root,
            new: new.root,
        });
    }
    check_length(&consistency_nodes(old.size, new.size)?, proof)?;
    if old.size == 0 || old.size == new.size {
        return Ok(());
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node % 2 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A whole left subtree is known by the old root itself, so the proof leaves it out.
    let whole = old.size.is_power_of_two().then_some(&old.root);
    let mut path = whole.into_iter().chain(proof);
    let Some(first) = path.next() else {
        return Err(ProofError::Length {
            expected: 1,
            found: 0,
        });
    };
    let (mut old_root, mut new_root) = (*first, *first);
    for hash in path {
        if last == 0 {
            break;
        }
        if node % 2 == 1 || node == last {
            old_root = node_hash(hash, &old_root);
            new_root = node_hash(hash, &new_root);
            while node % 2 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_root = node_hash(&new_root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if old_root != old.root {
        return Err(ProofError::OldRoot {
            expected: old.root,
            computed: old_root,
        });
    }
    if last != 0 || new_root != new.root {
        return Err(ProofError::Root {
            expected: new.root,
            computed: new_root,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
