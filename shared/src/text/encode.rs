//! The Exact encoding: every byte string has one spelling, made of characters that are safe to draw.
//!
//! | bytes | spelling |
//! |---|---|
//! | a character of the allow-list | itself |
//! | any other character | `<U+202E>`, hexadecimal as in the Unicode standard, four to six digits |
//! | a byte that is not UTF-8 | `<0xFF>` |
//! | one of these more than three times in a row | once, with a count: `<U+202E x400>` |
//! | more than eight spaces in a row | `<U+0020 x600>` |
//! | spaces at the end | `<U+0020>`, since they could not be seen |
//! | `<` before `U+`, `0x` or `masked ` | `<U+003C>`, so that no text can look like a marker |
//! | a combining mark that is the third on its letter, or on none | `<U+0301>` |
//!
//! One pass, linear in the input. Reading it back is the work of [`decode`](super::decode).

use std::fmt::Write as _;
use std::ops::Range;

use super::class::{Class, class, is_leading_consonant};
use super::masked::MASKED;
use super::printable::Printable;

/// Forbidden characters that repeat more often than this become one marker with a count.
const FOLD_AFTER: usize = 3;
/// Spaces that repeat more often than this become one marker with a count.
const FOLD_SPACES_AFTER: usize = 8;
/// Indentation of a line that stands as it is, in spaces.
const INDENTATION: usize = 64;
/// What makes a marker of a `<`.
const RESERVED: [&str; 3] = ["U+", "0x", MASKED];
/// Combining marks that a letter may carry.
pub(super) const MARKS: usize = 2;

/// Where the text is going to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// On its own, in one row.
    Field,
    /// As a line of a file: indentation stays.
    Line,
    /// Where a space would end it: no space remains, and nothing is folded.
    Word,
    /// Among our own words: spaces at the end stay.
    Ours,
}

/// A character, or a byte that is not part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A character.
    Char(char),
    /// A byte that is not UTF-8.
    Byte(u8),
}

/// Encodes `bytes`, which may be anything.
pub(super) fn encode(bytes: &[u8], layout: Layout) -> Printable {
    match plain(bytes, layout) {
        Some(text) => Printable::plain(text.to_owned()),
        None => encode_each(bytes, layout),
    }
}

