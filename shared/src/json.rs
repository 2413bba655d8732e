//! JSON that two programs cannot read differently: a strict reader and the canonical form.
//!
//! The reader refuses what RFC 8259 leaves open (duplicate names, lone surrogates, numbers that
//! are no doubles) and what no document of ours needs (NUL, deep nesting). The canonical form is
//! RFC 8785. Nothing here knows what a document means.
//!
//! Bytes that are hashed or signed come in through [`read_canonical`] once and are kept as they
//! came: nothing is ever written again to be compared later.

mod locate;
mod plain;
mod pointer;
mod read;
#[cfg(test)]
pub(crate) mod tests;

use serde::Serialize;
use serde_json::Value;

use crate::limits::Limits;

pub use pointer::Pointer;

/// How deep arrays and objects of a submitted action may be nested.
pub const MAX_DEPTH: usize = 64;

/// How long the JSON pointer to any value may be, in bytes.
///
/// Whoever walks a document carries the pointer along, so its length multiplies the work.
pub const MAX_POINTER_BYTES: usize = 4096;

/// The largest integer that every reader of JSON agrees on, 2^53 - 1 (RFC 7493, section 2.2).
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;

/// The bytes are not JSON as it is accepted here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// There are too many bytes.
    #[error("the document has {found} bytes, the limit is {limit}")]
    Size {
        /// The limit, in bytes.
        limit: usize,
        /// The size, in bytes.
        found: usize,
    },
    /// Not JSON, not UTF-8, or a string with a lone surrogate.
    #[error("not JSON at line {line} column {column}, after `{at}`: {message}")]
    Syntax {
        /// The last value that was begun.
        at: Pointer,
        /// The line, from 1.
        line: usize,
        /// The column, in bytes, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// A name stands twice in one object, whatever the escapes it is written with.
    #[error("the name at `{at}` stands twice in one object")]
    Duplicate {
        /// The name.
        at: Pointer,
    },
    /// Arrays and objects are nested too deep.
    #[error("`{at}` is nested {found} deep, the limit is {limit}")]
    Depth {
        /// The first array or object that is too deep.
        at: Pointer,
        /// The limit.
        limit: usize,
        /// The depth of that value; the document itself has depth 1.
        found: usize,
    },
    /// The names down to a value are too long together.
    #[error("the names down to `{at}` have {found} bytes, the limit is {limit}")]
    Names {
        /// The first value that is over the limit.
        at: Pointer,
        /// The limit, in bytes of the pointer.
        limit: usize,
        /// The length of the pointer, in bytes.
        found: usize,
    },
    /// A string or a name holds U+0000.
    #[error("the text at `{at}` contains a NUL character; send such contents as base64")]
    Nul {
        /// The string, or the name.
        at: Pointer,
    },
    /// All strings together have too many lines.
    #[error("the texts up to `{at}` have {found} lines, the limit is {limit}")]
    Lines {
        /// The string that is over the limit.
        at: Pointer,
        /// The limit.
        limit: usize,
        /// The lines so far.
        found: usize,
    },
    /// A line of a string is too long.
    #[error("a line of the text at `{at}` has {found} bytes, the limit is {limit}")]
    Line {
        /// The string.
        at: Pointer,
        /// The limit, in bytes.
        limit: usize,
        /// The length of the line, in bytes.
        found: usize,
    },
    /// A number that its RFC 8785 form would change.
    #[error("the number at `{at}` is not in its RFC 8785 form; send it as a `$number`")]
    Number {
        /// The number.
        at: Pointer,
    },
    /// Our own documents hold integers only.
    #[error("the number at `{at}` is not an integer between -(2^53 - 1) and 2^53 - 1")]
    NotInteger {
        /// The number.
        at: Pointer,
    },
    /// White space, the order of names, or escapes differ from RFC 8785.
    #[error("not in RFC 8785 form at byte {offset}, in `{at}`")]
    NotCanonical {
        /// The first byte that differs, from 0.
        offset: usize,
        /// The value it belongs to.
        at: Pointer,
    },
    /// A value cannot be written as JSON.
    #[error("the value cannot be written as JSON: {message}")]
    Write {
        /// Why.
        message: String,
    },
}

