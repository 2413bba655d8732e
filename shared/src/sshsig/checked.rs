//! A signature held against the key that it carries itself: the costly half of verifying, which
//! needs to know nothing else.

use ssh_key::PublicKey;

use super::{Envelope, Presence, SigError, fingerprint};

/// A signature, and whether it fits its message by the key in it. Whose key that is was not asked.
#[derive(Debug, Clone)]
pub struct Checked {
    fingerprint: String,
    key: PublicKey,
    verdict: Result<Presence, SigError>,
}

impl Checked {
    /// Reads an armoured signature and holds it against its message.
    ///
    /// # Errors
    ///
    /// When it cannot be read. That it is not good is told by [`verdict`](Self::verdict).
    pub fn of(armored: &str, namespace: &str, message: &[u8]) -> Result<Self, SigError> {
        let envelope = Envelope::read(armored)?;
        Ok(Self {
            fingerprint: fingerprint(envelope.key()),
            verdict: envelope.verify(namespace, message, envelope.key()),
            key: envelope.key().clone(),
        })
    }

    /// Returns the fingerprint of the key.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns what is proven by whoever has the key in the signature.
    ///
    /// # Errors
    ///
    /// As [`verify`](super::verify).
    pub fn by_its_own_key(&self) -> Result<Presence, SigError> {
        self.verdict.clone()
    }

    /// Returns what is proven about the person's presence, if the key is `expected` and made the
    /// signature.
    ///
    /// # Errors
    ///
    /// As [`verify`](super::verify).
    pub fn verdict(&self, expected: &PublicKey) -> Result<Presence, SigError> {
        if self.key.key_data() != expected.key_data() {
            return Err(SigError::OtherKey {
                expected: fingerprint(expected),
                found: self.fingerprint.clone(),
            });
        }
        self.verdict.clone()
    }
}
