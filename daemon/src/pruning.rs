//! Pruning: the beginning of the log is handed out as an evidence pack, the pack is checked, and then
//! all goes of the requests in it that were over, but the hashes of their entries.
//!
//! What stays: every entry about no request, so keys, rosters and rules are followed from the genesis
//! on; every request that is not over, that somebody owes a review of, or of which an entry is younger;
//! and the tree, so roots, receipts and kept heads are what they were.

use std::fs::{self, File};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_evidence::export::ExportError;
use countersign_evidence::pack::{self, Order, Scope};
use countersign_evidence::sink::Directory;
use countersign_evidence::source::Period;
use countersign_evidence::verify::{Trust, VerifyError, verify_directory};
use countersign_shared::digest::Digest;
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::time::Timestamp;

use crate::engine::{BootError, Engine, Gone, Prune, Settings};
use crate::export::Snapshot;
use crate::store::{Store, StoreError};

/// The length of a day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Nothing was pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The database cannot be read.
    #[error("the log cannot be read")]
    Store(#[from] StoreError),
    /// An entry cannot be read.
    #[error("entry {at} cannot be read; run `countersign verify`")]
    Entry {
        /// Its position.
        at: u64,
    },
    /// The archive cannot be made.
    #[error("the archive `{}` cannot be made", path.display())]
    Archive {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The log cannot be handed out.
    #[error("the log cannot be handed out")]
    Export(#[from] ExportError),
    /// The archive cannot be checked.
    #[error("the archive cannot be checked")]
    Unchecked(#[from] VerifyError),
    /// The archive is not what was to be handed out.
    #[error("the archive `{}` is not good: {problem}", path.display())]
    Bad {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The database cannot be changed.
    #[error("everything is there still")]
    Boot(#[from] BootError),
}

/// Who prunes.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The OS user that the command runs as.
    pub uid: u32,
    /// Its account's name; empty when it has none.
    pub user: String,
    /// The OS user that had logged in for it, where the kernel knows.
    pub login_uid: Option<u32>,
}

/// What would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The smallest position from which on every entry stays.
    pub before: u64,
    /// How many requests would go.
    pub requests: u64,
    /// The time from which on every entry stays.
    until: Timestamp,
    /// Where the last plan of this kind ended: its position, and the time there.
    from: Option<(u64, Timestamp)>,
    kept_days: NonZeroU16,
    now: Timestamp,
}

impl Plan {
    /// Looks for what is older than the policy keeps it; nothing when nothing is.
    ///
    /// # Errors
    ///
    /// As [`PruneError`] says.
    pub fn of(
        database: &Path,
        now: Timestamp,
        kept_days: NonZeroU16,
    ) -> Result<Option<Self>, PruneError> {
        let kept = DAY.saturating_mul(u32::from(kept_days.get()));
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp::from_millis(now.as_millis().saturating_sub(kept));
        let store = Store::open_read_only(database)?;
        let mut before = None;
        let mut pruned = 0;
        store.each_entry::<PruneError>(0, |at, bytes, _| {
            if bytes.is_empty() {
                return Ok(true);
            }
            let entry = Entry::read(bytes).map_err(|_| PruneError::Entry { at })?;
            if before.is_none() && entry.now.wall >= until {
                before = Some(at);
            }
            if let Body::Log(LogEvent::Pruned(earlier)) = entry.body {
                pruned = earlier.before;
            }
            Ok(true)
        })?;
        let Some(before) = before else {
            return Ok(None);
        };
        let requests = store.prunable(before)?.len();
        if requests == 0 {
            return Ok(None);
        }
        let from = match pruned {
            0 => None,
            at => Some((at, time_of(&store, at)?)),
        };
        Ok(Some(Self {
            before,
            requests: u64::try_from(requests).unwrap_or(u64::MAX),
            until,
            from,
            kept_days,
            now,
        }))
    }

    /// Hands out what the plan covers to `archive`, which is made, checks that, and takes it away.
    ///
    /// # Errors
    ///
    /// As [`PruneError`] says; then nothing is gone.
    pub fn carry_out(
        &self,
        database: &Path,
        key: &VerifierKey,
        settings: Settings,
        archive: &Path,
        by: Operator,
    ) -> Result<Gone, PruneError> {
        let digest = self.hand_out(database, key, archive)?;
        let order = Prune {
            before: self.before,
            kept_days: self.kept_days.get(),
            archive: digest,
            uid: by.uid,
            user: by.user,
            login_uid: by.login_uid,
        };
        Ok(Engine::prune(database, settings, order)?)
    }

    /// Makes the archive, durable, and returns the digest of its manifest.
    fn hand_out(
        &self,
        database: &Path,
        key: &VerifierKey,
        archive: &Path,
    ) -> Result<Digest, PruneError> {
        let failed = |source| PruneError::Archive {
            path: archive.to_owned(),
            source,
        };
        let bad = |problem: String| PruneError::Bad {
            path: archive.to_owned(),
            problem,
        };
        let source = Snapshot::open(database)?;
        let order = Order {
            scope: Scope::Period(Period {
                from: self.from.map(|(_, time)| time),
                until: Some(self.until),
            }),
            made_at: self.now,
            software: format!("countersignd {}", env!("CARGO_PKG_VERSION")),
        };
        let mut sink = Directory::create(archive).map_err(failed)?;
        let packed = pack::write(&source, key, &order, &mut sink)?;
        let first = self.from.map_or(0, |(at, _)| at);
        if packed.range.start > first || packed.range.end < self.before {
            let range = &packed.range;
            return Err(bad(format!(
                "it holds the entries from {} up to {}, and has to hold those from {first} up to {}",
                range.start, range.end, self.before
            )));
        }
        let trust = Trust {
            key: Some(key.clone()),
            ..Trust::default()
        };
        let report = verify_directory(archive, &trust, &mut |_, _| {})?;
        if !report.is_good() {
            return Err(bad(report.to_string()));
        }
        let manifest = fs::read(archive.join("manifest.sha256")).map_err(failed)?;
        File::open(archive)
            .and_then(|directory| Ok(rustix::fs::syncfs(directory)?))
            .map_err(failed)?;
        Ok(Digest::of(&manifest))
    }
}

/// Returns the time of an entry.
fn time_of(store: &Store, at: u64) -> Result<Timestamp, PruneError> {
    let bytes = store.entry(at)?.ok_or(PruneError::Entry { at })?;
    let entry = Entry::read(&bytes).map_err(|_| PruneError::Entry { at })?;
    Ok(entry.now.wall)
}
