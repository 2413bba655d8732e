//! Every change of a stored log is found, and the finding names its place. The hardest cases are
//! those of a thief of the log's key, who can rebuild tree, head and rows, and cannot sign for people.

use std::path::PathBuf;

use countersign_shared::json;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::Entry;
use countersign_shared::log::tree::leaf_hash;
use rusqlite::{Connection, params};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use made::{ANA, BO, DATABASE, ORIGIN, is_decision, log_key, still_serving};

mod cosigned;
mod every_byte;
pub(crate) mod made;
mod ruling;
mod stolen_key;

fn trust() -> Trust {
    Trust {
        origin: ORIGIN.to_owned(),
        vkey: log_key().verifier().clone(),
        heads: Vec::new(),
        policy: None,
        archives: Vec::new(),
        mark: None,
    }
}

/// A copy of the made database that can be tampered with.
struct Copy {
    _dir: TempDir,
    path: PathBuf,
    conn: Connection,
}

impl Copy {
    fn new() -> Self {
        Self::of(&DATABASE)
    }

    fn of(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        std::fs::write(&path, bytes).unwrap();
        let conn = Connection::open(&path).unwrap();
        Self {
            _dir: dir,
            path,
            conn,
        }
    }

    fn execute(&self, sql: &str) -> &Self {
        assert!(
            self.conn.execute(sql, []).unwrap() > 0,
            "{sql} changed nothing"
        );
        self
    }

    fn report(&self) -> Report {
        verify(&self.path, &trust(), &mut |_, _| {}).unwrap()
    }

    fn findings(&self) -> Vec<String> {
        self.report()
            .findings
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Expects a finding that begins and ends in a way.
    #[track_caller]
    fn expect(&self, place: &str, problem: &str) {
        let found = self.findings();
        assert!(
            found
                .iter()
                .any(|one| one.starts_with(place) && one.contains(problem)),
            "no `{place}…{problem}` in {found:#?}"
        );
    }

    fn entries(&self) -> Vec<Vec<u8>> {
        let mut all = self
            .conn
            .prepare("SELECT data FROM audit_leaf ORDER BY idx")
            .unwrap();
        let rows = all.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn position(&self, skip: usize, is: impl Fn(&Entry) -> bool) -> usize {
        let entries = self.entries();
        let found = entries
            .iter()
            .enumerate()
            .filter(|(_, bytes)| is(&Entry::read(bytes).unwrap()));
        found.map(|(at, _)| at).nth(skip).unwrap()
    }

    /// Writes other entries, and everything that follows from them, with the log's own key.
    fn resign(&self, entries: &[Vec<u8>]) {
        self.conn.execute_batch("DELETE FROM audit_leaf").unwrap();
        let mut edge = Frontier::new();
        for (at, data) in (0i64..).zip(entries) {
            let hash = leaf_hash(data);
            let entry = Entry::read(data).ok();
            let request = entry
                .and_then(|entry| entry.request)
                .map(|id| *id.as_bytes());
            let nodes: Vec<u8> = edge
                .push(hash)
                .unwrap()
                .iter()
                .filter(|node| node.level > 0)
                .flat_map(|node| *node.hash.as_bytes())
                .collect();
            self.conn
                .execute(
                    "INSERT INTO audit_leaf (idx, data, leaf_hash, nodes, request)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![at, data, hash.as_bytes(), nodes, request],
                )
                .unwrap();
        }
        let note = Checkpoint::new(ORIGIN, edge.head())
            .unwrap()
            .sign(&log_key());
        let size = i64::try_from(edge.size()).unwrap();
        self.conn
            .execute(
                "UPDATE audit_head SET size = ?1, frontier = ?2, note = ?3",
                params![size, edge.to_bytes(), note],
            )
            .unwrap();
    }

    /// Changes one entry's JSON and re-signs the log.
    fn edit(&self, at: usize, edit: impl FnOnce(&mut Value)) {
        let mut entries = self.entries();
        let mut value = serde_json::from_slice(&entries[at]).unwrap();
        edit(&mut value);
        entries[at] = json::canonical(&value).unwrap();
        self.resign(&entries);
    }
}

#[test]
fn what_the_engine_wrote_has_no_findings() {
    let copy = Copy::new();
    let report = copy.report();
    assert_eq!(copy.findings(), Vec::<String>::new());
    assert!(report.is_good());
    assert!(report.entries >= 60, "{report}");
    assert_eq!(
        report.people,
        [ANA.name.to_owned(), BO.name.to_owned()].into()
    );
    assert_eq!(report.decisions, 13);
    assert!(report.witnessed > 0 && report.tail() < report.entries);
    let json = report.to_json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["entries"], report.entries);
}

#[test]
fn a_log_can_be_checked_while_the_daemon_serves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let serving = still_serving(&path);
    let report = verify(&path, &trust(), &mut |_, _| {}).unwrap();
    assert!(report.is_good(), "{report}");
    assert_eq!(report.decisions, 1);
    drop(serving);
    let later = verify(&path, &trust(), &mut |_, _| {}).unwrap();
    assert!(later.is_good() && later.entries > report.entries, "{later}");
}

