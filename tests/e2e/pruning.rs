//! The log's beginning taken away: what the real program refuses, and what every reader of a log says
//! whose entries are gone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use countersign_shared::id::RequestId;
use countersign_tests::process::run;
use countersign_tests::programs::DAEMON;
use countersign_tests::{Home, Ran};

use crate::asking::request;

fn prune(home: &Home, arguments: &[&str]) -> Ran {
    run(home.command(DAEMON).arg("prune").args(arguments))
}

#[test]
fn nothing_is_pruned_without_a_policy_or_while_the_daemon_serves_or_when_all_is_young() {
    let mut home = Home::new();
    let asked = request(&home, "crm");
    home.deny(&asked, "not today").expect_code(0);
    let archive = home.root().join("archive");
    let there = archive.to_str().unwrap();
    prune(&home, &["--archive", there]).expect_code(1);
    home.stop();
    let refused = prune(&home, &["--archive", there]).expect_code(1);
    assert!(refused.stderr.contains("no `entries_days`"), "{refused:?}");
    prune(&home, &[]).expect_code(2);
    home.configure("[retention]\nentries_days = 1\n");
    for arguments in [&["--dry-run"][..], &["--archive", there]] {
        let done = prune(&home, arguments).expect_code(0);
        assert!(done.stdout.contains("nothing is pruned"), "{done:?}");
    }
    let forwarded = home.person(&["prune", "--dry-run"]).expect_code(0);
    assert!(
        forwarded.stdout.contains("nothing is pruned"),
        "{forwarded:?}"
    );
    assert!(!archive.exists());
    home.start();
    home.person(&["show", &asked.id]).expect_code(0);
}

/// Sets the wall clock of a program ahead that is loaded with it.
const AHEAD: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, time);
    if (result == 0 && id == CLOCK_REALTIME)
        time->tv_sec += 3 * 24 * 60 * 60;
    return result;
}
"#;

/// Builds the library that sets the clock three days ahead.
fn ahead(home: &Home) -> PathBuf {
    let (source, library) = (home.root().join("ahead.c"), home.root().join("ahead.so"));
    fs::write(&source, AHEAD).expect("to write");
    let mut build = Command::new("cc");
    build
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    assert!(build.status().expect("a C compiler").success());
    library
}

#[test]
fn what_is_old_goes_into_an_archive_and_is_checked_from_there() {
    let mut home = Home::new();
    let asked = request(&home, "crm");
    home.deny(&asked, "not today").expect_code(0);
    let other = request(&home, "hr");
    home.configure("[retention]\nentries_days = 1\n");
    home.stop();
    let archive = home.root().join("archive");
    let ahead = ahead(&home);
    let there = archive.to_str().unwrap();
    let later = |arguments: &[&str]| {
        let mut command = home.command(DAEMON);
        run(command
            .arg("prune")
            .args(arguments)
            .env("LD_PRELOAD", &ahead))
    };
    let plan = later(&["--dry-run"]).expect_code(0);
    assert!(plan.stdout.contains("1 requests would go"), "{plan:?}");
    let done = later(&["--archive", there]).expect_code(0);
    assert!(
        done.stdout.contains("about 1 requests were pruned"),
        "{done:?}"
    );
    let again = later(&["--dry-run"]).expect_code(0);
    assert!(
        again.stdout.contains("last time it was what stood before"),
        "{again:?}"
    );
    let bare = home.person(&["verify"]).expect_code(0);
    assert!(
        bare.stdout.contains("what they said was not checked"),
        "{bare:?}"
    );
    let whole = home.person(&["verify", "--archive", there]).expect_code(0);
    assert!(whole.stdout.contains("and read from archives"), "{whole:?}");
    let script = Command::new("sh").arg(archive.join("verify.sh")).output();
    assert!(script.expect("sh").status.success());
    let database = rusqlite::Connection::open(home.path().join("state.db")).expect("the database");
    let left: Vec<Vec<u8>> = database
        .prepare("SELECT id FROM request")
        .expect("a query")
        .query_map([], |row| row.get(0))
        .expect("an answer")
        .map(|id| id.expect("an id"))
        .collect();
    let other: RequestId = other.id.parse().expect("an id");
    assert_eq!(left, [other.as_bytes().to_vec()]);
    // What is gone is in the archive alone, and whoever takes of that is found.
    let entries = archive.join("entries.jsonl");
    let text = fs::read_to_string(&entries).expect("the entries");
    fs::write(&entries, text.replace("not today", "for today")).expect("to write");
    let bent = home.person(&["verify", "--archive", there]).expect_code(1);
    assert!(bent.stderr.contains("is not here"), "{bent:?}");
}

/// Takes a request away as pruning does, but for the entry that says so.
fn take_away(home: &Home, id: &str) -> usize {
    let id: RequestId = id.parse().expect("an id");
    let database = rusqlite::Connection::open(home.path().join("state.db")).expect("the database");
    for sql in [
        "DELETE FROM document WHERE received_index =
         (SELECT received_index FROM request WHERE id = ?1)",
        "DELETE FROM request WHERE id = ?1",
    ] {
        database.execute(sql, [id.as_bytes()]).expect("to delete");
    }
    let gone = "UPDATE audit_leaf SET data = x'', request = NULL WHERE request = ?1";
    database.execute(gone, [id.as_bytes()]).expect("to write")
}

#[test]
fn every_reader_of_the_log_says_what_is_gone_and_verify_that_nobody_pruned_it() {
    let mut home = Home::new();
    let asked = request(&home, "crm");
    home.deny(&asked, "not today").expect_code(0);
    let other = request(&home, "hr");
    home.stop();
    let gone = take_away(&home, &asked.id);
    assert!(gone > 3);
    home.start();
    let log = home.person(&["log"]).expect_code(0);
    assert!(
        log.stdout
            .contains(" are gone: pruned, by the word of the daemon\n"),
        "{log:?}"
    );
    assert!(log.stdout.contains("request.received"), "{log:?}");
    let log = home.person(&["log", "--raw"]).expect_code(0);
    assert!(log.stderr.contains("are gone"), "{log:?}");
    assert!(
        log.stdout.lines().all(|line| line.starts_with('{')),
        "{log:?}"
    );
    home.person(&["receipt", &asked.id]).expect_code(1);
    home.deny(&other, "not today either").expect_code(0);
    home.person(&["receipt", &other.id]).expect_code(0);
    let found = home.person(&["verify"]).expect_code(9);
    let said = format!("{gone} entries are gone");
    assert!(found.stdout.contains(&said), "{found:?}");
    assert!(
        found.stdout.contains("no entry says they were pruned"),
        "{found:?}"
    );
    for format in ["jsonl", "tiles", "evidence"] {
        let output = home.root().join(format);
        let refused = home.person(&["export", format, "--output", output.to_str().unwrap()]);
        refused.expect_code(9);
        assert!(!output.exists(), "{format}");
    }
}
