//! How a user comes to believe another key of a log: from the log itself, or by comparing it.

use std::fmt;
use std::path::Path;

use countersign_shared::log::checkpoint::{self, CheckpointError};
use countersign_shared::log::keeper::{Fork, HeadKeeper};
use countersign_shared::log::note::VerifierKey;

use super::{Heads, HeadsError, path_of};
use crate::private::Lasting;
use crate::shown::ShownRotation;

impl Heads {
    /// Takes the log's next key from a change of key that came with an accepted head, and then refuses
    /// a log that does not lead to the key that the installation names. Tells whether the key is new.
    pub(super) fn learn(
        &self,
        keeper: &mut HeadKeeper,
        rotation: Option<&ShownRotation>,
    ) -> Result<bool, HeadsError> {
        let has_learned = match rotation {
            Some(shown) => keeper
                .learn(shown.index, &shown.entry, &shown.proof)
                .map_err(HeadsError::Rotation)?,
            None => false,
        };
        if keeper.knows(&self.announced) {
            Ok(has_learned)
        } else {
            Err(HeadsError::OtherKey {
                path: self.path.clone(),
            })
        }
    }

    /// Says why a head is refused: when it is signed with the key that the installation names instead
    /// of the kept one, the person has to compare.
    pub(super) fn refused(&self, fork: Fork, note: &str) -> HeadsError {
        if matches!(fork, Fork::NotSigned { .. }) && self.is_of_announced_key(note) {
            self.key_ended()
        } else {
            HeadsError::Fork(fork)
        }
    }

    /// Says why the head of an entry is refused, in the same words.
    pub(super) fn unsigned(&self, error: CheckpointError, note: &str) -> HeadsError {
        if self.is_of_announced_key(note) {
            self.key_ended()
        } else {
            HeadsError::Unsigned(error)
        }
    }

    fn is_of_announced_key(&self, note: &str) -> bool {
        let keys = std::slice::from_ref(&self.announced);
        !self.keeper.knows(&self.announced) && checkpoint::open(note, keys, self.origin()).is_ok()
    }

    fn key_ended(&self) -> HeadsError {
        HeadsError::KeyEnded {
            path: self.path.clone(),
            kept: self.keeper.key().to_string(),
            now: self.announced.to_string(),
        }
    }

    /// Tells whether another keeper of this log can be gone on from: it knows our key, or we know its.
    /// What is kept goes before what the installation names.
    pub(super) fn is_same_log(&self, stored: &HeadKeeper) -> bool {
        let has_nothing = self.keeper.last().is_none();
        stored.origin() == self.keeper.origin()
            && (has_nothing || stored.knows(self.keeper.key()) || self.keeper.knows(stored.key()))
    }
}

/// A key that took the place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The one that was believed before.
    pub before: VerifierKey,
    /// The one that is believed now.
    pub now: VerifierKey,
}

impl fmt::Display for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, now } = self;
        if now == before {
            write!(f, "{now} is believed already")
        } else {
            write!(f, "{now} is believed from now on, and {before} no more")
        }
    }
}

/// Believes another key of a log from now on, because the person compared it. The head that was kept
/// stays, so the log still has to continue it.
///
/// # Errors
///
/// When nothing is kept of the log, the key is one that it gave up before, or it cannot be written.
pub fn adopt(state_dir: &Path, key: VerifierKey) -> Result<Adopted, HeadsError> {
    let path = path_of(state_dir, &key);
    let mut heads = Heads::open(state_dir, key.clone(), Lasting::PowerCut)?;
    if heads.stored()?.is_none() {
        return Err(HeadsError::NothingKept { path });
    }
    let before = heads.keeper.key().clone();
    heads
        .keeper
        .adopt(key.clone())
        .map_err(HeadsError::NotAdopted)?;
    heads.store()?;
    Ok(Adopted { before, now: key })
}
