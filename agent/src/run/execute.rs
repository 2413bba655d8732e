//! Starting the program by its opened file, and staying with it until it has ended.
//!
//! The program is executed through its descriptor, in its opened directory, with the whole
//! environment that was shown and no other. A binary gets `argv[0]` as it was asked for; a script's
//! interpreter gets `/proc/self/fd/N` of the sealed copy in its place, as `$0`. It runs in a process group of its own, which gets the
//! signals that reach us. Its stdout and stderr are pipes, also when ours are terminals: only what
//! passes through us can be hashed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use countersign_program::through;
use countersign_shared::digest::Digest;
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::capture::Capture;
use super::input::{self, InputError};
use super::tee;
use crate::clock;
use crate::report::Finished;
use crate::signals::Signals;

/// How long a program has to end by itself once a reviewer asked for its end.
const UNTIL_KILLED: Duration = Duration::from_secs(10);

/// The program did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    /// Its input could not be made.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The kernel refused.
    #[error("the program `{}` cannot be started", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SpawnError {
    /// Returns the exit code of env(1).
    pub(super) fn exit(&self) -> u8 {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Start { .. } => 126,
            Self::Input(_) => 125,
        }
    }
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pid: u32,
    began: Duration,
    stdout: JoinHandle<Option<Digest>>,
    stderr: JoinHandle<Option<Digest>>,
    /// When it ended, once it has.
    ended: watch::Sender<Option<Instant>>,
}

/// Starts the program that was captured.
pub(super) fn start(capture: &Capture) -> Result<Running, SpawnError> {
    let program = capture.program();
    let failed = |source| SpawnError::Start {
        path: program.path().to_path_buf(),
        source,
    };
    let stdin = input::hand_on(capture.input())?;
    if program.is_script() {
        // The interpreter opens the script by the same name once more, after the exec.
        rustix::io::fcntl_setfd(program.file(), FdFlags::empty())
            .map_err(|errno| failed(errno.into()))?;
    }
    let argv = capture.argv();
    let child = Command::new(through(program.file().as_fd()))
        .arg0(argv.first().map_or(OsStr::new(""), |name| name))
        .args(argv.iter().skip(1))
        .env_clear()
        .envs(capture.environment())
        .current_dir(through(capture.directory().opened().as_fd()))
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(failed)?;
    let gone = || failed(io::Error::from(io::ErrorKind::BrokenPipe));
    let pid = child.id().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    let (ended, end) = watch::channel(None);
    Ok(Running {
        child,
        pid,
        began: clock::boot(),
        stdout: tokio::spawn(tee::pass_on(stdout, tokio::io::stdout(), end.clone())),
        stderr: tokio::spawn(tee::pass_on(stderr, tokio::io::stderr(), end)),
        ended,
    })
}

impl Running {
    /// Returns the process id.
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end, passing signals on meanwhile. When a reviewer asks for the end, which is when
    /// `asked` comes to its own, the program's group gets SIGTERM, and SIGKILL after a while.
    pub(super) async fn finish(
        mut self,
        signals: &mut Signals,
        asked: impl Future<Output = ()>,
    ) -> io::Result<Finished> {
        let mut asked = pin!(asked);
        let mut kill_at = None;
        let mut is_asked = false;
        let status = loop {
            tokio::select! {
                biased;
                status = self.child.wait() => break status?,
                signal = signals.next() => {
                    pass_on_signal(self.pid, signal);
                }
                () = &mut asked, if !is_asked => {
                    is_asked = true;
                    kill_at = Some(Instant::now() + UNTIL_KILLED);
                    pass_on_signal(self.pid, Signal::TERM);
                }
                () = at(kill_at), if kill_at.is_some() => {
                    kill_at = None;
                    pass_on_signal(self.pid, Signal::KILL);
                }
            }
        };
        let duration = clock::boot().saturating_sub(self.began);
        self.ended.send_replace(Some(Instant::now()));
        let [stdout, stderr] = rest([self.stdout, self.stderr], signals).await;
        Ok(finished(status, stdout, stderr, duration))
    }
}

/// Waits until a time; for ever where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Passes a signal on to all processes of the program's group.
fn pass_on_signal(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // A group that is gone has no need of it; its end is being waited for.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Waits for the rest of the outputs, or for a signal: whoever takes them may take them for ever.
async fn rest(
    outputs: [JoinHandle<Option<Digest>>; 2],
    signals: &mut Signals,
) -> [Option<Digest>; 2] {
    let stops = outputs.each_ref().map(JoinHandle::abort_handle);
    let [stdout, stderr] = outputs;
    let both = async { tokio::join!(stdout, stderr) };
    tokio::select! {
        (stdout, stderr) = both => [stdout, stderr].map(|digest| digest.ok().flatten()),
        _ = signals.next() => {
            stops.iter().for_each(tokio::task::AbortHandle::abort);
            [None, None]
        }
    }
}

fn finished(
    status: ExitStatus,
    stdout: Option<Digest>,
    stderr: Option<Digest>,
    duration: Duration,
) -> Finished {
    Finished {
        outcome: Finished::word(status.code()),
        exit: status.code(),
        signal: status.signal(),
        stdout,
        stderr,
        duration: Some(duration),
    }
}

#[cfg(test)]
mod tests;
