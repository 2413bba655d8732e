//! Where the log comes from: a database, a connection, or a directory of files.
//!
//! The reader promises one thing only: that it hands out the entries of one log in order. That they
//! are the ones the signed head covers is computed here, never believed.

use std::ops::Range;

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::tree::Hash;
use countersign_shared::time::Timestamp;

use crate::export::ExportError;

/// What is asked for could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    /// What could not be done, with the file or address.
    what: String,
    /// Why.
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// Says what could not be done.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause: None,
        }
    }

    /// Says what could not be done, and why.
    pub fn because(
        what: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            what: what.into(),
            cause: Some(cause.into()),
        }
    }
}

/// What stands at one position of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf<'l> {
    /// The exact bytes of an entry.
    Entry(&'l [u8]),
    /// The hash of an entry that was pruned.
    Pruned(Hash),
}

/// Takes one position, and what stands there.
pub type Take<'t> = dyn FnMut(u64, Leaf<'_>) -> Result<(), ExportError> + 't;

/// One file of the rules that were in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesFile {
    /// The file's name, such as `policy/exports.cedar`: relative, `/` between its parts.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A log, and what lies beside it.
///
/// It is read more than once, and must show the same entries each time up to the size of
/// [`checkpoint`](Self::checkpoint); what is appended meanwhile is not asked for.
pub trait Source {
    /// Returns the log's signed head (a C2SP checkpoint) that the export is to stand under.
    ///
    /// # Errors
    ///
    /// When there is none to be had.
    fn checkpoint(&self) -> Result<String, SourceError>;

    /// Hands what stands at the positions of `range` to `take`, in order and without a gap.
    ///
    /// # Errors
    ///
    /// What `take` said, or [`ExportError::Source`] when an entry cannot be read.
    fn entries(&self, range: Range<u64>, take: &mut Take<'_>) -> Result<(), ExportError>;

    /// Returns the bytes of a request's document; nothing when they were erased.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    fn document(&self, id: RequestId) -> Result<Option<Vec<u8>>, SourceError>;

    /// Returns the files of the rules with a digest, the bytes that the digest is of among them;
    /// none when they were not kept.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    fn rules(&self, rules: Digest) -> Result<Vec<RulesFile>, SourceError>;
}

/// A stretch of time, from its first moment up to and without its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    /// The first moment; from the beginning of the log when there is none.
    pub from: Option<Timestamp>,
    /// The first moment that no longer belongs to it; up to the end of the log when there is none.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Tells whether a moment belongs to it.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}
