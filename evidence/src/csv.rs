//! Entries as a table for spreadsheets (RFC 4180), a header first.
//!
//! A spreadsheet runs what looks like a formula, and agents write into these cells. So text is
//! written in the Exact encoding, and a cell that begins with `=`, `+`, `-`, `@`, a quote mark, or a
//! blank before one of these gets an apostrophe in front ([`guarded`]). Whoever takes off one
//! leading apostrophe has the cell back.

use std::io::{self, Write};

use crate::export::Format;
use crate::record::{Record, shown};

/// The names of the columns.
pub const COLUMNS: [&str; 21] = [
    "seq",
    "time",
    "type",
    "actor_kind",
    "actor",
    "actor_uid",
    "request",
    "separation",
    "boot",
    "mono_ms",
    "clock_sync",
    "digest",
    "person",
    "verdict",
    "assurance",
    "self_attested",
    "via",
    "outcome",
    "reason",
    "rules",
    "body",
];

/// Puts an apostrophe before what a spreadsheet would run, and before an apostrophe.
pub fn guarded(cell: String) -> String {
    let first = cell.trim_start().chars().next();
    let runs = matches!(
        first,
        Some('=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
    );
    // A tab or a line break that comes first is thrown away by some, and what follows then runs.
    let odd = cell.starts_with(['\'', '\t', '\r', '\n']);
    if runs || odd {
        format!("'{cell}")
    } else {
        cell
    }
}

/// Takes off what [`guarded`] put before a cell.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// A table that is being written.
pub(crate) struct Table<W: Write>(csv::Writer<W>);

impl<W: Write> Table<W> {
    pub(crate) fn new(out: W) -> Self {
        Self(
            csv::WriterBuilder::new()
                .terminator(csv::Terminator::CRLF)
                .from_writer(out),
        )
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> io::Result<()> {
        self.0
            .write_record(cells.into_iter().map(guarded))
            .map_err(io::Error::from)
    }

    pub(crate) fn names(&mut self, names: &[&str]) -> io::Result<()> {
        self.row(names.iter().map(|name| (*name).to_owned()))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Ends the table, and returns what it was written to.
    pub(crate) fn into_inner(self) -> io::Result<W> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Writes entries as rows.
pub struct Csv<W: Write> {
    table: Table<W>,
    begun: bool,
}

impl<W: Write> std::fmt::Debug for Csv<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv").finish_non_exhaustive()
    }
}

impl<W: Write> Csv<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            table: Table::new(out),
            begun: false,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        self.table.names(&COLUMNS)
    }
}

impl<W: Write> Format for Csv<W> {
    fn entry(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.begin()?;
        let uid = record.actor.uid.map(|uid| uid.to_string());
        let request = record.request.map(|id| id.to_string());
        let attested = record.value("/self_attested").map(ToString::to_string);
        self.table.row([
            record.seq.to_string(),
            record.time.to_string(),
            shown(&record.entry_type),
            word(&record.actor.kind)?,
            shown(&record.actor.id),
            uid.unwrap_or_default(),
            request.unwrap_or_default(),
            word(&record.separation)?,
            word(&record.clock.boot)?,
            record.clock.mono_ms.to_string(),
            word(&record.clock.sync)?,
            record.shown("/digest"),
            record.person().map(shown).unwrap_or_default(),
            record.shown("/verdict"),
            record.shown("/assurance"),
            attested.unwrap_or_default(),
            record.shown("/via"),
            record.run_outcome().map(shown).unwrap_or_default(),
            record.reason().map(shown).unwrap_or_default(),
            record.shown("/rules"),
            shown(&record.body.to_string()),
        ])
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin()?;
        self.table.flush()
    }
}

/// Returns the word that entries have for a value.
pub(crate) fn word(value: &impl serde::Serialize) -> io::Result<String> {
    let value = serde_json::to_value(value)?;
    Ok(value
        .as_str()
        .map_or_else(|| shown(&value.to_string()), shown))
}

#[cfg(test)]
mod tests;
