//! What a client remembers of a log, so that the log cannot show it two histories.
//!
//! Each console and each agent keeps the last head it accepted. [`HeadKeeper::advance`] accepts
//! another only when it is signed and its tree begins with the kept one. The first head is taken
//! on the word of its signature. Storing the keeper is the caller's part: write
//! [`HeadKeeper::to_text`] durably *before* acting on a head, and treat a missing file of a known
//! log as an alarm.
//!
//! The key a keeper began with is replaced in two ways only: by [`HeadKeeper::learn`], when the log
//! itself announces the next one in an entry under the kept head, which both keys have signed; and by
//! [`HeadKeeper::adopt`], when a person has compared the new key. The kept head stays in either case,
//! so a log cannot shed its history with its key.
//!
//! Heads can overtake each other on their way. An older head is refused as
//! [`Fork::WentBack`] without a judgement about it: ask for the newest one and look at that.

use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::note::{KeyError, VerifierKey};
use super::proof::{ProofError, verify_consistency};
use super::tree::{Hash, TreeHead};

mod rotation;

pub use rotation::RotationError;

/// The first line of a stored keeper.
const HEADER: &str = "countersign kept head v1";

/// A head that was not accepted; the kept one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fork {
    /// The head is not one the log has signed.
    #[error("the head of the log `{origin}` is not accepted")]
    NotSigned {
        /// The log that was asked for.
        origin: String,
        /// Why not.
        source: CheckpointError,
    },
    /// The proof begins at another size than the kept head has, so it says nothing about it.
    #[error("the proof begins at {found} entries, and the kept head has {kept}")]
    OtherStart {
        /// The size of the kept head; 0 when there is none.
        kept: u64,
        /// The size the proof begins at.
        found: u64,
    },
    /// A proof came with the first head, which there is nothing to prove about.
    #[error("the first head of a log comes without a proof, and {found} hashes came with it")]
    ProofOfFirst {
        /// The number of hashes.
        found: usize,
    },
    /// The head is older than the kept one.
    #[error("the log `{origin}` went back from {kept} entries to {found}")]
    WentBack {
        /// The log.
        origin: String,
        /// The size of the kept head.
        kept: u64,
        /// The size of the head that was shown.
        found: u64,
    },
    /// Both heads are signed, and the new one was not shown to continue the kept one.
    #[error("the log `{origin}` does not continue the history it showed before")]
    Forked {
        /// The log.
        origin: String,
        /// The two heads, to be shown to others.
        evidence: Box<Evidence>,
        /// What does not fit.
        source: ProofError,
    },
}

/// Two notes signed by one log that do not fit together.
///
/// With equal sizes and different roots they convict the log by themselves. Otherwise the log may
/// still answer with a proof that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The note of the head that was kept.
    pub kept: String,
    /// The note of the head that was shown.
    pub shown: String,
}

/// A stored keeper that cannot be read. The client must not go on as if it knew nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// The lines are not those of a keeper.
    #[error("a kept head begins with `{HEADER}`, and lines with `origin` and `key`")]
    Form,
    /// The key is not a verifier key.
    #[error("the key of the kept head cannot be read")]
    Key(#[source] KeyError),
    /// The origin is none, or the stored head is not signed by the stored key.
    #[error("the kept head is not one that its log has signed")]
    Head(#[source] CheckpointError),
}

/// What an accepted head changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Advance {
    /// It is the first head seen of this log: it is believed for its signature alone.
    First,
    /// It is the head that was kept already.
    Same,
    /// The log has grown, and what was there is there still.
    Grew {
        /// The number of entries before.
        from: u64,
        /// The number of entries now.
        to: u64,
    },
}

/// A head that the key which is believed has signed, whether or not it continues the kept one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    checkpoint: Checkpoint,
    note: String,
    key: VerifierKey,
}

