//! The display rendering: what a reviewer is shown of a request, as bytes with a digest.
//!
//! UTF-8 text. The first line is `countersign display v1`; then comes one line for each leaf of the
//! document, in document order, each ended by a line feed:
//!
//! ```text
//! /action/arguments/statement "DROP TABLE orders_2024"
//! /action/data/0/records 48211
//! ```
//!
//! - The name is the JSON pointer (RFC 6901) in the Exact encoding, without folding and with every
//!   space written as `<U+0020>`: the first space of a line ends it. An object whose names are
//!   exactly `0`, `1`, … as the items of an array would be has their first digits written as
//!   markers (`/<U+0030>`), so that the two differ.
//! - The value is `null`, `true`, `false`, a number as in the document, `{}` or `[]` for an empty
//!   object or array, or a string: its Exact encoding between a `"` and the last `"` of the line.
//!   Quotes inside are not escaped; only strings begin with one, and nothing follows the last.
//!
//! So two documents never have the same rendering, and a rendering depends on nothing but its
//! document: no width, theme, locale or time. A statement names its digest beside the document's,
//! and the daemon computes both again. This module decides nothing and does not lay out screens.

mod leaves;
mod shape;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::digest::Digest;
use crate::document::Document;
use crate::text::{Findings, Printable};

/// The first line of a rendering.
pub const HEADER: &str = "countersign display v1";

/// The longest rendering, in bytes. Only a document that repeats very long names comes near it.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The document cannot be rendered, so it cannot be approved.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// The bytes are not a JSON text.
    #[error("the document is not JSON")]
    Json(#[source] serde_json::Error),
    /// The bytes are not the canonical form of what they say.
    #[error("the document is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// The rendering would be too long to be looked at.
    #[error("the rendering exceeds {limit} bytes; split the action into smaller ones")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

/// One line of a rendering: a leaf of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The JSON pointer, as written.
    pub pointer: Printable,
    /// The value, as written; strings with their quotes.
    pub value: Printable,
}

/// A rendered document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering {
    /// The leaves in document order.
    pub lines: Vec<Line>,
    /// The whole text: the bytes of the digest.
    pub text: String,
    /// Whether everything in the document is shown. False if it has a `$` form or encoded contents
    /// that this version cannot read; such a document is never approved.
    pub complete: bool,
    /// Whether some contents are shown only as base64, which nobody can read.
    pub contents_not_shown: bool,
    /// The pointers of the strings that are masked as a whole or in part, in document order.
    pub masked: Vec<Printable>,
    /// What was found in names and strings, but for those under `/action/claims`.
    pub findings: Findings,
    /// What was found under `/action/claims`, which the agent says but which does not run.
    pub claims_findings: Findings,
}

impl Rendering {
    /// Returns the digest that a statement names: SHA-256 of [`text`](Self::text).
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// What a statement says of a rendering: as in [`Rendering`], whose digest it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The digest of the whole text.
    pub digest: Digest,
    /// Whether everything in the document is shown.
    pub complete: bool,
    /// The pointers of the strings that are masked as a whole or in part, in document order.
    pub masked: Vec<Printable>,
}

/// Renders a request document, which must be in canonical form.
pub fn render(document: &[u8]) -> Result<Rendering, DisplayError> {
    let value: Value = serde_json::from_slice(document).map_err(DisplayError::Json)?;
    // The canonical form has one spelling of everything, so equality excludes names given twice,
    // numbers that would be rounded, white space, and another order.
    let canonical =
        serde_json_canonicalizer::to_vec(&value).map_err(|_| DisplayError::NotCanonical)?;
    if canonical != document {
        return Err(DisplayError::NotCanonical);
    }
    render_value(&value, true)
}

/// Returns what a statement about a request document has to say of its rendering.
pub fn shown(document: &Document) -> Result<Shown, DisplayError> {
    let rendering = render_value(document.value(), false)?;
    Ok(Shown {
        digest: rendering.digest(),
        complete: rendering.complete,
        masked: rendering.masked,
    })
}

/// Renders a value, which has one canonical form.
fn render_value(value: &Value, keeps_lines: bool) -> Result<Rendering, DisplayError> {
    let mut leaves = leaves::Leaves::new(keeps_lines);
    leaves.take(value)?;
    Ok(leaves.finish())
}
