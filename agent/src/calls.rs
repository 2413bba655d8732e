//! Calls of tools that more than one process has to do with.
//!
//! A client starts a new process of ours for each event, so one process leaves a note for the next:
//!
//! | shelf | put there | taken by |
//! |---|---|---|
//! | [`Shelf::Held`] | when the caller's time was over before the request's | the same call, made again |
//! | [`Shelf::Redeemed`] | when the use was taken and the client does the rest | the event that says how it ended, or a proxy that carries the call out |
//!
//! A note names a request whose ticket is kept; it grants nothing. Each is taken by one process only.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use countersign_client::private::{Lasting, write_private};
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use serde::{Deserialize, Serialize};

/// A note cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallsError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no note.
    #[error("`{}` does not hold a note about a call", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// Why a note is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Waits for people, and for the same call to be made again.
    Held,
    /// May be done, or is being done.
    Redeemed,
}

/// A file as it is to be when the call is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Left {
    /// The file.
    pub(crate) path: String,
    /// The digest of its contents; `None` when it is to be gone.
    pub(crate) digest: Option<Digest>,
}

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// The request.
    pub(crate) id: RequestId,
    /// The conversation the call is part of.
    pub(crate) session: String,
    /// The digest of the tool and all it is given.
    pub(crate) call: Digest,
    /// What it leaves behind in files.
    pub(crate) left: Vec<Left>,
}

/// All notes of one user.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    dir: PathBuf,
}

impl Calls {
    /// Names the place below the directory of our own files; nothing is made yet.
    pub(crate) fn open(state_dir: &Path) -> Self {
        Self {
            dir: state_dir.join("calls"),
        }
    }

    /// Keeps a note under `key`, which is a file's name of our own making.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn put(&self, on: Shelf, key: &str, note: &Note) -> Result<(), CallsError> {
        let dir = self.of(on, key);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|source| CallsError::Write {
                path: dir.clone(),
                source,
            })?;
        let path = dir.join(note.id.to_string());
        let bytes = serde_json::to_vec(note).map_err(|source| CallsError::Format {
            path: path.clone(),
            source,
        })?;
        write_private(&path, &bytes, Lasting::Process)
            .map_err(|source| CallsError::Write { path, source })
    }

    /// Takes the oldest note under `key` of this conversation, which nobody else gets then.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub(crate) fn take(
        &self,
        on: Shelf,
        key: &str,
        session: &str,
    ) -> Result<Option<Note>, CallsError> {
        self.take_if(on, key, |note| note.session == session)
    }

    /// Takes the oldest note under `key`, for whoever knows the call and not its conversation.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub(crate) fn take_of_any(&self, on: Shelf, key: &str) -> Result<Option<Note>, CallsError> {
        self.take_if(on, key, |_| true)
    }

    /// Takes the note of a call of this conversation that waits for people, by the tool and all it was
    /// given: what it would have been found by may have changed with the call. That is returned with it.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub(crate) fn take_held(
        &self,
        session: &str,
        call: Digest,
    ) -> Result<Option<(String, Note)>, CallsError> {
        let path = self.dir.join(Shelf::Held.name());
        let failed = |source| CallsError::Read {
            path: path.clone(),
            source,
        };
        let keys = match fs::read_dir(&path) {
            Ok(keys) => keys,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        for key in keys {
            let key = key.map_err(failed)?.file_name();
            let is_it = |note: &Note| note.session == session && note.call == call;
            if let Some(key) = key.to_str()
                && let Some(note) = self.take_if(Shelf::Held, key, is_it)?
            {
                return Ok(Some((key.to_owned(), note)));
            }
        }
        Ok(None)
    }

    fn take_if(
        &self,
        on: Shelf,
        key: &str,
        is_wanted: impl Fn(&Note) -> bool,
    ) -> Result<Option<Note>, CallsError> {
        let dir = self.of(on, key);
        for path in oldest_first(&dir)? {
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                // Somebody else took it just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(CallsError::Read { path, source }),
            };
            let note: Note = match serde_json::from_slice(&bytes) {
                Ok(note) => note,
                Err(source) => return Err(CallsError::Format { path, source }),
            };
            if !is_wanted(&note) {
                continue;
            }
            // Whoever removes the name has the note.
            match fs::remove_file(&path) {
                Ok(()) => {
                    // Fails while other notes lie there, as it should.
                    drop(fs::remove_dir(&dir));
                    return Ok(Some(note));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(CallsError::Write { path, source }),
            }
        }
        Ok(None)
    }

    fn of(&self, on: Shelf, key: &str) -> PathBuf {
        self.dir.join(on.name()).join(key)
    }
}

