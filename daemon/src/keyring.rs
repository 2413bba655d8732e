//! The files that hold the log's signing keys, beside its database.
//!
//! Which keys sign is what the log says; here is only where their seeds lie. `log.key` has the one in
//! force. During a rotation there are more: `log.key.next` has the next one from before the entry that
//! announces it, and `log.key.ending` has the old one until it ends. Each is written whole under
//! another name, made durable, and moved to its place, and none goes before what replaces it is
//! there. So wherever a rotation is cut off, every key that the log demands is in one of the files, and
//! [`Keyring::settle`], at the next start, puts each where it belongs. It writes nothing when they
//! do already.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::note::{KeyError, SignerKey, VerifierKey};
use zeroize::Zeroizing;

use crate::home::{HomeError, read_key};

/// The key in force.
const IN_FORCE: &str = "log.key";

/// The next one, until it is in force.
const NEXT: &str = "log.key.next";

/// The one before, until it ends.
const ENDING: &str = "log.key.ending";

/// The public half of the one in force.
const PUBLIC: &str = "log.vkey";

/// The log's keys cannot be read, or not be put where they belong.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file is not what a key file has to be.
    #[error(transparent)]
    File(#[from] HomeError),
    /// The log's name is none that a key could have.
    #[error("`{}` or `origin` in countersign.toml", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The kernel gave no random bytes.
    #[error("the system gave no random bytes for a key")]
    Random(#[source] getrandom::Error),
    /// A key file cannot be written, moved or removed.
    #[error("cannot {action} `{}`", path.display())]
    Change {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key that the log demands is in none of the files.
    #[error(
        "the log signs with `{key}`, and no key file of the home holds that key; put back the \
         `log.key` that belongs to this log"
    )]
    Missing {
        /// The verifier key.
        key: String,
    },
    /// The public file holds a key that is none of the log's.
    #[error(
        "`{}` does not hold a key of this log, whose key is `{key}`; find out who changed the file, \
         and put that key there",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The verifier key in force.
        key: String,
    },
}

/// A key, and the bytes it is made of.
struct Held {
    seed: Zeroizing<[u8; 32]>,
    key: VerifierKey,
}

/// The keys that lie beside a database.
pub struct Keyring {
    origin: String,
    /// The directory of the files; nothing when the keys are in memory only.
    directory: Option<PathBuf>,
    held: Vec<Held>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&VerifierKey> = self.held.iter().map(|held| &held.key).collect();
        f.debug_struct("Keyring")
            .field("directory", &self.directory)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Makes a ring of one key that is in no file.
    ///
    /// # Errors
    ///
    /// When the origin is no name of a key.
    pub fn in_memory(origin: &str, seed: [u8; 32]) -> Result<Self, KeyringError> {
        let mut ring = Self {
            origin: origin.to_owned(),
            directory: None,
            held: Vec::new(),
        };
        ring.hold(Zeroizing::new(seed), Path::new(IN_FORCE))?;
        Ok(ring)
    }

    /// Reads the keys of a log from its directory.
    ///
    /// # Errors
    ///
    /// When there is none, or a file is not ours alone or no key.
    pub fn read(directory: &Path, origin: &str) -> Result<Self, KeyringError> {
        let mut ring = Self {
            origin: origin.to_owned(),
            directory: Some(directory.to_owned()),
            held: Vec::new(),
        };
        for name in [IN_FORCE, NEXT, ENDING] {
            let path = directory.join(name);
            match read_key(&path) {
                Ok(seed) => ring.hold(seed, &path)?,
                Err(HomeError::Missing(_)) if name != IN_FORCE => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ring)
    }

    /// Returns the key of a log that has not begun: the one in `log.key`.
    pub fn first(&self) -> Option<&VerifierKey> {
        self.held.first().map(|held| &held.key)
    }

    /// Returns a key that the log demands.
    ///
    /// # Errors
    ///
    /// When it is in none of the files.
    pub fn signer(&self, key: &VerifierKey) -> Result<SignerKey, KeyringError> {
        let held = self.find(key)?;
        SignerKey::from_seed(key.name(), &held.seed).map_err(|source| KeyringError::Key {
            path: PathBuf::from(IN_FORCE),
            source,
        })
    }

    /// Draws the log's next key, which none of the earlier ones can be taken for, and makes it durable
    /// before anything names it.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn or written.
    pub fn draw_next(&mut self, earlier: &LogKeys) -> Result<SignerKey, KeyringError> {
        loop {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice()).map_err(KeyringError::Random)?;
            let next = SignerKey::from_seed(&self.origin, &seed).map_err(|source| {
                let path = PathBuf::from(NEXT);
                KeyringError::Key { path, source }
            })?;
            let has_its_id = |key: &VerifierKey| key.id() == next.verifier().id();
            if earlier.spans().iter().any(|span| has_its_id(&span.key)) {
                continue;
            }
            self.put(NEXT, seed.as_slice(), 0o600)?;
            self.hold(seed, Path::new(NEXT))?;
            return Ok(next);
        }
    }

