//! The last head of the log that this user has seen, and the proof that the log still begins so.
//!
//! Each answer brings a head. It is accepted only when it continues the kept one, and is written
//! before anybody acts on it, so a log that shows two histories is caught by the next answer.
//!
//! Processes of one user share the file, which only ever moves along proven steps. One that finds another
//! head there than its own, and has not seen which of them continues the other ([`Heads::gap`]), asks for
//! that and goes on from the longer one ([`Heads::bridge`]); until then it goes on from its own. A head that
//! is older than the kept one, or longer without a proof from its size, is refused: every call names the
//! size that was kept.
//!
//! The key that is kept is the one that is believed. The key that the installation names is believed
//! only where nothing is kept yet; else the log itself has to lead from the one to the other.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::json::{self, Bounds};
use countersign_shared::log::checkpoint::{Checkpoint, CheckpointError};
use countersign_shared::log::keeper::{
    Advance, Fork, HeadKeeper, KeeperError, RotationError, Signed,
};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::proof::{ProofError, verify_inclusion};
use countersign_shared::log::tree::{Hash, leaf_hash};
use rustix::fs::FlockOperation;

use crate::private::{Lasting, write_private};
use crate::shown::{Consistency, Inclusion, ShownHead};

mod rotation;

pub use rotation::{Adopted, adopt};

/// How a person takes a key that they compared, in both clients.
const ADOPT: &str = "adopt-log-key";

/// The longest entry, in bytes.
const LONGEST_ENTRY: usize = 65_535;

/// The log could not be checked, or did not stand the check.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// The kept head cannot be read from disk.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kept head cannot be written to disk.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold a kept head.
    #[error("`{}` does not hold a kept head", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeeperError,
    },
    /// The installation names a key that the log has not led to from the one that is kept.
    #[error("the log has another key than the one kept in `{}`", path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
    /// The log signs with the key that the installation names, and no more with the one that is kept:
    /// the change was missed, or this is another log.
    #[error(
        "the log signs with `{now}`, and no more with `{kept}`, which is kept in `{}`; ask the operator \
         for the log's key by another way, compare it with the new one, and only if they are the same run this \
         program's `{ADOPT} {now}`",
        path.display()
    )]
    KeyEnded {
        /// The file.
        path: PathBuf,
        /// The verifier key that is kept.
        kept: String,
        /// The one that the installation names.
        now: String,
    },
    /// A change of the log's key is not believed.
    #[error("the log's change of key was not accepted")]
    Rotation(#[source] RotationError),
    /// The key that a person hands over is not taken.
    #[error("the key was not taken")]
    NotAdopted(#[source] RotationError),
    /// No head of this log is kept.
    #[error(
        "`{}` does not exist: nothing is kept of this log, so there is no key to replace",
        path.display()
    )]
    NothingKept {
        /// The file.
        path: PathBuf,
    },
    /// The log's name cannot be a log's name.
    #[error("the log's key has a name that no log has")]
    Hash {
        /// Why.
        source: CheckpointError,
    },
    /// The head does not continue the kept one.
    #[error("the log was not accepted")]
    Fork(#[source] Fork),
    /// Another process of this user was shown another history.
    #[error("the log `{origin}` has two roots for {size} entries")]
    Diverged {
        /// The log.
        origin: String,
        /// The size.
        size: u64,
    },
    /// The head of an entry is not one that the log has signed.
    #[error("the head of the log was not accepted")]
    Unsigned(#[source] CheckpointError),
    /// The entry is not under the head.
    #[error("the entry is not in the log")]
    Inclusion(#[source] ProofError),
    /// The entry is not about what was asked.
    #[error(
        "the entry in the log is not of `{request}`, or not a {}",
        one_of(expected)
    )]
    Entry {
        /// The types it may have; empty for any.
        expected: &'static [&'static str],
        /// The request it should be of.
        request: RequestId,
    },
}

