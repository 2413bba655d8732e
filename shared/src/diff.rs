//! What a change does to a file: the rows of a unified diff, ready to be drawn.
//!
//! Every line of both sides is a row, unchanged ones too; hunks only say which rows to draw first,
//! so whatever is collapsed can be opened. Nothing is left out for lack of time: when the deadline
//! passes the rest is shown as removed and added, and [`FileDiff::coarse`] says so. Contents that
//! are not text have no rows but size, digest and their first bytes.
//!
//! A diff is a view. What is signed is the document, which carries both sides in full.
//!
//! ```
//! use countersign_shared::diff::{Change, Contents, diff};
//! use countersign_shared::text::Untrusted;
//!
//! let change = Change {
//!     path: Untrusted::new("api.yaml"),
//!     before: Some(Contents::of(b"replicas: 3\n".to_vec())),
//!     after: Some(Contents::of(b"replicas: 30\n".to_vec())),
//!     mode: None,
//! };
//! let diff = diff(&change, None)?;
//! assert_eq!((diff.removed, diff.added), (1, 1));
//! # Ok::<(), countersign_shared::diff::DiffError>(())
//! ```

mod hunks;
mod read;
mod rows;
mod sides;
mod words;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Instant;

use serde_json::Value;

use crate::digest::Digest;
use crate::text::{Mask, Printable, Untrusted};

/// There is nothing to compare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// A change in a document does not have the form of one.
    #[error("`{field}` of a change is not {expected}")]
    Form {
        /// The member.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A change has contents neither before nor after.
    #[error("the change of `{path}` has contents neither before nor after")]
    NoContents {
        /// The file.
        path: Printable,
    },
}

/// A part of contents with masked values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(Untrusted),
    /// A masked value. Values whose masks look the same are taken for the same.
    Mask(Mask),
}

/// The contents of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Text, shown line by line.
    Text(Untrusted),
    /// Text with masked values in it, shown line by line.
    Masked(Vec<Part>),
    /// Bytes that nobody can read.
    Binary(Vec<u8>),
}

impl Contents {
    /// Takes the bytes of a file: text if they are UTF-8 without NUL.
    pub fn of(bytes: Vec<u8>) -> Self {
        if bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() {
            Self::Binary(bytes)
        } else {
            Self::Text(Untrusted::from_bytes(bytes))
        }
    }
}

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: Untrusted,
    /// Its contents before; `None` if there is no file.
    pub before: Option<Contents>,
    /// Its contents after; `None` if there is to be no file.
    pub after: Option<Contents>,
    /// The permissions that it is to have, as in `chmod`, if they change.
    pub mode: Option<u32>,
}

impl Change {
    /// Reads an item of `/action/changes` of a request document: `path`, `before`, `after` and
    /// `mode`, where contents are `null`, `{"text"}`, a masked `{"text"}` or `{"base64","size"}`,
    /// and `mode` is `null` or octal digits in a string.
    pub fn read(change: &Value) -> Result<Self, DiffError> {
        read::change(change)
    }
}

/// What happens to a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// There is none before.
    Added,
    /// There is none after.
    Removed,
    /// The contents change.
    Changed,
    /// Nothing changes.
    Unchanged,
    /// Only the permissions change.
    Mode,
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// It stays.
    Context,
    /// It is there only after.
    Added,
    /// It is there only before.
    Removed,
}

/// A line of one side, or of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What happens to it.
    pub kind: RowKind,
    /// Its number before, from 1.
    pub old_line: Option<u32>,
    /// Its number after, from 1.
    pub new_line: Option<u32>,
    /// Its text without the line feed, as [`Printable::exact_line`].
    pub text: Printable,
    /// What differs from the paired line: byte ranges of `text.as_str()`, ascending.
    pub emphasis: Vec<Range<usize>>,
    /// The index of the row that this one replaces or is replaced by, for drawing side by side.
    pub pair: Option<usize>,
    /// Whether a line feed ends it. Only the last line of a file may have none.
    pub line_feed: bool,
}

