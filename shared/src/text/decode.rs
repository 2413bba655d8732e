//! Reading the Exact encoding back into bytes.
//!
//! For checking: the proof that the encoding loses nothing. Accepts only what the encoder writes,
//! so that a text has one spelling. Not for display.

use std::num::IntErrorKind;

use super::encode::{Layout, Unit, encode};

/// The longest text that a marker with a count may stand for, in bytes.
const MAX_DECODED: usize = 64 * 1024 * 1024;

/// A text that is not an exact encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Something that begins as a marker is none.
    #[error("no marker at byte {at}")]
    Marker {
        /// Where it begins, in bytes.
        at: usize,
    },
    /// The text stands for more than can be decoded.
    #[error("the text stands for more than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The encoder writes these bytes in another way.
    #[error("the text is not the spelling that its bytes have")]
    NotCanonical,
}

/// Returns the bytes that `text` stands for: the inverse of
/// [`Printable::exact`](super::Printable::exact) and of
/// [`Printable::exact_line`](super::Printable::exact_line).
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    let bytes = read(text)?;
    let known = [Layout::Field, Layout::Line]
        .into_iter()
        .any(|layout| encode(&bytes, layout).as_str() == text);
    if known {
        Ok(bytes)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

/// Returns the bytes that `rows` stand for: the inverse of
/// [`Printable::exact_lines`](super::Printable::exact_lines).
pub fn decode_lines<'a>(rows: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>, DecodeError> {
    let rows: Vec<&str> = rows.into_iter().collect();
    let mut bytes = Vec::new();
    let mut after_line = false;
    for row in &rows {
        let fold = row.starts_with("<U+000A x");
        if after_line && !fold {
            bytes.push(b'\n');
        }
        bytes.append(&mut read(row)?);
        after_line = !fold;
    }
    let again = super::lines::rows(&bytes, |line| encode(line, Layout::Line));
    if again.iter().map(|row| row.text.as_str()).eq(rows) {
        Ok(bytes)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

/// Reads `text` without asking whether it is the one spelling.
pub(crate) fn read(text: &str) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, marker)) = split_at_marker(rest) {
        bytes.extend_from_slice(plain.as_bytes());
        let at = text.len() - marker.len();
        let (inside, after) = marker.split_once('>').ok_or(DecodeError::Marker { at })?;
        let (unit, count) = read_marker(inside, at)?;
        let mut buffer = [0; 4];
        let one = match unit {
            Unit::Char(c) => c.encode_utf8(&mut buffer).as_bytes(),
            Unit::Byte(byte) => {
                buffer = [byte, 0, 0, 0];
                buffer.get(..1).unwrap_or_default()
            }
        };
        if count.saturating_mul(one.len()) > MAX_DECODED - bytes.len().min(MAX_DECODED) {
            return Err(DecodeError::TooLong { limit: MAX_DECODED });
        }
        for _ in 0..count {
            bytes.extend_from_slice(one);
        }
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Splits `text` before its first marker.
fn split_at_marker(text: &str) -> Option<(&str, &str)> {
    text.match_indices('<')
        .filter_map(|(at, _)| text.split_at_checked(at))
        .find(|(_, marker)| marker.starts_with("<U+") || marker.starts_with("<0x"))
}

/// Reads `<U+XXXX`, `<0xXX`, each with ` xN` or without.
fn read_marker(inside: &str, at: usize) -> Result<(Unit, usize), DecodeError> {
    let wrong = DecodeError::Marker { at };
    let (unit, count) = match inside.split_once(" x") {
        Some((unit, count)) => match count.parse::<usize>() {
            Ok(count) => (unit, count),
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
                return Err(DecodeError::TooLong { limit: MAX_DECODED });
            }
            Err(_) => return Err(wrong),
        },
        None => (inside, 1),
    };
    let unit = if let Some(hex) = unit.strip_prefix("<U+") {
        let code = u32::from_str_radix(hex, 16).ok();
        code.and_then(char::from_u32).map(Unit::Char)
    } else {
        let hex = unit.strip_prefix("<0x").unwrap_or_default();
        u8::from_str_radix(hex, 16).ok().map(Unit::Byte)
    };
    Ok((unit.ok_or(wrong)?, count))
}
