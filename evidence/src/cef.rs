//! Entries in the Common Event Format, version 0, one to a line.
//!
//! `CEF:0|Countersign|countersignd|1|<type>|<what it says>|<severity>|<extension>`. Backslash and
//! pipe are escaped in the header, backslash and `=` in the extension; text that somebody else
//! chose is in the Exact encoding before that, so no line feed or control character is left that
//! could end a line or begin a field.

use std::io::{self, Write};

use countersign_shared::log::tree::leaf_hash;

use crate::csv::word;
use crate::export::Format;
use crate::line::Told;
use crate::meaning::{self, Meaning};
use crate::record::{Record, shown};

/// The version of the exported events, as the header has it.
const VERSION: &str = "1";

/// Writes entries as events.
#[derive(Debug)]
pub struct Cef<W> {
    out: W,
}

impl<W: Write> Cef<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Format for Cef<W> {
    fn entry(&mut self, record: &Record<'_>) -> io::Result<()> {
        writeln!(self.out, "{}", line(record)?)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the line that an entry is.
pub(crate) fn line(record: &Record<'_>) -> io::Result<String> {
    let meaning = meaning::of(record);
    Ok(event(
        [&shown(&record.entry_type), meaning.name, severity(meaning)],
        extension(record, meaning)?,
    ))
}

/// Returns the line that a head is.
pub(crate) fn head(told: &Told<'_>) -> String {
    let text = |caption: &str| caption.to_owned();
    let fields = vec![
        ("rt", told.at.as_millis().to_string()),
        ("cs2Label", text("log")),
        ("cs2", shown(told.origin)),
        ("cn1Label", text("size")),
        ("cn1", told.head.size.to_string()),
        ("cs6Label", text("root")),
        ("cs6", told.head.root.to_string()),
        ("msg", text(told.note)),
    ];
    event(["head", "head of the log", "2"], fields)
}

/// Puts a line together: what happened, in words, how grave it is, and the fields that are not empty.
fn event(header: [&str; 3], extension: Vec<(&'static str, String)>) -> String {
    let mut line = String::from("CEF:0");
    let source = ["Countersign", "countersignd", VERSION];
    for field in source.into_iter().chain(header) {
        line.push('|');
        line.push_str(&escaped(field, '|'));
    }
    line.push('|');
    let mut first = true;
    for (key, value) in extension {
        if value.is_empty() {
            continue;
        }
        if !first {
            line.push(' ');
        }
        first = false;
        line.push_str(key);
        line.push('=');
        line.push_str(&escaped(&value, '='));
    }
    line
}

/// The severities of the Common Event Format, 0 to 10.
fn severity(meaning: Meaning) -> &'static str {
    match meaning.severity.0 {
        0 | 1 => "2",
        2 => "4",
        3 => "6",
        4 => "8",
        _ => "10",
    }
}

fn extension(record: &Record<'_>, meaning: Meaning) -> io::Result<Vec<(&'static str, String)>> {
    let text = |caption: &str| caption.to_owned();
    let mut fields = vec![
        ("rt", record.time.as_millis().to_string()),
        ("externalId", record.seq.to_string()),
        ("cat", word(&record.actor.kind)?),
        ("suser", shown(&record.actor.id)),
        (
            "suid",
            record
                .actor
                .uid
                .map(|uid| uid.to_string())
                .unwrap_or_default(),
        ),
        ("act", text(meaning.disposition.1)),
        ("outcome", text(meaning.status.1)),
        ("duser", record.person().map(shown).unwrap_or_default()),
        ("reason", record.reason().map(shown).unwrap_or_default()),
    ];
    let custom = [
        (
            "cs1Label",
            "cs1",
            "request",
            record.request.map(|id| id.to_string()),
        ),
        ("cs2Label", "cs2", "log", Some(shown(&record.log))),
        ("cs3Label", "cs3", "digest", Some(record.shown("/digest"))),
        (
            "cs4Label",
            "cs4",
            "assurance",
            Some(record.shown("/assurance")),
        ),
        ("cs5Label", "cs5", "via", Some(record.shown("/via"))),
        (
            "cs6Label",
            "cs6",
            "leaf",
            Some(leaf_hash(record.bytes).to_string()),
        ),
    ];
    for (label, key, name, value) in custom {
        let value = value.unwrap_or_default();
        if !value.is_empty() {
            fields.push((label, text(name)));
            fields.push((key, value));
        }
    }
    Ok(fields)
}

/// Escapes backslashes, the mark that divides, and what would end the line.
fn escaped(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c == mark || c == '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