    /// Refuses a public file that holds a key which the log never had. One that holds an earlier key
    /// was left by a rotation that was cut off.
    ///
    /// # Errors
    ///
    /// When it is so, or the file cannot be read.
    pub fn check_public(&self, keys: &LogKeys) -> Result<(), KeyringError> {
        self.public(keys).map(drop)
    }

    /// Returns the public file and the key in force, when the file holds an earlier one.
    fn public<'k>(&self, keys: &'k LogKeys) -> Result<Option<&'k VerifierKey>, KeyringError> {
        let (Some(directory), Some(in_force)) = (&self.directory, keys.current()) else {
            return Ok(None);
        };
        let path = directory.join(PUBLIC);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let action = "read";
                return Err(KeyringError::Change {
                    action,
                    path,
                    source,
                });
            }
        };
        match text.trim_end().parse::<VerifierKey>() {
            Ok(key) if key == *in_force => Ok(None),
            Ok(key) if keys.has(&key) => Ok(Some(in_force)),
            Ok(_) | Err(_) => Err(KeyringError::Foreign {
                path,
                key: in_force.to_string(),
            }),
        }
    }

    /// Puts each key where it belongs: the one in force, the one that is ending if there is one, and
    /// no others. What the log demands is looked for first, so nothing goes that is still needed.
    ///
    /// # Errors
    ///
    /// When a key is in no file, or a file cannot be changed.
    pub fn settle(&mut self, keys: &LogKeys) -> Result<(), KeyringError> {
        let (Some(directory), Some(in_force)) = (self.directory.clone(), keys.current()) else {
            return Ok(());
        };
        self.find(in_force)?;
        let ending = keys.ending().map(|(key, _)| key);
        if let Some(ending) = ending {
            self.place(&directory, ENDING, ending)?;
        }
        self.place(&directory, IN_FORCE, in_force)?;
        if let Some(in_force) = self.public(keys)? {
            let path = directory.join(PUBLIC);
            // Whoever may read it may read the next one.
            let mode = fs::metadata(&path).map_or(0o600, |file| file.permissions().mode() & 0o777);
            self.put(PUBLIC, format!("{in_force}\n").as_bytes(), mode)?;
        }
        if ending.is_none() {
            remove(&directory, ENDING)?;
        }
        remove(&directory, NEXT)?;
        self.held
            .retain(|held| held.key == *in_force || Some(&held.key) == ending);
        Ok(())
    }

    /// Writes a key into a file that does not hold it.
    fn place(&self, directory: &Path, name: &str, key: &VerifierKey) -> Result<(), KeyringError> {
        let held = self.find(key)?;
        let there = read_key(&directory.join(name));
        if there.is_ok_and(|seed| seed == held.seed) {
            return Ok(());
        }
        self.put(name, held.seed.as_slice(), 0o600)
    }

    fn find(&self, key: &VerifierKey) -> Result<&Held, KeyringError> {
        let held = self.held.iter().find(|held| held.key == *key);
        held.ok_or_else(|| KeyringError::Missing {
            key: key.to_string(),
        })
    }

    fn hold(&mut self, seed: Zeroizing<[u8; 32]>, path: &Path) -> Result<(), KeyringError> {
        let key =
            SignerKey::from_seed(&self.origin, &seed).map_err(|source| KeyringError::Key {
                path: path.to_owned(),
                source,
            })?;
        let key = key.verifier().clone();
        self.held.push(Held { seed, key });
        Ok(())
    }

    /// Writes a file whole and durably, in the place of the one that is there.
    fn put(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), KeyringError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let path = directory.join(name);
        let unfinished = directory.join(format!("{name}.unfinished"));
        let write = || -> io::Result<()> {
            // One that was cut off may be there, and could have another mode.
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) | Ok(()) => {}
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|source| KeyringError::Change {
            action: "write",
            path: path.clone(),
            source,
        })
    }
}

/// Removes a file durably, if it is there.
fn remove(directory: &Path, name: &str) -> Result<(), KeyringError> {
    let path = directory.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        done => done.and_then(|()| File::open(directory)?.sync_all()),
    }
    .map_err(|source| KeyringError::Change {
        action: "remove",
        path,
        source,
    })
}

#[cfg(test)]
mod tests;
