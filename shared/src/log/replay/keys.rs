//! Follows the keys that the log signs with.

use super::{Finding, Problem, Replay};
use crate::log::entry::Entry;

impl Replay {
    /// Follows the log's keys; a head that two of them signed together has to be one of this log.
    pub(super) fn take_key(&mut self, entry: &Entry) -> Result<(), Problem> {
        match self.keys.take(entry).map_err(Problem::Keys)? {
            Some(head) if self.root_at(head.size) != Some(head.root) => {
                Err(Problem::Handover { size: head.size })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Tells of a log that never signed with the key that it is checked with. Its own entries lead
    /// from one key to the next, so any of them will do.
    pub(super) fn other_key(&self) -> Option<Finding> {
        let is_other = self.keys.current().is_some() && !self.keys.has(&self.vkey);
        is_other.then_some(Finding {
            index: 0,
            request: None,
            problem: Problem::LogKey,
        })
    }
}
