//! Room that is kept for a "no" on a full disk (R7).
//!
//! A file of a few megabytes lies beside the database, its blocks taken. When the disk is almost
//! full the file goes, and what it held is room for denies, withdrawals, revocations and ends;
//! approvals, redemptions and new requests stop. Once there is room again the file is made anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// How much is kept, in bytes. A deny takes some tens of kilobytes of the write-ahead log, which is
/// used anew after each checkpoint.
const SIZE: u64 = 4 << 20;

/// With less room than this beside the reserve, in bytes, nothing is permitted any more.
const LOW: u64 = 1 << 20;

/// The reserve of one database.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    held: bool,
}

impl Reserve {
    /// Takes the reserve beside a database, as far as there is room for it.
    pub(super) fn beside(database: &Path) -> Self {
        let mut reserve = Self {
            path: database.with_file_name("reserve"),
            held: false,
        };
        if reserve.is_spent() {
            tracing::error!(
                path = %reserve.path.display(),
                "there is no room for the reserve: nothing is approved, redeemed or asked for until \
                 {} bytes are free; denies and ends are written as long as there is room",
                SIZE + LOW
            );
        }
        reserve
    }

    /// Looks at the disk: releases the reserve when it is almost full, makes it anew when there is
    /// room. Tells whether only a "no" is to be written now.
    pub(super) fn is_spent(&mut self) -> bool {
        let free = self.free();
        if self.held {
            if free.is_some_and(|free| free < LOW) {
                self.release();
            }
        } else if free.is_none_or(|free| free >= SIZE + LOW) {
            match self.make() {
                Ok(()) => {
                    self.held = true;
                    tracing::info!(path = %self.path.display(), "the reserve for a full disk is there");
                }
                Err(error) => {
                    tracing::debug!(%error, "the reserve cannot be made");
                }
            }
        }
        !self.held
    }

    /// Releases the reserve after a write for which there was no room, whatever the disk says.
    pub(super) fn release(&mut self) {
        if !std::mem::replace(&mut self.held, false) {
            return;
        }
        let path = self.path.display();
        match std::fs::remove_file(&self.path) {
            Ok(()) => tracing::error!(
                "the disk is full, or cannot be written: nothing is approved, redeemed or asked for until \
                 there is room; denies and ends are still written"
            ),
            Err(error) => tracing::error!(%error, "cannot release `{path}` on a full disk"),
        }
    }

    /// Returns how many bytes may still be written, nothing when the file system does not say.
    fn free(&self) -> Option<u64> {
        let found = statvfs(self.path.parent()?).ok()?;
        (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn make(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        let made = match fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
            // Where blocks cannot be taken in advance, bytes that no file system leaves out are
            // written.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file),
            done => done.map_err(io::Error::from),
        };
        if made.is_err() {
            // What was taken in part is of more use free.
            drop(std::fs::remove_file(&self.path));
        }
        made
    }
}

/// Writes bytes that do not compress.
fn fill(mut file: &File) -> io::Result<()> {
    let mut block = vec![0; 64 << 10];
    let mut left = SIZE;
    while left > 0 {
        getrandom::fill(&mut block).map_err(io::Error::other)?;
        file.write_all(&block)?;
        left = left.saturating_sub(u64::try_from(block.len()).unwrap_or(left));
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_reserve_takes_its_blocks_and_gives_them_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::beside(&dir.path().join("state.db"));
        assert!(!reserve.is_spent());
        let path = dir.path().join("reserve");
        let taken = std::fs::metadata(&path).unwrap();
        assert!(
            taken.blocks() * 512 >= SIZE,
            "only {} blocks",
            taken.blocks()
        );
        assert_eq!(taken.mode() & 0o777, 0o600);
        reserve.release();
        assert!(!path.exists());
        assert!(!reserve.is_spent());
        assert!(path.exists());
    }

    #[test]
    fn where_blocks_cannot_be_taken_bytes_are_written() {
        let file = tempfile::tempfile().unwrap();
        fill(&file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), SIZE);
    }
}
