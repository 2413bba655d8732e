//! What a text contains that a reader could not see, or could be misled by.
//!
//! Computed from the bytes, in one pass. Text in any script that people write finds nothing; what
//! is found is counted by kind and named. This module judges characters, not meaning: a dangerous
//! command in plain letters finds nothing either.

use std::collections::BTreeMap;

use super::names::name;
use super::{Printable, Untrusted};

mod scan;
mod scripts;
#[cfg(test)]
mod tests;

/// A run of spaces longer than this is reported.
const LONG_SPACES: usize = 64;
/// A line longer than this, in characters, is reported.
const LONG_LINE: usize = 2_000;
/// Names that a summary gives before it says how many more there are.
const NAMES: usize = 3;

/// A kind of character that is not drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hidden {
    /// C0 (but for tab, line feed, and carriage return before a line feed), DEL and C1.
    Control,
    /// Turns the order in which text is drawn.
    Bidi,
    /// A TAG character: ASCII that is not seen.
    Tag,
    /// A variation selector, but for the one behind an emoji.
    VariationSelector,
    /// Takes no cell, or is blank, or is not assigned.
    Invisible,
}

/// What was found in a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    hidden: BTreeMap<Hidden, BTreeMap<char, usize>>,
    tags: String,
    not_utf8: usize,
    right_to_left: usize,
    stacked_marks: usize,
    longest_spaces: usize,
    longest_line: usize,
    mixed_words: Vec<Untrusted>,
}

impl Findings {
    /// Looks at `text`.
    pub fn of(text: &Untrusted) -> Self {
        let mut findings = Self::default();
        findings.look_at(text.raw());
        findings
    }

    /// Looks at a text, and adds what is found in it.
    pub(crate) fn look_at(&mut self, bytes: &[u8]) {
        if scan::is_plain(bytes) {
            self.longest_line = self.longest_line.max(bytes.len());
            self.longest_spaces = self.longest_spaces.max(scan::longest_spaces(bytes));
        } else {
            self.merge(&scan::scan_each(bytes));
        }
    }

    /// Adds what was found in another text.
    pub fn merge(&mut self, other: &Self) {
        for (kind, chars) in &other.hidden {
            let mine = self.hidden.entry(*kind).or_default();
            for (c, count) in chars {
                *mine.entry(*c).or_default() += count;
            }
        }
        self.tags.push_str(&other.tags);
        self.not_utf8 += other.not_utf8;
        self.right_to_left += other.right_to_left;
        self.stacked_marks += other.stacked_marks;
        self.longest_spaces = self.longest_spaces.max(other.longest_spaces);
        self.longest_line = self.longest_line.max(other.longest_line);
        self.mixed_words.extend(other.mixed_words.iter().cloned());
    }

    /// Tells whether the text uses what has no place in something that is going to run: control
    /// characters, direction controls, TAG characters or variation selectors.
    pub fn is_hostile(&self) -> bool {
        [
            Hidden::Control,
            Hidden::Bidi,
            Hidden::Tag,
            Hidden::VariationSelector,
        ]
        .into_iter()
        .any(|kind| self.hidden(kind) > 0)
    }

