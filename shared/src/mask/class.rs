//! What a masked value is, as far as that can be said without showing it.

use std::str::FromStr;

/// What a masked value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A single token.
    Token,
    /// A token that stands under the name of a password.
    Password,
    /// A JSON Web Token (RFC 7519).
    Jwt,
    /// A PEM block (RFC 7468).
    Pem,
}

impl Class {
    /// Returns the word that stands in a document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::Jwt => "jwt",
            Self::Pem => "pem",
        }
    }
}

/// The text is no class of masks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a class of masks is `token`, `password`, `jwt` or `pem`")]
pub struct ClassError;

impl FromStr for Class {
    type Err = ClassError;

    fn from_str(text: &str) -> Result<Self, ClassError> {
        [Self::Token, Self::Password, Self::Jwt, Self::Pem]
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or(ClassError)
    }
}
