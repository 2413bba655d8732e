//! What the agents, the reviewer and the one who kills share.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_client::refusal::{Failure, classify};
use countersign_shared::id::RequestId;
use countersign_shared::statement::Verdict;
use tokio::sync::Notify;
use tonic::Status;

use super::ledger::Ledger;
use crate::installation::Outcome;

/// What was counted over a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often the daemon was killed.
    pub kills: u64,
    /// Requests whose Submit was answered.
    pub requests: u64,
    /// Entries that the logs had in the end.
    pub entries: u64,
    /// Side effects that took place.
    pub runs: u64,
    /// Submits whose answer was lost to a kill.
    pub lost_submits: u64,
    /// Waits that a kill cut off.
    pub lost_waits: u64,
    /// Decisions whose answer was lost to a kill.
    pub lost_decisions: u64,
    /// Redemptions whose answer was lost to a kill.
    pub lost_redemptions: u64,
    /// Redemptions that had taken place although their answer was lost: the action never ran.
    pub spent_unheard: u64,
    /// Reports whose answer was lost to a kill.
    pub lost_reports: u64,
}

/// A request that the reviewer is to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    /// Which one.
    pub id: RequestId,
    /// How.
    pub verdict: Verdict,
    /// Whether an earlier try may have arrived.
    pub tried: bool,
}

/// The scene of one home.
#[derive(Debug)]
pub(super) struct Scene {
    ledger: Mutex<Ledger>,
    tally: Mutex<Tally>,
    tasks: Mutex<VecDeque<Task>>,
    /// Rung when there is a task.
    pub bell: Notify,
    dying: AtomicBool,
    /// Who does what: when a call outlives the daemon, it tells which.
    doing: Mutex<BTreeMap<String, &'static str>>,
    /// Where side effects leave their mark.
    ran: PathBuf,
}

impl Scene {
    /// Sets a scene. `ran` is a directory that is there.
    pub(super) fn new(ledger: Ledger, ran: PathBuf) -> Self {
        Self {
            ledger: Mutex::new(ledger),
            tally: Mutex::default(),
            tasks: Mutex::default(),
            bell: Notify::new(),
            dying: AtomicBool::new(false),
            doing: Mutex::default(),
            ran,
        }
    }

    /// Returns what was acknowledged.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was counted.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether the daemon is about to be killed: from then on, lost connections are its due.
    pub(super) fn set_dying(&self, dying: bool) {
        self.dying.store(dying, Ordering::SeqCst);
    }

    /// Tells whether a lost connection is the kill's doing.
    pub(super) fn is_dying(&self) -> bool {
        self.dying.load(Ordering::SeqCst)
    }

    /// Notes what somebody does now, or that it is over.
    pub(super) fn does(&self, who: &str, what: Option<&'static str>) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => drop(doing.insert(who.to_owned(), what)),
            None => drop(doing.remove(who)),
        }
    }

    /// Says who does what.
    pub(super) fn doing(&self) -> String {
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        let words = doing.iter().map(|(who, what)| format!("{who}: {what}"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Puts a request before the reviewer.
    pub(super) fn put(&self, task: Task) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(task);
        self.bell.notify_one();
    }

    /// Takes a request that is to be decided.
    pub(super) fn take(&self) -> Option<Task> {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Performs the side effect of a request, which must never take place twice.
    ///
    /// # Errors
    ///
    /// When it has taken place before.
    pub(super) fn run(&self, id: RequestId) -> Outcome<()> {
        fs::File::create_new(self.ran.join(id.to_string()))
            .map_err(|error| format!("{id} ran twice: {error}"))?;
        let mut ledger = self.ledger();
        let known = ledger.of(id)?;
        known.ran = known.ran.saturating_add(1);
        self.tally().runs += 1;
        Ok(())
    }

    /// Reads a failed call: the code of the daemon's no, or nothing when the kill cut it off.
    ///
    /// # Errors
    ///
    /// When the connection was lost although nobody killed the daemon.
    pub(super) fn refusal(&self, status: &Status) -> Outcome<Option<String>> {
        match classify(status) {
            Failure::Refused(refusal) => Ok(Some(refusal.code)),
            Failure::Lost { .. } | Failure::Unexpected { .. } if self.is_dying() => Ok(None),
            failure @ (Failure::Lost { .. } | Failure::Unexpected { .. }) => {
                Err(format!("nobody killed the daemon, and yet: {failure}").into())
            }
        }
    }
}
