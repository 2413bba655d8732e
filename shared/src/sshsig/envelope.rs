//! The envelope of an SSH signature: key, namespace, signature, and their armour.
//!
//! Reading is strict: what was read is written again and must be the same text. So one signature
//! has one spelling, in the log as well.

use data_encoding::BASE64;
use ssh_key::public::KeyData;
use ssh_key::{PublicKey, Signature};

use super::blob::{self, Reader};
use super::{Presence, SigError};

/// The longest armoured signature that is looked at, in bytes. The longest one of a supported key,
/// a security key with a long application name, stays well below it.
pub const MAX_ARMORED: usize = 8 * 1024;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "\n-----END SSH SIGNATURE-----\n";
/// The length of a line as `ssh-keygen` writes it.
const LINE: usize = 70;
const VERSION: u32 = 1;

/// A signature with the key that made it and the namespace it was made for. Reading one proves
/// nothing; [`Envelope::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    key: PublicKey,
    namespace: String,
    signature: Signature,
    presence: Presence,
}

impl Envelope {
    /// Puts a key's raw signature over [`super::signed_data`] into an envelope.
    ///
    /// # Errors
    ///
    /// [`SigError::Field`] for an empty namespace, [`SigError::Algorithm`] when the signature is
    /// of another kind than the key.
    pub fn new(key: &PublicKey, namespace: &str, signature: Signature) -> Result<Self, SigError> {
        if namespace.is_empty() {
            return Err(SigError::Field { field: "namespace" });
        }
        if signature.algorithm() != key.algorithm() {
            return Err(SigError::Algorithm);
        }
        let presence = if is_security_key(key.key_data()) {
            let (_, [flags, counter @ ..]) = signature
                .as_bytes()
                .split_last_chunk::<5>()
                .ok_or(SigError::Field { field: "flags" })?;
            Presence::of_security_key(*flags, u32::from_be_bytes(*counter))
        } else {
            Presence::NONE
        };
        Ok(Self {
            key: PublicKey::from(key.key_data().clone()),
            namespace: namespace.to_owned(),
            signature,
            presence,
        })
    }

    /// Reads an armoured signature.
    ///
    /// # Errors
    ///
    /// A [`SigError`] for any text that [`Envelope::to_armored`] would not have written.
    pub fn read(armored: &str) -> Result<Self, SigError> {
        if armored.len() > MAX_ARMORED {
            return Err(SigError::TooLong {
                found: armored.len(),
                limit: MAX_ARMORED,
            });
        }
        let base64: String = armored
            .strip_prefix(BEGIN)
            .and_then(|text| text.strip_suffix(END))
            .ok_or(SigError::Armor)?
            .split('\n')
            .collect();
        let bytes = BASE64
            .decode(base64.as_bytes())
            .map_err(|_| SigError::Armor)?;
        let envelope = Self::from_bytes(&bytes)?;
        if envelope.to_armored()? == armored {
            Ok(envelope)
        } else {
            Err(SigError::Armor)
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, SigError> {
        let mut reader = Reader::new(bytes);
        if reader.array("magic").map_err(|_| SigError::Magic)? != blob::MAGIC {
            return Err(SigError::Magic);
        }
        let version = reader.number("version")?;
        if version != VERSION {
            return Err(SigError::Version { found: version });
        }
        let key = read_key(reader.string("public key")?)?;
        let namespace = reader.text("namespace")?;
        let reserved = reader.string("reserved")?;
        if !reserved.is_empty() {
            return Err(SigError::Reserved {
                found: reserved.len(),
            });
        }
        if reader.text("hash")? != blob::HASH {
            return Err(SigError::Hash);
        }
        let signature = read_signature(reader.string("signature")?, &key)?;
        reader.finish("signature")?;
        Self::new(&key, namespace, signature)
    }

    /// Returns the key that is said to have signed.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the namespace the signature is said to be made for.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) const fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(super) const fn presence(&self) -> Presence {
        self.presence
    }

    /// Writes the armour as `ssh-keygen -Y sign` does.
    ///
    /// # Errors
    ///
    /// [`SigError::Field`] when a field is too long for the format.
    pub fn to_armored(&self) -> Result<String, SigError> {
        let mut out = blob::MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_be_bytes());
        blob::put(&mut out, "public key", &key_bytes(&self.key)?)?;
        blob::put(&mut out, "namespace", self.namespace.as_bytes())?;
        blob::put(&mut out, "reserved", &[])?;
        blob::put(&mut out, "hash", blob::HASH.as_bytes())?;
        blob::put(&mut out, "signature", &self.signature_bytes()?)?;

        let mut armored = String::from(BEGIN);
        for (index, digit) in BASE64.encode(&out).chars().enumerate() {
            if index > 0 && index.is_multiple_of(LINE) {
                armored.push('\n');
            }
            armored.push(digit);
        }
        armored.push_str(END);
        Ok(armored)
    }

    /// The signature's own blob: algorithm, signature, and a security key's flags and counter.
    fn signature_bytes(&self) -> Result<Vec<u8>, SigError> {
        let trailer = self.presence.trailer();
        let raw = match trailer {
            Some(trailer) => self.signature.as_bytes().strip_suffix(&trailer),
            None => Some(self.signature.as_bytes()),
        };
        let mut out = Vec::new();
        let algorithm = self.signature.algorithm();
        blob::put(&mut out, "algorithm", algorithm.as_str().as_bytes())?;
        blob::put(&mut out, "signature", raw.ok_or(SigError::Algorithm)?)?;
        out.extend(trailer.into_iter().flatten());
        Ok(out)
    }
}

fn is_security_key(key: &KeyData) -> bool {
    key.is_sk_ed25519() || key.is_sk_ecdsa_p256()
}

fn key_bytes(key: &PublicKey) -> Result<Vec<u8>, SigError> {
    key.to_bytes().map_err(|_| SigError::KeyKind)
}

fn read_key(bytes: &[u8]) -> Result<PublicKey, SigError> {
    // Looked at first: the parser takes certificates for damaged keys.
    if Reader::new(bytes).text("public key")?.contains("-cert-") {
        return Err(SigError::Certificate);
    }
    let key = PublicKey::from_bytes(bytes).map_err(|_| SigError::Field {
        field: "public key",
    })?;
    super::check_key(&key)?;
    Ok(key)
}

fn read_signature(bytes: &[u8], key: &PublicKey) -> Result<Signature, SigError> {
    let mut reader = Reader::new(bytes);
    if reader.text("algorithm")? != key.algorithm().as_str() {
        return Err(SigError::Algorithm);
    }
    let mut raw = reader.string("signature")?.to_vec();
    if is_security_key(key.key_data()) {
        raw.extend_from_slice(&reader.array::<5>("flags")?);
    }
    reader.finish("flags")?;
    Signature::new(key.algorithm(), raw).map_err(|_| SigError::Field { field: "signature" })
}
