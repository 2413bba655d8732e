//! The `$` forms and encoded contents of a document: what they are, and whether we can read them.
//!
//! Whoever writes a form that this module does not know gets a rendering that is not complete. It
//! does not check openings or commitments, only shapes.

use data_encoding::BASE64;
use serde_json::{Map, Value};

/// What an object is, beside an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing more.
    Plain,
    /// A string that is masked as a whole or in part.
    Masked,
    /// A mask inside a string that was reported already.
    Part,
    /// Contents that are not UTF-8.
    Encoded,
    /// Something we cannot read.
    Unknown,
}

/// Returns what `object` is. `in_parts` says that it stands in a `$parts` list.
pub(super) fn shape(object: &Map<String, Value>, in_parts: bool) -> Shape {
    if let Some(shape) = encoded(object) {
        return shape;
    }
    if !object.keys().any(|key| key.starts_with('$')) {
        return Shape::Plain;
    }
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((key, Value::Array(parts))), None) if key == "$parts" && !in_parts => {
            if parts.iter().all(is_part) && parts.iter().any(Value::is_object) {
                Shape::Masked
            } else {
                Shape::Unknown
            }
        }
        (Some((key, Value::Object(mask))), None) if key == "$mask" && is_mask(mask) => {
            if in_parts {
                Shape::Part
            } else {
                Shape::Masked
            }
        }
        (Some((key, Value::String(token))), None) if key == "$number" && is_number(token) => {
            Shape::Plain
        }
        _ => Shape::Unknown,
    }
}

/// Contents as base64: an object with `base64`, maybe with `size`, and nothing else. They can be
/// read as such only if the size is the size.
fn encoded(object: &Map<String, Value>) -> Option<Shape> {
    let base64 = object.get("base64")?.as_str()?;
    let size = object.get("size");
    if object.len() != 1 + usize::from(size.is_some()) {
        return None;
    }
    let length = BASE64
        .decode(base64.as_bytes())
        .ok()
        .and_then(|bytes| u64::try_from(bytes.len()).ok());
    let known = length.is_some() && size.is_none_or(|size| size.as_u64() == length);
    Some(if known {
        Shape::Encoded
    } else {
        Shape::Unknown
    })
}

/// Tells whether `part` is a string or a mask.
fn is_part(part: &Value) -> bool {
    match part {
        Value::String(_) => true,
        Value::Object(object) => shape(object, true) == Shape::Part,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Tells whether `mask` has the four members of a mask and nothing else.
fn is_mask(mask: &Map<String, Value>) -> bool {
    let text = |name| mask.get(name).is_some_and(Value::is_string);
    mask.len() == 4
        && text("class")
        && text("tag")
        && text("commitment")
        && mask.get("length").is_some_and(Value::is_u64)
}

/// Tells whether `token` is a number as JSON writes it.
fn is_number(token: &str) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    unsigned.starts_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(token)
            .is_ok_and(|raw| raw.get() == token)
}