impl Signed {
    /// Returns size and root.
    pub const fn head(&self) -> &TreeHead {
        self.checkpoint.head()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    checkpoint: Checkpoint,
    note: String,
}

/// The last head accepted of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadKeeper {
    origin: String,
    key: VerifierKey,
    /// The keys that were believed before it, the first one first.
    former: Vec<VerifierKey>,
    last: Option<Kept>,
}

impl HeadKeeper {
    /// Begins to keep the heads of the log called `origin`, which signs with `key`.
    pub fn new(origin: &str, key: VerifierKey) -> Result<Self, CheckpointError> {
        // An origin that no checkpoint can have would refuse every head, and could break the file.
        let checked = Checkpoint::new(origin, TreeHead::empty())?;
        Ok(Self {
            origin: checked.origin().to_owned(),
            key,
            former: Vec::new(),
            last: None,
        })
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the key the log signs with.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Tells whether a key is the one that is believed, or came before it.
    pub fn knows(&self, key: &VerifierKey) -> bool {
        self.key == *key || self.former.contains(key)
    }

    /// Believes the keys that `other` believes, if it learned them after ours. The head stays.
    pub fn learn_keys_of(&mut self, other: &Self) {
        if other.former.contains(&self.key) {
            self.key = other.key.clone();
            self.former.clone_from(&other.former);
        }
    }

    /// Returns the last head accepted.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref().map(|kept| &kept.checkpoint)
    }

    /// Returns the note of the last head accepted.
    pub fn note(&self) -> Option<&str> {
        self.last.as_ref().map(|kept| kept.note.as_str())
    }

    /// Returns the size a proof has to begin at: that of the last head, or 0.
    pub fn size(&self) -> u64 {
        self.last().map_or(0, Checkpoint::size)
    }

    /// Checks the signature of the head in `note`, and nothing else.
    pub fn open(&self, note: &str) -> Result<Signed, CheckpointError> {
        let keys = std::slice::from_ref(&self.key);
        Ok(Signed {
            checkpoint: checkpoint::open(note, keys, &self.origin)?,
            note: note.to_owned(),
            key: self.key.clone(),
        })
    }

    /// Accepts the head in `note` when it continues the kept one, as `proof` from the size `from`
    /// on shows; keeps it then, and changes nothing otherwise.
    ///
    /// The first head comes with an empty proof. One of the kept size needs none: it is the kept head, or
    /// a fork.
    pub fn advance(&mut self, note: &str, proof: &[Hash], from: u64) -> Result<Advance, Fork> {
        let shown = self
            .open(note)
            .map_err(|source| self.not_signed(note, source))?;
        self.advance_to(shown, proof, from)
    }

    /// Accepts a head as [`advance`](Self::advance) does, without a second look at its signature.
    pub fn advance_to(
        &mut self,
        shown: Signed,
        proof: &[Hash],
        from: u64,
    ) -> Result<Advance, Fork> {
        if shown.key != self.key {
            // Another key is believed since.
            return self.advance(&shown.note, proof, from);
        }
        let change = match &self.last {
            Some(kept) => self.compare(kept, &shown, proof, from)?,
            None => first(proof, from)?,
        };
        if change != Advance::Same {
            self.last = Some(Kept {
                checkpoint: shown.checkpoint,
                note: shown.note,
            });
        }
        Ok(change)
    }

    /// Says of a head that the log's key did not sign what it is: an older one, of the time of a key
    /// before it, or none of this log.
    fn not_signed(&self, note: &str, source: CheckpointError) -> Fork {
        let origin = self.origin.clone();
        match checkpoint::open(note, &self.former, &self.origin) {
            Ok(old) if old.size() < self.size() => Fork::WentBack {
                origin,
                kept: self.size(),
                found: old.size(),
            },
            Ok(_) | Err(_) => Fork::NotSigned { origin, source },
        }
    }

