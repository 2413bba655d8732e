//! Decisions: a signed approve or deny.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::parts::hex;
use super::{Assurance, LogHead, Nonce};
use crate::digest::Digest;
use crate::id::RequestId;
use crate::time::Timestamp;

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The action may run, as far as this person is concerned.
    Approve,
    /// The action must not run.
    Deny,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        })
    }
}

/// What the person was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// The digest of the display rendering.
    #[serde(with = "hex")]
    pub sha256: Digest,
    /// Whether the rendering holds everything that the document does.
    pub complete: bool,
    /// The JSON pointers of the masked values, in the order of the rendering.
    pub masked: Vec<String>,
}

/// Who asked, as the kernel said at intake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requester {
    /// The OS user's number.
    pub uid: u32,
    /// The OS user's name.
    pub user: String,
    /// The systemd unit, none when there is none.
    pub unit: Option<String>,
    /// The container, none when there is none.
    pub container: Option<String>,
}

/// A person's decision on one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The request.
    pub request: RequestId,
    /// The digest of the request document.
    pub digest: Digest,
    /// What is decided.
    pub verdict: Verdict,
    /// What the person says; one line, may be empty.
    pub reason: String,
    /// The person's name in the roster.
    pub reviewer: String,
    /// How sure the console is that the person was there.
    pub assurance: Assurance,
    /// Whether the person stands behind the request as well (R4).
    pub self_attested: bool,
    /// Who asked.
    pub requester: Requester,
    /// The digest of the rules the person decided under.
    pub rules: Digest,
    /// What the person was shown.
    pub display: Display,
    /// When the statement was made, by the console's clock.
    pub issued_at: Timestamp,
    /// Until when it may be handed in.
    pub expires_at: Timestamp,
    /// What makes it a different one from all others.
    pub nonce: Nonce,
    /// The head of the log the console had verified.
    pub log: LogHead,
}

impl Decision {
    /// The namespace of the signature.
    pub const NAMESPACE: &'static str = "countersign.decision.v1";
    /// The in-toto predicate type.
    pub const TYPE: &'static str = "urn:x-countersign:decision:v1";
}