impl JsonError {
    /// Returns the stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "too-large",
            Self::Syntax { .. } => "not-json",
            Self::Duplicate { .. } => "duplicate-name",
            Self::Depth { .. } => "too-deep",
            Self::Names { .. } => "names-too-long",
            Self::Nul { .. } => "nul-character",
            Self::Lines { .. } => "too-many-lines",
            Self::Line { .. } => "line-too-long",
            Self::Number { .. } => "number-not-canonical",
            Self::NotInteger { .. } => "not-an-integer",
            Self::NotCanonical { .. } => "not-canonical",
            Self::Write { .. } => "not-writable",
        }
    }

    /// Returns the place the error speaks of, if there is one.
    pub const fn at(&self) -> Option<&Pointer> {
        match self {
            Self::Size { .. } | Self::Write { .. } => None,
            Self::Syntax { at, .. }
            | Self::Duplicate { at }
            | Self::Depth { at, .. }
            | Self::Names { at, .. }
            | Self::Nul { at }
            | Self::Lines { at, .. }
            | Self::Line { at, .. }
            | Self::Number { at }
            | Self::NotInteger { at }
            | Self::NotCanonical { at, .. } => Some(at),
        }
    }

    /// Returns the limit that was passed and the size found, if this is about a limit.
    pub const fn measured(&self) -> Option<(usize, usize)> {
        match self {
            Self::Size { limit, found }
            | Self::Depth { limit, found, .. }
            | Self::Names { limit, found, .. }
            | Self::Lines { limit, found, .. }
            | Self::Line { limit, found, .. } => Some((*limit, *found)),
            Self::Syntax { .. }
            | Self::Duplicate { .. }
            | Self::Nul { .. }
            | Self::Number { .. }
            | Self::NotInteger { .. }
            | Self::NotCanonical { .. }
            | Self::Write { .. } => None,
        }
    }
}

/// What a reader accepts at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The size of the document, in bytes.
    pub bytes: usize,
    /// The nesting of arrays and objects, at most 100; the document itself has depth 1.
    pub depth: usize,
    /// The lines of all strings together; a string without a line feed counts none.
    pub lines: usize,
    /// The length of a line of a string, in bytes.
    pub line_bytes: usize,
}

impl Bounds {
    /// Returns the bounds of a submitted action.
    pub const fn of(limits: &Limits) -> Self {
        Self {
            bytes: limits.action_bytes,
            depth: MAX_DEPTH,
            lines: limits.lines,
            line_bytes: limits.line_bytes,
        }
    }

    /// Returns bounds for a document of our own, of at most `bytes` bytes.
    pub const fn of_own(bytes: usize) -> Self {
        Self {
            bytes,
            depth: 80,
            lines: bytes,
            line_bytes: bytes,
        }
    }
}

/// Reads JSON strictly, in any form.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    read_within(bytes, &Bounds::of(limits))
}

/// Reads JSON strictly, in any form, within the given bounds.
pub fn read_within(bytes: &[u8], bounds: &Bounds) -> Result<Value, JsonError> {
    read::value(bytes, bounds)
}

/// Reads JSON strictly and refuses bytes that are not their own RFC 8785 form.
pub fn read_canonical(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    read_canonical_within(bytes, &Bounds::of(limits))
}

/// Reads JSON strictly, in RFC 8785 form only, within the given bounds.
pub fn read_canonical_within(bytes: &[u8], bounds: &Bounds) -> Result<Value, JsonError> {
    let value = read_within(bytes, bounds)?;
    let written = write_value(&value)?;
    if written == bytes {
        return Ok(value);
    }
    let offset = bytes
        .iter()
        .zip(&written)
        .take_while(|(read, wrote)| read == wrote)
        .count();
    let place = locate::locate(bytes, offset);
    Err(if place.in_number {
        JsonError::Number { at: place.at }
    } else {
        JsonError::NotCanonical {
            offset,
            at: place.at,
        }
    })
}

