//! The signals that end us, are passed on to the program we run, or must not end us.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Makes a write beyond the limit on the size of files (`RLIMIT_FSIZE`) an error of that write from now
/// on, which ends in a code that says so: the signal (SIGXFSZ) would end us with one that some clients
/// take for "go on". Programs that we start are not changed by it.
///
/// # Errors
/// When the signal cannot be caught.
pub(crate) fn outlive_file_limit() -> io::Result<()> {
    // Once caught, it stays so when nobody listens any more.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _inside = runtime.enter();
    unix::signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

/// SIGINT, SIGTERM, SIGHUP and SIGQUIT, caught from the moment this is made.
#[derive(Debug)]
pub(crate) struct Signals {
    int: unix::Signal,
    term: unix::Signal,
    hup: unix::Signal,
    quit: unix::Signal,
    /// One that came, and is still to be taken.
    come: Option<Signal>,
}

impl Signals {
    /// Begins to catch them.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            int: unix::signal(SignalKind::interrupt())?,
            term: unix::signal(SignalKind::terminate())?,
            hup: unix::signal(SignalKind::hangup())?,
            quit: unix::signal(SignalKind::quit())?,
            come: None,
        })
    }

    /// Waits for the next one. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Signal {
        if let Some(signal) = self.come.take() {
            return signal;
        }
        tokio::select! {
            _ = self.int.recv() => Signal::INT,
            _ = self.term.recv() => Signal::TERM,
            _ = self.hup.recv() => Signal::HUP,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }

    /// Waits for the next one, and leaves it to be taken.
    pub(crate) async fn come(&mut self) -> Signal {
        let signal = self.next().await;
        self.come = Some(signal);
        signal
    }

    /// Returns one that has come already, without waiting.
    pub(crate) async fn arrived(&mut self) -> Option<Signal> {
        tokio::select! {
            biased;
            signal = self.next() => Some(signal),
            () = std::future::ready(()) => None,
        }
    }
}
