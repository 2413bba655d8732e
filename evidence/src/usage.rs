//! Who used which data: counted from `data.accessed` entries, joined with the life of the request.
//!
//! What is read: an entry of type `data.accessed`, about a request, written in the same step (so
//! with the same moment) as the entry that says the action ran: `execution.finished`,
//! `execution.indeterminate`, or an `execution.settled` that no indeterminate one with data came
//! before. Never at asking, and never for what did not run.
//!
//! ```json
//! {"agent":"etl-3","basis":"stated","data":[{"access":"export","classification":"pii",
//!  "destination":"s3://reports","name":"crm","records":48211}]}
//! ```
//!
//! `agent` is what the agent calls itself, or null. `basis` says whether the list is `stated` by the
//! agent or was `computed`. Each element is one of the `data` of the action; `classification`,
//! `records` and `destination` may be null. A list that is too long for one entry goes on in the
//! next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Write};

use countersign_shared::id::RequestId;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::machine::State;
use countersign_shared::time::Timestamp;
use serde_json::{Value, json};

use crate::csv::Table;
use crate::export::{ExportError, each};
use crate::life::{Life, Lives};
use crate::record::{Record, RecordError, shown};
use crate::source::{Period, Source};

#[cfg(test)]
mod tests;
mod text;

/// How many requests are named for each count.
const NAMED: usize = 100;

/// What uses are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The name of the data.
    Data,
    /// What the agent calls itself, or its principal.
    Agent,
    /// Each person who approved; `(policy)` where nobody was asked.
    Reviewer,
    /// Where the data went; `(none)` where it stayed.
    Destination,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Data, Self::Agent, Self::Reviewer, Self::Destination];

    /// Returns the word on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Agent => "agent",
            Self::Reviewer => "reviewer",
            Self::Destination => "destination",
        }
    }
}

/// Uses of data that have one thing in common. All texts are in the Exact encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// How many.
    pub count: u64,
    /// How many records were said to be touched, where that was said.
    pub records: u64,
    /// How many uses did not say how many records.
    pub unknown_records: u64,
    /// How many had each kind of access.
    pub access: BTreeMap<String, u64>,
    /// How many were of each classification, as stated.
    pub classification: BTreeMap<String, u64>,
    /// How many went to each destination.
    pub destination: BTreeMap<String, u64>,
    /// How many ended in each way.
    pub outcome: BTreeMap<String, u64>,
    /// How many were approved by each right.
    pub via: BTreeMap<String, u64>,
    /// The data that was used.
    pub data: BTreeSet<String>,
    /// Who used it.
    pub agents: BTreeSet<String>,
    /// Who approved that.
    pub reviewers: BTreeSet<String>,
    /// How many were only stated by the agent.
    pub stated: u64,
    /// The last requests, the newest first; at most 100.
    pub requests: VecDeque<RequestId>,
    /// The first.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
}

/// Uses of data, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    by: By,
    period: Period,
    rows: BTreeMap<String, Uses>,
    /// The position before which entries were pruned, 0 when none was.
    pruned_before: u64,
}

/// The names of the columns; the first one is that of [`By`].
const COLUMNS: [&str; 14] = [
    "uses",
    "uses_stated",
    "records",
    "uses_without_records",
    "access",
    "classification",
    "destination",
    "outcome",
    "approved_via",
    "data",
    "agents",
    "reviewers",
    "first",
    "last",
];

impl Usage {
    /// Begins with nothing counted.
    pub const fn new(by: By, period: Period) -> Self {
        Self {
            by,
            period,
            rows: BTreeMap::new(),
            pruned_before: 0,
        }
    }

    /// Counts all uses in a log.
    ///
    /// # Errors
    ///
    /// As [`ExportError`] says.
    pub fn of(
        source: &impl Source,
        key: &VerifierKey,
        by: By,
        period: Period,
    ) -> Result<Self, ExportError> {
        let mut usage = Self::new(by, period);
        let mut lives = Lives::new();
        let (_, pruning) = each(source, key, |record| {
            let seq = record.seq;
            let problem = |problem| ExportError::Record { seq, problem };
            drop(lives.take(record).map_err(problem)?);
            usage.take(record, &lives).map_err(problem)
        })?;
        usage.pruned_before = pruning.before();
        Ok(usage)
    }

    /// Takes an entry that `lives` has taken just before.
    ///
    /// # Errors
    ///
    /// When a `data.accessed` has not what it has to have.
    pub fn take(&mut self, record: &Record<'_>, lives: &Lives) -> Result<(), RecordError> {
        if record.entry_type != "data.accessed" || !self.period.holds(record.time) {
            return Ok(());
        }
        let field = "/data";
        let wrong = || RecordError::Body { field };
        let sets = record
            .value(field)
            .and_then(Value::as_array)
            .ok_or_else(wrong)?;
        let life = record.request.and_then(|id| lives.get(id));
        let stated = record.need("/basis")? != "computed";
        for set in sets {
            let text = |name: &str| set.get(name).and_then(Value::as_str).map(shown);
            let name = text("name").ok_or_else(wrong)?;
            let one = Use {
                access: text("access").ok_or_else(wrong)?,
                classification: text("classification"),
                destination: text("destination"),
                records: set.get("records").and_then(Value::as_u64),
                agent: shown(record.text("/agent").unwrap_or(&record.actor.id)),
                reviewers: reviewers(life),
                outcome: outcome(life),
                via: life
                    .and_then(|life| life.via.as_deref())
                    .map_or_else(unknown, shown),
                request: record.request,
                at: record.time,
                stated,
                name,
            };
            for key in one.keys(self.by) {
                self.rows.entry(key).or_default().add(&one);
            }
        }
        Ok(())
    }

