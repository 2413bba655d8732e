//! The reviewer's key: finding it, unlocking it, signing with it.
//!
//! [`choose`] takes `--key`, else the configured key, else the one enrolled key found; a
//! [`Signer`] then makes signatures in the armour of `ssh-keygen -Y sign`, and each is verified
//! before it is handed out. Unlocking an encrypted key takes some 300 ms by design, and a security
//! key waits for its touch: call [`Signer::unlock`] and [`Signer::sign`] off the thread that draws.
//!
//! Passphrases come from the controlling terminal or from the console, never from standard input,
//! arguments or the environment. Keys and passphrases are wiped from memory when dropped and never
//! shown by `Debug`. Nothing here decides what is signed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use countersign_shared::sshsig::{self, Envelope, Presence};
use countersign_shared::statement::Assurance;
use ssh_key::PublicKey;
use zeroize::Zeroizing;

pub use self::agent::AgentKey;
pub use self::choose::{Places, choose, open};
pub use self::error::KeyError;
pub use self::file::FileKey;
pub use self::generate::generate;
pub use self::memory::MemoryKey;
pub use self::strength::{Lack, Strength};
pub use self::terminal::ask_on_terminal;

mod agent;
mod choose;
mod error;
mod file;
mod generate;
mod memory;
mod strength;
mod terminal;

#[cfg(test)]
mod tests;

/// A passphrase; wiped when dropped.
pub type Passphrase = Zeroizing<String>;

/// How often [`Signer::unlock_asking`] asks.
const TRIES: usize = 3;

/// Writes a path so that it stays on one line and moves no cursor.
fn shown(path: &Path) -> String {
    let mut out = String::new();
    for letter in path.to_string_lossy().chars() {
        if letter.is_control() {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

fn file_error(path: &Path, done: &'static str) -> impl FnOnce(io::Error) -> KeyError {
    let path = shown(path);
    move |source| KeyError::File { path, done, source }
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The armoured signature.
    pub armored: String,
    /// What it proves about the person's presence.
    pub presence: Presence,
}

/// Something that signs for the reviewer.
#[derive(Debug)]
pub enum Signer {
    /// A key file.
    File(FileKey),
    /// A key in `ssh-agent`.
    Agent(AgentKey),
    /// A key that is nowhere else.
    Memory(MemoryKey),
}

impl Signer {
    /// Returns the public key.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::File(key) => key.public_key(),
            Self::Agent(key) => key.public_key(),
            Self::Memory(key) => key.public_key(),
        }
    }

    /// Returns the fingerprint of the public key, `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        sshsig::fingerprint(self.public_key())
    }

    /// Returns where the key is, for people to read.
    pub fn place(&self) -> String {
        match self {
            Self::File(key) => format!("`{}`", shown(key.path())),
            Self::Agent(_) => "ssh-agent".to_owned(),
            Self::Memory(_) => "memory".to_owned(),
        }
    }

    /// Returns what a statement signed now may claim. For a security key that is `touch`: whether
    /// its flags bear that out is seen in [`Signature::presence`].
    pub fn assurance(&self) -> Assurance {
        match self {
            Self::File(key) => key.assurance(),
            Self::Agent(key) => key.assurance(),
            Self::Memory(_) => Assurance::File,
        }
    }

    /// Tells whether a passphrase is needed before this can sign.
    pub const fn is_locked(&self) -> bool {
        match self {
            Self::File(key) => key.is_locked(),
            Self::Agent(_) | Self::Memory(_) => false,
        }
    }

    /// Tells whether the key lies in an encrypted file, and so has a passphrase to ask for.
    pub const fn is_encrypted(&self) -> bool {
        match self {
            Self::File(key) => key.is_encrypted(),
            Self::Agent(_) | Self::Memory(_) => false,
        }
    }

    /// Returns how much this can give.
    pub fn strength(&self) -> Strength {
        if self.is_encrypted() {
            Strength::Passphrase
        } else {
            Strength::Fixed(self.assurance())
        }
    }

    /// Unlocks the key, or checks the passphrase again when it is unlocked already. Until the next
    /// signature, or [`Signer::keep`], the passphrase counts as typed for this statement.
    ///
    /// Takes some 300 ms. Does nothing for keys without a passphrase.
    ///
    /// # Errors
    ///
    /// [`KeyError::Passphrase`]; the key stays as it was.
    pub fn unlock(&mut self, passphrase: &Passphrase) -> Result<(), KeyError> {
        match self {
            Self::File(key) => key.unlock(passphrase),
            Self::Agent(_) | Self::Memory(_) => Ok(()),
        }
    }

    /// Asks for the passphrase, three times at most, and unlocks the key. Asks nothing for keys
    /// without a passphrase.
    ///
    /// # Errors
    ///
    /// What `ask` returned, or [`KeyError::Passphrase`] after the last try.
    pub fn unlock_asking(
        &mut self,
        mut ask: impl FnMut(&str) -> Result<Passphrase, KeyError>,
    ) -> Result<(), KeyError> {
        if !self.is_encrypted() {
            return Ok(());
        }
        let prompt = format!("Passphrase for the key in {}: ", self.place());
        let mut refused = KeyError::Locked {
            place: self.place(),
        };
        for _ in 0..TRIES {
            match self.unlock(&ask(&prompt)?) {
                Err(error @ KeyError::Passphrase { .. }) => refused = error,
                other => return other,
            }
        }
        Err(refused)
    }

    /// Keeps the key unlocked, the passphrase no longer counting as typed for this statement. To be
    /// called when a statement is given up after the passphrase was typed.
    pub const fn keep(&mut self) {
        match self {
            Self::File(key) => key.keep(),
            Self::Agent(_) | Self::Memory(_) => {}
        }
    }

    /// Locks the key again; the unlocked one is wiped.
    pub fn lock(&mut self) {
        match self {
            Self::File(key) => key.lock(),
            Self::Agent(_) | Self::Memory(_) => {}
        }
    }

    /// Signs a message in a namespace, with SHA-512, and verifies the signature.
    ///
    /// # Errors
    ///
    /// [`KeyError::Locked`] when a passphrase is needed first; others when the key does not sign.
    pub fn sign(&mut self, namespace: &str, message: &[u8]) -> Result<Signature, KeyError> {
        let place = self.place();
        let raw = match self {
            Self::File(key) => key.sign(namespace, message),
            Self::Agent(key) => key.sign(namespace, message),
            Self::Memory(key) => key.sign(namespace, message),
        }?;
        let public = self.public_key();
        let seal = || {
            let envelope = Envelope::new(public, namespace, raw)?;
            let armored = envelope.to_armored()?;
            let presence = sshsig::verify(&armored, namespace, message, public)?;
            Ok(Signature { armored, presence })
        };
        seal().map_err(|source| KeyError::Unsound { place, source })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.fingerprint(), self.place())
    }
}

/// Where a key may lie, kept for messages.
fn file_place(path: &Path) -> String {
    format!("`{}`", shown(path))
}

/// The path of the public half beside a private key.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}
