//! The request document: what is shown, signed, redeemed and logged, under one digest.
//!
//! It is built once, at intake, and never written again: whoever needs it keeps its bytes. It
//! holds the action with its secrets masked and what the daemon adds. What requester, requirement
//! and facts mean is not known here; they are objects of integers and texts.

#[cfg(test)]
mod tests;

use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::action::{self, ActionError, Form};
use crate::digest::Digest;
use crate::id::RequestId;
use crate::json::{self, Bounds, JsonError, Pointer};
use crate::time::Timestamp;

/// The names of a document, all of which must be there.
const NAMES: [&str; 11] = [
    "action",
    "expires_at",
    "facts",
    "id",
    "origin",
    "received_at",
    "requester",
    "requirement",
    "rules",
    "salt",
    "v",
];

/// The bytes are not a request document, or none can be built of the parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The bytes are not JSON as it is accepted.
    #[error("the request document is not acceptable: {0}")]
    Json(JsonError),
    /// The action, whose pointers begin at itself, does not satisfy the schema.
    #[error("the action of the request document is not acceptable: {0}")]
    Action(ActionError),
    /// A field that must be there is not.
    #[error("the request document has no `{at}`")]
    Missing {
        /// The field.
        at: Pointer,
    },
    /// A field that is not part of the format.
    #[error("the request document has a field `{at}` that is not known")]
    Unknown {
        /// The field.
        at: Pointer,
    },
    /// A value is not acceptable.
    #[error("`{at}` of the request document must be {expected}")]
    Value {
        /// The value.
        at: Pointer,
        /// What is accepted.
        expected: &'static str,
    },
}

/// What a document is built of.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The request's id.
    pub id: RequestId,
    /// The origin of the daemon's log.
    pub origin: String,
    /// When the action was received.
    pub received_at: Timestamp,
    /// When the request ends by itself.
    pub expires_at: Timestamp,
    /// Fresh random bits, so that nobody who only has the digest can guess the document.
    pub salt: [u8; 32],
    /// Who asks, as the kernel says: an object.
    pub requester: Value,
    /// What must happen before the request may pass: an object.
    pub requirement: Value,
    /// The digest of the rules in force.
    pub rules: Digest,
    /// What the daemon computed about the action: an object.
    pub facts: Value,
    /// The action, masked.
    pub action: Value,
}

/// A request document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    bytes: Vec<u8>,
    digest: Digest,
    value: Value,
    id: RequestId,
    received_at: Timestamp,
    expires_at: Timestamp,
    rules: Digest,
}

impl Document {
    /// How large a document may be, in bytes.
    ///
    /// The limit that binds is the configured one of the action; this one keeps a reader safe from
    /// bytes that no daemon wrote.
    pub const MAX_BYTES: usize = 16 * 1024 * 1024;

    const BOUNDS: Bounds = Bounds::of_own(Self::MAX_BYTES);

    /// Builds the document of a new request.
    pub fn build(intake: Intake) -> Result<Self, DocumentError> {
        let Intake {
            id,
            origin,
            received_at,
            expires_at,
            salt,
            requester,
            requirement,
            rules,
            facts,
            action,
        } = intake;
        let mut value = json!({
            "v": 1,
            "id": id,
            "origin": origin,
            "received_at": received_at,
            "expires_at": expires_at,
            "salt": HEXLOWER.encode(&salt),
            "rules": rules,
        });
        if let Some(members) = value.as_object_mut() {
            members.insert("requester".to_owned(), requester);
            members.insert("requirement".to_owned(), requirement);
            members.insert("facts".to_owned(), facts);
            members.insert("action".to_owned(), action);
        }
        let (value, bytes) =
            json::write_within(value, &Self::BOUNDS).map_err(DocumentError::Json)?;
        Self::of(value, bytes)
    }

