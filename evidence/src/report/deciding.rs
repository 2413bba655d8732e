//! Who decided how much, of which tier, and how fast.

use std::collections::BTreeMap;

use countersign_shared::machine::State;
use serde::Serialize;

use super::HASTY_MS;
use crate::life::{Life, Said};
use crate::population::seconds;
use crate::record::shown;

/// The upper ends of the steps of time, in milliseconds, with their names.
const STEPS: [(u64, &str); 7] = [
    (2_000, "under 2 s"),
    (10_000, "2 s to 10 s"),
    (60_000, "10 s to 1 min"),
    (300_000, "1 min to 5 min"),
    (900_000, "5 min to 15 min"),
    (3_600_000, "15 min to 1 h"),
    (u64::MAX, "over 1 h"),
];

/// The tiers in the order of what is at stake.
const TIERS: [&str; 4] = ["low", "medium", "high", "critical"];

/// What is counted for one tier, or for all.
#[derive(Debug, Default, Clone)]
struct Tally {
    requests: u64,
    reviewers: u64,
    attested: u64,
    policy: u64,
    glass: u64,
    denied: u64,
    refused: u64,
    expired: u64,
    other: u64,
    open: u64,
    /// Milliseconds to the decision, where people decided.
    waited: Vec<u64>,
}

/// What is counted for one person.
#[derive(Debug, Default, Clone)]
struct Person {
    approved: u64,
    denied: u64,
    attested: u64,
    glass: u64,
    hasty: u64,
    after_received: Vec<u64>,
    after_shown: Vec<u64>,
}

/// The counts so far. The times to decide are kept one by one, eight bytes each.
#[derive(Debug, Default)]
pub(super) struct Deciding {
    all: Tally,
    tiers: BTreeMap<String, Tally>,
    people: BTreeMap<String, Person>,
}

/// A row about a tier, or about all of them.
#[derive(Debug, Serialize)]
pub(super) struct TierRow {
    tier: String,
    requests: u64,
    reviewers: u64,
    attested: u64,
    policy: u64,
    glass: u64,
    denied: u64,
    refused: u64,
    expired: u64,
    other: u64,
    open: u64,
    median: String,
    slowest: String,
}

/// A row about a person.
#[derive(Debug, Serialize)]
pub(super) struct PersonRow {
    name: String,
    approved: u64,
    denied: u64,
    attested: u64,
    glass: u64,
    hasty: u64,
    after_received: String,
    after_shown: String,
}

/// How many decisions fell into a step of time.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    name: &'static str,
    count: u64,
    /// Out of a hundred, for the bar.
    percent: u64,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    all: TierRow,
    tiers: Vec<TierRow>,
    people: Vec<PersonRow>,
    steps: Vec<Step>,
}

impl Deciding {
    pub(super) fn life(&mut self, life: &Life) {
        self.all.life(life);
        self.tiers.entry(life.tier.clone()).or_default().life(life);
        for said in &life.said {
            self.people
                .entry(said.reviewer.clone())
                .or_default()
                .said(said);
        }
        if let Some(glass) = &life.glass {
            let person = self.people.entry(glass.reviewer.clone()).or_default();
            add(&mut person.glass);
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let known = TIERS
            .iter()
            .filter_map(|tier| self.tiers.get_key_value(*tier));
        let others = self
            .tiers
            .iter()
            .filter(|(tier, _)| !TIERS.contains(&tier.as_str()));
        let most = self.all.waited.len().max(1) as u64;
        let mut least = 0;
        let steps = STEPS.map(|(limit, name)| {
            let in_step = |ms: &&u64| (least..limit).contains(*ms);
            let count = self.all.waited.iter().filter(in_step).count() as u64;
            least = limit;
            let percent = count.saturating_mul(100) / most;
            Step {
                name,
                count,
                percent,
            }
        });
        Figures {
            all: self.all.row("all"),
            tiers: known
                .chain(others)
                .map(|(tier, tally)| tally.row(&shown(tier)))
                .collect(),
            people: self
                .people
                .iter()
                .map(|(name, person)| person.row(name))
                .collect(),
            steps: steps.into(),
        }
    }
}

impl Tally {
    fn life(&mut self, life: &Life) {
        add(&mut self.requests);
        let right = match life.via.as_deref() {
            Some("reviewers") => &mut self.reviewers,
            Some("self-attested") => &mut self.attested,
            Some("policy") => &mut self.policy,
            Some(_) => &mut self.glass,
            None if life.state == State::Denied => &mut self.denied,
            None if life.state == State::Refused => &mut self.refused,
            None if life.state == State::Expired => &mut self.expired,
            None if life.state.has_ended() => &mut self.other,
            None => &mut self.open,
        };
        add(right);
        // What policy says at once is nobody's time.
        if !life.said.is_empty() {
            self.waited.extend(life.decided_after_ms());
        }
    }

    fn row(&self, tier: &str) -> TierRow {
        TierRow {
            tier: tier.to_owned(),
            requests: self.requests,
            reviewers: self.reviewers,
            attested: self.attested,
            policy: self.policy,
            glass: self.glass,
            denied: self.denied,
            refused: self.refused,
            expired: self.expired,
            other: self.other,
            open: self.open,
            median: median(&self.waited),
            slowest: self.waited.iter().max().map_or_else(none, |ms| span(*ms)),
        }
    }
}

impl Person {
    fn said(&mut self, said: &Said) {
        add(if said.approves {
            &mut self.approved
        } else {
            &mut self.denied
        });
        if said.self_attested {
            add(&mut self.attested);
        }
        if is_hasty(said) {
            add(&mut self.hasty);
        }
        self.after_received.push(said.after_received_ms);
        self.after_shown.extend(said.after_shown_ms);
    }

    fn row(&self, name: &str) -> PersonRow {
        PersonRow {
            name: shown(name),
            approved: self.approved,
            denied: self.denied,
            attested: self.attested,
            glass: self.glass,
            hasty: self.hasty,
            after_received: median(&self.after_received),
            after_shown: median(&self.after_shown),
        }
    }
}

/// Tells whether an approval came sooner than anybody reads: after it was shown, or after it was
/// received where nothing says that it was shown.
pub(super) fn is_hasty(said: &Said) -> bool {
    said.approves && said.after_shown_ms.unwrap_or(said.after_received_ms) < HASTY_MS
}

fn add(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn none() -> String {
    "–".to_owned()
}

/// Returns the middle one; of an even number the earlier of the two in the middle.
fn median(times: &[u64]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).map_or_else(none, |ms| span(*ms))
}

/// Writes a span of time for people.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{} s", seconds(ms)),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_medians_are_written_for_people() {
        assert_eq!(span(1_250), "1.250 s");
        assert_eq!(span(61_000), "1 min 1 s");
        assert_eq!(span(3_660_000), "1 h 1 min");
        assert_eq!(median(&[]), "–");
        assert_eq!(median(&[5_000, 1_000, 3_000]), "3.000 s");
        assert_eq!(median(&[4_000, 1_000, 3_000, 2_000]), "2.000 s");
    }
}
