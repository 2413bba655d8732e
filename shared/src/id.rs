//! Identifiers: 128 random bits with a fixed text form.
//!
//! The daemon makes them; nothing here draws random numbers. Text forms are read strictly: one
//! spelling per value, so two different strings never name the same thing.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize as _;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix that names the kind is missing.
    #[error("an identifier of this kind starts with `{prefix}`")]
    Prefix {
        /// The prefix that was expected.
        prefix: &'static str,
    },
    /// What follows the prefix is not 128 bits in the one accepted spelling.
    #[error("`{prefix}` is followed by {expected} characters of {alphabet}, without capitals")]
    Body {
        /// The prefix that was expected.
        prefix: &'static str,
        /// The number of characters after it.
        expected: usize,
        /// The alphabet's name.
        alphabet: &'static str,
    },
}

/// Lower-case Crockford base32, without padding and without the alphabet's aliases.
fn crockford() -> &'static Encoding {
    static ENCODING: std::sync::OnceLock<Encoding> = std::sync::OnceLock::new();
    ENCODING.get_or_init(|| {
        let mut spec = Specification::new();
        spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
        spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
    })
}

/// Names a request: `req_` and 26 characters of lower-case Crockford base32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// What every request id starts with.
    pub const PREFIX: &'static str = "req_";

    /// Makes an id from 128 random bits.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 128 bits.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns the first and the last id whose text form begins with `prefix`, or nothing when none
    /// can.
    pub fn range(prefix: &str) -> Option<(Self, Self)> {
        let lowest = format!("{}{}", Self::PREFIX, "0".repeat(26));
        // 26 characters carry 130 bits; the last two must be zero.
        let highest = format!("{}{}w", Self::PREFIX, "z".repeat(25));
        let filled = |with: &str| {
            let rest = with.get(prefix.len()..)?;
            format!("{prefix}{rest}").parse::<Self>().ok()
        };
        Some((filled(&lowest)?, filled(&highest)?))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, crockford().encode(&self.0))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let body = text.strip_prefix(Self::PREFIX).ok_or(IdError::Prefix {
            prefix: Self::PREFIX,
        })?;
        crockford()
            .decode(body.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .map(Self)
            .ok_or(IdError::Body {
                prefix: Self::PREFIX,
                expected: 26,
                alphabet: "base32",
            })
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Makes a type for a secret of 128 bits: handed out as text, compared by digest.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        ///
        /// The daemon stores none: it keeps a SHA-256, or derives the secret anew. Comparing goes
        /// through the digest, so the time it takes tells nothing about the secret.
        #[derive(Clone)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What every secret of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a secret from 128 random bits.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the digest that the daemon keeps.
            pub fn digest(&self) -> crate::digest::Digest {
                crate::digest::Digest::of(&self.0)
            }

            /// Returns the text form, to be handed to whom it was made for and to nobody else.
            pub fn reveal(&self) -> String {
                format!("{}{}", Self::PREFIX, crockford().encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let body = text.strip_prefix(Self::PREFIX).ok_or(IdError::Prefix {
                    prefix: Self::PREFIX,
                })?;
                crockford()
                    .decode(body.as_bytes())
                    .ok()
                    .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                    .map(Self)
                    .ok_or(IdError::Body {
                        prefix: Self::PREFIX,
                        expected: 26,
                        alphabet: "base32",
                    })
            }
        }
    };
}

secret!(
    /// The secret that lets its holder wait for, withdraw and redeem one request (R16). Handed out
    /// at submit, to everybody whose asking it is.
    TicketSecret,
    "tkt_"
);

secret!(
    /// The secret that lets its holder report the run of one request. Handed out with the one use, so
    /// that nobody tells of a run but who was given it.
    RunSecret,
    "run_"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_has_one_known_spelling() {
        let id = RequestId::from_bytes([
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ]);
        assert_eq!(id.to_string(), "req_008j4ct4ank7f24snaxwsqfezw");
        for other in [
            "req_008J4CT4ANK7F24SNAXWSQFEZW",
            "req_008j4ct4ank7f24snaxwsqfezx",
            "req_008j4ct4ank7f24snaxwsqfez",
            "req_008j4ct4ank7f24snaxwsqfezw0",
            "req_oo8j4ct4ank7f24snaxwsqfezw",
            "008j4ct4ank7f24snaxwsqfezw",
            "tkt_008j4ct4ank7f24snaxwsqfezw",
            "",
        ] {
            assert!(other.parse::<RequestId>().is_err(), "{other} was read");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_in_the_range_of_each_prefix_and_its_neighbours_are_not(
            bytes: [u8; 16],
            length in 4_usize..30,
        ) {
            let id = RequestId::from_bytes(bytes);
            let text = id.to_string();
            let prefix = text.get(..length).unwrap();
            let (first, last) = RequestId::range(prefix).unwrap();
            prop_assert!(first <= id && id <= last);
            prop_assert!(first.to_string().starts_with(prefix));
            prop_assert!(last.to_string().starts_with(prefix));
            for outside in [
                u128::from_be_bytes(first.0).checked_sub(1),
                u128::from_be_bytes(last.0).checked_add(1),
            ].into_iter().flatten() {
                let outside = RequestId::from_bytes(outside.to_be_bytes());
                prop_assert!(!outside.to_string().starts_with(prefix));
            }
        }
    }

    #[test]
    fn what_begins_no_id_has_no_range() {
        for prefix in ["tkt_0", "req_u", "req_A", "req_00000000000000000000000000x"] {
            assert_eq!(RequestId::range(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn a_secret_is_not_in_its_debug_output_and_is_no_secret_of_another_kind() {
        let secret = TicketSecret::from_bytes([7; 16]);
        assert_eq!(format!("{secret:?}"), "TicketSecret(…)");
        let secret = RunSecret::from_bytes([7; 16]);
        assert_eq!(format!("{secret:?}"), "RunSecret(…)");
        assert!(secret.reveal().parse::<TicketSecret>().is_err());
    }

    proptest! {
        #[test]
        fn ids_round_trip(bytes: [u8; 16]) {
            let id = RequestId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
            let secret = TicketSecret::from_bytes(bytes);
            let again: TicketSecret = secret.reveal().parse().unwrap();
            prop_assert_eq!(secret.digest(), again.digest());
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "(req_)?[0-9a-zA-Z_]{0,30}") {
            if let Ok(id) = text.parse::<RequestId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
