//! What must happen before a request may pass: seats, tier, assurance, lifetimes.
//!
//! A requirement is fixed at intake, stands in the request document, and is signed with it. Seats
//! are filled by distinct people (R3); the matching here is recomputed from the decisions each
//! time. Who is eligible at all is the machine's business.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::statement::Assurance;
pub use escalation::{Escalation, EscalationError};

mod escalation;

/// The text is not a review rule, or asks for what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// The text does not follow the grammar.
    #[error("`{text}` is not a review rule: write `N of GROUP`, joined with `and`")]
    Grammar {
        /// What was written.
        text: String,
    },
    /// A seat count is zero or above the limit.
    #[error("`{text}` asks for {count} people; a seat count is 1 to {limit}")]
    Count {
        /// What was written.
        text: String,
        /// The count that was found.
        count: u32,
        /// The largest count.
        limit: u32,
    },
    /// A group is named twice.
    #[error("`{text}` names the group `{group}` twice; add the counts up")]
    Twice {
        /// What was written.
        text: String,
        /// The group.
        group: String,
    },
}

/// The group that everyone in the roster belongs to.
pub const ANYONE: &str = "anyone";

/// The largest number of people one seat line may ask for.
const MOST_PER_GROUP: u32 = 16;

/// So many people of one group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// The group's name, or [`ANYONE`].
    pub group: String,
    /// How many people of it, at least one.
    pub count: u32,
}

/// One rule's seats, written `N of GROUP and N of GROUP`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Review {
    seats: Vec<Seat>,
}

impl Review {
    /// Returns the seats, sorted by group.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Returns how many people it takes.
    pub fn people(&self) -> u32 {
        self.seats.iter().map(|seat| seat.count).sum()
    }

    /// Tells whether distinct people out of `present` fill every seat.
    pub fn is_filled_by(&self, present: &[&Member]) -> bool {
        self.unfilled(present).is_empty()
    }

    /// Returns the groups of the seats that `present` leaves empty in the best assignment.
    pub fn unfilled(&self, present: &[&Member]) -> Vec<&str> {
        let people: Vec<&Member> = {
            let mut seen = BTreeSet::new();
            present
                .iter()
                .copied()
                .filter(|member| seen.insert(&member.name))
                .collect()
        };
        let seats: Vec<&str> = self
            .seats
            .iter()
            .flat_map(|seat| std::iter::repeat_n(seat.group.as_str(), seat.count as usize))
            .collect();
        let mut matching = Matching {
            seat_of: vec![None; people.len()],
            people: &people,
        };
        let mut empty = Vec::new();
        for (seat, &group) in seats.iter().enumerate() {
            if !matching.seat(seat, &seats, &mut vec![false; people.len()]) {
                empty.push(group);
            }
        }
        empty
    }
}

/// A bipartite matching of people to seats, grown along augmenting paths (Kuhn).
struct Matching<'a> {
    /// The seat that each person fills.
    seat_of: Vec<Option<usize>>,
    people: &'a [&'a Member],
}

impl Matching<'_> {
    fn seat(&mut self, seat: usize, seats: &[&str], tried: &mut [bool]) -> bool {
        let Some(&group) = seats.get(seat) else {
            return false;
        };
        for (index, person) in self.people.iter().enumerate() {
            let Some(mark) = tried.get_mut(index) else {
                continue;
            };
            if *mark || !person.belongs_to(group) {
                continue;
            }
            *mark = true;
            let moved = match self.seat_of.get(index).copied().flatten() {
                None => true,
                Some(other) => self.seat(other, seats, tried),
            };
            if moved {
                if let Some(slot) = self.seat_of.get_mut(index) {
                    *slot = Some(seat);
                }
                return true;
            }
        }
        false
    }
}

impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, seat) in self.seats.iter().enumerate() {
            let joint = if index == 0 { "" } else { " and " };
            write!(f, "{joint}{} of {}", seat.count, seat.group)?;
        }
        Ok(())
    }
}

impl FromStr for Review {
    type Err = ReviewError;

    fn from_str(text: &str) -> Result<Self, ReviewError> {
        let grammar = || ReviewError::Grammar {
            text: text.to_owned(),
        };
        let mut seats: Vec<Seat> = Vec::new();
        let mut words = text.split_ascii_whitespace();
        loop {
            let count = words.next().ok_or_else(grammar)?;
            if !count.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(grammar());
            }
            let count: u32 = count.parse().map_err(|_| grammar())?;
            if count == 0 || count > MOST_PER_GROUP {
                let text = text.to_owned();
                return Err(ReviewError::Count {
                    text,
                    count,
                    limit: MOST_PER_GROUP,
                });
            }
            if words.next() != Some("of") {
                return Err(grammar());
            }
            let group = words
                .next()
                .filter(|group| is_group(group))
                .ok_or_else(grammar)?;
            if seats.iter().any(|seat| seat.group == group) {
                return Err(ReviewError::Twice {
                    text: text.to_owned(),
                    group: group.to_owned(),
                });
            }
            seats.push(Seat {
                group: group.to_owned(),
                count,
            });
            match words.next() {
                None => break,
                Some("and") => {}
                Some(_) => return Err(grammar()),
            }
        }
        seats.sort();
        Ok(Self { seats })
    }
}

impl Serialize for Review {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.seats.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Review {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seats: Vec<Seat> = Vec::deserialize(deserializer)?;
        let review = Self { seats };
        let again: Self = review
            .to_string()
            .parse()
            .map_err(serde::de::Error::custom)?;
        if again == review {
            Ok(review)
        } else {
            Err(serde::de::Error::custom("seats are sorted by group"))
        }
    }
}

