//! How a keeper comes to believe another key of its log: from the log itself, or from a person.

use super::{HeadKeeper, checkpoint};
use crate::log::checkpoint::CheckpointError;
use crate::log::entry::{Body, Entry, EntryError, LogEvent};
use crate::log::note::{KeyError, VerifierKey};
use crate::log::proof::{ProofError, verify_inclusion};
use crate::log::tree::{Hash, leaf_hash};

/// A change of the log's key that was not believed; the key stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// There is no head that the entry could be under.
    #[error("no head of the log is kept that its change of key could be under")]
    NoHead,
    /// The entry is not under the kept head.
    #[error("the log's change of key is not in the log")]
    Inclusion(#[source] ProofError),
    /// The bytes are not an entry.
    #[error("the log's change of key is not an entry")]
    Entry(#[source] EntryError),
    /// The entry says something else.
    #[error("an entry that changes no key was shown as a change of the log's key")]
    NotARotation,
    /// The entry is of another log, or changes another key than the one that is believed.
    #[error("the log's change of key does not begin with the key that is kept")]
    OtherKey,
    /// The key that a person hands over is of another log, or was given up before.
    #[error("`{key}` is the key of another log, or one that this log had before")]
    GivenUp {
        /// The verifier key.
        key: String,
    },
    /// The new key is none, or of another log.
    #[error("the log's next key cannot be read")]
    Key(#[source] KeyError),
    /// The head is not signed with the new key.
    #[error("the head is not signed with the log's next key")]
    NotSigned(#[source] CheckpointError),
}

impl HeadKeeper {
    /// Takes the log's next key from the entry at `index`, which `proof` shows to be under the kept
    /// head. From then on heads have to be signed with it. Tells whether that is new.
    ///
    /// # Errors
    ///
    /// When any of that is not so.
    pub fn learn(
        &mut self,
        index: u64,
        entry: &[u8],
        proof: &[Hash],
    ) -> Result<bool, RotationError> {
        let kept = self.last.as_ref().ok_or(RotationError::NoHead)?;
        verify_inclusion(&leaf_hash(entry), index, kept.checkpoint.head(), proof)
            .map_err(RotationError::Inclusion)?;
        let entry = Entry::read(entry).map_err(RotationError::Entry)?;
        let Body::Log(LogEvent::KeyRotated { old, new, .. }) = &entry.body else {
            return Err(RotationError::NotARotation);
        };
        let new: VerifierKey = new.parse().map_err(RotationError::Key)?;
        let is_ours = entry.log == self.origin && new.name() == self.key.name();
        let known = |text: &String| self.former.iter().any(|key| key.to_string() == *text);
        if is_ours && self.key == new && known(old) {
            return Ok(false);
        }
        if !is_ours || self.key.to_string() != *old || self.knows(&new) {
            return Err(RotationError::OtherKey);
        }
        let keys = std::slice::from_ref(&new);
        drop(checkpoint::open(&kept.note, keys, &self.origin).map_err(RotationError::NotSigned)?);
        self.former.push(std::mem::replace(&mut self.key, new));
        Ok(true)
    }

    /// Believes another key from now on, because a person has compared it. The kept head stays: what
    /// the new key signs still has to continue it.
    ///
    /// # Errors
    ///
    /// When the key is one of another log, or was given up before.
    pub fn adopt(&mut self, key: VerifierKey) -> Result<(), RotationError> {
        if key.name() != self.key.name() || self.former.contains(&key) {
            return Err(RotationError::GivenUp {
                key: key.to_string(),
            });
        }
        if self.key != key {
            self.former.push(std::mem::replace(&mut self.key, key));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
