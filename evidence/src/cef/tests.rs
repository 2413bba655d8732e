use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::fixture::Fixture;

/// Takes a line apart as the format says; panics where it is not that format.
fn parse(line: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let rest = line.strip_prefix("CEF:0|").unwrap();
    let mut header = vec![String::new()];
    let mut chars = rest.chars();
    while header.len() < 7 {
        match chars.next().unwrap() {
            '\\' => header.last_mut().unwrap().push(chars.next().unwrap()),
            '|' => header.push(String::new()),
            c => header.last_mut().unwrap().push(c),
        }
    }
    header.pop();
    // A key is a word before an `=` without a backslash; a value goes on up to the next key.
    let mut pieces: Vec<String> = vec![String::new()];
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next().unwrap() {
                'n' => pieces.last_mut().unwrap().push('\n'),
                'r' => pieces.last_mut().unwrap().push('\r'),
                c => pieces.last_mut().unwrap().push(c),
            },
            '=' => {
                let last = pieces.last_mut().unwrap();
                let at = last.rfind(' ').map_or(0, |at| at + 1);
                let key = last.split_off(at);
                if at > 0 {
                    assert_eq!(last.pop(), Some(' '));
                }
                pieces.push(key);
                pieces.push(String::new());
            }
            c => pieces.last_mut().unwrap().push(c),
        }
    }
    assert_eq!(pieces.remove(0), "");
    let fields = pieces
        .chunks(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    (header, fields)
}

#[test]
fn a_line_says_what_the_entry_says() {
    let log = Fixture::story();
    for (at, bytes) in (0u64..).zip(&log.entries) {
        let record = Record::read(at, bytes).unwrap();
        let (header, fields) = parse(&line(&record).unwrap());
        assert_eq!(header[..3], ["Countersign", "countersignd", "1"]);
        assert_eq!(header[3], record.entry_type);
        assert!(
            !header[4].is_empty() && header[4] != "entry of another type",
            "{header:?}"
        );
        assert!((0..=10).contains(&header[5].parse::<u8>().unwrap()));
        assert_eq!(fields["externalId"], at.to_string());
        assert_eq!(fields["rt"], record.time.as_millis().to_string());
        assert_eq!(fields["cs6"], leaf_hash(bytes).to_string());
        assert_eq!(
            fields.get("cs1").cloned(),
            record.request.map(|id| id.to_string())
        );
    }
}

#[test]
fn a_reason_cannot_write_a_line_or_a_field_of_its_own() {
    let log = Fixture::with_reason("ok\nCEF:0|x|y|1|a|b|1|act=Denied\\ outcome=no");
    let mut out = Vec::new();
    let mut cef = Cef::new(&mut out);
    for (at, bytes) in (0u64..).zip(&log.entries) {
        cef.entry(&Record::read(at, bytes).unwrap()).unwrap();
    }
    cef.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), log.entries.len());
    let line = text
        .lines()
        .find(|line| line.contains("decision.recorded"))
        .unwrap();
    let (_, fields) = parse(line);
    assert_eq!(fields["act"], "Approved");
    assert_eq!(fields["outcome"], "Success");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(header in ".*", value in ".*") {
        let header = shown(&header);
        let value = shown(&value);
        let line = format!("CEF:0|a|b|c|{}|e|1|k={} l=2", escaped(&header, '|'), escaped(&value, '='));
        prop_assert_eq!(line.lines().count(), 1);
        let (parts, fields) = parse(&line);
        prop_assert_eq!(&parts[3], &header);
        prop_assert_eq!(&fields["k"], &value);
        prop_assert_eq!(&fields["l"], "2");
    }
}
