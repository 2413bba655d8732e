//! Pruning: the database is checked, the beginning of the log is handed out as an evidence pack, the pack
//! is checked, and then all goes of the requests in it that were over, but the hashes of their entries.
//!
//! What stays: every entry about no request, so keys, rosters and rules are followed from the genesis
//! on; every request that is not over, that somebody owes a review of, or of which an entry is younger;
//! and the tree, so roots, receipts and kept heads are what they were.
//!
//! The cut is at the first entry of the latest moment that is old enough: all before it are earlier, also
//! where a clock was set back, so the next pack begins there and lacks nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_evidence::export::ExportError;
use countersign_evidence::pack::{self, Order, Scope};
use countersign_evidence::sink::Directory;
use countersign_evidence::source::Period;
use countersign_evidence::verify::{Trust, VerifyError, verify_directory};
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::pruning::Pruned;
use countersign_shared::log::tree::leaf_hash;
use countersign_shared::time::Timestamp;

use crate::engine::{BootError, Engine, Gone, Prune, Settings, mark};
use crate::export::Snapshot;
use crate::identity::Operator;
use crate::store::{Store, StoreError};
use crate::verify;

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
    /// What is stored is not what the log says, and pruning would hide that.
    #[error("the log is not good, and is not pruned: {problem}; `countersign verify` says more")]
    Damaged {
        /// What is wrong first.
        problem: String,
    },
    /// The database could not be changed, or not be asked whether it was.
    #[error(
        "the pruning did not come to its end: keep the archive, and let `countersign verify` say what \
         is there"
    )]
    Boot(#[from] BootError),
}

/// What can be pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// What would go, if anything would.
    pub plan: Option<Plan>,
    /// What was pruned last, if anything was.
    pub last: Option<Pruned>,
}

/// What would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The smallest position from which on every entry stays.
    pub before: u64,
    /// The requests that would go.
    pub requests: Vec<RequestId>,
    /// The time before which everything is old enough.
    until: Timestamp,
    /// Where the last plan of this kind ended: its position, and the time there.
    from: Option<(u64, Timestamp)>,
    kept_days: NonZeroU16,
    now: Timestamp,
}

impl Outlook {
    /// Looks for what is older than the policy keeps it.
    ///
    /// # Errors
    ///
    /// As [`PruneError`] says.
    pub fn of(database: &Path, now: Timestamp, kept_days: NonZeroU16) -> Result<Self, PruneError> {
        let kept = DAY.saturating_mul(u32::from(kept_days.get()));
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp::from_millis(now.as_millis().saturating_sub(kept));
        let store = Store::open_read_only(database)?;
        let mut cut: Option<(u64, Timestamp)> = None;
        let mut is_young = false;
        let mut last = None;
        store.each_entry::<PruneError>(0, |at, bytes, _| {
            if bytes.is_empty() {
                return Ok(true);
            }
            let entry = Entry::read(bytes).map_err(|_| PruneError::Entry { at })?;
            let time = entry.now.wall;
            is_young = is_young || time >= until;
            if !is_young && cut.is_none_or(|(_, latest)| latest < time) {
                cut = Some((at, time));
            }
            if let Body::Log(LogEvent::Pruned(pruned)) = entry.body {
                last = Some(*pruned);
            }
            Ok(true)
        })?;
        let from = match &last {
            None => None,
            Some(pruned) => Some((pruned.before, time_of(&store, pruned.before)?)),
        };
        let requests = match cut {
            // What is kept longer now than it was then was pruned already.
            Some((before, _)) if from.is_none_or(|(at, _)| at <= before) => {
                store.prunable(before)?
            }
            Some(_) | None => Vec::new(),
        };
        let plan = cut
            .filter(|_| !requests.is_empty())
            .map(|(before, _)| Plan {
                before,
                requests,
                until,
                from,
                kept_days,
                now,
            });
        Ok(Self { plan, last })
    }
}

