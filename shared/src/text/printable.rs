//! [`Printable`]: text that is proven to be safe to draw, log and print.
//!
//! A `Printable` is made by one of the encoders of this module and by nothing else. It knows which
//! of its parts are markers, because the encoder recorded them while writing: nothing here ever
//! searches a text for markers, so an agent cannot draw one. It does not know colours or screens.

use std::fmt;
use std::ops::Range;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::encode::{Encoder, Layout, Unit, encode, plain};
use super::{Piece, Untrusted};

/// Whether a segment is text, or stands for something that is not drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// Characters that are drawn as themselves.
    Plain,
    /// A marker such as `<U+202E>`, written by the encoder. Draw it so that it cannot be mistaken.
    Marker,
}

/// A part of a [`Printable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The characters to draw.
    pub text: &'a str,
    /// What they are.
    pub kind: SegmentKind,
}

/// A numbered row of a text with line feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedRow {
    /// The number of the line, from 1. Folded line feeds make it jump.
    pub number: usize,
    /// The row.
    pub text: Printable,
}

/// One row of text without a single byte that could act on a terminal, hide, or move its neighbours.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Printable {
    text: String,
    /// Where the markers stand: byte ranges of `text`, ascending, not overlapping.
    markers: Vec<Range<usize>>,
}

impl Printable {
    /// Encodes `text` exactly, as one row: line feeds become markers too.
    ///
    /// Different bytes give different rows, and [`decode`](super::decode) gives the bytes back.
    pub fn exact(text: &Untrusted) -> Self {
        encode(text.raw(), Layout::Field)
    }

    /// Encodes `text` exactly, as one line of a file: as [`exact`](Self::exact), but up to
    /// 64 spaces of indentation stand as they are. Decodes the same way.
    pub fn exact_line(text: &Untrusted) -> Self {
        encode(text.raw(), Layout::Line)
    }

    /// Encodes a line that has masked values in it, as [`exact_line`](Self::exact_line).
    pub fn exact_pieces(pieces: &[Piece<'_>]) -> Self {
        super::masked::line(pieces, Layout::Line)
    }

    /// Encodes `text` exactly, so that no space remains: for names in formats split at spaces.
    pub(crate) fn exact_word(text: &Untrusted) -> Self {
        encode(text.raw(), Layout::Word)
    }

    /// Writes `c` as a marker, although it could be drawn.
    pub(crate) fn marked(c: char) -> Self {
        let mut encoder = Encoder::new(Layout::Word, 0);
        encoder.repeat(Unit::Char(c));
        encoder.finish()
    }

    /// Encodes `text` exactly, one row for each line. A run of more than three line feeds is a row
    /// of its own, such as `<U+000A x400>`. [`decode_lines`](super::decode_lines) gives it back.
    pub fn exact_lines(text: &Untrusted) -> Vec<Self> {
        Self::exact_rows(text)
            .into_iter()
            .map(|row| row.text)
            .collect()
    }

    /// Encodes `text` exactly, one row for each line, with the number of each line.
    pub fn exact_rows(text: &Untrusted) -> Vec<NumberedRow> {
        super::lines::rows(text.raw(), |line| encode(line, Layout::Line))
    }

    /// Encodes `text` for reading, one row for each line: for reasons and comments, never for what
    /// is going to run. Not injective.
    ///
    /// Line feeds and tabs act as layout, letters that run right to left are shown in rows that
    /// begin with the marker `<RTL>`, and emoji keep their joiners. All else is as in
    /// [`exact`](Self::exact).
    pub fn prose(text: &Untrusted) -> Vec<Self> {
        super::prose::rows(text.raw())
    }

    /// Takes a text of our own. It goes through the encoder as any other.
    pub fn ours(text: &'static str) -> Self {
        encode(text.as_bytes(), Layout::Ours)
    }

    /// Takes a text that we computed. It goes through the encoder as any other; spaces at its ends stay.
    pub fn from_ours(text: impl AsRef<str>) -> Self {
        encode(text.as_ref().as_bytes(), Layout::Ours)
    }

    /// Takes a text that the encoder would leave as it is.
    pub(super) const fn plain(text: String) -> Self {
        Self {
            text,
            markers: Vec::new(),
        }
    }

    /// Encodes `text` exactly, as [`exact`](Self::exact), between quotes.
    pub(crate) fn exact_quoted(text: &str) -> Self {
        if let Some(text) = plain(text.as_bytes(), Layout::Field) {
            return Self::plain(["\"", text, "\""].concat());
        }
        let quote = Self::ours("\"");
        Self::concat([&quote, &encode(text.as_bytes(), Layout::Field), &quote])
    }

    /// Puts `parts` behind each other.
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut whole = Self::default();
        for part in parts {
            whole.push(part);
        }
        whole
    }

    /// Puts `other` behind this text.
    pub fn push(&mut self, other: &Self) {
        let offset = self.text.len();
        self.text.push_str(&other.text);
        self.markers.extend(
            other
                .markers
                .iter()
                .map(|range| range.start + offset..range.end + offset),
        );
    }

