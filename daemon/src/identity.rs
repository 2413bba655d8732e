//! Who is calling, as the kernel says.
//!
//! A [`Peer`] is taken once, when a connection is accepted. User, group, process and cgroup come from
//! the kernel and are authority; everything else read from `/proc` is evidence, for people to look
//! at. Nothing a client sends takes part. A fact that cannot be read is *unknown*, never empty; a
//! user or cgroup that cannot be read, or a process that is gone, is a refusal.
//!
//! A process number can be used again, so it is only trusted while the pidfd taken first says that
//! its process lives: the facts are read, then the pidfd is asked, and only then do they count.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use serde_json::{Value, json};

mod accounts;
mod cgroup;
mod operator;
mod pidfd;
mod process;

pub use accounts::{Account, AccountError, Accounts, Group};
pub use cgroup::{Container, Placement};
pub use operator::Operator;
pub use pidfd::Liveness;
pub use process::{Ancestor, Fact, Unknown};

use crate::sys;

/// The caller cannot be identified, so it is not served.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The kernel did not say who connected.
    #[error("the kernel does not say who connected")]
    Credentials(#[source] io::Error),
    /// The caller's user is none of ours: it is outside our user namespace.
    #[error("the caller's user {uid} cannot be told from others across the user namespace")]
    NoUser {
        /// The number the kernel put in its place.
        uid: u32,
    },
    /// The caller's process is outside our process namespace.
    #[error("the caller of uid {uid} has no process number in this namespace")]
    NoProcess {
        /// The caller's user.
        uid: u32,
    },
    /// No handle on the caller's process.
    #[error("cannot hold on to process {pid}")]
    Pidfd {
        /// The process.
        pid: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The caller ended before it was identified.
    #[error("process {pid} ended before it was identified")]
    Gone {
        /// The process.
        pid: u32,
    },
    /// The number was given to another process in between.
    #[error("process {pid} is not the one that connected")]
    Reused {
        /// The process.
        pid: u32,
    },
    /// Where the process runs is part of who it is.
    #[error("cannot tell the cgroup of process {pid}: {reason}")]
    Cgroup {
        /// The process.
        pid: u32,
        /// Why.
        reason: Unknown,
    },
}

/// What has authority: a user in a place that this user cannot choose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    /// The OS user.
    pub uid: u32,
    /// The container or system unit, such as `docker:…` or `etl.service`; `None` outside both.
    pub place: Option<String>,
}

/// The kernel's answer for one connection, with the handle on the process.
#[derive(Debug)]
pub struct Credentials {
    uid: u32,
    gid: u32,
    pid: u32,
    liveness: Liveness,
}

impl Credentials {
    /// Asks the kernel who is at the other end of a connected Unix socket. Never blocks.
    ///
    /// # Errors
    /// When the kernel does not say, or says somebody we cannot name or hold on to.
    pub fn of(socket: impl AsFd) -> Result<Self, PeerError> {
        let raw = sys::peer_credentials(&socket).map_err(PeerError::Credentials)?;
        let uid = raw.uid;
        if uid == u32::MAX || (uid == process::overflow_uid() && process::users_are_mapped()) {
            return Err(PeerError::NoUser { uid });
        }
        let pid = u32::try_from(raw.pid)
            .ok()
            .filter(|pid| *pid > 0)
            .ok_or(PeerError::NoProcess { uid })?;
        let liveness = Liveness::of_peer(&socket, pid, uid)?;
        Ok(Self {
            uid,
            gid: raw.gid,
            pid,
            liveness,
        })
    }

    /// Returns the OS user.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

/// One caller, identified.
#[derive(Debug)]
pub struct Peer {
    credentials: Credentials,
    user: Fact<String>,
    placement: Placement,
    started: Fact<u64>,
    program: Fact<Vec<u8>>,
    arguments: Fact<Vec<Vec<u8>>>,
    directory: Fact<Vec<u8>>,
    login_uid: Fact<Option<u32>>,
    ancestry: Fact<Vec<Ancestor>>,
    own_uids: Fact<BTreeSet<u32>>,
    groups: Fact<BTreeSet<String>>,
    sees_our_files: Fact<bool>,
    requester: OnceLock<Value>,
}

impl Peer {
    /// Reads everything about the process. Blocks: `/proc`, and the account database, which may
    /// be a directory service.
    ///
    /// # Errors
    /// When the process ended, its number was used again, or its cgroup cannot be read.
    pub fn identify(credentials: Credentials) -> Result<Self, PeerError> {
        let pid = credentials.pid;
        let placement = process::cgroup(pid).and_then(|bytes| cgroup::place(&bytes));
        let status = process::Status::of(pid);
        let status = status.as_ref().map_err(Clone::clone);
        let peer = Self {
            user: accounts::user_name(credentials.uid),
            started: process::started(pid),
            program: process::program(pid),
            arguments: process::arguments(pid),
            directory: process::directory(pid),
            login_uid: process::login_uid(pid),
            ancestry: process::ancestry(pid),
            own_uids: status.clone().and_then(process::Status::uids),
            groups: status
                .and_then(process::Status::gids)
                .and_then(|gids| accounts::group_names(&gids)),
            sees_our_files: process::sees_our_files(pid),
            requester: OnceLock::new(),
            // Whether this is an error is said below, once it is known whose cgroup it is.
            placement: placement.clone().unwrap_or_default(),
            credentials,
        };
        peer.credentials.liveness.confirm(pid)?;
        match placement {
            Ok(_) => Ok(peer),
            Err(reason) => Err(PeerError::Cgroup { pid, reason }),
        }
    }

