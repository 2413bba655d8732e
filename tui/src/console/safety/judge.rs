//! What stands against a decision: read from the machine's state, without changing it.

use super::super::model::Standing;
use crate::keys::Lack;

use super::machine::Safety;
use super::{ARMING, Debt, Field, Millis, Signing, Subject, Verdict, Wire};

/// Why a deciding key is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The log contradicts itself.
    Forked,
    /// The console was started to look only.
    ReadOnly,
    /// There is no key to sign with.
    NoKey,
    /// The daemon cannot be reached, or what it says is not complete yet.
    Disconnected,
    /// The daemon is about to stop.
    Draining,
    /// No request is open, or its frame is not on the screen.
    NotDrawn,
    /// The standing does not allow it.
    Standing(Standing),
    /// The document is another one than the one that is drawn.
    Changed,
    /// Nobody owes a review of it.
    NotOwed,
    /// This reviewer owes the review, or stands behind the request: another person does it.
    OwnDebt,
    /// The time is over, or not known.
    Expired,
    /// A decision on it is on its way.
    InFlight,
    /// Some of it cannot be displayed.
    Undisplayable,
    /// This reviewer may not approve it.
    Ineligible,
    /// The key cannot give what an approval needs.
    TooWeak(Lack),
    /// Another reviewer is on it.
    Claimed,
    /// That many parts were not drawn yet.
    Unseen(usize),
    /// It has not been on the screen for long enough.
    TooSoon(u64),
    /// Another key was pressed a moment ago.
    NotQuiet,
    /// Keys came faster than fingers.
    Burst,
    /// The sheet does not hold what it asks for.
    Incomplete(Field),
}

/// Tells whether every gated part has to be drawn: a "no" and an end must not cost more reading than a
/// "yes".
const fn needs_all_seen(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Approve | Verdict::Close => true,
        Verdict::Deny | Verdict::Kill => false,
    }
}

impl Safety {
    /// Tells what stands against `verdict` now, if anything does; the keyboard's own rules and the
    /// sheet's are part of it.
    pub fn obstacle(&self, now: Millis, verdict: Verdict) -> Option<Obstacle> {
        self.lasting_obstacle(now, verdict)
            .or_else(|| self.keyboard.obstacle(now))
    }

    /// When `verdict` arms, if only time is missing.
    pub(super) fn armed_at(&self, verdict: Verdict) -> Option<Millis> {
        let mut from = self.shown_since?.max(self.restarted);
        if needs_all_seen(verdict) {
            from = from.max(self.seen_since?);
        }
        if let Some(sheet) = &self.sheet {
            from = from.max(sheet.drawn_since?);
        }
        Some(from.plus(ARMING))
    }

    /// What stands against `verdict`, the keyboard apart.
    pub(super) fn lasting_obstacle(&self, now: Millis, verdict: Verdict) -> Option<Obstacle> {
        let subject = match self.session_obstacle() {
            Ok(subject) => subject,
            Err(obstacle) => return Some(obstacle),
        };
        if self.stale {
            return Some(Obstacle::Changed);
        }
        let standing = Some(Obstacle::Standing(subject.standing));
        let is_over = subject.ends.is_none_or(|ends| now >= ends);
        let late = is_over.then_some(Obstacle::Expired);
        let hindrance = match (verdict, subject.standing, subject.debt) {
            (Verdict::Approve, Standing::Pending, _)
            // A deny beats an approval until it is redeemed (R2).
            | (Verdict::Deny, Standing::Pending | Standing::Approved, _) => late,
            // The review comes after the fact, whatever became of the action.
            (Verdict::Close, _, Debt::Anothers)
            | (Verdict::Kill, Standing::Redeemed | Standing::Running, _) => None,
            (Verdict::Close, _, Debt::Own) => Some(Obstacle::OwnDebt),
            (Verdict::Close, _, Debt::None) => Some(Obstacle::NotOwed),
            (Verdict::Approve | Verdict::Deny | Verdict::Kill, _, _) => standing,
        };
        if hindrance.is_some() {
            return hindrance;
        }
        if self.in_flight.contains(&subject.id) {
            return Some(Obstacle::InFlight);
        }
        if verdict == Verdict::Approve {
            if !subject.displayable {
                return Some(Obstacle::Undisplayable);
            }
            if subject.ineligible {
                return Some(Obstacle::Ineligible);
            }
            if let Some(lack) = self
                .signing
                .strength()
                .and_then(|strength| strength.lack(subject.needs))
            {
                return Some(Obstacle::TooWeak(lack));
            }
            if subject.claimed_by_other && !self.taken {
                return Some(Obstacle::Claimed);
            }
        }
        if self.shown_since.is_none() {
            return Some(Obstacle::NotDrawn);
        }
        if needs_all_seen(verdict) && !self.seen.is_complete() {
            return Some(Obstacle::Unseen(self.seen.missing()));
        }
        match self.armed_at(verdict) {
            None => Some(Obstacle::NotDrawn),
            Some(at) if now < at => Some(Obstacle::TooSoon(at.since(now))),
            Some(_) => None,
        }
    }

    /// What stands against any decision, or the request that is open.
    fn session_obstacle(&self) -> Result<&Subject, Obstacle> {
        if self.forked {
            return Err(Obstacle::Forked);
        }
        if self.read_only {
            return Err(Obstacle::ReadOnly);
        }
        match self.wire {
            Wire::Down | Wire::Syncing => return Err(Obstacle::Disconnected),
            Wire::Draining => return Err(Obstacle::Draining),
            Wire::Live => {}
        }
        if self.signing == Signing::Missing {
            return Err(Obstacle::NoKey);
        }
        self.subject.as_ref().ok_or(Obstacle::NotDrawn)
    }
}
