//! The evidence pack: a directory that an auditor can check without us.
//!
//! It holds the entries of a period without a gap, the hashes of the whole log under its signed
//! head, the documents, statements and signatures, who could sign and which rules were in force,
//! and a script that checks all of that with nothing but `sh`, `sha256sum`, `ssh-keygen` and the
//! standard library of `python3`. What lies in which file is told in the README it writes.
//!
//! The log is read three times: for the tree and the period's place in it, for the requests, and for
//! the entries. What is held in memory are the requests that are alive at one place of the log.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::Range;

use countersign_shared::digest::Digest;
use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::time::Timestamp;
use serde_json::{Value, json};

use crate::controls::{self, CONTROLS, Counts};
use crate::csv::Table;
use crate::export::{ExportError, each};
use crate::life::{Life, Lives};
use crate::population;
use crate::record::Record;
use crate::report::{About, Report};
use crate::sink::{Sink, SinkFile};
use crate::source::{Period, Source};
use crate::tiles::put;
use crate::usage::{By, Usage};

mod keys;
mod readme;
mod rules;
mod statements;
mod survey;
mod tally;
#[cfg(test)]
mod tests;

use rules::Roster;
use survey::Survey;
use tally::Tally;

/// The script that checks a pack.
pub const VERIFY_SH: &str = include_str!("pack/verify.sh");

/// What the script runs.
pub const VERIFY_PY: &str = include_str!("pack/verify.py");

/// What a pack is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every request that something happened to in a stretch of time.
    Period(Period),
    /// One request; that nothing is missing is not shown then.
    Request(RequestId),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What the pack is about.
    pub scope: Scope,
    /// When it is made.
    pub made_at: Timestamp,
    /// The program that makes it, with its version.
    pub software: String,
}

/// What a pack came to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The head it stands under.
    pub head: Checkpoint,
    /// The positions that it holds without a gap.
    pub range: Range<u64>,
    /// How many entries it holds, those before the range that it needs as well.
    pub entries: u64,
    /// How many requests.
    pub requests: u64,
    /// How many signed statements.
    pub statements: u64,
    /// The requests whose documents were erased.
    pub erased: Vec<RequestId>,
    /// The rules whose files were not kept.
    pub rules_missing: Vec<Digest>,
}

impl Order {
    /// Returns the time that things are counted in.
    fn period(&self) -> Period {
        match self.scope {
            Scope::Period(period) => period,
            Scope::Request(_) => Period::default(),
        }
    }
}

/// Writes a pack.
///
/// # Errors
///
/// As [`ExportError`] says; what was written then is no pack, and has no `manifest.sha256`.
pub fn write(
    source: &impl Source,
    key: &VerifierKey,
    order: &Order,
    sink: &mut dyn Sink,
) -> Result<Packed, ExportError> {
    let mut tally = Tally::new(sink);
    let note = source.checkpoint()?;
    let survey = Survey::of(source, key, order, &note, &mut tally)?;
    let mut pack = Pack {
        order,
        survey: &survey,
        context: survey
            .roster_entries
            .iter()
            .chain(&survey.key_entries)
            .chain(&survey.pruned)
            .copied()
            .collect(),
        counts: Counts::default(),
        report: Report::new(),
        requests: 0,
        erased: Vec::new(),
    };
    let usage = pack.requests(source, key, &mut tally)?;
    let before = survey.pruning.before();
    if pack.requests == 0 && before > 0 && matches!(order.scope, Scope::Request(_)) {
        return Err(survey::gone(source, "this request", before));
    }
    let written = pack.entries(source, key, &mut tally)?;
    let mut table = begin(&mut tally, "controls.csv")?;
    rows(&mut table, "controls.csv", &controls::COLUMNS, |table| {
        CONTROLS
            .iter()
            .try_for_each(|control| table.row(pack.counts.row(control)))
    })?;
    end(table, "controls.csv")?;
    pack.page(key, &usage, &mut tally)?;
    let packed = Packed {
        head: survey.head.clone(),
        range: survey.range.clone(),
        entries: written.entries,
        requests: pack.requests,
        statements: written.statements,
        erased: pack.erased,
        rules_missing: written.roster.missing,
    };
    put(
        &mut tally,
        "trust-policy",
        keys::policy(&survey.keys).as_bytes(),
    )?;
    put(&mut tally, "verify.sh", VERIFY_SH.as_bytes())?;
    put(&mut tally, "verify.py", VERIFY_PY.as_bytes())?;
    put(
        &mut tally,
        "README.txt",
        readme::text(order, &packed, &survey).as_bytes(),
    )?;
    let pack = describe(order, &packed, &survey);
    let text = serde_json::to_string_pretty(&pack)
        .map_err(|error| ExportError::write("pack.json", error.into()))?;
    put(&mut tally, "pack.json", format!("{text}\n").as_bytes())?;
    tally.finish()?;
    Ok(packed)
}

