//! The pass over a text that finds what hides in it.

use super::super::class::{
    Class, class, class_in_any_direction, is_bidi_control, is_emoji, is_emoji_modifier,
    is_right_to_left, is_tag, is_variation_selector,
};
use super::super::encode::MARKS;
use super::scripts::Word;
use super::{Findings, Hidden};

/// Tells whether a text is one line of plain ASCII, where only length and spaces can be found.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Returns the length of the longest run of spaces.
pub(super) fn longest_spaces(bytes: &[u8]) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for byte in bytes {
        run = if *byte == b' ' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Looks at `bytes` character by character.
pub(super) fn scan_each(bytes: &[u8]) -> Findings {
    let mut scan = Scan::default();
    for chunk in bytes.utf8_chunks() {
        let mut chars = chunk.valid().chars();
        while let Some(c) = chars.next() {
            scan.char(c, chars.as_str());
        }
        for _ in chunk.invalid() {
            scan.byte();
        }
    }
    scan.finish()
}

/// The pass over a text.
#[derive(Debug, Default)]
struct Scan {
    findings: Findings,
    line: usize,
    spaces: usize,
    marks: Option<usize>,
    /// An emoji has just been seen, so one selector may follow it.
    emoji: bool,
    /// An emoji has just been seen, maybe with a selector, so a joiner may follow it.
    joinable: bool,
    any: bool,
    word: Word,
}

impl Scan {
    fn char(&mut self, c: char, rest: &str) {
        if matches!(c, ' '..='~') {
            // Nothing is looked up for what nearly all text consists of.
            self.marks = Some(0);
            (self.emoji, self.joinable) = (false, false);
        } else {
            self.unusual(c, rest);
        }
        self.any = true;
        self.count_layout(c);
        if let Some(word) = self.word.next(c) {
            self.findings.mixed_words.push(word);
        }
    }

    /// Takes a character that is not plain ASCII.
    fn unusual(&mut self, c: char, rest: &str) {
        if let Some(kind) = self.hidden(c, rest) {
            let chars = self.findings.hidden.entry(kind).or_default();
            *chars.entry(c).or_default() += 1;
            let ascii = u32::from(c).checked_sub(0xE_0000).and_then(char::from_u32);
            let seen = |ascii: &char| kind == Hidden::Tag && matches!(ascii, ' '..='~');
            if let Some(ascii) = ascii.filter(seen) {
                self.findings.tags.push(ascii);
            }
        } else if is_right_to_left(c) {
            self.findings.right_to_left += 1;
        }
        self.count_marks(c);
        self.joinable = self.emoji && is_variation_selector(c);
        self.emoji = is_emoji(c) || (self.emoji && is_emoji_modifier(c));
        self.joinable |= self.emoji;
    }

    fn byte(&mut self) {
        self.findings.not_utf8 += 1;
        self.marks = None;
        (self.emoji, self.joinable) = (false, false);
        self.any = true;
        self.count_layout('?');
    }

    /// Tells what kind of hidden character `c` is at this place.
    fn hidden(&self, c: char, rest: &str) -> Option<Hidden> {
        match c {
            '\t' | '\n' => None,
            '\r' if rest.starts_with('\n') => None,
            _ if c.is_control() => Some(Hidden::Control),
            _ if is_bidi_control(c) => Some(Hidden::Bidi),
            _ if is_tag(c) => Some(Hidden::Tag),
            '\u{FE0E}' | '\u{FE0F}' if self.emoji => None,
            _ if is_variation_selector(c) => Some(Hidden::VariationSelector),
            '\u{200D}' if self.joinable && rest.starts_with(is_emoji) => None,
            _ if is_emoji_modifier(c) => None,
            // A mark at the beginning of a file is how some editors save it.
            '\u{FEFF}' if !self.any => None,
            // How East Asian text is spaced: it is seen, though it is blank.
            '\u{3000}' | '\u{A0}' => None,
            _ if is_right_to_left(c) => None,
            _ if class(c) == Class::Marked => Some(Hidden::Invisible),
            _ => None,
        }
    }

    fn count_marks(&mut self, c: char) {
        match class_in_any_direction(c) {
            _ if c.is_ascii() => self.marks = Some(0),
            Class::Mark => {
                let marks = self.marks.map_or(usize::MAX, |marks| marks + 1);
                if marks > MARKS {
                    self.findings.stacked_marks += 1;
                    self.marks = None;
                } else {
                    self.marks = Some(marks);
                }
            }
            Class::Space
            | Class::Base
            | Class::Visible
            | Class::Vowel
            | Class::Final
            | Class::Marked => self.marks = Some(0),
        }
    }

    fn count_layout(&mut self, c: char) {
        self.spaces = if matches!(c, ' ' | '\t' | '\u{A0}' | '\u{3000}') {
            self.spaces + 1
        } else {
            0
        };
        self.line = if c == '\n' { 0 } else { self.line + 1 };
        let findings = &mut self.findings;
        findings.longest_spaces = findings.longest_spaces.max(self.spaces);
        findings.longest_line = findings.longest_line.max(self.line);
    }

    fn finish(mut self) -> Findings {
        if let Some(word) = self.word.end() {
            self.findings.mixed_words.push(word);
        }
        self.findings
    }
}
