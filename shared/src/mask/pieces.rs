//! A string in pieces, and what happens when a secret also stands in clear.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use zeroize::Zeroize as _;

use super::{Class, MaskError, SEARCHED_BYTES};
use crate::json::Pointer;

/// The strings of an action that hold secrets.
pub(super) type Found = BTreeMap<Pointer, Vec<Piece>>;

/// A part of a string.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// What everybody may read.
    Clear(String),
    /// What is masked.
    Secret {
        value: String,
        class: Class,
        /// The agent said that it is one; else it was found by its name.
        marked: bool,
    },
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Self::Secret { value, .. } = self {
            value.zeroize();
        }
    }
}

/// Counts the secrets of a string.
pub(super) fn secrets(pieces: &[Piece]) -> usize {
    pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Secret { .. }))
        .count()
}

/// Makes sure that what is masked cannot be read elsewhere in the action.
///
/// A mask over what stands in clear beside it would only pretend. A secret that the agent marked is
/// then an error; one that was only found by its name is shown in clear in both places.
pub(super) fn settle(action: &Value, found: &mut Found) -> Result<(), MaskError> {
    let mut masked = values(found);
    let mut fresh: Vec<String> = Vec::new();
    clear_texts(&mut Pointer::root(), action, found, &mut |at, text| {
        for value in masked.iter().filter(|value| text.contains(value.as_str())) {
            if let Some(secret) = marked(found, value) {
                return Err(MaskError::Elsewhere {
                    at: secret.clone(),
                    clear: at.clone(),
                });
            }
            fresh.push(value.clone());
        }
        Ok(())
    })?;
    // What becomes clear may hold other secrets in turn.
    while let Some(shown) = fresh.pop() {
        if !masked.remove(&shown) {
            continue;
        }
        let at = show(found, &shown);
        for value in masked.iter().filter(|value| shown.contains(value.as_str())) {
            match (marked(found, value), &at) {
                (Some(secret), Some(clear)) => {
                    return Err(MaskError::Elsewhere {
                        at: secret.clone(),
                        clear: clear.clone(),
                    });
                }
                _ => fresh.push(value.clone()),
            }
        }
    }
    Ok(())
}

/// Returns the secrets that are long enough to be looked for.
fn values(found: &Found) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for piece in found.values().flatten() {
        if let Piece::Secret { value, .. } = piece
            && value.len() >= SEARCHED_BYTES
        {
            values.insert(value.clone());
        }
    }
    values
}

/// Returns where a secret is marked by the agent.
fn marked<'f>(found: &'f Found, wanted: &str) -> Option<&'f Pointer> {
    found
        .iter()
        .find(|(_, pieces)| {
            pieces.iter().any(|piece| {
                matches!(piece, Piece::Secret { value, marked: true, .. } if value == wanted)
            })
        })
        .map(|(at, _)| at)
}

/// Turns a secret into clear text wherever it stands; returns one of the places.
fn show(found: &mut Found, shown: &str) -> Option<Pointer> {
    let mut place = None;
    for (at, pieces) in found.iter_mut() {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces.drain(..) {
            let clear = match &piece {
                Piece::Clear(text) => Some(text.clone()),
                Piece::Secret { value, .. } if value == shown => {
                    place = Some(at.clone());
                    Some(value.clone())
                }
                Piece::Secret { .. } => None,
            };
            match (joined.last_mut(), clear) {
                (Some(Piece::Clear(before)), Some(text)) => before.push_str(&text),
                (_, Some(text)) => joined.push(Piece::Clear(text)),
                (_, None) => joined.push(piece),
            }
        }
        *pieces = joined;
    }
    place
}

/// Calls `visit` for every text that will stand in the document, names included.
fn clear_texts(
    at: &mut Pointer,
    value: &Value,
    found: &Found,
    visit: &mut impl FnMut(&Pointer, &str) -> Result<(), MaskError>,
) -> Result<(), MaskError> {
    if let Some(pieces) = found.get(at) {
        return pieces.iter().try_for_each(|piece| match piece {
            Piece::Clear(text) => visit(at, text),
            Piece::Secret { .. } => Ok(()),
        });
    }
    let mark = at.mark();
    match value {
        Value::String(text) => visit(at, text)?,
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                at.push_index(index);
                clear_texts(at, element, found, visit)?;
                at.cut(mark);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                at.push_name(name);
                visit(at, name)?;
                clear_texts(at, member, found, visit)?;
                at.cut(mark);
            }
        }
        Value::Number(number) => visit(at, &number.to_string())?,
        Value::Null | Value::Bool(_) => {}
    }
    Ok(())
}
