//! The console's views beside the requests, on a real terminal: the log and the proof of an entry, who
//! used which data, what a run writes, and the end of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use countersign_shared::log::tree::leaf_hash;
use countersign_tests::{Home, Terminal};

use crate::asking::{held_as, request};

fn console(home: &Home, columns: u16, rows: u16) -> Terminal {
    let mut command = home.person_command(&["--key"]);
    Terminal::start(command.arg(home.key()), columns, rows)
}

/// A log with a decision in it.
fn lived() -> Home {
    let home = Home::new();
    let asked = request(&home, "orders");
    home.deny(&asked, "outside the change window")
        .expect_code(0);
    home
}

#[test]
fn an_entry_is_found_in_the_log_and_proven_step_by_step_in_the_console() {
    let home = lived();
    let mut terminal = console(&home, 170, 40);
    terminal.wait_for("Queue clear.");
    terminal.type_slowly("e");
    let screen = terminal.wait_for("decision.recorded");
    assert!(
        screen.contains("deny (file): outside the change window"),
        "{screen}"
    );
    assert!(screen.contains("request.received"), "{screen}");
    // The newest one is the denial, right before it is the decision.
    terminal.type_slowly("v");
    let screen = terminal.wait_for("VERIFIED: entry");
    assert!(!screen.contains("NOT VERIFIED"), "{screen}");
    assert_eq!(screen.matches(" ok ").count(), 4, "{screen}");
    assert!(screen.contains("this console held"), "{screen}");
    assert!(screen.contains("\"type\": \"request.denied\""), "{screen}");
    // Whose request a person's entry is about is found out.
    terminal.type_slowly("ha");
    let screen = terminal.wait_for("only agent uid:");
    assert!(screen.contains("decision.recorded"), "{screen}");
    assert!(!screen.contains("daemon.started"), "{screen}");
    terminal.type_slowly("x");
    terminal.wait_for("daemon.started");
    // New entries come by themselves.
    request(&home, "customers");
    terminal.wait_that("a second request in the log", |screen| {
        screen.matches("request.received").count() == 2
    });
    terminal.type_slowly("q");
    assert_eq!(terminal.end().0, 0);
}

/// Changes what people said in the log, together with the hashes that stand beside the entries, so that
/// the daemon finds nothing wrong.
fn change_reasons(home: &Home) {
    let database = rusqlite::Connection::open(home.path().join("state.db")).expect("the database");
    let entries: Vec<(i64, Vec<u8>)> = database
        .prepare("SELECT idx, data FROM audit_leaf WHERE data LIKE '%change window%'")
        .expect("a query")
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("an answer")
        .map(|row| row.expect("a row"))
        .collect();
    assert!(!entries.is_empty());
    for (index, entry) in entries {
        let entry = String::from_utf8(entry).expect("text");
        let entry = entry.replace("change window", "ch4nge window").into_bytes();
        let hash = leaf_hash(&entry);
        database
            .execute(
                "UPDATE audit_leaf SET data = ?1, leaf_hash = ?2 WHERE idx = ?3",
                (&entry, hash.as_bytes(), index),
            )
            .expect("to write");
    }
}

