//! The report for people: one HTML page, without scripts and without anything from elsewhere, that
//! prints on paper.
//!
//! It is counted from the same entries as the pack it lies in. What agents and people wrote stands
//! in it in the Exact encoding, and is escaped after that. Long lists are cut at [`LONGEST`] rows,
//! with a word about the rest.

use std::io::{self, Write};

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::time::Timestamp;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use crate::life::Life;
use crate::record::{Record, shown};
use crate::source::Period;
use crate::usage::{Usage, counted};

mod deciding;
mod lists;
#[cfg(test)]
mod tests;

use deciding::Deciding;
use lists::Lists;

/// How many rows a list has at most.
pub const LONGEST: usize = 200;

/// Approvals that came sooner than this after the request was shown, in milliseconds, are listed.
pub const HASTY_MS: u64 = 2_000;

const TEMPLATE: &str = include_str!("report/report.html");

/// What the report is about, and what it stands under.
#[derive(Debug, Clone)]
pub struct About {
    /// The head whose root the entries were found to have.
    pub head: Checkpoint,
    /// The log's key.
    pub vkey: String,
    /// The time the report is about.
    pub period: Period,
    /// The positions of the entries of that time.
    pub begin: u64,
    /// The position after them.
    pub end: u64,
    /// When it is made.
    pub made_at: Timestamp,
    /// The program that makes it.
    pub software: String,
}

/// A report that is being counted.
#[derive(Debug, Default)]
pub struct Report {
    deciding: Deciding,
    lists: Lists,
    /// The largest head that a statement names.
    witnessed: u64,
    separation: std::collections::BTreeMap<String, u64>,
    entries: u64,
}

/// What the page shows.
#[derive(Serialize)]
struct Shown<'a> {
    origin: String,
    vkey: String,
    size: u64,
    root: String,
    begin: u64,
    end: u64,
    from: String,
    until: String,
    made_at: String,
    software: String,
    entries: u64,
    witnessed: u64,
    tail: u64,
    separation: String,
    hasty_s: u64,
    deciding: deciding::Figures,
    lists: &'a Lists,
    usage: Vec<[String; 7]>,
    longest: usize,
}

impl Report {
    /// Begins with nothing counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts an entry of the time.
    pub fn record(&mut self, record: &Record<'_>) {
        self.entries = self.entries.saturating_add(1);
        let separation = crate::csv::word(&record.separation).unwrap_or_default();
        let count = self.separation.entry(separation).or_default();
        *count = count.saturating_add(1);
        if let Some(size) = named_head(record) {
            self.witnessed = self.witnessed.max(size);
        }
        self.lists.record(record);
    }

    /// Counts a request, once nothing more happens to it in the time.
    pub fn life(&mut self, life: &Life) {
        self.deciding.life(life);
        self.lists.life(life);
    }

    /// Writes the page.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, about: &About, usage: &Usage, out: &mut dyn Write) -> io::Result<()> {
        let time = |at: Option<Timestamp>, none: &str| {
            at.map_or_else(|| none.to_owned(), |at| at.to_string())
        };
        let page = Shown {
            origin: shown(about.head.origin()),
            vkey: shown(&about.vkey),
            size: about.head.size(),
            root: about.head.root().to_string(),
            begin: about.begin,
            end: about.end,
            from: time(about.period.from, "the beginning of the log"),
            until: time(about.period.until, "the end of the log"),
            made_at: about.made_at.to_string(),
            software: shown(&about.software),
            entries: self.entries,
            witnessed: self.witnessed,
            tail: about.end.saturating_sub(self.witnessed),
            separation: counted(&self.separation),
            hasty_s: HASTY_MS / 1000,
            deciding: self.deciding.figures(),
            lists: &self.lists,
            usage: uses(usage),
            longest: LONGEST,
        };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let text = environment
            .add_template("report.html", TEMPLATE)
            .and_then(|()| environment.get_template("report.html"))
            .and_then(|template| template.render(Serde(&page)))
            .map_err(io::Error::other)?;
        out.write_all(text.as_bytes())
    }
}

fn uses(usage: &Usage) -> Vec<[String; 7]> {
    usage
        .rows()
        .take(LONGEST)
        .map(|(name, uses)| {
            [
                name.to_owned(),
                uses.count.to_string(),
                uses.records.to_string(),
                counted(&uses.access),
                counted(&uses.classification),
                counted(&uses.destination),
                counted(&uses.outcome),
            ]
        })
        .collect()
}

/// Returns the size of the head that a statement in the entry names.
fn named_head(record: &Record<'_>) -> Option<u64> {
    let act = record.value("/act").unwrap_or(&record.body);
    let base64 = act.get("statement_base64")?.as_str()?;
    let bytes = data_encoding::BASE64.decode(base64.as_bytes()).ok()?;
    let statement: Value = serde_json::from_slice(&bytes).ok()?;
    statement.pointer("/predicate/log/size")?.as_u64()
}
