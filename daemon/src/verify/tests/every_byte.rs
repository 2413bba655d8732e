//! Every byte of every column, flipped: each flip is found, and the finding names the place.
//!
//! All of them in a log of some 300 entries take an hour or so, with `COUNTERSIGN_EVERY_BYTE=1` in the
//! environment. Without it each row of a shorter log has one byte of each column flipped, here one
//! and there another.

use std::collections::BTreeMap;

use countersign_shared::id::RequestId;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params};

use super::made::{DATABASE, LONG};
use super::{Copy, Place, Report};

/// Columns of which no entry speaks, so that nobody else can say what stands in them. They find
/// askings that are joined and requests that were denied lately; they permit nothing, and whoever
/// asked compares the document of what was joined with what was asked for.
const UNBOUND: [(&str, &str); 3] = [
    ("request", "sameness"),
    ("request", "ask_key"),
    ("joined_asking", "request"),
];

/// How many rows are changed at once. What is wrong with one of the first entries is wrong with all
/// that rest on it, and a report ends somewhere: what it does not name is changed once more, alone.
const AT_ONCE: usize = 12;

/// One value, and where its row is.
struct Stored {
    key: Cell,
    value: Cell,
    length: usize,
    place: Expected,
}

/// Which places a finding may name.
pub(super) enum Expected {
    /// An entry, or a node of the tree that it completes.
    Entry(u64),
    Exactly(Place),
}

impl Expected {
    fn is_named_in(&self, report: &Report) -> bool {
        report.findings.iter().any(|finding| match self {
            Self::Entry(index) => {
                finding.place == Place::Entry(*index) || completes(*index, finding.place)
            }
            Self::Exactly(place) => finding.place == *place,
        })
    }
}

/// Tells whether a place is a node that the leaf at `index` completes.
fn completes(index: u64, place: Place) -> bool {
    let Place::Node { level, index: node } = place else {
        return false;
    };
    (node + 1) << level == index + 1
}

/// A table, the column that its rows are found by, and what its rows are about.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) about: fn(&Connection, &Cell) -> Expected,
}

fn entry(_: &Connection, key: &Cell) -> Expected {
    let Cell::Integer(index) = key else {
        panic!("{key:?} is no index");
    };
    Expected::Entry(u64::try_from(*index).unwrap())
}

/// Returns the first entry by which one of the rules took force whose digests are selected.
fn rules(conn: &Connection, digests: &str, key: &Cell) -> Expected {
    let sql = format!(
        "WITH found (digest) AS ({digests}),
         change (idx, rules) AS (
             SELECT idx, CAST(data AS TEXT) ->> CASE CAST(data AS TEXT) ->> '$.type'
                 WHEN 'log.genesis' THEN '$.body.rules.rules'
                 WHEN 'rules.changed' THEN '$.body.rules' END
             FROM audit_leaf)
         SELECT min(idx) FROM change, found WHERE rules = 'sha256:' || lower(hex(digest))"
    );
    let index: i64 = conn.query_row(&sql, [key], |row| row.get(0)).unwrap();
    Expected::Entry(u64::try_from(index).unwrap())
}

fn request(conn: &Connection, key: &Cell) -> Expected {
    let id: [u8; 16] = conn
        .query_row(
            "SELECT id FROM request WHERE received_index = ?1",
            [key],
            |row| row.get(0),
        )
        .unwrap();
    Expected::Exactly(Place::Request(RequestId::from_bytes(id)))
}

const TABLES: [Table; 8] = [
    Table {
        name: "audit_leaf",
        key: "idx",
        about: entry,
    },
    Table {
        name: "audit_head",
        key: "id",
        about: |_, _| Expected::Exactly(Place::Head),
    },
    Table {
        name: "request",
        key: "received_index",
        about: request,
    },
    Table {
        name: "document",
        key: "received_index",
        about: request,
    },
    Table {
        name: "rules_in_force",
        key: "id",
        about: |_, _| Expected::Exactly(Place::Database),
    },
    Table {
        name: "rules_blob",
        key: "digest",
        about: |conn, key| rules(conn, "SELECT ?1", key),
    },
    Table {
        name: "rules_text",
        key: "sha256",
        about: |conn, key| rules(conn, "SELECT digest FROM rules_file WHERE sha256 = ?1", key),
    },
    Table {
        name: "rules_file",
        key: OF_FILES,
        about: |conn, key| {
            let of = format!("SELECT digest FROM rules_file WHERE {OF_FILES} = ?1");
            rules(conn, &of, key)
        },
    },
];

