//! Processes under test. Each has an end: the test's, when not its own.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::wait::{PATIENCE, wait_at_most};

/// What a process left.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Returns the process's output when it ended with `code`.
    ///
    /// # Panics
    /// When it ended otherwise; both outputs are shown.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "most callers want the code only"
    )]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\nstandard output:\n{}\nstandard error:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Reads standard output as JSON.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "not JSON: {error}\nstdout:\n{}\nstderr:\n{}",
                self.stdout, self.stderr
            )
        })
    }
}

/// A process in the background. It is killed when the test forgets it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts `command` with its outputs caught. Its input is as `command` says, or empty.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Returns the process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process was waited for already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, signal).expect("the process is there");
    }

    /// Tells whether the process has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`].
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        let ended = wait_at_most(PATIENCE, || self.child.try_wait().expect("our own child"));
        if ended.is_none() {
            self.child.kill().expect("our own child");
        }
        let [stdout, stderr] = [self.stdout.take(), self.stderr.take()].map(|reader| {
            let bytes = reader
                .map(|reader| reader.join().expect("a reader"))
                .unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let Some(status) = ended else {
            panic!("did not end\nstandard output:\n{stdout}\nstandard error:\n{stderr}");
        };
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status
            .code()
            .or(by_signal.map(|signal| 128 + signal))
            .expect("it has ended");
        Ran {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, as it should.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs `command` to its end, with an empty input.
///
/// # Panics
/// When it does not start, or does not end.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    Running::start(command, Stdio::null()).wait()
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        // What was read before an error is shown as well.
        drop(from.read_to_end(&mut all));
        all
    })
}