impl HeadsError {
    /// Tells whether this machine could not read or write what it keeps, which says nothing about the log.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Write { .. })
    }

    /// Tells whether the log has fewer entries than the `known` ones it had before it was asked. No other
    /// call can be the reason for that.
    pub const fn went_back_behind(&self, known: u64) -> bool {
        matches!(self, Self::Fork(Fork::WentBack { found, .. }) if *found < known)
    }

    /// Tells whether a head is merely older than one that another call brought.
    pub const fn is_behind(&self) -> bool {
        matches!(
            self,
            Self::Fork(Fork::WentBack { .. } | Fork::OtherStart { .. })
        )
    }
}

/// The directory of the kept heads.
const DIRECTORY: &str = "heads";

/// Where the head of a log is kept, by the log's name, which is that of its keys.
fn path_of(state_dir: &Path, key: &VerifierKey) -> PathBuf {
    let name = Digest::of(key.name().as_bytes()).to_hex();
    state_dir.join(DIRECTORY).join(name)
}

/// The kept head of one log.
#[derive(Debug)]
pub struct Heads {
    path: PathBuf,
    lasting: Lasting,
    keeper: HeadKeeper,
    /// What the file held when it was read or written last; its signature is not checked twice.
    stored: Option<Box<HeadKeeper>>,
    /// The key that the installation names.
    announced: VerifierKey,
    /// Heads that this process has seen to follow each other.
    seen: Vec<(u64, Hash)>,
    /// What the file holds, where it was not seen to be of one history with ours.
    apart: Option<Box<HeadKeeper>>,
}

/// The sizes of two heads that two processes were shown, the smaller one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The smaller one.
    pub from: u64,
    /// The larger one.
    pub to: u64,
}

