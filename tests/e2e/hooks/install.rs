//! `countersign-agent install`: what it writes makes the client start a hook that holds the call.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use countersign_tests::Home;
use serde_json::Value;

use super::{CLIENTS, Call, Heard, answer, start_with};

/// Puts a `claude` of some version before all others on `PATH`.
fn with_claude(home: &Home, version: &str, line: &[&str]) -> Command {
    let bin = home.make_dir("bin");
    let program = bin.join("claude");
    fs::write(
        &program,
        format!("#!/bin/sh\necho '{version} (Claude Code)'\n"),
    )
    .expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = home.agent_command(line);
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", bin.display()));
    command
}

/// Returns the command that a client would start before a call, as it stands in its settings.
fn command_in(client: &str, settings: &Value) -> Command {
    let first = |name: &str| &settings["hooks"][name][0];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    if client == "claude" {
        let hook = &first("PreToolUse")["hooks"][0];
        let mut command = Command::new(text(&hook["command"]));
        for word in hook["args"].as_array().expect("words") {
            command.arg(text(word));
        }
        return command;
    }
    let line = match client {
        "codex" => text(&first("PreToolUse")["hooks"][0]["command"]),
        "gemini" => text(&first("BeforeTool")["hooks"][0]["command"]),
        _ => text(&first("preToolUse")["bash"]),
    };
    let mut command = Command::new("bash");
    command.args(["-c", &line]);
    command
}

#[test]
fn what_is_installed_holds_a_call() {
    let home = Home::new();
    for (client, path) in CLIENTS.into_iter().zip([
        ".claude/settings.json",
        ".codex/hooks.json",
        ".gemini/settings.json",
        ".copilot/hooks/countersign.json",
    ]) {
        let daemon = home.path();
        let line = ["--home", daemon.to_str().unwrap(), "install", client];
        countersign_tests::process::run(&mut with_claude(&home, "2.1.330", &line)).expect_code(0);
        let text = fs::read_to_string(home.root().join(path)).unwrap();
        let settings: Value = serde_json::from_str(&text).unwrap();
        let mut command = command_in(client, &settings);
        home.furnish(&mut command);
        command.current_dir(home.root());
        let payload = Call::new(client, &format!("echo {client}")).before(&home);
        let hook = start_with(&home, &mut command, payload.to_string().as_bytes());
        let asked = home.wait_for_state("pending");
        home.approve(&asked).expect_code(0);
        assert_eq!(answer(client, hook), Heard::Allowed, "{client}");

        let line = [&line[..], &["--remove"]].concat();
        home.agent(&line).expect_code(0);
        let left = fs::read_to_string(home.root().join(path)).unwrap();
        assert!(!left.contains("countersign-agent"), "{left}");
    }
}

#[test]
fn a_claude_that_lets_calls_pass_when_a_hook_fails_is_refused() {
    let home = Home::new();
    let line = ["install", "claude"];
    let ran = countersign_tests::process::run(&mut with_claude(&home, "2.1.197", &line));
    let ran = ran.expect_code(1);
    assert!(
        ran.stderr.contains("2.1.197") && ran.stderr.contains("2.1.295"),
        "{ran:?}"
    );
    assert!(!home.root().join(".claude").exists());
}

#[test]
fn a_dry_run_writes_nothing_and_warns_all_the_same() {
    let home = Home::new();
    let ran = home
        .agent(&["install", "codex", "--dry-run"])
        .expect_code(0);
    // What is shown can be put in by hand.
    let shown: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert!(shown["hooks"]["PreToolUse"].is_array(), "{ran:?}");
    assert!(ran.stderr.contains("codex makes the call when"), "{ran:?}");
    assert!(ran.stderr.contains("take the hook out"), "{ran:?}");
    assert!(!home.root().join(".codex").exists());
}

#[test]
fn a_project_has_settings_of_its_own_and_managed_ones_are_not_everywhere() {
    let home = Home::new();
    home.agent(&["install", "gemini", "--project"])
        .expect_code(0);
    let project = home.root().join(".gemini/settings.json");
    assert!(fs::read_to_string(project).unwrap().contains("BeforeTool"));
    home.agent(&["install", "copilot", "--managed"])
        .expect_code(2);
    home.agent(&["install", "claude", "--project", "--managed"])
        .expect_code(2);
}

#[test]
fn doctor_sends_a_canary_through_every_installed_hook_and_leaves_nothing_behind() {
    let home = Home::new();
    let daemon = home.path();
    let doctor = || home.person(&["--home", daemon.to_str().unwrap(), "doctor", "--hooks"]);
    let nothing = doctor().expect_code(1).stdout;
    assert!(
        nothing.contains("bad  hooks: none is installed"),
        "{nothing}"
    );
    assert!(home.list().is_empty());
    for client in CLIENTS {
        home.agent(&["--home", daemon.to_str().unwrap(), "install", client])
            .expect_code(0);
    }
    let said = doctor().stdout;
    for client in CLIENTS {
        // Where the tests run is the project, so both settings may be meant.
        let held = said.lines().any(|line| {
            line.starts_with(&format!("ok   hook of {client}: in the user's "))
                && line.contains("; a call was held as req_")
        });
        assert!(held, "{said}");
    }
    let states: Vec<String> = home
        .list()
        .iter()
        .map(|request| request["state"].as_str().expect("a state").to_owned())
        .collect();
    assert_eq!(states, ["withdrawn"; 4]);
}
