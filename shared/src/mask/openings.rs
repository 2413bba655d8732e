//! Openings: what the submitter keeps to restore the action from the document.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::{MaskError, commitment};
use crate::action::{only_member, wipe};
use crate::digest::Digest;
use crate::json::{self, Bounds, Pointer};

/// How large openings and actions may be that are read here, in bytes.
///
/// Far above every limit that makes sense for an action; it only bounds memory.
const BYTES: usize = 64 * 1024 * 1024;

/// The salts and values of all masks of a document, in the order of the document.
///
/// Written `{"openings":[{"at","part","salt","value"}],"v":1}` in RFC 8785 form: `at` is the JSON
/// pointer to the masked string within the action, `part` the index in its `$parts`, `salt` 64
/// hexadecimal digits. `Debug` shows no value, and all of it is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Openings(Vec<Opening>);

/// The opening of one mask.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Opening {
    at: Pointer,
    part: usize,
    salt: [u8; 32],
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u8,
    openings: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: String,
    part: usize,
    salt: String,
    value: String,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Opening {
    pub(super) fn new(at: Pointer, part: usize, salt: [u8; 32], value: &str) -> Self {
        let value = value.to_owned();
        Self {
            at,
            part,
            salt,
            value,
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.salt.zeroize();
        self.value.zeroize();
    }
}

impl Openings {
    pub(super) const fn new(openings: Vec<Opening>) -> Self {
        Self(openings)
    }

    /// Returns how many masks these open.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is nothing to open.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the openings in RFC 8785 form.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, MaskError> {
        let line = |opening: &Opening| Line {
            at: opening.at.as_str().to_owned(),
            part: opening.part,
            salt: HEXLOWER.encode(&opening.salt),
            value: opening.value.clone(),
        };
        let file = File {
            v: 1,
            openings: self.0.iter().map(line).collect(),
        };
        Ok(Zeroizing::new(json::canonical(&file)?))
    }

    /// Reads what [`Openings::to_bytes`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, MaskError> {
        let refuse = |reason| MaskError::Openings { reason };
        let value = json::read_canonical_within(bytes, &Bounds::of_own(BYTES))?;
        let file: File = serde_json::from_value(value).map_err(|_| {
            refuse("the fields are `v` and `openings`, each with `at`, `part`, `salt`, `value`")
        })?;
        if file.v != 1 {
            return Err(refuse("`v` must be 1"));
        }
        let mut openings = Vec::with_capacity(file.openings.len());
        for line in &file.openings {
            let salt = HEXLOWER
                .decode(line.salt.as_bytes())
                .ok()
                .and_then(|salt| <[u8; 32]>::try_from(salt).ok())
                .ok_or(refuse("a salt is 64 lower-case hexadecimal digits"))?;
            let at = Pointer::from_text(line.at.as_str());
            openings.push(Opening::new(at, line.part, salt, &line.value));
        }
        Ok(Self(openings))
    }
}

impl fmt::Debug for Openings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Openings({} of them)", self.0.len())
    }
}

/// Restores an action from its masked form, every commitment checked.
///
/// What comes back is the action in plain: strings as the executor uses them, whether the agent
/// had marked their secrets or not. It is to be wiped by whoever keeps it.
pub fn reveal(masked: &Value, openings: &Openings) -> Result<Value, MaskError> {
    let mut opener = Opener {
        openings: &openings.0,
        used: vec![false; openings.0.len()],
    };
    let mut value = opener.open(&mut Pointer::root(), masked)?;
    let unused = opener.used.iter().position(|used| !used);
    if let Some(opening) = unused.and_then(|index| openings.0.get(index)) {
        wipe(&mut value);
        return Err(MaskError::Unused {
            at: opening.at.clone(),
        });
    }
    Ok(value)
}

/// Checks that an action is the approved one (R9).
///
/// `raw` is the action that the executor recomputed from the bytes it is about to use, in RFC 8785
/// form, with or without `$secret` marks; `masked` is the approved document's.
pub fn check(raw: &[u8], masked: &Value, openings: &Openings) -> Result<(), MaskError> {
    let mut raw = json::read_canonical_within(raw, &Bounds::of_own(BYTES))?;
    let mut mine = plain(&raw);
    wipe(&mut raw);
    let approved = reveal(masked, openings);
    let result = approved.and_then(|mut approved| {
        let difference = difference(&mut Pointer::root(), &mine, &approved);
        wipe(&mut approved);
        difference.map_or(Ok(()), |at| Err(MaskError::Differs { at }))
    });
    wipe(&mut mine);
    result
}

