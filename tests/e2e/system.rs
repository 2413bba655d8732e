//! System mode with real OS users: the kernel keeps agents, reviewers and daemon apart, and the
//! daemon does not start where it could not.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use countersign_tests::Terminal;
use countersign_tests::home::Asked;
use countersign_tests::process::run;
use countersign_tests::programs::{DAEMON, PERSON};
use countersign_tests::system::{System, Who};
use countersign_tests::wait::wait_until;
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

#[test]
fn the_daemon_does_not_start_or_take_rules_where_an_agent_can_write_what_policies_rest_on() {
    let Some(mut system) = system(
        "the_daemon_does_not_start_or_take_rules_where_an_agent_can_write_what_policies_rest_on",
    ) else {
        return;
    };
    let agents = system.agents();
    for name in ["targets.toml", "kinds.toml", "policy/more.cedar"] {
        let path = system.path().join(name);
        fs::write(&path, "").unwrap();
        writable(&path, &agents, 0o664);
        let said = system.refuses_to_start();
        assert!(is_about_writing(&said), "{name}: {said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    system.start();
    // A reload looks as a start does.
    let path = system.path().join("targets.toml");
    writable(&path, &agents, 0o664);
    system.reload();
    wait_until("the refusal of the files", || {
        log(&system).iter().any(|it| it["type"] == "rules.refused")
    });
    system.stop();
}

fn log(system: &System) -> Vec<Value> {
    let said = system
        .person(Who::Mika, &["log", "--json"])
        .expect_code(0)
        .stdout;
    said.lines()
        .map(|line| serde_json::from_str(line).expect("an entry"))
        .collect()
}

fn types(system: &System) -> Vec<String> {
    log(system)
        .iter()
        .map(|entry| entry["type"].as_str().expect("a type").to_owned())
        .collect()
}

/// Opens the console of a person who is in the roster.
#[track_caller]
fn console(system: &System) -> Terminal {
    let key = system.key(Who::Mika);
    let arguments = ["--key", key.to_str().expect("a path")];
    Terminal::start(&system.command(Who::Mika, PERSON, &arguments), 120, 40)
}

const FORBID: &str = "@id(\"no-exports\") @because(\"exports are stopped\")\n\
                      forbid (principal, action == Action::\"data.export\", resource);\n";

/// Returns the digest of the proposed rules as a person is shown it.
#[track_caller]
fn proposed(system: &System) -> String {
    let shown = system
        .person(Who::Mika, &["rules", "show", "--proposed", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(shown["digest"], shown["proposed"]);
    let digest = shown["digest"].as_str().expect("a digest");
    digest.trim_start_matches("sha256:").to_owned()
}

/// Has a pack of the whole log judged by its own script, which knows nothing but `ssh-keygen`.
fn check_pack(system: &System) {
    let pack = system.own(Who::Daemon).join("pack");
    let output = pack.to_str().expect("a path in UTF-8");
    let export = ["export", "evidence", "--output", output];
    run(&mut system.command(Who::Daemon, PERSON, &export)).expect_code(0);
    run(Command::new("sh").arg(pack.join("verify.sh"))).expect_code(0);
}

#[test]
fn new_rules_judge_nothing_until_a_reviewer_signed_them_and_outlive_a_restart() {
    let Some(mut system) =
        system("new_rules_judge_nothing_until_a_reviewer_signed_them_and_outlive_a_restart")
    else {
        return;
    };
    system.start();
    let before = request(&system, Who::Bot);
    system.person(Who::Mika, &["rules", "diff"]).expect_code(6);
    fs::write(system.path().join("policy/stop.cedar"), FORBID).unwrap();
    system.reload();
    wait_until("the proposal", || {
        types(&system).last().map(String::as_str) == Some("rules.proposed")
    });
    // What the files say since judges nothing yet, over a restart as well.
    request(&system, Who::Bot);
    system.stop();
    system.start();
    let between = request(&system, Who::Bot);
    assert_eq!(look(&system, &before)["request"]["state"], "pending");
    let diff = system
        .person(Who::Mika, &["rules", "diff"])
        .expect_code(0)
        .stdout;
    assert!(diff.contains("policy/stop.cedar"), "{diff}");
    assert!(diff.contains("+forbid (principal"), "{diff}");
    let digest = proposed(&system);
    assert!(diff.contains(&digest), "{diff}");

    // Nobody signs what they did not look at, and nobody who is not in the roster signs at all.
    let wrong = "0123456789abcdef";
    system
        .person(Who::Mika, &["rules", "sign", "--digest", wrong])
        .expect_code(6);
    system
        .person(Who::Mika, &["rules", "sign", "--digest", &digest[..8]])
        .expect_code(2);
    let mut console = console(&system);
    console.wait_for("new rules are proposed (u shows them): needs 1 more signature");
    console.type_slowly("u");
    console.wait_for("+ forbid (principal");
    console.wait_for(&format!(
        "countersign rules sign --digest {}",
        &digest[..16]
    ));
    let sign = ["rules", "sign", "--digest", &digest];
    system.person(Who::Noor, &sign).expect_code(4);
    run(&mut system.command(Who::Bot, PERSON, &sign)).expect_code(4);
    let said = system.person(Who::Mika, &sign).expect_code(0).stdout;
    assert!(said.contains("they are in force"), "{said}");
    console.wait_for("THIS IS OVER");
    console.type_slowly("hq");
    console.wait();

    for asked in [&before, &between] {
        let shown = look(&system, asked);
        assert_eq!(shown["request"]["state"], "invalidated");
        let reason = shown["request"]["reason"].as_str().unwrap();
        assert!(reason.contains("exports are stopped"), "{reason}");
    }
    let ask = ["request", "--kind", "data.export", "--target", "orders"];
    system.agent(Who::Bot, &ask).expect_code(3);
    system.stop();
    system.start();
    system.agent(Who::Bot, &ask).expect_code(3);
    let types = types(&system);
    let count = |name: &str| types.iter().filter(|it| *it == name).count();
    assert_eq!((count("rules.proposed"), count("rules.signed")), (2, 1));
    assert_eq!(count("rules.changed"), 1);
    let verify = run(&mut system.command(Who::Daemon, PERSON, &["verify"]));
    verify.expect_code(0);
    check_pack(&system);
    system.stop();
}

#[test]
fn adopted_rules_are_in_force_at_once_and_stand_out_until_they_are_acknowledged() {
    let Some(mut system) =
        system("adopted_rules_are_in_force_at_once_and_stand_out_until_they_are_acknowledged")
    else {
        return;
    };
    system.start();
    fs::write(system.path().join("policy/stop.cedar"), FORBID).unwrap();
    let adopt = ["adopt-rules", "--reason", "mika lost the key"];
    let said = run(&mut system.command(Who::Daemon, DAEMON, &adopt)).expect_code(1);
    assert!(said.stderr.contains("stop it first"), "{said:?}");
    system.stop();
    run(&mut system.command(Who::Daemon, DAEMON, &adopt)).expect_code(0);
    run(&mut system.command(Who::Daemon, DAEMON, &adopt)).expect_code(1);
    system.start();
    let ask = ["request", "--kind", "data.export", "--target", "orders"];
    system.agent(Who::Bot, &ask).expect_code(3);
    let shown = system
        .person(Who::Mika, &["rules", "show", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(shown["adopted"], shown["digest"]);
    assert_eq!(shown["adopted_reason"], "mika lost the key");
    let digest = shown["digest"].as_str().unwrap();
    let digest = digest.trim_start_matches("sha256:");
    let mut console = console(&system);
    let alarm = "RULES ADOPTED WITHOUT THE REVIEWERS";
    console.wait_for(&format!("{alarm} (u shows them): mika lost the key"));
    let doctor = system.person(Who::Mika, &["doctor"]).stdout;
    assert!(doctor.contains("mika lost the key"), "{doctor}");
    let acknowledge = ["rules", "acknowledge", "--digest", digest];
    system.person(Who::Mika, &acknowledge).expect_code(0);
    console.wait_that("the alarm is over", |screen| !screen.contains(alarm));
    console.type_slowly("q");
    console.wait();
    system.person(Who::Mika, &acknowledge).expect_code(6);
    let verify = run(&mut system.command(Who::Daemon, PERSON, &["verify"]));
    verify.expect_code(0);
    check_pack(&system);
    system.stop();
}
