//! Keys that live in this process only: for the demonstration.

use std::fmt;

use countersign_shared::sshsig;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::KeyError;

/// An Ed25519 key that is nowhere else.
pub struct MemoryKey {
    /// Boxed, so that moving it leaves no copies behind that nobody wipes.
    key: Box<PrivateKey>,
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKey")
            .field("fingerprint", &sshsig::fingerprint(self.key.public_key()))
            .finish_non_exhaustive()
    }
}

impl MemoryKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`] when the system gives no random bytes.
    pub fn random() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|_| KeyError::Random)?;
        Ok(Self {
            key: Box::new(PrivateKey::from(Ed25519Keypair::from_seed(&seed))),
        })
    }

    pub(super) fn private_key(&self) -> &PrivateKey {
        &self.key
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    pub(super) fn sign(
        &self,
        namespace: &str,
        message: &[u8],
    ) -> Result<ssh_key::Signature, KeyError> {
        self.key
            .sign(namespace, HashAlg::Sha512, message)
            .map(|signature| signature.signature().clone())
            .map_err(|source| KeyError::Signing {
                place: "memory".to_owned(),
                source,
            })
    }
}
