//! A home whose daemon is started and killed at will, at boot as well.
//!
//! The daemon is the real program, in a process of its own. The reviewer signs in this process.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign::client::Client;
use countersign::keys::{FileKey, Signer};
use countersign_client::place::Place;

use crate::home::Home;
use crate::programs::DAEMON;

/// What every step may end with.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a daemon may take to start.
const START: Duration = Duration::from_secs(30);

/// An installation.
#[derive(Debug)]
pub struct Installation {
    /// The home; its own daemon is never started.
    pub home: Home,
    daemon: Option<Child>,
}

impl Installation {
    /// Makes an installation as [`Home::stopped`] does; returns the reviewer's key as well.
    ///
    /// # Errors
    ///
    /// When the key cannot be read.
    pub fn make(settings: &str) -> Outcome<(Self, Signer)> {
        let home = Home::stopped(settings);
        let signer = Signer::File(FileKey::open(&home.key())?);
        Ok((Self { home, daemon: None }, signer))
    }

    /// Returns the installation as clients see it.
    ///
    /// # Errors
    ///
    /// When the home cannot be told.
    pub fn place(&self) -> Outcome<Place> {
        Ok(Place::find(Some(&self.home.path()))?)
    }

    /// Returns the journal of the daemon that was started last.
    ///
    /// # Errors
    ///
    /// When none was.
    pub fn journal(&self) -> io::Result<String> {
        fs::read_to_string(self.home.root().join("journal"))
    }

    /// Returns a command of the daemon's program for this home.
    pub fn command(&self) -> Command {
        self.home.command(DAEMON)
    }

    /// Starts the daemon; it does not serve yet.
    ///
    /// # Errors
    ///
    /// When the process cannot be made.
    pub fn start(&mut self) -> Outcome<()> {
        let journal = fs::File::create(self.home.root().join("journal"))?;
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(journal)
            .spawn()?;
        self.daemon = Some(child);
        Ok(())
    }

    /// Waits until the daemon answers, and returns a reviewer's connection.
    ///
    /// # Errors
    ///
    /// When it ends instead, or takes too long.
    #[expect(
        clippy::disallowed_methods,
        reason = "a limit on how long the test waits"
    )]
    pub async fn ready(&mut self) -> Outcome<Client> {
        let place = self.place()?;
        let begun = Instant::now();
        loop {
            if let Ok(client) = Client::connect(&place).await {
                return Ok(client);
            }
            let ended = match &mut self.daemon {
                Some(daemon) => daemon.try_wait()?.is_some(),
                None => true,
            };
            if ended || begun.elapsed() > START {
                return Err(format!("the daemon does not serve: {}", self.journal()?).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Kills the daemon as `kill -9` does, and waits for its end.
    ///
    /// # Errors
    ///
    /// When the process had ended by itself.
    pub fn kill(&mut self) -> Outcome<()> {
        let Some(mut daemon) = self.daemon.take() else {
            return Ok(());
        };
        if let Some(status) = daemon.try_wait()? {
            let journal = self.journal()?;
            return Err(format!("the daemon ended by itself, {status}: {journal}").into());
        }
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // Whether it had ended already changes nothing.
            drop(daemon.kill());
            drop(daemon.wait());
        }
    }
}
