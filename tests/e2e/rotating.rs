//! The log's key changed, with people and agents who hold the old one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_tests::process::run;
use countersign_tests::programs::DAEMON;
use countersign_tests::{Home, Ran, Running};
use rustix::process::Signal;

use crate::asking::{document, redeem, request};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/log-format.md");

fn daemon(home: &Home, arguments: &[&str]) -> Ran {
    run(home.command(DAEMON).args(arguments))
}

fn vkey(home: &Home) -> String {
    let text = fs::read_to_string(home.path().join("log.vkey")).expect("a key");
    text.trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Changes the key while the daemon is stopped; returns the new one.
fn rotate(home: &mut Home) -> String {
    home.stop();
    let ran = daemon(home, &["rotate-log-key", "--reason", "yearly"]).expect_code(0);
    home.start();
    let line = ran
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("vkey "));
    line.expect("the new key").to_owned()
}

/// Checks a receipt as the page on the format says, with no program of ours; returns what it said.
fn check(home: &Home, receipt: &Path, vkey: &str) -> Ran {
    let page = fs::read_to_string(PAGE).expect("the page");
    let begin = page.find("```python\n").expect("a script") + "```python\n".len();
    let script = page[begin..].split("```").next().expect("its end");
    let put = |name: &str, text: &str| {
        let path = home.root().join(name);
        fs::write(&path, text).expect("to write");
        path
    };
    let script = put("check.py", script);
    let key = put("noted.vkey", vkey);
    let log = put(
        "log.jsonl",
        &home.person(&["log", "--raw"]).expect_code(0).stdout,
    );
    let mut python = Command::new("python3");
    home.furnish(&mut python);
    run(python.arg(script).arg(log).arg(key).arg(receipt))
}

fn receipt_of(home: &Home, id: &str, name: &str) -> std::path::PathBuf {
    let directory = home.root().join(name);
    home.person(&["receipt", id, "--output", text(&directory)])
        .expect_code(0);
    let mut found: Vec<_> = fs::read_dir(&directory)
        .expect("receipts")
        .map(|entry| entry.expect("a file").path())
        .collect();
    found.sort();
    found.pop().expect("a receipt")
}

#[test]
fn people_and_agents_follow_a_change_of_key_and_everything_is_still_checked() {
    let mut home = Home::new();
    let old = vkey(&home);
    let before = request(&home, "crm");
    home.approve(&before).expect_code(0);
    let early = receipt_of(&home, &before.id, "early");

    let new = rotate(&mut home);
    assert_ne!(new, old);
    assert_eq!(vkey(&home), new);
    // What was asked before goes on, by those who kept heads of the old key.
    let exact = document(&home, &before);
    redeem(&home, &before, &exact).expect_code(0);
    let during = request(&home, "hr");
    home.approve(&during).expect_code(0);
    let late = receipt_of(&home, &during.id, "late");
    let doctor = home.person(&["doctor", "--json"]).json();
    assert_eq!(doctor["log"]["vkey"], new.as_str());
    assert_eq!(doctor["log"]["ending"]["vkey"], old.as_str());

    for receipt in [&early, &late] {
        for key in [&old, &new] {
            check(&home, receipt, key).expect_code(0);
        }
    }
    let pack = home.root().join("pack");
    let noted = home.root().join("old.vkey");
    fs::write(&noted, &old).expect("to write");
    // A bare name will do.
    let mut verify = home.command(DAEMON);
    verify.args(["verify", "--vkey", "old.vkey"]);
    run(verify.current_dir(home.root())).expect_code(0);
    for ended in [false, true] {
        if ended {
            home.stop();
            daemon(&home, &["rotate-log-key", "--reason", "stolen"]).expect_code(1);
            daemon(&home, &["rotate-log-key", "--finish", "--reason", "stolen"]).expect_code(0);
            home.start();
            let after = request(&home, "erp");
            home.approve(&after).expect_code(0);
            let last = receipt_of(&home, &after.id, "last");
            check(&home, &last, &old).expect_code(0);
            check(&home, &early, &new).expect_code(0);
            assert!(!home.path().join("log.key.ending").exists());
            fs::remove_dir_all(&pack).expect("to remove");
        }
        for key in [None, Some(text(&noted))] {
            let mut arguments = vec!["verify"];
            arguments.extend(key.iter().flat_map(|key| ["--vkey", key]));
            daemon(&home, &arguments).expect_code(0);
        }
        daemon(&home, &["export", "evidence", "--output", text(&pack)]).expect_code(0);
        let mut script = Command::new("sh");
        home.furnish(&mut script);
        let checked = run(script.arg(pack.join("verify.sh")).arg("--vkey").arg(&noted));
        checked.expect_code(0);
        daemon(&home, &["verify", text(&pack), "--vkey", text(&noted)]).expect_code(0);
    }
}

#[test]
fn who_was_away_for_the_whole_overlap_is_refused_until_the_key_was_compared() {
    let mut home = Home::new();
    let seen = request(&home, "crm");
    home.approve(&seen).expect_code(0);
    home.stop();
    for more in [&[][..], &["--finish"]] {
        let arguments = [&["rotate-log-key", "--reason", "stolen"], more].concat();
        daemon(&home, &arguments).expect_code(0);
    }
    home.start();
    let new = vkey(&home);
    let ask = [
        "request",
        "--kind",
        "data.export",
        "--target",
        "hr",
        "--json",
    ];
    for ran in [home.person(&["show", &seen.id]), home.agent(&ask)] {
        assert_eq!(ran.code, 9, "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(&format!("adopt-log-key {new}")), "{said}");
    }
    home.person(&["adopt-log-key", "nonsense"]).expect_code(2);
    home.person(&["adopt-log-key", &new]).expect_code(0);
    home.person(&["show", &seen.id]).expect_code(0);
    assert_eq!(home.agent(&ask).code, 9, "each user adopts for themselves");
    home.agent(&["adopt-log-key", &new]).expect_code(0);
    let asked = request(&home, "erp");
    home.approve(&asked).expect_code(0);
    daemon(&home, &["verify"]).expect_code(0);
}

#[test]
fn a_rotation_that_is_killed_anywhere_leaves_a_home_that_starts_and_a_log_that_is_good() {
    let mut home = Home::new();
    let seen = request(&home, "crm");
    let noted = home.root().join("first.vkey");
    fs::write(&noted, vkey(&home)).expect("to write");
    for round in 0..24u64 {
        home.stop();
        let mut command = home.command(DAEMON);
        if home.path().join("log.key.ending").exists() {
            command.args(["rotate-log-key", "--finish", "--reason", "next"]);
        } else {
            command.args(["rotate-log-key", "--reason", "next"]);
        }
        let rotation = Running::start(&mut command, Stdio::null());
        // The moment is what is tested, and there is nothing to wait for.
        std::thread::sleep(Duration::from_millis(round * 4));
        rotation.signal(Signal::KILL);
        drop(rotation.wait());
        home.start();
        home.person(&["show", &seen.id]).expect_code(0);
        let verified = daemon(&home, &["verify", "--vkey", text(&noted)]);
        verified.expect_code(0);
    }
    home.approve(&seen).expect_code(0);
}
