//! `countersign-agent exec`: the daemon runs what was approved, with secrets that agents never hold.

mod apart;
mod at_once;
mod ends;
mod input;
mod streams;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use countersign_shared::digest::Digest;
use countersign_tests::home::Asked;
use countersign_tests::{Home, Ran, Running, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::asking::{held_as, show};

/// The secret of every profile here.
const SECRET: &str = "hunter2-hunter2";

/// Permits what the profile `deploy` runs without asking anybody.
const NOBODY: &str = "@id(\"deploy\") @review(\"nobody\")\n\
    permit (principal, action == Action::\"exec.run\", resource)\n\
    when { resource.kind == \"profile\" };\n";

/// Writes a program.
#[track_caller]
fn tool(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Writes the file of a secret.
#[track_caller]
fn secret(path: &Path) {
    fs::write(path, format!("{SECRET}\n")).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// An installation with the profile `deploy`, which runs `tool` in `work` with a secret.
struct Place {
    home: Home,
}

impl Place {
    /// Makes it, with these further lines of the profile. Everything is held.
    #[track_caller]
    fn new(script: &str, lines: &str) -> Self {
        Self::with_policy(script, lines, "")
    }

    /// As [`Place::new`], under a policy.
    #[track_caller]
    fn with_policy(script: &str, lines: &str, policy: &str) -> Self {
        let home = Home::stopped("");
        if !policy.is_empty() {
            home.write_policy(policy);
        }
        let mut place = Self { home };
        place.home.make_dir("work");
        tool(&place.tool(), script);
        secret(&place.root().join("secret"));
        place.write_profile(lines);
        place.home.start();
        place
    }

    #[track_caller]
    fn write_profile(&self, lines: &str) {
        let root = self.root().display();
        let text = format!(
            "[profile.deploy]\nprograms = [\"{root}/tool\", \"/bin/true\"]\n\
             directories = [\"{root}/work\"]\n{lines}\n\
             [profile.deploy.secrets]\nTOKEN = {{ file = \"{root}/secret\" }}\n"
        );
        fs::write(self.home.path().join("profiles.toml"), text).expect("a file");
    }

    fn root(&self) -> &Path {
        self.home.root()
    }

    fn tool(&self) -> PathBuf {
        self.root().join("tool")
    }

    fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// Starts `exec` with these arguments after the profile.
    #[track_caller]
    fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.home.agent_command(&["exec", "--as", "deploy"]);
        Running::start(command.args(arguments), Stdio::null())
    }

    /// Starts `exec` and waits until it is held.
    #[track_caller]
    fn held(&self, arguments: &[&str]) -> (Running, Asked) {
        let mut command = self.home.agent_command(&["exec", "--as", "deploy"]);
        held_as(&self.home, command.args(arguments), Stdio::null())
    }

    /// Runs `exec` to its end; nobody is asked.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).wait()
    }

    /// Returns the entries of the log.
    #[track_caller]
    fn log(&self) -> String {
        let log = self.home.person(&["log", "--json"]);
        log.expect_code(0).stdout
    }
}

#[test]
fn what_was_approved_runs_with_a_secret_that_the_agent_never_sees() {
    let script = "echo \"out $TOKEN\"; echo \"err $TOKEN\" >&2; \
                  printf %s \"$TOKEN\" | sha256sum >seen; exit 3";
    let place = Place::new(script, "");
    let (agent, asked) = place.held(&["--reason", "release 5", "--", "tool", "a b"]);
    let shown = show(&place.home, &asked);
    let action = &shown["document"]["action"];
    assert_eq!(
        action["arguments"]["argv"],
        serde_json::json!(["tool", "a b"])
    );
    assert_eq!(
        action["arguments"]["program"]["path"],
        place.tool().to_str().unwrap()
    );
    let profile = &action["arguments"]["profile"];
    assert_eq!(profile["name"], "deploy");
    assert_eq!(profile["secrets"]["TOKEN"], "environment");
    assert_eq!(action["target"]["kind"], "profile");
    assert_eq!(action["context"]["cwd"], place.work().to_str().unwrap());
    assert_eq!(shown["requirement"]["run_by"], "daemon");
    place.home.approve(&asked).expect_code(0);
    let ran = agent.wait().expect_code(3);
    assert_eq!(ran.stdout, "out [masked TOKEN]\n");
    assert_eq!(ran.stderr, "err [masked TOKEN]\n");
    // It had the real one.
    let seen = fs::read_to_string(place.work().join("seen")).unwrap();
    assert!(
        seen.starts_with(&Digest::of(SECRET.as_bytes()).to_hex()),
        "{seen}"
    );
    place.home.wait_until_state(&asked.id, "failed");
    let execution = &show(&place.home, &asked)["execution"];
    assert_eq!(execution["executor"], "daemon");
    assert_eq!(execution["exit"], 3);
    let digest = Digest::of(ran.stdout.as_bytes()).to_hex();
    assert_eq!(execution["stdout_sha256"], format!("sha256:{digest}"));
    // Nothing of ours holds it either.
    let database = fs::read(place.home.path().join("state.db")).unwrap();
    let found = database
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes());
    assert!(!found && !place.log().contains(SECRET));
    place.home.person(&["verify"]).expect_code(0);
}