/// What foreign hands did to a column, and the finding's place and a part of its words.
const TAMPERED: &[(&str, &str, &str)] = &[
    (
        "UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE idx = 5",
        "entry 5: ",
        "hash",
    ),
    (
        "UPDATE audit_leaf SET request = zeroblob(16) WHERE idx = 2",
        "entry 2: ",
        "another request",
    ),
    (
        "UPDATE audit_leaf SET request = NULL WHERE idx = 2",
        "entry 2: ",
        "another request",
    ),
    (
        "UPDATE audit_leaf SET nodes = CAST(zeroblob(32) || substr(nodes, 33) AS BLOB) WHERE idx = 7",
        "node 3 of level 1",
        "",
    ),
    (
        "UPDATE audit_leaf SET nodes = substr(nodes, 1, 32) WHERE idx = 7",
        "entry 7: ",
        "completes 3 nodes of the tree, and has 1",
    ),
    (
        "UPDATE audit_leaf SET nodes = zeroblob(32) WHERE idx = 6",
        "entry 6: ",
        "completes 0 nodes of the tree, and has 1",
    ),
    (
        "UPDATE audit_head SET size = size - 1",
        "head: ",
        "entries, and there are",
    ),
    (
        "UPDATE audit_head SET frontier = zeroblob(8)",
        "head: ",
        "edge",
    ),
    (
        "UPDATE audit_head SET note = replace(note, 'countersign/test', 'countersign/tesu')",
        "head: ",
        "",
    ),
    ("DELETE FROM audit_head", "head: ", "there is none"),
    (
        "UPDATE rules_in_force SET digest = zeroblob(32)",
        "database: ",
        "rules",
    ),
    (
        "UPDATE request SET state = 'approved' WHERE id = x'03030303030303030303030303030303'",
        "request req_",
        "is revoked by the log, and its row says `approved`",
    ),
    (
        "UPDATE request SET open = 1 - open",
        "request req_",
        "open = ",
    ),
    (
        "UPDATE request SET version = version + 1",
        "request req_",
        "version",
    ),
    (
        "UPDATE request SET machine = '{}'",
        "request req_",
        "cannot be read",
    ),
    (
        "UPDATE request SET machine = replace(machine, '\"revoked\"', '\"approved\"') WHERE state = 'revoked'",
        "request req_",
        "differs from the log in: state",
    ),
    (
        "UPDATE request SET machine = replace(machine, 'looked at it', 'looked at ix') WHERE state = 'denied'",
        "request req_",
        "differs from the log in: ",
    ),
    (
        "UPDATE document SET bytes = CAST(replace(bytes, 'DELETE', 'SELECT') AS BLOB)",
        "request req_",
        "its document has the digest",
    ),
    (
        "UPDATE request SET received_index = received_index + 1000000",
        "request req_",
        "`received_index`",
    ),
    (
        "UPDATE request SET received_ms = 0",
        "request req_",
        "`received_ms`",
    ),
    (
        "UPDATE request SET changed_ms = changed_ms + 1",
        "request req_",
        "changed last",
    ),
    ("UPDATE request SET uid = 0", "request req_", "`uid`"),
    (
        "UPDATE request SET principal = 'uid:0 ' || hex(id)",
        "request req_",
        "`principal`",
    ),
    (
        "UPDATE request SET held = 1 - held",
        "request req_",
        "`held`",
    ),
    (
        "UPDATE request SET sameness = x'00'",
        "request req_",
        "`sameness`",
    ),
    (
        "DELETE FROM document WHERE received_index < 10",
        "request req_",
        "document",
    ),
    (
        "INSERT INTO document VALUES (1000000, x'7b7d')",
        "database: ",
        "1 stored documents belong to no request",
    ),
    (
        "UPDATE request SET id = zeroblob(16) WHERE state = 'succeeded' AND received_index < 10",
        "request req_",
        "has no row",
    ),
    (
        "DELETE FROM request WHERE state = 'denied'",
        "request req_",
        "has no row",
    ),
];

#[test]
fn a_change_of_any_other_column_is_found() {
    for (sql, place, problem) in TAMPERED {
        Copy::new().execute(sql).expect(place, problem);
    }
}

