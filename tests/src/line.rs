//! A second way to a home's daemon that can lose what the daemon answers.
//!
//! A connection is passed on byte by byte. Once the line is told to swallow, what the daemon sends on
//! connections made from then on goes nowhere, and the caller gets no answer to what was done. Cut,
//! those connections end, and new ones are passed on again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::home::Home;

/// The line. Its threads end with the test's process.
#[derive(Debug)]
pub struct Line {
    home: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    asked_bytes: usize,
    told_bytes: usize,
    lost_bytes: usize,
    /// How many bytes the first answer has that is lost, if any is.
    swallows: Option<usize>,
    swallowed: Vec<UnixStream>,
}

impl Line {
    /// Makes a home beside `home` whose socket leads to the daemon of that one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn to(home: &Home) -> Self {
        let own = home.root().join("line");
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(own.join("run")).expect("a directory");
        fs::copy(home.path().join("log.vkey"), own.join("log.vkey")).expect("the log's key");
        let listener = UnixListener::bind(own.join("run/agent.sock")).expect("a socket");
        let state = Arc::new(Mutex::new(State::default()));
        let daemon = home.path().join("run/agent.sock");
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                // Without a daemon the caller finds its connection closed.
                if let Ok(daemon) = UnixStream::connect(&daemon) {
                    pass_on(caller, daemon, &shared);
                }
            }
        });
        Self { home: own, state }
    }

    /// Returns the home to give to `--home`.
    pub fn path(&self) -> &Path {
        &self.home
    }

    /// Returns how many connections were made.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Returns how many bytes callers sent.
    pub fn asked_bytes(&self) -> usize {
        self.state().asked_bytes
    }

    /// Returns how many bytes callers were told.
    pub fn told_bytes(&self) -> usize {
        self.state().told_bytes
    }

    /// Returns how many bytes were lost.
    pub fn lost_bytes(&self) -> usize {
        self.state().lost_bytes
    }

    /// Loses every answer on connections that are made from now on.
    pub fn swallow(&self) {
        self.swallow_from(0);
    }

    /// Loses the first answer of at least so many bytes, and all that come after it, on each connection
    /// that is made from now on.
    pub fn swallow_from(&self, bytes: usize) {
        self.state().swallows = Some(bytes);
    }

    /// Ends the connections whose answers were lost, and loses no further ones.
    pub fn cut(&self) {
        let mut state = self.state();
        state.swallows = None;
        for caller in state.swallowed.drain(..) {
            // A caller that has gone by itself is gone.
            drop(caller.shutdown(Shutdown::Both));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pass_on(caller: UnixStream, daemon: UnixStream, shared: &Arc<Mutex<State>>) {
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let swallows = state.swallows;
    state.connections += 1;
    if swallows.is_some() {
        state.swallowed.extend(
            [&caller, &daemon]
                .into_iter()
                .flat_map(UnixStream::try_clone),
        );
    }
    let [caller_too, daemon_too] =
        [&caller, &daemon].map(|stream| stream.try_clone().expect("a descriptor"));
    let asked = Arc::clone(shared);
    thread::spawn(move || {
        copy(caller, daemon, |count| {
            let mut state = asked.lock().unwrap_or_else(PoisonError::into_inner);
            state.asked_bytes += count;
            true
        });
    });
    let shared = Arc::clone(shared);
    let mut is_losing = false;
    thread::spawn(move || {
        copy(daemon_too, caller_too, |count| {
            is_losing |= swallows.is_some_and(|bytes| count >= bytes);
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if is_losing {
                state.lost_bytes += count;
            } else {
                state.told_bytes += count;
            }
            !is_losing
        });
    });
}

/// Copies what `passes` says, by its length, until one side ends.
fn copy(mut from: UnixStream, mut to: UnixStream, mut passes: impl FnMut(usize) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        if passes(count) && to.write_all(read).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}
