//! SSH signatures (OpenSSH's PROTOCOL.sshsig), verified.
//!
//! Reads one spelling only, requires `sha512` and an empty reserved field, and hands up what stock
//! verifiers drop: whether the person touched the security key, whether the key verified them, and
//! the key's counter. A signature without a touch is a good signature to `ssh-keygen`; whoever
//! calls [`verify`] must look at the [`Presence`].
//!
//! Nothing here signs: no private key is ever read. Certificates, RSA and DSA are refused.
//!
//! ```
//! # use countersign_shared::sshsig::{verify, SigError};
//! # let key = ssh_key::PublicKey::from_openssh(
//! #     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti").unwrap();
//! let refused = verify("no signature", "countersign.decision.v1", b"bytes", &key);
//! assert_eq!(refused, Err(SigError::Armor));
//! ```

use ed25519_dalek::Verifier as _;
use ssh_key::PublicKey;
use ssh_key::public::Ed25519PublicKey;

pub use self::checked::Checked;
pub use self::envelope::{Envelope, MAX_ARMORED};

mod blob;
mod checked;
mod envelope;
mod presence;

#[cfg(test)]
mod tests;

pub use self::presence::Presence;

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigError {
    /// The text is longer than any signature of a supported key.
    #[error("a signature is at most {limit} bytes long, this one has {found}")]
    TooLong {
        /// The size of the text in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text is not armour as `ssh-keygen -Y sign` writes it.
    #[error(
        "not an SSH signature: the armour must be exactly as `ssh-keygen -Y sign` writes it \
         (lines of 70 characters, a newline at the end)"
    )]
    Armor,
    /// The bytes inside the armour do not begin with `SSHSIG`.
    #[error("not an SSH signature: the bytes do not begin with `SSHSIG`")]
    Magic,
    /// The format's version is not 1.
    #[error("version {found} of the SSH signature format is not supported, only version 1 is")]
    Version {
        /// The version found.
        found: u32,
    },
    /// A field ends early, or is not of its kind.
    #[error("the SSH signature is damaged in its field `{field}`")]
    Field {
        /// The field's name.
        field: &'static str,
    },
    /// Something follows the last field.
    #[error("{found} bytes follow the SSH signature's field `{field}`")]
    Trailing {
        /// The field after which there should be nothing.
        field: &'static str,
        /// How many bytes there are.
        found: usize,
    },
    /// The reserved field holds something.
    #[error("the SSH signature's reserved field holds {found} bytes, it must be empty")]
    Reserved {
        /// How many bytes there are.
        found: usize,
    },
    /// The message was hashed with another function than SHA-512.
    #[error(
        "the message was hashed with another function than sha512; sign with `-O hashalg=sha512`"
    )]
    Hash,
    /// The signature was made for another purpose.
    #[error("the signature was made for another namespace than `{expected}`")]
    Namespace {
        /// The namespace that was expected.
        expected: String,
    },
    /// The signature is by a certificate.
    #[error("signatures by SSH certificates are not supported; sign with the plain key")]
    Certificate,
    /// The key is of a kind that is not supported.
    #[error("keys of this kind are not supported; use ed25519, ecdsa or a security key (sk-)")]
    KeyKind,
    /// The signature's algorithm is not the one of its key.
    #[error("the signature's algorithm is not the one of its key")]
    Algorithm,
    /// The signature was made with another key.
    #[error("the signature was made with the key `{found}`, not with `{expected}`")]
    OtherKey {
        /// The fingerprint of the key that was expected.
        expected: String,
        /// The fingerprint of the key in the signature.
        found: String,
    },
    /// The signature does not fit the bytes.
    #[error(
        "the signature does not fit these bytes: they were changed, or it was made over others"
    )]
    Bad,
}