/// Returns the text if it certainly stands as it is: ASCII that is drawn, without a `<`, and single
/// spaces inside.
pub(super) fn plain(bytes: &[u8], layout: Layout) -> Option<&str> {
    let mut after_space = true;
    for byte in bytes {
        match byte {
            b' ' if layout == Layout::Word || after_space => return None,
            b' ' => after_space = true,
            b'<' => return None,
            b'!'..=b'~' => after_space = false,
            _ => return None,
        }
    }
    if after_space && !bytes.is_empty() {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Encodes `bytes` character by character.
pub(super) fn encode_each(bytes: &[u8], layout: Layout) -> Printable {
    let mut encoder = Encoder::new(layout, bytes.len());
    encoder.bytes(bytes);
    encoder.finish()
}

/// Writes a text from left to right. Shared by the exact and the readable encoding.
#[derive(Debug)]
pub(super) struct Encoder {
    layout: Layout,
    text: String,
    markers: Vec<Range<usize>>,
    /// The run of spaces or of one forbidden unit that is still growing.
    run: Option<(Unit, usize)>,
    /// The marks on the letter just written; `None` where a mark may not stand.
    marks: Option<usize>,
    /// The character just written as itself.
    last: Option<char>,
}

impl Encoder {
    /// Starts a text. `capacity` is a guess at its length in bytes.
    pub(super) fn new(layout: Layout, capacity: usize) -> Self {
        Self {
            layout,
            text: String::with_capacity(capacity),
            markers: Vec::new(),
            run: None,
            marks: None,
            last: None,
        }
    }

    /// Takes bytes, which may be anything.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            let mut chars = chunk.valid().chars();
            while let Some(c) = chars.next() {
                self.char(c, chars.as_str());
            }
            for byte in chunk.invalid() {
                self.repeat(Unit::Byte(*byte));
            }
        }
    }

    /// Takes the next character; `rest` is what follows it.
    pub(super) fn char(&mut self, c: char, rest: &str) {
        self.char_of(class(c), c, rest);
    }

    /// Takes the next character as one of class `kind`.
    pub(super) fn char_of(&mut self, kind: Class, c: char, rest: &str) {
        let draw = match kind {
            Class::Space | Class::Marked => false,
            Class::Visible => c != '<' || !RESERVED.into_iter().any(|word| rest.starts_with(word)),
            Class::Base => true,
            Class::Mark => self.marks.is_some_and(|marks| marks < MARKS),
            Class::Vowel => self.last.is_some_and(is_leading_consonant),
            Class::Final => self.last.is_some_and(|last| class(last) == Class::Vowel),
        };
        if draw {
            let marks = match kind {
                Class::Base => Some(0),
                Class::Mark => self.marks.map(|marks| marks + 1),
                Class::Vowel | Class::Final | Class::Visible | Class::Space | Class::Marked => None,
            };
            self.draw(c, marks);
        } else {
            self.repeat(Unit::Char(c));
        }
    }

    /// Draws `c` as itself.
    pub(super) fn draw(&mut self, c: char, marks: Option<usize>) {
        self.end_run(false);
        self.text.push(c);
        self.marks = marks;
        self.last = Some(c);
    }

    /// Takes a space or a unit that is not drawn.
    pub(super) fn repeat(&mut self, unit: Unit) {
        match &mut self.run {
            Some((same, count)) if *same == unit => *count += 1,
            _ => {
                self.end_run(false);
                self.run = Some((unit, 1));
            }
        }
        self.marks = None;
        self.last = None;
    }

    /// Writes `marker`, which must be ASCII.
    pub(super) fn marker(&mut self, marker: &str) {
        self.end_run(false);
        let start = self.text.len();
        self.text.push_str(marker);
        self.markers.push(start..self.text.len());
        self.marks = None;
        self.last = None;
    }

    /// Returns the text.
    pub(super) fn finish(mut self) -> Printable {
        self.end_run(true);
        Printable::from_parts(self.text, self.markers)
    }

    /// Writes the run that has ended; `last` says that the text ends with it.
    fn end_run(&mut self, last: bool) {
        let Some((unit, count)) = self.run.take() else {
            return;
        };
        if unit == Unit::Char(' ') && self.draws_spaces(count, last) {
            self.text.extend(std::iter::repeat_n(' ', count));
            return;
        }
        let folds = count > FOLD_AFTER && self.layout != Layout::Word;
        for _ in 0..if folds { 1 } else { count } {
            let start = self.text.len();
            write_marker(&mut self.text, unit, if folds { count } else { 1 });
            self.markers.push(start..self.text.len());
        }
    }

    /// Tells whether `count` spaces at this place are drawn as themselves.
    fn draws_spaces(&self, count: usize, last: bool) -> bool {
        match self.layout {
            Layout::Word => false,
            Layout::Ours => count <= FOLD_SPACES_AFTER,
            Layout::Line if self.text.is_empty() => !last && count <= INDENTATION,
            Layout::Field | Layout::Line => !last && count <= FOLD_SPACES_AFTER,
        }
    }
}

/// Writes the marker of `count` times `unit`.
pub(super) fn write_marker(text: &mut String, unit: Unit, count: usize) {
    // Writing to a `String` cannot fail.
    let _ = match unit {
        Unit::Char(c) => write!(text, "<U+{:04X}", u32::from(c)),
        Unit::Byte(byte) => write!(text, "<0x{byte:02X}"),
    };
    if count > 1 {
        let _ = write!(text, " x{count}");
    }
    text.push('>');
}
