//! The server: a process of our own, its input, and its end.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::sync::watch;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::telling::warn;

/// How long a server whose input was closed may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How long it may take to end when it was told to.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// The way to the server.
#[derive(Debug)]
pub(super) struct Server {
    /// Its standard input, until we close it. Messages are written whole, one at a time.
    input: Mutex<Option<ChildStdin>>,
    /// Ends a write to a server that does not read.
    closing: watch::Sender<bool>,
}

/// The server's process.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Server {
    /// Starts the server with our environment and our standard error.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(command: &[OsString]) -> Result<(Self, ChildStdout, Process), Failure> {
        let not_started = |message: String| {
            Failure::new(Exit::Failure, "no-server", message)
                .hint("check the command after `--`: it starts the server, as the client would")
        };
        let Some((program, arguments)) = command.split_first() else {
            return Err(not_started("there is no command".to_owned()));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                not_started(format!("cannot start `{}`: {error}", program.display()))
            })?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => {
                let server = Self {
                    input: Mutex::new(Some(stdin)),
                    closing: watch::Sender::new(false),
                };
                Ok((server, stdout, Process(child)))
            }
            _ => Err(not_started("the server has no standard streams".to_owned())),
        }
    }

    /// Passes a message on, if anybody is there.
    pub(super) async fn send(&self, line: &[u8]) {
        let mut input = self.input.lock().await;
        if !self.write(&mut input, line).await {
            *input = None;
        }
    }

    /// Passes a call on, if `may_go` says so at the last moment: nothing else is written between.
    ///
    /// # Errors
    /// With why it was not passed on.
    pub(super) async fn send_call<T>(
        &self,
        line: &[u8],
        may_go: impl FnOnce() -> Result<T, &'static str>,
    ) -> Result<T, &'static str> {
        let gone = "the server does not listen any more";
        let mut input = self.input.lock().await;
        if input.is_none() {
            return Err(gone);
        }
        let sent = may_go()?;
        if self.write(&mut input, line).await {
            return Ok(sent);
        }
        // Half a message is none to whoever reads lines.
        *input = None;
        Err(gone)
    }

    /// Closes the server's input, which tells it to end.
    pub(super) async fn hang_up(&self) {
        self.closing.send_replace(true);
        *self.input.lock().await = None;
    }

    async fn write(&self, input: &mut Option<ChildStdin>, line: &[u8]) -> bool {
        let Some(input) = input else {
            return false;
        };
        let mut closing = self.closing.subscribe();
        let writing = async {
            input.write_all(line).await?;
            input.write_all(b"\n").await?;
            input.flush().await
        };
        tokio::select! {
            biased;
            written = writing => written.is_ok(),
            _ = closing.wait_for(|closing| *closing) => false,
        }
    }
}

impl Process {
    /// Waits for the end of a server whose input is closed, and helps it along; at once if `hurry`.
    /// Returns the exit code as a shell would.
    pub(super) async fn end(&mut self, hurry: bool) -> u8 {
        if !hurry && let Some(code) = self.within(GRACE).await {
            return code;
        }
        if let Some(pid) = self
            .0
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
        {
            // It may have ended just now, and is not waited for yet, so the number is its own.
            let _gone = kill_process(pid, Signal::TERM);
        }
        if let Some(code) = self.within(LAST_GRACE).await {
            return code;
        }
        warn("the server did not end when it was told to, and is killed");
        drop(self.0.start_kill());
        self.within(LAST_GRACE).await.unwrap_or(125)
    }

    async fn within(&mut self, limit: Duration) -> Option<u8> {
        let status = tokio::time::timeout(limit, self.0.wait())
            .await
            .ok()?
            .ok()?;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status
            .code()
            .or(signal.map(|signal| signal.saturating_add(128)))?;
        u8::try_from(code & 0xff).ok()
    }
}
