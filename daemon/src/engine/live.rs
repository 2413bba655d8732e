//! A request that has not ended, with those who wait for it.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::machine::Request;
use countersign_shared::time::Moment;
use countersign_shared::waiters::Waiters;
use tokio::sync::watch;

use super::card::Card;
use super::{Standing, View};
use crate::store::Intake;

/// A request in memory. Its document stays in the database: it may be large, and is seldom read.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) request: Request,
    /// The entry that brought its state about.
    pub(super) entry: u64,
    pub(super) card: Card,
    pub(super) intake: Intake,
    pub(super) waiters: Waiters,
    /// Whether another asking may have joined it in this run or an earlier one, so that none of
    /// them alone speaks for all.
    pub(super) is_shared: bool,
    standing: watch::Sender<Standing>,
}

impl Live {
    pub(super) fn new(
        request: Request,
        entry: u64,
        card: Card,
        intake: Intake,
        now: &Moment,
        grace: Duration,
    ) -> Self {
        let waiters = Waiters::new(request.received().attached, now, grace);
        let standing = watch::Sender::new(standing(&request, entry));
        Self {
            request,
            entry,
            card,
            intake,
            waiters,
            is_shared: false,
            standing,
        }
    }

    /// Tells those who wait, if the standing changed.
    pub(super) fn publish(&self) {
        let now = standing(&self.request, self.entry);
        self.standing.send_if_modified(|standing| {
            let modified = standing.state != now.state
                || standing.ends != now.ends
                || standing.kill_requested != now.kill_requested;
            if modified {
                *standing = now;
            }
            modified
        });
    }

    pub(super) fn follow(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Starts the grace when every waiter is gone, also those whose leaving got lost on its way.
    pub(super) fn miss(&mut self, now: &Moment, grace: Duration) {
        if self.waiters.is_present() && self.standing.receiver_count() == 0 {
            self.waiters = Waiters::new(self.waiters.is_attached(), now, grace);
        }
    }

    /// Returns the request as lists and followers see it, without the document.
    pub(super) fn view(&self) -> View {
        View {
            request: self.request.clone(),
            card: self.card.clone(),
            document: Arc::default(),
            received_index: self.intake.received_index,
            waiter_present: self.waiters.is_present(),
        }
    }
}

/// Returns the standing of a request whose state `entry` brought about.
pub(super) fn standing(request: &Request, entry: u64) -> Standing {
    Standing {
        state: request.state(),
        reason: request.reason().to_owned(),
        ends: request.deadline().cloned(),
        kill_requested: request.is_to_be_killed(),
        entry,
    }
}
