//! Counts and keys of the open requests, so that a Submit need not look at all of them.
//!
//! It speaks of what is committed; whoever asks adds what the open batch has changed.

use std::collections::HashMap;

use countersign_shared::id::RequestId;
use countersign_shared::machine::State;

use super::live::Live;

/// Counts and keys of the open requests.
#[derive(Debug, Default)]
pub(super) struct Index {
    pending: u64,
    pending_of: HashMap<u32, u64>,
    same: HashMap<[u8; 32], Vec<RequestId>>,
}

impl Index {
    /// Takes a request in, as it stands now.
    pub(super) fn learn(&mut self, id: RequestId, live: &Live) {
        if live.request.state() == State::Pending {
            self.pending = self.pending.saturating_add(1);
            let mine = self.pending_of.entry(live.intake.uid).or_default();
            *mine = mine.saturating_add(1);
        }
        self.same.entry(live.intake.sameness).or_default().push(id);
    }

    /// Takes a request out, as it stood when it was taken in.
    pub(super) fn forget(&mut self, id: RequestId, live: &Live) {
        if live.request.state() == State::Pending {
            self.pending = self.pending.saturating_sub(1);
            if let Some(mine) = self.pending_of.get_mut(&live.intake.uid) {
                *mine = mine.saturating_sub(1);
                if *mine == 0 {
                    self.pending_of.remove(&live.intake.uid);
                }
            }
        }
        if let Some(ids) = self.same.get_mut(&live.intake.sameness) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.same.remove(&live.intake.sameness);
            }
        }
    }

    /// Returns how many requests wait for people.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Returns how many requests of a user wait for people.
    pub(super) fn pending_of(&self, uid: u32) -> u64 {
        self.pending_of.get(&uid).copied().unwrap_or_default()
    }

    /// Returns the open requests with a sameness key.
    pub(super) fn same(&self, sameness: &[u8; 32]) -> &[RequestId] {
        self.same.get(sameness).map_or(&[], Vec::as_slice)
    }
}