    /// Returns what uses are counted by.
    pub const fn by(&self) -> By {
        self.by
    }

    /// Returns the counts by name.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Uses)> {
        self.rows.iter().map(|(name, uses)| (name.as_str(), uses))
    }

    /// Returns the counts for programs.
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows()
            .map(|(name, uses)| {
                json!({
                    "name": name,
                    "uses": uses.count,
                    "records": uses.records,
                    "uses_without_records": uses.unknown_records,
                    "stated": uses.stated,
                    "access": uses.access,
                    "classification": uses.classification,
                    "destination": uses.destination,
                    "outcome": uses.outcome,
                    "approved_via": uses.via,
                    "data": uses.data,
                    "agents": uses.agents,
                    "reviewers": uses.reviewers,
                    "requests": uses.requests,
                    "first": uses.first,
                    "last": uses.last,
                })
            })
            .collect();
        json!({"schema": 1, "by": self.by.word(), "since": self.period.from,
               "until": self.period.until, "usage": rows, "pruned_before": self.pruned_before})
    }

    /// Writes the counts as a table for spreadsheets.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(out);
        let mut names = vec![self.by.word()];
        names.extend(COLUMNS);
        table.names(&names)?;
        for (name, uses) in self.rows() {
            table.row([
                name.to_owned(),
                uses.count.to_string(),
                uses.stated.to_string(),
                uses.records.to_string(),
                uses.unknown_records.to_string(),
                counted(&uses.access),
                counted(&uses.classification),
                counted(&uses.destination),
                counted(&uses.outcome),
                counted(&uses.via),
                joined(&uses.data),
                joined(&uses.agents),
                joined(&uses.reviewers),
                uses.first.map(|at| at.to_string()).unwrap_or_default(),
                uses.last.map(|at| at.to_string()).unwrap_or_default(),
            ])?;
        }
        table.flush()
    }
}

/// Writes `word: count` for each, for people.
pub(crate) fn counted(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{word}: {count}"))
        .collect();
    words.join("; ")
}

fn joined(words: &BTreeSet<String>) -> String {
    words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("; ")
}

fn unknown() -> String {
    "(unknown)".to_owned()
}

/// Returns how the run ended; the state says it where the run did not.
fn outcome(life: Option<&Life>) -> String {
    let Some(life) = life else { return unknown() };
    match (&life.outcome, life.state) {
        (Some(outcome), _) => shown(outcome),
        (None, State::Running | State::Redeemed) => unknown(),
        (None, state) => state.word().to_owned(),
    }
}

fn reviewers(life: Option<&Life>) -> Vec<String> {
    let Some(life) = life else {
        return vec![unknown()];
    };
    let mut names: Vec<String> = life.names(true).map(shown).collect();
    if let Some(glass) = &life.glass {
        names.push(shown(&glass.reviewer));
    }
    if names.is_empty() {
        names.push("(policy)".to_owned());
    }
    names.sort();
    names.dedup();
    names
}

/// One use of one set of data.
struct Use {
    name: String,
    access: String,
    classification: Option<String>,
    destination: Option<String>,
    records: Option<u64>,
    agent: String,
    reviewers: Vec<String>,
    outcome: String,
    via: String,
    request: Option<RequestId>,
    at: Timestamp,
    stated: bool,
}

impl Use {
    fn keys(&self, by: By) -> Vec<String> {
        match by {
            By::Data => vec![self.name.clone()],
            By::Agent => vec![self.agent.clone()],
            By::Reviewer => self.reviewers.clone(),
            By::Destination => vec![self.destination.clone().unwrap_or_else(none)],
        }
    }
}

fn none() -> String {
    "(none)".to_owned()
}

impl Uses {
    fn add(&mut self, one: &Use) {
        let count = |counts: &mut BTreeMap<String, u64>, word: &str| {
            let count = counts.entry(word.to_owned()).or_default();
            *count = count.saturating_add(1);
        };
        self.count = self.count.saturating_add(1);
        match one.records {
            Some(records) => self.records = self.records.saturating_add(records),
            None => self.unknown_records = self.unknown_records.saturating_add(1),
        }
        count(&mut self.access, &one.access);
        count(
            &mut self.classification,
            one.classification.as_deref().unwrap_or("(none)"),
        );
        count(
            &mut self.destination,
            one.destination.as_deref().unwrap_or("(none)"),
        );
        count(&mut self.outcome, &one.outcome);
        count(&mut self.via, &one.via);
        self.data.insert(one.name.clone());
        self.agents.insert(one.agent.clone());
        self.reviewers.extend(one.reviewers.iter().cloned());
        self.stated = self.stated.saturating_add(u64::from(one.stated));
        if let Some(id) = one.request
            && self.requests.front() != Some(&id)
        {
            self.requests.retain(|named| *named != id);
            self.requests.push_front(id);
            self.requests.truncate(NAMED);
        }
        self.first.get_or_insert(one.at);
        self.last = Some(one.at);
    }
}