#[test]
fn rows_that_are_deleted_swapped_inserted_or_cut_off_are_found() {
    let copy = Copy::new();
    let count = i64::try_from(copy.entries().len()).unwrap();
    let rows = "idx, data, leaf_hash, nodes, request";
    copy.conn
        .execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM audit_leaf")
        .unwrap();
    let restore = || {
        let again = "DELETE FROM audit_leaf; INSERT INTO audit_leaf SELECT * FROM temp.kept";
        copy.conn.execute_batch(again).unwrap();
    };
    // The first, the last, and some between them.
    for at in (0..count).step_by(9).chain([count - 1]) {
        let next = at + 1;
        copy.execute(&format!("DELETE FROM audit_leaf WHERE idx = {at}"));
        if next == count {
            copy.expect("head: ", "the log's key signed");
        } else {
            copy.expect(
                &format!("entry {at}: "),
                &format!("is missing; {next} comes next"),
            );
        }
        restore();

        copy.execute(&format!("DELETE FROM audit_leaf WHERE idx >= {at}"));
        copy.expect("head: ", &format!("signed {count} entries, here are {at}"));
        restore();

        // A copy of another row takes the place, and all behind it move on.
        copy.execute(&format!(
            "UPDATE audit_leaf SET idx = -idx WHERE idx >= {at} AND idx > 0"
        ));
        copy.conn
            .execute_batch("UPDATE audit_leaf SET idx = 1 - idx WHERE idx < 0")
            .unwrap();
        if at > 0 {
            copy.execute(&format!(
                "INSERT INTO audit_leaf ({rows}) SELECT {at}, data, leaf_hash, nodes, request
                 FROM audit_leaf WHERE idx = 0"
            ));
            copy.expect(&format!("entry {at}: "), "says that it is entry 0");
        }
        restore();

        if next < count {
            for (from, to) in [(at, -1), (next, at), (-1, next)] {
                copy.execute(&format!(
                    "UPDATE audit_leaf SET idx = {to} WHERE idx = {from}"
                ));
            }
            copy.expect(
                &format!("entry {at}: "),
                &format!("says that it is entry {next}"),
            );
            restore();
        }
    }
    assert!(copy.report().is_good());
}

#[test]
fn a_decision_changed_with_the_stolen_log_key_is_found() {
    let copy = Copy::new();
    let at = copy.position(0, is_decision);
    copy.edit(at, |entry| entry["body"]["reason"] = "never said".into());
    copy.expect(
        &format!("entry {at}: "),
        "its `reason` is not what the signed statement says",
    );

    let copy = Copy::new();
    let at = copy.position(1, is_decision);
    copy.edit(at, |entry| entry["body"]["verdict"] = "approve".into());
    copy.expect(&format!("entry {at}: "), "its `verdict`");

    let copy = Copy::new();
    copy.edit(at, |entry| {
        let text = entry["body"]["statement_base64"].as_str().unwrap();
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).unwrap();
        let changed = String::from_utf8(bytes)
            .unwrap()
            .replace("looked at it", "looked at ix");
        entry["body"]["statement_base64"] = data_encoding::BASE64.encode(changed.as_bytes()).into();
        entry["body"]["reason"] = "looked at ix".into();
    });
    copy.expect(&format!("entry {at}: "), "its signature does not count");
}

#[test]
fn signatures_swapped_between_two_decisions_are_found() {
    let copy = Copy::new();
    let (first, second) = (copy.position(0, is_decision), copy.position(1, is_decision));
    let mut entries = copy.entries();
    let mut one: Value = serde_json::from_slice(&entries[first]).unwrap();
    let mut other: Value = serde_json::from_slice(&entries[second]).unwrap();
    std::mem::swap(&mut one["body"]["sshsig"], &mut other["body"]["sshsig"]);
    entries[first] = json::canonical(&one).unwrap();
    entries[second] = json::canonical(&other).unwrap();
    copy.resign(&entries);
    copy.expect(&format!("entry {first}: "), "its signature does not count");
    copy.expect(&format!("entry {second}: "), "its signature does not count");
}

#[test]
fn history_before_a_signature_cannot_be_rewritten_with_the_stolen_log_key() {
    let copy = Copy::new();
    let opened = copy.position(0, |entry| entry.body.entry_type() == "review.opened");
    copy.edit(opened, |entry| entry["separation"] = "none".into());
    let decided = copy.position(0, is_decision);
    copy.expect(&format!("entry {decided}: "), "a head of size");
}

#[test]
fn an_approval_made_up_with_the_stolen_log_key_is_found() {
    let copy = Copy::new();
    let decided = copy.position(0, is_decision);
    let mut entries = copy.entries();
    entries.remove(decided);
    copy.resign(&renumbered(&entries));
    copy.expect(&format!("entry {decided}: "), "takes no `request.approved`");
}

