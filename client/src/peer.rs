//! Who listens at the socket, looked at before anything is sent.
//!
//! The directory is opened once, without following a link, and the socket is reached through that
//! descriptor: what was checked is what is connected to. Then the kernel says whose process
//! listens (`SO_PEERCRED`).

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::place::{ExpectedDaemon, Place};

/// The socket is not where only the daemon could have put it, or somebody else listens.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// The directory is a link or no directory.
    #[error("`{}` is a symbolic link or not a directory", path.display())]
    NotADirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The directory belongs to somebody else than expected.
    #[error("`{}` belongs to uid {found}, not to {expected}", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// Who it should belong to.
        expected: u32,
    },
    /// Others could put another socket there.
    #[error("`{}` can be written by others than its owner (mode {mode:o})", path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The name is no socket.
    #[error("`{}` is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another user's process listens.
    #[error("a process of uid {found} listens at `{}`, not one of {expected}", path.display())]
    Listener {
        /// The socket.
        path: PathBuf,
        /// Whose process listens.
        found: u32,
        /// Whose process should.
        expected: u32,
    },
}

/// The daemon cannot be reached, or is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens.
    #[error("no daemon listens at `{}`", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The socket may not be opened by this user.
    #[error("this user may not connect to `{}`", socket.display())]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else than the daemon's user listens, or could.
    #[error("the socket is not to be trusted")]
    Untrustworthy(#[source] PeerError),
}

impl ConnectError {
    /// Tells whether the daemon is there, and has as many in its queue as the kernel lets it have.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Connects to one of the daemon's sockets, without waiting, and checks who listens.
///
/// # Errors
///
/// When nobody listens, or somebody who must not.
pub fn connect(place: &Place, socket: &Path) -> Result<UnixStream, ConnectError> {
    let (dir, expected) = open_dir(place, socket)?;
    check_socket(&dir, socket)?;
    let name = socket.file_name().unwrap_or_default();
    let through = Path::new("/proc/self/fd")
        .join(dir.as_raw_fd().to_string())
        .join(name);
    let failed = |errno: Errno| unreachable_at(socket, errno.into());
    // Without waiting: a daemon that takes nobody in would keep the thread, and with it every signal.
    let stream = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .map_err(failed)?;
    let address = SocketAddrUnix::new(&through).map_err(failed)?;
    rustix::net::connect(&stream, &address).map_err(failed)?;
    let stream = UnixStream::from(stream);
    let peer = rustix::net::sockopt::socket_peercred(stream.as_fd())
        .map_err(|errno| unreachable_at(socket, errno.into()))?;
    let found = peer.uid.as_raw();
    if found != expected {
        return Err(ConnectError::Untrustworthy(PeerError::Listener {
            path: socket.to_path_buf(),
            found,
            expected,
        }));
    }
    Ok(stream)
}

/// Whose process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Its process.
    pub pid: i32,
    /// Its OS user.
    pub uid: u32,
}

/// Tells who listens at one of the daemon's sockets, as the kernel says.
///
/// # Errors
///
/// As [`connect`].
pub fn listener(place: &Place, socket: &Path) -> Result<Listener, ConnectError> {
    let stream = connect(place, socket)?;
    let peer = rustix::net::sockopt::socket_peercred(stream.as_fd())
        .map_err(|errno| unreachable_at(socket, errno.into()))?;
    Ok(Listener {
        pid: peer.pid.as_raw_nonzero().get(),
        uid: peer.uid.as_raw(),
    })
}

/// Opens the directory of the sockets and returns it with the uid whose process must listen there.
fn open_dir(place: &Place, socket: &Path) -> Result<(OwnedFd, u32), ConnectError> {
    let path = place.run_dir();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP => ConnectError::Untrustworthy(PeerError::NotADirectory {
            path: path.to_path_buf(),
        }),
        errno => unreachable_at(socket, errno.into()),
    })?;
    let stat = rustix::fs::fstat(&dir).map_err(|errno| unreachable_at(socket, errno.into()))?;
    let own = rustix::process::geteuid().as_raw();
    let expected = judge_dir(
        path,
        stat.st_uid,
        stat.st_mode & 0o7777,
        own,
        place.daemon(),
    )
    .map_err(ConnectError::Untrustworthy)?;
    Ok((dir, expected))
}

/// Returns the uid whose process must listen in a directory with this owner and these permissions.
fn judge_dir(
    path: &Path,
    owner: u32,
    mode: u32,
    own: u32,
    daemon: ExpectedDaemon,
) -> Result<u32, PeerError> {
    if mode & 0o022 != 0 {
        return Err(PeerError::Writable {
            path: path.to_path_buf(),
            mode,
        });
    }
    match daemon {
        ExpectedDaemon::OwnerOfDirectory => Ok(owner),
        ExpectedDaemon::Own if owner == own => Ok(own),
        ExpectedDaemon::Own => Err(PeerError::Owner {
            path: path.to_path_buf(),
            found: owner,
            expected: own,
        }),
    }
}

