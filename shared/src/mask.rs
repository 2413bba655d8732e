//! Masks: what stands in a document instead of a secret.
//!
//! A mask hides a value, never an instruction. What may be hidden is a single token, a JWT or a
//! PEM block, in a place where hiding it leaves everybody sure of what would happen. A secret the
//! agent marks anywhere else is refused; one that is only found by its name is then shown in
//! clear. [`mask`] runs once, at intake, before anything is stored or shown.
//!
//! A mask commits to its value, so a signature over the document binds the secret without
//! revealing it. The [`Openings`] go back to the submitter only; with them the executor restores
//! the action ([`reveal`]) or checks that what it is about to do is what was approved ([`check`]).

mod class;
mod detect;
mod form;
mod names;
mod openings;
mod pieces;
mod place;
#[cfg(test)]
mod tests;

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use crate::action::Action;
use crate::id::RequestId;
use crate::json::{JsonError, Pointer};

pub use class::{Class, ClassError};
pub use openings::{Openings, check, reveal};

use openings::Opening;
use pieces::{Found, Piece};

/// How many masks an action may hold.
///
/// Each one costs a search through the whole action and some 200 bytes of the document.
pub const MAX_MASKS: usize = 64;

/// Shorter secrets are not looked for elsewhere: they would be found by chance.
const SEARCHED_BYTES: usize = 6;

/// What a commitment's hash begins with.
const DOMAIN: &[u8] = b"countersign.mask.v1\0";

/// The action cannot be masked, or a masked one cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A secret whose form could hide more than a value.
    #[error("the secret at `{at}` must be {expected}")]
    Form {
        /// The secret.
        at: Pointer,
        /// What is accepted.
        expected: &'static str,
    },
    /// A secret in a place that must be readable.
    #[error("no secret may stand at `{at}`: {reason}")]
    Place {
        /// The secret.
        at: Pointer,
        /// Which rule it would break.
        reason: &'static str,
    },
    /// The value of a secret also stands in clear.
    #[error("the secret at `{at}` also stands in clear at `{clear}`; mark it there or remove it")]
    Elsewhere {
        /// The secret.
        at: Pointer,
        /// Where its value can be read.
        clear: Pointer,
    },
    /// There are too many secrets.
    #[error("the action has {found} secrets, the limit is {limit}")]
    TooMany {
        /// The limit.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// The bytes are not JSON as it is accepted.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The bytes are not openings.
    #[error("the openings are not well formed: {reason}")]
    Openings {
        /// What is wrong.
        reason: &'static str,
    },
    /// There is no opening for a mask.
    #[error("the mask at `{at}` has no opening")]
    Unopened {
        /// The masked string.
        at: Pointer,
    },
    /// There is an opening without a mask.
    #[error("the opening for `{at}` belongs to no mask")]
    Unused {
        /// Where the opening says its mask stands.
        at: Pointer,
    },
    /// An opening does not lead to the commitment that was signed.
    #[error("the opening for `{at}` is not the value that was approved")]
    Commitment {
        /// The masked string.
        at: Pointer,
    },
    /// The action is not the one that was approved.
    #[error("the action differs from the approved one at `{at}`")]
    Differs {
        /// The first value that differs.
        at: Pointer,
    },
}

impl MaskError {
    /// Returns the stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "secret-form",
            Self::Place { .. } => "secret-not-allowed",
            Self::Elsewhere { .. } => "secret-in-clear",
            Self::TooMany { .. } => "too-many-secrets",
            Self::Json(error) => error.code(),
            Self::Openings { .. } => "bad-openings",
            Self::Unopened { .. } => "mask-not-opened",
            Self::Unused { .. } => "opening-not-used",
            Self::Commitment { .. } => "opening-differs",
            Self::Differs { .. } => "action-differs",
        }
    }

    /// Returns the place the error speaks of, if there is one.
    pub const fn field(&self) -> Option<&Pointer> {
        match self {
            Self::Form { at, .. }
            | Self::Place { at, .. }
            | Self::Elsewhere { at, .. }
            | Self::Unopened { at }
            | Self::Unused { at }
            | Self::Commitment { at }
            | Self::Differs { at } => Some(at),
            Self::Json(error) => error.at(),
            Self::TooMany { .. } | Self::Openings { .. } => None,
        }
    }

    /// Returns the limit that was passed and the size found, if this is about a limit.
    pub const fn measured(&self) -> Option<(usize, usize)> {
        match self {
            Self::TooMany { limit, found } => Some((*limit, *found)),
            Self::Json(error) => error.measured(),
            Self::Form { .. }
            | Self::Place { .. }
            | Self::Elsewhere { .. }
            | Self::Openings { .. }
            | Self::Unopened { .. }
            | Self::Unused { .. }
            | Self::Commitment { .. }
            | Self::Differs { .. } => None,
        }
    }
}

