//! System mode with real OS users: the kernel keeps agents, reviewers and daemon apart, and the
//! daemon does not start where it could not.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use countersign_tests::home::Asked;
use countersign_tests::process::run;
use countersign_tests::programs::PERSON;
use countersign_tests::system::{System, Who};
use serde_json::Value;

/// Makes an installation, or says that the test is left out.
fn system(test: &str) -> Option<System> {
    let system = System::make();
    if system.is_none() {
        // Past the harness, which shows nothing of a test that passes.
        writeln!(std::io::stderr(), "skipped: needs root: {test}").expect("to write");
    }
    system
}

#[track_caller]
fn request(system: &System, who: Who) -> Asked {
    let arguments = [
        "request",
        "--kind",
        "data.export",
        "--target",
        "orders",
        "--json",
    ];
    Asked::read(&system.agent(who, &arguments).expect_code(0).json())
}

#[track_caller]
fn look(system: &System, asked: &Asked) -> Value {
    let shown = system
        .person(Who::Mika, &["show", &asked.id, "--json"])
        .expect_code(0)
        .json();
    assert_eq!(shown["request"]["id"], asked.id.as_str());
    shown
}

#[track_caller]
fn document(system: &System, asked: &Asked) -> String {
    let raw = system
        .person(Who::Mika, &["show", &asked.id, "--raw"])
        .expect_code(0)
        .stdout;
    let path = system.root().join(&asked.id);
    fs::write(&path, raw).expect("a file");
    path.to_str().expect("a path").to_owned()
}

#[test]
fn an_agent_asks_a_reviewer_decides_and_neither_can_do_the_others_part() {
    let Some(mut system) =
        system("an_agent_asks_a_reviewer_decides_and_neither_can_do_the_others_part")
    else {
        return;
    };
    system.start();
    let asked = request(&system, Who::Bot);

    // The agent holds the reviewer's key, and still has nobody to give a decision to.
    let stolen = system.own(Who::Bot).join("stolen");
    fs::copy(system.key(Who::Mika), &stolen).unwrap();
    fs::set_permissions(&stolen, fs::Permissions::from_mode(0o600)).unwrap();
    let uid = system.uid(Who::Bot);
    chown(&stolen, Some(uid), Some(uid)).unwrap();
    let approve = ["approve", &asked.id, "--digest", &asked.digest];
    let mut command = system.command(Who::Bot, PERSON, &approve);
    run(command.arg("--key").arg(&stolen)).expect_code(4);
    run(&mut system.command(Who::Bot, PERSON, &["list"])).expect_code(4);
    // Nor has the reviewer anybody to ask.
    let ask = ["request", "--kind", "data.export", "--target", "orders"];
    system.agent(Who::Mika, &ask).expect_code(4);
    assert_eq!(look(&system, &asked)["request"]["state"], "pending");

    system.person(Who::Mika, &approve).expect_code(0);
    let shown = look(&system, &asked);
    assert_eq!(shown["request"]["state"], "approved");
    assert_eq!(shown["decisions"][0]["self_attested"], false);
    assert_eq!(shown["request"]["requester"]["uid"], uid);
    let exact = document(&system, &asked);
    system
        .agent(Who::Bot, &["redeem", &asked.id, "--document", &exact])
        .expect_code(0);
    let log = system
        .person(Who::Mika, &["log", "--json"])
        .expect_code(0)
        .stdout;
    assert!(log.contains("\"separation\":\"uid\""), "{log}");
    assert!(!log.contains("\"separation\":\"none\""), "{log}");
}

