//! `countersign-agent run`: nothing runs but what was approved, and nothing at all without it.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_tests::{Home, Running, wait_until};
use rustix::process::Signal;

use crate::asking::{held, held_as, show};

/// Writes a program that leaves a file `ran` with what it is.
fn tool(path: &Path, word: &str) {
    fs::write(path, format!("#!/bin/sh\necho {word} | tee -a ran\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Returns what [`tool`] has left in a directory.
fn traces(directory: &Path) -> String {
    fs::read_to_string(directory.join("ran")).unwrap_or_default()
}

#[test]
fn a_denied_command_does_not_run() {
    let home = Home::new();
    let (agent, asked) = held(&home, &["--", "touch", "ran"]);
    home.deny(&asked, "not on a friday").expect_code(0);
    let ran = agent.wait().expect_code(120);
    assert!(ran.stderr.contains("not on a friday"), "{ran:?}");
    assert!(!home.root().join("ran").exists());
    assert_eq!(home.look(&asked.id).state, "denied");
}

#[test]
fn a_command_that_nobody_decides_about_expires_and_does_not_run() {
    let home = Home::with("ttl = \"2s\"\n");
    let (agent, asked) = held(&home, &["--", "touch", "ran"]);
    agent.wait().expect_code(121);
    assert!(!home.root().join("ran").exists());
    home.wait_until_state(&asked.id, "expired");
    home.approve(&asked).expect_code(5);
}

#[test]
fn ctrl_c_takes_the_request_back() {
    let home = Home::new();
    let (agent, asked) = held(&home, &["--", "touch", "ran"]);
    agent.signal(Signal::INT);
    agent.wait().expect_code(130);
    assert_eq!(home.look(&asked.id).state, "withdrawn");
    home.approve(&asked).expect_code(6);
    assert!(!home.root().join("ran").exists());
}

#[test]
fn without_a_daemon_nothing_runs() {
    let mut home = Home::new();
    home.stop();
    home.agent(&["run", "--", "touch", "ran"]).expect_code(122);
    assert!(!home.root().join("ran").exists());
}

#[test]
fn a_request_keeps_its_place_when_the_daemon_starts_anew() {
    let mut home = Home::new();
    let (agent, first) = held(&home, &["--", "echo", "first"]);
    home.stop();
    home.start();
    assert_eq!(home.look(&first.id), first);
    home.kill();
    home.start();
    assert_eq!(home.look(&first.id), first);
    home.approve(&first).expect_code(0);
    assert_eq!(agent.wait().expect_code(0).stdout, "first\n");
    assert_eq!(home.list().len(), 1);
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn the_programs_own_code_and_output_pass_through() {
    let home = Home::new();
    let script = "echo out; echo err >&2; exit 3";
    let (agent, asked) = held(&home, &["--", "sh", "-c", script]);
    home.approve(&asked).expect_code(0);
    let ran = agent.wait().expect_code(3);
    assert_eq!(ran.stdout, "out\n");
    assert!(ran.stderr.contains("err\n"), "{ran:?}");
    home.wait_until_state(&asked.id, "failed");
    let shown = show(&home, &asked);
    assert_eq!(shown["execution"]["exit"], 3);
}

#[test]
fn output_that_is_taken_late_is_whole() {
    let home = Home::new();
    let mut command = home.agent_command(&["run", "--", "seq", "1", "22000"]);
    let mut agent = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("to start");
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    // Longer than what a program leaves behind is waited for.
    std::thread::sleep(Duration::from_secs(4));
    let mut output = String::new();
    let mut stdout = agent.stdout.take().expect("a pipe");
    stdout.read_to_string(&mut output).expect("text");
    assert_eq!(output.lines().last(), Some("22000"));
    assert_eq!(output.len(), 120_894);
    assert!(agent.wait().expect("to end").success());
    let shown = show(&home, &asked);
    let digest = Digest::of(output.as_bytes()).to_string();
    assert_eq!(shown["execution"]["stdout_sha256"], digest);
}

#[test]
fn the_programs_death_by_a_signal_passes_through() {
    let home = Home::new();
    let (agent, asked) = held(&home, &["--", "sh", "-c", "kill -KILL $$"]);
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(137);
    home.wait_until_state(&asked.id, "killed");
}

#[test]
fn a_signal_to_the_agent_reaches_the_program() {
    let home = Home::new();
    let script = "trap 'exit 7' TERM; touch up; while :; do sleep 0.05; done";
    let (agent, asked) = held(&home, &["--", "sh", "-c", script]);
    home.approve(&asked).expect_code(0);
    wait_until("the program runs", || home.root().join("up").exists());
    agent.signal(Signal::TERM);
    agent.wait().expect_code(7);
}

#[test]
fn a_program_that_is_not_there_is_told_as_env_tells_it() {
    let home = Home::new();
    home.agent(&["run", "--", "no-such-program"])
        .expect_code(127);
    fs::write(home.root().join("plain"), "text").unwrap();
    home.agent(&["run", "--", "./plain"]).expect_code(126);
    assert!(home.list().is_empty());
}

#[test]
fn standard_input_is_shown_and_nothing_else_is_fed() {
    let home = Home::new();
    let input = home.root().join("input");
    fs::write(&input, "drop nothing\n").unwrap();
    let mut command = home.agent_command(&["run", "--", "cat"]);
    let file = fs::File::open(&input).unwrap();
    let (agent, asked) = held_as(&home, &mut command, Stdio::from(file));
    let shown = show(&home, &asked);
    let stdin = &shown["document"]["action"]["arguments"]["stdin"];
    assert_eq!(stdin["text"], "drop nothing\n", "{stdin}");
    fs::write(&input, "drop everything\n").unwrap();
    home.approve(&asked).expect_code(0);
    assert_eq!(agent.wait().expect_code(0).stdout, "drop nothing\n");
}

#[test]
fn a_script_that_changed_while_pending_does_not_run() {
    let home = Home::new();
    let script = home.root().join("tool.sh");
    tool(&script, "good");
    let (agent, asked) = held(&home, &["--", "./tool.sh"]);
    tool(&script, "evil");
    home.approve(&asked).expect_code(0);
    let ran = agent.wait().expect_code(120);
    assert!(ran.stderr.contains("changed"), "{ran:?}");
    assert_eq!(traces(home.root()), "");
    assert_eq!(home.look(&asked.id).state, "withdrawn");
}

#[test]
fn a_script_rewritten_in_place_while_it_runs_goes_on_as_it_was_approved() {
    let home = Home::new();
    let script = home.root().join("tool.sh");
    tool(&script, "good");
    let approved = "#!/bin/sh\ntouch up\nwhile ! test -e go; do sleep 0.02; done\n";
    fs::write(&script, approved).unwrap();
    let (agent, asked) = held(&home, &["--", "./tool.sh"]);
    let shown = show(&home, &asked);
    let hash = &shown["document"]["action"]["arguments"]["program"]["sha256"];
    assert_eq!(hash, &Digest::of(approved.as_bytes()).to_hex());
    home.approve(&asked).expect_code(0);
    wait_until("the script runs", || home.root().join("up").exists());
    // A shell reads the rest of a file only when it gets there.
    fs::write(&script, format!("{approved}touch evil\n")).unwrap();
    fs::write(home.root().join("go"), "").unwrap();
    agent.wait().expect_code(0);
    assert!(!home.root().join("evil").exists());
}

#[test]
fn a_program_put_in_the_place_of_the_shown_one_does_not_run() {
    let home = Home::new();
    let script = home.root().join("tool.sh");
    tool(&script, "good");
    let (agent, asked) = held(&home, &["--", "./tool.sh"]);
    let other = home.root().join("other.sh");
    tool(&other, "evil");
    fs::rename(&other, &script).unwrap();
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(120);
    assert_eq!(traces(home.root()), "");
}

#[test]
fn a_program_put_before_the_shown_one_on_path_does_not_run() {
    let home = Home::new();
    let [before, behind] = ["before", "behind"].map(|name| home.make_dir(name));
    tool(&behind.join("tool"), "good");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", before.display(), behind.display());
    let mut command = home.agent_command(&["run", "--", "tool"]);
    let (agent, asked) = held_as(&home, command.env("PATH", path), Stdio::null());
    let shown = show(&home, &asked);
    let program = &shown["document"]["action"]["arguments"]["program"]["path"];
    assert_eq!(program, behind.join("tool").to_str().unwrap());
    tool(&before.join("tool"), "evil");
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(0);
    assert_eq!(traces(home.root()), "good\n");
}

#[test]
fn a_link_that_is_turned_while_pending_leads_to_nothing_else() {
    let home = Home::new();
    let [good, evil, link] = ["good.sh", "evil.sh", "link"].map(|name| home.root().join(name));
    tool(&good, "good");
    tool(&evil, "evil");
    symlink(&good, &link).unwrap();
    let (agent, asked) = held(&home, &["--", "./link"]);
    let shown = show(&home, &asked);
    let program = &shown["document"]["action"]["arguments"]["program"]["path"];
    assert_eq!(program, good.to_str().unwrap());
    fs::remove_file(&link).unwrap();
    symlink(&evil, &link).unwrap();
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(0);
    assert_eq!(traces(home.root()), "good\n");
}

#[test]
fn a_directory_that_was_exchanged_while_pending_is_not_run_in() {
    let home = Home::new();
    let directory = home.make_dir("work");
    let (agent, asked) = held(&home, &["--cwd", "work", "--", "touch", "ran"]);
    fs::rename(&directory, home.root().join("moved")).unwrap();
    home.make_dir("work");
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(120);
    assert!(!directory.join("ran").exists());
    assert!(!home.root().join("moved/ran").exists());
}

#[test]
fn a_link_to_a_directory_that_is_turned_while_pending_leads_to_the_shown_one() {
    let home = Home::new();
    let [good, evil] = ["good", "evil"].map(|name| home.make_dir(name));
    let link = home.root().join("link");
    symlink(&good, &link).unwrap();
    let (agent, asked) = held(&home, &["--cwd", "link", "--", "touch", "ran"]);
    fs::remove_file(&link).unwrap();
    symlink(&evil, &link).unwrap();
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(0);
    assert!(good.join("ran").exists());
    assert!(!evil.join("ran").exists());
}

#[test]
fn only_the_shown_variables_reach_the_program() {
    let home = Home::new();
    let mut command = home.agent_command(&["run", "--env", "PGHOST", "--", "env"]);
    command
        .env("PGHOST", "orders.example.org")
        .env("BASH_ENV", "/tmp/evil")
        .env("GIT_SSH_COMMAND", "/tmp/evil")
        .env("PYTHONPATH", "/tmp/evil")
        .env("TOKEN", "hunter2");
    let (agent, asked) = held_as(&home, &mut command, Stdio::null());
    let shown = show(&home, &asked);
    let environment = &shown["document"]["action"]["context"]["environment"];
    let environment = environment.as_object().unwrap();
    assert_eq!(environment["PGHOST"], "orders.example.org");
    home.approve(&asked).expect_code(0);
    let ran = agent.wait().expect_code(0);
    assert!(
        !ran.stdout.contains("evil") && !ran.stdout.contains("hunter2"),
        "{ran:?}"
    );
    let names: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert!(
        names.iter().all(|name| environment.contains_key(*name)),
        "{names:?}"
    );
    assert_eq!(names.len(), environment.len());
}

#[test]
fn the_status_tells_our_120_from_the_programs() {
    let home = Home::new();
    let command = home.agent_command(&["run", "--status-fd", "3", "--", "sh", "-c", "exit 120"]);
    let status = home.root().join("status");
    let redirected = format!("exec \"$0\" \"$@\" 3>{}", status.display());
    let mut shell = std::process::Command::new("sh");
    home.furnish(&mut shell);
    shell
        .env("COUNTERSIGN_HOME", home.path())
        .current_dir(home.root());
    shell
        .arg("-c")
        .arg(redirected)
        .arg(command.get_program())
        .args(command.get_args());
    let (agent, asked) = held_as(&home, &mut shell, Stdio::null());
    home.approve(&asked).expect_code(0);
    agent.wait().expect_code(120);
    let line: serde_json::Value = serde_json::from_slice(&fs::read(&status).unwrap()).unwrap();
    assert_eq!(
        (&line["ran"], &line["exit"]),
        (&true.into(), &120.into()),
        "{line}"
    );
    let agent = Running::start(&mut shell, Stdio::null());
    let asked = home.wait_for_state("pending");
    home.deny(&asked, "no").expect_code(0);
    agent.wait().expect_code(120);
    let line: serde_json::Value = serde_json::from_slice(&fs::read(&status).unwrap()).unwrap();
    assert_eq!(line["ran"], false, "{line}");
}

#[test]
fn a_run_ends_when_a_reviewer_asks_for_it_also_after_the_daemon_came_back() {
    let mut home = Home::new();
    for is_away_between in [false, true] {
        let marker = home.root().join(format!("began-{is_away_between}"));
        let script = format!("touch {}; sleep 300; echo survived", marker.display());
        let (agent, asked) = held(&home, &["--", "sh", "-c", &script]);
        home.approve(&asked).expect_code(0);
        wait_until("it runs", || marker.exists());
        wait_until("its start is known", || {
            home.look(&asked.id).state == "running"
        });
        if is_away_between {
            home.stop();
            home.start();
        }
        let killed = home.person(&["kill", &asked.id, "--reason", "wrong window"]);
        killed.expect_code(0);
        let ran = agent.wait().expect_code(143);
        assert!(
            ran.stderr.contains("a reviewer asks for the end"),
            "{ran:?}"
        );
        assert!(!ran.stdout.contains("survived"), "{ran:?}");
        assert_eq!(home.look(&asked.id).state, "killed");
    }
}

#[test]
fn a_program_that_does_not_mind_being_asked_is_killed() {
    let home = Home::new();
    let marker = home.root().join("began");
    let script = format!(
        "trap '' TERM; touch {}; while :; do sleep 1; done",
        marker.display()
    );
    let (agent, asked) = held(&home, &["--", "sh", "-c", &script]);
    home.approve(&asked).expect_code(0);
    wait_until("it runs", || marker.exists());
    let killed = home.person(&["kill", &asked.id, "--reason", "wrong window"]);
    killed.expect_code(0);
    agent.wait().expect_code(137);
    assert_eq!(home.look(&asked.id).state, "killed");
}
