//! An installation in user mode for one test: a directory, a key, a daemon.
//!
//! Requester and reviewer are one OS user, so approvals are self-attested. The reviewer's key has no
//! passphrase, which `countersign init` would refuse; the daemon's own `init` does not look. There is
//! no policy, so that everything is held, unless a test writes one.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ran, Running, run};
use crate::programs::{AGENT, DAEMON, PERSON, program};
use crate::wait::{wait_for, wait_until};

/// The first reviewer's name.
pub const REVIEWER: &str = "mika@example.org";

/// An installation and its daemon, both gone at the end of the test.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
    daemon: Option<Running>,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// Makes an installation whose default requirement accepts a key in a file, and starts its
    /// daemon.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn new() -> Self {
        Self::with("")
    }

    /// As [`Home::new`], with more lines of `[default_requirement]` and further tables after it.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn with(more: &str) -> Self {
        let mut home = Self::stopped(more);
        home.start();
        home
    }

    /// As [`Home::with`], with a policy: the text of a file of Cedar.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn with_policy(more: &str, policy: &str) -> Self {
        let mut home = Self::stopped(more);
        home.write_policy(policy);
        home.start();
        home
    }

    /// As [`Home::with`], but no daemon is started.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn stopped(more: &str) -> Self {
        Self::made(more, &["--no-policy"])
    }

    /// Makes an installation as `init` does without further options, with the policy one begins with;
    /// no daemon is started.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn begun() -> Self {
        Self::made("", &[])
    }

    #[track_caller]
    fn made(more: &str, options: &[&str]) -> Self {
        let home = Self {
            directory: tempfile::tempdir().expect("a directory"),
            daemon: None,
        };
        make_key(&home.key(), REVIEWER);
        let public = home.key().with_extension("pub");
        let account = own_account();
        let mut init = home.command(DAEMON);
        init.args([
            "init",
            "--mode",
            "user",
            "--reviewer",
            REVIEWER,
            "--user",
            &account,
        ]);
        init.args(options);
        run(init.arg("--key").arg(public)).expect_code(0);
        home.configure("[default_requirement]\nassurance = \"file\"\n");
        home.configure(more);
        home
    }

    /// Returns the directory that everything of this test lies in.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the home, as `--home` names it.
    pub fn path(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Returns the reviewer's private key.
    pub fn key(&self) -> PathBuf {
        self.root().join("reviewer")
    }

    /// Makes a directory beside the home for what a test works on.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn make_dir(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    /// Adds text to `countersign.toml`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn configure(&self, text: &str) {
        let mut options = fs::OpenOptions::new();
        let path = self.path().join("countersign.toml");
        let mut file = options.append(true).open(path).expect("the configuration");
        file.write_all(text.as_bytes()).expect("to write");
    }

    /// Makes this text the one policy file; a running daemon is not told.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write_policy(&self, text: &str) {
        fs::write(self.path().join("policy/test.cedar"), text).expect("to write");
    }

    /// Returns a program of ours with this home and an environment of its own.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        self.furnish(&mut command);
        command.env("COUNTERSIGN_HOME", self.path());
        command
    }

    /// Gives a command the environment of this test: nothing but `PATH` is inherited.
    pub fn furnish(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .env("COUNTERSIGN_STATE", self.root().join("state"));
    }

    /// Starts the daemon and waits until both sockets answer.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(&mut self) {
        let mut daemon = Running::start(&mut self.command(DAEMON), Stdio::null());
        let sockets = ["agent.sock", "review.sock"].map(|name| self.path().join("run").join(name));
        let answers = |socket: &PathBuf| UnixStream::connect(socket).is_ok();
        let ready = wait_for("the daemon starts", || {
            let ready = sockets.iter().all(answers);
            (ready || daemon.has_ended()).then_some(ready)
        });
        assert!(ready, "the daemon ended: {:#?}", daemon.wait());
        self.daemon = Some(daemon);
    }

    /// Asks the daemon to stop, waits for its end and returns what it wrote.
    ///
    /// # Panics
    /// When it was not running, or does not end well.
    #[track_caller]
    pub fn stop(&mut self) -> Ran {
        let daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(Signal::TERM);
        daemon.wait().expect_code(0)
    }

    /// Kills the daemon as a crash would.
    ///
    /// # Panics
    /// When it was not running.
    #[track_caller]
    pub fn kill(&mut self) -> Ran {
        let daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(Signal::KILL);
        daemon.wait()
    }

    /// Returns the process of the running daemon.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").pid()
    }

    /// Returns the running daemon.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn daemon(&mut self) -> &mut Running {
        self.daemon.as_mut().expect("the daemon runs")
    }

    /// Returns a command of the agents' program.
    pub fn agent_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(AGENT);
        command.args(arguments).current_dir(self.root());
        command
    }

    /// Runs the agents' program.
    #[track_caller]
    pub fn agent(&self, arguments: &[&str]) -> Ran {
        run(&mut self.agent_command(arguments))
    }

    /// Returns a command of the people's program.
    pub fn person_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(PERSON);
        command.args(arguments).current_dir(self.root());
        command
    }

    /// Runs the people's program, with the reviewer's key where one is asked for.
    #[track_caller]
    pub fn person(&self, arguments: &[&str]) -> Ran {
        run(self.person_command(arguments).arg("--key").arg(self.key()))
    }

    /// Returns all requests, ended ones as well, newest first, as `list` tells them.
    ///
    /// # Panics
    /// When `list` fails.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        let all = self
            .person(&["list", "--all", "--json"])
            .expect_code(0)
            .json();
        all.get("requests")
            .and_then(Value::as_array)
            .cloned()
            .expect("a list")
    }

    /// Returns the one request with that state once there is one.
    ///
    /// # Panics
    /// When there is none in time.
    #[track_caller]
    pub fn wait_for_state(&self, state: &str) -> Asked {
        wait_for(state, || {
            self.list()
                .iter()
                .map(Asked::read)
                .find(|asked| asked.state == state)
        })
    }

    /// Returns what `list` tells about a request.
    ///
    /// # Panics
    /// When there is no such request.
    #[track_caller]
    pub fn look(&self, id: &str) -> Asked {
        let all = self.list();
        all.iter()
            .map(Asked::read)
            .find(|asked| asked.id == id)
            .expect("the request is listed")
    }

    /// Waits until a request is in a state.
    ///
    /// # Panics
    /// When it is not in time.
    #[track_caller]
    pub fn wait_until_state(&self, id: &str, state: &str) {
        wait_until(&format!("{id} is {state}"), || self.look(id).state == state);
    }

    /// Approves a request on the command line.
    #[track_caller]
    pub fn approve(&self, asked: &Asked) -> Ran {
        self.person(&["approve", &asked.id, "--digest", &asked.digest])
    }

    /// Denies a request on the command line.
    #[track_caller]
    pub fn deny(&self, asked: &Asked, reason: &str) -> Ran {
        self.person(&["deny", &asked.id, "--reason", reason])
    }
}

/// A request as `list --json` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The full id.
    pub id: String,
    /// The digest, with its prefix.
    pub digest: String,
    /// The state.
    pub state: String,
}

impl Asked {
    /// Reads one element of `list --json`, or what `request --json` prints.
    ///
    /// # Panics
    /// When a field is missing.
    #[track_caller]
    pub fn read(value: &Value) -> Self {
        let text = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .expect("a text")
        };
        Self {
            id: text("id"),
            digest: text("digest"),
            state: text("state"),
        }
    }
}

/// Makes a key without a passphrase; the public one beside it ends in `.pub`.
///
/// # Panics
/// When `ssh-keygen` does not.
#[track_caller]
pub fn make_key(path: &Path, comment: &str) {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path);
    run(&mut keygen).expect_code(0);
}

/// Returns the name of the account that runs the tests.
///
/// # Panics
/// When `id` does not say.
#[track_caller]
pub fn own_account() -> String {
    run(Command::new("id").arg("-un"))
        .expect_code(0)
        .stdout
        .trim()
        .to_owned()
}
