//! Where two paired lines differ.
//!
//! Compares the encoded texts, which differ wherever the bytes do, and cuts them into words, single
//! signs, spaces and markers. Lines that share little are not emphasised: all of them is new.

use std::ops::Range;
use std::time::Instant;

use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use unicode_width::UnicodeWidthChar as _;

use crate::text::{Printable, SegmentKind};

/// Lines with more words than this are compared from both ends only, which takes linear time.
const MAX_WORDS: usize = 1_000;
/// Lines that share less than this part of their text, in percent, are not emphasised.
const MIN_SHARED: usize = 30;

/// Returns the ranges of `old` and of `new` that the other one does not have.
pub(super) fn differences(
    old: &Printable,
    new: &Printable,
    deadline: Option<Instant>,
) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (a, b) = (words(old), words(new));
    let mut old_ranges = Vec::new();
    let mut new_ranges = Vec::new();
    let mut shared = 0;
    if a.len().max(b.len()) > MAX_WORDS {
        let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let rest = a.len().min(b.len()) - head;
        let ends = a.iter().rev().zip(b.iter().rev()).take(rest);
        let tail = ends.take_while(|(a, b)| a == b).count();
        shared += weight(a.iter().take(head)) + weight(a.iter().rev().take(tail));
        push(&mut old_ranges, span(&a, head..a.len() - tail));
        push(&mut new_ranges, span(&b, head..b.len() - tail));
    } else {
        for op in capture_diff_slices_deadline(Algorithm::Myers, &a, &b, deadline) {
            let (tag, old, new) = op.as_tag_tuple();
            if tag == DiffTag::Equal {
                shared += weight(a.get(old).unwrap_or_default());
            } else {
                push(&mut old_ranges, span(&a, old));
                push(&mut new_ranges, span(&b, new));
            }
        }
    }
    let total = weight(&a) + weight(&b);
    if shared * 2 * 100 < total * MIN_SHARED {
        return (Vec::new(), Vec::new());
    }
    (old_ranges, new_ranges)
}

/// A word, a sign, a run of spaces, or a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Word<'a> {
    text: &'a str,
    /// How much it counts: a marker stands for one character, however long it is.
    weight: usize,
}

/// Returns how much `words` count together.
fn weight<'a>(words: impl IntoIterator<Item = &'a Word<'a>>) -> usize {
    words.into_iter().map(|word| word.weight).sum()
}

/// Cuts `text` into words.
fn words(text: &Printable) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for part in text.segments() {
        if part.kind == SegmentKind::Marker {
            words.push(Word {
                text: part.text,
                weight: 1,
            });
            continue;
        }
        let mut rest = part.text;
        while let Some((word, after)) = split_word(rest) {
            words.push(Word {
                text: word,
                weight: word.len(),
            });
            rest = after;
        }
    }
    words
}

/// Splits `text` behind its first word; `None` if it is empty.
fn split_word(text: &str) -> Option<(&str, &str)> {
    let mut chars = text.char_indices();
    let (_, first) = chars.next()?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (_, end) = chars
        .map(|(at, c)| (c, at))
        // Marks stay with what they stand on.
        .find(|(c, _)| {
            let same = (is_word(first) && is_word(*c)) || (first == ' ' && *c == ' ');
            !same && c.width() != Some(0)
        })
        .unwrap_or((first, text.len()));
    text.split_at_checked(end)
}

/// Returns the bytes that `range` of `words` covers in their text.
fn span(words: &[Word<'_>], range: Range<usize>) -> Range<usize> {
    let length = |words: &[Word<'_>]| words.iter().map(|word| word.text.len()).sum::<usize>();
    let start = words.get(..range.start).map_or(0, length);
    let inside = words.get(range).map_or(0, length);
    start..start + inside
}

/// Adds `range`, if it is not empty.
fn push(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}
