//! The high-water mark: the head that was reached, in the file `head` beside the database.
//!
//! A database that was restored from a copy is whole and signed, and older than what was promised:
//! approvals that were used up are there again. The mark tells, and the daemon does not start until
//! somebody adopts what is there, for a reason that stands in the log. It does not tell when the
//! same hands put an older mark back as well; heads that consoles, agents and journals keep do.
//!
//! It is written after each commit and before anybody is answered, in the place of the older of two
//! notes, so that there is a whole one whenever a write is cut off. It is not made durable then: that
//! would cost every Submit a second wait for the disk, and win nothing where it matters, because a
//! database is restored on a machine that runs, whose kernel holds what was written, even by a
//! daemon that was killed. After a power cut the mark may be some seconds behind the database, whose
//! commits are durable; it is never ahead. The file is durable when it is made, at each start, and at
//! the end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::tree::{Hash, TreeHead};

use super::BootError;

/// The place of one note, in bytes: a block, so that a write changes one note only.
const PLACE: usize = 4096;

/// How many notes there are.
const PLACES: u64 = 2;

/// What fills a place behind its note.
const BLANK: u8 = b'\n';

/// The log is not what the mark says, or the mark cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The file cannot be read or written.
    #[error("cannot use `{path}`, which says how far the log had come")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a log, and no mark beside it.
    #[error("there is a log and no `{path}`, which says how far it had come")]
    Missing {
        /// The file.
        path: String,
    },
    /// The file holds no head of this log.
    #[error("`{path}`, which says how far the log had come, holds no head of this log")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The log is shorter than it was, or another one.
    #[error("the log went back: it had {size} entries with the root {root}, and now has {found}")]
    WentBack {
        /// How many entries there were.
        size: u64,
        /// Their root.
        root: Hash,
        /// What is there now, in words.
        found: String,
    },
}

impl MarkError {
    /// Tells whether a person may decide to go on from what is there.
    pub const fn is_adoptable(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Missing { .. } | Self::Foreign { .. } | Self::WentBack { .. } => true,
        }
    }

    /// Returns the head that was reached, as far as it is known.
    pub const fn reached(&self) -> Option<TreeHead> {
        match self {
            Self::WentBack { size, root, .. } => Some(TreeHead {
                size: *size,
                root: *root,
            }),
            Self::File { .. } | Self::Missing { .. } | Self::Foreign { .. } => None,
        }
    }
}

/// Where the mark of a database lies.
pub(crate) fn beside(database: &Path) -> PathBuf {
    database.with_file_name("head")
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// There is no mark.
    Unknown,
    /// The log had not begun when it was written.
    Nothing,
    /// The log had this head.
    Head(TreeHead),
}

/// Reads how far a log had come.
///
/// # Errors
///
/// When the file cannot be read or holds no head of this log.
pub(crate) fn read(path: &Path, keys: &LogKeys) -> Result<Reached, MarkError> {
    match bytes(path)? {
        Some(bytes) => said(path, &bytes, keys),
        None => Ok(Reached::Unknown),
    }
}

/// Reads the file, before it is known which keys its heads must be signed with; nothing when there
/// is none.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn bytes(path: &Path) -> Result<Option<Vec<u8>>, MarkError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path)(source)),
    }
}

/// Says what the bytes of a mark say.
///
/// # Errors
///
/// When they hold no head of this log.
pub(crate) fn said(path: &Path, bytes: &[u8], keys: &LogKeys) -> Result<Reached, MarkError> {
    newest(bytes, keys).ok_or_else(|| MarkError::Foreign {
        path: path.display().to_string(),
    })
}

