use countersign_shared::text::decode;
use proptest::prelude::*;

use super::*;
use crate::fixture::Fixture;

fn table(log: &Fixture) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut format = Csv::new(&mut out);
    for (at, bytes) in (0u64..).zip(&log.entries) {
        format.entry(&Record::read(at, bytes).unwrap()).unwrap();
    }
    format.finish().unwrap();
    drop(format);
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(out.as_slice())
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn a_row_says_what_the_entry_says() {
    let log = Fixture::story();
    let rows = table(&log);
    assert_eq!(rows[0], COLUMNS);
    assert_eq!(rows.len(), log.entries.len() + 1);
    for (row, bytes) in rows[1..].iter().zip(&log.entries) {
        let entry: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(row[0], entry["seq"].to_string());
        assert_eq!(row[2], entry["type"].as_str().unwrap());
        let body = decode(unguarded(&row[20])).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, entry["body"]);
    }
    let decision = rows
        .iter()
        .find(|row| row[2] == "decision.recorded")
        .unwrap();
    assert_eq!(decision[13], "approve");
    assert_eq!(decision[15], "false");
}

#[test]
fn a_log_without_entries_has_a_header() {
    let mut out = Vec::new();
    Csv::new(&mut out).finish().unwrap();
    assert!(out.starts_with(b"seq,time,type,"), "{out:?}");
}

#[test]
fn what_a_spreadsheet_would_run_has_an_apostrophe_before_it() {
    for cell in [
        "=HYPERLINK(\"http://x\")",
        "+1+1",
        "-2",
        "@SUM(A1)",
        "  =1",
        "\t=1",
        "\r=1",
        "\u{ff1d}1",
    ] {
        let safe = guarded(cell.to_owned());
        assert_eq!(safe, format!("'{cell}"));
    }
    for cell in ["", "1", "a=1", "req_1", "2026-11-22"] {
        assert_eq!(guarded(cell.to_owned()), cell);
    }
}

#[test]
fn a_reason_that_is_a_formula_is_text_in_the_table() {
    let log = Fixture::with_reason("=cmd|' /C calc'!A0");
    let rows = table(&log);
    let decision = rows
        .iter()
        .find(|row| row[2] == "decision.recorded")
        .unwrap();
    assert_eq!(decision[18], "'=cmd|' /C calc'!A0");
}

proptest! {
    #[test]
    fn every_cell_is_had_back_and_none_begins_with_a_formula(cell in ".*") {
        let safe = guarded(cell.clone());
        prop_assert_eq!(unguarded(&safe), &cell);
        let runs = safe.trim_start().starts_with(['=', '+', '-', '@']);
        prop_assert!(!runs);
    }
}
