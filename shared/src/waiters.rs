//! Who waits for a request, and when their absence withdraws it (R13, R16).
//!
//! Pure: the daemon says who came and who left, and asks whether the grace is over. Waiters are
//! connections of this run of the daemon; after a restart the grace begins anew.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::time::{Deadline, Moment};

/// A waiting call of this run of the daemon.
pub type WaiterId = u64;

/// The waiters of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiters {
    attached: bool,
    present: BTreeSet<WaiterId>,
    /// When the absence of all waiters withdraws the request; `None` while one is present.
    grace_ends: Option<Deadline>,
}

impl Waiters {
    /// Starts without a waiter: the grace runs from now.
    pub fn new(attached: bool, now: &Moment, grace: Duration) -> Self {
        Self {
            attached,
            present: BTreeSet::new(),
            grace_ends: Some(Deadline::after(now, grace)),
        }
    }

    /// A waiter came.
    pub fn join(&mut self, waiter: WaiterId) {
        self.present.insert(waiter);
        self.grace_ends = None;
    }

    /// A waiter left. The last one to leave starts the grace.
    pub fn leave(&mut self, waiter: WaiterId, now: &Moment, grace: Duration) {
        if self.present.remove(&waiter) && self.present.is_empty() {
            self.grace_ends = Some(Deadline::after(now, grace));
        }
    }

    /// Turns the request into a ticketed one: absence no longer withdraws it.
    pub fn detach(&mut self) {
        self.attached = false;
    }

    /// Tells whether the request ends with its last waiter.
    pub const fn is_attached(&self) -> bool {
        self.attached
    }

    /// Tells whether a waiter is connected.
    pub fn is_present(&self) -> bool {
        !self.present.is_empty()
    }

    /// Returns when absence withdraws the request, if it will.
    pub fn deadline(&self) -> Option<&Deadline> {
        self.grace_ends.as_ref().filter(|_| self.attached)
    }

    /// Tells whether the last waiter has been gone for longer than the grace.
    pub fn are_gone(&self, now: &Moment) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline.has_passed(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{BootId, Timestamp};

    const GRACE: Duration = Duration::from_secs(20);

    fn at(second: u64) -> Moment {
        Moment {
            wall: Timestamp::from_millis(i64::try_from(second).unwrap() * 1000),
            boot: BootId::new("boot"),
            mono_ms: second * 1000,
        }
    }

    #[test]
    fn r13_the_last_waiter_leaving_withdraws_not_the_first() {
        let mut waiters = Waiters::new(true, &at(0), GRACE);
        waiters.join(1);
        waiters.join(2);
        waiters.leave(1, &at(5), GRACE);
        assert!(!waiters.are_gone(&at(1000)));
        waiters.leave(2, &at(1000), GRACE);
        assert!(!waiters.are_gone(&at(1019)));
        assert!(waiters.are_gone(&at(1020)));
    }

    #[test]
    fn r16_a_ticketed_request_survives_the_absence_of_everybody() {
        let mut waiters = Waiters::new(true, &at(0), GRACE);
        waiters.join(1);
        waiters.detach();
        waiters.leave(1, &at(1), GRACE);
        assert!(!waiters.are_gone(&at(100_000)));
    }

    proptest! {
        #[test]
        fn r16_absence_withdraws_exactly_after_the_grace_without_any_waiter(
            steps in prop::collection::vec((0u64..4, any::<bool>(), 0u64..30), 0..40),
        ) {
            let mut waiters = Waiters::new(true, &at(0), GRACE);
            let mut present = BTreeSet::new();
            let (mut time, mut empty_since) = (0, Some(0));
            for (waiter, joins, passed) in steps {
                time += passed;
                let gone = empty_since.is_some_and(|since| time - since >= 20);
                prop_assert_eq!(waiters.are_gone(&at(time)), gone);
                if joins {
                    waiters.join(waiter);
                    present.insert(waiter);
                } else {
                    waiters.leave(waiter, &at(time), GRACE);
                    present.remove(&waiter);
                }
                empty_since = match (present.is_empty(), empty_since) {
                    (true, None) => Some(time),
                    (true, since) => since,
                    (false, _) => None,
                };
            }
        }
    }
}
