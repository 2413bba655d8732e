//! A file without a name that remembers what a replay has to, so that memory does not grow with the log.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

use countersign_shared::log::replay::{RECORD, Replay, Shelf};

/// The bytes of a record.
const BYTES: u64 = RECORD as u64;

/// How many bytes are written at once.
const WRITTEN: usize = 1_024 * RECORD;

/// Has a replay remember in such a file; in memory, where there can be none. Returns whether the file failed
/// as well, to be asked when the replay and all that came of it were looked at.
pub fn shelved(replay: Replay) -> (Replay, Failure) {
    let (shelf, failure) = FileShelf::of(tempfile::tempfile().ok());
    (replay.with_past_on(Box::new(shelf)), failure)
}

/// The file, where there can be one. It goes with the process, whatever becomes of that.
#[derive(Debug)]
struct FileShelf {
    file: Option<File>,
    /// How many records are in the file.
    stored: u64,
    /// Those that come after them: all of them, once there is no more room for the file.
    waiting: Vec<u8>,
    has_room: bool,
    failure: Arc<OnceLock<io::Error>>,
}

/// Whether the file failed. Then nothing follows from the replay.
#[derive(Debug)]
pub struct Failure(Arc<OnceLock<io::Error>>);

impl Failure {
    /// Returns how it failed, if it did.
    pub fn error(&self) -> Option<io::Error> {
        let error = self.0.get()?;
        Some(io::Error::new(error.kind(), error.to_string()))
    }
}

impl FileShelf {
    fn of(file: Option<File>) -> (Self, Failure) {
        let failure = Arc::<OnceLock<io::Error>>::default();
        let shelf = Self {
            has_room: file.is_some(),
            file,
            stored: 0,
            waiting: Vec::with_capacity(WRITTEN),
            failure: Arc::clone(&failure),
        };
        (shelf, Failure(failure))
    }
}

impl Shelf for FileShelf {
    fn push(&mut self, record: [u8; RECORD]) {
        self.waiting.extend_from_slice(&record);
        if self.waiting.len() < WRITTEN || !self.has_room {
            return;
        }
        let file = self.file.as_mut();
        self.has_room = file.is_some_and(|file| file.write_all(&self.waiting).is_ok());
        if self.has_room {
            self.stored = self.stored.saturating_add(count(&self.waiting));
            self.waiting.clear();
        }
    }

    fn get(&self, index: u64) -> Option<[u8; RECORD]> {
        if let Some(waiting) = index.checked_sub(self.stored) {
            let (records, _) = self.waiting.as_chunks();
            return records.get(usize::try_from(waiting).ok()?).copied();
        }
        let mut record = [0; RECORD];
        let at = index.saturating_mul(BYTES);
        match self.file.as_ref()?.read_exact_at(&mut record, at) {
            Ok(()) => Some(record),
            Err(error) => {
                // The first one is told.
                self.failure.set(error).ok();
                None
            }
        }
    }
}

fn count(records: &[u8]) -> u64 {
    u64::try_from(records.len() / RECORD).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> [u8; RECORD] {
        let mut record = [7; RECORD];
        record[..8].copy_from_slice(&number.to_le_bytes());
        record
    }

    #[test]
    fn every_record_comes_back_wherever_it_is() {
        let (mut shelf, failure) = FileShelf::of(tempfile::tempfile().ok());
        for number in 0..2_500 {
            shelf.push(record(number));
        }
        for number in (0..2_500).rev() {
            assert_eq!(shelf.get(number), Some(record(number)));
        }
        assert_eq!(shelf.get(2_500), None);
        assert!(failure.error().is_none());
    }

    #[test]
    fn what_has_no_room_in_the_file_stays_in_memory() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        for file in [Some(full), None] {
            let (mut shelf, failure) = FileShelf::of(file);
            for number in 0..2_500 {
                shelf.push(record(number));
            }
            for number in 0..2_500 {
                assert_eq!(shelf.get(number), Some(record(number)));
            }
            assert!(failure.error().is_none());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told() {
        let gone = tempfile::tempfile().unwrap();
        let (mut shelf, failure) = FileShelf::of(gone.try_clone().ok());
        for number in 0..2_500 {
            shelf.push(record(number));
        }
        gone.set_len(10).unwrap();
        assert_eq!(shelf.get(2_499), Some(record(2_499)));
        assert!(failure.error().is_none());
        assert_eq!(shelf.get(1), None);
        assert_eq!(
            failure.error().unwrap().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
