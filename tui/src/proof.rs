//! The proof that one entry is in the log, step by step: the entry as it was listed, the head over the
//! log and its signature, the way from the entry to the head's root, and the head that was kept before.
//!
//! An entry is verified when every step is well. Whatever is missing, strange or not reached leaves it
//! not verified. Nothing is asked of the daemon here, and nothing drawn.

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::shown::Inclusion;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::Entry;
use countersign_shared::log::tree::{Hash, leaf_hash};
use countersign_shared::text::Printable;

use crate::cause::chain;

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is well.
    Well(Printable),
    /// It is not, or could not be looked at.
    Failed(Printable),
    /// A step before it failed.
    NotReached,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is looked at, in a word.
    pub what: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// How far the proof of an entry got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The steps, in the order they are made.
    pub steps: Vec<Step>,
    /// What follows, in a sentence.
    pub says: Printable,
    is_verified: bool,
    is_alarm: bool,
}

/// The steps, in the order they are made.
const STEPS: [&str; 4] = ["entry", "head", "path", "before"];

impl Proof {
    /// Checks the proof of the entry at `seq`, which was listed with the leaf hash `listed`, and keeps
    /// the head that it stands under.
    pub fn check(heads: &mut Heads, seq: u64, listed: &Hash, inclusion: &Inclusion) -> Self {
        let mut made = Vec::new();
        let is_listed = inclusion.index == seq
            && leaf_hash(&inclusion.entry) == *listed
            && Entry::read(&inclusion.entry).is_ok_and(|entry| entry.seq == seq);
        if !is_listed {
            let text = "the daemon proves another entry than it listed";
            made.push(failed(Printable::ours(text)));
            return Self::ended(made, true);
        }
        made.push(well(format!(
            "{seq} has the leaf hash {}",
            short(&leaf_hash(&inclusion.entry))
        )));
        let kept = heads.last().cloned();
        let kept_size = kept.as_ref().map(Checkpoint::size);
        if let Err(error) = heads.hold(inclusion) {
            made.extend(up_to(&error, inclusion));
            // A head that another program of the same user overtook is no contradiction.
            return Self::ended(made, !error.is_behind() && !error.is_ours());
        }
        let Some(head) = heads.last() else {
            made.push(failed(Printable::ours("no head of the log was kept")));
            return Self::ended(made, false);
        };
        let size = grouped(head.size());
        let name = heads.origin();
        made.push(well(format!("of {size} entries, signed by {name}")));
        made.push(well(format!(
            "{} lead from the leaf to its root {}",
            hashes(inclusion.proof.len()),
            short(head.root())
        )));
        let before = match kept_size {
            Some(kept) if kept == head.size() => "is the head this console held".to_owned(),
            Some(kept) => {
                let kept = grouped(kept);
                format!("extends the head this console held at {kept}")
            }
            None => "is the first head this console holds".to_owned(),
        };
        made.push(well(before.clone()));
        let says = format!(
            "VERIFIED: entry {} is in the log of {size} entries, head signed by {name}; it {before}",
            grouped(seq)
        );
        Self {
            steps: steps(made),
            says: Printable::from_ours(says),
            is_verified: true,
            is_alarm: false,
        }
    }

    /// The proof could not even be looked at.
    pub fn missing(why: &str) -> Self {
        Self::ended(vec![failed(Printable::from_ours(why))], false)
    }

    fn ended(made: Vec<Outcome>, is_alarm: bool) -> Self {
        Self {
            steps: steps(made),
            says: Printable::ours("NOT VERIFIED: this entry is not proven to be in the log"),
            is_verified: false,
            is_alarm,
        }
    }

    /// Tells whether every step is well.
    pub fn is_verified(&self) -> bool {
        let is_well = |step: &Step| matches!(step.outcome, Outcome::Well(_));
        self.is_verified && self.steps.len() == STEPS.len() && self.steps.iter().all(is_well)
    }

    /// Tells whether the log contradicts itself.
    pub const fn is_alarm(&self) -> bool {
        self.is_alarm
    }

    /// Returns the first step that failed, in words.
    pub fn failure(&self) -> Option<&Printable> {
        self.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Failed(why) => Some(why),
            Outcome::Well(_) | Outcome::NotReached => None,
        })
    }
}

/// Which steps were well before this error, and the one that was not.
fn up_to(error: &HeadsError, inclusion: &Inclusion) -> Vec<Outcome> {
    let why = failed(Printable::from_ours(chain(error)));
    let signed = || well("its signature is good".to_owned());
    match error {
        HeadsError::Unsigned(_)
        | HeadsError::KeyEnded { .. }
        | HeadsError::Rotation(_)
        | HeadsError::NotAdopted(_)
        | HeadsError::NothingKept { .. } => vec![why],
        HeadsError::Inclusion(_) => vec![signed(), why],
        HeadsError::Read { .. }
        | HeadsError::Write { .. }
        | HeadsError::Kept { .. }
        | HeadsError::OtherKey { .. }
        | HeadsError::Hash { .. }
        | HeadsError::Fork(_)
        | HeadsError::Diverged { .. }
        | HeadsError::Entry { .. } => {
            let count = hashes(inclusion.proof.len());
            let path = well(format!("{count} lead from the leaf to its root"));
            vec![signed(), path, why]
        }
    }
}

fn steps(made: Vec<Outcome>) -> Vec<Step> {
    let not_reached = std::iter::repeat(Outcome::NotReached);
    STEPS
        .into_iter()
        .zip(made.into_iter().chain(not_reached))
        .map(|(what, outcome)| Step { what, outcome })
        .collect()
}

fn well(text: String) -> Outcome {
    Outcome::Well(Printable::from_ours(text))
}

const fn failed(text: Printable) -> Outcome {
    Outcome::Failed(text)
}

fn hashes(count: usize) -> String {
    match count {
        1 => "1 hash".to_owned(),
        several => format!("{several} hashes"),
    }
}

/// Enough of a hash to compare it by eye.
fn short(hash: &Hash) -> String {
    let text = hash.to_string();
    let start: String = text.chars().take(16).collect();
    format!("{start}…")
}

/// A number with a comma after every third digit from its end.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
