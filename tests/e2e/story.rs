//! One request from its asking to its end: held, listed, shown, decided, used once, checked.

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign_tests::process::run;
use countersign_tests::{Home, Terminal};

use crate::asking::{document, held, only_decision, redeem, request, show, ssh_keygen_verify};

fn git(home: &Home, directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    home.furnish(&mut command);
    let identity = [
        "-c",
        "user.name=etl-3",
        "-c",
        "user.email=etl-3@example.org",
    ];
    command
        .args(identity)
        .args(arguments)
        .current_dir(directory);
    run(&mut command).expect_code(0).stdout.trim().to_owned()
}

/// A clone with one commit that its bare origin does not have.
fn repositories(home: &Home) -> [std::path::PathBuf; 2] {
    let bare = home.make_dir("origin.git");
    git(home, &bare, &["init", "--quiet", "--bare"]);
    git(
        home,
        home.root(),
        &["clone", "--quiet", "origin.git", "work"],
    );
    let work = home.root().join("work");
    fs::write(work.join("report.csv"), "total,48211\n").expect("a file");
    git(home, &work, &["add", "report.csv"]);
    git(
        home,
        &work,
        &["commit", "--quiet", "--message", "Add the report"],
    );
    [bare, work]
}

/// Returns the code that a sheet asks for: the word after `code` at the end of a row.
fn code_on(screen: &str) -> Option<&str> {
    let codes = screen
        .lines()
        .filter_map(|line| Some(line.rsplit_once(" code ")?.1.trim()));
    codes.into_iter().find(|code| code.len() == 3)
}

#[test]
fn a_push_is_held_approved_in_the_console_and_runs_once() {
    let home = Home::new();
    let [bare, work] = repositories(&home);
    let directory = work.to_str().unwrap();
    let push = [
        "--cwd",
        directory,
        "--",
        "git",
        "push",
        "--quiet",
        "origin",
        "HEAD:refs/heads/x",
    ];
    let (agent, asked) = held(&home, &push);
    assert_eq!(git(&home, &bare, &["for-each-ref"]), "");

    let listed = home.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["kind"], "exec.run");
    let shown = show(&home, &asked);
    assert_eq!(shown["document"]["action"]["arguments"]["argv"][1], "push");
    let exact = document(&home, &asked);
    let sum = run(Command::new("sha256sum").arg(&exact))
        .expect_code(0)
        .stdout;
    assert_eq!(sum.split(' ').next(), asked.digest.strip_prefix("sha256:"));

    let key = home.key();
    let mut console = Terminal::start(
        &home.person_command(&["--key", key.to_str().unwrap()]),
        120,
        40,
    );
    console.wait_for("exec.run");
    console.type_slowly("\r");
    console.wait_for("ARMED");
    for _ in 0..20 {
        if !console.screen().contains("NOT ARMED") {
            break;
        }
        console.type_slowly(" ");
    }
    console.type_slowly("A");
    let sheet = console.wait_that("a code", |screen| code_on(screen).is_some());
    console.type_slowly(code_on(&sheet).unwrap());
    console.type_slowly("A");
    agent.wait().expect_code(0);
    console.type_slowly("qq");
    console.wait();

    let head = git(&home, &work, &["rev-parse", "HEAD"]);
    assert_eq!(git(&home, &bare, &["rev-parse", "refs/heads/x"]), head);
    home.wait_until_state(&asked.id, "succeeded");
    let (statement, sshsig) = only_decision(&home, &asked);
    let verified = ssh_keygen_verify(&home, &home.key(), &statement, &sshsig).expect_code(0);
    assert!(verified.stdout.starts_with("Good"), "{verified:?}");
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn a_signature_does_not_fit_another_statement() {
    let home = Home::new();
    let asked = request(&home, "orders");
    home.approve(&asked).expect_code(0);
    let (mut statement, sshsig) = only_decision(&home, &asked);
    ssh_keygen_verify(&home, &home.key(), &statement, &sshsig).expect_code(0);
    *statement.last_mut().unwrap() = b' ';
    assert_ne!(
        ssh_keygen_verify(&home, &home.key(), &statement, &sshsig).code,
        0
    );
}

#[test]
fn an_approval_is_used_once() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let exact = document(&home, &asked);
    // Not before it is approved.
    redeem(&home, &asked, &exact).expect_code(8);
    home.approve(&asked).expect_code(0);
    redeem(&home, &asked, &exact).expect_code(0);
    let second = redeem(&home, &asked, &exact).expect_code(6);
    assert!(second.stderr.contains("redeemed"), "{second:?}");
    home.agent(&["report", &asked.id, "--outcome", "succeeded"])
        .expect_code(0);
    assert_eq!(home.look(&asked.id).state, "succeeded");
    assert_ne!(redeem(&home, &asked, &exact).code, 0);
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn only_who_took_the_use_tells_of_the_run() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let exact = document(&home, &asked);
    home.approve(&asked).expect_code(0);
    redeem(&home, &asked, &exact).expect_code(0);
    // Another process with the ticket, and without what came with the one use.
    let secret = home
        .root()
        .join("state/tickets")
        .join(&asked.id)
        .join("run");
    let kept = fs::read(&secret).unwrap();
    fs::remove_file(&secret).unwrap();
    let refused = home
        .agent(&["report", &asked.id, "--outcome", "failed"])
        .expect_code(4);
    assert!(refused.stderr.contains("run secret"), "{refused:?}");
    assert_eq!(home.look(&asked.id).state, "redeemed");
    fs::write(&secret, kept).unwrap();
    home.agent(&["report", &asked.id, "--outcome", "failed"])
        .expect_code(0);
    assert_eq!(home.look(&asked.id).state, "failed");
}

