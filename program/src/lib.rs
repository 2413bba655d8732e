//! What whoever executes needs of the file system: the agents' side and the daemon.
//!
//! | module | what it is |
//! |---|---|
//! | [`program`] | the program file: found once, opened once, hashed through the descriptor |
//! | [`directory`] | the directory to run in: opened once |
//! | [`sealed`] | bytes that nobody can change any more, as a file |
//!
//! It opens, reads and compares (R9). It starts nothing, asks nobody and knows no request.

pub mod directory;
pub mod program;
pub mod sealed;

use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};

/// Returns the path that leads to an open file of this process and to nothing else.
pub fn through(file: impl AsFd) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_fd().as_raw_fd().to_string())
}
