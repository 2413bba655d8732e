//! Packs, tiles and files of a log whose beginning is gone.

use countersign_shared::log::entry::Entry;
use countersign_shared::machine::RunOutcome;
use countersign_shared::time::Timestamp;

use super::*;
use crate::export::{self, Filter, Kind};
use crate::source::Period;
use crate::tiles::{self, WIDTH, entries_path};
use crate::usage::{By, Usage};
use crate::verify::{Trust, verify_directory};

/// A log of some bundles, with what is over before the position in the first pruned, and some more.
fn pruned(before: u64) -> Fixture {
    let mut log = Fixture::story();
    grow(&mut log, 700);
    log.prune(before);
    grow(&mut log, 800);
    log
}

fn grow(log: &mut Fixture, size: u64) {
    while log.size() < size {
        let id = log.ask(Ask::default());
        log.later(1_000);
        log.decide(
            id,
            MIKA,
            countersign_shared::statement::Verdict::Approve,
            "",
        );
        log.run(id, RunOutcome::Succeeded);
    }
}

fn time(log: &Fixture, at: u64) -> Timestamp {
    let bytes = &log.entries[usize::try_from(at).unwrap()];
    Entry::read(bytes).unwrap().now.wall
}

fn since(log: &Fixture, at: u64) -> Scope {
    Scope::Period(Period {
        from: Some(time(log, at)),
        until: None,
    })
}

fn refused(log: &Fixture, scope: Scope) -> ExportError {
    let parent = tempfile::tempdir().unwrap();
    let mut sink = Directory::create(&parent.path().join("pack")).unwrap();
    let order = Order {
        scope,
        made_at: "2026-11-21T09:00:00.000Z".parse().unwrap(),
        software: "countersign 0.1.0".to_owned(),
    };
    write(log, log.verifier(), &order, &mut sink).unwrap_err()
}

#[test]
fn a_pack_of_what_is_left_is_checked_by_its_script() {
    let log = pruned(300);
    assert!(log.gone.len() > 200, "{}", log.gone.len());
    let made = Made::of(&log, since(&log, 300));
    assert_eq!(made.packed.range.start, 300);
    let verdict = made.verify(&[]);
    assert_eq!(verdict.code, 0, "{}", verdict.text);
    let readme = fs::read_to_string(made.path("README.txt")).unwrap();
    let told = format!("Of the entries before 300, {} were pruned", log.gone.len());
    assert!(readme.contains(&told), "{readme}");
}

#[test]
fn a_pack_of_what_is_gone_is_refused_with_the_time_from_which_on_there_is_one() {
    let log = pruned(300);
    let from = time(&log, 300);
    for scope in [Scope::Period(Period::default()), since(&log, 299)] {
        let error = refused(&log, scope);
        assert!(
            matches!(&error, ExportError::Pruned { before: 300, from: at, .. } if *at == from),
            "{error}"
        );
    }
    let request = |at: u64| {
        Entry::read(&log.entries[usize::try_from(at).unwrap()])
            .unwrap()
            .request
    };
    let gone = request(*log.gone.first().unwrap()).unwrap();
    let error = refused(&log, Scope::Request(gone));
    assert!(
        error.to_string().starts_with("this request is gone"),
        "{error}"
    );
    let left = (400..).find_map(request).unwrap();
    let verdict = Made::of(&log, Scope::Request(left)).verify(&[]);
    assert_eq!(verdict.code, 0, "{}", verdict.text);
}

#[test]
fn files_and_counts_say_that_something_is_gone() {
    let log = pruned(300);
    let mut out = Vec::new();
    let filter = Filter::default();
    let done = export::write(&log, log.verifier(), &filter, Kind::Jsonl, &mut out).unwrap();
    let gone = u64::try_from(log.gone.len()).unwrap();
    assert_eq!((done.gone, done.written), (gone, log.size() - gone));
    let usage = Usage::of(&log, log.verifier(), By::Data, Period::default()).unwrap();
    assert!(
        usage.to_text().ends_with("counted in older packs"),
        "{}",
        usage.to_text()
    );
    assert_eq!(usage.to_json()["pruned_before"], 300);
}

#[test]
fn entries_that_are_gone_without_a_word_are_no_export() {
    let mut silent = Fixture::story();
    silent.gone.insert(5);
    let mut more = pruned(300);
    let at = (1..300).find(|at| !more.gone.contains(at)).unwrap();
    more.gone.insert(at);
    for log in [silent, more] {
        let parent = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let filter = Filter::default();
        let file = export::write(&log, log.verifier(), &filter, Kind::Csv, &mut out).unwrap_err();
        let mut sink = Directory::create(&parent.path().join("tiles")).unwrap();
        let tiles = tiles::write(&log, log.verifier(), &mut sink).unwrap_err();
        let pack = refused(&log, since(&log, log.size() - 1));
        for error in [file, tiles, pack] {
            assert!(matches!(error, ExportError::Pruning(_)), "{error}");
        }
    }
}

#[test]
fn tiles_begin_with_the_first_bundle_that_lacks_nothing() {
    let log = pruned(300);
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("tiles");
    let mut sink = Directory::create(&root).unwrap();
    let done = tiles::write(&log, log.verifier(), &mut sink).unwrap();
    assert_eq!(done.gone, u64::try_from(log.gone.len()).unwrap());
    let trust = Trust {
        key: Some(log.verifier().clone()),
        ..Trust::default()
    };
    let report = || verify_directory(&root, &trust, &mut |_, _| {}).unwrap();
    // What lacks nothing is read, wherever it stands.
    let genesis = root.join(entries_path(0, WIDTH));
    assert!(!genesis.exists());
    let good = report();
    assert!(good.is_good(), "{:?}", good.findings);
    assert!(!good.replayed);
    assert_eq!(good.entries, log.size() - 2 * WIDTH);
    assert_eq!(good.head.unwrap().size, log.size());
    assert!(!root.join(entries_path(1, WIDTH)).exists());
    // One that nobody pruned.
    let path = root.join(entries_path(2, WIDTH));
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let found = report();
    assert_eq!(
        found.findings[0].problem,
        "is missing, and no entry says that it was pruned"
    );
    let mut bent = bytes;
    bent[100] ^= 1;
    fs::write(&path, bent).unwrap();
    assert!(!report().is_good());
}

#[test]
fn tiles_that_could_not_say_what_is_gone_are_not_written() {
    for more in [0, 300] {
        let mut log = Fixture::story();
        grow(&mut log, 100);
        log.prune(60);
        grow(&mut log, more);
        let parent = tempfile::tempdir().unwrap();
        let mut sink = Directory::create(&parent.path().join("tiles")).unwrap();
        let error = tiles::write(&log, log.verifier(), &mut sink).unwrap_err();
        assert!(
            matches!(error, ExportError::Untold { before: 60 }),
            "{error}"
        );
    }
}