#[test]
fn data_told_otherwise_or_not_at_all_with_the_stolen_log_key_is_found() {
    let is_told = |entry: &Entry| entry.body.entry_type() == "data.accessed";
    // Nothing that a person signed about the same request comes later.
    let copy = Copy::new();
    let at = copy.position(2, is_told);
    copy.edit(at, |entry| {
        entry["body"]["data"][0]["name"] = "lines".into();
    });
    copy.expect("request req_", "the `action.data` of its document");

    let copy = Copy::new();
    copy.edit(at, |entry| entry["body"]["agent"] = Value::Null);
    copy.expect("request req_", "the `action.data` of its document");

    let copy = Copy::new();
    let mut entries = copy.entries();
    entries.remove(at);
    copy.resign(&renumbered(&entries));
    copy.expect("request req_", "the `action.data` of its document");

    let copy = Copy::new();
    let mut entries = copy.entries();
    entries.swap(at - 1, at);
    copy.resign(&renumbered(&entries));
    copy.expect(
        &format!("entry {}: ", at - 1),
        "does not stand right behind the entry that says the action ran",
    );

    let copy = Copy::new();
    copy.edit(at, |entry| entry["actor"]["id"] = "uid:1".into());
    copy.expect(
        &format!("entry {at}: "),
        "cannot be brought about by `uid:1`",
    );
}

/// Gives each entry the position it stands at.
fn renumbered(entries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let renumber = |(at, bytes): (usize, &Vec<u8>)| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        value["seq"] = at.into();
        json::canonical(&value).unwrap()
    };
    entries.iter().enumerate().map(renumber).collect()
}

#[test]
fn an_event_that_is_owed_and_missing_is_found() {
    let copy = Copy::new();
    let mut entries = copy.entries();
    let decided = copy.position(12, is_decision);
    entries.truncate(decided + 1);
    copy.resign(&entries);
    copy.expect(
        &format!("entry {decided}: "),
        "the log ends, and `request.denied`",
    );
}

#[test]
fn a_log_cut_back_with_the_stolen_log_key_is_found_by_its_rows_and_by_a_kept_head() {
    let copy = Copy::new();
    let kept = stolen_key::kept(copy.report().head.unwrap());
    let mut entries = copy.entries();
    let last = copy.position(0, |entry| entry.body.entry_type() == "request.withdrawn");
    entries.truncate(last + 1);
    copy.resign(&entries);
    copy.expect("request req_", "has a row, and no entry in the log");
    let trust = Trust {
        heads: vec![kept],
        ..trust()
    };
    let report = verify(&copy.path, &trust, &mut |_, _| {}).unwrap();
    assert!(
        report.to_string().contains("was kept, here are fewer"),
        "{report}"
    );
}

#[test]
fn a_kept_head_covers_the_tail() {
    let copy = Copy::new();
    let report = copy.report();
    assert!(
        report.to_string().contains("unwitnessed tail: entries"),
        "{report}"
    );
    let trust = Trust {
        heads: vec![stolen_key::kept(report.head.unwrap())],
        ..trust()
    };
    let report = verify(&copy.path, &trust, &mut |_, _| {}).unwrap();
    assert!(report.is_good());
    assert!(
        report.to_string().ends_with("unwitnessed tail: none"),
        "{report}"
    );
}

#[test]
fn another_key_or_origin_is_found() {
    let copy = Copy::new();
    let vkey = countersign_shared::log::note::SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap();
    let other = Trust {
        vkey: vkey.verifier().clone(),
        ..trust()
    };
    let report = verify(&copy.path, &other, &mut |_, _| {}).unwrap();
    let places: Vec<Place> = report
        .findings
        .iter()
        .map(|finding| finding.place)
        .collect();
    assert_eq!(places, [Place::Entry(0)], "{report}");
    let other = Trust {
        origin: "countersign/other".to_owned(),
        ..trust()
    };
    assert!(
        !verify(&copy.path, &other, &mut |_, _| {})
            .unwrap()
            .is_good()
    );
}

#[test]
fn what_is_no_database_is_told_from_what_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    assert!(verify(&path, &trust(), &mut |_, _| {}).is_err());
    let mut bytes = DATABASE.clone();
    let (from, to) = (bytes.len() / 2, bytes.len() / 2 + 9000);
    bytes[from..to].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let report = verify(&path, &trust(), &mut |_, _| {}).unwrap();
    assert_eq!(report.findings[0].place, Place::Database, "{report}");
    std::fs::write(&path, b"not a database, but long enough to be looked at").unwrap();
    let report = verify(&path, &trust(), &mut |_, _| {}).unwrap();
    assert_eq!(report.findings[0].place, Place::Database, "{report}");
}