/// Says for programs what the pack is.
fn describe(order: &Order, packed: &Packed, survey: &Survey) -> Value {
    let keys = &survey.keys;
    let scope = match order.scope {
        Scope::Period(period) => {
            json!({"kind": "period", "from": period.from, "until": period.until})
        }
        Scope::Request(id) => json!({"kind": "request", "request": id}),
    };
    json!({
        "v": 1,
        "origin": packed.head.origin(),
        "vkey": keys.current().map(ToString::to_string),
        "keys": keys::spans(keys),
        "head": {"size": packed.head.size(), "root": packed.head.root().to_string()},
        "scope": scope,
        "range": {"begin": packed.range.start, "end": packed.range.end},
        "pruned_before": survey.pruning.before(),
        "made_at": order.made_at,
        "software": order.software,
        "entries": packed.entries,
        "requests": packed.requests,
        "statements": packed.statements,
        "documents_erased": packed.erased,
        "rules_missing": packed.rules_missing,
    })
}

struct Pack<'p> {
    order: &'p Order,
    survey: &'p Survey,
    /// The positions outside of the range that the pack needs.
    context: BTreeSet<u64>,
    counts: Counts,
    report: Report,
    requests: u64,
    erased: Vec<RequestId>,
}

struct Written {
    entries: u64,
    statements: u64,
    roster: Roster,
}