impl Shelf {
    const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Redeemed => "redeemed",
        }
    }
}

/// Returns the notes of a directory, which need not be there.
fn oldest_first(dir: &Path) -> Result<Vec<PathBuf>, CallsError> {
    let failed = |source| CallsError::Read {
        path: dir.to_path_buf(),
        source,
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Drafts of notes, and whatever else lies there, are no notes.
        let is_note = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.parse::<RequestId>().is_ok());
        if is_note && let Ok(metadata) = entry.metadata() {
            found.push((metadata.mtime(), metadata.mtime_nsec(), entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(number: u8, session: &str) -> Note {
        Note {
            id: RequestId::from_bytes([number; 16]),
            session: session.to_owned(),
            call: Digest::of(b"call"),
            left: vec![Left {
                path: "/a".to_owned(),
                digest: Some(Digest::of(b"a")),
            }],
        }
    }

    #[test]
    fn a_note_is_taken_once_and_by_its_own_conversation() {
        let home = tempfile::tempdir().unwrap();
        let calls = Calls::open(home.path());
        let held = Shelf::Held;
        assert_eq!(calls.take(held, "k", "s").unwrap(), None);
        calls.put(held, "k", &note(2, "s")).unwrap();
        assert_eq!(calls.take_of_any(held, "other").unwrap(), None);
        assert_eq!(calls.take_of_any(held, "k").unwrap(), Some(note(2, "s")));
        calls.put(held, "k", &note(1, "s")).unwrap();
        assert_eq!(calls.take(held, "k", "other").unwrap(), None);
        assert_eq!(calls.take(held, "other", "s").unwrap(), None);
        assert_eq!(calls.take(Shelf::Redeemed, "k", "s").unwrap(), None);
        assert_eq!(calls.take(held, "k", "s").unwrap(), Some(note(1, "s")));
        assert_eq!(calls.take(held, "k", "s").unwrap(), None);
    }

    #[test]
    fn of_many_who_take_one_note_one_gets_it() {
        let home = tempfile::tempdir().unwrap();
        let calls = Calls::open(home.path());
        calls.put(Shelf::Held, "k", &note(1, "s")).unwrap();
        let taken = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    if calls.take(Shelf::Held, "k", "s").unwrap().is_some() {
                        taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1);
    }

    #[test]
    fn equal_calls_are_taken_in_the_order_in_which_they_came() {
        let home = tempfile::tempdir().unwrap();
        let calls = Calls::open(home.path());
        for number in [9, 3, 7] {
            calls.put(Shelf::Redeemed, "k", &note(number, "s")).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        for number in [9, 3, 7] {
            let taken = calls.take(Shelf::Redeemed, "k", "s").unwrap();
            assert_eq!(taken, Some(note(number, "s")));
        }
    }

    #[test]
    fn a_note_that_cannot_be_read_is_not_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let calls = Calls::open(home.path());
        calls.put(Shelf::Held, "k", &note(1, "s")).unwrap();
        let path = calls.of(Shelf::Held, "k").join(note(1, "s").id.to_string());
        fs::write(path, "{").unwrap();
        let error = calls.take(Shelf::Held, "k", "s").unwrap_err();
        assert!(matches!(error, CallsError::Format { .. }), "{error}");
    }
}
