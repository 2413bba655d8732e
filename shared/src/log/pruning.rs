//! Entries that were pruned: their bytes are gone, and their hashes stay in the tree, so that every
//! root and every proof is what it was.
//!
//! What may be gone is what the log itself says, entry by entry: `log.pruned` binds the positions of
//! all that are gone by then. A position that is missing and not among them is found, and so is one
//! among them whose entry is there after all. Nothing goes that is younger than the policy says, by the
//! log's own times. Of which kind they were is seen only by whoever has their bytes: the archive.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::time::Timestamp;

/// The length of a day, in seconds.
const DAY_S: u64 = 24 * 60 * 60;

/// What was pruned, by the policy that the operator wrote down, and after it was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pruned {
    /// The smallest position from which on every entry is there: C2SP tlog-tiles calls it the
    /// minimum index. That entry is later than all before it, and older than the policy keeps.
    pub before: u64,
    /// How many days entries are kept by the policy.
    pub kept_days: u16,
    /// How many entries are gone, those that had gone before among them.
    pub entries: u64,
    /// [`Positions::digest`] of all of them.
    pub positions: Digest,
    /// The digest of `manifest.sha256` in the evidence pack that holds what goes now.
    pub archive: Digest,
    /// The OS user that the command ran as.
    pub uid: u32,
    /// Its account's name; empty when it has none.
    pub user: String,
    /// The OS user that had logged in for it (`loginuid`), where the kernel knows.
    // Without this a missing field would pass for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub login_uid: Option<u32>,
}

impl Pruned {
    /// Tells of what is younger than the policy says, by the time of the entry at `before` and the time
    /// `now` of the entry at `seq` that tells it.
    ///
    /// # Errors
    ///
    /// [`PruningError::Young`].
    pub fn check_age(&self, seq: u64, at: Timestamp, now: Timestamp) -> Result<(), PruningError> {
        let kept = Duration::from_secs(u64::from(self.kept_days).saturating_mul(DAY_S));
        if self.kept_days > 0 && at.plus(kept) < now {
            return Ok(());
        }
        Err(PruningError::Young {
            seq,
            before: self.before,
            at,
            kept_days: self.kept_days,
        })
    }
}

/// The positions of entries that are gone.
#[derive(Debug, Clone, Default)]
pub struct Positions {
    count: u64,
    last: Option<u64>,
    hash: Sha256,
}

impl Positions {
    /// Adds a position, which is larger than those before it.
    pub fn add(&mut self, position: u64) {
        self.count = self.count.saturating_add(1);
        self.last = Some(position);
        self.hash.update(position.to_be_bytes());
    }

    /// Returns how many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the last one.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Returns the SHA-256 over all of them, each as 8 bytes, the most significant first.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }
}

impl FromIterator<u64> for Positions {
    fn from_iter<I: IntoIterator<Item = u64>>(positions: I) -> Self {
        let mut all = Self::default();
        for position in positions {
            all.add(position);
        }
        all
    }
}

/// What is wrong with what is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PruningError {
    /// Entries are gone, and none of those that are there says so.
    #[error(
        "{count} entries are gone, the last of them is {last}, and no entry says they were pruned"
    )]
    Untold {
        /// How many.
        count: u64,
        /// The position of the last.
        last: u64,
    },
    /// Others are gone than those that the log names.
    #[error("{found} entries are gone, and they are not the {told} that entry {seq} names")]
    Others {
        /// The entry that names some.
        seq: u64,
        /// How many it names.
        told: u64,
        /// How many are gone.
        found: u64,
    },
    /// An entry is gone behind the place up to which they were pruned.
    #[error("entry {last} is gone, and entry {seq} says that none is from {before} on")]
    Behind {
        /// The entry that names the place.
        seq: u64,
        /// The position that is gone.
        last: u64,
        /// The place.
        before: u64,
    },
    /// An entry tells of some that are younger than its policy says.
    #[error(
        "says that entries before {before} were pruned, and that one, of {at}, is not yet {kept_days} days old"
    )]
    Young {
        /// Its own position.
        seq: u64,
        /// The place.
        before: u64,
        /// The time of the entry there.
        at: Timestamp,
        /// How long the policy keeps entries.
        kept_days: u16,
    },
    /// An entry names a place that it cannot know, or one before the last.
    #[error(
        "says that entries before {before} were pruned, which has to be from {least} to {most}"
    )]
    Place {
        /// The place.
        before: u64,
        /// The place of the last time.
        least: u64,
        /// Its own position.
        most: u64,
    },
}

impl PruningError {
    /// Returns the position of the entry that shows it.
    pub const fn place(&self) -> u64 {
        match self {
            Self::Untold { last, .. } | Self::Behind { last, .. } => *last,
            Self::Others { seq, .. } | Self::Young { seq, .. } => *seq,
            Self::Place { most, .. } => *most,
        }
    }
}

