//! The walk over a document that writes its rendering.
//!
//! Depth is bounded by the reader of JSON (128). Length is bounded while writing, because a name is
//! repeated for every leaf below it.

use serde_json::{Map, Number, Value};

use super::shape::{Shape, shape};
use super::{DisplayError, HEADER, Line, MAX_BYTES, Rendering};
use crate::json::MAX_INTEGER;
use crate::text::{Findings, Printable, Untrusted};

/// A rendering that is being written.
#[derive(Debug)]
pub(super) struct Leaves {
    rendering: Rendering,
    /// Whether the lines are kept beside the text.
    keeps_lines: bool,
    /// The pointer to the value at hand.
    pointer: Printable,
    /// Where the value at hand stands: outside `/action`, in it, or in its `/claims`.
    place: Place,
}

/// Which part of the document is at hand, as far as findings are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Document,
    Action,
    Claims,
    Elsewhere,
}

impl Place {
    /// Returns the place of the member `name`.
    fn member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Document, "action") => Self::Action,
            (Self::Action, "claims") | (Self::Claims, _) => Self::Claims,
            (Self::Document | Self::Action | Self::Elsewhere, _) => Self::Elsewhere,
        }
    }
}

impl Leaves {
    /// Starts a rendering with its first line. Without `keeps_lines` its list of lines stays empty.
    pub(super) fn new(keeps_lines: bool) -> Self {
        Self {
            rendering: Rendering {
                lines: Vec::new(),
                text: format!("{HEADER}\n"),
                complete: true,
                contents_not_shown: false,
                masked: Vec::new(),
                findings: Findings::default(),
                claims_findings: Findings::default(),
            },
            keeps_lines,
            pointer: Printable::default(),
            place: Place::Document,
        }
    }

    /// Writes the leaves of the document.
    pub(super) fn take(&mut self, document: &Value) -> Result<(), DisplayError> {
        self.value(document, false, false)
    }

    /// Returns the rendering.
    pub(super) fn finish(self) -> Rendering {
        self.rendering
    }

    /// Writes the leaves of `value`; `holds_parts` says that it is the value of `$parts`,
    /// `in_parts` that it stands in the list there.
    fn value(
        &mut self,
        value: &Value,
        holds_parts: bool,
        in_parts: bool,
    ) -> Result<(), DisplayError> {
        match value {
            Value::Object(object) if !object.is_empty() => self.object(object, in_parts),
            Value::Array(items) if !items.is_empty() => {
                let place = self.place;
                self.place = place.member("");
                for (index, item) in items.iter().enumerate() {
                    let mark = self.push(&index.to_string(), false);
                    self.value(item, false, holds_parts)?;
                    self.pointer.cut(mark);
                }
                self.place = place;
                Ok(())
            }
            Value::Object(_) => self.leaf(Printable::ours("{}")),
            Value::Array(_) => self.leaf(Printable::ours("[]")),
            Value::Null => self.leaf(Printable::ours("null")),
            Value::Bool(true) => self.leaf(Printable::ours("true")),
            Value::Bool(false) => self.leaf(Printable::ours("false")),
            Value::Number(number) if is_small_integer(number) => {
                self.leaf(Printable::from_ours(number.to_string()))
            }
            Value::Number(number) => {
                let text = serde_json_canonicalizer::to_string(number)
                    .map_err(|_| DisplayError::NotCanonical)?;
                self.leaf(Printable::from_ours(text))
            }
            Value::String(text) => {
                self.find(text, self.place);
                self.leaf(Printable::exact_quoted(text))
            }
        }
    }

    fn object(&mut self, object: &Map<String, Value>, in_parts: bool) -> Result<(), DisplayError> {
        match shape(object, in_parts) {
            Shape::Plain | Shape::Part => {}
            Shape::Masked => self.rendering.masked.push(self.pointer.clone()),
            Shape::Encoded => self.rendering.contents_not_shown = true,
            Shape::Unknown => self.rendering.complete = false,
        }
        let like_array = object.keys().any(|name| name == "0")
            && (0..object.len()).all(|index| object.contains_key(&index.to_string()));
        let mut entries: Vec<(&String, &Value)> = object.iter().collect();
        let is_ascii = entries.iter().all(|(name, _)| name.is_ascii());
        if !(is_ascii && entries.is_sorted_by_key(|(name, _)| *name)) {
            // The order of RFC 8785 is that of UTF-16, and not always the order of the map.
            entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        }
        let place = self.place;
        for (name, value) in entries {
            self.find(name, place);
            self.place = place.member(name);
            let mark = self.push(name, like_array);
            self.value(value, name == "$parts", false)?;
            self.pointer.cut(mark);
        }
        self.place = place;
        Ok(())
    }

    /// Writes the line of the value at hand.
    fn leaf(&mut self, value: Printable) -> Result<(), DisplayError> {
        let length = self.pointer.as_str().len() + value.as_str().len() + 2;
        if length > MAX_BYTES.saturating_sub(self.rendering.text.len()) {
            return Err(DisplayError::TooLong { limit: MAX_BYTES });
        }
        let text = &mut self.rendering.text;
        text.push_str(self.pointer.as_str());
        text.push(' ');
        text.push_str(value.as_str());
        text.push('\n');
        if self.keeps_lines {
            let pointer = self.pointer.clone();
            self.rendering.lines.push(Line { pointer, value });
        }
        Ok(())
    }

    /// Notes what hides in a name or a string that stands in `place`.
    fn find(&mut self, text: &str, place: Place) {
        let findings = match place {
            Place::Claims => &mut self.rendering.claims_findings,
            Place::Document | Place::Action | Place::Elsewhere => &mut self.rendering.findings,
        };
        findings.look_at(text.as_bytes());
    }

    /// Goes down to a member or an item; returns where [`Printable::cut`] has to cut to come back.
    fn push(&mut self, name: &str, like_array: bool) -> usize {
        let mark = self.pointer.as_str().len();
        let is_itself = !like_array && !name.contains(['~', '/']);
        let is_pushed =
            is_itself && self.pointer.push_plain_word("/") && self.pointer.push_plain_word(name);
        if !is_pushed {
            self.pointer.cut(mark);
            self.pointer.push(&token(name, like_array));
        }
        mark
    }
}

/// Tells whether a number is an integer that RFC 8785 writes as it is held.
fn is_small_integer(number: &Number) -> bool {
    number
        .as_i64()
        .is_some_and(|number| (-MAX_INTEGER..=MAX_INTEGER).contains(&number))
}

/// Returns the part of a pointer that names a member of an object. `like_array` says that its names
/// could be those of an array's items.
fn token(name: &str, like_array: bool) -> Printable {
    let mut token = Printable::ours("/");
    let mut rest = name.chars();
    if like_array && let Some(digit) = rest.next() {
        token.push(&Printable::marked(digit));
    }
    let rest = rest.as_str().replace('~', "~0").replace('/', "~1");
    token.push(&Printable::exact_word(&Untrusted::new(rest)));
    token
}