/// Tells whether a text can name a group: lower-case letters, digits and dashes.
pub fn is_group(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A person as the machine knows one: the roster's word at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The roster's name, byte-exact.
    pub name: String,
    /// The OS account's number, as the daemon resolved it.
    pub uid: u32,
    /// The person's groups.
    pub groups: BTreeSet<String>,
    /// Fingerprints of the person's keys, `SHA256:…`.
    pub keys: BTreeSet<String>,
}

impl Member {
    /// Tells whether the person belongs to a group; everyone belongs to [`ANYONE`].
    pub fn belongs_to(&self, group: &str) -> bool {
        group == ANYONE || self.groups.contains(group)
    }
}

/// How much is at stake; decides how much the console asks of a reviewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Reversible and small.
    Low,
    /// The ordinary case.
    Medium,
    /// Hard to undo.
    High,
    /// The crown jewels.
    Critical,
}

impl Tier {
    /// Returns the tier's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Who may execute what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunBy {
    /// The agent's side, or the daemon.
    Agent,
    /// The daemon only.
    Daemon,
}

/// One rule that asks for people, with its seats.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredReview {
    /// The policy that asks, or `default`.
    pub policy: String,
    /// Its seats.
    pub seats: Review,
}

/// What must happen before a request may pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The rules that ask for people. Each must be satisfied on its own; empty means nobody.
    pub reviews: Vec<RequiredReview>,
    /// How much is at stake.
    pub tier: Tier,
    /// How sure we must be that the person was there.
    pub assurance: Assurance,
    /// Whether an approval must say why.
    pub reason_required: bool,
    /// The request's lifetime, in seconds.
    pub ttl_s: u32,
    /// How long an approval may wait for its use, in seconds.
    pub grant_s: u32,
    /// How long the run may take, in seconds.
    pub max_run_s: u32,
    /// Who may execute.
    pub run_by: RunBy,
    /// Whether the requester's side may attest for itself (R4).
    pub self_attest: bool,
    /// What policy wants reviewers to know.
    pub advice: Vec<String>,
    /// Why the tier is what it is, a phrase each, for the reviewer to read beside it. It obliges
    /// nobody to anything.
    pub why: Vec<String>,
    /// Whom it calls when nobody decides, sorted: it calls once, at the earliest of these, all of
    /// them. The limit `escalate_at_percent` stands for none.
    pub escalate: Vec<Escalation>,
}

impl Requirement {
    /// Returns what satisfies both: the seats of either, and of each other component the stricter
    /// one. Two policies that ask for the same seats ask once, whatever they are called.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            reviews: {
                let mut all = self.reviews.clone();
                for review in &other.reviews {
                    if !all.iter().any(|it| it.seats == review.seats) {
                        all.push(review.clone());
                    }
                }
                all
            },
            tier: self.tier.max(other.tier),
            assurance: self.assurance.max(other.assurance),
            reason_required: self.reason_required || other.reason_required,
            ttl_s: self.ttl_s.min(other.ttl_s),
            grant_s: self.grant_s.min(other.grant_s),
            max_run_s: self.max_run_s.min(other.max_run_s),
            run_by: self.run_by.max(other.run_by),
            self_attest: self.self_attest && other.self_attest,
            advice: union(&self.advice, &other.advice),
            why: union(&self.why, &other.why),
            escalate: {
                let mut all = union(&self.escalate, &other.escalate);
                all.sort();
                all
            },
        }
    }

    /// Tells whether `other` obliges to nothing that this does not, so that whoever satisfied this
    /// satisfied both. Reasons oblige nobody, and whom a request calls may change while it waits.
    pub fn covers(&self, other: &Self) -> bool {
        let mut joined = self.join(other);
        joined.why.clone_from(&self.why);
        joined.escalate.clone_from(&self.escalate);
        joined == *self
    }

    /// Returns how long an approval may wait for its use.
    pub fn grant(&self) -> Duration {
        Duration::from_secs(u64::from(self.grant_s))
    }

    /// Returns how long the run may take.
    pub fn max_run(&self) -> Duration {
        Duration::from_secs(u64::from(self.max_run_s))
    }

    /// Tells whether distinct people out of `approvers` satisfy every rule that asks.
    ///
    /// A requirement that asks nobody is not satisfied by people: only policy permits that.
    pub fn is_satisfied_by(&self, approvers: &[&Member]) -> bool {
        !self.reviews.is_empty()
            && !approvers.is_empty()
            && self
                .reviews
                .iter()
                .all(|review| review.seats.is_filled_by(approvers))
    }

    /// Returns a sentence on what is still missing, or nothing.
    pub fn missing(&self, approvers: &[&Member]) -> Option<String> {
        let mut groups: Vec<&str> = Vec::new();
        for review in &self.reviews {
            for group in review.seats.unfilled(approvers) {
                groups.push(group);
            }
        }
        groups.sort_unstable();
        groups.dedup();
        if groups.is_empty() {
            None
        } else {
            Some(format!("waits for {}", groups.join(" and ")))
        }
    }

    /// Tells whether exactly one seat is asked for, by one rule (R4's exemption).
    pub fn asks_one_seat(&self) -> bool {
        matches!(self.reviews.as_slice(), [only] if only.seats.people() == 1)
    }
}

/// Returns the items of both lists, each once, those of the first list first.
fn union<T: Clone + PartialEq>(first: &[T], second: &[T]) -> Vec<T> {
    let mut all = first.to_vec();
    for item in second {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests;
