//! The log's beginning taken away: what the real program refuses, and what every reader of a log says
//! whose entries are gone. That old ones go, by a clock that can be moved, is a test of the daemon.

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

/// Takes a request away as pruning does, but for the entry that says so.
fn take_away(home: &Home, id: &str) -> usize {
    let id: countersign_shared::id::RequestId = id.parse().expect("an id");
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
    assert!(log.stdout.contains(" were pruned\n"), "{log:?}");
    assert!(log.stdout.contains("request.received"), "{log:?}");
    let log = home.person(&["log", "--raw"]).expect_code(0);
    assert!(log.stderr.contains("were pruned"), "{log:?}");
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