/// Finds the larger of the heads in a file's bytes; nothing in bytes that are neither a head nor
/// blank, with no head beside them.
fn newest(bytes: &[u8], keys: &LogKeys) -> Option<Reached> {
    let heads = bytes.chunks(PLACE).filter_map(|place| {
        let text = std::str::from_utf8(place).ok()?;
        let note = format!("{}\n", text.trim_end_matches(char::from(BLANK)));
        let head = keys.open_kept(&note).ok()?;
        Some(*head.head())
    });
    match heads.max_by_key(|head| head.size) {
        Some(head) => Some(Reached::Head(head)),
        None if bytes.iter().all(|byte| *byte == BLANK) => Some(Reached::Nothing),
        None => None,
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> MarkError {
    let path = path.display().to_string();
    move |source| MarkError::File { path, source }
}

/// Compares what was reached with a log: `root_at` says which root it had at a size that it has.
pub(super) fn compare(
    reached: TreeHead,
    size: u64,
    root_at: impl FnOnce(u64) -> Result<Hash, BootError>,
) -> Result<(), BootError> {
    let found = if reached.size > size {
        format!("{size}")
    } else if reached.size > 0 && root_at(reached.size)? != reached.root {
        "others".to_owned()
    } else {
        return Ok(());
    };
    Err(BootError::Mark(MarkError::WentBack {
        size: reached.size,
        root: reached.root,
        found,
    }))
}

/// The mark of one database, open for writing.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: File,
    /// The place to write next.
    next: u64,
    /// Whether the last write failed.
    failing: bool,
}

impl Mark {
    /// Makes the mark of a log that begins, or begins it anew: what was reached is forgotten.
    pub(super) fn begin(database: &Path) -> Result<Self, MarkError> {
        let path = beside(database);
        let make = || -> io::Result<File> {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            // Blocks that are there already are written on a full disk as well.
            for place in 0..PLACES {
                file.write_all_at(&[BLANK; PLACE], offset(place))?;
            }
            file.sync_all()?;
            if let Some(directory) = path.parent() {
                File::open(directory)?.sync_all()?;
            }
            Ok(file)
        };
        let file = make().map_err(failed(&path))?;
        Ok(Self {
            path,
            file,
            next: 0,
            failing: false,
        })
    }

    /// Goes on with the mark of a log that is there, under the note of its head.
    pub(super) fn resume(database: &Path, note: &str) -> Result<Self, MarkError> {
        let path = beside(database);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(failed(&path))?;
        let mut mark = Self {
            path,
            file,
            next: 0,
            failing: false,
        };
        // Whichever note was the newer: the log's own head is at least as new as both.
        for _ in 0..PLACES {
            mark.put(note).map_err(failed(&mark.path))?;
        }
        mark.file.sync_all().map_err(failed(&mark.path))?;
        Ok(mark)
    }

    /// Writes a head that is durable in the database. What cannot be written is told, and stops
    /// nothing: the mark is behind then.
    pub(super) fn advance(&mut self, note: &str) {
        let written = self.put(note);
        if let Err(error) = &written
            && !self.failing
        {
            let path = self.path.display();
            tracing::error!(%error, "`{path}` cannot be written; a restored database may go unseen");
        }
        self.failing = written.is_err();
    }

    /// Makes the mark durable.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_all() {
            let path = self.path.display();
            tracing::warn!(%error, "`{path}` may be behind after a power cut");
        }
    }

    fn put(&mut self, note: &str) -> io::Result<()> {
        let mut place = [BLANK; PLACE];
        let too_long = || io::Error::other("the head does not fit");
        place
            .get_mut(..note.len())
            .ok_or_else(too_long)?
            .copy_from_slice(note.as_bytes());
        self.file.write_all_at(&place, offset(self.next))?;
        self.next = self.next.saturating_add(1) % PLACES;
        Ok(())
    }
}

fn offset(place: u64) -> u64 {
    place.saturating_mul(u64::try_from(PLACE).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use countersign_shared::log::checkpoint::Checkpoint;
    use countersign_shared::log::note::SignerKey;

    use super::*;

    const ORIGIN: &str = "countersign/test";

    fn key() -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap()
    }

    fn head(size: u64) -> TreeHead {
        TreeHead {
            size,
            root: Hash::from_bytes([7; 32]),
        }
    }

    fn note(size: u64) -> String {
        Checkpoint::new(ORIGIN, head(size)).unwrap().sign(&key())
    }

    fn keys(key: &SignerKey) -> LogKeys {
        LogKeys::begin(ORIGIN, key.verifier().clone()).unwrap()
    }

    fn found(path: &Path) -> Option<u64> {
        match read(path, &keys(&key())).unwrap() {
            Reached::Head(head) => Some(head.size),
            Reached::Nothing => Some(0),
            Reached::Unknown => None,
        }
    }

    #[test]
    fn the_last_head_is_read_back_under_the_logs_key_only() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let path = beside(&database);
        assert_eq!(found(&path), None);
        let mut mark = Mark::begin(&database).unwrap();
        assert_eq!(found(&path), Some(0));
        for size in [3, 4, 9] {
            mark.advance(&note(size));
            assert_eq!(found(&path), Some(size));
        }
        let mut mark = Mark::resume(&database, &note(9)).unwrap();
        assert_eq!(found(&path), Some(9));
        mark.advance(&note(10));
        assert_eq!(found(&path), Some(10));
        let other = SignerKey::from_seed(ORIGIN, &[2; 32]).unwrap();
        let error = read(&path, &keys(&other)).unwrap_err();
        assert!(matches!(error, MarkError::Foreign { .. }), "{error}");
        Mark::begin(&database).unwrap();
        assert_eq!(found(&path), Some(0));
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_head_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let path = beside(&database);
        let mut mark = Mark::begin(&database).unwrap();
        mark.advance(&note(3));
        mark.advance(&note(4));
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 1, 40, note(5).len() - 1] {
            let mut torn = whole.clone();
            torn[..cut].copy_from_slice(&note(5).as_bytes()[..cut]);
            torn[cut] ^= 1;
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(found(&path), Some(4), "cut after {cut} bytes");
        }
        std::fs::write(&path, "nonsense").unwrap();
        assert!(read(&path, &keys(&key())).is_err());
    }

    #[test]
    fn a_log_that_reached_the_mark_is_taken_and_no_other() {
        let at = |byte: u8| move |_: u64| Ok(Hash::from_bytes([byte; 32]));
        compare(head(5), 5, at(7)).unwrap();
        compare(head(5), 9, at(7)).unwrap();
        compare(head(0), 0, at(8)).unwrap();
        let error = compare(head(5), 4, at(7)).unwrap_err();
        assert!(error.to_string().contains("had 5 entries"), "{error}");
        assert!(matches!(&error, BootError::Mark(lost) if lost.reached() == Some(head(5))));
        let error = compare(head(5), 9, at(8)).unwrap_err();
        assert!(error.to_string().contains("now has others"), "{error}");
    }

    #[test]
    fn a_head_that_does_not_fit_is_not_written_in_part() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let mut mark = Mark::begin(&database).unwrap();
        mark.advance(&note(3));
        mark.advance(&"x".repeat(PLACE + 1));
        assert_eq!(found(&beside(&database)), Some(3));
        assert!(mark.failing);
    }
}