/// A group of changed rows with the context around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The rows, as indices into [`FileDiff::rows`].
    pub rows: Range<usize>,
    /// How many unchanged rows are collapsed before it.
    pub collapsed_before: usize,
    /// The first line before, as in a unified diff (one less if there is none).
    pub old_start: u32,
    /// The number of lines before.
    pub old_lines: u32,
    /// The first line after, as in a unified diff (one less if there is none).
    pub new_start: u32,
    /// The number of lines after.
    pub new_lines: u32,
}

impl Hunk {
    /// Returns the heading, such as `@@ -1,3 +1,4 @@`.
    pub fn heading(&self) -> Printable {
        Printable::from_ours(format!(
            "@@ -{},{} +{},{} @@",
            self.old_start, self.old_lines, self.new_start, self.new_lines
        ))
    }
}

/// One side of a change, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The size in bytes.
    pub size: u64,
    /// The digest of the contents; `None` if values in them are masked.
    pub digest: Option<Digest>,
    /// Whether the contents cannot be read, so that only [`head`](Self::head) is shown.
    pub binary: bool,
    /// The number of lines; 0 if binary.
    pub lines: usize,
    /// How many lines end in CR LF.
    pub crlf_lines: usize,
    /// How many lines are indented with a tab.
    pub tab_lines: usize,
    /// Whether the last line has its line feed. True for an empty file.
    pub line_feed_at_end: bool,
    /// The first 256 bytes in hexadecimal, if binary.
    pub head: Vec<Printable>,
}

/// What a change does to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// The file.
    pub path: Printable,
    /// What happens to it.
    pub kind: FileKind,
    /// The permissions that it is to have, if they change.
    pub mode: Option<u32>,
    /// The side before.
    pub before: Option<Side>,
    /// The side after.
    pub after: Option<Side>,
    /// Every line of the sides that are text.
    pub rows: Vec<Row>,
    /// The rows to draw first.
    pub hunks: Vec<Hunk>,
    /// How many unchanged rows are collapsed behind the last hunk.
    pub collapsed_after: usize,
    /// The number of rows added.
    pub added: usize,
    /// The number of rows removed.
    pub removed: usize,
    /// Whether the deadline passed, so that lines may be shown as replaced that stay.
    pub coarse: bool,
    /// Whether a side is binary, so that the change cannot be read in full.
    pub contents_not_shown: bool,
}

impl FileDiff {
    /// Returns what the rows alone do not make plain, one row each: line feeds at the end, line
    /// endings, tabs, permissions, and a passed deadline.
    pub fn notes(&self) -> Vec<Printable> {
        sides::notes(self)
    }
}

/// Compares the sides of `change`.
///
/// After `deadline` no more effort is spent on a small or an emphasised diff; without one the
/// effort may be quadratic in the number of lines, so text of others needs one.
pub fn diff(change: &Change, deadline: Option<Instant>) -> Result<FileDiff, DiffError> {
    let path = Printable::exact(&change.path);
    let kind = match (&change.before, &change.after) {
        (None, None) => return Err(DiffError::NoContents { path }),
        (None, Some(_)) => FileKind::Added,
        (Some(_), None) => FileKind::Removed,
        (Some(before), Some(after)) if before != after => FileKind::Changed,
        (Some(_), Some(_)) if change.mode.is_some() => FileKind::Mode,
        (Some(_), Some(_)) => FileKind::Unchanged,
    };
    let before = rows::lines(change.before.as_ref());
    let after = rows::lines(change.after.as_ref());
    let (rows, coarse) = rows::rows(&before, &after, deadline);
    let (hunks, collapsed_after) = hunks::hunks(&rows);
    let count = |kind| rows.iter().filter(|row| row.kind == kind).count();
    let (added, removed) = (count(RowKind::Added), count(RowKind::Removed));
    let before = change.before.as_ref().map(sides::side);
    let after = change.after.as_ref().map(sides::side);
    Ok(FileDiff {
        path,
        kind,
        mode: change.mode,
        contents_not_shown: before.iter().chain(&after).any(|side| side.binary),
        before,
        after,
        rows,
        hunks,
        collapsed_after,
        added,
        removed,
        coarse,
    })
}

/// Tells whether `deadline` has passed. The clock is read by the diff algorithm as well: a
/// deadline is the caller's, and decides about effort only.
fn passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| !deadline.elapsed().is_zero())
}
