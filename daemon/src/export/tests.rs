use countersign_evidence::export::{Filter, Kind, write};
use countersign_evidence::source::Period;
use countersign_evidence::usage::{By, Usage};
use rusqlite::Connection;

use super::*;
use crate::verify::tests::made::{DATABASE, log_key};

fn database() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    std::fs::write(&path, &*DATABASE).unwrap();
    (directory, path)
}

fn exported(snapshot: &Snapshot) -> Result<Vec<u8>, ExportError> {
    let mut out = Vec::new();
    let key = log_key();
    write(
        snapshot,
        key.verifier(),
        &Filter::default(),
        Kind::Jsonl,
        &mut out,
    )?;
    Ok(out)
}

#[test]
fn what_the_engine_wrote_is_exported_under_its_head() {
    let (_directory, path) = database();
    let snapshot = Snapshot::open(&path).unwrap();
    let lines = exported(&snapshot).unwrap();
    let count: u32 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM audit_leaf", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        lines.split(|byte| *byte == b'\n').count(),
        count as usize + 1
    );
    let key = log_key();
    let usage = Usage::of(&snapshot, key.verifier(), By::Data, Period::default()).unwrap();
    let (name, uses) = usage.rows().next().unwrap();
    // Two runs that ended, and two of which nobody could say how.
    assert_eq!((name, uses.count, uses.stated), ("orders", 4, 4));
    assert_eq!(uses.agents.iter().collect::<Vec<_>>(), ["etl-3"]);
}

#[test]
fn what_is_written_meanwhile_is_not_seen() {
    let (_directory, path) = database();
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    let snapshot = Snapshot::open(&path).unwrap();
    writer
        .execute("DELETE FROM audit_leaf WHERE idx > 5", [])
        .unwrap();
    writer.execute("DELETE FROM audit_head", []).unwrap();
    assert!(exported(&snapshot).is_ok());
    let later = Snapshot::open(&path).unwrap();
    assert!(matches!(exported(&later), Err(ExportError::Source(_))));
}

#[test]
fn entries_that_the_head_does_not_cover_are_no_export() {
    let (_directory, path) = database();
    let tamper = |sql: &str| {
        let tampered = Connection::open(&path).unwrap();
        assert!(tampered.execute(sql, []).unwrap() > 0);
        exported(&Snapshot::open(&path).unwrap()).unwrap_err()
    };
    let error = tamper(
        "UPDATE audit_leaf SET data = (SELECT data FROM audit_leaf WHERE idx = 3) WHERE idx = 4",
    );
    assert!(
        matches!(error, ExportError::Record { seq: 4, .. }),
        "{error}"
    );
    let error = tamper("DELETE FROM audit_leaf WHERE idx = 4");
    assert!(
        matches!(
            error,
            ExportError::Order {
                expected: 4,
                found: 5
            }
        ),
        "{error}"
    );
}

#[test]
fn documents_and_kept_rules_are_handed_out_and_nothing_where_there_are_none() {
    let (_directory, path) = database();
    let open = || Snapshot::open(&path).unwrap();
    let id = RequestId::from_bytes([1; 16]);
    assert!(open().document(id).unwrap().is_some());
    assert_eq!(
        open().document(RequestId::from_bytes([255; 16])).unwrap(),
        None
    );
    let rules = Digest::of(b"{}");
    assert_eq!(open().rules(rules).unwrap(), []);
    let hex = |digest: Digest| digest.to_hex();
    Connection::open(&path)
        .unwrap()
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS rules_blob (digest BLOB, bytes BLOB);
             CREATE TABLE IF NOT EXISTS rules_text (sha256 BLOB, text TEXT);
             CREATE TABLE IF NOT EXISTS rules_file (digest BLOB, name TEXT, sha256 BLOB);
             INSERT INTO rules_blob VALUES (x'{digest}', x'7b7d');
             INSERT INTO rules_text VALUES (x'{text}', 'permit;');
             INSERT INTO rules_file VALUES (x'{digest}', 'policies/a.cedar', x'{text}');",
            digest = hex(rules),
            text = hex(Digest::of(b"permit;")),
        ))
        .unwrap();
    let file = |name: &str, bytes: &[u8]| RulesFile {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    };
    assert_eq!(
        open().rules(rules).unwrap(),
        [
            file("rules.json", b"{}"),
            file("policies/a.cedar", b"permit;")
        ]
    );
}
