//! The runs that go on: how many there are, who may end each, and who watches what it writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_shared::id::RequestId;
use tokio::sync::{broadcast, watch};

use super::BrokerError;
use super::child::Wardens;
use super::during::Watched;

/// How many commands the daemon runs at once.
const AT_ONCE: usize = 256;

/// How many of them for one user, so that one agent leaves room for another.
const OF_ONE: usize = 64;

/// How many pieces of output somebody who watches may be behind.
const BEHIND: usize = 64;

/// How long a stop of the daemon waits for its runs.
const STOPPING: Duration = Duration::from_secs(8);

/// Why a run is ended before it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A reviewer said so.
    Killed,
    /// Whoever asked for it is gone.
    AgentGone,
    /// Its time is over.
    TooLong,
    /// It wrote more than it may.
    TooMuch,
    /// The daemon stops.
    Stopping,
}

impl Why {
    /// Returns a stable word for the reason.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::AgentGone => "asker-gone",
            Self::TooLong => "too-long",
            Self::TooMuch => "too-much",
            Self::Stopping => "stopping",
        }
    }

    /// Returns the reason, as it is told.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Killed => "a reviewer ended it",
            Self::AgentGone => "it was ended because its asker went away",
            Self::TooLong => "it was ended because it ran too long",
            Self::TooMuch => "it was ended because it wrote too much",
            Self::Stopping => "it was ended because the daemon stops",
        }
    }
}

/// Which output a piece is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// A piece of output, without secrets.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Of which output.
    pub(crate) stream: Stream,
    /// The bytes.
    pub(crate) bytes: Arc<[u8]>,
}

#[derive(Debug)]
struct Run {
    uid: u32,
    end: watch::Sender<Option<Why>>,
    pieces: broadcast::Sender<Piece>,
}

/// All runs.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    going_on: Arc<Mutex<HashMap<RequestId, Run>>>,
    wardens: Arc<Wardens>,
    /// How many there are.
    count: watch::Sender<usize>,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            going_on: Arc::default(),
            wardens: Arc::default(),
            count: watch::Sender::new(0),
        }
    }
}

/// A place among the runs, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    id: RequestId,
    runs: Runs,
    end: watch::Receiver<Option<Why>>,
    pieces: broadcast::Sender<Piece>,
}

impl Seat {
    /// Returns the request.
    pub(super) const fn id(&self) -> RequestId {
        self.id
    }

    /// Tells why it is to end, if it is.
    pub(super) fn ended(&self) -> Option<Why> {
        *self.end.borrow()
    }

    /// Returns who carries it out.
    pub(super) fn wardens(&self) -> &Arc<Wardens> {
        &self.runs.wardens
    }

    /// Returns what others may do to the run.
    pub(super) fn watched(&self) -> Watched {
        Watched {
            end: self.end.clone(),
            pieces: self.pieces.clone(),
        }
    }
}

impl Runs {
    /// Takes a place for a run that a user asked for.
    pub(super) fn sit(&self, id: RequestId, uid: u32) -> Result<Seat, BrokerError> {
        let mut runs = self.lock();
        let mine = runs.values().filter(|run| run.uid == uid).count();
        for (found, limit) in [(mine, OF_ONE), (runs.len(), AT_ONCE)] {
            if found >= limit {
                return Err(BrokerError::Busy { limit });
            }
        }
        if runs.contains_key(&id) {
            return Err(BrokerError::Runs);
        }
        let run = Run {
            uid,
            end: watch::Sender::new(None),
            pieces: broadcast::Sender::new(BEHIND),
        };
        let seat = Seat {
            id,
            runs: self.clone(),
            end: run.end.subscribe(),
            pieces: run.pieces.clone(),
        };
        runs.insert(id, run);
        self.count.send_replace(runs.len());
        Ok(seat)
    }

    /// Ends a run, if it is one of ours. The first reason counts.
    pub(crate) fn end(&self, id: RequestId, why: Why) {
        if let Some(run) = self.lock().get(&id) {
            run.end.send_if_modified(|end| {
                let is_first = end.is_none();
                end.get_or_insert(why);
                is_first
            });
        }
    }

    /// Follows what a run writes from now on.
    pub(crate) fn follow(&self, id: RequestId) -> Option<broadcast::Receiver<Piece>> {
        self.lock().get(&id).map(|run| run.pieces.subscribe())
    }

    /// Ends all runs and waits for their ends, but not for ever.
    pub(crate) async fn stop(&self) {
        let all: Vec<RequestId> = self.lock().keys().copied().collect();
        for id in all {
            self.end(id, Why::Stopping);
        }
        let mut count = self.count.subscribe();
        let none = count.wait_for(|count| *count == 0);
        if tokio::time::timeout(STOPPING, none).await.is_err() {
            tracing::warn!("some runs did not end; they end with the daemon");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Run>> {
        self.going_on.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut runs = self.runs.lock();
        runs.remove(&self.id);
        self.runs.count.send_replace(runs.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_for_the_end_counts_and_a_seat_is_taken_once() {
        let runs = Runs::default();
        let id = RequestId::from_bytes([1; 16]);
        let seat = runs.sit(id, 1).unwrap();
        assert_eq!(runs.sit(id, 1).unwrap_err().code(), "already-redeemed");
        runs.end(id, Why::Killed);
        runs.end(id, Why::AgentGone);
        assert_eq!(seat.ended(), Some(Why::Killed));
        drop(seat);
        runs.end(id, Why::Killed);
        assert!(runs.follow(id).is_none());
        runs.stop().await;
        let seat = runs.sit(id, 1).unwrap();
        assert_eq!(seat.ended(), None);
    }

    #[test]
    fn no_more_run_at_once_than_may() {
        let runs = Runs::default();
        let id = |n: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            RequestId::from_bytes(bytes)
        };
        let sit = |n: usize| runs.sit(id(n), u32::try_from(n / OF_ONE).unwrap());
        let mine: Vec<Seat> = (0..OF_ONE).map(|n| sit(n).unwrap()).collect();
        assert_eq!(runs.sit(id(OF_ONE), 0).unwrap_err().code(), "runs-at-once");
        let others: Vec<Seat> = (OF_ONE..AT_ONCE).map(|n| sit(n).unwrap()).collect();
        assert_eq!(sit(AT_ONCE).unwrap_err().code(), "runs-at-once");
        drop(mine);
        runs.sit(id(AT_ONCE), 0).unwrap();
        drop(others);
    }
}
