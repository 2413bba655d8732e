//! A copy of the database while the daemon goes on.
//!
//! SQLite's own backup copies page by page. The source is read in one transaction, so a copy is of
//! one moment and no commit makes it begin anew. The copy has no journal beside it: one file is all of
//! it. Keys, rules and the mark are not in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{Inspection, PATIENCE, StoreError};

/// How many pages are copied at once.
const PAGES: i32 = 1024;

impl Inspection {
    /// Writes a copy of the database, as of the moment of this inspection, to a file that is made, and
    /// makes it durable. `progress` is told how many pages are done, and of how many.
    ///
    /// # Errors
    ///
    /// When the file is there already, or the copy cannot be written; then nothing is left of it.
    pub fn back_up(&self, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        let failed = |source| StoreError::File {
            path: to.to_path_buf(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(failed)?;
        let copied = self
            .copy_to(to, progress)
            .and_then(|()| make_durable(&file, to).map_err(failed));
        if copied.is_err() {
            // It holds a part, or nothing.
            drop(std::fs::remove_file(to));
        }
        copied
    }

    fn copy_to(&self, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        let failed = || StoreError::sql("copy the database");
        let mut copy = Connection::open(to).map_err(failed())?;
        copy.busy_timeout(PATIENCE).map_err(failed())?;
        let backup = Backup::new(self.connection(), &mut copy).map_err(failed())?;
        loop {
            let step = backup.step(PAGES).map_err(failed())?;
            let pages = backup.progress();
            let (left, all) = (pages.remaining, pages.pagecount);
            let count = |pages: i32| u64::try_from(pages).unwrap_or(0);
            progress(count(all.saturating_sub(left)), count(all));
            if step == StepResult::Done {
                break;
            }
            if step != StepResult::More {
                // Nobody else writes to either; a wait that never ends would hide what is wrong.
                return Err(StoreError::row("somebody else holds the copy"));
            }
        }
        drop(backup);
        copy.pragma_update(None, "journal_mode", "DELETE")
            .map_err(failed())?;
        copy.close().map_err(|(_, error)| failed()(error))
    }
}

fn make_durable(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    let directory = match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::Store;
    use crate::verify::tests::made::{DATABASE, still_serving};

    #[test]
    fn a_copy_is_of_one_moment_and_of_one_file_while_the_daemon_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let serving = still_serving(&path);
        let source = Store::open_read_only(&path).unwrap().inspect().unwrap();
        let (_, note) = source.store().head().unwrap().unwrap();
        // Something is written between the moment and the copy.
        drop(serving);
        let copy = dir.path().join("copy.db");
        let mut told = Vec::new();
        source
            .back_up(&copy, &mut |done, all| told.push((done, all)))
            .unwrap();
        let &(done, all) = told.last().unwrap();
        assert!(done == all && all > 0, "{told:?}");
        let copied = Store::open_read_only(&copy).unwrap();
        assert_eq!(copied.head().unwrap().unwrap().1, note);
        let newer = Store::open_read_only(&path).unwrap();
        assert_ne!(newer.head().unwrap().unwrap().1, note);
        drop(copied);
        let left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .filter(|name| name.to_string_lossy().starts_with("copy"))
            .collect();
        assert_eq!(left, ["copy.db"]);
        assert_eq!(std::fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_there_is_left_alone_and_what_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        std::fs::write(&path, &*DATABASE).unwrap();
        let source = Store::open_read_only(&path).unwrap().inspect().unwrap();
        let there = dir.path().join("there");
        std::fs::write(&there, "mine").unwrap();
        source.back_up(&there, &mut |_, _| {}).unwrap_err();
        assert_eq!(std::fs::read(&there).unwrap(), b"mine");
        let nowhere = dir.path().join("no/such/place");
        source.back_up(&nowhere, &mut |_, _| {}).unwrap_err();
    }
}
