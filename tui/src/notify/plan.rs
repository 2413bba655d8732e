//! What is told, and when: a pure machine. Time is an argument; nothing is shown or sent.
//!
//! New requests, escalated ones and those about to expire become due. What is due is told together,
//! at most once in [`EVERY`]; in quiet hours only tier high and above is. A bubble is closed once
//! nothing that it told of waits any more. Broken glass keeps no hours and no distance, and its bubble
//! stays until a person takes it away.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use countersign_shared::id::RequestId;

use crate::console::model::Tier;
use crate::console::safety::Millis;

/// Bubbles come at most this often, in milliseconds.
pub const EVERY: u64 = 15_000;
/// A request is about to expire when this much is left, in milliseconds, or a quarter of its lifetime
/// where that is less.
pub const LAST_CALL: u64 = 120_000;

/// A request that waits, as far as it is told: no text in it is an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How careful to be.
    pub tier: Tier,
    /// The kind, in our words.
    pub kind: &'static str,
    /// The kind of target, in our words, where it is one that we know.
    pub target: Option<&'static str>,
    /// When it ends.
    pub ends: Millis,
    /// How long it waits in all, in milliseconds.
    pub lifetime: u64,
}

impl Waiting {
    /// Returns when it is about to expire.
    fn last_call(&self) -> Millis {
        let before = LAST_CALL.min(self.lifetime / 4);
        Millis(self.ends.0.saturating_sub(before))
    }
}

/// Why a request is told, the more pressing the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is new.
    New,
    /// Somebody, or half of its time, called for more eyes.
    Escalated,
    /// It is about to expire.
    Expiring,
}

/// One request of a bubble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Which one.
    pub id: RequestId,
    /// Why it is told.
    pub why: Why,
    /// What is told of it.
    pub waiting: Waiting,
}

/// What one bubble tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bubble {
    /// The strictest and soonest first; none only where the glass was broken.
    pub told: Vec<Told>,
    /// How many wait in all.
    pub waiting: usize,
    /// How often the glass was broken since a person last took a bubble away.
    pub broken: usize,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Show this instead of what is shown.
    Show(Bubble),
    /// Take away what is shown.
    Close,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    waiting: Waiting,
    escalated: bool,
    /// The last call was told, or is due.
    called: bool,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Plan {
    known: BTreeMap<RequestId, Known>,
    due: BTreeMap<RequestId, Why>,
    /// What the bubble on the screen told of.
    shown: BTreeSet<RequestId>,
    last: Option<Millis>,
    /// For which the glass was broken; who broke it twice did it twice.
    broken: BTreeSet<RequestId>,
    /// True while some of that was not told.
    is_alarm_due: bool,
    /// True when it could not be told before: then it is tried at the pace of the others.
    is_alarm_again: bool,
}

impl Plan {
    /// A request waits, or still does.
    pub fn waits(&mut self, id: RequestId, waiting: Waiting) {
        if let Some(known) = self.known.get_mut(&id) {
            known.waiting = waiting;
            return;
        }
        let known = Known {
            waiting,
            escalated: false,
            called: false,
        };
        self.known.insert(id, known);
        self.due.insert(id, Why::New);
    }

    /// A request waits no more, whoever decided it or nobody.
    pub fn over(&mut self, id: &RequestId) -> Option<Act> {
        self.known.remove(id);
        self.due.remove(id);
        self.close_if_over()
    }

    /// More eyes were called for.
    pub fn escalated(&mut self, id: RequestId) {
        if let Some(known) = self.known.get_mut(&id)
            && !std::mem::replace(&mut known.escalated, true)
        {
            let why = self.due.entry(id).or_insert(Why::Escalated);
            *why = (*why).max(Why::Escalated);
        }
    }

    /// Somebody approved alone.
    pub fn glass_broken(&mut self, id: RequestId) {
        if self.broken.insert(id) {
            self.is_alarm_due = true;
            self.is_alarm_again = false;
        }
    }

    /// All that waits was named: what was not is over.
    pub fn only(&mut self, named: &BTreeSet<RequestId>) -> Option<Act> {
        self.known.retain(|id, _| named.contains(id));
        self.due.retain(|id, _| named.contains(id));
        self.close_if_over()
    }

    /// The person took the bubble away.
    pub fn dismissed(&mut self) {
        self.shown.clear();
        if !self.is_alarm_due {
            self.broken.clear();
        }
    }

    /// The bubble could not be shown: what it told is due again.
    pub fn untold(&mut self, bubble: &Bubble) {
        self.shown.clear();
        self.is_alarm_due = !self.broken.is_empty();
        self.is_alarm_again = true;
        for told in &bubble.told {
            if self.known.contains_key(&told.id) {
                let why = self.due.entry(told.id).or_insert(told.why);
                *why = (*why).max(told.why);
            }
        }
    }

    /// Returns what is to be told now.
    pub fn tick(&mut self, now: Millis, is_quiet: bool) -> Option<Act> {
        for (id, known) in &mut self.known {
            if !known.called && now >= known.waiting.last_call() {
                known.called = true;
                self.due.insert(*id, Why::Expiring);
            }
        }
        let is_urgent = self.is_alarm_due && !self.is_alarm_again;
        if !is_urgent && self.paced().is_some_and(|at| now < at) {
            return None;
        }
        let alarm = std::mem::take(&mut self.is_alarm_due);
        self.is_alarm_again = false;
        let mut told: Vec<Told> = self.loud(is_quiet).collect();
        if told.is_empty() && !alarm {
            return None;
        }
        told.sort_by_key(|told| (Reverse(told.waiting.tier), told.waiting.ends, told.id));
        for told in &told {
            self.due.remove(&told.id);
        }
        self.shown = told.iter().map(|told| told.id).collect();
        self.last = Some(now);
        Some(Act::Show(Bubble {
            told,
            waiting: self.known.len(),
            broken: self.broken.len(),
        }))
    }

    /// Returns when [`Plan::tick`] has something to do by itself, quiet hours apart.
    pub fn next(&self, is_quiet: bool) -> Option<Millis> {
        let due = self
            .loud(is_quiet)
            .next()
            .map(|_| self.paced().unwrap_or_default());
        self.known
            .values()
            .filter(|known| !known.called)
            .map(|known| known.waiting.last_call())
            .chain(due)
            .chain(self.is_alarm_due.then(|| {
                let paced = self.paced().filter(|_| self.is_alarm_again);
                paced.unwrap_or_default()
            }))
            .min()
    }

    /// Returns when the next bubble may come.
    fn paced(&self) -> Option<Millis> {
        self.last.map(|last| last.plus(EVERY))
    }

    /// What is due and may be told.
    fn loud(&self, is_quiet: bool) -> impl Iterator<Item = Told> {
        self.due.iter().filter_map(move |(id, why)| {
            let waiting = self.known.get(id)?.waiting;
            (!is_quiet || waiting.tier >= Tier::High).then_some(Told {
                id: *id,
                why: *why,
                waiting,
            })
        })
    }

    fn close_if_over(&mut self) -> Option<Act> {
        let is_over = self.shown.iter().all(|id| !self.known.contains_key(id));
        if self.shown.is_empty() || !is_over || !self.broken.is_empty() {
            return None;
        }
        self.shown.clear();
        Some(Act::Close)
    }
}

#[cfg(test)]
mod tests;
