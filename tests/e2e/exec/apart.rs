//! Brokered runs in system mode: the program, the agent, the reviewer and the daemon are four users.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Stdio;

use countersign_tests::programs::AGENT;
use countersign_tests::system::{System, Who};
use countersign_tests::{Running, wait_until};

use super::SECRET;

/// An installation whose profile `deploy` runs as a user of its own.
struct Apart {
    system: System,
}

/// Makes it, or says that the test is left out.
#[track_caller]
fn apart(test: &str, script: &str, profile: &str) -> Option<Apart> {
    let Some(system) = System::make() else {
        // Past the harness, which shows nothing of a test that passes.
        writeln!(std::io::stderr(), "skipped: needs root: {test}").expect("to write");
        return None;
    };
    let place = Apart { system };
    let work = place.work();
    fs::create_dir(&work).expect("a directory");
    let runner = place.system.uid(Who::Runner);
    chown(&work, Some(runner), Some(runner)).expect("an owner");
    fs::set_permissions(&work, fs::Permissions::from_mode(0o755)).expect("a mode");
    super::tool(&place.system.root().join("tool"), script);
    let secret = place.system.root().join("secret");
    super::secret(&secret);
    let daemon = place.system.uid(Who::Daemon);
    chown(&secret, Some(daemon), Some(daemon)).expect("an owner");
    place.write(profile);
    Some(place)
}

impl Apart {
    fn work(&self) -> PathBuf {
        self.system.root().join("work")
    }

    /// Writes the profile; RUNNER, BOT, MIKA and DAEMON stand for names of users.
    #[track_caller]
    fn write(&self, lines: &str) {
        let root = self.system.root().display();
        let mut lines = lines.to_owned();
        for (word, who) in [
            ("RUNNER", Who::Runner),
            ("BOT", Who::Bot),
            ("MIKA", Who::Mika),
            ("DAEMON", Who::Daemon),
        ] {
            lines = lines.replace(word, &self.system.name(who));
        }
        let text = format!(
            "[profile.deploy]\nprograms = [\"{root}/tool\"]\ndirectories = [\"{root}/work\"]\n{lines}\n\
             [profile.deploy.secrets]\nTOKEN = {{ file = \"{root}/secret\" }}\n"
        );
        let path = self.system.path().join("profiles.toml");
        fs::write(&path, text).expect("a file");
        let daemon = self.system.uid(Who::Daemon);
        chown(&path, Some(daemon), Some(daemon)).expect("an owner");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    }

    fn exec(&self, who: Who) -> Running {
        let arguments = ["exec", "--as", "deploy", "--", "tool"];
        Running::start(
            &mut self.system.command(who, AGENT, &arguments),
            Stdio::null(),
        )
    }
}

const FOR_BOT: &str = "user = \"RUNNER\"\nagents = [\"BOT\"]";

const POLICY: &str = "@id(\"deploy\") @review(\"nobody\")\n\
    permit (principal, action == Action::\"exec.run\", resource);\n";

#[test]
fn the_program_runs_as_its_own_user_and_the_agent_can_look_at_nothing_of_it() {
    let script = "id -u; id -G; grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | sort -u -k2 | cut -f2\n\
                  echo $$ >pid; printf %s \"$TOKEN\" >token; chmod 600 token; echo \"$TOKEN\"; touch up\n\
                  while [ ! -e go ]; do sleep 0.05; done";
    let test = "the_program_runs_as_its_own_user_and_the_agent_can_look_at_nothing_of_it";
    let Some(mut place) = apart(test, script, FOR_BOT) else {
        return;
    };
    place.system.write_policy(POLICY);
    place.system.start_able();
    let agent = place.exec(Who::Bot);
    wait_until("the program runs", || place.work().join("up").exists());
    let pid = fs::read_to_string(place.work().join("pid")).unwrap();
    let pid = pid.trim();
    // What the agent's user can find out about the program and about the process that watches it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let warden = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap();
    let token = place.work().join("token").display().to_string();
    let secret = place.system.root().join("secret").display().to_string();
    for process in [pid, warden] {
        for file in ["environ", "mem", "fd/0", "maps"] {
            let path = format!("/proc/{process}/{file}");
            let found = place.system.shell(Who::Bot, &format!("head -c 1 {path}"));
            assert_ne!(found.code, 0, "{path}: {found:?}");
        }
        let line = place
            .system
            .shell(Who::Bot, &format!("cat /proc/{process}/cmdline"));
        assert!(!line.stdout.contains(SECRET), "{line:?}");
        // Nor can it end them.
        assert_ne!(
            place
                .system
                .shell(Who::Bot, &format!("kill -9 {process}"))
                .code,
            0
        );
    }
    for path in [&token, &secret] {
        assert_ne!(place.system.shell(Who::Bot, &format!("cat {path}")).code, 0);
    }
    // The program cannot end who watches it.
    assert_ne!(
        place
            .system
            .shell(Who::Runner, &format!("kill -9 {warden}"))
            .code,
        0
    );
    assert_eq!(fs::read_to_string(&token).unwrap(), SECRET);
    fs::write(place.work().join("go"), "").unwrap();
    let ran = agent.wait().expect_code(0);
    let runner = place.system.uid(Who::Runner);
    let group = place.system.shell(Who::Runner, "id -g").stdout;
    let expected = format!("{runner}\n{group}0000000000000000\n[masked TOKEN]\n");
    assert_eq!(ran.stdout, expected);
}