#[test]
fn what_asks_nobody_runs_at_once_and_is_logged_all_the_same() {
    let place = Place::with_policy("cat", "", NOBODY);
    let ran = place.run(&["--", "true"]).expect_code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let log = place.log();
    for word in [
        "request.redeemed",
        "execution.started",
        "execution.finished",
    ] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert_eq!(place.home.list()[0]["state"], "succeeded");
    place.home.person(&["verify"]).expect_code(0);
}

#[test]
fn a_denied_command_is_not_run_and_its_asker_cannot_take_the_use_instead() {
    let place = Place::new("touch ran", "");
    let (agent, asked) = place.held(&["--", "tool"]);
    place.home.deny(&asked, "not now").expect_code(0);
    let ran = agent.wait().expect_code(120);
    assert!(ran.stderr.contains("not now"), "{ran:?}");
    assert!(!place.work().join("ran").exists());
}

#[test]
fn the_agents_side_cannot_redeem_what_the_daemon_is_to_run() {
    let place = Place::new("touch ran", "");
    let (agent, asked) = place.held(&["--", "tool"]);
    // Stopped, so that it cannot take the use itself.
    place.stop(&agent, &asked);
    place.home.approve(&asked).expect_code(0);
    let exact = crate::asking::document(&place.home, &asked);
    let ran = crate::asking::redeem(&place.home, &asked, &exact).expect_code(4);
    assert!(ran.stderr.contains("execut"), "{ran:?}");
    agent.signal(Signal::CONT);
    agent.wait().expect_code(0);
    assert!(place.work().join("ran").exists());
}

#[test]
fn a_program_that_changed_after_the_approval_is_not_run() {
    let place = Place::new("touch good", "");
    let (agent, asked) = place.held(&["--", "tool"]);
    tool(&place.tool(), "touch evil");
    place.home.approve(&asked).expect_code(0);
    let ran = agent.wait().expect_code(120);
    assert!(ran.stderr.contains("/arguments/program"), "{ran:?}");
    assert!(!place.work().join("good").exists() && !place.work().join("evil").exists());
    assert_eq!(place.home.look(&asked.id).state, "withdrawn");
}

#[test]
fn a_profile_that_changed_after_the_approval_is_not_run() {
    let place = Place::new("touch ran", "");
    let (agent, asked) = place.held(&["--", "tool"]);
    place.stop(&agent, &asked);
    place.home.approve(&asked).expect_code(0);
    place.change(|| place.write_profile("environment = { PLACE = \"production\" }"));
    agent.signal(Signal::CONT);
    agent.wait().expect_code(120);
    assert!(!place.work().join("ran").exists());
}

#[test]
fn an_agent_decides_neither_directory_nor_environment_nor_program() {
    let script = "echo \"$PLACE $EXTRA $LD_PRELOAD\"; pwd";
    let lines = "environment = { PLACE = \"staging\" }\nfrom_agent = [\"EXTRA\"]";
    let place = Place::with_policy(script, lines, NOBODY);
    let mut command = place.home.agent_command(&["exec", "--as", "deploy"]);
    command.args(["--env", "EXTRA", "--", "tool"]);
    command
        .env("EXTRA", "more")
        .env("PLACE", "production")
        .env("LD_PRELOAD", "/tmp/evil.so");
    let ran = Running::start(&mut command, Stdio::null())
        .wait()
        .expect_code(0);
    let work = place.work();
    assert_eq!(ran.stdout, format!("staging more \n{}\n", work.display()));
    for name in ["PLACE", "LD_PRELOAD", "TOKEN", "PATH"] {
        let mut command = place.home.agent_command(&["exec", "--as", "deploy"]);
        command
            .args(["--env", name, "--", "tool"])
            .env(name, "/tmp");
        let ran = Running::start(&mut command, Stdio::null()).wait();
        let ran = ran.expect_code(120);
        assert!(ran.stderr.contains("does not take"), "{name}: {ran:?}");
    }
    std::os::unix::fs::symlink("/", work.join("out")).unwrap();
    for directory in ["/", "work/..", "work/out", "work/out/tmp"] {
        let ran = place
            .run(&["--cwd", directory, "--", "tool"])
            .expect_code(120);
        assert!(
            ran.stderr.contains("does not run in"),
            "{directory}: {ran:?}"
        );
    }
    fs::create_dir(work.join("inner")).unwrap();
    let ran = place
        .run(&["--cwd", "work/inner", "--", "tool"])
        .expect_code(0);
    assert!(ran.stdout.ends_with("inner\n"), "{ran:?}");
    for program in ["sh", "/bin/sh", "./tool", "work/../tool"] {
        let ran = place.run(&["--", program]).expect_code(120);
        assert!(ran.stderr.contains("does not run"), "{program}: {ran:?}");
    }
    let ran = place.home.agent(&["exec", "--as", "nobody", "--", "tool"]);
    let ran = ran.expect_code(120);
    assert!(ran.stderr.contains("there is no profile"), "{ran:?}");
}