    /// Reads a document; anything but the exact format is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value =
            json::read_canonical_within(bytes, &Self::BOUNDS).map_err(DocumentError::Json)?;
        Self::of(value, bytes.to_vec())
    }

    /// Checks a value that was read from these bytes.
    fn of(value: Value, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let members = value.as_object().ok_or(DocumentError::Value {
            at: Pointer::root(),
            expected: "an object",
        })?;
        if let Some(name) = members.keys().find(|name| !NAMES.contains(&name.as_str())) {
            let at = Pointer::root().member(name);
            return Err(DocumentError::Unknown { at });
        }
        for name in NAMES {
            member(&value, name)?;
        }
        if member(&value, "v")?.as_u64() != Some(1) {
            return Err(refused("v", "1, the only version there is"));
        }
        if text(&value, "origin")?.is_empty() {
            return Err(refused("origin", "the origin of a log"));
        }
        let salt = HEXLOWER.decode(text(&value, "salt")?.as_bytes());
        if !salt.is_ok_and(|salt| salt.len() == 32) {
            return Err(refused("salt", "64 lower-case hexadecimal digits"));
        }
        for name in ["requester", "requirement", "facts"] {
            let part = member(&value, name)?;
            if !part.is_object() {
                return Err(refused(name, "an object"));
            }
            json::integers_only(part).map_err(DocumentError::Json)?;
        }
        action::check(member(&value, "action")?, Form::Masked).map_err(DocumentError::Action)?;
        let received_at = parsed(&value, "received_at", "a time")?;
        let expires_at = parsed(&value, "expires_at", "a time")?;
        if expires_at <= received_at {
            return Err(refused("expires_at", "later than `received_at`"));
        }
        Ok(Self {
            id: parsed(&value, "id", "a request id")?,
            rules: parsed(&value, "rules", "a digest")?,
            received_at,
            expires_at,
            digest: Digest::of(&bytes),
            bytes,
            value,
        })
    }

    /// Returns the exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns **the digest**: SHA-256 of the exact bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the whole document.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the request's id.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Returns the origin of the daemon's log.
    pub fn origin(&self) -> &str {
        action::text_at(&self.value, "/origin")
    }

    /// Returns when the action was received.
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// Returns when the request ends by itself.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns the digest of the rules that were in force.
    pub const fn rules(&self) -> Digest {
        self.rules
    }

    /// Returns who asks, as the kernel says.
    pub fn requester(&self) -> &Value {
        self.part("requester")
    }

    /// Returns what must happen before the request may pass.
    pub fn requirement(&self) -> &Value {
        self.part("requirement")
    }

    /// Returns what the daemon computed about the action.
    pub fn facts(&self) -> &Value {
        self.part("facts")
    }

    /// Returns the action, masked.
    pub fn action(&self) -> &Value {
        self.part("action")
    }

    /// Returns the action's kind.
    pub fn kind(&self) -> &str {
        action::text_at(&self.value, "/action/kind")
    }

    /// Returns the kind of the action's target.
    pub fn target_kind(&self) -> &str {
        action::text_at(&self.value, "/action/target/kind")
    }

    /// Returns the name of the action's target, as the agent wrote it.
    pub fn target_name(&self) -> &str {
        action::text_at(&self.value, "/action/target/name")
    }

    /// Returns what the agent says about itself under `name`, such as `agent` or `reason`.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.action().get("claims")?.get(name)?.as_str()
    }

    // INVARIANT: `read` refuses documents without the part.
    fn part(&self, name: &str) -> &Value {
        self.value.get(name).unwrap_or(&Value::Null)
    }
}

fn refused(name: &str, expected: &'static str) -> DocumentError {
    DocumentError::Value {
        at: Pointer::root().member(name),
        expected,
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Result<&'v Value, DocumentError> {
    value.get(name).ok_or_else(|| DocumentError::Missing {
        at: Pointer::root().member(name),
    })
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, DocumentError> {
    member(value, name)?
        .as_str()
        .ok_or_else(|| refused(name, "a string"))
}

fn parsed<T: FromStr>(
    value: &Value,
    name: &str,
    expected: &'static str,
) -> Result<T, DocumentError> {
    text(value, name)?
        .parse()
        .map_err(|_| refused(name, expected))
}