#[test]
fn a_profile_is_for_those_it_names() {
    let test = "a_profile_is_for_those_it_names";
    let Some(mut place) = apart(test, "echo ran", FOR_BOT) else {
        return;
    };
    place.system.write_policy(POLICY);
    place.system.start_able();
    let ran = place.exec(Who::OtherBot).wait().expect_code(120);
    assert!(ran.stderr.contains("there is no profile"), "{ran:?}");
    assert_eq!(place.exec(Who::Bot).wait().expect_code(0).stdout, "ran\n");
}

#[test]
fn a_reviewer_ends_what_runs_as_another_user() {
    let script = "setsid sleep 1000 & echo $! >pid; touch up; sleep 1000";
    let test = "a_reviewer_ends_what_runs_as_another_user";
    let Some(mut place) = apart(test, script, FOR_BOT) else {
        return;
    };
    place.system.write_policy(POLICY);
    place.system.start_able();
    let agent = place.exec(Who::Bot);
    wait_until("the program runs", || place.work().join("up").exists());
    let listed = place.system.person(Who::Mika, &["list", "--json"]);
    let listed = listed.expect_code(0).json();
    let id = listed["requests"][0]["id"].as_str().unwrap().to_owned();
    place
        .system
        .person(Who::Mika, &["kill", &id, "--reason", "no"])
        .expect_code(0);
    agent.wait().expect_code(143);
    let pid = fs::read_to_string(place.work().join("pid")).unwrap();
    let path = format!("/proc/{}/stat", pid.trim());
    wait_until("what it left is gone", || !fs::exists(&path).unwrap());
}

#[test]
fn the_daemon_does_not_start_with_a_profile_that_is_somebody_elses() {
    let test = "the_daemon_does_not_start_with_a_profile_that_is_somebody_elses";
    let Some(place) = apart(test, "", FOR_BOT) else {
        return;
    };
    for (lines, problem) in [
        ("user = \"RUNNER\"", "name who may use it"),
        ("agents = [\"BOT\"]", "name the account"),
        ("agents = [\"BOT\"]\nuser = \"root\"", "is root"),
        ("agents = [\"BOT\"]\nuser = \"DAEMON\"", "the daemon's own"),
        (
            "agents = [\"BOT\"]\nuser = \"MIKA\"",
            "a reviewer's account",
        ),
        (
            "agents = [\"BOT\"]\nuser = \"BOT\"",
            "in the group of the agents",
        ),
        (
            "agents = [\"BOT\"]\nuser = \"no-such-user\"",
            "there is no account",
        ),
        (
            "agents = [\"no-such-user\"]\nuser = \"RUNNER\"",
            "there is no account",
        ),
        (
            "agent_groups = [\"no-such-group\"]\nuser = \"RUNNER\"",
            "there is no OS group",
        ),
        (
            "agents = [\"BOT\"]\nuser = \"RUNNER\"\ngroups = [\"root\"]",
            "not a group to run with",
        ),
        // It has no right to become anybody.
        (FOR_BOT, "CAP_SETUID"),
    ] {
        place.write(lines);
        let said = place.system.refuses_to_start();
        assert!(said.contains(problem), "{lines}: {said}");
    }
}