    /// Checks that the head that `other` keeps continues the one that is kept here, as `proof` shows.
    ///
    /// # Errors
    ///
    /// When the proof does not show it.
    pub fn is_continued_by(&self, other: &Self, proof: &[Hash]) -> Result<(), Fork> {
        let (Some(kept), Some(shown)) = (&self.last, &other.last) else {
            // With nothing everything begins.
            return Ok(());
        };
        verify_consistency(kept.checkpoint.head(), shown.checkpoint.head(), proof).map_err(
            |source| Fork::Forked {
                origin: self.origin.clone(),
                evidence: Box::new(Evidence {
                    kept: kept.note.clone(),
                    shown: shown.note.clone(),
                }),
                source,
            },
        )
    }

    fn compare(
        &self,
        kept: &Kept,
        shown: &Signed,
        proof: &[Hash],
        from: u64,
    ) -> Result<Advance, Fork> {
        let (old, new) = (kept.checkpoint.head(), shown.head());
        if new.size < old.size {
            return Err(Fork::WentBack {
                origin: self.origin.clone(),
                kept: old.size,
                found: new.size,
            });
        }
        // Two roots for one size are a fork whatever the proof says, so its start is looked at
        // only when the log has grown.
        if new.size > old.size && from != old.size {
            return Err(Fork::OtherStart {
                kept: old.size,
                found: from,
            });
        }
        // A head that another call brought already may come with the way from where this call began.
        let proof = if new.size == old.size { &[] } else { proof };
        verify_consistency(old, new, proof).map_err(|source| Fork::Forked {
            origin: self.origin.clone(),
            evidence: Box::new(Evidence {
                kept: kept.note.clone(),
                shown: shown.note.clone(),
            }),
            source,
        })?;
        if new.size == old.size {
            return Ok(Advance::Same);
        }
        Ok(Advance::Grew {
            from: old.size,
            to: new.size,
        })
    }

    /// Writes the keeper: its header, origin, key, the keys before it and, after a blank line, the
    /// kept note.
    pub fn to_text(&self) -> String {
        let (origin, key) = (&self.origin, &self.key);
        let mut start = format!("{HEADER}\norigin {origin}\nkey {key}\n");
        for former in &self.former {
            start = format!("{start}former {former}\n");
        }
        match &self.last {
            Some(kept) => format!("{start}\n{}", kept.note),
            None => start,
        }
    }

    /// Reads what [`to_text`](Self::to_text) wrote, and checks the kept head's signature again.
    pub fn from_text(text: &str) -> Result<Self, KeeperError> {
        let (origin, rest) = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix("\norigin "))
            .and_then(|rest| rest.split_once('\n'))
            .ok_or(KeeperError::Form)?;
        let (key, rest) = rest
            .strip_prefix("key ")
            .and_then(|rest| rest.split_once('\n'))
            .ok_or(KeeperError::Form)?;
        let key = key.parse().map_err(KeeperError::Key)?;
        let mut keeper = Self::new(origin, key).map_err(KeeperError::Head)?;
        let mut rest = rest;
        while let Some((former, after)) = rest
            .strip_prefix("former ")
            .and_then(|rest| rest.split_once('\n'))
        {
            let former = former.parse().map_err(KeeperError::Key)?;
            keeper.former.push(former);
            rest = after;
        }
        if !rest.is_empty() {
            let note = rest.strip_prefix('\n').ok_or(KeeperError::Form)?;
            // After an adoption the kept head is still one of the key before.
            let mut keys = vec![keeper.key.clone()];
            keys.extend_from_slice(&keeper.former);
            let checkpoint =
                checkpoint::open(note, &keys, &keeper.origin).map_err(KeeperError::Head)?;
            keeper.last = Some(Kept {
                checkpoint,
                note: note.to_owned(),
            });
        }
        Ok(keeper)
    }
}

fn first(proof: &[Hash], from: u64) -> Result<Advance, Fork> {
    if from != 0 {
        return Err(Fork::OtherStart {
            kept: 0,
            found: from,
        });
    }
    match proof.len() {
        0 => Ok(Advance::First),
        found => Err(Fork::ProofOfFirst { found }),
    }
}

#[cfg(test)]
mod tests;
