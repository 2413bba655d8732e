//! What time brings about by itself: expiry, lapse, absence, escalation, and the summary of refused
//! calls.

use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::LogEvent;
use countersign_shared::machine::{Event, State, Withdrawal};
use countersign_shared::requirement::Escalation;
use countersign_shared::time::{Moment, Timestamp};

use super::batch::{Scene, Step};
use super::{Engine, daemon_actor};

/// How often the engine looks at the clocks while a request is open. Deadlines bind by time in
/// every guard, so this is only how late an expiry may be written.
const PERIOD: Duration = Duration::from_millis(250);

/// How long the engine sleeps when nothing is open.
const IDLE: Duration = Duration::from_secs(60);

/// How many due events share one commit.
const AT_ONCE: usize = 1024;

impl Engine {
    /// Returns how long to wait for a call before looking at the clocks again.
    pub(super) fn nap(&self) -> Duration {
        if self.live.is_empty() && self.counts.is_empty() && !self.retention.is_behind() {
            IDLE
        } else {
            PERIOD
        }
    }

    /// Tells whether the deadlines are to be looked at again. With many open requests a look takes
    /// as long as many calls.
    pub(super) fn sweep_is_due(&self) -> bool {
        let passed = self.clock.now().mono_ms.abs_diff(self.swept_ms);
        u128::from(passed) >= PERIOD.as_millis()
    }

    /// Applies every event that time alone brings about.
    pub(super) fn sweep(&mut self) {
        let now = self.now();
        self.swept_ms = now.mono_ms;
        let grace = self.rules.limits.disconnect_grace;
        for live in self.live.values_mut() {
            live.miss(&now, grace);
        }
        let mut due: Vec<(RequestId, Event)> = Vec::new();
        for (id, live) in &self.live {
            if let Some(event) = self.due(live, &now) {
                due.push((*id, event));
                if due.len() == AT_ONCE {
                    break;
                }
            }
        }
        // What the reserve holds is for ends.
        let only_noes = self.reserve.is_spent();
        if only_noes {
            due.retain(|(_, event)| !matches!(event, Event::Escalated { .. }));
        }
        let counts = !only_noes && self.counts_are_due(&now);
        if due.is_empty() && !counts {
            return;
        }
        let durable = self.commit(|engine, batch, scene| {
            if counts {
                engine.write_counts(batch, scene);
            }
            for (id, event) in due {
                let done = engine.step(batch, scene, |engine, step| {
                    engine.copy(step, id)?;
                    step.apply(&mut engine.store, scene, &daemon_actor(), id, event)
                });
                if let Err(error) = done {
                    tracing::warn!(%id, %error, "an event that is due was not taken");
                }
            }
            Vec::new()
        });
        if counts && durable {
            self.forget_counts();
        }
    }

    fn due(&self, live: &super::Live, now: &Moment) -> Option<Event> {
        if let Some(event) = live.request.due(now) {
            return Some(event);
        }
        let state = live.request.state();
        if matches!(state, State::Pending | State::Approved) && live.waiters.are_gone(now) {
            return Some(Event::Withdrawn {
                because: Withdrawal::WaitersGone,
            });
        }
        if state == State::Pending && !live.request.is_escalated() {
            let received = live.request.received_at();
            let lifetime = live.request.received().expires.wall.since(received.wall);
            let by_rule = live.request.requirement().escalate.first();
            let percent = by_rule.map_or(
                self.rules.limits.escalate_at_percent,
                Escalation::at_percent,
            );
            let percent = u32::from(percent);
            let half = lifetime.saturating_mul(percent) / 100;
            if live.request.received().expires.left(now) <= lifetime.saturating_sub(half) {
                return Some(Event::Escalated { act: None });
            }
        }
        None
    }

    /// Counts a call that was refused before it became a request (R7).
    pub(super) fn count(&mut self, uid: u32, code: &'static str) {
        if self.counting_since.is_none() {
            self.counting_since = Some(self.now());
        }
        let count = self.counts.entry(uid).or_default().entry(code).or_default();
        *count = count.saturating_add(1);
    }

    fn counts_are_due(&self, now: &Moment) -> bool {
        self.counting_since
            .as_ref()
            .is_some_and(|since| now.mono_ms.saturating_sub(since.mono_ms) >= 60_000)
    }

    /// Begins to count anew, once what was counted is durable.
    fn forget_counts(&mut self) {
        self.counts.clear();
        self.counting_since = None;
    }

    /// Writes one entry per user for the calls that were refused since the last time.
    pub(super) fn write_counts(&mut self, batch: &mut Step, scene: &Scene) {
        let Some(since) = &self.counting_since else {
            return;
        };
        let start = since.wall.as_millis();
        let minute = Timestamp::from_millis(start - start.rem_euclid(60_000));
        for (uid, counts) in self.counts.clone() {
            let counts = counts
                .into_iter()
                .map(|(code, n)| (code.to_owned(), n))
                .collect();
            let event = LogEvent::CallsRefused {
                uid,
                minute,
                counts,
            };
            let done = self.step(batch, scene, |engine, step| {
                Ok(step.note(&mut engine.store, scene, daemon_actor(), event)?)
            });
            if let Err(error) = done {
                tracing::warn!(uid, %error, "refused calls were not recorded");
            }
        }
    }
}
