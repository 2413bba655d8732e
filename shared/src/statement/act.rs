//! Acts: what people sign apart from decisions (R17).

use serde::{Deserialize, Serialize};

use super::{Assurance, Display, LogHead, Nonce};
use crate::digest::Digest;
use crate::id::RequestId;
use crate::time::Timestamp;

/// What is done. Each has its own namespace and predicate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActKind {
    /// Takes back an approval that was not redeemed.
    Revoke,
    /// Asks for the end of a run.
    Kill,
    /// Calls for more eyes.
    Escalate,
    /// Says how a run of unknown end went.
    Settle,
    /// Approves alone, in an emergency, and owes a review for it.
    BreakGlass,
    /// Closes the review that a break-glass use owes.
    CloseDebt,
    /// Puts new rules into force.
    Rules,
}

impl ActKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Revoke,
        Self::Kill,
        Self::Escalate,
        Self::Settle,
        Self::BreakGlass,
        Self::CloseDebt,
        Self::Rules,
    ];

    /// Returns the namespace of the signature.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Revoke => "countersign.revoke.v1",
            Self::Kill => "countersign.kill.v1",
            Self::Escalate => "countersign.escalate.v1",
            Self::Settle => "countersign.settle.v1",
            Self::BreakGlass => "countersign.break-glass.v1",
            Self::CloseDebt => "countersign.close-debt.v1",
            Self::Rules => "countersign.rules.v1",
        }
    }

    /// Returns the in-toto predicate type.
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::Revoke => "urn:x-countersign:revoke:v1",
            Self::Kill => "urn:x-countersign:kill:v1",
            Self::Escalate => "urn:x-countersign:escalate:v1",
            Self::Settle => "urn:x-countersign:settle:v1",
            Self::BreakGlass => "urn:x-countersign:break-glass:v1",
            Self::CloseDebt => "urn:x-countersign:close-debt:v1",
            Self::Rules => "urn:x-countersign:rules:v1",
        }
    }
}

/// What an act is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One request.
    Request {
        /// Its id.
        id: RequestId,
        /// The digest of its document.
        digest: Digest,
    },
    /// New rules.
    Rules {
        /// Their digest.
        digest: Digest,
    },
}

/// How a run went, as a person found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it should.
    Succeeded,
    /// It ran and failed.
    Failed,
    /// It did not run.
    NotRun,
}

impl Outcome {
    /// Returns the outcome's word, as statements have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NotRun => "not-run",
        }
    }
}

/// A person's signed act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What is done.
    pub kind: ActKind,
    /// What it is about: rules for [`ActKind::Rules`], a request for all others.
    pub subject: Subject,
    /// How the run went, for [`ActKind::Settle`] and for no other.
    pub outcome: Option<Outcome>,
    /// What the person was shown, for [`ActKind::BreakGlass`] and for no other: it approves (R12).
    pub display: Option<Display>,
    /// What the person says; one line, may be empty.
    pub reason: String,
    /// The person's name in the roster.
    pub reviewer: String,
    /// How sure the console is that the person was there.
    pub assurance: Assurance,
    /// The digest of the rules in force; for [`ActKind::Rules`] those that are replaced.
    pub rules: Digest,
    /// When the statement was made, by the console's clock.
    pub issued_at: Timestamp,
    /// Until when it may be handed in.
    pub expires_at: Timestamp,
    /// What makes it a different one from all others.
    pub nonce: Nonce,
    /// The head of the log the console had verified.
    pub log: LogHead,
}
