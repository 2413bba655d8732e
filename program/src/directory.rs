//! The directory that a program runs in: opened once, and entered through its descriptor.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// A directory that nothing can run in.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The directory cannot be opened.
    #[error("cannot run in `{}`", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory is not the one that was asked for.
    #[error("the directory `{}` changed while the request was pending", path.display())]
    Changed {
        /// The directory.
        path: PathBuf,
    },
}

/// A directory, opened.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    opened: OwnedFd,
}

impl Directory {
    /// Opens a directory.
    ///
    /// # Errors
    /// When it is none, or has no name any more.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::Open {
            path: path.to_path_buf(),
            source,
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let name = rustix::fs::readlink(crate::through(&opened), Vec::new())
            .map_err(|errno| failed(errno.into()))?;
        let directory = Self {
            path: PathBuf::from(OsStr::from_bytes(name.as_bytes())),
            opened,
        };
        directory.check()?;
        Ok(directory)
    }

    /// Returns the absolute path, after every symbolic link.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the opened directory.
    pub const fn opened(&self) -> &OwnedFd {
        &self.opened
    }

    /// Looks whether the path still leads to the opened directory.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<(), DirectoryError> {
        let named = rustix::fs::lstat(&self.path);
        let opened = rustix::fs::fstat(&self.opened);
        match (named, opened) {
            (Ok(named), Ok(opened))
                if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino) =>
            {
                Ok(())
            }
            _ => Err(DirectoryError::Changed {
                path: self.path.clone(),
            }),
        }
    }
}
