//! The process that started us and waits for our answer: a client, or the shell it uses.
//!
//! When it is gone, nobody makes use of an answer any more, and nobody must be asked for one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::mcp::gate::Stops;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The parent, watched.
#[derive(Debug)]
pub(super) struct Parent {
    pid: Option<Pid>,
    watched: Watched,
    /// Tells when a parent that lives on takes its question back.
    stops: Option<Stops>,
}

#[derive(Debug)]
enum Watched {
    /// By its descriptor, which stays its own whatever becomes of the number.
    By(OwnedFd),
    /// It was gone before it could be watched.
    Gone,
    /// It is outside of our process namespace: its end cannot be seen.
    Unseen,
}

impl Parent {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the kernel does not let us.
    pub(super) fn watch() -> io::Result<Self> {
        let pid = rustix::process::getppid();
        let watched = match pid {
            None => Watched::Unseen,
            Some(pid) => match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
                // If it went in between, somebody else is our parent by now, and the number may be
                // anybody's.
                Ok(_) if rustix::process::getppid() != Some(pid) => Watched::Gone,
                Ok(fd) => Watched::By(fd),
                Err(Errno::SRCH) => Watched::Gone,
                Err(errno) => return Err(errno.into()),
            },
        };
        Ok(Self {
            pid,
            watched,
            stops: None,
        })
    }

    /// Takes the parent for gone as well when it takes its question back.
    pub(super) fn until(self, stops: Stops) -> Self {
        Self {
            stops: Some(stops),
            ..self
        }
    }

    /// Returns its number, as we see it.
    pub(super) fn pid(&self) -> u32 {
        self.pid
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
            .unwrap_or(0)
    }

    /// Waits for its end.
    pub(super) async fn gone(&self) {
        let mut ticks = tokio::time::interval(LOOK);
        while !self.is_gone() {
            ticks.tick().await;
        }
    }

    /// Tells whether it is gone already; a doubt is a yes.
    pub(super) fn is_gone(&self) -> bool {
        let is_stopped = |stops: &Stops| stops.borrow().is_some() || stops.has_changed().is_err();
        if self.stops.as_ref().is_some_and(is_stopped) {
            return true;
        }
        match &self.watched {
            Watched::By(fd) => {
                let mut wanted = [PollFd::new(fd, PollFlags::IN)];
                let now = Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                poll(&mut wanted, Some(&now)) != Ok(0)
            }
            Watched::Gone => true,
            Watched::Unseen => false,
        }
    }

    /// Returns the words of its command line, as far as they can be read.
    pub(super) fn command_line(&self) -> Vec<String> {
        let path = format!("/proc/{}/cmdline", self.pid());
        std::fs::read(path)
            .unwrap_or_default()
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }
}