/// Writes a value in RFC 8785 form.
///
/// An integer that is no double is an error: RFC 8785 would write a different number. A NaN or an
/// infinity becomes `null`, as everywhere in `serde_json`; see [`integers_only`].
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    let value = serde_json::to_value(value).map_err(|error| JsonError::Write {
        message: error.to_string(),
    })?;
    canonical_value(&value)
}

/// Writes a JSON value in RFC 8785 form, as [`canonical`] does, without a copy of it.
pub fn canonical_value(value: &Value) -> Result<Vec<u8>, JsonError> {
    match first_number(value, &|number| !is_double(number)) {
        Some(at) => Err(JsonError::Number { at }),
        None => write_value(value),
    }
}

/// Writes an object in RFC 8785 form as if it had no member `name`.
pub(crate) fn canonical_without(value: &Value, name: &str) -> Result<Vec<u8>, JsonError> {
    if plain::is_written_alike(value)
        && let Some(members) = value.as_object()
    {
        let rest = plain::SortedWithout { members, name };
        return serde_json::to_vec(&rest).map_err(|error| JsonError::Write {
            message: error.to_string(),
        });
    }
    let mut rest = value.clone();
    if let Some(members) = rest.as_object_mut() {
        members.remove(name);
    }
    let bytes = canonical_value(&rest);
    crate::action::wipe(&mut rest);
    bytes
}

/// Writes a value in RFC 8785 form and returns it as [`read_canonical_within`] would read it from
/// these bytes, with the bytes.
pub fn write_within(value: Value, bounds: &Bounds) -> Result<(Value, Vec<u8>), JsonError> {
    let bytes = canonical_value(&value)?;
    if plain::reads_as_it_is(&value, bytes.len(), bounds) {
        return Ok((value, bytes));
    }
    Ok((read_canonical_within(&bytes, bounds)?, bytes))
}

/// Refuses numbers that are not integers within ±(2^53 - 1), as documents of our own making must.
pub fn integers_only(value: &Value) -> Result<(), JsonError> {
    let fits = |n: i64| (-MAX_INTEGER..=MAX_INTEGER).contains(&n);
    match first_number(value, &|number| !number.as_i64().is_some_and(fits)) {
        Some(at) => Err(JsonError::NotInteger { at }),
        None => Ok(()),
    }
}

/// Returns the place of the first number that is as asked for.
///
/// Most documents have none, so places are only written down when there is one.
fn first_number(value: &Value, asked: &impl Fn(&serde_json::Number) -> bool) -> Option<Pointer> {
    if !plain::has_number(value, asked) {
        return None;
    }
    let found = pointer::walk(value, &mut |at, value| match value.as_number() {
        Some(number) if asked(number) => Err(at.clone()),
        Some(_) | None => Ok(()),
    });
    found.err()
}

/// Tells whether a number that is held as an integer is exactly a double.
fn is_double(number: &serde_json::Number) -> bool {
    let magnitude = match (number.as_u64(), number.as_i64()) {
        (Some(n), _) => n,
        (None, Some(n)) => n.unsigned_abs(),
        (None, None) => return true,
    };
    // IEEE 754 binary64 has 53 significant bits.
    magnitude == 0 || 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= 53
}

/// Writes a value that is known to hold doubles only.
///
/// Nearly all values are written the same by the plain writer, which is several times as fast.
fn write_value(value: &Value) -> Result<Vec<u8>, JsonError> {
    if !plain::is_written_alike(value) {
        return write(value);
    }
    serde_json::to_vec(&plain::Sorted(value)).map_err(|error| JsonError::Write {
        message: error.to_string(),
    })
}

/// Writes what is known to hold doubles only.
fn write(value: &Value) -> Result<Vec<u8>, JsonError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| JsonError::Write {
        message: error.to_string(),
    })
}
