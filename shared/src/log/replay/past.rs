//! What a replay remembers of every entry: the root over the log up to it, and its time.
//!
//! It grows with the log, so whoever replays a long one gives it another place than memory.

use std::fmt;

use crate::log::tree::{Hash, empty_root};
use crate::time::Timestamp;

/// The bytes of a record: a root, and a time in milliseconds.
pub const RECORD: usize = Hash::LEN + size_of::<i64>();

/// A place for records, which come in order.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// Puts the next record.
    fn push(&mut self, record: [u8; RECORD]);

    /// Returns the record at a position. One that cannot be had any more is nothing, as is one that was
    /// never put: who made the place knows whether it failed, and then nothing follows from the replay.
    fn get(&self, index: u64) -> Option<[u8; RECORD]>;
}

/// Memory.
#[derive(Debug, Default)]
struct Memory(Vec<[u8; RECORD]>);

impl Shelf for Memory {
    fn push(&mut self, record: [u8; RECORD]) {
        self.0.push(record);
    }

    fn get(&self, index: u64) -> Option<[u8; RECORD]> {
        self.0.get(usize::try_from(index).ok()?).copied()
    }
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Past(Box<dyn Shelf>);

impl Default for Past {
    fn default() -> Self {
        Self(Box::<Memory>::default())
    }
}

impl Past {
    /// Remembers on a shelf.
    pub(super) fn on(shelf: Box<dyn Shelf>) -> Self {
        Self(shelf)
    }

    /// Remembers the next entry.
    pub(super) fn push(&mut self, root: Hash, time: Timestamp) {
        let mut record = [0; RECORD];
        let (first, last) = record.split_at_mut(Hash::LEN);
        first.copy_from_slice(root.as_bytes());
        last.copy_from_slice(&time.as_millis().to_le_bytes());
        self.0.push(record);
    }

    /// Returns the root over the first `size` entries.
    pub(super) fn root_at(&self, size: u64) -> Option<Hash> {
        let Some(last) = size.checked_sub(1) else {
            return Some(empty_root());
        };
        let record = self.0.get(last)?;
        record.first_chunk().copied().map(Hash::from_bytes)
    }

    /// Returns the time of an entry.
    pub(super) fn time_at(&self, index: u64) -> Option<Timestamp> {
        let record = self.0.get(index)?;
        let time = record.last_chunk().copied().map(i64::from_le_bytes)?;
        Some(Timestamp::from_millis(time))
    }
}
