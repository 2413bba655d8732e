//! How much a key can give at most, and what to say when a request asks for more.
//!
//! Known before anything is signed, so that nobody types a passphrase for nothing. The daemon judges
//! the signature itself again.

use std::fmt;

use countersign_shared::statement::Assurance;

/// How much a key can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strength {
    /// Its passphrase can be asked for, for each decision anew.
    Passphrase,
    /// It has none that we could ask for: it always gives this much.
    Fixed(Assurance),
}

impl Strength {
    /// Returns what is lacking when this is not enough for `needs`.
    pub fn lack(self, needs: Assurance) -> Option<Lack> {
        let most = match self {
            Self::Passphrase => Assurance::Passphrase,
            // Whether it verifies its owner as well is seen in the signature only.
            Self::Fixed(Assurance::Touch) => Assurance::Pin,
            Self::Fixed(assurance) => assurance,
        };
        (most < needs).then_some(Lack { needs, has: self })
    }
}

/// A key cannot give what a request needs. Displays as what to tell the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lack {
    /// What the request needs.
    pub needs: Assurance,
    /// What there is.
    pub has: Strength,
}

impl Lack {
    /// Returns what the request needs, in words.
    pub const fn needs(self) -> &'static str {
        match self.needs {
            Assurance::File | Assurance::SshAgent => "another key",
            Assurance::Unlocked => "a key with a passphrase",
            Assurance::Passphrase => "a passphrase typed for it",
            Assurance::Touch => "a touch on a security key",
            Assurance::Pin => "the PIN of a security key",
        }
    }

    /// Returns what stands against it, and what to do.
    pub const fn instead(self) -> &'static str {
        let is_typed = matches!(
            self.needs,
            Assurance::File | Assurance::SshAgent | Assurance::Unlocked | Assurance::Passphrase
        );
        match (self.has, is_typed) {
            (Strength::Fixed(Assurance::SshAgent), true) => {
                "your key is in an ssh-agent: use --key FILE"
            }
            (Strength::Fixed(Assurance::SshAgent), false) => {
                "your key is in an ssh-agent: use --key SECURITY_KEY.pub"
            }
            (Strength::Fixed(_), true) => "your key has no passphrase: use --key FILE",
            (Strength::Passphrase | Strength::Fixed(_), _) => {
                "your key is in a file: use --key SECURITY_KEY.pub"
            }
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this request needs {}; {}", self.needs(), self.instead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_what_it_is_and_no_more() {
        use Assurance::{File, Passphrase, Pin, SshAgent, Touch, Unlocked};
        for (strength, enough, lacking) in [
            (
                Strength::Passphrase,
                &[File, SshAgent, Unlocked, Passphrase][..],
                &[Touch, Pin][..],
            ),
            (
                Strength::Fixed(File),
                &[File],
                &[SshAgent, Unlocked, Passphrase, Touch, Pin],
            ),
            (
                Strength::Fixed(SshAgent),
                &[File, SshAgent],
                &[Unlocked, Passphrase, Touch, Pin],
            ),
            (
                Strength::Fixed(Touch),
                &[File, SshAgent, Unlocked, Passphrase, Touch, Pin],
                &[],
            ),
        ] {
            for needs in enough {
                assert_eq!(strength.lack(*needs), None, "{strength:?} {needs}");
            }
            for needs in lacking {
                assert!(strength.lack(*needs).is_some(), "{strength:?} {needs}");
            }
        }
    }

    #[test]
    fn what_is_lacking_is_told_with_what_to_do() {
        let lack = Strength::Fixed(Assurance::SshAgent).lack(Assurance::Passphrase);
        assert_eq!(
            lack.unwrap().to_string(),
            "this request needs a passphrase typed for it; your key is in an ssh-agent: use --key FILE"
        );
    }
}