/// What names one row of `rules_file`: the two columns of its key.
const OF_FILES: &str = "hex(digest) || name";

/// Columns that are keys, or parts of one, beside those of [`TABLES`].
const MORE_KEYS: [(&str, &str); 3] = [
    ("debt", "request"),
    ("rules_file", "digest"),
    ("rules_file", "name"),
];

/// Tables that are empty here: rows in them are looked at by the tests of the rules that were kept, of
/// keys that changed, and of what witnesses wrote.
const EMPTY: [&str; 4] = [
    "rules_adopted",
    "log_rotation",
    "cosigned_head",
    "cosignature",
];

fn stored(conn: &Connection, table: &Table, column: &str) -> Vec<Stored> {
    let sql = format!(
        "SELECT {}, {column} FROM {} ORDER BY 1",
        table.key, table.name
    );
    let mut query = conn.prepare(&sql).unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(|row| {
        let (key, value): (Cell, Cell) = row.unwrap();
        let length = match &value {
            Cell::Null | Cell::Real(_) => 0,
            Cell::Integer(_) => 8,
            Cell::Text(text) => text.len(),
            Cell::Blob(bytes) => bytes.len(),
        };
        let place = (table.about)(conn, &key);
        Stored {
            key,
            value,
            length,
            place,
        }
    })
    .collect()
}

/// Flips the lowest bit of one byte. A text stays a text: those of the daemon are ASCII.
fn flipped(value: &Cell, at: usize) -> Cell {
    match value {
        Cell::Null | Cell::Real(_) => panic!("nothing to flip"),
        Cell::Integer(number) => {
            let mut bytes = number.to_be_bytes();
            bytes[at] ^= 1;
            Cell::Integer(i64::from_be_bytes(bytes))
        }
        Cell::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            Cell::Text(String::from_utf8(bytes).unwrap())
        }
        Cell::Blob(bytes) => {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            Cell::Blob(bytes)
        }
    }
}

/// Flips bytes of one column, and expects each flip to be found.
pub(super) fn flip(copy: &Copy, table: &Table, column: &str, is_all: bool) {
    let all = stored(&copy.conn, table, column);
    let put = |row: &Stored, value: &Cell| {
        let sql = format!(
            "UPDATE {} SET {column} = ?1 WHERE {} = ?2",
            table.name, table.key
        );
        assert_eq!(copy.conn.execute(&sql, params![value, row.key]).unwrap(), 1);
    };
    // By which bytes are flipped together.
    let mut rounds: BTreeMap<usize, Vec<&Stored>> = BTreeMap::new();
    for (number, row) in all.iter().enumerate().filter(|(_, row)| row.length > 0) {
        if is_all {
            for at in 0..row.length {
                rounds.entry(at).or_default().push(row);
            }
        } else {
            rounds.entry(0).or_default().push(row);
            // Another place in each row; the last byte of the last one.
            let last = number + 1 == all.len();
            let at = if last {
                row.length - 1
            } else {
                (number * 7919) % row.length
            };
            if at > 0 {
                rounds.entry(at).or_default().push(row);
            }
        }
    }
    assert!(!rounds.is_empty(), "{}.{column} holds nothing", table.name);
    let pending = rounds
        .into_iter()
        .flat_map(|(at, rows)| rows.into_iter().map(move |row| (at, row)));
    // One byte of a row at a time: the next would take the place of the one before.
    let mut groups: Vec<Vec<(usize, &Stored)>> = Vec::new();
    for (at, row) in pending {
        match groups.last_mut() {
            Some(group)
                if group.len() < AT_ONCE
                    && !group.iter().any(|(_, other)| other.key == row.key) =>
            {
                group.push((at, row));
            }
            Some(_) | None => groups.push(vec![(at, row)]),
        }
    }
    for group in &groups {
        for (at, row) in group {
            put(row, &flipped(&row.value, *at));
        }
        let together = copy.report();
        for (_, row) in group {
            put(row, &row.value);
        }
        let unnamed = group.iter();
        for (at, row) in unnamed.filter(|(_, row)| !row.place.is_named_in(&together)) {
            put(row, &flipped(&row.value, *at));
            let report = copy.report();
            assert!(
                row.place.is_named_in(&report),
                "byte {at} of {}.{column} of row {:?} was flipped unseen: {report}",
                table.name,
                row.key
            );
            put(row, &row.value);
        }
    }
}

