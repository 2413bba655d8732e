//! What a signature proves about the person: the flags of a security key (OpenSSH's PROTOCOL.u2f,
//! `WebAuthn` section 6.1).

/// The authenticator data's flag "user present": someone touched the key.
const USER_PRESENT: u8 = 0x01;
/// The authenticator data's flag "user verified": PIN, fingerprint or the like.
const USER_VERIFIED: u8 = 0x04;

/// What is proven about the person's presence, apart from the use of the key.
///
/// Keys in files and in `ssh-agent` prove nothing of the kind; security keys prove what their flags
/// say, which may be nothing as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a signature without a touch verifies as well"]
pub struct Presence {
    flags: Option<(u8, u32)>,
}

impl Presence {
    /// The presence that a key outside a security key proves: none.
    pub const NONE: Self = Self { flags: None };

    /// The presence that a security key states in a signature.
    pub(crate) const fn of_security_key(flags: u8, counter: u32) -> Self {
        Self {
            flags: Some((flags, counter)),
        }
    }

    /// Tells whether a security key made the signature.
    pub const fn is_security_key(self) -> bool {
        self.flags.is_some()
    }

    /// Tells whether someone touched the security key for this signature.
    pub fn user_present(self) -> bool {
        self.flags
            .is_some_and(|(flags, _)| flags & USER_PRESENT != 0)
    }

    /// Tells whether the security key verified its person for this signature, by PIN or biometry.
    pub fn user_verified(self) -> bool {
        self.flags
            .is_some_and(|(flags, _)| flags & USER_VERIFIED != 0)
    }

    /// Returns the security key's signature counter. Keys that do not count say 0; one that goes
    /// backwards hints at a copied key.
    pub fn counter(self) -> Option<u32> {
        self.flags.map(|(_, counter)| counter)
    }

    /// Returns the five bytes that follow a security key's signature.
    pub(crate) fn trailer(self) -> Option<[u8; 5]> {
        self.flags.map(|(flags, counter)| {
            let [a, b, c, d] = counter.to_be_bytes();
            [flags, a, b, c, d]
        })
    }
}