#[test]
fn an_action_that_is_not_what_the_profile_says_is_not_even_a_request() {
    let place = Place::with_policy("env", "", NOBODY);
    let ran = place.run(&["--", "true"]).expect_code(0);
    drop(ran);
    let id = place.home.list()[0]["id"].as_str().unwrap().to_owned();
    let shown = place
        .home
        .person(&["show", &id, "--json"])
        .expect_code(0)
        .json();
    let action = &shown["document"]["action"];
    let changes: [(&str, Value); 8] = [
        ("/arguments/profile/user", "somebody".into()),
        ("/arguments/profile/limits/output", 1.into()),
        ("/arguments/program/path", "/bin/false".into()),
        ("/arguments/program/sha256", "0".repeat(64).into()),
        ("/arguments/argv/0", "/bin/sh".into()),
        ("/context/cwd", "/".into()),
        ("/context/environment/PATH", "/tmp".into()),
        ("/target/name", "something-harmless".into()),
    ];
    for (pointer, value) in changes {
        let mut other = action.clone();
        *other.pointer_mut(pointer).expect(pointer) = value;
        let file = place.root().join("action.json");
        fs::write(&file, serde_json::to_vec(&other).unwrap()).unwrap();
        let file = file.to_str().unwrap();
        let ran = place.home.agent(&["request", "--document", file, "--json"]);
        assert_ne!(ran.code, 0, "{pointer}: {ran:?}");
        let code = ran.json()["error"]["code"].clone();
        assert!(
            ["profile-differs", "profile-refuses"].contains(&code.as_str().unwrap()),
            "{pointer}: {code}"
        );
    }
    assert_eq!(place.home.list().len(), 1);
}

#[test]
fn a_secret_that_cannot_be_had_costs_no_approval() {
    let place = Place::new("touch ran", "");
    let file = place.root().join("secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (agent, asked) = place.held(&["--", "tool"]);
    place.home.approve(&asked).expect_code(0);
    let ran = agent.wait().expect_code(125);
    assert!(ran.stderr.contains("`TOKEN`"), "{ran:?}");
    assert!(!ran.stderr.contains("secret`"), "{ran:?}");
    assert!(!place.work().join("ran").exists());
    assert_eq!(place.home.look(&asked.id).state, "withdrawn");
    assert!(!place.log().contains("request.redeemed"));
}

#[test]
fn of_two_that_share_a_request_one_is_run_and_the_other_says_so() {
    let place = Place::new("echo ran >>ran", "");
    let (first, asked) = place.held(&["--", "tool"]);
    let second = place.start(&["--", "tool"]);
    let ticket = place.ticket(&asked);
    wait_until("the second has joined", || {
        fs::read_to_string(&ticket).is_ok_and(|text| text.contains(r#""shared":true"#))
    });
    place.home.approve(&asked).expect_code(0);
    let mut codes = [first, second].map(|agent| agent.wait().code);
    codes.sort_unstable();
    assert_eq!(codes, [0, 120]);
    assert_eq!(
        fs::read_to_string(place.work().join("ran")).unwrap(),
        "ran\n"
    );
    assert_eq!(place.home.list().len(), 1);
    assert_eq!(place.log().matches("request.redeemed").count(), 1);
}

impl Place {
    /// Stops an agent that waits, without an end.
    #[track_caller]
    fn stop(&self, agent: &Running, asked: &Asked) {
        wait_until("the ticket is kept", || self.ticket(asked).exists());
        agent.signal(Signal::STOP);
    }

    /// Returns the file of the ticket of a request.
    fn ticket(&self, asked: &Asked) -> PathBuf {
        let tickets = self.root().join("state/tickets");
        tickets.join(&asked.id).join("ticket.json")
    }

    /// Changes the daemon's files, and has it take them.
    #[track_caller]
    fn change(&self, change: impl FnOnce()) {
        let before = self.log().matches("rules.changed").count();
        change();
        let pid = self.home.daemon_pid();
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::HUP).expect("it is there");
        wait_until("the profile took force", || {
            self.log().matches("rules.changed").count() > before
        });
    }

    /// Has the daemon take this file of profiles.
    #[track_caller]
    fn take_profiles(&self, text: &str) {
        let file = self.home.path().join("profiles.toml");
        self.change(|| fs::write(file, text).expect("a file"));
    }
}

#[test]
fn equal_commands_that_nobody_is_asked_about_run_at_the_same_moment() {
    let place = Place::with_policy("echo ran; sleep 0.2", "", NOBODY);
    let all: Vec<_> = (0..8).map(|_| place.start(&["--", "tool"])).collect();
    for agent in all {
        assert_eq!(agent.wait().expect_code(0).stdout, "ran\n");
    }
    assert_eq!(place.home.list().len(), 8);
}
