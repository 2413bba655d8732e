//! Goes on over entries that were pruned, and compares what is gone with what the log says.

use super::{Finding, Prepared, Problem, Replay};
use crate::log::entry::Entry;
use crate::log::pruning::Pruned;
use crate::log::tree::Hash;

impl Replay {
    /// Takes the hash of the next entry, whose bytes are gone.
    ///
    /// Whether it may be is told at the end. What it said is unknown: a request of which anything is
    /// gone is unknown as a whole, and an entry that is there about such a one does not follow.
    ///
    /// # Errors
    ///
    /// When the tree cannot take it, or it is the first, without which nothing can be followed.
    pub fn gone(&mut self, index: u64, leaf: Hash) -> Result<(), Finding> {
        let finding = |problem| Finding {
            index,
            request: None,
            problem,
        };
        self.completed = self
            .frontier
            .push(leaf)
            .map_err(|error| finding(Problem::Tree(error)))?;
        self.remember(None);
        self.ran = None;
        self.pruning.gone(index);
        if index > 0 {
            return Ok(());
        }
        Err(finding(Problem::Genesis {
            found: "an entry that is gone",
            expected: "the log's genesis",
        }))
    }

    /// Takes the next entry, which is gone from the log and was kept elsewhere.
    ///
    /// # Errors
    ///
    /// As [`prepared`](Self::prepared).
    pub fn archived(&mut self, index: u64, prepared: Prepared) -> Result<(), Finding> {
        self.pruning.gone(index);
        self.prepared(index, prepared)
    }

    /// Takes what the log says of entries that are gone.
    pub(super) fn told_of_pruning(
        &mut self,
        entry: &Entry,
        pruned: &Pruned,
    ) -> Result<(), Problem> {
        self.pruning
            .told(entry.seq, pruned)
            .map_err(Problem::Pruning)?;
        let at = self.past.time_at(pruned.before).unwrap_or(entry.now.wall);
        self.archives.insert(pruned.archive);
        pruned
            .check_age(entry.seq, at, entry.now.wall)
            .map_err(Problem::Pruning)
    }

    /// Tells of entries that are gone otherwise than the log says.
    pub(super) fn wrongly_gone(&self) -> Option<Finding> {
        let error = self.pruning.finish().err()?;
        Some(Finding {
            index: error.place(),
            request: None,
            problem: Problem::Pruning(error),
        })
    }
}
