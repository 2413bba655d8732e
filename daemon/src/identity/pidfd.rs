//! A handle on one process that a reused number cannot take over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{PeerError, process};
use crate::sys;

/// Tells whether one process lives, and when it ends.
#[derive(Debug)]
pub struct Liveness {
    pidfd: OwnedFd,
    /// Set when the number was looked up after `connect`: the start time it had then.
    started: Option<u64>,
}

impl Liveness {
    /// Takes the handle of the process that connected.
    ///
    /// Where the kernel hands one out with the socket, it is that process without doubt. Else the
    /// number is looked up, and the process found must run as the user that connected; its start
    /// time is kept and compared once the facts are read.
    pub(super) fn of_peer(socket: impl AsFd, pid: u32, uid: u32) -> Result<Self, PeerError> {
        match sys::peer_pidfd(socket) {
            Ok(pidfd) => Ok(Self {
                pidfd,
                started: None,
            }),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOPROTOOPT) => Self::of_number(pid, uid),
                // Kernels before 6.16 answer so when the process has been reaped.
                Some(libc::ESRCH | libc::EINVAL | libc::ENODATA) => Err(PeerError::Gone { pid }),
                _ => Err(PeerError::Pidfd { pid, source: error }),
            },
        }
    }

    /// Takes a handle by number, for kernels before 6.5.
    pub(super) fn of_number(pid: u32, uid: u32) -> Result<Self, PeerError> {
        let number = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(PeerError::NoProcess { uid })?;
        let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH => PeerError::Gone { pid },
            other => PeerError::Pidfd {
                pid,
                source: other.into(),
            },
        })?;
        let uids = process::uids(pid).map_err(|_| PeerError::Gone { pid })?;
        if !uids.contains(&uid) {
            return Err(PeerError::Reused { pid });
        }
        let started = process::started(pid).map_err(|_| PeerError::Gone { pid })?;
        Ok(Self {
            pidfd,
            started: Some(started),
        })
    }

    /// Takes the handle of a process that was seen before; nothing when it is gone, or its number is
    /// another process's by now.
    ///
    /// # Errors
    /// When the kernel gives no handle on a process that is there.
    pub fn again(pid: u32, started: u64) -> Result<Option<Self>, PeerError> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(other) => {
                let source = other.into();
                return Err(PeerError::Pidfd { pid, source });
            }
        };
        let found = Self {
            pidfd,
            started: Some(started),
        };
        Ok(found.confirm(pid).is_ok().then_some(found))
    }

    /// Confirms, after facts were read by number, that they are this process's.
    pub(super) fn confirm(&self, pid: u32) -> Result<(), PeerError> {
        if let Some(started) = self.started
            && process::started(pid) != Ok(started)
        {
            return Err(PeerError::Reused { pid });
        }
        // Last, and after every read: as long as the process lives, its number names nobody else.
        if self.is_alive() {
            Ok(())
        } else {
            Err(PeerError::Gone { pid })
        }
    }

    /// Returns how the handle was come by, for the evidence.
    pub(super) fn method(&self) -> &'static str {
        match self.started {
            None => "pidfd of the socket",
            Some(_) => "process number",
        }
    }

    /// Tells whether the process lives. It does not once it has exited, reaped or not; a doubt is
    /// a no.
    pub fn is_alive(&self) -> bool {
        let mut wanted = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A signal of ours is no word about the process.
        if retry_on_intr(|| poll(&mut wanted, Some(&now))) != Ok(0) {
            return false;
        }
        match sys::probe_pidfd(&self.pidfd) {
            Ok(()) => true,
            // It is there, only not ours to signal.
            Err(error) => error.raw_os_error() == Some(libc::EPERM),
        }
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// When the handle cannot be watched; then nothing is known of the process any more.
    pub async fn gone(&self) -> io::Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        // A copy, so that any number of callers may wait.
        let watched = sys::watch(self.pidfd.try_clone()?)?;
        let _ended = watched.readable().await?;
        Ok(())
    }
}
