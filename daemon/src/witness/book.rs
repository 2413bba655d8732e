//! What a witness remembers: for each log the head that it cosigned last, in a file of its own.
//!
//! The file is called by the SHA-256 of the log's origin, in hexadecimal, and holds the head with
//! the log's signature and the witness's. It is durable before the cosignature leaves: a witness that
//! forgot what it said would say something else the next time. For the same reason a file that
//! cannot be believed stops the start; nothing begins anew by itself.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_shared::digest::Digest;
use countersign_shared::log::cosignature::{self, Cosignature, CosignatureError, CosignerKey};
use countersign_shared::log::note::{MAX_NOTE, VerifierKey};
use countersign_shared::log::tree::TreeHead;
use countersign_shared::log::witness::{Refusal, judge};
use rustix::fs::{FlockOperation, flock};

use crate::clock::Clock;
use crate::home::{HomeError, check_directory, read_private, shown, us};

/// The file that is locked while a witness uses the directory.
const LOCK: &str = "lock";

/// What a witness remembers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The directory or a file in it cannot be trusted.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Something cannot be made or read.
    #[error("cannot use `{}`", shown(path))]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another witness uses the directory.
    #[error("`{}` is in use by another witness; stop it first, or give each its own", shown(.0))]
    Held(PathBuf),
    /// A file does not hold what this witness had cosigned.
    #[error(
        "`{}` does not hold the head of `{origin}` that this witness cosigned last; put the file \
         back, or begin with another key and another `--state`: a witness that forgets is none",
        shown(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The log.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: CosignatureError,
    },
}

/// Why a head was not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The time cannot be named.
    #[error("the clock of the witness is not usable")]
    Time(#[source] CosignatureError),
    /// It could not be remembered, so it was not said.
    #[error("the witness cannot remember the head")]
    NotKept(#[source] io::Error),
}

/// The head of a log that was cosigned last.
#[derive(Debug, Clone)]
struct Last {
    head: TreeHead,
    /// With the log's signature and the cosignature.
    note: String,
}

/// The memory of a witness, and the key it speaks with.
#[derive(Debug)]
pub struct Book {
    directory: PathBuf,
    _lock: File,
    key: CosignerKey,
    logs: Vec<VerifierKey>,
    clock: Clock,
    /// By the logs' origins.
    last: Mutex<BTreeMap<String, Last>>,
}

impl Book {
    /// Opens the directory, which is made when it is missing, and reads what is remembered of `logs`.
    ///
    /// # Errors
    ///
    /// When somebody else could change it, another witness uses it, or what it holds is not what
    /// this witness cosigned.
    pub fn open(
        directory: &Path,
        key: CosignerKey,
        logs: Vec<VerifierKey>,
        clock: Clock,
    ) -> Result<Self, BookError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| BookError::Io { path, source }
        };
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(directory)(source)),
        }
        check_directory(directory, &[us()], 0o700)?;
        let path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(BookError::Held(directory.to_owned()));
            }
            Err(error) => return Err(failed(&path)(error.into())),
        }
        let mut last = BTreeMap::new();
        for log in &logs {
            if let Some(found) = read(directory, log.name(), &key)? {
                last.insert(log.name().to_owned(), found);
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
            key,
            logs,
            clock,
            last: Mutex::new(last),
        })
    }

    fn hold(&self) -> MutexGuard<'_, BTreeMap<String, Last>> {
        // What is in it was durable before it was put there, whoever panicked after.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cosigns the head in the body of a request, if it continues the one before, and remembers it
    /// durably. Waits for the disk.
    ///
    /// # Errors
    ///
    /// When it is not cosigned; nothing is remembered then.
    pub fn take(&self, body: &[u8]) -> Result<Cosignature, NotCosigned> {
        let mut guard = None;
        // Held from the look at the last head until the next one is durable. Who has no signature of
        // a log does not come so far.
        let (head, note) = judge(body, &self.logs, |origin| {
            let heads = guard.insert(self.hold());
            let last = heads.get(origin).map(|last| last.head);
            Ok::<_, NotCosigned>(last.unwrap_or_else(TreeHead::empty))
        })?;
        let seconds = self.clock.now().wall.as_millis().div_euclid(1000);
        let time = u64::try_from(seconds).unwrap_or(u64::MAX);
        let cosignature = self.key.cosign(&head, time).map_err(NotCosigned::Time)?;
        let note = format!("{note}{}", cosignature.to_line());
        let last = Last {
            head: *head.head(),
            note,
        };
        self.keep(head.origin(), &last)
            .map_err(NotCosigned::NotKept)?;
        if let Some(mut heads) = guard {
            heads.insert(head.origin().to_owned(), last);
        }
        Ok(cosignature)
    }

    /// Returns the head of the log whose origin has this SHA-256, as it was cosigned last.
    pub fn checkpoint(&self, origin_sha256: &str) -> Option<String> {
        let heads = self.hold();
        heads
            .iter()
            .find(|(origin, _)| Digest::of(origin.as_bytes()).to_hex() == origin_sha256)
            .map(|(_, last)| last.note.clone())
    }

    fn keep(&self, origin: &str, last: &Last) -> io::Result<()> {
        let path = path_of(&self.directory, origin);
        let new = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&new)?;
        file.write_all(last.note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.directory)?.sync_all()
    }
}

fn path_of(directory: &Path, origin: &str) -> PathBuf {
    directory.join(Digest::of(origin.as_bytes()).to_hex())
}

/// Reads what is remembered of a log; nothing when it was never seen.
fn read(directory: &Path, origin: &str, key: &CosignerKey) -> Result<Option<Last>, BookError> {
    let path = path_of(directory, origin);
    let bytes = match read_private(&path, MAX_NOTE) {
        Ok(bytes) => bytes,
        Err(HomeError::Missing(missing)) if missing == path => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The witness's own word is what counts: the log's key may be another one by now.
    let note = String::from_utf8_lossy(&bytes).into_owned();
    let known = std::slice::from_ref(key.verifier());
    let (head, _) =
        cosignature::open(&note, known, origin).map_err(|source| BookError::Damaged {
            path,
            origin: origin.to_owned(),
            source,
        })?;
    Ok(Some(Last {
        head: *head.head(),
        note,
    }))
}
