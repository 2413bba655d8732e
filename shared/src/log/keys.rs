//! The keys a log has signed with, and which of its heads each of them signs.
//!
//! A log begins with the key in its genesis. `key.rotated` announces the next one, under a head that
//! the old key signs as well: from that entry on every head carries both signatures. `key.retired`
//! ends the old one, and holds the last head that both signed, so that the handover can be checked
//! from the entries alone for as long as the log is kept. There is never a third key meanwhile.
//!
//! [`LogKeys::take`] follows the entries. That they are those of the log, and that a head that is
//! handed back has the root the log had at its size, is for whoever reads them: see
//! [`replay`](super::replay).

use super::checkpoint::{Checkpoint, CheckpointError};
use super::entry::{Body, Entry, LogEvent};
use super::note::{self, KeyError, NoteError, VerifierKey};
use super::tree::TreeHead;
use crate::time::Timestamp;

/// The keys of a log do not follow from one another, or a head is not signed as they demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The text of a key in an entry is none.
    #[error("names a key that is none")]
    Key(#[source] KeyError),
    /// The key signs under another name than the log's.
    #[error("names a key of another log than `{origin}`")]
    Name {
        /// The log's origin.
        origin: String,
    },
    /// An entry names another key than the one in force.
    #[error("says that the log's key was `{found}`, and it was `{expected}`")]
    NotInForce {
        /// The key in force.
        expected: String,
        /// The key that the entry names.
        found: String,
    },
    /// The next key was used before, or cannot be told from one that was.
    #[error("announces a key that the log has had before, or that has the same id")]
    Again,
    /// A rotation begins while another one is not over.
    #[error("changes the log's key while `{ending}` is still ending")]
    Overlapping {
        /// The key that is ending.
        ending: String,
    },
    /// A key ends that was not ending.
    #[error("ends a key of the log that is not ending")]
    NotEnding,
    /// A key ends by time before its time.
    #[error("ends a key before {until}, and gives no reason")]
    TooEarly {
        /// When it ends by itself.
        until: Timestamp,
    },
    /// The head that both keys signed is not from the time of both.
    #[error("holds a head of {found} entries, and both keys signed those of {from} to {to}")]
    Handover {
        /// The size of the first head of both keys.
        from: u64,
        /// The size of the last one.
        to: u64,
        /// The size found.
        found: u64,
    },
    /// The note is no head of this log.
    #[error("the head of the log is not one")]
    Head(#[from] CheckpointError),
    /// A key that signs heads of this size has not signed this one.
    #[error("the head of {size} entries is not signed by `{key}`, which signed the log then")]
    Missing {
        /// The head's size.
        size: u64,
        /// The key.
        key: String,
    },
    /// A key that does not sign heads of this size has signed this one.
    #[error("the head of {size} entries is signed by `{key}`, which did not sign the log then")]
    OutOfTime {
        /// The head's size.
        size: u64,
        /// The key.
        key: String,
    },
    /// The log has no genesis.
    #[error("the log has no first entry that names its key")]
    None,
}

/// One key, and which heads it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The key.
    pub key: VerifierKey,
    /// The least size of a head that it signs: behind the entry that announced it.
    pub from: u64,
    /// The largest size of a head that it signs: before the entry that ended it; nothing while it
    /// signs.
    pub to: Option<u64>,
    /// When it ends by itself, once the next key was announced.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Tells whether the key signs heads of this size.
    pub fn signs(&self, size: u64) -> bool {
        self.from <= size && self.to.is_none_or(|to| size <= to)
    }
}

/// The keys of one log, the first one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    origin: String,
    spans: Vec<Span>,
}

