use countersign_shared::log::note::SignerKey;

use super::*;
use crate::fixture::{Fixture, ORIGIN};

fn exported(log: &Fixture, filter: &Filter) -> Result<(u64, String), ExportError> {
    let mut out = Vec::new();
    let done = write(log, log.verifier(), filter, Kind::Jsonl, &mut out)?;
    Ok((done.written, String::from_utf8(out).unwrap()))
}

#[test]
fn the_exact_bytes_of_all_entries_come_out() {
    let log = Fixture::story();
    let (written, text) = exported(&log, &Filter::default()).unwrap();
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    assert_eq!(lines, log.entries);
    assert_eq!(written, log.entries.len() as u64);
}

#[test]
fn a_filter_leaves_out_other_times_and_other_requests() {
    let log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    let filter = Filter {
        request: Some(id),
        ..Filter::default()
    };
    let (written, text) = exported(&log, &filter).unwrap();
    assert!(written > 5 && written < log.entries.len() as u64);
    assert!(text.lines().all(|line| line.contains(&id.to_string())));
    let of = |at: usize| Record::read(at as u64, &log.entries[at]).unwrap().time;
    let period = Period {
        from: Some(of(2)),
        until: Some(of(6)),
    };
    let (_, text) = exported(
        &log,
        &Filter {
            period,
            request: None,
        },
    )
    .unwrap();
    let expected = log.entries.iter().enumerate();
    let expected = expected.filter(|(at, _)| period.holds(of(*at))).count();
    assert_eq!(text.lines().count(), expected);
    assert!(expected > 0);
}

/// Shows entries under another head than theirs.
struct Forged<'a>(&'a Fixture, String);
impl Source for Forged<'_> {
    fn checkpoint(&self) -> Result<String, SourceError> {
        Ok(self.1.clone())
    }
    fn entries(
        &self,
        range: std::ops::Range<u64>,
        take: &mut crate::source::Take<'_>,
    ) -> Result<(), ExportError> {
        self.0.entries(range, take)
    }
    fn document(&self, id: RequestId) -> Result<Option<Vec<u8>>, SourceError> {
        self.0.document(id)
    }
    fn rules(
        &self,
        rules: countersign_shared::digest::Digest,
    ) -> Result<Vec<crate::source::RulesFile>, SourceError> {
        self.0.rules(rules)
    }
}

#[test]
fn entries_that_the_head_does_not_cover_are_no_export() {
    let mut log = Fixture::story();
    let note = log.note();
    let run = |log: &Fixture| {
        let forged = Forged(log, note.clone());
        let key = log.verifier().clone();
        write(
            &forged,
            &key,
            &Filter::default(),
            Kind::Jsonl,
            &mut Vec::new(),
        )
        .unwrap_err()
    };
    let last = log.entries.pop().unwrap();
    assert!(matches!(run(&log), ExportError::Short { .. }));
    log.entries.push(last);
    let text = String::from_utf8(log.entries[9].clone()).unwrap();
    log.entries[9] = text.replace("2026", "2025").into_bytes();
    assert!(matches!(run(&log), ExportError::Root { .. }));
}

#[test]
fn a_head_of_another_key_is_no_head() {
    let log = Fixture::story();
    let other = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let error = write(
        &log,
        other.verifier(),
        &Filter::default(),
        Kind::Csv,
        &mut Vec::new(),
    );
    assert!(matches!(error, Err(ExportError::Head(_))), "{error:?}");
}

/// A disk without room.
struct Full;
impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let log = Fixture::story();
    for kind in [Kind::Jsonl, Kind::Csv, Kind::Ocsf, Kind::Cef] {
        let error = write(&log, log.verifier(), &Filter::default(), kind, &mut Full);
        assert!(matches!(error, Err(ExportError::Write { .. })), "{error:?}");
    }
}
