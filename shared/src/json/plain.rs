//! Looks at values without writing down where they are: what nearly every document passes.
//!
//! A no here only means that the thorough way is taken, which names the place.

use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

use super::{Bounds, MAX_INTEGER, MAX_POINTER_BYTES};

/// Tells whether a number anywhere in a value is as asked for.
pub(super) fn has_number(value: &Value, asked: &impl Fn(&Number) -> bool) -> bool {
    match value {
        Value::Number(number) => asked(number),
        Value::Array(elements) => elements.iter().any(|element| has_number(element, asked)),
        Value::Object(members) => members.values().any(|member| has_number(member, asked)),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Tells whether RFC 8785 certainly writes a value as any compact writer does when it is
/// [`Sorted`]: names are ASCII, so their order in UTF-8 is that in UTF-16, and numbers are integers.
///
/// Both escape in strings what RFC 8259 says must be escaped, as short as it can be.
pub(super) fn is_written_alike(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(_) => is_small_integer(value),
        Value::Array(elements) => elements.iter().all(is_written_alike),
        Value::Object(members) => members
            .iter()
            .all(|(name, member)| name.is_ascii() && is_written_alike(member)),
    }
}

/// Writes the members of objects in the order of their names.
///
/// The order in which a map of `serde_json` gives them depends on what else is compiled in.
pub(super) struct Sorted<'v>(pub(super) &'v Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(elements) => serializer.collect_seq(elements.iter().map(Sorted)),
            Value::Object(members) => write_sorted(members, |_| true, serializer),
            leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                leaf.serialize(serializer)
            }
        }
    }
}

/// Writes an object as [`Sorted`], but for one member.
pub(super) struct SortedWithout<'v> {
    pub(super) members: &'v Map<String, Value>,
    pub(super) name: &'v str,
}

impl Serialize for SortedWithout<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_sorted(self.members, |name| name != self.name, serializer)
    }
}

fn write_sorted<S: Serializer>(
    members: &Map<String, Value>,
    keeps: impl Fn(&str) -> bool,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut members: Vec<_> = members.iter().filter(|(name, _)| keeps(name)).collect();
    if !members.is_sorted_by_key(|(name, _)| *name) {
        members.sort_unstable_by_key(|(name, _)| *name);
    }
    let members = members.into_iter();
    serializer.collect_map(members.map(|(name, member)| (name, Sorted(member))))
}

/// Tells whether a value is an integer that every reader agrees on.
fn is_small_integer(value: &Value) -> bool {
    value
        .as_i64()
        .is_some_and(|number| (-MAX_INTEGER..=MAX_INTEGER).contains(&number))
}

/// Tells whether the strict reader certainly takes the canonical form of a value, which is
/// `length` bytes long, and reads this value from it.
pub(super) fn reads_as_it_is(value: &Value, length: usize, bounds: &Bounds) -> bool {
    length <= bounds.bytes
        && length <= bounds.lines
        && length <= bounds.line_bytes
        && is_plain(value, bounds.depth, MAX_POINTER_BYTES)
}

/// `depth` and `pointer` are how much deeper, and how many bytes longer, it may become.
fn is_plain(value: &Value, depth: usize, pointer: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        // Beyond 2^53 the reader makes doubles of integers. Doubles are left to it altogether.
        Value::Number(_) => is_small_integer(value),
        Value::String(text) => !text.contains('\0'),
        Value::Array(elements) => depth.checked_sub(1).is_some_and(|depth| {
            // Twenty digits are the longest index.
            pointer.checked_sub(21).is_some_and(|pointer| {
                elements
                    .iter()
                    .all(|element| is_plain(element, depth, pointer))
            })
        }),
        Value::Object(members) => depth.checked_sub(1).is_some_and(|depth| {
            members.iter().all(|(name, member)| {
                // Each byte of a name becomes two at most.
                let longest = name.len().saturating_mul(2).saturating_add(1);
                !name.contains('\0')
                    && pointer
                        .checked_sub(longest)
                        .is_some_and(|pointer| is_plain(member, depth, pointer))
            })
        }),
    }
}