    /// Puts a word behind this text as [`exact_word`](Self::exact_word) would write it, if the
    /// encoder leaves it as it is; else returns false.
    pub(crate) fn push_plain_word(&mut self, word: &str) -> bool {
        let plain = plain(word.as_bytes(), Layout::Word);
        self.text.push_str(plain.unwrap_or_default());
        plain.is_some()
    }

    /// Takes everything from byte `length` on away again, which was put there with
    /// [`push`](Self::push).
    pub(crate) fn cut(&mut self, length: usize) {
        self.text.truncate(length);
        self.markers.retain(|marker| marker.start < length);
    }

    /// Returns the characters to draw.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the number of terminal cells that the text takes.
    pub fn width(&self) -> usize {
        self.text.width()
    }

    /// Tells whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the byte ranges of [`as_str`](Self::as_str) that are markers, ascending.
    pub fn markers(&self) -> &[Range<usize>] {
        &self.markers
    }

    /// Returns the text cut into plain parts and markers, in order. No segment is empty.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let mut at = 0;
        let last = std::iter::once(self.text.len()..self.text.len());
        self.markers
            .iter()
            .cloned()
            .chain(last)
            .flat_map(move |marker| {
                let plain = at..marker.start;
                at = marker.end;
                [(plain, SegmentKind::Plain), (marker, SegmentKind::Marker)]
            })
            .filter_map(|(range, kind)| {
                let text = self.text.get(range).filter(|text| !text.is_empty())?;
                Some(Segment { text, kind })
            })
    }

    /// Cuts the text into rows of at most `cells` cells. The rows put together are the text.
    ///
    /// A row is cut between characters, a combining mark stays with its base, and a character that is
    /// wider than `cells` has a row for itself. Markers may be cut; each part stays a marker. An empty text is one empty row.
    pub fn wrap(&self, cells: usize) -> Vec<Self> {
        let mut rows = Vec::new();
        let (mut start, mut used) = (0, 0);
        let mut chars = self.text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            // A selector makes an emoji of what may be a narrow symbol.
            let emoji = chars.peek().is_some_and(|(_, next)| *next == '\u{FE0F}');
            let width = if emoji { 2 } else { c.width().unwrap_or(0) };
            if used > 0 && width > 0 && used + width > cells {
                rows.push(start..at);
                (start, used) = (at, 0);
            }
            used += width;
        }
        rows.push(start..self.text.len());
        let mut markers = self.markers.iter().peekable();
        rows.into_iter()
            .map(|row| {
                let mut inside = Vec::new();
                while let Some(marker) = markers.peek() {
                    let (from, to) = (marker.start.max(row.start), marker.end.min(row.end));
                    if from < to {
                        inside.push(from - row.start..to - row.start);
                    }
                    if marker.end > row.end {
                        break;
                    }
                    markers.next();
                }
                Self::from_parts(self.text.get(row).unwrap_or_default().to_owned(), inside)
            })
            .collect()
    }

    /// Takes what an encoder wrote.
    pub(super) const fn from_parts(text: String, markers: Vec<Range<usize>>) -> Self {
        Self { text, markers }
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `pad`, which would cut the text for `{:.3}`.
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Printable({})", self.text)
    }
}

impl AsRef<str> for Printable {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_that_was_typed_is_not_a_marker() {
        let text = Printable::exact(&Untrusted::new("a<U+202E>\u{202e}b"));
        let segments: Vec<_> = text.segments().map(|part| (part.text, part.kind)).collect();
        assert_eq!(
            segments,
            [
                ("a", SegmentKind::Plain),
                ("<U+003C>", SegmentKind::Marker),
                ("U+202E>", SegmentKind::Plain),
                ("<U+202E>", SegmentKind::Marker),
                ("b", SegmentKind::Plain),
            ]
        );
    }

    #[test]
    fn rows_put_together_are_the_text_they_were_cut_from() {
        let text = Printable::exact(&Untrusted::new("漢字e\u{301}\u{301}\u{301}\0\0 漢<U+"));
        for cells in 0..30 {
            let rows = text.wrap(cells);
            assert_eq!(Printable::concat(&rows).as_str(), text.as_str());
            assert!(rows.iter().all(|row| row.width() <= cells.max(2)));
            let marked: usize = rows
                .iter()
                .flat_map(Printable::markers)
                .map(Range::len)
                .sum();
            assert_eq!(marked, text.markers().iter().map(Range::len).sum::<usize>());
        }
        assert_eq!(Printable::default().wrap(10), [Printable::default()]);
    }

    #[test]
    fn parts_keep_their_markers_when_put_together() {
        let whole = Printable::concat(&[
            Printable::ours("agent: "),
            Printable::exact(&Untrusted::new("\u{1b}[2J")),
        ]);
        assert_eq!(whole.to_string(), "agent: <U+001B>[2J");
        assert_eq!(whole.segments().last().map(|part| part.text), Some("[2J"));
        assert_eq!(
            whole.segments().nth(1).map(|part| part.text),
            Some("<U+001B>")
        );
    }
}
