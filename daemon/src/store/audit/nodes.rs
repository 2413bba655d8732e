//! Nodes of the tree that were read lately.
//!
//! Every answer carries proofs, nearly all of whose nodes were in the answer before it as well. A node
//! that is complete and durable never changes, so it need not be read again.

use std::collections::HashMap;

use countersign_shared::log::tree::Hash;

/// How many nodes are kept: more than the proofs of a hundred answers have.
const MOST: usize = 4096;

/// Nodes by level and index.
#[derive(Debug, Default)]
pub(in crate::store) struct Nodes(HashMap<(u8, u64), Hash>);

impl Nodes {
    pub(super) fn get(&self, level: u8, at: u64) -> Option<Hash> {
        self.0.get(&(level, at)).copied()
    }

    /// Keeps a node, and forgets the others when there are too many: those that matter come again.
    pub(super) fn keep(&mut self, level: u8, at: u64, hash: Hash) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert((level, at), hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_and_never_more_than_there_is_room_for() {
        let mut nodes = Nodes::default();
        let hash = |at: u64| Hash::from_bytes([u8::try_from(at % 251).unwrap(); 32]);
        for at in 0..10_000 {
            nodes.keep(1, at, hash(at));
            assert_eq!(nodes.get(1, at), Some(hash(at)));
            assert_eq!(nodes.get(2, at), None);
            assert!(nodes.0.len() <= MOST);
        }
    }
}
