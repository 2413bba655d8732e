//! An installation in system mode: agents, reviewers and daemon are different OS users.
//!
//! The users are real ones, made for one test and removed after it, which only root can do. The
//! programs are started with `setpriv`, so that the kernel says who is calling.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::home::{REVIEWER, make_key};
use crate::process::{Ran, Running, run};
use crate::programs::{AGENT, DAEMON, PERSON, program};
use crate::wait::{wait_at_most, wait_for};

/// A user or group of the machine, removed at the end of the test.
#[derive(Debug)]
struct Entry {
    name: String,
    remove: &'static str,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _one = one_at_a_time();
        // What cannot be removed does no harm but to stay.
        drop(
            Command::new(self.remove)
                .arg(&self.name)
                .stderr(Stdio::null())
                .status(),
        );
    }
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The daemon.
    Daemon,
    /// An agent.
    Bot,
    /// Another agent.
    OtherBot,
    /// The person in the roster.
    Mika,
    /// A member of the reviewers' group who is not in the roster, unless a test enrolls them.
    Noor,
    /// Whom a profile runs as.
    Runner,
}

impl Who {
    const ALL: [Self; 6] = [
        Self::Daemon,
        Self::Bot,
        Self::OtherBot,
        Self::Mika,
        Self::Noor,
        Self::Runner,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Daemon => "d",
            Self::Bot => "b",
            Self::OtherBot => "o",
            Self::Mika => "m",
            Self::Noor => "n",
            Self::Runner => "r",
        }
    }
}

/// An installation in system mode, its users, and its daemon.
#[derive(Debug)]
pub struct System {
    daemon: Option<Running>,
    directory: TempDir,
    tag: String,
    _entries: Vec<Entry>,
}

