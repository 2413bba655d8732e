//! The daemon's database as what exports read, at one moment.
//!
//! One read transaction is held, so an export stands under one head while the daemon goes on.
//! Nothing read here is believed: [`countersign_evidence`] computes the root over the entries and
//! compares it with the head that the log's key signed.

use std::ops::Range;
use std::path::Path;

use countersign_evidence::export::ExportError;
use countersign_evidence::source::{Leaf, RulesFile, Source, SourceError, Take};
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;

use crate::store::{Inspection, Store, StoreError, pruned};

#[cfg(test)]
mod tests;

/// A database at one moment.
#[derive(Debug)]
pub struct Snapshot(Inspection);

impl Snapshot {
    /// Holds the database at `path` as it is now. The daemon may go on.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Store::open_read_only(path)?.inspect().map(Self)
    }
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Source(unread("the database cannot be read", error))
    }
}

fn unread(what: &str, error: StoreError) -> SourceError {
    SourceError::because(what, error)
}

impl Source for Snapshot {
    fn checkpoint(&self) -> Result<String, SourceError> {
        match self.0.store().head() {
            Ok(Some((frontier, note))) => {
                let lines = self.0.store().cosignature_lines(frontier.size());
                let lines =
                    lines.map_err(|error| unread("the cosignatures cannot be read", error))?;
                Ok(format!("{note}{lines}"))
            }
            Ok(None) => Err(SourceError::new("the log has no head yet")),
            Err(error) => Err(unread("the head cannot be read", error)),
        }
    }

    fn entries(&self, range: Range<u64>, take: &mut Take<'_>) -> Result<(), ExportError> {
        if range.is_empty() {
            return Ok(());
        }
        self.0.store().each_entry(range.start, |at, bytes, hash| {
            if at >= range.end {
                return Ok(false);
            }
            let leaf = match pruned(bytes, hash) {
                Some(hash) => Leaf::Pruned(hash),
                None => Leaf::Entry(bytes),
            };
            take(at, leaf).map(|()| true)
        })
    }

    fn document(&self, id: RequestId) -> Result<Option<Vec<u8>>, SourceError> {
        self.0
            .store()
            .document(id)
            .map_err(|error| unread("a document cannot be read", error))
    }

    fn rules(&self, rules: Digest) -> Result<Vec<RulesFile>, SourceError> {
        let files = self
            .0
            .store()
            .rules_files(rules)
            .map_err(|error| unread("the rules cannot be read", error))?;
        Ok(files
            .into_iter()
            .map(|(name, bytes)| RulesFile { name, bytes })
            .collect())
    }
}
