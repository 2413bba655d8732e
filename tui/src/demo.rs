//! The demonstration: a daemon, three agents and the console, with nothing to set up and nothing
//! left behind.
//!
//! Everything is real: the daemon serves a temporary home, the agents are `countersign-agent`
//! processes, and what is approved happens, below that home. Only the reviewer is made up: the key
//! lives in this process's memory.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use countersign_client::place::{Place, PlaceError};
use countersign_client::private::{Lasting, write_private};
use countersign_shared::text::{Printable, Untrusted};
use rustix::process::Signal;
use tokio::sync::mpsc;

mod agents;

use crate::account;
use crate::client::Client;
use crate::console::runner::Options;
use crate::keys::{KeyError, MemoryKey, Signer};
use crate::link::{self, Hand, LinkError};
use crate::siblings::{SiblingError, sibling};

/// How long the daemon may take to listen.
const START: Duration = Duration::from_secs(10);

/// How long an agent may take to withdraw its request and leave.
const GRACE: Duration = Duration::from_secs(1);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// The demonstration could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A program is missing.
    #[error(transparent)]
    Sibling(#[from] SiblingError),
    /// A file or process could not be made.
    #[error("cannot {what}")]
    System {
        /// What was being done.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The home could not be made.
    #[error("the daemon could not make a home for the demonstration: {says}")]
    Home {
        /// What it said.
        says: String,
    },
    /// The daemon does not listen.
    #[error("the daemon did not start: {says}")]
    Silent {
        /// Its last words.
        says: String,
    },
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The places cannot be told.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The console failed.
    #[error(transparent)]
    Link(#[from] LinkError),
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::System { what, source }
}

/// Runs the demonstration until the console is left.
pub fn run(options: Options) -> Result<(), DemoError> {
    let stage = Stage::build()?;
    let signer = MemoryKey::random()?;
    let signer = Signer::Memory(signer);
    stage.make_home(&signer)?;
    let daemon = stage.start_daemon()?;
    let place = Place::find(Some(&stage.home))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    let done = runtime.block_on(async {
        wait_for(&place, &stage).await?;
        let (notices, told) = mpsc::channel(16);
        let greeting = "demo: Enter opens, Space pages, A approves, D denies, q leaves no trace";
        drop(notices.send(greeting.to_owned()).await);
        let agents = agents::start(&stage, &notices)?;
        let hand = Hand::Ready(Box::new(signer));
        let kept = stage.directory.join("console");
        let extras = link::Extras {
            state: Some(kept),
            notices: Some(told),
            open: None,
        };
        let done = link::run_with(place, hand, options, extras).await;
        drop(agents);
        Ok(done?)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(daemon);
    drop(stage);
    done
}

/// The temporary directory, removed when the demonstration ends.
struct Stage {
    directory: PathBuf,
    home: PathBuf,
    work: PathBuf,
}

/// A process that ends with the demonstration.
enum Running {
    /// One that is waited for here.
    Child(Child),
    /// One that a thread waits for.
    Watched(rustix::process::Pid, thread::JoinHandle<()>),
}

impl Drop for Running {
    fn drop(&mut self) {
        match self {
            Self::Child(child) => {
                let pid = rustix::process::Pid::from_child(child);
                let _has_ended = rustix::process::kill_process(pid, Signal::TERM);
                drop(child.wait());
            }
            Self::Watched(pid, thread) => {
                // While the thread runs, nobody has waited for the process, so its number is its
                // own.
                let mut patience = GRACE;
                while !thread.is_finished() {
                    let signal = if patience.is_zero() {
                        Signal::KILL
                    } else {
                        Signal::TERM
                    };
                    let _has_ended = rustix::process::kill_process(*pid, signal);
                    thread::sleep(LOOK);
                    patience = patience.saturating_sub(LOOK);
                }
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

impl Stage {
    fn build() -> Result<Self, DemoError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(io::Error::other)
            .map_err(system("draw a random name"))?;
        let name = format!(
            "countersign-demo-{}",
            data_encoding::HEXLOWER.encode(&random)
        );
        let directory = std::env::temp_dir().join(name);
        let work = directory.join("work");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .and_then(|()| fs::create_dir(&work))
            .map_err(system("make a temporary directory"))?;
        Ok(Self {
            home: directory.join("home"),
            work,
            directory,
        })
    }

    fn make_home(&self, signer: &Signer) -> Result<(), DemoError> {
        let public = self.directory.join("reviewer.pub");
        let line = signer.public_key().to_openssh().unwrap_or_default();
        write_private(&public, line.as_bytes(), Lasting::Process)
            .map_err(system("write the demo's key"))?;
        let account = account::own().map_err(system("ask who you are"))?;
        let made = Command::new(sibling("countersignd")?)
            .arg("--home")
            .arg(&self.home)
            .args([
                "init",
                "--mode",
                "user",
                "--reviewer",
                "you@demo",
                "--user",
                &account,
                // There is something to see only where people are asked.
                "--no-policy",
            ])
            .arg("--key")
            .arg(&public)
            .stdin(Stdio::null())
            .output()
            .map_err(system("run countersignd"))?;
        if !made.status.success() {
            let says = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            return Err(DemoError::Home { says });
        }
        // The demo's key has no passphrase; outside a demonstration that would not do.
        let config = self.home.join("countersign.toml");
        let mut text = fs::read_to_string(&config).map_err(system("read the demo's settings"))?;
        text.push_str("\n[default_requirement]\nassurance = \"file\"\n");
        write_private(&config, text.as_bytes(), Lasting::Process)
            .map_err(system("write the demo's settings"))
    }

    /// Returns the end of the daemon's journal, which goes with the stage.
    fn last_words(&self) -> String {
        const LINES: usize = 3;
        let journal = fs::read(self.journal()).unwrap_or_default();
        let journal = String::from_utf8_lossy(&journal);
        let mut lines: Vec<&str> = journal.lines().rev().take(LINES).collect();
        lines.reverse();
        if lines.is_empty() {
            return "it said nothing".to_owned();
        }
        let words = Untrusted::new(lines.join("; "));
        Printable::exact(&words).as_str().to_owned()
    }

    fn journal(&self) -> PathBuf {
        self.directory.join("countersignd.log")
    }

    fn start_daemon(&self) -> Result<Running, DemoError> {
        let journal = fs::File::create(self.journal()).map_err(system("write a journal"))?;
        Command::new(sibling("countersignd")?)
            .arg("--home")
            .arg(&self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(journal)
            .spawn()
            .map(Running::Child)
            .map_err(system("start the daemon"))
    }

    /// Returns a command of an agent, in the working directory of the demonstration.
    fn agent(&self) -> Result<Command, DemoError> {
        let mut command = Command::new(sibling("countersign-agent")?);
        command
            .arg("--home")
            .arg(&self.home)
            .env("COUNTERSIGN_STATE", self.directory.join("agents"))
            .current_dir(&self.work)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }

    fn work(&self) -> &Path {
        &self.work
    }
}

/// Waits until the daemon answers.
async fn wait_for(place: &Place, stage: &Stage) -> Result<(), DemoError> {
    let ready = async {
        loop {
            if let Ok(mut client) = Client::connect(place).await
                && client.rules().await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START, ready)
        .await
        .map_err(|_| DemoError::Silent {
            says: stage.last_words(),
        })
}