impl Heads {
    /// Opens what is kept of the log that `key` is said to sign.
    ///
    /// A head that lasts for the processes only is an older one after a power cut, or none: the log
    /// could then be set back as far as that without a notice here. People's heads outlive it.
    ///
    /// # Errors
    /// When it is there and cannot be read. A key that the log does not lead to is told with the first
    /// head.
    pub fn open(state_dir: &Path, key: VerifierKey, lasting: Lasting) -> Result<Self, HeadsError> {
        let path = path_of(state_dir, &key);
        let dir = state_dir.join(DIRECTORY);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|source| HeadsError::Write {
                path: dir.clone(),
                source,
            })?;
        let fresh = HeadKeeper::new(key.name(), key.clone())
            .map_err(|source| HeadsError::Hash { source })?;
        let mut heads = Self {
            path,
            lasting,
            keeper: fresh,
            stored: None,
            announced: key,
            seen: Vec::new(),
            apart: None,
        };
        heads.catch_up()?;
        Ok(heads)
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        self.keeper.origin()
    }

    /// Returns the key that heads have to be signed with.
    pub const fn key(&self) -> &VerifierKey {
        self.keeper.key()
    }

    /// Returns the last head that was accepted.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.keeper.last()
    }

    /// Looks what other processes have kept meanwhile, and returns the size to name in the next call.
    /// What they kept is taken over where nothing is kept here; else see [`gap`](Self::gap).
    ///
    /// # Errors
    /// When the file cannot be read, or holds another root for as many entries.
    pub fn catch_up(&mut self) -> Result<u64, HeadsError> {
        self.apart = None;
        if let Some(stored) = self.stored()? {
            let (ours, theirs) = (self.keeper.size(), stored.size());
            if let Some(head) = stored.last() {
                self.compare(head)?;
            }
            if ours == 0 || ours == theirs {
                self.follow_stored(stored);
            } else if !stored.last().is_none_or(|head| self.has_seen(head)) {
                self.apart = Some(Box::new(stored));
            }
        }
        Ok(self.keeper.size())
    }

    /// Returns between which sizes the log has to prove that it is one, after another process of this user
    /// was shown a head that this one has not seen.
    pub fn gap(&self) -> Option<Gap> {
        let (ours, theirs) = (self.keeper.size(), self.apart.as_ref()?.size());
        Some(Gap {
            from: ours.min(theirs),
            to: ours.max(theirs),
        })
    }

    /// Goes on from the longer of the two heads, when the log has shown that it continues the other one.
    /// Returns the size to name in the next call.
    ///
    /// # Errors
    /// When the log does not show it, or it cannot be kept.
    pub fn bridge(&mut self, shown: &Consistency) -> Result<u64, HeadsError> {
        let (Some(gap), Some(theirs)) = (self.gap(), self.apart.take()) else {
            return Ok(self.keeper.size());
        };
        if shown.size < gap.to {
            return Err(HeadsError::Fork(Fork::WentBack {
                origin: self.origin().to_owned(),
                kept: gap.to,
                found: shown.size,
            }));
        }
        let before = self.keeper.clone();
        let theirs_is_longer = theirs.size() > before.size();
        let (old, new) = if theirs_is_longer {
            (&before, &*theirs)
        } else {
            (&*theirs, &before)
        };
        old.is_continued_by(new, &shown.proof)
            .map_err(HeadsError::Fork)?;
        if let Some(head) = theirs.last() {
            self.seen.push((head.size(), *head.root()));
        }
        // The longer head, and the newer key: either may have learned it.
        if theirs_is_longer {
            self.keeper = *theirs;
            self.keeper.learn_keys_of(&before);
        } else {
            self.keeper.learn_keys_of(&theirs);
            self.store()?;
        }
        Ok(self.keeper.size())
    }

    fn has_seen(&self, head: &Checkpoint) -> bool {
        self.seen.contains(&(head.size(), *head.root()))
    }

    /// Accepts a head that came with a proof from the size that was named, and keeps it. Where it tells
    /// of a change of the log's key, the next key is believed from then on.
    ///
    /// # Errors
    /// When it does not continue the kept head, the key that the installation names is not one that the
    /// log led to, or it cannot be kept.
    pub fn accept(&mut self, head: &ShownHead) -> Result<(), HeadsError> {
        let mut keeper = self.keeper.clone();
        let advance = keeper
            .advance(&head.note, &head.proof, head.from)
            .map_err(|fork| self.refused(fork, &head.note))?;
        self.keep(keeper, advance, head)
    }

    /// Keeps a head that a copy of the keeper has accepted.
    fn keep(
        &mut self,
        mut keeper: HeadKeeper,
        advance: Advance,
        head: &ShownHead,
    ) -> Result<(), HeadsError> {
        let has_learned = self.learn(&mut keeper, head.rotation.as_ref())?;
        if advance == Advance::Same && !has_learned {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.keeper, keeper);
        self.remember();
        let stored = self.store();
        if stored.is_err() {
            // What is not kept was not seen: the next answer would pass for nothing new.
            self.keeper = before;
            self.seen.pop();
        }
        stored
    }

    /// Checks that the log holds an entry about `request` of one of the types `kinds`, any if there
    /// are none, and accepts the head it stands under as [`Heads::accept`] does.
    ///
    /// # Errors
    /// When any part of that is not so. A signature alone is not enough: a log that was set back
    /// signs as well.
    pub fn check(
        &mut self,
        inclusion: &Inclusion,
        kinds: &'static [&'static str],
        request: RequestId,
    ) -> Result<(), HeadsError> {
        let head = self.prove(inclusion)?;
        if !is_entry(&inclusion.entry, kinds, request) {
            return Err(HeadsError::Entry {
                expected: kinds,
                request,
            });
        }
        self.accept_signed(head, &inclusion.head)
    }

    /// Checks that the log holds an entry, whatever it is about, and accepts the head it stands
    /// under as [`Heads::accept`] does.
    ///
    /// # Errors
    /// When any part of that is not so.
    pub fn hold(&mut self, inclusion: &Inclusion) -> Result<(), HeadsError> {
        let head = self.prove(inclusion)?;
        self.accept_signed(head, &inclusion.head)
    }

    fn accept_signed(&mut self, signed: Signed, head: &ShownHead) -> Result<(), HeadsError> {
        let mut keeper = self.keeper.clone();
        let advance = keeper
            .advance_to(signed, &head.proof, head.from)
            .map_err(|fork| self.refused(fork, &head.note))?;
        self.keep(keeper, advance, head)
    }

    /// Checks that an entry is under the head it came with.
    fn prove(&self, inclusion: &Inclusion) -> Result<Signed, HeadsError> {
        let head = self
            .keeper
            .open(&inclusion.head.note)
            .map_err(|error| self.unsigned(error, &inclusion.head.note))?;
        verify_inclusion(
            &leaf_hash(&inclusion.entry),
            inclusion.index,
            head.head(),
            &inclusion.proof,
        )
        .map_err(HeadsError::Inclusion)?;
        Ok(head)
    }

    /// Compares the head that another process has kept with ours, as far as that goes.
    fn compare(&self, head: &Checkpoint) -> Result<(), HeadsError> {
        match self.keeper.last() {
            Some(kept) if kept.size() == head.size() && kept.root() != head.root() => {
                Err(HeadsError::Diverged {
                    origin: head.origin().to_owned(),
                    size: head.size(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn remember(&mut self) {
        if let Some(head) = self.keeper.last() {
            self.seen.push((head.size(), *head.root()));
        }
    }

    /// Reads the file; `None` when nothing was kept yet.
    fn stored(&mut self) -> Result<Option<HeadKeeper>, HeadsError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(HeadsError::Read {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        if let Some(stored) = &self.stored
            && stored.to_text() == text
        {
            return Ok(Some(HeadKeeper::clone(stored)));
        }
        if self.lasting == Lasting::Process && text.bytes().all(|byte| byte == 0) {
            // What a power cut leaves of a file that no disk was waited for.
            return Ok(None);
        }
        let stored = HeadKeeper::from_text(&text).map_err(|source| HeadsError::Kept {
            path: self.path.clone(),
            source,
        })?;
        if !self.is_same_log(&stored) {
            return Err(HeadsError::OtherKey {
                path: self.path.clone(),
            });
        }
        self.stored = Some(Box::new(stored.clone()));
        Ok(Some(stored))
    }

    /// Goes on from what is stored.
    fn follow_stored(&mut self, stored: HeadKeeper) {
        self.keeper = stored;
        self.remember();
    }

    /// Writes the kept head, unless another process has got elsewhere.
    fn store(&mut self) -> Result<(), HeadsError> {
        let path = self.path.clone();
        let failed = |source| HeadsError::Write {
            path: path.clone(),
            source,
        };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.path.with_extension("lock"))
            .map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)
            .map_err(|errno| failed(errno.into()))?;
        let stored = self.stored()?;
        if let Some(head) = stored.as_ref().and_then(HeadKeeper::last) {
            self.compare(head)?;
            // A head we have not seen to be followed by ours stays: the next call proves from it.
            if !self.has_seen(head) {
                return Ok(());
            }
        }
        write_private(&self.path, self.keeper.to_text().as_bytes(), self.lasting)
            .map_err(failed)?;
        self.stored = Some(Box::new(self.keeper.clone()));
        Ok(())
    }
}

/// Tells whether an entry has one of these types and is about this request.
fn is_entry(entry: &[u8], kinds: &[&str], request: RequestId) -> bool {
    let Ok(value) = json::read_canonical_within(entry, &Bounds::of_own(LONGEST_ENTRY)) else {
        return false;
    };
    let text = |name| value.get(name).and_then(serde_json::Value::as_str);
    let has_type = kinds.is_empty() || text("type").is_some_and(|kind| kinds.contains(&kind));
    has_type && text("request") == Some(&request.to_string())
}

fn one_of(kinds: &[&str]) -> String {
    kinds
        .iter()
        .map(|kind| format!("`{kind}`"))
        .collect::<Vec<_>>()
        .join(" or ")
}

#[cfg(test)]
mod tests;
