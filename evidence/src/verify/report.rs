//! What was found, for people and for programs.

use std::collections::BTreeSet;
use std::fmt;

use countersign_shared::log::tree::TreeHead;
use countersign_shared::text::Printable;
use serde_json::{Value, json};

/// How many findings are kept; the rest is counted.
const KEPT: usize = 50;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: an entry, a file, the head.
    pub place: String,
    /// What is wrong, on one line.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both may quote what somebody wrote into a file.
        let line = format!("{}: {}", self.place, self.problem);
        f.write_str(Printable::from_ours(line).as_str())
    }
}

/// What came of checking a directory.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, in the order it was found.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub more: u64,
    /// How many entries were read.
    pub entries: u64,
    /// How many requests they are about; 0 when they could not be replayed.
    pub requests: u64,
    /// How many decisions have a good signature; signed acts as well when they could not be
    /// replayed.
    pub decisions: u64,
    /// The people who made them.
    pub people: BTreeSet<String>,
    /// The head.
    pub head: Option<TreeHead>,
    /// The size of the largest head that is known to be held elsewhere, or named in a good
    /// statement.
    pub witnessed: u64,
    /// The number of entries of the head when a quorum of witnesses has cosigned it, else 0; nothing
    /// without a policy.
    pub quorum: Option<u64>,
    /// Whether every entry was there, so that the log was replayed.
    pub replayed: bool,
}

impl Report {
    /// Tells whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.more == 0
    }

    /// Returns the exit code: 0 when nothing is wrong, else 9.
    pub fn exit_code(&self) -> u8 {
        if self.is_good() { 0 } else { 9 }
    }

    pub(super) fn found(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        if self.findings.len() < KEPT {
            self.findings.push(Finding {
                place: place.into(),
                problem: problem.into(),
            });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Returns the report for programs.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| json!({"place": finding.place, "problem": finding.problem}))
            .collect();
        let head = self
            .head
            .map(|head| json!({"size": head.size, "root": head.root.to_string()}));
        json!({
            "schema": 1,
            "ok": self.is_good(),
            "replayed": self.replayed,
            "entries": self.entries,
            "requests": self.requests,
            "decisions": self.decisions,
            "people": self.people,
            "head": head,
            "witnessed": self.witnessed,
            "quorum": self.quorum,
            "findings": findings,
            "more_findings": self.more,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more", self.more)?;
        }
        let (entries, decisions) = (self.entries, self.decisions);
        if self.replayed {
            let (requests, people) = (self.requests, self.people.len());
            write!(
                f,
                "all {entries} entries replayed: {requests} requests, {decisions} decisions by \
                 {people} people"
            )?;
        } else {
            write!(
                f,
                "{entries} entries checked each by itself, {decisions} signatures; the pack's own \
                 script says more"
            )?;
        }
        if let Some(head) = self.head {
            write!(f, ", head {} {}", head.size, head.root)?;
        }
        match self.quorum {
            None => Ok(()),
            Some(0) => f.write_str("; the head has no quorum of witnesses"),
            Some(_) => f.write_str("; a quorum of witnesses cosigned the head"),
        }
    }
}
