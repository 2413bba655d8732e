//! The SSH wire encoding (RFC 4251, section 5) as far as signatures need it, and the bytes that are
//! signed.

use sha2::{Digest as _, Sha256, Sha512};

use super::{Presence, SigError};

/// What a signature's blob and its signed bytes begin with.
pub(super) const MAGIC: [u8; 6] = *b"SSHSIG";
/// The one hash function that is accepted.
pub(super) const HASH: &str = "sha512";

/// Reads fields from a blob, in order.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], SigError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(SigError::Field { field })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<u32, SigError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<&'a [u8], SigError> {
        let length = usize::try_from(self.number(field)?).map_err(|_| SigError::Field { field })?;
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(SigError::Field { field })?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, SigError> {
        std::str::from_utf8(self.string(field)?).map_err(|_| SigError::Field { field })
    }

    pub(super) const fn finish(self, field: &'static str) -> Result<(), SigError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(SigError::Trailing {
                field,
                found: self.rest.len(),
            })
        }
    }
}

/// Appends a length-prefixed string.
pub(super) fn put(out: &mut Vec<u8>, field: &'static str, bytes: &[u8]) -> Result<(), SigError> {
    let length = u32::try_from(bytes.len()).map_err(|_| SigError::Field { field })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

pub(super) fn signed_data(namespace: &str, message: &[u8]) -> Result<Vec<u8>, SigError> {
    let mut out = MAGIC.to_vec();
    put(&mut out, "namespace", namespace.as_bytes())?;
    put(&mut out, "reserved", &[])?;
    put(&mut out, "hash", HASH.as_bytes())?;
    put(&mut out, "message", &Sha512::digest(message))?;
    Ok(out)
}

/// Returns what a security key signs in place of `data` (PROTOCOL.u2f, "SSH U2F Signatures").
pub(super) fn security_key_data(
    application: &str,
    presence: Presence,
    data: &[u8],
) -> Result<Vec<u8>, SigError> {
    let trailer = presence
        .trailer()
        .ok_or(SigError::Field { field: "flags" })?;
    let mut out = Sha256::digest(application).to_vec();
    out.extend_from_slice(&trailer);
    out.extend_from_slice(&Sha256::digest(data));
    Ok(out)
}
