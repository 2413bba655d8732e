//! Who could sign, and which rules were in force: one file for each change, and a table of them.

use std::collections::{BTreeMap, BTreeSet};

use countersign_shared::digest::Digest;
use serde_json::Value;

use super::{begin, end, rows, wrong};
use crate::export::ExportError;
use crate::population::ascii;
use crate::record::Record;
use crate::source::Source;
use crate::tiles::put;

use super::tally::Tally;

/// The names of the columns of `roster.csv`.
const COLUMNS: [&str; 10] = [
    "seq", "time", "type", "rules", "previous", "person", "uid", "groups", "keys", "change",
];

/// A person of a roster: account, groups, keys.
type Person = (String, String, String);

/// The changes so far.
#[derive(Debug, Default)]
pub(super) struct Roster {
    people: BTreeMap<String, Person>,
    rows: Vec<[String; COLUMNS.len()]>,
    written: BTreeSet<Digest>,
    /// The rules whose files were not kept.
    pub(super) missing: Vec<Digest>,
}

impl Roster {
    /// Takes an entry; writes what it puts in force.
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        source: &impl Source,
        tally: &mut Tally<'_>,
    ) -> Result<(), ExportError> {
        let body = match record.entry_type.as_str() {
            "log.genesis" => record.value("/rules"),
            "rules.changed" => Some(&record.body),
            _ => return Ok(()),
        };
        let body = body.ok_or_else(|| wrong(record, "/rules"))?;
        let text = |name: &'static str| {
            let found = body.get(name).and_then(Value::as_str);
            found.ok_or_else(|| wrong(record, name))
        };
        let signers = text("allowed_signers")?;
        let name = format!("allowed_signers/{}", record.seq);
        put(tally, &name, signers.as_bytes())?;
        let people = people(body).ok_or_else(|| wrong(record, "members"))?;
        self.rows_of(record, text("rules")?, text("previous")?, &people);
        self.people = people;
        let rules: Digest = text("rules")?.parse().map_err(|_| wrong(record, "rules"))?;
        if !self.written.insert(rules) {
            return Ok(());
        }
        let files = source.rules(rules)?;
        if files.is_empty() {
            self.missing.push(rules);
            return Ok(());
        }
        if !files.iter().any(|file| Digest::of(&file.bytes) == rules) {
            return Err(ExportError::Rules { rules });
        }
        for file in files {
            put(
                tally,
                &format!("policies/{}/{}", rules.to_hex(), file.name),
                &file.bytes,
            )?;
        }
        Ok(())
    }

    fn rows_of(
        &mut self,
        record: &Record<'_>,
        rules: &str,
        previous: &str,
        people: &BTreeMap<String, Person>,
    ) {
        let names: BTreeSet<&String> = self.people.keys().chain(people.keys()).collect();
        let mut rows = Vec::new();
        for name in names {
            let (change, person) = match (self.people.get(name), people.get(name)) {
                (None, Some(now)) => ("added", now),
                (Some(was), Some(now)) if was != now => ("changed", now),
                (Some(_), Some(now)) => ("kept", now),
                (Some(was), None) => ("removed", was),
                (None, None) => continue,
            };
            let (uid, groups, keys) = person.clone();
            rows.push([
                record.seq.to_string(),
                record.time.to_string(),
                record.entry_type.clone(),
                ascii(rules),
                ascii(previous),
                ascii(name),
                uid,
                groups,
                keys,
                change.to_owned(),
            ]);
        }
        self.rows.append(&mut rows);
    }

    /// Writes the table.
    pub(super) fn finish(&mut self, tally: &mut Tally<'_>) -> Result<(), ExportError> {
        const NAME: &str = "roster.csv";
        let mut table = begin(tally, NAME)?;
        let mut all = std::mem::take(&mut self.rows).into_iter();
        rows(&mut table, NAME, &COLUMNS, |table| {
            all.try_for_each(|row| table.row(row))
        })?;
        end(table, NAME)
    }
}

/// Reads the people of a change of rules.
fn people(body: &Value) -> Option<BTreeMap<String, Person>> {
    let joined = |member: &Value, name: &str| {
        let words: Option<Vec<String>> = member
            .get(name)?
            .as_array()?
            .iter()
            .map(|word| word.as_str().map(ascii))
            .collect();
        Some(words?.join("; "))
    };
    let members = body.get("members")?.as_array()?.iter();
    members
        .map(|member| {
            let name = member.get("name")?.as_str()?.to_owned();
            let uid = member.get("uid")?.as_u64()?.to_string();
            Some((
                name,
                (uid, joined(member, "groups")?, joined(member, "keys")?),
            ))
        })
        .collect()
}
