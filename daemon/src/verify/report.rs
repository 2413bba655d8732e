//! What `verify` found, for people and for programs.

use std::collections::BTreeSet;
use std::fmt;

use countersign_shared::id::RequestId;
use countersign_shared::log::tree::TreeHead;
use countersign_shared::text::Printable;
use serde_json::{Value, json};

/// How many findings are kept; the rest is counted.
const KEPT: usize = 50;

/// Where something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The database file.
    Database,
    /// The stored head of the log.
    Head,
    /// The mark beside the database, which says how far the log had come.
    Mark,
    /// An entry, by its position.
    Entry(u64),
    /// A stored node of the tree.
    Node {
        /// The height.
        level: u8,
        /// The place among the nodes of its level.
        index: u64,
    },
    /// A request.
    Request(RequestId),
    /// The head of so many entries that was sent to witnesses, or what they wrote below.
    Cosigned(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("database"),
            Self::Head => f.write_str("head"),
            Self::Mark => f.write_str("mark"),
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Node { level, index } => write!(f, "node {index} of level {level}"),
            Self::Request(id) => write!(f, "request {id}"),
            Self::Cosigned(size) => write!(f, "cosigned head of {size} entries"),
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What is wrong, on one line.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The problem may quote what somebody wrote into the database.
        write!(
            f,
            "{}: {}",
            self.place,
            Printable::from_ours(&self.problem).as_str()
        )
    }
}

/// What came of checking a database.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, the first in the log first.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub more: u64,
    /// The number of entries that were read.
    pub entries: u64,
    /// The number of requests in the log.
    pub requests: u64,
    /// The number of decisions whose signatures are good.
    pub decisions: u64,
    /// The people who made them.
    pub people: BTreeSet<String>,
    /// The head over the entries that were read, as recomputed.
    pub head: Option<TreeHead>,
    /// The size of the largest head that is known to be held elsewhere: given to be compared with,
    /// or named in a person's good statement.
    pub witnessed: u64,
    /// How many entries were pruned: their hashes were read, and nothing else is there.
    pub pruned: u64,
    /// How many of those were read from the packs that hold them, and replayed with the others.
    pub archived: u64,
    /// How many documents were erased before their time, for a reason that stands in the log.
    pub erased_early: u64,
    /// The size of the largest head that a quorum of witnesses has cosigned, 0 for none; nothing
    /// without a policy.
    pub quorum: Option<u64>,
}

impl Report {
    /// Tells whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.more == 0
    }

    /// Returns the number of the last entries that no head held elsewhere covers: they could be
    /// taken off, or replaced by others, and nobody would know.
    pub const fn tail(&self) -> u64 {
        self.entries.saturating_sub(self.witnessed)
    }

    pub(super) fn found(&mut self, place: Place, problem: impl Into<String>) {
        if self.findings.len() < KEPT {
            self.findings.push(Finding {
                place,
                problem: problem.into(),
            });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Adds what was found by somebody else, behind what was found here.
    pub(super) fn add(&mut self, other: Self) {
        for finding in other.findings {
            self.found(finding.place, finding.problem);
        }
        self.more = self.more.saturating_add(other.more);
    }

    /// Returns the report for programs.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                let (entry, request) = match finding.place {
                    Place::Entry(index) => (Some(index), None),
                    Place::Request(id) => (None, Some(id)),
                    Place::Database
                    | Place::Head
                    | Place::Mark
                    | Place::Node { .. }
                    | Place::Cosigned(_) => (None, None),
                };
                json!({
                    "place": finding.place.to_string(),
                    "entry": entry,
                    "request": request,
                    "problem": finding.problem,
                })
            })
            .collect();
        json!({
            "schema": 1,
            "ok": self.is_good(),
            "entries": self.entries,
            "requests": self.requests,
            "decisions": self.decisions,
            "people": self.people,
            "head": self.head.map(|head| json!({"size": head.size, "root": head.root.to_string()})),
            "witnessed": self.witnessed,
            "unwitnessed": self.tail(),
            "erased_early": self.erased_early,
            "pruned": self.pruned,
            "archived": self.archived,
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
        write!(
            f,
            "{} {}, {} {} by {} {}",
            self.entries,
            if self.entries == 1 {
                "entry"
            } else {
                "entries"
            },
            self.decisions,
            if self.decisions == 1 {
                "decision"
            } else {
                "decisions"
            },
            self.people.len(),
            if self.people.len() == 1 {
                "person"
            } else {
                "people"
            },
        )?;
        if let Some(head) = self.head {
            write!(f, ", head {} {}", head.size, head.root)?;
        }
        match self.erased_early {
            0 => {}
            1 => f.write_str("; 1 document was erased before its time")?,
            several => write!(f, "; {several} documents were erased before their time")?,
        }
        match (self.pruned, self.archived) {
            (0, _) => {}
            (pruned, 0) => write!(
                f,
                "; {pruned} entries were pruned, and what they said was not checked: `--archive DIR` \
                 names the packs that hold them"
            )?,
            (pruned, _) => write!(f, "; {pruned} entries were pruned, and read from archives")?,
        }
        match self.quorum {
            None => {}
            Some(0) => f.write_str("; no head has a quorum of witnesses")?,
            Some(size) => write!(f, "; a quorum of witnesses cosigned the head of {size}")?,
        }
        match (self.entries, self.tail()) {
            (0, _) => Ok(()),
            (_, 0) => f.write_str("; unwitnessed tail: none"),
            (entries, tail) => {
                let first = entries.saturating_sub(tail);
                let last = entries.saturating_sub(1);
                write!(f, "; unwitnessed tail: entries {first} to {last}")
            }
        }
    }
}
