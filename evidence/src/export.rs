//! One file of entries, in a format of the caller's choice.
//!
//! [`write`] runs the entries of a [`Source`] through a [`Format`]. Every entry up to the head is
//! read, the ones that are left out as well, and the root over all of them is compared with the one
//! in the head: a file of entries that the log's head does not cover does not come about unnoticed.

use std::io::{self, Write};

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint::{Checkpoint, CheckpointError};
use countersign_shared::log::keys::KeysError;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::pruning::{Pruned, Pruning, PruningError};
use countersign_shared::log::tree::{Frontier, Hash, TreeError, leaf_hash};
use countersign_shared::time::Timestamp;
use serde::Deserialize as _;

use crate::cef::Cef;
use crate::csv::Csv;
use crate::jsonl::Jsonl;
use crate::ocsf::Ocsf;
use crate::record::{Record, RecordError};
use crate::source::{Leaf, Period, Source, SourceError};

/// Nothing, or not everything, was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read.
    #[error("the log cannot be read")]
    Source(#[from] SourceError),
    /// An entry is not what entries are.
    #[error("entry {seq} is not an entry")]
    Record {
        /// Its position.
        seq: u64,
        /// What is wrong with it.
        #[source]
        problem: RecordError,
    },
    /// The head is not the log's.
    #[error("the log's head is not to be believed")]
    Head(#[from] CheckpointError),
    /// The log's keys do not follow from one another, or have not signed its head.
    #[error("the log's keys are not as its entries tell")]
    Keys(#[from] KeysError),
    /// The key that is believed is none of the log's.
    #[error("the log was never signed with the key that it is exported under")]
    OtherKey,
    /// The source skipped or repeated an entry.
    #[error("entry {expected} was asked for, and entry {found} came")]
    Order {
        /// The position that was due.
        expected: u64,
        /// The position that came.
        found: u64,
    },
    /// There are fewer entries than the head covers.
    #[error("the head covers {expected} entries, and there are {found}")]
    Short {
        /// The head's size.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The entries are not the ones the head covers.
    #[error("the {size} entries have the root {found}, and the log's head says {expected}")]
    Root {
        /// How many entries.
        size: u64,
        /// The root in the head.
        expected: Hash,
        /// The root of the entries.
        found: Hash,
    },
    /// Other entries are gone than the log says.
    #[error("entries are gone")]
    Pruning(#[from] PruningError),
    /// What is asked for was pruned, or a part of it.
    #[error(
        "{what} is gone in part: the log was pruned before entry {before}; what was handed out then has \
         it, and here is whatever is of {from} or later"
    )]
    Pruned {
        /// What is asked for.
        what: &'static str,
        /// The position from which on every entry is there.
        before: u64,
        /// The time of that entry.
        from: Timestamp,
    },
    /// What is left of a log that was pruned does not fill a bundle that could be written.
    #[error(
        "the log was pruned before entry {before}, and no bundle of tiles would say so: it is too short yet; \
         `export evidence` hands out what is left"
    )]
    Untold {
        /// The position from which on every entry is there.
        before: u64,
    },
    /// The tree cannot grow.
    #[error("the log is too long")]
    Tree(#[from] TreeError),
    /// A document is not the one that was received.
    #[error("the document of {id} has not the digest that the log has")]
    Document {
        /// The request.
        id: RequestId,
    },
    /// None of the files of rules has their digest.
    #[error("no file of the rules {rules} has that digest")]
    Rules {
        /// The digest.
        rules: Digest,
    },
    /// The file cannot be written.
    #[error("`{name}` cannot be written")]
    Write {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl ExportError {
    /// Says which file could not be written.
    pub(crate) fn write(name: &str, cause: io::Error) -> Self {
        Self::Write {
            name: name.to_owned(),
            cause,
        }
    }
}

/// How entries are written, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The exact bytes, one entry to a line.
    Jsonl,
    /// A table for spreadsheets.
    Csv,
    /// Events of the Open Cybersecurity Schema Framework 1.8, one to a line.
    Ocsf,
    /// Events in the Common Event Format, one to a line.
    Cef,
}

/// Which entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those of this time.
    pub period: Period,
    /// Only those about this request.
    pub request: Option<RequestId>,
}

impl Filter {
    /// Tells whether an entry is written.
    pub fn holds(&self, record: &Record<'_>) -> bool {
        self.period.holds(record.time) && self.request.is_none_or(|id| record.request == Some(id))
    }
}

/// Writes entries in one format.
pub trait Format {
    /// Writes one entry.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn entry(&mut self, record: &Record<'_>) -> io::Result<()>;

    /// Writes what comes after the last one, and flushes.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn finish(&mut self) -> io::Result<()>;
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The head that the export stands under.
    pub head: Checkpoint,
    /// How many entries were written.
    pub written: u64,
    /// How many entries of the log were pruned before, and are in no file that is made now.
    pub gone: u64,
}

/// Writes the entries that `filter` lets through, after all that the head covers were found to have
/// its root.
///
/// The comparison comes last, since entries are read once; after an error what was written is worth
/// nothing.
///
/// # Errors
///
/// As [`ExportError`] says.
pub fn write(
    source: &impl Source,
    key: &VerifierKey,
    filter: &Filter,
    kind: Kind,
    out: &mut dyn Write,
) -> Result<Exported, ExportError> {
    let mut format: Box<dyn Format + '_> = match kind {
        Kind::Jsonl => Box::new(Jsonl::new(out)),
        Kind::Csv => Box::new(Csv::new(out)),
        Kind::Ocsf => Box::new(Ocsf::new(out)),
        Kind::Cef => Box::new(Cef::new(out)),
    };
    let failed = |cause| ExportError::write("output", cause);
    let mut written = 0u64;
    let (head, pruning) = each(source, key, |record| {
        if filter.holds(record) {
            format.entry(record).map_err(failed)?;
            written = written.saturating_add(1);
        }
        Ok(())
    })?;
    format.finish().map_err(failed)?;
    Ok(Exported {
        head,
        written,
        gone: pruning.positions().count(),
    })
}

