//! Takes secrets out of what a program writes, wherever its writes and our reads are cut.
//!
//! It is a net for accidents and not a wall: a program that wants to tell a secret can spell it
//! backwards. So beside the value only the forms are looked for that programs write by themselves: the
//! lines of a longer one, base64, hexadecimal digits, JSON and URL escapes.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use data_encoding::{BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};

/// What shorter than this is found everywhere by chance.
const SHORTEST: usize = 6;

/// How much is held back at most before a marker is written for it.
const MOST_HELD: usize = 256 << 10;

/// The secrets that are looked for.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    automaton: Option<AhoCorasick>,
    /// What is looked for, with the marker that takes its place.
    found: Vec<(Vec<u8>, String)>,
    longest: usize,
}

/// There are more secrets than can be looked for.
#[derive(Debug, thiserror::Error)]
#[error("the secrets cannot be looked for in the output: {0}")]
pub(super) struct PatternsError(aho_corasick::BuildError);

impl Patterns {
    /// Looks for these secrets, each with its name.
    pub(super) fn of<'a>(
        secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, PatternsError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, value) in secrets {
            for form in forms(value) {
                if form.len() >= SHORTEST && seen.insert(form.clone()) {
                    found.push((form, format!("[masked {name}]")));
                }
            }
        }
        let longest = found.iter().map(|(form, _)| form.len()).max().unwrap_or(0);
        let automaton = if found.is_empty() {
            None
        } else {
            let forms = found.iter().map(|(form, _)| form);
            Some(AhoCorasick::new(forms).map_err(PatternsError)?)
        };
        Ok(Self {
            automaton,
            found,
            longest,
        })
    }

    /// Tells how many bytes at the end may be the beginning of something that is looked for.
    fn open_end(&self, buffer: &[u8]) -> usize {
        let of = |form: &[u8]| {
            let most = form.len().saturating_sub(1).min(buffer.len());
            let begins = |length: &usize| {
                form.get(..*length)
                    .is_some_and(|begin| buffer.ends_with(begin))
            };
            (1..=most).rev().find(begins).unwrap_or(0)
        };
        self.found
            .iter()
            .map(|(form, _)| of(form))
            .max()
            .unwrap_or(0)
    }

    /// Returns the stretches that are secret, none touching another, with their markers.
    fn stretches(&self, buffer: &[u8], covered: usize) -> Vec<(Range<usize>, &str)> {
        let mut all: Vec<(Range<usize>, &str)> = Vec::new();
        if covered > 0 {
            all.push((0..covered, ""));
        }
        for found in self
            .automaton
            .iter()
            .flat_map(|automaton| automaton.find_overlapping_iter(buffer))
        {
            if let Some((_, marker)) = self.found.get(found.pattern().as_usize()) {
                all.push((found.range(), marker));
            }
        }
        // Of those that begin together the longest names what is hidden.
        all.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut merged: Vec<(Range<usize>, &str)> = Vec::new();
        for (range, marker) in all {
            match merged.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push((range, marker)),
            }
        }
        merged
    }
}

/// The forms in which a secret is looked for.
fn forms(whole: &[u8]) -> Vec<Vec<u8>> {
    // The end of its line is nothing to hide.
    let value = whole.trim_ascii();
    let mut forms = vec![value.to_vec()];
    let lines = value.split(|byte| matches!(byte, b'\n' | b'\r'));
    forms.extend(lines.filter(|line| line.len() >= 8).map(<[u8]>::to_vec));
    forms.extend([HEXLOWER.encode(value), HEXUPPER.encode(value)].map(String::into_bytes));
    for encoding in [BASE64, BASE64URL] {
        forms.extend((0..3).filter_map(|before| within_base64(&encoding, value, before)));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let json = serde_json::Value::from(text).to_string();
        let inner = json.get(1..json.len().saturating_sub(1));
        forms.extend(inner.map(|inner| inner.as_bytes().to_vec()));
    }
    forms.push(percent_encoded(value));
    forms
}

/// Returns what base64 makes of a value with `before` bytes before it: only the characters that
/// depend on nothing else.
fn within_base64(encoding: &Encoding, value: &[u8], before: usize) -> Option<Vec<u8>> {
    let mut whole = vec![0; before];
    whole.extend_from_slice(value);
    let encoded = encoding.encode(&whole).into_bytes();
    let from = before.checked_mul(8)?.div_ceil(6);
    let to = whole.len().checked_mul(8)? / 6;
    encoded.get(from..to).map(<[u8]>::to_vec)
}

/// Returns what RFC 3986 makes of a value.
fn percent_encoded(value: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(*byte);
        } else {
            encoded.push(b'%');
            encoded.extend_from_slice(HEXUPPER.encode(&[*byte]).as_bytes());
        }
    }
    encoded
}

/// One stream of output, without the secrets.
#[derive(Debug)]
pub(super) struct Masker {
    patterns: Patterns,
    /// What was read and cannot be passed on yet.
    held: Vec<u8>,
    /// How much at its beginning belongs to a secret whose marker was passed on.
    covered: usize,
}

impl Masker {
    /// Begins a stream.
    pub(super) const fn new(patterns: Patterns) -> Self {
        Self {
            patterns,
            held: Vec::new(),
            covered: 0,
        }
    }

    /// Takes what was read, and returns what can be passed on.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let sure = self.held.len() - self.patterns.open_end(&self.held);
        self.release(sure)
    }

    /// Returns the rest.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.release(self.held.len())
    }

    /// Passes on what lies before `sure`, but not a part of a secret.
    fn release(&mut self, sure: usize) -> Vec<u8> {
        let mut passed = Vec::new();
        let mut at = 0;
        let stretches = self.patterns.stretches(&self.held, self.covered);
        let mut open = None;
        for (range, marker) in &stretches {
            if range.start >= sure {
                break;
            }
            passed.extend_from_slice(self.held.get(at..range.start).unwrap_or_default());
            at = range.start;
            if range.end > sure {
                // More of it may come.
                open = Some((range.clone(), *marker));
                break;
            }
            passed.extend_from_slice(marker.as_bytes());
            at = range.end;
        }
        let mut covered = 0;
        match open {
            None => {
                passed.extend_from_slice(self.held.get(at..sure).unwrap_or_default());
                at = at.max(sure);
            }
            // A stretch whose beginning was passed on already stays open.
            Some((range, marker)) if range.end - at > MOST_HELD || marker.is_empty() => {
                passed.extend_from_slice(marker.as_bytes());
                // What is still needed to see where it ends.
                let needed = self.patterns.longest.saturating_sub(1);
                at = at.max(self.held.len().saturating_sub(needed));
                covered = range.end.saturating_sub(at);
            }
            Some(_) => {}
        }
        self.covered = covered;
        self.held.drain(..at.min(self.held.len()));
        passed
    }
}

#[cfg(test)]
mod tests;
