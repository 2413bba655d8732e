//! The walk over a document that writes its rendering.
//!
//! Depth is bounded by the reader of JSON (128). Length is bounded while writing, because a name is
//! repeated for every leaf below it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::shape::{Shape, shape};
use super::{DisplayError, HEADER, Line, MAX_BYTES, Rendering, quoted};
use crate::text::{Findings, Printable, Untrusted};

/// A rendering that is being written.
#[derive(Debug)]
pub(super) struct Leaves {
    rendering: Rendering,
    /// The pointer to the value at hand.
    path: Vec<Printable>,
    /// The length of the pointer in bytes.
    path_len: usize,
}

impl Leaves {
    /// Starts a rendering with its first line.
    pub(super) fn new() -> Self {
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
            path: Vec::new(),
            path_len: 0,
        }
    }

    /// Writes the leaves of the document.
    pub(super) fn take(&mut self, document: &Value) -> Result<(), DisplayError> {
        self.value(document, false)
    }

    /// Returns the rendering.
    pub(super) fn finish(self) -> Rendering {
        self.rendering
    }

    /// Writes the leaves of `value`; `in_parts` says that it stands in a `$parts` list.
    fn value(&mut self, value: &Value, in_parts: bool) -> Result<(), DisplayError> {
        match value {
            Value::Object(object) if !object.is_empty() => self.object(object, in_parts),
            Value::Array(items) if !items.is_empty() => {
                let parts = self.ends_with("/$parts");
                for (index, item) in items.iter().enumerate() {
                    self.push(Printable::from_ours(format!("/{index}")));
                    self.value(item, parts)?;
                    self.pop();
                }
                Ok(())
            }
            Value::Object(_) => self.leaf(Printable::ours("{}")),
            Value::Array(_) => self.leaf(Printable::ours("[]")),
            Value::Null => self.leaf(Printable::ours("null")),
            Value::Bool(true) => self.leaf(Printable::ours("true")),
            Value::Bool(false) => self.leaf(Printable::ours("false")),
            Value::Number(number) => {
                let text = serde_json_canonicalizer::to_string(number)
                    .map_err(|_| DisplayError::NotCanonical)?;
                self.leaf(Printable::from_ours(text))
            }
            Value::String(text) => {
                let text = Untrusted::new(text.as_str());
                self.find(&text);
                self.leaf(quoted(&text))
            }
        }
    }

    fn object(&mut self, object: &Map<String, Value>, in_parts: bool) -> Result<(), DisplayError> {
        match shape(object, in_parts) {
            Shape::Plain | Shape::Part => {}
            Shape::Masked => {
                let pointer = self.pointer();
                self.rendering.masked.push(pointer);
            }
            Shape::Encoded => self.rendering.contents_not_shown = true,
            Shape::Unknown => self.rendering.complete = false,
        }
        // The order of RFC 8785 is that of UTF-16, which is not the order of the map.
        let like_array = (0..object.len()).all(|index| object.contains_key(&index.to_string()));
        let mut entries: Vec<(&String, &Value)> = object.iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        for (name, value) in entries {
            self.find(&Untrusted::new(name.as_str()));
            self.push(token(name, like_array));
            self.value(value, false)?;
            self.pop();
        }
        Ok(())
    }

    /// Writes the line of the value at hand.
    fn leaf(&mut self, value: Printable) -> Result<(), DisplayError> {
        let length = self.path_len + value.as_str().len() + 2;
        if length > MAX_BYTES.saturating_sub(self.rendering.text.len()) {
            return Err(DisplayError::TooLong { limit: MAX_BYTES });
        }
        let pointer = self.pointer();
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.rendering.text, "{pointer} {value}");
        self.rendering.lines.push(Line { pointer, value });
        Ok(())
    }

    /// Notes what hides in a name or a string.
    fn find(&mut self, text: &Untrusted) {
        let found = Findings::of(text);
        let mut path = self.path.iter().map(Printable::as_str);
        let claims = path.next() == Some("/action") && path.next() == Some("/claims");
        if claims {
            self.rendering.claims_findings.merge(&found);
        } else {
            self.rendering.findings.merge(&found);
        }
    }

    fn pointer(&self) -> Printable {
        Printable::concat(&self.path)
    }

    fn ends_with(&self, token: &str) -> bool {
        self.path.last().is_some_and(|last| last.as_str() == token)
    }

    fn push(&mut self, token: Printable) {
        self.path_len += token.as_str().len();
        self.path.push(token);
    }

    fn pop(&mut self) {
        if let Some(token) = self.path.pop() {
            self.path_len -= token.as_str().len();
        }
    }
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
