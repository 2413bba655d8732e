//! Enrolled keys: a public key, and until when it may sign.

use ssh_key::{Algorithm, PublicKey};

use crate::sshsig;
use crate::time::Timestamp;

/// Why a line is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The line is not a public key of OpenSSH.
    #[error(
        "not a public key as in a `.pub` file: `<type> <base64> [comment]` on one line, at most \
         {limit} bytes"
    )]
    Line {
        /// The limit in bytes.
        limit: usize,
    },
    /// It is a private key.
    #[error("this is a private key; enrol the `.pub` file, and take this one out of the roster")]
    Private,
    /// RSA keys are refused.
    #[error("RSA keys are not accepted; make one with `ssh-keygen -t ed25519`")]
    Rsa,
    /// DSA keys are refused.
    #[error("DSA keys are not accepted; make one with `ssh-keygen -t ed25519`")]
    Dsa,
    /// Certificates are refused.
    #[error("certificates are not accepted; enrol the plain public key")]
    Certificate,
    /// A key of an unknown kind, or one that is no sound key of its kind.
    #[error("not a sound key of a known kind; use ed25519, ecdsa or a security key (sk-)")]
    Kind,
    /// An option other than `valid-before`.
    #[error("the only option before a key is `valid-before=\"YYYYMMDD[HHMM[SS]]Z\"`")]
    Option,
    /// The time of `valid-before` is none.
    #[error("`valid-before` takes a time in UTC: `\"YYYYMMDD[HHMM[SS]]Z\"`")]
    ValidBefore,
}

/// The longest line, in bytes.
const MAX_LINE: usize = 2 * 1024;
const VALID_BEFORE: &str = "valid-before=\"";

/// A public key of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledKey {
    public: PublicKey,
    openssh: String,
    fingerprint: String,
    valid_before: Option<Timestamp>,
}

impl EnrolledKey {
    /// Reads a line: a public key of OpenSSH, its comment is dropped, with an optional
    /// `valid-before="YYYYMMDD[HHMM[SS]]Z"` in front.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] with advice.
    pub fn read(line: &str) -> Result<Self, KeyError> {
        const LINE: KeyError = KeyError::Line { limit: MAX_LINE };
        if line.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        let line = line.trim_end_matches('\n');
        if line.len() > MAX_LINE || line.chars().any(char::is_control) {
            return Err(LINE);
        }
        let (valid_before, key) = match line.strip_prefix(VALID_BEFORE) {
            Some(rest) => {
                let (time, key) = rest.split_once("\" ").ok_or(KeyError::Option)?;
                (Some(read_time(time)?), key)
            }
            None => (None, line),
        };
        let kind = key.split(' ').next().unwrap_or_default();
        if kind.contains('=') || kind == "cert-authority" {
            return Err(KeyError::Option);
        }
        if kind.contains("-cert-") {
            return Err(KeyError::Certificate);
        }
        let parsed = PublicKey::from_openssh(key).map_err(|_| LINE)?;
        if parsed.key_data().is_rsa() {
            return Err(KeyError::Rsa);
        }
        if parsed.key_data().is_dsa() {
            return Err(KeyError::Dsa);
        }
        sshsig::check_key(&parsed).map_err(|_| KeyError::Kind)?;
        let public = PublicKey::from(parsed.key_data().clone());
        let openssh = public.to_openssh().map_err(|_| KeyError::Kind)?;
        Ok(Self {
            openssh: openssh.trim_end().to_owned(),
            fingerprint: sshsig::fingerprint(&public),
            public,
            valid_before,
        })
    }

    /// Returns the public key, without a comment.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the key as OpenSSH writes it, without a comment.
    pub fn openssh(&self) -> &str {
        &self.openssh
    }

    /// Tells whether the key lies in a security key, which signs with a touch or a PIN unless it was
    /// made not to ask; what a signature proves stands in the signature.
    pub fn is_security_key(&self) -> bool {
        matches!(
            self.public.algorithm(),
            Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
        )
    }

    /// Returns the fingerprint as OpenSSH prints it: `SHA256:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the time from which the key no longer signs, none when it has no end.
    pub const fn valid_before(&self) -> Option<Timestamp> {
        self.valid_before
    }

    /// Returns when the key expired, if it has at the time `at`.
    pub fn expired(&self, at: Timestamp) -> Option<Timestamp> {
        self.valid_before.filter(|end| at >= *end)
    }

    /// Returns the time of the `valid-before` option in its longest form, as OpenSSH takes it.
    pub(super) fn valid_before_text(&self) -> Option<String> {
        let text = self.valid_before?.to_string();
        let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
        Some(format!("{digits}Z"))
    }

    /// Returns the line in its canonical form, as [`EnrolledKey::read`] takes it.
    pub fn line(&self) -> String {
        match self.valid_before_text() {
            Some(time) => format!("{VALID_BEFORE}{time}\" {}", self.openssh),
            None => self.openssh.clone(),
        }
    }
}

/// Reads `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`. OpenSSH takes local times without the
/// `Z` as well; one key would then expire at different times on different machines.
fn read_time(text: &str) -> Result<Timestamp, KeyError> {
    let digits = text.strip_suffix('Z').ok_or(KeyError::ValidBefore)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KeyError::ValidBefore);
    }
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(KeyError::ValidBefore),
    };
    let part = |range: std::ops::Range<usize>| full.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}T{}:{}:{}.000Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14)
    )
    .parse()
    .map_err(|_| KeyError::ValidBefore)
}