    /// Identifies the other end of a connected Unix socket. Blocks as [`Peer::identify`] does.
    ///
    /// # Errors
    /// As [`Credentials::of`] and [`Peer::identify`].
    pub fn of(socket: impl AsFd) -> Result<Self, PeerError> {
        Self::identify(Credentials::of(socket)?)
    }

    /// Returns the OS user.
    pub fn uid(&self) -> u32 {
        self.credentials.uid
    }

    /// Returns the OS group.
    pub fn gid(&self) -> u32 {
        self.credentials.gid
    }

    /// Returns the process.
    pub fn pid(&self) -> u32 {
        self.credentials.pid
    }

    /// Returns when the process started, in clock ticks since boot.
    pub fn started(&self) -> &Fact<u64> {
        &self.started
    }

    /// Returns the OS user's name.
    pub fn user(&self) -> &Fact<String> {
        &self.user
    }

    /// Returns the program's path, as bytes. Evidence: a process may become another program.
    pub fn program(&self) -> &Fact<Vec<u8>> {
        &self.program
    }

    /// Returns the argument vector. Evidence, and not in [`Peer::requester`]: it may hold secrets.
    pub fn arguments(&self) -> &Fact<Vec<Vec<u8>>> {
        &self.arguments
    }

    /// Returns the working directory, as bytes. Evidence: a process may change it.
    pub fn directory(&self) -> &Fact<Vec<u8>> {
        &self.directory
    }

    /// Returns the names of its OS groups.
    pub fn groups(&self) -> &Fact<BTreeSet<String>> {
        &self.groups
    }

    /// Tells whether a path means the same to it as to us. A doubt is a no.
    pub fn sees_our_files(&self) -> bool {
        self.sees_our_files.as_ref().is_ok_and(|sees| *sees)
    }

    /// Returns how its process is held on to.
    pub fn method(&self) -> &'static str {
        self.liveness().method()
    }

    /// Returns the processes above, the nearest first. Evidence.
    pub fn ancestry(&self) -> &Fact<Vec<Ancestor>> {
        &self.ancestry
    }

    /// Returns where the process runs.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Returns what has authority.
    pub fn principal(&self) -> Principal {
        Principal {
            uid: self.uid(),
            place: self.placement.authority(),
        }
    }

    /// Returns the OS users other than root behind this process (R4): its own, those of every
    /// process above it, and the one that logged in. Unknown when a process above is.
    ///
    /// # Errors
    /// Which fact is missing. Whoever asks must then treat nobody as independent.
    pub fn launchers(&self) -> Result<BTreeSet<u32>, Unknown> {
        let mut users = self.own_uids.clone()?;
        users.insert(self.uid());
        users.extend(self.login_uid.clone()?);
        for ancestor in self.ancestry.clone()? {
            users.extend(ancestor.uids);
        }
        users.remove(&0);
        Ok(users)
    }

    /// Returns the handle that tells whether the process lives.
    pub fn liveness(&self) -> &Liveness {
        &self.credentials.liveness
    }

    /// Tells whether the process lives. A doubt is a no.
    pub fn is_alive(&self) -> bool {
        self.credentials.liveness.is_alive()
    }

    /// Returns the object `requester` of the request document: integers, text, and evidence in
    /// which each entry says whether it was computed or is unknown.
    ///
    /// The argument vector is left out, since it repeats what masking takes out of the action.
    pub fn requester(&self) -> &Value {
        self.requester.get_or_init(|| self.to_json())
    }

    fn to_json(&self) -> Value {
        json!({
            "uid": self.uid(),
            "gid": self.gid(),
            "pid": self.pid(),
            "user": self.user.as_ref().ok(),
            "unit": self.placement.system_unit,
            "container": self.placement.container.as_ref().map(Container::to_string),
            "evidence": {
                "process": process::marked(&Ok(self.liveness().method()), |how| json!(how)),
                "started": process::marked(&self.started, |ticks| json!(ticks)),
                "program": process::marked(&self.program, |path| process::text(path)),
                "argument_count": process::marked(&self.arguments, |all| json!(all.len())),
                "cwd": process::marked(&self.directory, |path| process::text(path)),
                "cgroup": process::marked(&Ok(&self.placement.path), |path| process::text(path)),
                "login_uid": process::marked(&self.login_uid, |uid| json!(uid)),
                "ancestry": process::marked(&self.ancestry, |all| {
                    all.iter().map(Ancestor::to_json).collect()
                }),
            },
        })
    }
}

#[cfg(test)]
mod tests;