/// Refuses a name that is a link or a file.
fn check_socket(dir: &OwnedFd, socket: &Path) -> Result<(), ConnectError> {
    let name = socket.file_name().unwrap_or_default();
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| unreachable_at(socket, errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Socket {
        return Ok(());
    }
    Err(ConnectError::Untrustworthy(PeerError::NotASocket {
        path: socket.to_path_buf(),
    }))
}

fn unreachable_at(socket: &Path, source: io::Error) -> ConnectError {
    let socket = socket.to_path_buf();
    if source.kind() == io::ErrorKind::PermissionDenied {
        ConnectError::NotAllowed { socket, source }
    } else {
        ConnectError::Unreachable { socket, source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    const RUN: &str = "/run/countersign";

    /// A home with a directory for sockets, as a daemon makes it.
    fn home() -> (tempfile::TempDir, Place) {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("run")).unwrap();
        fs::set_permissions(home.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        let place = Place::find(Some(home.path())).unwrap();
        (home, place)
    }

    #[test]
    fn a_listener_of_the_owner_is_connected_to() {
        let (_home, place) = home();
        let _listener = UnixListener::bind(place.agent_socket()).unwrap();
        connect(&place, &place.agent_socket()).unwrap();
    }

    #[test]
    fn a_missing_or_dead_socket_is_a_daemon_that_may_come_back() {
        let (_home, place) = home();
        assert!(matches!(
            connect(&place, &place.agent_socket()),
            Err(ConnectError::Unreachable { .. })
        ));
        drop(UnixListener::bind(place.agent_socket()).unwrap());
        assert!(matches!(
            connect(&place, &place.agent_socket()),
            Err(ConnectError::Unreachable { .. })
        ));
    }

    #[test]
    fn a_daemon_that_takes_nobody_in_keeps_no_thread() {
        let (_home, place) = home();
        let listener = UnixListener::bind(place.agent_socket()).unwrap();
        // A short queue: a process may have few files open.
        rustix::net::listen(&listener, 1).unwrap();
        let mut queue = Vec::new();
        let full = (0..16).find_map(|_| match connect(&place, &place.agent_socket()) {
            Ok(stream) => {
                queue.push(stream);
                None
            }
            Err(error) => Some(error),
        });
        assert!(full.unwrap().is_full(), "{} are in it", queue.len());
    }

    #[test]
    fn a_linked_directory_is_refused() {
        let (home, place) = home();
        let _listener = UnixListener::bind(place.agent_socket()).unwrap();
        fs::rename(home.path().join("run"), home.path().join("elsewhere")).unwrap();
        symlink(home.path().join("elsewhere"), home.path().join("run")).unwrap();
        let error = connect(&place, &place.agent_socket()).unwrap_err();
        assert!(
            matches!(
                error,
                ConnectError::Untrustworthy(PeerError::NotADirectory { .. })
            ),
            "{error}"
        );
        assert!(matches!(error, ConnectError::Untrustworthy(_)));
    }

    #[test]
    fn a_linked_socket_is_refused() {
        let (home, place) = home();
        let other = home.path().join("other.sock");
        let _listener = UnixListener::bind(&other).unwrap();
        symlink(&other, place.agent_socket()).unwrap();
        let error = connect(&place, &place.agent_socket()).unwrap_err();
        assert!(
            matches!(
                error,
                ConnectError::Untrustworthy(PeerError::NotASocket { .. })
            ),
            "{error}"
        );
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        for mode in [0o702, 0o720, 0o777, 0o1777] {
            for daemon in [ExpectedDaemon::Own, ExpectedDaemon::OwnerOfDirectory] {
                assert_eq!(
                    judge_dir(Path::new(RUN), 7, mode, 7, daemon),
                    Err(PeerError::Writable {
                        path: RUN.into(),
                        mode
                    }),
                );
            }
        }
    }

    #[test]
    fn the_users_own_place_must_be_the_users_own() {
        let judge = |owner, daemon| judge_dir(Path::new(RUN), owner, 0o711, 1000, daemon);
        assert_eq!(judge(1000, ExpectedDaemon::Own), Ok(1000));
        assert_eq!(
            judge(7, ExpectedDaemon::Own),
            Err(PeerError::Owner {
                path: RUN.into(),
                found: 7,
                expected: 1000
            })
        );
        assert_eq!(judge(7, ExpectedDaemon::OwnerOfDirectory), Ok(7));
    }
}