/// Compares what is gone from a log with what its entries say.
#[derive(Debug, Clone, Default)]
pub struct Pruning {
    gone: Positions,
    told: Option<(u64, Pruned)>,
}

impl Pruning {
    /// Takes that the entry at a position is gone.
    pub fn gone(&mut self, position: u64) {
        self.gone.add(position);
    }

    /// Takes what the entry at `seq` says.
    ///
    /// # Errors
    ///
    /// [`PruningError::Place`]. Whether what it tells of is old enough is another question.
    pub fn told(&mut self, seq: u64, pruned: &Pruned) -> Result<(), PruningError> {
        let before = pruned.before;
        let least = self.before();
        self.told = Some((seq, pruned.clone()));
        if (least..=seq).contains(&before) {
            Ok(())
        } else {
            Err(PruningError::Place {
                before,
                least,
                most: seq,
            })
        }
    }

    /// Returns the position from which on every entry is there, as the last of them says.
    pub fn before(&self) -> u64 {
        self.told.as_ref().map_or(0, |(_, pruned)| pruned.before)
    }

    /// Returns what is gone so far.
    pub const fn positions(&self) -> &Positions {
        &self.gone
    }

    /// Compares the two at the end of the log.
    ///
    /// # Errors
    ///
    /// As [`PruningError`] says.
    pub fn finish(&self) -> Result<(), PruningError> {
        let found = self.gone.count();
        match (&self.told, self.gone.last) {
            (None, Some(last)) => Err(PruningError::Untold { count: found, last }),
            (Some((seq, pruned)), Some(last)) if last >= pruned.before => {
                Err(PruningError::Behind {
                    seq: *seq,
                    last,
                    before: pruned.before,
                })
            }
            (Some((seq, pruned)), _)
                if (pruned.entries, pruned.positions) != (found, self.gone.digest()) =>
            {
                Err(PruningError::Others {
                    seq: *seq,
                    told: pruned.entries,
                    found,
                })
            }
            (None | Some(_), _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pruned(before: u64, positions: &[u64]) -> Pruned {
        let positions: Positions = positions.iter().copied().collect();
        Pruned {
            before,
            kept_days: 400,
            entries: positions.count(),
            positions: positions.digest(),
            archive: Digest::of(b"manifest"),
            uid: 1000,
            user: String::new(),
            login_uid: None,
        }
    }

    fn compared(missing: &[u64], told: &[(u64, Pruned)]) -> Result<(), PruningError> {
        let mut pruning = Pruning::default();
        for at in missing {
            pruning.gone(*at);
        }
        for (seq, pruned) in told {
            pruning.told(*seq, pruned)?;
        }
        pruning.finish()
    }

    #[test]
    fn what_is_gone_is_what_the_last_entry_names() {
        assert_eq!(compared(&[], &[]), Ok(()));
        let first = (20, pruned(9, &[2, 3, 7]));
        assert_eq!(compared(&[2, 3, 7], std::slice::from_ref(&first)), Ok(()));
        let second = (40, pruned(30, &[2, 3, 7, 12, 13]));
        assert_eq!(compared(&[2, 3, 7, 12, 13], &[first, second]), Ok(()));
        assert_eq!(compared(&[], &[(20, pruned(9, &[]))]), Ok(()));
    }

    #[test]
    fn nothing_else_may_be_gone() {
        assert_eq!(
            compared(&[4], &[]),
            Err(PruningError::Untold { count: 1, last: 4 })
        );
        let told = (20, pruned(9, &[2, 3, 7]));
        for missing in [&[2, 3][..], &[2, 3, 6], &[1, 2, 3, 7], &[]] {
            let error = compared(missing, std::slice::from_ref(&told)).unwrap_err();
            assert!(
                matches!(
                    error,
                    PruningError::Others {
                        seq: 20,
                        told: 3,
                        ..
                    }
                ),
                "{missing:?}: {error}"
            );
        }
        for last in [9, 30] {
            let error = compared(&[2, 3, last], &[(20, pruned(9, &[2, 3, last]))]).unwrap_err();
            assert!(matches!(error, PruningError::Behind { .. }), "{error}");
        }
    }

    #[test]
    fn the_place_only_goes_forward_and_never_past_the_entry_itself() {
        let first = (20, pruned(9, &[2]));
        for (seq, before) in [(40, 8), (40, 41)] {
            let error = compared(&[2], &[first.clone(), (seq, pruned(before, &[2]))]).unwrap_err();
            assert!(matches!(error, PruningError::Place { .. }), "{error}");
        }
    }
}