/// The daemon's key for the tags of masks.
#[derive(Clone)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// Makes a key from 256 random bits.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the tag of a value: equal values have equal tags within one request.
    fn tag(&self, id: &RequestId, value: &str) -> [u8; 4] {
        let mut tag = [0; 4];
        // HMAC takes keys of every length, so this never stays zero.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(id.to_string().as_bytes());
            mac.update(value.as_bytes());
            let whole = mac.finalize().into_bytes();
            for (to, from) in tag.iter_mut().zip(whole) {
                *to = from;
            }
        }
        tag
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(…)")
    }
}

impl Drop for MaskKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Returns what a mask says of its value: SHA-256 over a domain, the salt and the value.
fn commitment(salt: &[u8; 32], value: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(salt)
        .chain_update(value.as_bytes())
        .finalize()
        .into()
}

/// Masks the secrets of an action; returns what stands in the document, and the openings.
///
/// `salts` is asked for fresh random bytes once per mask. The same action, salts, key and id give
/// the same result.
pub fn mask(
    action: &Action,
    mut salts: impl FnMut() -> [u8; 32],
    key: &MaskKey,
    id: &RequestId,
) -> Result<(Value, Openings), MaskError> {
    let mut found = place::find(action.value())?;
    let count = found
        .values()
        .map(|pieces| pieces::secrets(pieces))
        .sum::<usize>();
    if count > MAX_MASKS {
        return Err(MaskError::TooMany {
            limit: MAX_MASKS,
            found: count,
        });
    }
    pieces::settle(action.value(), &mut found)?;
    let mut openings = Vec::new();
    let mut draw = |at: &Pointer, part: usize, value: &str, class: Class| {
        let salt = salts();
        openings.push(Opening::new(at.clone(), part, salt, value));
        json!({ "$mask": {
            "class": class.as_str(),
            "length": value.len(),
            "tag": HEXLOWER.encode(&key.tag(id, value)),
            "commitment": HEXLOWER.encode(&commitment(&salt, value)),
        } })
    };
    let masked = replace(&mut Pointer::root(), action.value(), &found, &mut draw);
    Ok((masked, Openings::new(openings)))
}

/// Copies a value with what was found replaced.
fn replace(
    at: &mut Pointer,
    value: &Value,
    found: &Found,
    draw: &mut impl FnMut(&Pointer, usize, &str, Class) -> Value,
) -> Value {
    if let Some(pieces) = found.get(at) {
        return pieces_to_value(at, pieces, draw);
    }
    let mark = at.mark();
    match value {
        Value::Array(elements) => {
            let mut copy = Vec::with_capacity(elements.len());
            for (index, element) in elements.iter().enumerate() {
                at.push_index(index);
                copy.push(replace(at, element, found, draw));
                at.cut(mark);
            }
            Value::Array(copy)
        }
        Value::Object(members) => {
            let mut copy = Map::new();
            for (name, member) in members {
                at.push_name(name);
                copy.insert(name.clone(), replace(at, member, found, draw));
                at.cut(mark);
            }
            Value::Object(copy)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn pieces_to_value(
    at: &Pointer,
    pieces: &[Piece],
    draw: &mut impl FnMut(&Pointer, usize, &str, Class) -> Value,
) -> Value {
    if let [Piece::Clear(text)] = pieces {
        return Value::from(text.as_str());
    }
    let parts: Vec<Value> = pieces
        .iter()
        .enumerate()
        .map(|(part, piece)| match piece {
            Piece::Clear(text) => Value::from(text.as_str()),
            Piece::Secret { value, class, .. } => draw(at, part, value, *class),
        })
        .collect();
    json!({ "$parts": parts })
}
