//! One daemon per home: a lock that the kernel gives back when its holder dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use countersign_shared::home::Layout;
use rustix::fs::{FlockOperation, flock};

use crate::home::shown;

/// The home cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("`{}` is locked: another daemon runs here; stop it first", shown(.0))]
    Held(PathBuf),
    /// The system refused.
    #[error("cannot lock `{}`", shown(path))]
    Io {
        /// The file of the lock.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Holds the home until dropped. The file stays: removing it would let two daemons lock two files.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the home. Children do not inherit the lock.
    ///
    /// # Errors
    /// When another daemon has it, or the file cannot be made.
    pub fn take(layout: &Layout) -> Result<Self, LockError> {
        let path = layout.lock_file();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|source| LockError::Io {
                path: path.clone(),
                source,
            })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held(path)),
            Err(error) => Err(LockError::Io {
                path,
                source: error.into(),
            }),
        }
    }
}