pub(super) fn columns(conn: &Connection, table: &str) -> Vec<String> {
    let mut query = conn
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .unwrap();
    let names = query.query_map([table], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

/// Lets rows refer to nothing, as foreign hands would.
pub(super) fn free(copy: &Copy) {
    copy.conn
        .pragma_update(None, "foreign_keys", "OFF")
        .unwrap();
}

fn is_all() -> bool {
    std::env::var_os("COUNTERSIGN_EVERY_BYTE").is_some()
}

#[test]
fn every_flipped_byte_of_every_column_is_found_at_its_place() {
    let is_all = is_all();
    let copy = Copy::of(if is_all { &LONG } else { &DATABASE });
    free(&copy);
    if is_all {
        assert!(copy.report().entries >= 300, "{}", copy.report());
    }
    for table in &TABLES {
        for column in columns(&copy.conn, table.name) {
            let named = (table.name, column.as_str());
            if column == table.key || UNBOUND.contains(&named) || MORE_KEYS.contains(&named) {
                continue;
            }
            flip(&copy, table, &column, is_all);
        }
    }
    assert!(copy.report().is_good());
}

#[test]
fn every_flipped_byte_of_a_key_is_found() {
    let copy = Copy::of(&DATABASE);
    free(&copy);
    let step = if is_all() { 1 } else { 5 };
    let keys = TABLES.iter().map(|table| (table.name, table.key));
    let keys = keys.filter(|(_, key)| *key != OF_FILES);
    for (table, key) in keys.chain(MORE_KEYS) {
        let mut query = copy
            .conn
            .prepare(&format!("SELECT {key} FROM {table}"))
            .unwrap();
        let found = query.query_map([], |row| row.get(0)).unwrap();
        let found: Vec<Cell> = found.collect::<Result<_, _>>().unwrap();
        drop(query);
        assert!(!found.is_empty(), "{table} holds nothing");
        for (number, value) in found.iter().enumerate().step_by(step) {
            let length = match value {
                Cell::Blob(bytes) => bytes.len(),
                Cell::Text(text) => text.len(),
                Cell::Null | Cell::Integer(_) | Cell::Real(_) => 8,
            };
            // The lowest byte of a small number, and the highest.
            for at in [number % length, length - 1, 0] {
                let other = flipped(value, at);
                let put = |from: &Cell, to: &Cell| {
                    let sql = format!("UPDATE {table} SET {key} = ?1 WHERE {key} = ?2");
                    copy.conn.execute(&sql, params![to, from])
                };
                // Where the other one is there already, or may not be, the database refuses it.
                if put(value, &other).is_err() {
                    continue;
                }
                let report = copy.report();
                assert!(
                    !report.is_good(),
                    "{table}.{key} {value:?} became {other:?} unseen"
                );
                put(&other, value).unwrap();
            }
        }
    }
    assert!(copy.report().is_good());
}

#[test]
fn no_column_is_left_out_by_forgetting_it() {
    let copy = Copy::of(&DATABASE);
    let mut query = copy
        .conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let names = query.query_map([], |row| row.get(0)).unwrap();
    let tables: Vec<String> = names.collect::<Result<_, _>>().unwrap();
    for table in tables {
        let is_known = TABLES.iter().any(|known| known.name == table)
            || MORE_KEYS.iter().any(|(known, _)| *known == table)
            || EMPTY.contains(&table.as_str())
            || UNBOUND.iter().any(|(known, _)| *known == table);
        assert!(is_known, "`{table}` is not flipped");
    }
}