impl Plan {
    /// Hands out what the plan covers to `archive`, which is made, checks that, and takes it away.
    ///
    /// # Errors
    ///
    /// As [`PruneError`] says; nothing is gone then, unless it is [`PruneError::Boot`].
    pub fn carry_out(
        &self,
        database: &Path,
        key: &VerifierKey,
        settings: Settings,
        archive: &Path,
        by: Operator,
    ) -> Result<Gone, PruneError> {
        check(database, key)?;
        let failed = |source| PruneError::Archive {
            path: archive.to_owned(),
            source,
        };
        let mut sink = Directory::create(archive).map_err(failed)?;
        let digest = self
            .hand_out(database, key, archive, &mut sink)
            .inspect_err(|_| {
                // Nobody shall take it for one.
                fs::remove_dir_all(archive).ok();
            })?;
        let order = Prune {
            requests: self.requests.clone(),
            before: self.before,
            kept_days: self.kept_days.get(),
            archive: digest,
            by,
        };
        Ok(Engine::prune(database, settings, order)?)
    }

    /// Makes the archive, durable, and returns the digest of its manifest.
    fn hand_out(
        &self,
        database: &Path,
        key: &VerifierKey,
        archive: &Path,
        sink: &mut Directory,
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
        pack::write(&source, key, &order, sink)?;
        let trust = Trust {
            key: Some(key.clone()),
            ..Trust::default()
        };
        let report = verify_directory(archive, &trust, &mut |_, _| {})?;
        if !report.is_good() {
            return Err(bad(report.to_string()));
        }
        self.check_contents(database, archive)?;
        let manifest = fs::read(archive.join("manifest.sha256")).map_err(failed)?;
        File::open(archive)
            .and_then(|directory| Ok(rustix::fs::syncfs(directory)?))
            .map_err(failed)?;
        Ok(Digest::of(&manifest))
    }

    /// Finds each entry and document of what is to go in the archive.
    pub(crate) fn check_contents(&self, database: &Path, archive: &Path) -> Result<(), PruneError> {
        let bad = |problem: String| PruneError::Bad {
            path: archive.to_owned(),
            problem,
        };
        let unread = |source| PruneError::Archive {
            path: archive.to_owned(),
            source,
        };
        let mut there = BTreeSet::new();
        let lines = File::open(archive.join("entries.jsonl")).map_err(unread)?;
        for line in BufReader::new(lines).split(b'\n') {
            let line = line.map_err(unread)?;
            there.insert(leaf_hash(&line));
        }
        let store = Store::open_read_only(database)?;
        for id in &self.requests {
            for at in store.positions_of(*id)? {
                if !there.contains(&store.leaf(at)?) {
                    return Err(bad(format!("entry {at} of {id} is not in it")));
                }
            }
            let document = archive.join(format!("documents/{id}.json"));
            if store.document(*id)?.is_some() && !document.exists() {
                return Err(bad(format!("the document of {id} is not in it")));
            }
        }
        Ok(())
    }
}

/// Refuses a database in which something is wrong: it would be out of sight afterwards.
fn check(database: &Path, key: &VerifierKey) -> Result<(), PruneError> {
    let trust = verify::Trust {
        origin: key.name().to_owned(),
        vkey: key.clone(),
        heads: Vec::new(),
        policy: None,
        archives: Vec::new(),
        mark: Some(mark::beside(database)),
    };
    let report = verify::verify(database, &trust, &mut |_, _| {})?;
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(PruneError::Damaged {
            problem: finding.to_string(),
        }),
    }
}

/// Returns the time of an entry.
fn time_of(store: &Store, at: u64) -> Result<Timestamp, PruneError> {
    let bytes = store.entry(at)?.ok_or(PruneError::Entry { at })?;
    let entry = Entry::read(&bytes).map_err(|_| PruneError::Entry { at })?;
    Ok(entry.now.wall)
}
