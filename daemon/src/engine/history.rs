//! What each OS user did within the last hour, by the minute: for quotas, and as facts for policy.
//!
//! It is kept in memory, from what is committed, and made anew from the rows when the daemon
//! starts. A minute that is partly older than an hour counts whole.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_policy::facts::Recent;
use countersign_shared::time::Timestamp;

/// How far back is looked.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Milliseconds in a minute.
const MINUTE: i64 = 60_000;

/// Minutes in an hour.
const MINUTES: i64 = 60;

/// What each user did lately. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<HashMap<u32, Hour>>>);

/// One user's last hour, the oldest minute first.
#[derive(Debug, Default)]
struct Hour(VecDeque<Minute>);

#[derive(Debug, Default)]
struct Minute {
    /// Its number since the beginning of Unix time.
    number: i64,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    asked: u32,
    held: u32,
    denied: u32,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.asked = self.asked.saturating_add(other.asked);
        self.held = self.held.saturating_add(other.held);
        self.denied = self.denied.saturating_add(other.denied);
    }
}

impl History {
    /// Remembers that a user asked, and whether people were asked in turn.
    pub(super) fn note_asked(&self, uid: u32, at: Timestamp, is_held: bool) {
        self.note(uid, at, |counts| {
            counts.asked = counts.asked.saturating_add(1);
            counts.held = counts.held.saturating_add(u32::from(is_held));
        });
    }

    /// Remembers that people denied what a user asked.
    pub(super) fn note_denied(&self, uid: u32, at: Timestamp) {
        self.note(uid, at, |counts| {
            counts.denied = counts.denied.saturating_add(1);
        });
    }

    /// Counts what of a user's was held for people within the hour before `now`.
    pub(super) fn held(&self, uid: u32, now: Timestamp) -> u64 {
        self.sum(uid, now).held.into()
    }

    /// Returns what a user did within the hour before `now`.
    pub fn recent(&self, uid: u32, now: Timestamp) -> Recent {
        let sum = self.sum(uid, now);
        Recent {
            denials: sum.denied,
            requests: sum.asked,
        }
    }

    fn sum(&self, uid: u32, now: Timestamp) -> Counts {
        let oldest = number(now).saturating_sub(MINUTES);
        let mut sum = Counts::default();
        if let Some(hour) = self.lock().get(&uid) {
            for minute in hour.0.iter().filter(|minute| minute.number >= oldest) {
                sum.add(minute.counts);
            }
        }
        sum
    }

    fn note(&self, uid: u32, at: Timestamp, note: impl FnOnce(&mut Counts)) {
        let number = number(at);
        let mut all = self.lock();
        let hour = &mut all.entry(uid).or_default().0;
        // After a clock was set back there are minutes that have not come yet: what was counted in them
        // counts from now on, and for no longer than all else.
        let mut ahead = Counts::default();
        while hour.back().is_some_and(|minute| minute.number > number)
            && let Some(minute) = hour.pop_back()
        {
            ahead.add(minute.counts);
        }
        if hour.back().is_none_or(|minute| minute.number < number) {
            let counts = Counts::default();
            hour.push_back(Minute { number, counts });
        }
        if let Some(minute) = hour.back_mut() {
            minute.counts.add(ahead);
            note(&mut minute.counts);
        }
        while hour
            .front()
            .is_some_and(|minute| minute.number < number.saturating_sub(MINUTES))
        {
            hour.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Hour>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: i64) -> Timestamp {
        Timestamp::from_millis(number * MINUTE + 7)
    }

    #[test]
    fn an_hour_is_counted_for_each_user_and_no_more() {
        let history = History::default();
        history.note_asked(1, minute(100), true);
        history.note_asked(1, minute(130), false);
        history.note_denied(1, minute(130));
        history.note_asked(2, minute(130), true);
        let counts = |uid, at| {
            let recent = history.recent(uid, minute(at));
            (
                recent.requests,
                recent.denials,
                history.held(uid, minute(at)),
            )
        };
        assert_eq!(counts(1, 130), (2, 1, 1));
        assert_eq!(counts(1, 160), (2, 1, 1));
        assert_eq!(counts(1, 161), (1, 1, 0));
        assert_eq!(counts(1, 191), (0, 0, 0));
        assert_eq!(counts(2, 130), (1, 0, 1));
        assert_eq!(counts(3, 130), (0, 0, 0));
    }

    #[test]
    fn after_a_clock_was_set_back_what_was_counted_counts_from_then_on() {
        let history = History::default();
        for at in [50, 20, 50, 30, 20] {
            history.note_asked(1, minute(at), true);
            history.note_denied(1, minute(at));
        }
        assert_eq!(history.held(1, minute(60)), 5);
        assert_eq!(history.held(1, minute(80)), 5);
        assert_eq!(history.held(1, minute(81)), 0);
        // Set back by far more than an hour: nothing that comes then is lost, and nothing stays for ever.
        history.note_asked(1, minute(1_000), true);
        for at in [100, 101, 102] {
            history.note_asked(1, minute(at), true);
        }
        assert_eq!(history.held(1, minute(102)), 4);
        assert_eq!(history.held(1, minute(160)), 4);
        assert_eq!(history.held(1, minute(163)), 0);
        history.note_asked(1, minute(500), true);
        assert_eq!(history.held(1, minute(500)), 1);
    }
}
