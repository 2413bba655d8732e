//! Keys in files of OpenSSH's format, encrypted or not.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::sshsig;
use countersign_shared::statement::Assurance;
use ssh_key::{HashAlg, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::{KeyError, Passphrase, file_error, file_place, shown};

/// The largest file that is looked at, in bytes; key files have a few hundred.
pub(super) const MAX_FILE: u64 = 64 * 1024;
/// What private keys in OpenSSH's format begin with.
pub(super) const PRIVATE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// A key in a file.
pub struct FileKey {
    path: PathBuf,
    public: PublicKey,
    state: State,
}

/// Boxed, so that moving a signer leaves no copies of the key behind that nobody wipes.
enum State {
    /// The file has no passphrase.
    Clear(Box<PrivateKey>),
    /// The file has one.
    Encrypted {
        stored: Box<PrivateKey>,
        unlocked: Option<Box<PrivateKey>>,
        /// Whether the passphrase was typed since the last signature.
        typed: bool,
    },
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKey")
            .field("path", &self.path)
            .field("fingerprint", &sshsig::fingerprint(&self.public))
            .field("locked", &self.is_locked())
            .finish_non_exhaustive()
    }
}

impl FileKey {
    /// Reads a private key; the passphrase, if it has one, is not needed yet.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] when the file cannot be read, others can read it, or it is not a key that
    /// signs by itself.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let text = read(path)?;
        let key = parse(path, &text)?;
        if key.public_key().key_data().is_sk_ed25519()
            || key.public_key().key_data().is_sk_ecdsa_p256()
        {
            return Err(KeyError::SecurityKey { path: shown(path) });
        }
        sshsig::check_key(key.public_key()).map_err(|_| KeyError::Kind {
            place: file_place(path),
        })?;
        Ok(Self {
            path: path.to_owned(),
            public: PublicKey::from(key.public_key().key_data().clone()),
            state: if key.is_encrypted() {
                State::Encrypted {
                    stored: Box::new(key),
                    unlocked: None,
                    typed: false,
                }
            } else {
                State::Clear(Box::new(key))
            },
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(super) const fn is_locked(&self) -> bool {
        matches!(self.state, State::Encrypted { unlocked: None, .. })
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.state, State::Encrypted { .. })
    }

    pub(super) const fn assurance(&self) -> Assurance {
        match self.state {
            State::Clear(_) => Assurance::File,
            State::Encrypted { typed: true, .. } => Assurance::Passphrase,
            State::Encrypted { typed: false, .. } => Assurance::Unlocked,
        }
    }

    pub(super) fn unlock(&mut self, passphrase: &Passphrase) -> Result<(), KeyError> {
        if let State::Encrypted {
            stored,
            unlocked,
            typed,
        } = &mut self.state
        {
            let wrong = || KeyError::Passphrase {
                place: file_place(&self.path),
            };
            if passphrase.is_empty() {
                return Err(wrong());
            }
            let key = stored.decrypt(passphrase.as_bytes()).map_err(|error| {
                if matches!(error, ssh_key::Error::Crypto) {
                    return wrong();
                }
                // Decrypted, as the check number in it says, and not understood.
                KeyError::Unreadable {
                    path: shown(&self.path),
                }
            })?;
            *unlocked = Some(Box::new(key));
            *typed = true;
        }
        Ok(())
    }

    pub(super) const fn keep(&mut self) {
        if let State::Encrypted { typed, .. } = &mut self.state {
            *typed = false;
        }
    }

    pub(super) fn lock(&mut self) {
        if let State::Encrypted {
            unlocked, typed, ..
        } = &mut self.state
        {
            *unlocked = None;
            *typed = false;
        }
    }

    pub(super) fn sign(
        &mut self,
        namespace: &str,
        message: &[u8],
    ) -> Result<ssh_key::Signature, KeyError> {
        let key = match &self.state {
            State::Clear(key) => Some(key),
            State::Encrypted { unlocked, .. } => unlocked.as_ref(),
        };
        let key = key.ok_or_else(|| KeyError::Locked {
            place: file_place(&self.path),
        })?;
        let signature = key
            .sign(namespace, HashAlg::Sha512, message)
            .map_err(|source| KeyError::Signing {
                place: file_place(&self.path),
                source,
            })?;
        // One typing, one signature.
        self.keep();
        Ok(signature.signature().clone())
    }
}

/// Reads a file that may hold a key. A private one must be its owner's alone.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = || file_error(path, "read");
    // Without O_NONBLOCK a named pipe among the keys would stop us here.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(unreadable())?;
    let metadata = file.metadata().map_err(unreadable())?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(KeyError::Format { path: shown(path) });
    }
    let mut text = Zeroizing::new(String::with_capacity(
        usize::try_from(metadata.len()).unwrap_or_default(),
    ));
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|_| KeyError::Format { path: shown(path) })?;
    let mode = metadata.mode() & 0o7777;
    if text.contains("PRIVATE KEY") && mode & 0o077 != 0 {
        return Err(KeyError::Permissions {
            path: shown(path),
            mode,
        });
    }
    Ok(text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_openssh(text).map_err(|_| {
        let path = shown(path);
        if text.starts_with(PRIVATE) {
            KeyError::Unreadable { path }
        } else {
            KeyError::Format { path }
        }
    })
}
