//! Text that somebody else wrote, and the only way to show it.
//!
//! What comes from an agent is [`Untrusted`]: it has no `Display` and does not turn into a `str`.
//! The only text that a screen, a log or an error accepts is [`Printable`], which an encoder of
//! this module has written. The Exact encoding is injective: two texts that look the same are the
//! same. [`Findings`] says what a text tried to hide.
//!
//! Nothing is ever removed, replaced or shortened here, and nothing is coloured: markers are known
//! by their place ([`Printable::segments`]), so the console can style them.
//!
//! ```
//! use countersign_shared::text::{Printable, Untrusted};
//!
//! let name = Untrusted::new("safe\u{202e}cod.exe");
//! assert_eq!(Printable::exact(&name).as_str(), "safe<U+202E>cod.exe");
//! ```

mod class;
mod decode;
mod encode;
mod findings;
mod lines;
mod masked;
mod names;
mod printable;
mod prose;
#[cfg(test)]
mod tests;

use std::fmt;

#[cfg(test)]
pub(crate) use decode::read as read_exact;
pub use decode::{DecodeError, decode, decode_lines};
pub use findings::{Findings, Hidden};
pub use masked::{Mask, Piece};
pub use printable::{NumberedRow, Printable, Segment, SegmentKind};

/// Bytes that somebody else chose: usually text, possibly anything.
///
/// `Debug` writes the Exact encoding, so that even a stray `{:?}` is harmless.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Untrusted(Vec<u8>);

impl Untrusted {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into_bytes())
    }

    /// Takes bytes that should be text and may not be.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes as they are: for comparing, hashing, storing and running, never for showing.
    pub fn raw(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text as it is, if it is UTF-8: for comparing and storing, never for showing.
    pub fn raw_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Untrusted({})", Printable::exact(self))
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Vec<u8>> for Untrusted {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_bytes(bytes)
    }
}