impl Pack<'_> {
    /// Follows the requests: population, documents, usage.
    fn requests(
        &mut self,
        source: &impl Source,
        key: &VerifierKey,
        tally: &mut Tally<'_>,
    ) -> Result<Usage, ExportError> {
        const NAME: &str = "population.csv";
        let mut table = begin(tally, NAME)?;
        table
            .names(&population::COLUMNS)
            .map_err(|cause| ExportError::write(NAME, cause))?;
        let mut usage = Usage::new(By::Data, self.order.period());
        let mut lives = Some(Lives::new());
        let end_of_range = self.survey.range.end;
        drop(each(source, key, |record| {
            let wrong = |problem| ExportError::Record {
                seq: record.seq,
                problem,
            };
            if record.seq >= end_of_range {
                return Ok(());
            }
            let Some(lives) = &mut lives else {
                return Ok(());
            };
            for life in lives.take(record).map_err(wrong)? {
                self.request(&life, source, tally, &mut table)?;
            }
            if self.is_about(record.request) {
                usage.take(record, lives).map_err(wrong)?;
            }
            Ok(())
        })?);
        for life in lives.take().map(Lives::finish).unwrap_or_default() {
            self.request(&life, source, tally, &mut table)?;
        }
        end(table, NAME)?;
        let mut file = tally
            .begin("usage.csv")
            .map_err(|cause| ExportError::write("usage.csv", cause))?;
        usage
            .write_csv(&mut file)
            .and_then(|()| file.close())
            .map_err(|cause| ExportError::write("usage.csv", cause))?;
        Ok(usage)
    }

    fn is_about(&self, request: Option<RequestId>) -> bool {
        match self.order.scope {
            Scope::Period(_) => true,
            Scope::Request(id) => request == Some(id),
        }
    }

    /// Writes one request, if it belongs to the population.
    fn request(
        &mut self,
        life: &Life,
        source: &impl Source,
        tally: &mut Tally<'_>,
        table: &mut Table<Box<dyn SinkFile>>,
    ) -> Result<(), ExportError> {
        let belongs = match self.order.scope {
            Scope::Period(_) => {
                let range = &self.survey.range;
                let erased = self.survey.erased.contains_key(&life.id);
                erased || life.entries.iter().any(|seq| range.contains(seq))
            }
            Scope::Request(id) => life.id == id,
        };
        if !belongs {
            return Ok(());
        }
        // Those in the range are there in any case, and may be many.
        let earlier = life
            .entries
            .iter()
            .filter(|seq| **seq < self.survey.range.start);
        self.context.extend(earlier);
        self.context.extend(self.survey.erased.get(&life.id));
        self.report.life(life);
        let document = match source.document(life.id)? {
            None => {
                self.erased.push(life.id);
                None
            }
            Some(bytes) => {
                let id = life.id;
                if Digest::of(&bytes).to_string() != life.digest {
                    return Err(ExportError::Document { id });
                }
                put(tally, &format!("documents/{id}.json"), &bytes)?;
                Some(Document::read(&bytes).map_err(|_| ExportError::Document { id })?)
            }
        };
        self.requests = self.requests.saturating_add(1);
        table
            .row(population::row(life, document.as_ref()))
            .map_err(|cause| ExportError::write("population.csv", cause))
    }

    /// Writes the page for people.
    fn page(
        &self,
        key: &VerifierKey,
        usage: &Usage,
        tally: &mut Tally<'_>,
    ) -> Result<(), ExportError> {
        const NAME: &str = "report.html";
        let about = About {
            head: self.survey.head.clone(),
            vkey: key.to_string(),
            period: self.order.period(),
            begin: self.survey.range.start,
            end: self.survey.range.end,
            made_at: self.order.made_at,
            software: self.order.software.clone(),
        };
        let mut write = || {
            let mut file = tally.begin(NAME)?;
            self.report.write(&about, usage, &mut file)?;
            file.close()
        };
        write().map_err(|cause| ExportError::write(NAME, cause))
    }

    /// Writes the entries, and what people signed in them.
    fn entries(
        &mut self,
        source: &impl Source,
        key: &VerifierKey,
        tally: &mut Tally<'_>,
    ) -> Result<Written, ExportError> {
        const NAME: &str = "entries.jsonl";
        let mut file = tally
            .begin(NAME)
            .map_err(|cause| ExportError::write(NAME, cause))?;
        let mut written = Written {
            entries: 0,
            statements: 0,
            roster: Roster::default(),
        };
        let range = &self.survey.range;
        // The neighbours show by their times that the period goes no further.
        let neighbours = range.start.saturating_sub(1)..range.end.saturating_add(1);
        drop(each(source, key, |record| {
            let bounds = !range.is_empty() || matches!(self.order.scope, Scope::Period(_));
            let wanted =
                (bounds && neighbours.contains(&record.seq)) || self.context.contains(&record.seq);
            if !wanted {
                return Ok(());
            }
            file.write_all(record.bytes)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(|cause| ExportError::write(NAME, cause))?;
            written.entries = written.entries.saturating_add(1);
            self.counts.take(record);
            let counted = match self.order.scope {
                Scope::Period(_) => range.contains(&record.seq),
                Scope::Request(id) => record.request == Some(id),
            };
            if counted {
                self.report.record(record);
            }
            if let Some(statement) = statements::of(record)? {
                statement.write(record, tally)?;
                written.statements = written.statements.saturating_add(1);
            }
            written.roster.take(record, source, tally)
        })?);
        file.close()
            .map_err(|cause| ExportError::write(NAME, cause))?;
        written.roster.finish(tally)?;
        Ok(written)
    }
}

fn begin(tally: &mut Tally<'_>, name: &str) -> Result<Table<Box<dyn SinkFile>>, ExportError> {
    let file = tally
        .begin(name)
        .map_err(|cause| ExportError::write(name, cause))?;
    Ok(Table::new(file))
}

fn rows(
    table: &mut Table<Box<dyn SinkFile>>,
    name: &str,
    columns: &[&str],
    write: impl FnOnce(&mut Table<Box<dyn SinkFile>>) -> std::io::Result<()>,
) -> Result<(), ExportError> {
    table
        .names(columns)
        .and_then(|()| write(table))
        .map_err(|cause| ExportError::write(name, cause))
}

fn end(table: Table<Box<dyn SinkFile>>, name: &str) -> Result<(), ExportError> {
    table
        .into_inner()
        .and_then(SinkFile::close)
        .map_err(|cause| ExportError::write(name, cause))
}

/// Says where in the log an entry is that is not as it should be.
fn wrong(record: &Record<'_>, field: &'static str) -> ExportError {
    ExportError::Record {
        seq: record.seq,
        problem: crate::record::RecordError::Body { field },
    }
}
