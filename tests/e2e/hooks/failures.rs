//! Everything that can go wrong with a hook, held against what clients do then.
//!
//! A client makes the call, at least in one of its versions or modes, when a hook ends with another
//! code than 0 and 2, says nothing, says something that is no answer in its dialect, or is killed.
//! `heard` fails the test on each of these that the hook could have done anything about.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_tests::line::Line;
use countersign_tests::programs::{AGENT, program};
use countersign_tests::wait::wait_at_most;
use countersign_tests::{Home, Running, wait_until};
use rustix::process::Signal;

use super::{CLIENTS, Call, Heard, answer, event_of, heard, start_with, written};

#[test]
fn without_a_daemon_no_call_is_made() {
    let mut home = Home::new();
    home.stop();
    for client in CLIENTS {
        let hook = Call::new(client, "make").start(&home, &[]);
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
}

#[test]
fn a_daemon_that_is_killed_while_the_call_is_held_allows_nothing() {
    for client in CLIENTS {
        let mut home = Home::new();
        let (hook, _) = Call::new(client, "make").held(&home, &["--limit", "4s"]);
        home.kill();
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
}

#[test]
fn a_daemon_that_is_slow_is_not_waited_for_beyond_the_clients_time() {
    let mut home = Home::new();
    home.daemon().signal(Signal::STOP);
    for client in CLIENTS {
        let hook = Call::new(client, "make").start(&home, &["--limit", "1s"]);
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
    home.daemon().signal(Signal::CONT);
}

#[test]
fn what_is_no_event_of_the_client_is_no_answer() {
    let home = Home::new();
    for client in CLIENTS {
        let whole = Call::new(client, "make").before(&home).to_string();
        let cut = &whole[..whole.len() / 2];
        let twice = whole.replacen('{', "{\"cwd\":\"/\",", 1);
        let endless = format!("{whole}{whole}");
        let others = CLIENTS
            .iter()
            // These two write the same names.
            .filter(|other| **other != client && !(client == "claude" && **other == "codex"))
            .filter(|other| !(client == "codex" && **other == "claude"))
            .map(|other| Call::new(other, "make").before(&home).to_string());
        let mut inputs: Vec<String> = ["", "{", "[]", "null", "7", "{}", "\u{0}", cut]
            .map(str::to_owned)
            .to_vec();
        inputs.extend([twice, endless]);
        inputs.extend(others);
        for input in inputs {
            let mut command = home.agent_command(&["hook", client]);
            command.args(event_of(client, true));
            let hook = start_with(&home, &mut command, input.as_bytes());
            assert_eq!(answer(client, hook), Heard::Failed, "{client}: {input}");
        }
    }
    assert!(home.list().is_empty());
}

#[test]
fn an_input_that_does_not_end_is_not_waited_for() {
    let home = Home::new();
    let mut command = home.agent_command(&["hook", "claude", "--limit", "1s"]);
    let (read, write) = std::io::pipe().unwrap();
    let hook = Running::start(&mut command, Stdio::from(read));
    assert_eq!(answer("claude", hook), Heard::Failed);
    drop(write);
}

#[test]
fn without_the_logs_key_no_call_is_made() {
    let home = Home::new();
    for dir in [home.path(), home.path().join("run")] {
        let key = dir.join("log.vkey");
        if key.exists() {
            fs::remove_file(key).unwrap();
        }
    }
    for client in CLIENTS {
        let hook = Call::new(client, "make").start(&home, &[]);
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
}

#[test]
fn without_a_place_for_tickets_no_call_is_made() {
    let home = Home::new();
    let file = home.root().join("no-directory");
    fs::write(&file, "").unwrap();
    for client in CLIENTS {
        let mut command = home.agent_command(&["hook", client]);
        command
            .args(event_of(client, true))
            .env("COUNTERSIGN_STATE", &file);
        let payload = Call::new(client, "make").before(&home).to_string();
        let hook = start_with(&home, &mut command, payload.as_bytes());
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
}

#[test]
fn a_command_line_that_is_wrong_is_no_answer() {
    let home = Home::new();
    for line in [
        &["hook"][..],
        &["hook", "--help"],
        &["hook", "claude", "--help"],
        &["hook", "cursor"],
        &["hook", "claude", "--limit", "0s"],
        &["hook", "claude", "--event", "PostToolUse"],
        &["hook", "copilot"],
    ] {
        let payload = Call::new("claude", "make").before(&home).to_string();
        let hook = start_with(&home, &mut home.agent_command(line), payload.as_bytes());
        assert_eq!(answer("claude", hook), Heard::Failed, "{line:?}");
    }
    assert!(home.list().is_empty());
}

#[test]
fn a_hook_that_is_killed_leaves_nothing_that_could_be_approved() {
    for client in CLIENTS {
        let home = Home::with("[limits]\ndisconnect_grace = \"1s\"\n");
        let (hook, asked) = Call::new(client, "make").held(&home, &[]);
        hook.signal(Signal::KILL);
        let ran = hook.wait().expect_code(128 + 9);
        assert_eq!(ran.stdout, "", "{client}");
        home.wait_until_state(&asked.id, "withdrawn");
        home.approve(&asked).expect_code(6);
    }
}

#[test]
fn a_client_that_gives_up_takes_the_request_back() {
    for client in CLIENTS {
        let home = Home::new();
        let (hook, asked) = Call::new(client, "make").held(&home, &[]);
        hook.signal(Signal::TERM);
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
        assert_eq!(home.look(&asked.id).state, "withdrawn");
    }
}

/// Starts a hook below a shell that waits for it, as some clients do.
fn below_a_shell(home: &Home, script: &str) -> Running {
    let payload = Call::new("claude", "make").before(home).to_string();
    let mut shell = Command::new("sh");
    home.furnish(&mut shell);
    shell
        .env("COUNTERSIGN_HOME", home.path())
        .current_dir(home.root())
        .args(["-c", script])
        .arg(program(AGENT))
        .arg(written(home, payload.as_bytes()))
        .process_group(0);
    Running::start(&mut shell, Stdio::null())
}

#[test]
fn a_client_that_vanishes_takes_the_request_back() {
    // The grace is far longer than the test waits: the hook itself notices.
    let home = Home::with("[limits]\ndisconnect_grace = \"10m\"\n");
    let shell = below_a_shell(&home, "\"$0\" hook claude <\"$1\" >out 2>err; exit $?");
    let asked = home.wait_for_state("pending");
    shell.signal(Signal::KILL);
    home.wait_until_state(&asked.id, "withdrawn");
    assert_eq!(fs::read_to_string(home.root().join("out")).unwrap(), "");
}

#[test]
fn a_yes_that_nobody_heard_is_reported_as_not_run() {
    let home = Home::new();
    let script = "{ \"$0\" hook claude <\"$1\"; echo $? >code; } | true; cat code";
    let shell = below_a_shell(&home, script);
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    assert_eq!(shell.wait().stdout, "2\n");
    assert_eq!(home.look(&asked.id).state, "not-run");
}

#[test]
fn an_answer_that_nobody_can_hear_is_a_failure_and_nobody_is_asked() {
    // A yes as well as a no: policy decides both at once.
    let permit = "@id(\"all\") @review(\"nobody\")
permit (principal, action == Action::\"exec.run\", resource);
";
    let forbid = "@id(\"none\") @because(\"none of them\")
forbid (principal, action == Action::\"exec.run\", resource);
";
    for policy in [permit, forbid] {
        let home = Home::with_policy("", policy);
        for closed in [">&-", ">/dev/null"] {
            let script = format!("\"$0\" hook claude <\"$1\" {closed} 2>err; echo $?");
            let ran = below_a_shell(&home, &script).wait();
            assert_eq!(ran.stdout, "2\n", "{closed}");
            let reason = fs::read_to_string(home.root().join("err")).unwrap();
            assert!(reason.contains("nobody hears"), "{closed}: {reason}");
        }
        assert!(home.list().is_empty());
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_a_failure_and_no_signal() {
    let home = Home::new();
    for line in ["claude", "claude --nope", "cursor"] {
        let script = format!("ulimit -f 0; \"$0\" hook {line} <\"$1\" 2>err; echo $?");
        let ran = below_a_shell(&home, &script).wait();
        assert_eq!(ran.stdout, "2\n", "{line}");
    }
    // What was asked before that could not be kept, and is wanted by nobody.
    for asked in home.list() {
        assert_ne!(asked["state"], "redeemed", "{asked}");
    }
}

#[test]
fn a_lost_answer_to_the_redemption_allows_nothing() {
    let home = Home::new();
    let line = Line::to(&home);
    let mut command = home.agent_command(&["--home"]);
    command.arg(line.path()).args(["hook", "claude"]);
    let payload = Call::new("claude", "make").before(&home).to_string();
    let hook = start_with(&home, &mut command, payload.as_bytes());
    let asked = home.wait_for_state("pending");
    wait_until("it asked and waits", || line.connections() == 2);
    line.swallow();
    home.approve(&asked).expect_code(0);
    home.wait_until_state(&asked.id, "redeemed");
    line.cut();
    assert_eq!(answer("claude", hook), Heard::Failed);
    assert_eq!(home.look(&asked.id).state, "not-run");
}

#[test]
fn an_answer_to_the_redemption_that_does_not_come_is_not_waited_for_beyond_the_clients_time() {
    let home = Home::new();
    let line = Line::to(&home);
    let mut command = home.agent_command(&["--home"]);
    command.arg(line.path());
    command.args(["hook", "claude", "--limit", "5s"]);
    let payload = Call::new("claude", "make").before(&home).to_string();
    let mut hook = start_with(&home, &mut command, payload.as_bytes());
    let asked = home.wait_for_state("pending");
    wait_until("it asked and waits", || line.connections() == 2);
    line.swallow();
    home.approve(&asked).expect_code(0);
    home.wait_until_state(&asked.id, "redeemed");
    let ended = wait_at_most(Duration::from_secs(15), || hook.has_ended().then_some(()));
    assert!(ended.is_some(), "it still waits");
    assert_eq!(answer("claude", hook), Heard::Failed);
}

#[test]
fn a_patch_made_to_be_slow_does_not_outlast_the_clients_time() {
    let home = Home::new();
    fs::write(home.root().join("big.txt"), "a\n".repeat(120_000)).unwrap();
    let removed = "-a\n".repeat(60_000);
    let patch =
        format!("*** Begin Patch\n*** Update File: big.txt\n@@\n{removed}-b\n+c\n*** End Patch");
    let in_a_shell = format!("apply_patch <<'EOF'\n{patch}\nEOF");
    for (client, tool, command) in [
        ("codex", "apply_patch", &patch),
        ("codex", "Bash", &in_a_shell),
        ("copilot", "bash", &in_a_shell),
    ] {
        let mut payload = Call::new(client, command).before(&home);
        if client == "codex" {
            payload["tool_name"] = tool.into();
        }
        let mut command = home.agent_command(&["hook", client, "--limit", "3s"]);
        command.args(event_of(client, true));
        let mut hook = start_with(&home, &mut command, payload.to_string().as_bytes());
        let ended = wait_at_most(Duration::from_secs(8), || hook.has_ended().then_some(()));
        assert!(ended.is_some(), "{client} {tool}: it still thinks");
        let heard = answer(client, hook);
        assert!(
            matches!(heard, Heard::Denied(_) | Heard::Failed),
            "{client}: {heard:?}"
        );
    }
}

/// Puts something in the place of the log's key that nobody ever answers from.
#[track_caller]
fn stuck(home: &Home) {
    for dir in [home.path(), home.path().join("run")] {
        let key = dir.join("log.vkey");
        if key.exists() {
            fs::remove_file(&key).expect("our own file");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &key,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .expect("a pipe");
        }
    }
}

#[test]
fn a_file_that_never_comes_is_not_waited_for_beyond_the_limit() {
    let home = Home::new();
    stuck(&home);
    for client in CLIENTS {
        let mut hook = Call::new(client, "make").start(&home, &["--limit", "1s"]);
        let ended = wait_at_most(Duration::from_secs(6), || hook.has_ended().then_some(()));
        assert!(ended.is_some(), "{client}: it still waits");
        assert_eq!(answer(client, hook), Heard::Failed, "{client}");
    }
}

#[test]
fn a_reader_of_the_reasons_that_is_stuck_does_not_keep_the_hook() {
    let home = Home::new();
    stuck(&home);
    let (read, mut write) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&write, true).unwrap();
    while std::io::Write::write(&mut write, &[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&write, false).unwrap();
    let payload = Call::new("claude", "make").before(&home).to_string();
    // Once while it hangs, and once while it would say at once what is wrong.
    for input in [payload.as_str(), "{"] {
        let mut hook = home
            .agent_command(&["hook", "claude", "--limit", "1s"])
            .stdin(fs::File::open(written(&home, input.as_bytes())).unwrap())
            .stdout(Stdio::piped())
            .stderr(write.try_clone().unwrap())
            .spawn()
            .unwrap();
        let ended = wait_at_most(Duration::from_secs(6), || hook.try_wait().unwrap());
        drop(hook.kill());
        let output = hook.wait_with_output().unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(2), "{input}");
        assert_eq!(output.stdout, b"", "{input}");
    }
    drop(read);
}

#[test]
fn a_full_disk_allows_nothing() {
    let home = Home::new();
    let (hook, asked) = Call::new("claude", "make").held(&home, &["--limit", "6s"]);
    // Whatever the hook would leave for the report has no place any more.
    let calls = home.root().join("state/calls");
    fs::write(&calls, "").unwrap();
    home.approve(&asked).expect_code(0);
    let ran = hook.wait();
    assert_eq!(heard("claude", &ran), Heard::Failed);
    wait_until("it is reported", || home.look(&asked.id).state == "not-run");
}
