//! Where a value stands: JSON pointers (RFC 6901).
//!
//! Names in a submitted document are chosen by the agent, so the text of a pointer is escaped
//! before it reaches a message: see [`Pointer`]'s `Display`.

use std::fmt::{self, Write as _};

use serde_json::Value;

/// How much of a pointer is shown in a message, in characters.
const SHOWN: usize = 200;

/// A JSON pointer (RFC 6901).
///
/// `Display` is for messages: it shows printable ASCII as it is, everything else as `\u{…}`, and
/// cuts long pointers with `…`. [`Pointer::as_str`] has the exact text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Pointer(String);

impl Pointer {
    /// The pointer to the whole document.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Takes the text of a pointer as it stands.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the exact text; it may hold any character the agent chose.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the pointer to a member of this object.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        let mut pointer = self.clone();
        pointer.push_name(name);
        pointer
    }

    /// Returns the pointer to an element of this array.
    #[must_use]
    pub fn element(&self, index: usize) -> Self {
        let mut pointer = self.clone();
        pointer.push_index(index);
        pointer
    }

    /// Goes down to a member.
    pub(crate) fn push_name(&mut self, name: &str) {
        self.0.push('/');
        if !name.contains(['~', '/']) {
            self.0.push_str(name);
            return;
        }
        for c in name.chars() {
            match c {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                c => self.0.push(c),
            }
        }
    }

    /// Goes down to an element.
    pub(crate) fn push_index(&mut self, index: usize) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "/{index}");
    }

    /// Returns the length of the text, for [`Pointer::cut`].
    pub(crate) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Goes back up to where [`Pointer::mark`] was taken.
    pub(crate) fn cut(&mut self, mark: usize) {
        self.0.truncate(mark);
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, c) in self.0.chars().enumerate() {
            if index == SHOWN {
                return f.write_str("…");
            }
            // A backquote or a backslash of the agent's would pass for one of ours.
            if c.is_ascii_graphic() && c != '`' && c != '\\' {
                fmt::Write::write_char(f, c)?;
            } else {
                write!(f, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pointer(`{self}`)")
    }
}

/// Calls `visit` for every value of a document, the outer ones first.
pub(crate) fn walk<E>(
    value: &Value,
    visit: &mut impl FnMut(&Pointer, &Value) -> Result<(), E>,
) -> Result<(), E> {
    walk_from(&mut Pointer::root(), value, visit)
}

fn walk_from<E>(
    at: &mut Pointer,
    value: &Value,
    visit: &mut impl FnMut(&Pointer, &Value) -> Result<(), E>,
) -> Result<(), E> {
    visit(at, value)?;
    let mark = at.mark();
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                at.push_index(index);
                walk_from(at, element, visit)?;
                at.cut(mark);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                at.push_name(name);
                walk_from(at, member, visit)?;
                at.cut(mark);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}
