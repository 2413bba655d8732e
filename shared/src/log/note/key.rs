//! The public keys that notes are checked with, and their text form, the *vkey*.
//!
//! A vkey is `<name>+<8 hexadecimal digits of key id>+<base64 of type and key>`. The secret half
//! is [`SignerKey`](super::SignerKey).

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The type byte of an Ed25519 key in the C2SP registry.
const ED25519: u8 = 0x01;

/// The type byte of an Ed25519 key that makes timestamped cosignatures.
const COSIGNATURE: u8 = 0x04;

/// A key that logs sign notes with (type `0x01`).
pub type VerifierKey = Key<ED25519>;

/// A key that witnesses make Ed25519 cosignatures with (type `0x04`).
pub type WitnessKey = Key<COSIGNATURE>;

/// The longest name of a key, in bytes.
const MAX_NAME: usize = 255;

/// A key's name or text that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name cannot stand in a signature line.
    #[error(
        "a key's name is 1 to {MAX_NAME} bytes without white space, control characters and `+`"
    )]
    Name,
    /// The text does not have the three parts of a vkey in their one spelling.
    #[error("a verifier key is a name, 8 lower-case hexadecimal digits and base64, joined by `+`")]
    Form,
    /// The key is of another type than what it is to sign.
    #[error("the key `{name}` has type 0x{found:02x}, and only {} is supported here", said(*wanted))]
    Type {
        /// The key's name.
        name: String,
        /// The type byte found.
        found: u8,
        /// The type byte that is supported there.
        wanted: u8,
    },
    /// The key id is not the one that follows from name, type and key.
    #[error("the key `{name}` has the key id `{expected}`, not `{found}`: the text was altered")]
    Id {
        /// The key's name.
        name: String,
        /// The id that follows from the key.
        expected: String,
        /// The id that was written.
        found: String,
    },
    /// The bytes are no point of the curve, not its one spelling, or a point anyone can sign for.
    #[error("the 32 bytes of the key `{name}` are not a usable Ed25519 public key")]
    Point {
        /// The key's name.
        name: String,
    },
}

/// Tells whether a text may be a key's name.
pub(super) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Says what keys of a type are, for people.
fn said(kind: u8) -> &'static str {
    match kind {
        COSIGNATURE => "Ed25519 of witnesses (0x04)",
        _ => "Ed25519 of logs (0x01)",
    }
}

/// A name and an Ed25519 public key whose signatures of one type under that name are believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key<const TYPE: u8> {
    name: String,
    id: [u8; 4],
    point: VerifyingKey,
}

impl<const TYPE: u8> Key<TYPE> {
    /// Makes a verifier key from a name and the 32 bytes of RFC 8032 section 5.1.2.
    pub fn new(name: &str, key: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let key = VerifyingKey::from_bytes(key)
            .ok()
            .filter(|point| !point.is_weak())
            .filter(|point| point.to_edwards().compress().as_bytes() == key)
            .ok_or_else(|| KeyError::Point {
                name: name.to_owned(),
            })?;
        let mut hasher = Sha256::new();
        hasher.update(name);
        hasher.update([b'\n', TYPE]);
        hasher.update(key.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = digest;
        Ok(Self {
            name: name.to_owned(),
            id: [a, b, c, d],
            point: key,
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key id: the first 4 bytes of SHA-256 over name, newline, type and key.
    pub const fn id(&self) -> &[u8; 4] {
        &self.id
    }

    /// Returns the 32 bytes of the public key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.point.as_bytes()
    }

    /// Tells whether the signature is over `text`. Only the one canonical signature of RFC 8032
    /// is; forms that implementations disagree about are refused.
    pub(in crate::log) fn accepts(&self, text: &[u8], signature: &Signature) -> bool {
        self.point.verify_strict(text, signature).is_ok()
    }
}

impl<const TYPE: u8> fmt::Display for Key<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![TYPE];
        key.extend_from_slice(self.as_bytes());
        let (name, id) = (&self.name, HEXLOWER.encode(&self.id));
        write!(f, "{name}+{id}+{}", BASE64.encode(&key))
    }
}

impl<const TYPE: u8> fmt::Debug for Key<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const TYPE: u8> FromStr for Key<TYPE> {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
        // The base64 may itself hold a `+`; the id cannot.
        let (id, base64) = rest.split_once('+').ok_or(KeyError::Form)?;
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let found: [u8; 4] = HEXLOWER
            .decode(id.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(KeyError::Form)?;
        let bytes = BASE64
            .decode(base64.as_bytes())
            .map_err(|_| KeyError::Form)?;
        let (kind, key) = bytes.split_first().ok_or(KeyError::Form)?;
        if *kind != TYPE {
            return Err(KeyError::Type {
                name: name.to_owned(),
                found: *kind,
                wanted: TYPE,
            });
        }
        let key = Self::new(name, key.try_into().map_err(|_| KeyError::Form)?)?;
        if key.id != found {
            return Err(KeyError::Id {
                name: name.to_owned(),
                expected: HEXLOWER.encode(&key.id),
                found: HEXLOWER.encode(&found),
            });
        }
        Ok(key)
    }
}
