//! What the daemon derives from its one secret, `mask.key`.
//!
//! A request's id is derived from the token of its Submit; ticket secret, run secret and mask salts
//! are derived from the id. A repeated Submit gets the same ones although nothing secret is stored.

use countersign_shared::id::{RequestId, RunSecret, TicketSecret};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The daemon's secret.
#[derive(Clone)]
pub struct Secrets {
    key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Takes the 32 bytes of `mask.key`.
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
        }
    }

    /// Returns the bytes that tags of masks are made with.
    pub fn mask_key(&self) -> [u8; 32] {
        self.derive("countersign.mask-tag.v1", &[])
    }

    /// Returns the id of the request that a principal submits under a token: the same one for the
    /// same token, and 128 bits that nobody without the secret can foresee.
    pub fn request_id(&self, principal: &str, submission: [u8; 16]) -> RequestId {
        let bytes = self.derive(
            "countersign.request-id.v1",
            &[principal.as_bytes(), &submission],
        );
        let (id, _) = bytes.split_at(16);
        RequestId::from_bytes(id.try_into().unwrap_or([0; 16]))
    }

    /// Returns the ticket secret of a request.
    pub fn ticket(&self, id: RequestId) -> TicketSecret {
        let bytes = self.derive("countersign.ticket.v1", &[id.as_bytes()]);
        let (ticket, _) = bytes.split_at(16);
        TicketSecret::from_bytes(ticket.try_into().unwrap_or([0; 16]))
    }

    /// Returns the run secret of a request: it goes out with the one use, which is taken once.
    pub fn run(&self, id: RequestId) -> RunSecret {
        let bytes = self.derive("countersign.run.v1", &[id.as_bytes()]);
        let (run, _) = bytes.split_at(16);
        RunSecret::from_bytes(run.try_into().unwrap_or([0; 16]))
    }

    /// Returns the salt of the `index`th mask of a request.
    pub fn salt(&self, id: RequestId, index: u64) -> [u8; 32] {
        self.derive(
            "countersign.mask-salt.v1",
            &[id.as_bytes(), &index.to_be_bytes()],
        )
    }

    /// Returns the sameness key of an asking (R13). Never shown, never grants.
    pub fn sameness(&self, principal: &str, action: &[u8]) -> [u8; 32] {
        self.derive("countersign.sameness.v1", &[principal.as_bytes(), action])
    }

    /// HMAC-SHA-256 over a label and parts, each with its length in front.
    fn derive(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        #[expect(
            clippy::expect_used,
            reason = "HMAC takes a key of any length (RFC 2104)"
        )]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice())
            .expect("HMAC takes a key of any length");
        for part in std::iter::once(&label.as_bytes()).chain(parts) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let secrets = Secrets::new([1; 32]);
        assert_ne!(secrets.sameness("ab", b"c"), secrets.sameness("a", b"bc"));
        let id = RequestId::from_bytes([2; 16]);
        assert_ne!(secrets.salt(id, 0), secrets.salt(id, 1));
        assert_ne!(secrets.mask_key(), Secrets::new([2; 32]).mask_key());
        assert_eq!(secrets.ticket(id).digest(), secrets.ticket(id).digest());
    }
}
