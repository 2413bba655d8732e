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
pub fn shelved(replay: Replay) -> (Replay, Option<Failure>) {
    match FileShelf::make() {
        Ok((shelf, failure)) => (replay.with_past_on(Box::new(shelf)), Some(failure)),
        Err(_) => (replay, None),
    }
}

/// The file. It goes with the process, whatever becomes of that.
#[derive(Debug)]
struct FileShelf {
    file: File,
    /// How many records are in the file.
    stored: u64,
    /// Those that come after them.
    waiting: Vec<u8>,
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
    /// Makes the file where temporary files are.
    fn make() -> io::Result<(Self, Failure)> {
        Ok(Self::of(tempfile::tempfile()?))
    }

    fn of(file: File) -> (Self, Failure) {
        let failure = Arc::<OnceLock<io::Error>>::default();
        let shelf = Self {
            file,
            stored: 0,
            waiting: Vec::with_capacity(WRITTEN),
            failure: Arc::clone(&failure),
        };
        (shelf, Failure(failure))
    }

    fn failed(&self, error: io::Error) {
        // The first one is told.
        self.failure.set(error).ok();
    }
}

impl Shelf for FileShelf {
    fn push(&mut self, record: [u8; RECORD]) {
        self.waiting.extend_from_slice(&record);
        if self.waiting.len() < WRITTEN {
            return;
        }
        match self.file.write_all(&self.waiting) {
            Ok(()) => self.stored = self.stored.saturating_add(count(&self.waiting)),
            Err(error) => self.failed(error),
        }
        self.waiting.clear();
    }

    fn get(&self, index: u64) -> Option<[u8; RECORD]> {
        if let Some(waiting) = index.checked_sub(self.stored) {
            let (records, _) = self.waiting.as_chunks();
            return records.get(usize::try_from(waiting).ok()?).copied();
        }
        let mut record = [0; RECORD];
        let at = index.saturating_mul(BYTES);
        match self.file.read_exact_at(&mut record, at) {
            Ok(()) => Some(record),
            Err(error) => {
                self.failed(error);
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
        let (mut shelf, failure) = FileShelf::make().unwrap();
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
    fn a_file_that_cannot_be_written_is_told() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (mut shelf, failure) = FileShelf::of(full);
        for number in 0..1_024 {
            assert!(failure.error().is_none());
            shelf.push(record(number));
        }
        let error = failure.error().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        shelf.push(record(1_024));
        assert_ne!(shelf.get(1_024), Some(record(1_024)));
    }
}
