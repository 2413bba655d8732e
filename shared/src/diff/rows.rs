//! The rows of a diff: Myers' algorithm over lines, line feeds included.

use std::collections::HashMap;
use std::time::Instant;

use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

use super::{Contents, Part, Row, RowKind, passed, words};
use crate::text::{Piece, Printable, Untrusted};

/// A line with its line feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Line<'a>(Vec<Piece<'a>>);

impl<'a> Line<'a> {
    /// Returns the bytes before the first masked value.
    pub(super) fn start(&self) -> &'a [u8] {
        match self.0.first() {
            Some(Piece::Text(bytes)) => bytes,
            Some(Piece::Mask(_)) | None => &[],
        }
    }

    /// Tells whether the line ends with `end`.
    pub(super) fn ends_with(&self, end: &[u8]) -> bool {
        matches!(self.0.last(), Some(Piece::Text(bytes)) if bytes.ends_with(end))
    }

    /// Encodes the line without its line feed.
    fn text(&self) -> Printable {
        let mut pieces = self.0.clone();
        if let Some(Piece::Text(bytes)) = pieces.last_mut() {
            *bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        }
        Printable::exact_pieces(&pieces)
    }
}

/// Returns the lines of a side; none if it is binary or absent.
pub(super) fn lines(contents: Option<&Contents>) -> Vec<Line<'_>> {
    let mut pieces = Vec::new();
    match contents {
        Some(Contents::Text(text)) => pieces.extend(split(text)),
        Some(Contents::Masked(parts)) => {
            for part in parts {
                match part {
                    Part::Text(text) => pieces.extend(split(text)),
                    Part::Mask(mask) => pieces.push(Piece::Mask(mask)),
                }
            }
        }
        Some(Contents::Binary(_)) | None => {}
    }
    let ends = |piece: &Piece<'_>| matches!(piece, Piece::Text(bytes) if bytes.ends_with(b"\n"));
    pieces
        .split_inclusive(ends)
        .map(|pieces| Line(pieces.to_vec()))
        .collect()
}

/// Splits `text` behind each line feed.
fn split(text: &Untrusted) -> impl Iterator<Item = Piece<'_>> {
    text.raw()
        .split_inclusive(|byte| *byte == b'\n')
        .map(Piece::Text)
}

/// Compares two lists of lines. Also tells whether the deadline passed.
pub(super) fn rows(
    before: &[Line<'_>],
    after: &[Line<'_>],
    deadline: Option<Instant>,
) -> (Vec<Row>, bool) {
    // Numbers compare faster than lines, however long those are.
    let mut numbers = HashMap::new();
    let mut number = |line| {
        let next = numbers.len();
        *numbers.entry(line).or_insert(next)
    };
    let old: Vec<usize> = before.iter().map(&mut number).collect();
    let new: Vec<usize> = after.iter().map(&mut number).collect();
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, deadline);

    let mut writer = Writer {
        rows: Vec::with_capacity(before.len().max(after.len())),
        old_line: 0,
        new_line: 0,
    };
    let mut pairs = Vec::new();
    for op in ops {
        let (tag, old, new) = op.as_tag_tuple();
        let old = before.get(old).unwrap_or_default();
        let new = after.get(new).unwrap_or_default();
        match tag {
            DiffTag::Equal => writer.rows(RowKind::Context, old),
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                let first_old = writer.rows.len();
                writer.rows(RowKind::Removed, old);
                let first_new = writer.rows.len();
                writer.rows(RowKind::Added, new);
                let count = old.len().min(new.len());
                pairs.extend((0..count).map(|at| (first_old + at, first_new + at)));
            }
        }
    }
    let mut rows = writer.rows;
    for (old, new) in pairs {
        pair(&mut rows, old, new, deadline);
    }
    let coarse = passed(deadline);
    (rows, coarse)
}

/// Notes that row `new` replaces row `old`, and where they differ.
fn pair(rows: &mut [Row], old: usize, new: usize, deadline: Option<Instant>) {
    let Ok([old_row, new_row]) = rows.get_disjoint_mut([old, new]) else {
        return;
    };
    old_row.pair = Some(new);
    new_row.pair = Some(old);
    if !passed(deadline) {
        (old_row.emphasis, new_row.emphasis) =
            words::differences(&old_row.text, &new_row.text, deadline);
    }
}

/// Writes rows and counts lines.
#[derive(Debug)]
struct Writer {
    rows: Vec<Row>,
    old_line: u32,
    new_line: u32,
}

impl Writer {
    fn rows(&mut self, kind: RowKind, lines: &[Line<'_>]) {
        for line in lines {
            self.row(kind, line);
        }
    }

    fn row(&mut self, kind: RowKind, line: &Line<'_>) {
        let (old, new) = match kind {
            RowKind::Context => (true, true),
            RowKind::Removed => (true, false),
            RowKind::Added => (false, true),
        };
        self.old_line = self.old_line.saturating_add(u32::from(old));
        self.new_line = self.new_line.saturating_add(u32::from(new));
        self.rows.push(Row {
            kind,
            old_line: old.then_some(self.old_line),
            new_line: new.then_some(self.new_line),
            text: line.text(),
            emphasis: Vec::new(),
            pair: None,
            line_feed: line.ends_with(b"\n"),
        });
    }
}