impl System {
    /// Makes the users and the installation; the daemon is not started yet. Nothing without root.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn make() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        open_to_all(directory.path());
        let word = directory
            .path()
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let letters: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        let tag = format!("cs{}", letters.to_lowercase());
        let mut entries = Vec::new();
        for group in ["ag", "rv"] {
            let name = format!("{tag}{group}");
            account("groupadd", &[&name]);
            entries.push(Entry {
                name,
                remove: "groupdel",
            });
        }
        for who in Who::ALL {
            let name = format!("{tag}{}", who.word());
            let mut arguments = vec!["--no-create-home", "--user-group"];
            let group = match who {
                Who::Daemon | Who::Runner => None,
                Who::Bot | Who::OtherBot => Some(format!("{tag}ag")),
                Who::Mika | Who::Noor => Some(format!("{tag}rv")),
            };
            if let Some(group) = &group {
                arguments.extend(["--groups", group]);
            }
            arguments.push(&name);
            account("useradd", &arguments);
            entries.push(Entry {
                name,
                remove: "userdel",
            });
        }
        // Users go before the groups they are in.
        entries.reverse();
        let system = Self {
            daemon: None,
            directory,
            tag,
            _entries: entries,
        };
        system.install();
        Some(system)
    }

    fn install(&self) {
        let programs = self.root().join("bin");
        fs::create_dir(&programs).expect("a directory");
        open_to_all(&programs);
        for name in [DAEMON, PERSON, AGENT] {
            // The build may lie where other users cannot look.
            let (from, to) = (program(name), programs.join(name));
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to).expect("a copy");
            }
        }
        for who in Who::ALL {
            let own = self.own(who);
            fs::create_dir(&own).expect("a directory");
            let uid = self.uid(who);
            if matches!(who, Who::Mika | Who::Noor) {
                make_key(&own.join("key"), REVIEWER);
                for file in ["key", "key.pub"] {
                    chown(own.join(file), Some(uid), Some(uid)).expect("an owner");
                }
            }
            chown(&own, Some(uid), Some(uid)).expect("an owner");
        }
        let mut init = self.bare(DAEMON, Who::Mika);
        init.args([
            "init",
            "--mode",
            "system",
            "--reviewer",
            REVIEWER,
            "--no-policy",
        ]);
        init.args([
            "--user",
            &self.name(Who::Mika),
            "--daemon-user",
            &self.name(Who::Daemon),
        ]);
        run(init
            .arg("--key")
            .arg(self.key(Who::Mika).with_extension("pub")))
        .expect_code(0);
        let config = self.path().join("countersign.toml");
        let mut text = fs::read_to_string(&config).expect("the configuration");
        let [agents, reviewers] = [self.agents(), self.reviewers()];
        write!(
            text,
            "[groups]\nagents = \"{agents}\"\nreviewers = \"{reviewers}\"\n"
        )
        .expect("a string takes it");
        fs::write(&config, text).expect("to write");
    }

    /// Makes these the people of the roster, each in one group; a running daemon is not told.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn enroll(&self, people: &[(Who, &str)]) {
        let mut text = String::new();
        for (who, group) in people {
            let (name, user) = (Self::reviewer(*who), self.name(*who));
            let public = fs::read_to_string(self.key(*who).with_extension("pub")).expect("a key");
            writeln!(
                text,
                "[[reviewer]]\nname = \"{name}\"\nuser = \"{user}\"\ngroups = [\"{group}\"]\n\
                 keys = [\"{}\"]",
                public.trim()
            )
            .expect("a string takes it");
        }
        fs::write(self.path().join("reviewers.toml"), text).expect("to write");
    }

    /// Returns the name that a reviewer has in the roster.
    pub const fn reviewer(who: Who) -> &'static str {
        match who {
            Who::Noor => "noor@example.org",
            Who::Mika | Who::Daemon | Who::Bot | Who::OtherBot | Who::Runner => REVIEWER,
        }
    }

    /// Makes this text the one policy file; a running daemon is not told.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write_policy(&self, text: &str) {
        fs::write(self.path().join("policy/test.cedar"), text).expect("to write");
    }

    /// Returns the directory that everything of this test lies in.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the home, as `--home` names it.
    pub fn path(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Returns a user's own directory.
    pub fn own(&self, who: Who) -> PathBuf {
        self.root().join(who.word())
    }

    /// Returns a reviewer's key.
    pub fn key(&self, who: Who) -> PathBuf {
        self.own(who).join("key")
    }

    /// Returns the name of a user.
    pub fn name(&self, who: Who) -> String {
        format!("{}{}", self.tag, who.word())
    }

    /// Returns the group of the agents.
    pub fn agents(&self) -> String {
        format!("{}ag", self.tag)
    }

    /// Returns the group of the reviewers.
    pub fn reviewers(&self) -> String {
        format!("{}rv", self.tag)
    }

    /// Returns the number of a user, which is that of its own group as well.
    ///
    /// # Panics
    /// When there is no such user.
    #[track_caller]
    pub fn uid(&self, who: Who) -> u32 {
        let ran = run(Command::new("id").args(["-u", &self.name(who)])).expect_code(0);
        ran.stdout.trim().parse().expect("a number")
    }

    /// Puts a user into one more group.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn join(&self, who: Who, group: &str) {
        account("usermod", &["--append", "--groups", group, &self.name(who)]);
    }

    /// Returns a program with the environment of a user, still run by root.
    fn bare(&self, name: &str, who: Who) -> Command {
        let mut command = Command::new(self.root().join("bin").join(name));
        self.furnish(&mut command, who);
        command
    }

    fn furnish(&self, command: &mut Command, who: Who) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.own(who))
            .env("COUNTERSIGN_STATE", self.own(who).join("state"))
            .env("COUNTERSIGN_HOME", self.path())
            .current_dir("/");
    }

    /// Returns a program that a user runs.
    pub fn command(&self, who: Who, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.as_user(who, &[]);
        command
            .arg(self.root().join("bin").join(name))
            .args(arguments);
        command
    }

    /// Runs lines of a shell as a user.
    #[track_caller]
    pub fn shell(&self, who: Who, script: &str) -> Ran {
        run(self.as_user(who, &[]).args(["/bin/sh", "-c", script]))
    }

    /// Returns a command that becomes a user and runs what follows.
    fn as_user(&self, who: Who, options: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        self.furnish(&mut command, who);
        let user = self.name(who);
        command.args(["--reuid", &user, "--regid", &user]);
        match who {
            // It gives the sockets to these groups, and is in neither.
            Who::Daemon => command.args([
                "--groups",
                &format!("{},{}", self.agents(), self.reviewers()),
            ]),
            Who::Bot | Who::OtherBot | Who::Mika | Who::Noor | Who::Runner => {
                command.arg("--init-groups")
            }
        };
        command.args(options).arg("--");
        command
    }

    /// Runs the agents' program as a user.
    #[track_caller]
    pub fn agent(&self, who: Who, arguments: &[&str]) -> Ran {
        run(&mut self.command(who, AGENT, arguments))
    }

    /// Runs the people's program as a user, with that user's key.
    #[track_caller]
    pub fn person(&self, who: Who, arguments: &[&str]) -> Ran {
        run(self
            .command(who, PERSON, arguments)
            .arg("--key")
            .arg(self.key(who)))
    }

    /// Starts the daemon and waits until both sockets answer.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(&mut self) {
        let command = self.command(Who::Daemon, DAEMON, &[]);
        self.start_with(command);
    }

    /// As [`System::start`], with what it takes to run a profile as another user.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start_able(&mut self) {
        let rights = "+setuid,+setgid,+kill";
        let options = ["--inh-caps", rights, "--ambient-caps", rights];
        let mut command = self.as_user(Who::Daemon, &options);
        command.arg(self.root().join("bin").join(DAEMON));
        self.start_with(command);
    }

    #[track_caller]
    fn start_with(&mut self, mut command: Command) {
        let daemon = Running::start(&mut command, Stdio::null());
        let daemon = self.daemon.insert(daemon);
        let run_dir = self.directory.path().join("home").join("run");
        let ready = wait_for("the daemon starts", || {
            let ready = ["agent.sock", "review.sock"]
                .iter()
                .all(|name| UnixStream::connect(run_dir.join(name)).is_ok());
            (ready || daemon.has_ended()).then_some(ready)
        });
        if !ready {
            let daemon = self.daemon.take().map(Running::wait);
            panic!("the daemon ended: {daemon:#?}");
        }
    }

    /// Has the daemon read the operator's files anew.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn reload(&self) {
        let daemon = self.daemon.as_ref().expect("the daemon runs");
        daemon.signal(Signal::HUP);
    }

    /// Stops the daemon.
    ///
    /// # Panics
    /// When it does not run, or does not end well.
    #[track_caller]
    pub fn stop(&mut self) {
        let daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(Signal::TERM);
        daemon.wait().expect_code(0);
    }

    /// Starts the daemon, which must refuse, and returns what it said.
    ///
    /// # Panics
    /// When it starts.
    #[track_caller]
    pub fn refuses_to_start(&self) -> String {
        run(&mut self.command(Who::Daemon, DAEMON, &[]))
            .expect_code(1)
            .stderr
    }
}

/// Lets every user look into a directory.
fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Changes the account database, which somebody else may have locked.
#[track_caller]
fn account(program: &str, arguments: &[&str]) {
    let _one = one_at_a_time();
    let mut last = None;
    let done = wait_at_most(crate::wait::PATIENCE, || {
        let ran = run(Command::new(program).args(arguments));
        let done = ran.code == 0;
        last = Some(ran);
        done.then_some(())
    });
    assert!(done.is_some(), "{program}: {last:?}");
}

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}