impl LogKeys {
    /// Begins before the first entry of the log called `origin`.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            spans: Vec::new(),
        }
    }

    /// Begins with the key of a log whose genesis names it.
    ///
    /// # Errors
    ///
    /// When the key has another name than the log.
    pub fn begin(origin: &str, key: VerifierKey) -> Result<Self, KeysError> {
        let mut keys = Self::new(origin);
        keys.put(key, 0)?;
        Ok(keys)
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns every key with the heads it signs, in the order in which they came.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns the newest key.
    pub fn current(&self) -> Option<&VerifierKey> {
        self.spans.last().map(|span| &span.key)
    }

    /// Returns the key that still signs although a newer one is there, and when it ends.
    pub fn ending(&self) -> Option<(&VerifierKey, Timestamp)> {
        let (_, earlier) = self.spans.split_last()?;
        let span = earlier.last().filter(|span| span.to.is_none())?;
        Some((&span.key, span.until?))
    }

    /// Tells whether the log ever signed with a key.
    pub fn has(&self, key: &VerifierKey) -> bool {
        self.spans.iter().any(|span| span.key == *key)
    }

    /// Returns the keys that sign heads of this size, the oldest first.
    pub fn at(&self, size: u64) -> impl Iterator<Item = &VerifierKey> {
        self.spans
            .iter()
            .filter(move |span| span.signs(size))
            .map(|span| &span.key)
    }

    /// Takes what an entry says of keys. Returns the head that both keys had signed, when it ends
    /// one: the log must have had its root.
    ///
    /// # Errors
    ///
    /// When the entry does not follow; then nothing is changed.
    pub fn take(&mut self, entry: &Entry) -> Result<Option<TreeHead>, KeysError> {
        match &entry.body {
            Body::Log(LogEvent::Genesis { vkey, .. }) if self.spans.is_empty() => {
                self.put(vkey.parse().map_err(KeysError::Key)?, 0)?;
                Ok(None)
            }
            Body::Log(LogEvent::KeyRotated {
                old, new, until, ..
            }) => {
                self.rotate(entry.seq, old, new, *until)?;
                Ok(None)
            }
            Body::Log(LogEvent::KeyRetired { vkey, head, reason }) => {
                let time = reason.is_none().then_some(entry.now.wall);
                self.retire(entry.seq, vkey, head, time).map(Some)
            }
            Body::Log(_) | Body::Request(_) => Ok(None),
        }
    }

    fn put(&mut self, key: VerifierKey, from: u64) -> Result<(), KeysError> {
        if key.name() != self.origin {
            let origin = self.origin.clone();
            return Err(KeysError::Name { origin });
        }
        self.spans.push(Span {
            key,
            from,
            to: None,
            until: None,
        });
        Ok(())
    }

    fn rotate(
        &mut self,
        seq: u64,
        old: &str,
        new: &str,
        until: Timestamp,
    ) -> Result<(), KeysError> {
        if let Some((ending, _)) = self.ending() {
            let ending = ending.to_string();
            return Err(KeysError::Overlapping { ending });
        }
        let new: VerifierKey = new.parse().map_err(KeysError::Key)?;
        let in_force = self.current().ok_or(KeysError::None)?;
        if in_force.to_string() != old {
            return Err(KeysError::NotInForce {
                expected: in_force.to_string(),
                found: old.to_owned(),
            });
        }
        if self.spans.iter().any(|span| span.key.id() == new.id()) {
            return Err(KeysError::Again);
        }
        self.put(new, seq.saturating_add(1))?;
        if let [.., ending, _] = self.spans.as_mut_slice() {
            ending.until = Some(until);
        }
        Ok(())
    }

    fn retire(
        &mut self,
        seq: u64,
        vkey: &str,
        head: &str,
        by_time: Option<Timestamp>,
    ) -> Result<TreeHead, KeysError> {
        let (ending, until) = self.ending().ok_or(KeysError::NotEnding)?;
        if ending.to_string() != vkey {
            return Err(KeysError::NotEnding);
        }
        if by_time.is_some_and(|time| time < until) {
            return Err(KeysError::TooEarly { until });
        }
        let handover = *self.open(head)?.head();
        let from = self.spans.last().map_or(0, |span| span.from);
        if !(from..=seq).contains(&handover.size) {
            return Err(KeysError::Handover {
                from,
                to: seq,
                found: handover.size,
            });
        }
        if let [.., ending, _] = self.spans.as_mut_slice() {
            ending.to = Some(seq);
        }
        Ok(handover)
    }

    /// Opens a head: every key that signs heads of its size has to have signed it, and no other key
    /// of the log may have.
    ///
    /// # Errors
    ///
    /// When that is not so, or the note is none of this log.
    pub fn open(&self, note: &str) -> Result<Checkpoint, KeysError> {
        let known: Vec<VerifierKey> = self.spans.iter().map(|span| span.key.clone()).collect();
        let verified = note::verify(note, &known).map_err(CheckpointError::Note)?;
        let head = Checkpoint::from_text(&verified.text)?;
        if head.origin() != self.origin {
            let expected = self.origin.clone();
            return Err(CheckpointError::OtherLog { expected }.into());
        }
        let size = head.size();
        for Span { key, .. } in self.spans.iter().filter(|span| span.signs(size)) {
            if !verified.by.contains(key) {
                let key = key.to_string();
                return Err(KeysError::Missing { size, key });
            }
        }
        match verified
            .by
            .iter()
            .find(|by| self.at(size).all(|key| key != *by))
        {
            Some(key) => {
                let key = key.to_string();
                Err(KeysError::OutOfTime { size, key })
            }
            // INVARIANT: every size has a key, so a head without any was refused above.
            None if self.at(size).next().is_none() => Err(KeysError::None),
            None => Ok(head),
        }
    }

    /// Opens a head that was kept elsewhere, perhaps by somebody who knew one of two keys only: one
    /// of the keys that sign heads of its size is enough.
    ///
    /// # Errors
    ///
    /// When none of them signed it.
    pub fn open_kept(&self, note: &str) -> Result<Checkpoint, KeysError> {
        let text = note::parse(note).map_err(CheckpointError::Note)?.text;
        let size = Checkpoint::from_text(text)?.size();
        let keys: Vec<VerifierKey> = self.at(size).cloned().collect();
        let Some(newest) = keys.last() else {
            return Err(KeysError::None);
        };
        let verified = note::verify(note, &keys).map_err(|error| {
            if matches!(error, NoteError::Unsigned { .. }) {
                let key = newest.to_string();
                KeysError::Missing { size, key }
            } else {
                CheckpointError::Note(error).into()
            }
        })?;
        let head = Checkpoint::from_text(&verified.text)?;
        if head.origin() != self.origin {
            let expected = self.origin.clone();
            return Err(CheckpointError::OtherLog { expected }.into());
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests;
