//! Statements: the bytes people sign.
//!
//! Each is an in-toto Statement v1 in canonical form (RFC 8785), without a newline at the end,
//! signed as an SSH signature in a namespace of its own type, so that a signature for one act never
//! passes for another. The daemon keeps the bytes as they came and never writes them anew; reading
//! refuses all bytes that [`Statement::to_bytes`] would not have written.
//!
//! Nothing here verifies signatures ([`crate::sshsig`]) or knows people ([`crate::roster`]).
//! [`check`] compares a decision with what the daemon knows.

use crate::digest::Digest;
use crate::time::Timestamp;

pub use self::act::{Act, ActKind, Outcome, Subject};
pub use self::assurance::{Assurance, AssuranceError};
pub use self::check::{Context, Expect, Mismatch, check, check_act, check_break_glass};
pub use self::decision::{Decision, Display, Requester, Verdict};
pub use self::parts::{LogHead, Nonce};

mod act;
mod assurance;
mod check;
mod decision;
mod parts;
mod wire;

#[cfg(test)]
mod tests;

/// The longest statement, in bytes: with its signature it fits into one entry of the log.
pub const MAX_STATEMENT: usize = 32 * 1024;
/// The longest reason, in bytes.
pub const MAX_REASON: usize = 2_000;
/// The greatest whole number that every JSON reader keeps exactly (RFC 8785, section 3.2.2.3).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The bytes are not a statement, or the values cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The statement is longer than an entry of the log can hold.
    #[error("a statement is at most {limit} bytes long, this one has {found}")]
    TooLong {
        /// The size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not JSON of the statement's shape.
    #[error("not a statement: {message}")]
    Shape {
        /// What the reader said, and where.
        message: String,
    },
    /// The `_type` or `predicateType` is not known.
    #[error("a statement of an unknown type; the types end in `:v1`")]
    Type,
    /// The subject is not the one thing that statements of this type are about.
    #[error("the subject of this statement must be {expected}")]
    Subject {
        /// What is expected.
        expected: &'static str,
    },
    /// The values are good, the bytes are not the canonical ones.
    #[error("the statement is not in canonical form (RFC 8785), or has unknown or repeated names")]
    NotCanonical,
    /// The reason is too long or holds control characters.
    #[error(
        "a reason is one line without control characters and of at most {limit} bytes, this one has {found}"
    )]
    Reason {
        /// The size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The size of the log is no number that JSON keeps.
    #[error("the log's size {found} is greater than 2^53 - 1")]
    Number {
        /// The number found.
        found: u64,
    },
    /// The statement ends before it begins.
    #[error("the statement expires at {expires_at}, which is not after its issue at {issued_at}")]
    Times {
        /// When it was issued.
        issued_at: Timestamp,
        /// When it expires.
        expires_at: Timestamp,
    },
    /// An outcome stands where none belongs, or is missing.
    #[error("an outcome belongs to `settle` statements, and to no others")]
    Outcome,
    /// A rendering stands where none belongs, or is missing.
    #[error("a display belongs to `break-glass` statements, and to no other acts")]
    Display,
}

/// Something a person signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Approves or denies a request.
    Decision(Decision),
    /// Does something else.
    Act(Act),
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    ///
    /// A [`StatementError`] for any bytes that [`Statement::to_bytes`] would not have written.
    pub fn read(bytes: &[u8]) -> Result<Self, StatementError> {
        let statement = wire::read(bytes)?;
        if statement.to_bytes()? == bytes {
            Ok(statement)
        } else {
            Err(StatementError::NotCanonical)
        }
    }

    /// Returns the canonical bytes: what is signed, stored and shown to be the same.
    ///
    /// # Errors
    ///
    /// A [`StatementError`] when a value is outside its limits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StatementError> {
        let bytes = match self {
            Self::Decision(decision) => wire::write_decision(decision),
            Self::Act(act) => wire::write_act(act),
        }?;
        if bytes.len() > MAX_STATEMENT {
            return Err(StatementError::TooLong {
                found: bytes.len(),
                limit: MAX_STATEMENT,
            });
        }
        Ok(bytes)
    }

    /// Returns the namespace that the signature over this statement must have.
    pub const fn namespace(&self) -> &'static str {
        match self {
            Self::Decision(_) => Decision::NAMESPACE,
            Self::Act(act) => act.kind.namespace(),
        }
    }

    /// Returns the name of the person that is said to sign.
    pub fn reviewer(&self) -> &str {
        match self {
            Self::Decision(decision) => &decision.reviewer,
            Self::Act(act) => &act.reviewer,
        }
    }

    /// Returns the head of the log that the person's console had verified.
    pub const fn log(&self) -> &LogHead {
        match self {
            Self::Decision(decision) => &decision.log,
            Self::Act(act) => &act.log,
        }
    }

    /// Returns the digest of what the statement is about: a request document, or rules.
    pub const fn subject_digest(&self) -> Digest {
        match self {
            Self::Decision(decision) => decision.digest,
            Self::Act(act) => match act.subject {
                Subject::Request { digest, .. } | Subject::Rules { digest } => digest,
            },
        }
    }
}

/// All namespaces in which people sign, for the `namespaces=` option of `allowed_signers`.
pub const NAMESPACES: [&str; 8] = [
    Decision::NAMESPACE,
    ActKind::Revoke.namespace(),
    ActKind::Kill.namespace(),
    ActKind::Escalate.namespace(),
    ActKind::Settle.namespace(),
    ActKind::BreakGlass.namespace(),
    ActKind::CloseDebt.namespace(),
    ActKind::Rules.namespace(),
];
