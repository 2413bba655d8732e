//! The two sockets: made, owned, guarded.
//!
//! One for agents, one for reviewers, in a directory of their own, so that reaching a socket never
//! means reaching the state. What is in the way is refused by name; only a dead socket of our own is
//! removed. Who connects is identified in [`incoming`]; what a connection may cost is bounded there
//! and by [`server`]. No call is served here.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use countersign_shared::home::Mode;
use rustix::fs::{AtFlags, CWD, Gid, chmod, chownat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::UnixListener;

use crate::home::{Home, HomeError, check_directory, shown, us};

mod budget;
mod framing;
mod incoming;
mod limits;
mod lock;
mod refusals;
mod stream;

pub use incoming::incoming;
pub use limits::{CallLimits, ConnectionCap, LimitCalls, server};
pub use lock::{Lock, LockError};
pub use refusals::Refusals;
pub use stream::PeerStream;

/// How many connections the kernel keeps waiting to be accepted.
const BACKLOG: i32 = 4096;

/// A socket that cannot be opened safely.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The directory of the sockets cannot be trusted.
    #[error(transparent)]
    Directory(#[from] HomeError),
    /// The system refused a step.
    #[error("cannot {step} `{}`", shown(path))]
    Step {
        /// What was to be done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something else stands where the socket belongs.
    #[error("`{}` is not a socket, so move it away", shown(.0))]
    NotASocket(PathBuf),
    /// The socket there is another user's.
    #[error("`{}` is a socket of uid {owner}", shown(path))]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Somebody listens there.
    #[error("`{}` is in use, so stop the daemon that listens there", shown(.0))]
    InUse(PathBuf),
}

/// The groups whose members may connect in system mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketGroups {
    /// The group of `agent.sock`.
    pub agents: u32,
    /// The group of `review.sock`.
    pub reviewers: u32,
}

/// Both listening sockets.
#[derive(Debug)]
pub struct Sockets {
    /// The agents' socket.
    pub agent: UnixListener,
    /// The reviewers' socket.
    pub review: UnixListener,
}

impl Sockets {
    /// Makes the directory if there is none, and both sockets. `groups` is for system mode; without
    /// it only our own user may connect. Needs a running tokio, and the [`Lock`] of the home: it
    /// is what makes removing a dead socket safe.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn bind(
        home: &Home,
        groups: Option<SocketGroups>,
        _lock: &Lock,
    ) -> Result<Self, SocketError> {
        let directory = home.layout().run_dir();
        let mode = match home.mode() {
            Mode::System => 0o711,
            Mode::User => 0o700,
        };
        make_directory(directory, mode)?;
        Ok(Self {
            agent: open(
                &home.layout().agent_socket(),
                groups.map(|groups| groups.agents),
            )?,
            review: open(
                &home.layout().review_socket(),
                groups.map(|groups| groups.reviewers),
            )?,
        })
    }
}

/// Raises the number of descriptors we may open to the hard limit, and returns it; `None` is none.
///
/// # Errors
/// When the system refuses.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    Ok(limit.maximum)
}

fn step(step: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> SocketError {
    let path = path.to_path_buf();
    move |source| SocketError::Step {
        step,
        path,
        source: source.into(),
    }
}

/// Makes the directory, or checks the one that is there.
fn make_directory(path: &Path, mode: u32) -> Result<(), SocketError> {
    match DirBuilder::new().mode(mode).create(path) {
        // The umask may have taken bits away, and only from a directory that is new and ours.
        Ok(()) => chmod(path, mode.into()).map_err(step("set the mode of", path))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(SocketError::Step {
                step: "create",
                path: path.to_path_buf(),
                source,
            });
        }
    }
    Ok(check_directory(path, &[us()], mode)?)
}

/// Opens one socket. Nobody can connect before owner and mode are right: connecting needs
/// `listen`, which comes last.
fn open(path: &Path, group: Option<u32>) -> Result<UnixListener, SocketError> {
    clear(path)?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .map_err(step("make the socket", path))?;
    let address = SocketAddrUnix::new(path).map_err(step("name the socket", path))?;
    bind(&socket, &address).map_err(step("bind", path))?;
    let mode = if let Some(group) = group {
        let group = Some(Gid::from_raw(group));
        chownat(CWD, path, None, group, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(step("give its group (the daemon must be in it) to", path))?;
        0o660
    } else {
        0o600
    };
    chmod(path, mode.into()).map_err(step("set the mode of", path))?;
    listen(&socket, BACKLOG).map_err(step("listen on", path))?;
    UnixListener::from_std(socket.into()).map_err(|source| SocketError::Step {
        step: "listen on",
        path: path.to_path_buf(),
        source,
    })
}

/// Removes a dead socket of our own; anything else in the way is refused.
fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |step| {
        move |source| SocketError::Step {
            step,
            path: path.to_path_buf(),
            source,
        }
    };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look at")(source)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_path_buf()));
    }
    if metadata.uid() != us() {
        return Err(SocketError::Foreign {
            path: path.to_path_buf(),
            owner: metadata.uid(),
        });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove"))
        }
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed("probe")(error)),
        // Connected, or the queue of a living listener is full.
        Ok(_) | Err(_) => Err(SocketError::InUse(path.to_path_buf())),
    }
}

#[cfg(test)]
mod tests;