#[test]
fn an_approval_is_for_its_own_document_only() {
    let home = Home::new();
    let [first, second] = ["orders", "customers"].map(|target| request(&home, target));
    home.approve(&first).expect_code(0);
    let other = document(&home, &second);
    redeem(&home, &first, &other).expect_code(6);
    assert_eq!(home.look(&first.id).state, "approved");
}

#[test]
fn a_digest_that_is_not_the_shown_one_approves_nothing() {
    let home = Home::new();
    let [asked, other] = ["orders", "customers"].map(|target| request(&home, target));
    home.person(&["approve", &asked.id, "--digest", &other.digest])
        .expect_code(6);
    // Too short to name what was looked at.
    let hex = asked.digest.strip_prefix("sha256:").unwrap();
    home.person(&["approve", &asked.id, "--digest", &hex[..15]])
        .expect_code(2);
    assert_eq!(home.look(&asked.id).state, "pending");
    home.person(&["approve", &asked.id, "--digest", &hex[..16]])
        .expect_code(0);
    assert_eq!(home.look(&asked.id).state, "approved");
}

#[test]
fn an_approval_needs_the_whole_id() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let beginning = &asked.id[..12];
    home.person(&["show", beginning]).expect_code(0);
    home.person(&["approve", beginning, "--digest", &asked.digest])
        .expect_code(2);
    assert_eq!(home.look(&asked.id).state, "pending");
}

#[test]
fn a_deny_after_an_approval_wins_until_the_use() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let exact = document(&home, &asked);
    home.approve(&asked).expect_code(0);
    home.deny(&asked, "the wrong quarter").expect_code(0);
    assert_eq!(home.look(&asked.id).state, "denied");
    redeem(&home, &asked, &exact).expect_code(3);
    // After a deny nothing follows.
    let late = home.approve(&asked).expect_code(6);
    assert!(late.stderr.contains("denied already"), "{late:?}");
    let waited = home
        .agent(&["wait", &asked.id, "--json"])
        .expect_code(3)
        .json();
    assert_eq!(waited["state"], "denied");
    assert_eq!(waited["reason"], "the wrong quarter");
}

#[test]
fn a_deny_after_the_use_is_too_late() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let exact = document(&home, &asked);
    home.approve(&asked).expect_code(0);
    redeem(&home, &asked, &exact).expect_code(0);
    let late = home.deny(&asked, "the wrong quarter").expect_code(6);
    assert!(late.stderr.contains("kill"), "{late:?}");
    assert_eq!(home.look(&asked.id).state, "redeemed");
}

#[test]
fn a_revoked_approval_is_not_used() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let exact = document(&home, &asked);
    home.approve(&asked).expect_code(0);
    home.person(&["revoke", &asked.id, "--reason", "asked by mistake"])
        .expect_code(0);
    assert_eq!(home.look(&asked.id).state, "revoked");
    redeem(&home, &asked, &exact).expect_code(6);
}

#[test]
fn approving_twice_is_one_decision() {
    let home = Home::new();
    let asked = request(&home, "orders");
    home.approve(&asked).expect_code(0);
    let kept = |ending: &str| {
        let name = format!("{}.approve.{ending}", asked.id);
        std::fs::read(home.root().join("state/decisions").join(name)).expect("what is kept")
    };
    let first = [kept("json"), kept("json.sig"), kept("tlog-proof")];
    let again = home.approve(&asked).expect_code(0);
    assert!(
        again.stderr.contains("what you said first counts"),
        "{again:?}"
    );
    // What is kept is what is recorded.
    assert_eq!(first, [kept("json"), kept("json.sig"), kept("tlog-proof")]);
    only_decision(&home, &asked);
    assert_eq!(home.look(&asked.id).state, "approved");
}

#[test]
fn an_approval_that_is_not_used_lapses() {
    let home = Home::with("grant = \"1s\"\n");
    let asked = request(&home, "orders");
    let exact = document(&home, &asked);
    home.approve(&asked).expect_code(0);
    home.wait_until_state(&asked.id, "lapsed");
    redeem(&home, &asked, &exact).expect_code(5);
}

#[test]
fn a_request_that_is_withdrawn_cannot_be_approved() {
    let home = Home::new();
    let asked = request(&home, "orders");
    home.agent(&["withdraw", &asked.id]).expect_code(0);
    home.approve(&asked).expect_code(6);
    assert_eq!(home.look(&asked.id).state, "withdrawn");
}