/// Reads every entry that the source's head covers, and fails when they do not have its root, or when
/// others are gone than the log says were pruned.
pub(crate) fn each(
    source: &impl Source,
    key: &VerifierKey,
    mut take: impl FnMut(&Record<'_>) -> Result<(), ExportError>,
) -> Result<(Checkpoint, Pruning), ExportError> {
    let note = source.checkpoint()?;
    let head =
        countersign_shared::log::checkpoint::open(&note, std::slice::from_ref(key), key.name())?;
    let mut frontier = Frontier::new();
    let mut pruning = Pruning::default();
    source.entries(0..head.size(), &mut |at, leaf| {
        let expected = frontier.size();
        if at != expected {
            return Err(ExportError::Order {
                expected,
                found: at,
            });
        }
        let bytes = match leaf {
            Leaf::Entry(bytes) => bytes,
            Leaf::Pruned(hash) => {
                pruning.gone(at);
                drop(frontier.push(hash)?);
                return Ok(());
            }
        };
        drop(frontier.push(leaf_hash(bytes))?);
        let record =
            Record::read(at, bytes).map_err(|problem| ExportError::Record { seq: at, problem })?;
        follow(&mut pruning, &record)?;
        take(&record)
    })?;
    same_root(&head, &frontier)?;
    pruning.finish()?;
    Ok((head, pruning))
}

/// Takes what an entry says of others that are gone.
pub(crate) fn follow(pruning: &mut Pruning, record: &Record<'_>) -> Result<(), ExportError> {
    if record.entry_type != "log.pruned" {
        return Ok(());
    }
    let wrong = |error: serde_json::Error| ExportError::Record {
        seq: record.seq,
        problem: RecordError::Fields {
            problem: error.to_string(),
        },
    };
    let pruned = Pruned::deserialize(&record.body).map_err(wrong)?;
    Ok(pruning.told(record.seq, &pruned)?)
}

/// Compares the head with the tree over the entries that came.
pub(crate) fn same_root(head: &Checkpoint, frontier: &Frontier) -> Result<(), ExportError> {
    let (size, found) = (frontier.size(), frontier.root());
    if size != head.size() {
        return Err(ExportError::Short {
            expected: head.size(),
            found: size,
        });
    }
    if found != *head.root() {
        return Err(ExportError::Root {
            size,
            expected: *head.root(),
            found,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