    /// Tells whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.summary().is_empty()
    }

    /// Returns how many characters of `kind` there are.
    pub fn hidden(&self, kind: Hidden) -> usize {
        self.hidden
            .get(&kind)
            .map_or(0, |chars| chars.values().sum())
    }

    /// Returns the text that the TAG characters spell, if there are any.
    pub fn hidden_text(&self) -> Option<Untrusted> {
        (!self.tags.is_empty()).then(|| Untrusted::new(self.tags.clone()))
    }

    /// Returns the number of bytes that are not UTF-8.
    pub const fn not_utf8(&self) -> usize {
        self.not_utf8
    }

    /// Returns the number of letters and digits that run right to left.
    pub const fn right_to_left(&self) -> usize {
        self.right_to_left
    }

    /// Returns the number of combining marks beyond what a letter may carry.
    pub const fn stacked_marks(&self) -> usize {
        self.stacked_marks
    }

    /// Returns the length of the longest run of spaces and tabs.
    pub const fn longest_spaces(&self) -> usize {
        self.longest_spaces
    }

    /// Returns the length of the longest line, in characters.
    pub const fn longest_line(&self) -> usize {
        self.longest_line
    }

    /// Returns the words that mix Latin with look-alike letters of another script.
    pub fn mixed_words(&self) -> &[Untrusted] {
        &self.mixed_words
    }

    /// Returns what was found, one row each, the worst first; nothing if there is nothing.
    pub fn summary(&self) -> Vec<Printable> {
        let mut rows = Vec::new();
        if self.hidden(Hidden::Control) > 0 {
            let names = self.names(&[Hidden::Control]);
            let count = counted(self.hidden(Hidden::Control), "control character");
            rows.push(Printable::from_ours(format!("{count} ({names})")));
        }
        let unseen = [
            Hidden::Bidi,
            Hidden::Tag,
            Hidden::VariationSelector,
            Hidden::Invisible,
        ];
        let count = unseen.into_iter().map(|kind| self.hidden(kind)).sum();
        if count > 0 {
            let names = self.names(&unseen);
            let count = counted(count, "hidden character");
            rows.push(Printable::from_ours(format!("{count} ({names})")));
        }
        if let Some(text) = self.hidden_text() {
            rows.push(Printable::concat(&[
                Printable::ours("hidden text says: \""),
                Printable::exact(&text),
                Printable::ours("\""),
            ]));
        }
        let mut count = |count: usize, what: &str| {
            if count > 0 {
                rows.push(Printable::from_ours(counted(count, what)));
            }
        };
        count(self.not_utf8, "byte that is not UTF-8");
        count(self.right_to_left, "right-to-left letter");
        count(self.stacked_marks, "stacked combining mark");
        if self.longest_spaces > LONG_SPACES {
            let text = format!("a run of {} spaces", self.longest_spaces);
            rows.push(Printable::from_ours(text));
        }
        if self.longest_line > LONG_LINE {
            let text = format!("a line of {} characters", self.longest_line);
            rows.push(Printable::from_ours(text));
        }
        if let Some(first) = self.mixed_words.first() {
            let count = counted(self.mixed_words.len(), "word that mixes scripts");
            rows.push(Printable::concat(&[
                Printable::from_ours(format!("{count}: \"")),
                Printable::exact(first),
                Printable::from_ours(format!("\" has {}", scripts::foreign_names(first))),
            ]));
        }
        rows
    }

    /// Names the most frequent characters of `kinds`.
    fn names(&self, kinds: &[Hidden]) -> String {
        let mut named = Vec::new();
        for kind in kinds {
            match kind {
                Hidden::Tag if self.hidden(*kind) > 0 => {
                    named.push((self.hidden(*kind), "TAG".to_owned()));
                }
                Hidden::VariationSelector if self.hidden(*kind) > 0 => {
                    named.push((self.hidden(*kind), "VARIATION SELECTOR".to_owned()));
                }
                Hidden::Tag | Hidden::VariationSelector => {}
                Hidden::Control | Hidden::Bidi | Hidden::Invisible => {
                    let mut chars: Vec<_> = self.hidden.get(kind).into_iter().flatten().collect();
                    chars.sort_by_key(|(c, count)| (std::cmp::Reverse(**count), **c));
                    let more = chars.len().saturating_sub(NAMES);
                    chars.truncate(NAMES);
                    named.extend(chars.iter().map(|(c, count)| (**count, name(**c))));
                    if more > 0 {
                        named.push((more, "other kinds".to_owned()));
                    }
                }
            }
        }
        let named: Vec<_> = named
            .into_iter()
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        named.join(", ")
    }
}

/// Writes `count` and `what`, whose first word is in the singular.
fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        return format!("1 {what}");
    }
    match what {
        "byte that is not UTF-8" => format!("{count} bytes that are not UTF-8"),
        "word that mixes scripts" => format!("{count} words that mix scripts"),
        _ => format!("{count} {what}s"),
    }
}

/// Looks at bytes character by character, as is done when they are not plain ASCII.
#[cfg(test)]
pub(super) fn each(bytes: &[u8]) -> Findings {
    scan::scan_each(bytes)
}
