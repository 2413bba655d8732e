//! The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1.1), as far as it grows.
//!
//! [`Frontier`] holds the right edge of a tree, which is all that appending needs: at most 63
//! hashes, whatever the tree's size. It does not hold the leaves or the inner nodes; whoever stores
//! those is told of each node as [`Frontier::push`] completes it. Proofs over stored nodes are in
//! [`proof`](super::proof).

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

/// The largest number of leaves a tree may have: what fits a signed 64-bit integer, so that a size
/// means the same in every database and in every other implementation.
pub const MAX_SIZE: u64 = u64::MAX >> 1;

/// Bytes that are not a frontier, or a tree that cannot grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The tree has the largest size there is.
    #[error("the tree is full: it has {MAX_SIZE} leaves")]
    Full,
    /// The bytes are too few to hold the size.
    #[error("a stored frontier begins with 8 bytes of size, but there are {found} bytes")]
    Truncated {
        /// The number of bytes there are.
        found: usize,
    },
    /// The size is beyond [`MAX_SIZE`].
    #[error("a stored frontier names {size} leaves, and a tree has at most {MAX_SIZE}")]
    TooLarge {
        /// The size that was named.
        size: u64,
    },
    /// The number of hashes does not follow from the size.
    #[error("a frontier of {size} leaves is {expected} bytes long, not {found}")]
    Length {
        /// The size that was named.
        size: u64,
        /// The length that follows from it, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
}

/// A node of the tree: 32 bytes of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The length of a hash, in bytes.
    pub const LEN: usize = 32;

    /// Takes 32 bytes that are a hash already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Writes the hash as 44 characters of base64 (RFC 4648 section 4).
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// Reads the one base64 spelling of 32 bytes; `None` for anything else.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.as_bytes()).ok()?;
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the hash of a leaf: SHA-256 of `0x00` and the leaf's bytes.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(data);
    Hash(hasher.finalize().into())
}

/// Returns the hash of an inner node: SHA-256 of `0x01` and its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

/// Returns the root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// Folds the complete subtrees of a range, given left to right, into the range's hash.
///
/// Returns `None` when there are none.
pub(super) fn fold(parts: &[Hash]) -> Option<Hash> {
    parts
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
}

/// What a log claims to be: a number of leaves, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of leaves.
    pub size: u64,
    /// The root hash over them.
    pub root: Hash,
}

impl TreeHead {
    /// Returns the head of the tree without leaves.
    pub fn empty() -> Self {
        Self {
            size: 0,
            root: empty_root(),
        }
    }
}

/// A subtree of 2^`level` leaves, all of them there: it never changes again, so it can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompleteNode {
    /// The height; leaves are at 0.
    pub level: u8,
    /// The place among the nodes of its level, from the left, from 0.
    pub index: u64,
    /// The node's hash.
    pub hash: Hash,
}

/// Returns the leaf that completes the subtree at `index` of `level`: the last one below it.
///
/// A place that no tree can have gives [`MAX_SIZE`], which no leaf has.
pub fn last_leaf(level: u8, index: u64) -> u64 {
    1_u64
        .checked_shl(u32::from(level))
        .and_then(|width| index.checked_add(1)?.checked_mul(width)?.checked_sub(1))
        .map_or(MAX_SIZE, |leaf| leaf.min(MAX_SIZE))
}

/// The right edge of a tree: its size and the hashes of the complete subtrees it falls into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one hash per bit set in `size`, the largest subtree first.
    edge: Vec<Hash>,
}

impl Frontier {
    /// Returns the frontier of the tree without leaves.
    pub const fn new() -> Self {
        Self {
            size: 0,
            edge: Vec::new(),
        }
    }

    /// Returns the number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root hash over all leaves.
    pub fn root(&self) -> Hash {
        fold(&self.edge).unwrap_or_else(empty_root)
    }

    /// Returns size and root together.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size,
            root: self.root(),
        }
    }

    /// Appends a leaf and returns the nodes this completes, the leaf itself first.
    ///
    /// A tree of [`MAX_SIZE`] leaves refuses and stays as it is.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<CompleteNode>, TreeError> {
        if self.size >= MAX_SIZE {
            return Err(TreeError::Full);
        }
        let mut node = CompleteNode {
            level: 0,
            index: self.size,
            hash: leaf,
        };
        let mut completed = vec![node];
        // An odd index is a right child: its left sibling waits at the end of the edge.
        while node.index % 2 == 1 {
            let Some(left) = self.edge.pop() else { break };
            node = CompleteNode {
                level: node.level + 1,
                index: node.index / 2,
                hash: node_hash(&left, &node.hash),
            };
            completed.push(node);
        }
        self.edge.push(node.hash);
        self.size += 1;
        Ok(completed)
    }

    /// Writes the frontier: the size as 8 bytes, most significant first, then the hashes, the
    /// largest subtree first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.edge.len() * Hash::LEN);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for hash in &self.edge {
            bytes.extend_from_slice(hash.as_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else.
    ///
    /// The hashes cannot be checked here; compare [`root`](Self::root) with a signed head.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let (size, hashes) = bytes
            .split_first_chunk::<8>()
            .ok_or(TreeError::Truncated { found: bytes.len() })?;
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(TreeError::TooLarge { size });
        }
        let (chunks, rest) = hashes.as_chunks::<{ Hash::LEN }>();
        let edge: Vec<Hash> = chunks.iter().copied().map(Hash).collect();
        let count = usize::try_from(size.count_ones()).unwrap_or(usize::MAX);
        if !rest.is_empty() || edge.len() != count {
            return Err(TreeError::Length {
                size,
                expected: count.saturating_mul(Hash::LEN).saturating_add(8),
                found: bytes.len(),
            });
        }
        Ok(Self { size, edge })
    }
}

#[cfg(test)]
mod tests;