#[test]
fn a_ticket_is_of_no_use_to_another_user() {
    let Some(mut system) = system("a_ticket_is_of_no_use_to_another_user") else {
        return;
    };
    system.start();
    let asked = request(&system, Who::Bot);
    system
        .person(
            Who::Mika,
            &["approve", &asked.id, "--digest", &asked.digest],
        )
        .expect_code(0);
    let exact = document(&system, &asked);
    let [from, to] = [Who::Bot, Who::OtherBot].map(|who| system.own(who).join("state"));
    run(Command::new("cp").arg("-r").args([&from, &to])).expect_code(0);
    let owner = format!("{0}:{0}", system.name(Who::OtherBot));
    run(Command::new("chown").args(["-R", &owner]).arg(&to)).expect_code(0);
    let redeem = ["redeem", &asked.id, "--document", &exact];
    system.agent(Who::OtherBot, &redeem).expect_code(4);
    system
        .agent(Who::OtherBot, &["withdraw", &asked.id])
        .expect_code(4);
    assert_eq!(look(&system, &asked)["request"]["state"], "approved");
    system.agent(Who::Bot, &redeem).expect_code(0);
}

#[test]
fn whoever_is_not_in_the_roster_may_look_and_decides_nothing() {
    let Some(mut system) = system("whoever_is_not_in_the_roster_may_look_and_decides_nothing")
    else {
        return;
    };
    system.start();
    let asked = request(&system, Who::Bot);
    system
        .person(Who::Noor, &["show", &asked.id])
        .expect_code(0);
    let approve = ["approve", &asked.id, "--digest", &asked.digest];
    system.person(Who::Noor, &approve).expect_code(4);
    system
        .person(Who::Noor, &["deny", &asked.id, "--reason", "no"])
        .expect_code(4);
    assert_eq!(look(&system, &asked)["request"]["state"], "pending");
}

#[test]
fn the_daemon_does_not_start_where_an_agent_could_decide() {
    let Some(system) = system("the_daemon_does_not_start_where_an_agent_could_decide") else {
        return;
    };
    system.join(Who::Bot, &system.reviewers());
    let said = system.refuses_to_start();
    assert!(said.contains("in the group of the reviewers"), "{said}");
    assert!(!system.path().join("run/agent.sock").exists());
}

#[test]
fn the_daemon_does_not_start_where_a_reviewer_is_an_agent() {
    let Some(system) = system("the_daemon_does_not_start_where_a_reviewer_is_an_agent") else {
        return;
    };
    system.join(Who::Mika, &system.agents());
    let said = system.refuses_to_start();
    assert!(said.contains("is the account of a reviewer"), "{said}");
}

#[test]
fn the_daemon_does_not_start_where_an_agent_is_the_daemon() {
    let Some(system) = system("the_daemon_does_not_start_where_an_agent_is_the_daemon") else {
        return;
    };
    system.join(Who::Daemon, &system.agents());
    let said = system.refuses_to_start();
    assert!(said.contains("is the account of the daemon"), "{said}");
}

/// Gives a path to a group that may write it.
fn writable(path: &Path, group: &str, mode: u32) {
    run(Command::new("chgrp").arg(group).arg(path)).expect_code(0);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Whichever check comes first: of the file, of what lies above it, of the agents' rights.
fn is_about_writing(said: &str) -> bool {
    ["has mode", "others could replace it", "can write"]
        .iter()
        .any(|words| said.contains(words))
}

#[test]
fn the_daemon_does_not_start_where_an_agent_can_write_what_decides() {
    let Some(mut system) =
        system("the_daemon_does_not_start_where_an_agent_can_write_what_decides")
    else {
        return;
    };
    let agents = system.agents();
    for (name, mode, before) in [
        ("policy", 0o771, 0o711),
        ("reviewers.toml", 0o664, 0o644),
        ("countersign.toml", 0o664, 0o644),
        ("", 0o771, 0o711),
    ] {
        let path = system.path().join(name);
        writable(&path, &agents, mode);
        let said = system.refuses_to_start();
        assert!(is_about_writing(&said), "{name}: {said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
    }
    let root = system.root().to_path_buf();
    writable(&root, &agents, 0o775);
    let said = system.refuses_to_start();
    assert!(is_about_writing(&said), "{said}");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    system.start();
    system.stop();
}