#[test]
fn an_entry_that_was_changed_in_the_database_is_not_verified_and_red() {
    let home = lived();
    change_reasons(&home);
    let mut terminal = console(&home, 170, 40);
    terminal.wait_for("Queue clear.");
    terminal.type_slowly("e");
    terminal.wait_for("ch4nge window");
    // Down to the decision, whatever stands above it.
    let screen = terminal.screen();
    let row_of = |words: &str| screen.lines().position(|line| line.contains(words));
    let down = row_of("decision.recorded").unwrap() - row_of("WHO: WHAT").unwrap() - 1;
    terminal.type_slowly(&"j".repeat(down));
    terminal.type_slowly("v");
    let screen = terminal.wait_for("NOT VERIFIED");
    assert!(screen.contains("FAILED"), "{screen}");
    assert!(screen.contains("not reached"), "{screen}");
    assert!(terminal.holds_in_red("NOT VERIFIED"), "{screen}");
    // And nothing is decided here any more.
    terminal.wait_for("THE LOG CONTRADICTS ITSELF");
    terminal.type_slowly("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_run_is_followed_and_ended_in_the_console_with_a_key_a_reason_and_enter() {
    let home = Home::stopped("");
    home.make_dir("work");
    let tool = home.root().join("tool");
    fs::write(
        &tool,
        "#!/bin/sh\nwhile :; do echo \"still here $TOKEN\"; sleep 0.2; done\n",
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let secret = home.root().join("secret");
    fs::write(&secret, "hunter2-hunter2\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let root = home.root().display();
    let profiles = format!(
        "[profile.deploy]\nprograms = [\"{root}/tool\"]\ndirectories = [\"{root}/work\"]\n\
         [profile.deploy.secrets]\nTOKEN = {{ file = \"{root}/secret\" }}\n"
    );
    fs::write(home.path().join("profiles.toml"), profiles).unwrap();
    let mut home = home;
    home.start();
    let mut command = home.agent_command(&["exec", "--as", "deploy", "--", "tool"]);
    let (agent, asked) = held_as(&home, &mut command, Stdio::null());
    home.approve(&asked).expect_code(0);
    home.wait_until_state(&asked.id, "running");
    let mut command = home.person_command(&["--open", &asked.id, "--key"]);
    let mut terminal = Terminal::start(command.arg(home.key()), 100, 30);
    terminal.wait_for("IT RUNS NOW");
    terminal.type_slowly("f");
    terminal.wait_for("still here [masked TOKEN]");
    terminal.type_slowly("K");
    terminal.wait_for("END THE RUN");
    terminal.type_slowly("\r");
    assert!(home.list()[0]["state"] == "running", "one key ends nothing");
    terminal.type_slowly("stuck\r");
    home.wait_until_state(&asked.id, "killed");
    drop(agent.wait());
    let log = home.person(&["log"]).expect_code(0).stdout;
    assert!(log.contains("execution.kill-requested"), "{log}");
    assert!(log.contains("stuck"), "{log}");
    terminal.type_slowly("e");
    terminal.wait_for("execution.finished");
    terminal.type_slowly("hw");
    terminal.wait_for("No data was used.");
    terminal.type_slowly("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn the_doctor_looks_at_what_the_profiles_name() {
    let home = Home::new();
    let root = home.root().display();
    let write = |name: &str, text: &str, mode: u32| {
        let path = home.root().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("open", "hunter2-hunter2\n", 0o644);
    let profiles = format!(
        "[profile.deploy]\nprograms = [\"{root}/none\"]\ndirectories = [\"{root}\"]\n\
         [profile.deploy.secrets]\nTOKEN = {{ file = \"{root}/open\" }}\n\
         [profile.fine]\nprograms = [\"/bin/true\"]\ndirectories = [\"{root}\"]\n"
    );
    fs::write(home.path().join("profiles.toml"), profiles).unwrap();
    let found = home.person(&["doctor"]).expect_code(1).stdout;
    for words in [
        format!(
            "bad  profiles: profiles.toml: `profile.deploy`: the program `{root}/none` is not found"
        ),
        "bad  profiles: profiles.toml: `profile.deploy`: the secret `TOKEN` cannot be used"
            .to_owned(),
        "ok   profiles: profiles.toml: `profile.fine`: what it names is there".to_owned(),
    ] {
        assert!(found.contains(&words), "{words}\n{found}");
    }
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn the_daemons_other_tasks_are_reached_from_the_people_s_command_too() {
    let home = lived();
    let copy = home.root().join("copy.db");
    home.person(&["backup", "--output", copy.to_str().unwrap()])
        .expect_code(0);
    home.person(&["verify", copy.to_str().unwrap()])
        .expect_code(0);
    home.person(&["adopt-rollback", "--reason", "restored"])
        .expect_code(1);
    home.person(&["adopt-rollback"]).expect_code(2);
}

#[test]
fn a_request_of_ones_own_is_denied_in_the_console() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let mut terminal = console(&home, 100, 30);
    terminal.wait_for("1 in the queue");
    terminal.type_slowly("\r");
    terminal.wait_for("self-attestation");
    terminal.type_slowly("D");
    terminal.wait_for("the agent reads the reason");
    terminal.type_slowly("1\r");
    home.wait_until_state(&asked.id, "denied");
}
