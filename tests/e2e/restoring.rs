//! The database copied while the daemon goes on, and put back later.

use std::fs;
use std::path::Path;

use countersign_tests::process::run;
use countersign_tests::programs::DAEMON;
use countersign_tests::wait::wait_until;
use countersign_tests::{Home, Ran, Terminal};

use crate::asking::{document, redeem, request};

fn daemon(home: &Home, arguments: &[&str]) -> Ran {
    run(home.command(DAEMON).args(arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Starts a daemon that does not stay, and returns what it said.
fn refused(home: &Home) -> String {
    daemon(home, &[]).expect_code(1).stderr
}

/// Puts a copy in the database's place, as an operator would.
fn put_back(home: &Home, copy: &Path) {
    for journal in ["state.db-wal", "state.db-shm"] {
        // A daemon that ended in good order may have left none.
        drop(fs::remove_file(home.path().join(journal)));
    }
    fs::copy(copy, home.path().join("state.db")).expect("to put the copy back");
}

#[test]
fn a_copy_that_is_put_back_is_not_gone_on_from_before_somebody_says_why() {
    let mut home = Home::new();
    let used = request(&home, "crm");
    home.approve(&used).expect_code(0);
    let copy = home.root().join("copy.db");
    let made = daemon(&home, &["backup", "--output", text(&copy)]).expect_code(0);
    let size: u64 = made
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("head "))
        .and_then(|head| head.split(' ').next()?.parse().ok())
        .expect("a head");
    let verified = daemon(&home, &["verify", text(&copy), "--json"]).expect_code(0);
    assert_eq!(verified.json()["entries"], size);
    // What is there is left alone.
    daemon(&home, &["backup", "--output", text(&copy)]).expect_code(1);

    let exact = document(&home, &used);
    redeem(&home, &used, &exact).expect_code(0);
    home.stop();
    daemon(&home, &["verify"]).expect_code(0);
    daemon(&home, &["adopt-rollback", "--reason", "nothing is lost"]).expect_code(1);

    let latest = home.root().join("latest.db");
    daemon(&home, &["backup", "--output", text(&latest)]).expect_code(0);
    put_back(&home, &copy);
    let said = refused(&home);
    assert!(said.contains("the log went back"), "{said}");
    assert!(said.contains("adopt-rollback --reason"), "{said}");
    let found = daemon(&home, &["verify"]).expect_code(9).stdout;
    assert!(found.contains("mark: a head of"), "{found}");

    // The newest database put back is all it takes.
    put_back(&home, &latest);
    home.start();
    home.stop();
    put_back(&home, &copy);
    refused(&home);

    daemon(&home, &["adopt-rollback"]).expect_code(2);
    let adopted = daemon(&home, &["adopt-rollback", "--reason", "the disk died"]).expect_code(0);
    assert!(adopted.stdout.contains("the log went back"), "{adopted:?}");
    home.start();
    let daemons = home.agent(&["redeem", &used.id, "--document", text(&exact)]);
    assert_ne!(daemons.code, 0, "{daemons:?}");
    home.stop();
    let verified = daemon(&home, &["verify"]).expect_code(0);
    assert!(!verified.stdout.contains("mark"), "{verified:?}");
    let exported = home.root().join("log.jsonl");
    daemon(&home, &["export", "jsonl", "--output", text(&exported)]).expect_code(0);
    let log = fs::read_to_string(&exported).expect("the log");
    let entry = log
        .lines()
        .find(|line| line.contains("\"type\":\"rollback.adopted\""))
        .expect("the entry");
    assert!(entry.contains("the disk died"), "{entry}");
    let after = log.split(entry).nth(1).expect("what came after it");
    assert!(after.contains("request.invalidated") && after.contains(&used.id));
}

#[test]
fn people_and_agents_who_saw_more_of_the_log_do_not_follow_the_older_one() {
    let mut home = Home::new();
    let copy = home.root().join("copy.db");
    daemon(&home, &["backup", "--output", text(&copy)]).expect_code(0);
    let seen = request(&home, "crm");
    home.approve(&seen).expect_code(0);
    home.stop();
    put_back(&home, &copy);
    daemon(&home, &["adopt-rollback", "--reason", "the disk died"]).expect_code(0);
    home.start();
    wait_until("the daemon serves", || home.person(&["log"]).code == 9);
    // What is only told is told all the same, and never ends well.
    for command in [&["log"][..], &["list"], &["debts"], &["rules", "show"]] {
        let told = home.person(command).expect_code(9);
        assert!(told.stderr.contains("the daemon's word"), "{told:?}");
    }
    let told = home.person(&["log"]);
    assert!(told.stdout.contains("rollback.adopted"), "{told:?}");
    let ran = home.agent(&[
        "request",
        "--kind",
        "data.export",
        "--target",
        "crm",
        "--json",
    ]);
    assert_ne!(ran.code, 0, "{ran:?}");
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(told.contains("log"), "{told}");
}

#[test]
fn an_open_console_says_that_the_log_went_back_before_anybody_asks_it_anything() {
    let mut home = Home::new();
    let copy = home.root().join("copy.db");
    daemon(&home, &["backup", "--output", text(&copy)]).expect_code(0);
    request(&home, "crm");
    let mut command = home.person_command(&["--key"]);
    let terminal = Terminal::start(command.arg(home.key()), 120, 30);
    terminal.wait_for("crm");
    home.stop();
    put_back(&home, &copy);
    daemon(&home, &["adopt-rollback", "--reason", "the disk died"]).expect_code(0);
    home.start();
    terminal.wait_for("THE LOG CONTRADICTS ITSELF, nothing can be decided here");
}

#[test]
fn what_cannot_be_kept_here_is_not_told_as_a_forged_log() {
    let home = Home::new();
    let first = request(&home, "crm");
    home.person(&["show", &first.id]).expect_code(0);
    // Nothing can be written where the head is kept.
    let heads = home.root().join("state/heads");
    let locks = fs::read_dir(&heads).expect("the kept heads").flatten();
    let locks: Vec<_> = locks
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "lock"))
        .collect();
    assert_eq!(locks.len(), 1, "{locks:?}");
    fs::remove_file(&locks[0]).expect("to remove the lock");
    fs::create_dir(&locks[0]).expect("a directory in its place");
    let second = request(&home, "orders");
    let shown = home.person(&["show", &second.id]).expect_code(1);
    assert!(shown.stderr.contains("cannot write"), "{shown:?}");
    assert!(!shown.stderr.contains("not what it was"), "{shown:?}");
    // Nothing is decided that could not be checked.
    home.person(&["deny", &second.id, "--reason", "no"])
        .expect_code(1);
    // What waits is told all the same.
    let listed = home.person(&["list"]).expect_code(1);
    assert!(listed.stdout.contains(&second.id), "{listed:?}");
    assert!(listed.stderr.contains("it cannot be checked"), "{listed:?}");
}
