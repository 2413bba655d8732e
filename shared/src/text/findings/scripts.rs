//! Words that mix Latin with letters of another script that look Latin.
//!
//! A flag for readers, not a defence: it knows Cyrillic, Greek, and the full-width and mathematical
//! copies of Latin, and whole words in one script pass, whatever they look like.

use super::super::Untrusted;
use super::super::names::name;

/// Greek letters that look like Latin ones. The others are used beside Latin in good faith, as in kΩ.
const GREEK: &str = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονϲ";

/// The word that is being read.
#[derive(Debug, Default)]
pub(super) struct Word {
    text: String,
    latin: bool,
    foreign: bool,
}

impl Word {
    /// Takes the next character; returns the word that it ends, if that one is mixed.
    pub(super) fn next(&mut self, c: char) -> Option<Untrusted> {
        if !c.is_alphanumeric() {
            return self.end();
        }
        self.latin |= matches!(c, 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{24F}');
        self.foreign |= is_foreign(c);
        self.text.push(c);
        None
    }

    /// Ends the word; returns it if it is mixed.
    pub(super) fn end(&mut self) -> Option<Untrusted> {
        let word = std::mem::take(self);
        (word.latin && word.foreign).then(|| Untrusted::new(word.text))
    }
}

/// Names the letters of `word` that are not Latin, each once.
pub(super) fn foreign_names(word: &Untrusted) -> String {
    let mut letters: Vec<char> = word.raw_str().unwrap_or_default().chars().collect();
    letters.retain(|c| is_foreign(*c));
    letters.sort_unstable();
    letters.dedup();
    letters.truncate(3);
    let names: Vec<_> = letters.into_iter().map(name).collect();
    names.join(", ")
}

/// Tells whether `c` is a letter that can stand in for a Latin one.
fn is_foreign(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8F}' | '\u{FF21}'..='\u{FF5A}' | '\u{1D400}'..='\u{1D7FF}')
        || GREEK.contains(c)
}