struct Opener<'o> {
    openings: &'o [Opening],
    used: Vec<bool>,
}

impl Opener<'_> {
    fn open(&mut self, at: &mut Pointer, value: &Value) -> Result<Value, MaskError> {
        let mark = at.mark();
        match value {
            Value::Array(elements) => {
                let mut copy = Vec::with_capacity(elements.len());
                for (index, element) in elements.iter().enumerate() {
                    at.push_index(index);
                    copy.push(self.open(at, element)?);
                    at.cut(mark);
                }
                Ok(Value::Array(copy))
            }
            Value::Object(members) => {
                if let Some(("$parts", Value::Array(parts))) = only_member(members) {
                    return self.join(at, parts).map(Value::String);
                }
                let mut copy = Map::new();
                for (name, member) in members {
                    at.push_name(name);
                    copy.insert(name.clone(), self.open(at, member)?);
                    at.cut(mark);
                }
                Ok(Value::Object(copy))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn join(&mut self, at: &Pointer, parts: &[Value]) -> Result<String, MaskError> {
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            match part.as_str() {
                Some(clear) => text.push_str(clear),
                None => text.push_str(self.value(at, index, part)?),
            }
        }
        Ok(text)
    }

    fn value(&mut self, at: &Pointer, part: usize, mask: &Value) -> Result<&str, MaskError> {
        let mut both = self.openings.iter().zip(&mut self.used);
        let (opening, used) = both
            .find(|(opening, used)| !**used && opening.at == *at && opening.part == part)
            .ok_or_else(|| MaskError::Unopened { at: at.clone() })?;
        *used = true;
        let committed = mask.pointer("/$mask/commitment").and_then(Value::as_str);
        let length = mask.pointer("/$mask/length").and_then(Value::as_u64);
        let opened = Digest::from_bytes(commitment(&opening.salt, &opening.value));
        if committed.and_then(|hex| Digest::from_hex(hex).ok()) != Some(opened)
            || length != u64::try_from(opening.value.len()).ok()
        {
            return Err(MaskError::Commitment { at: at.clone() });
        }
        Ok(&opening.value)
    }
}

/// Copies a submitted action with its secrets as plain strings.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(elements) => Value::Array(elements.iter().map(plain).collect()),
        Value::Object(members) => match only_member(members) {
            Some(("$secret", secret @ Value::String(_))) => secret.clone(),
            Some(("$parts", Value::Array(parts))) => {
                let piece = |part: &Value| -> Option<String> {
                    let text = part.as_str().or_else(|| part.get("$secret")?.as_str())?;
                    Some(text.to_owned())
                };
                // A part that is neither stays what it is, and so differs from what was approved.
                let joined: Option<String> = parts.iter().map(piece).collect();
                joined.map_or_else(|| value.clone(), Value::String)
            }
            _ => Value::Object(
                members
                    .iter()
                    .map(|(name, member)| (name.clone(), plain(member)))
                    .collect(),
            ),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Returns the first place where two values differ.
fn difference(at: &mut Pointer, one: &Value, other: &Value) -> Option<Pointer> {
    let mark = at.mark();
    match (one, other) {
        (Value::Array(ones), Value::Array(others)) if ones.len() == others.len() => {
            for (index, (one, other)) in ones.iter().zip(others).enumerate() {
                at.push_index(index);
                let found = difference(at, one, other);
                if found.is_some() {
                    return found;
                }
                at.cut(mark);
            }
            None
        }
        (Value::Object(ones), Value::Object(others)) => {
            for name in ones.keys().chain(others.keys()) {
                at.push_name(name);
                let found = match (ones.get(name), others.get(name)) {
                    (Some(one), Some(other)) => difference(at, one, other),
                    _ => Some(at.clone()),
                };
                if found.is_some() {
                    return found;
                }
                at.cut(mark);
            }
            None
        }
        (one, other) => (one != other).then(|| at.clone()),
    }
}