/// Verifies an armoured signature over `message`.
///
/// Returns what is proven about the person's presence. Ed25519 is verified strictly: keys and
/// points of small order are refused, so a signature fits one message only.
///
/// # Errors
///
/// A [`SigError`] names the first thing that is wrong. Nothing but `Ok` means the person signed.
pub fn verify(
    armored: &str,
    namespace: &str,
    message: &[u8],
    expected: &PublicKey,
) -> Result<Presence, SigError> {
    Envelope::read(armored)?.verify(namespace, message, expected)
}

/// Returns the bytes that the key itself signs for a message (PROTOCOL.sshsig, section 4).
///
/// # Errors
///
/// [`SigError::Field`] for an empty namespace, which the format forbids.
pub fn signed_data(namespace: &str, message: &[u8]) -> Result<Vec<u8>, SigError> {
    if namespace.is_empty() {
        return Err(SigError::Field { field: "namespace" });
    }
    blob::signed_data(namespace, message)
}

/// Checks that a public key is of a kind whose signatures can be verified here.
///
/// # Errors
///
/// [`SigError::KeyKind`] for RSA, DSA, unknown kinds, and for keys that are no point on their curve
/// in its uncompressed form, or of small order.
pub fn check_key(key: &PublicKey) -> Result<(), SigError> {
    let data = key.key_data();
    let sound = if let Some(key) = data.ed25519() {
        is_sound_ed25519(key)
    } else if let Some(key) = data.sk_ed25519() {
        is_sound_ed25519(key.public_key())
    } else if let Some(key) = data.ecdsa() {
        key.as_sec1_bytes().first() == Some(&SEC1_UNCOMPRESSED)
    } else if let Some(key) = data.sk_ecdsa_p256() {
        key.ec_point().as_bytes().first() == Some(&SEC1_UNCOMPRESSED)
    } else {
        false
    };
    if sound {
        Ok(())
    } else {
        Err(SigError::KeyKind)
    }
}

/// The first byte of an uncompressed curve point (SEC 1, section 2.3.3), the only form OpenSSH takes.
const SEC1_UNCOMPRESSED: u8 = 4;

fn is_sound_ed25519(key: &Ed25519PublicKey) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(key.as_ref()).is_ok_and(|key| !key.is_weak())
}

/// Returns the fingerprint of a key as OpenSSH prints it: `SHA256:…`.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(ssh_key::HashAlg::Sha256).to_string()
}

impl Envelope {
    /// Verifies the signature over `message`; see [`verify`].
    ///
    /// # Errors
    ///
    /// As [`verify`].
    pub fn verify(
        &self,
        namespace: &str,
        message: &[u8],
        expected: &PublicKey,
    ) -> Result<Presence, SigError> {
        if self.key().key_data() != expected.key_data() {
            return Err(SigError::OtherKey {
                expected: fingerprint(expected),
                found: fingerprint(self.key()),
            });
        }
        if self.namespace() != namespace {
            return Err(SigError::Namespace {
                expected: namespace.to_owned(),
            });
        }
        check_key(expected)?;
        let data = signed_data(namespace, message)?;
        let key = expected.key_data();
        if let Some(key) = key.ed25519() {
            self.verify_ed25519(key, &data)?;
        } else if let Some(key) = key.sk_ed25519() {
            let data = blob::security_key_data(key.application(), self.presence(), &data)?;
            self.verify_ed25519(key.public_key(), &data)?;
        } else {
            // ECDSA, of a security key as well; `check_key` has let nothing else through.
            key.verify(&data, self.signature())
                .map_err(|_| SigError::Bad)?;
        }
        Ok(self.presence())
    }

    fn verify_ed25519(&self, key: &Ed25519PublicKey, data: &[u8]) -> Result<(), SigError> {
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(key.as_ref()).map_err(|_| SigError::KeyKind)?;
        let signature = self
            .signature()
            .as_bytes()
            .first_chunk::<64>()
            .map(ed25519_dalek::Signature::from_bytes)
            .ok_or(SigError::Field { field: "signature" })?;
        key.verify_strict(data, &signature)
            .map_err(|_| SigError::Bad)
    }
}
