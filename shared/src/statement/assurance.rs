//! How sure we are that the person was there when a statement was signed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sshsig::Presence;

/// The text names no assurance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an assurance is one of file, ssh-agent, unlocked, passphrase, touch, pin")]
pub struct AssuranceError;

/// How sure we are that the person was there, from weak to strong.
///
/// `Touch` and `Pin` are proven by the flags of a security key; the others are what the console
/// states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Assurance {
    /// An unencrypted key file signed.
    File,
    /// An `ssh-agent` signed, asked by whoever could reach it.
    SshAgent,
    /// A key signed whose passphrase was typed since this console started.
    Unlocked,
    /// The passphrase was typed for this statement.
    Passphrase,
    /// A security key was touched for this statement.
    Touch,
    /// A security key verified the person, by PIN or biometry, for this statement.
    Pin,
}

impl Assurance {
    /// All of them, from weak to strong.
    pub const ALL: [Self; 6] = [
        Self::File,
        Self::SshAgent,
        Self::Unlocked,
        Self::Passphrase,
        Self::Touch,
        Self::Pin,
    ];

    /// Tells whether this is proven by the signature itself, and not only stated by the console.
    pub const fn is_proven(self) -> bool {
        match self {
            Self::File | Self::SshAgent | Self::Unlocked | Self::Passphrase => false,
            Self::Touch | Self::Pin => true,
        }
    }

    /// Returns the assurance that a signature proves, if it proves one.
    pub fn proven_by(presence: Presence) -> Option<Self> {
        match (presence.user_present(), presence.user_verified()) {
            (true, true) => Some(Self::Pin),
            (true, false) => Some(Self::Touch),
            // A key that verifies without a touch is no key we know how to trust.
            (false, true | false) => None,
        }
    }

    /// Returns the assurance that counts: the stated one, or the proven one where it is stronger.
    /// Nothing when the stated one would have to be proven and is not.
    #[must_use]
    pub fn established(self, presence: Presence) -> Option<Self> {
        let proven = Self::proven_by(presence);
        if self.is_proven() {
            proven.filter(|proven| *proven >= self)
        } else {
            Some(proven.map_or(self, |proven| proven.max(self)))
        }
    }

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::SshAgent => "ssh-agent",
            Self::Unlocked => "unlocked",
            Self::Passphrase => "passphrase",
            Self::Touch => "touch",
            Self::Pin => "pin",
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Assurance {
    type Err = AssuranceError;

    fn from_str(text: &str) -> Result<Self, AssuranceError> {
        Self::ALL
            .into_iter()
            .find(|assurance| assurance.as_str() == text)
            .ok_or(AssuranceError)
    }
}

impl Serialize for Assurance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Assurance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assurances_are_ordered_from_file_to_pin() {
        assert!(Assurance::ALL.is_sorted_by(|a, b| a < b));
        for assurance in Assurance::ALL {
            assert_eq!(assurance.to_string().parse(), Ok(assurance));
        }
        assert_eq!("Touch".parse::<Assurance>(), Err(AssuranceError));
    }

    #[test]
    fn a_touch_counts_only_when_the_flags_prove_it() {
        let untouched = Presence::of_security_key(0, 1);
        let touched = Presence::of_security_key(1, 2);
        let verified = Presence::of_security_key(5, 3);
        let odd = Presence::of_security_key(4, 4);
        for (stated, presence, counts) in [
            (Assurance::Touch, Presence::NONE, None),
            (Assurance::Touch, untouched, None),
            (Assurance::Touch, odd, None),
            (Assurance::Touch, touched, Some(Assurance::Touch)),
            (Assurance::Touch, verified, Some(Assurance::Pin)),
            (Assurance::Pin, touched, None),
            (Assurance::Pin, verified, Some(Assurance::Pin)),
            (Assurance::SshAgent, untouched, Some(Assurance::SshAgent)),
            (Assurance::SshAgent, touched, Some(Assurance::Touch)),
            (Assurance::File, Presence::NONE, Some(Assurance::File)),
        ] {
            assert_eq!(
                stated.established(presence),
                counts,
                "{stated} {presence:?}"
            );
        }
    }
}
