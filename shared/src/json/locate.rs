//! Finds what stands at a byte of a JSON text that was read already.
//!
//! Only used to name the place in an error; a wrong answer here refuses nothing and accepts
//! nothing. It therefore trusts the grammar and simply stops when bytes surprise it.

use std::iter::{Enumerate, Peekable};
use std::slice::Iter;

use super::Pointer;

/// What stands at a byte.
pub(super) struct Place {
    /// The innermost value that the byte belongs to.
    pub(super) at: Pointer,
    /// The byte belongs to a number.
    pub(super) in_number: bool,
}

/// An array or object that is open.
enum Open {
    Array { next: usize, mark: usize },
    Object { name_next: bool, mark: usize },
}

/// Returns the place of the byte `offset`.
pub(super) fn locate(bytes: &[u8], offset: usize) -> Place {
    let mut at = Pointer::root();
    let mut open: Vec<Open> = Vec::new();
    let mut rest = bytes.iter().enumerate().peekable();
    while let Some((start, &byte)) = rest.next() {
        if start > offset {
            break;
        }
        match byte {
            b'{' => {
                open.push(Open::Object {
                    name_next: true,
                    mark: at.mark(),
                });
            }
            b'[' => {
                let mark = at.mark();
                at.push_index(0);
                open.push(Open::Array { next: 1, mark });
            }
            b'}' | b']' => {
                if let Some(Open::Array { mark, .. } | Open::Object { mark, .. }) = open.pop() {
                    at.cut(mark);
                }
            }
            b',' => match open.last_mut() {
                Some(Open::Array { next, mark }) => {
                    at.cut(*mark);
                    at.push_index(*next);
                    *next = next.saturating_add(1);
                }
                Some(Open::Object { name_next, mark }) => {
                    at.cut(*mark);
                    *name_next = true;
                }
                None => {}
            },
            b'"' => {
                let end = skip_string(&mut rest);
                if let Some(Open::Object {
                    name_next: name_next @ true,
                    ..
                }) = open.last_mut()
                {
                    *name_next = false;
                    let name = bytes
                        .get(start..end)
                        .and_then(|text| serde_json::from_slice::<String>(text).ok());
                    at.push_name(name.as_deref().unwrap_or("?"));
                }
                if offset < end {
                    break;
                }
            }
            b'-' | b'0'..=b'9' => {
                let end = skip_number(&mut rest, start);
                if offset < end {
                    return Place {
                        at,
                        in_number: true,
                    };
                }
            }
            _ => {}
        }
    }
    Place {
        at,
        in_number: false,
    }
}

/// Goes past a string whose opening quote was taken; returns the offset after it.
fn skip_string(rest: &mut Peekable<Enumerate<Iter<'_, u8>>>) -> usize {
    let mut end = usize::MAX;
    while let Some((index, &byte)) = rest.next() {
        match byte {
            b'\\' => {
                rest.next();
            }
            b'"' => {
                end = index.saturating_add(1);
                break;
            }
            _ => {}
        }
    }
    end
}

/// Goes past a number whose first character was taken; returns the offset after it.
fn skip_number(rest: &mut Peekable<Enumerate<Iter<'_, u8>>>, start: usize) -> usize {
    let mut end = start.saturating_add(1);
    while let Some((index, _)) =
        rest.next_if(|(_, byte)| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
    {
        end = index.saturating_add(1);
    }
    end
}
