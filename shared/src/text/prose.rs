//! The readable encoding, for what an agent says rather than does.
//!
//! As the exact one, but line feeds and tabs act as layout, letters that run right to left are
//! drawn in rows tagged `<RTL>`, and emoji keep their skin tones, selectors and joiners. It is not
//! injective and is never used for anything that is going to run.

use super::class::{
    Class, class, class_in_any_direction, is_emoji, is_emoji_modifier, is_right_to_left,
};
use super::encode::{Encoder, Layout, Unit};
use super::printable::Printable;

/// What is drawn for a tab.
const TAB: &str = "    ";
/// Joiners in one emoji. The longest in use, a family of four, has three.
const JOINERS: usize = 3;
/// The marker that begins a row with letters that run right to left.
const RIGHT_TO_LEFT: &str = "<RTL> ";

/// How far the emoji at the end of the row has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emoji {
    /// There is none.
    None,
    /// A base, to which a skin tone or a selector may be added.
    Base { joiners: usize },
    /// A base with a skin tone or a selector.
    Complete { joiners: usize },
    /// A joiner, which the next base follows.
    Joined { joiners: usize },
}

/// Encodes `bytes` for reading, one row for each line.
pub(super) fn rows(bytes: &[u8]) -> Vec<Printable> {
    super::lines::rows(bytes, row)
        .into_iter()
        .map(|row| row.text)
        .collect()
}

/// Encodes one line.
fn row(line: &[u8]) -> Printable {
    let mut encoder = Encoder::new(Layout::Ours, line.len());
    let turns = line
        .utf8_chunks()
        .any(|chunk| chunk.valid().chars().any(is_right_to_left));
    if turns {
        encoder.marker(RIGHT_TO_LEFT);
    }
    let mut emoji = Emoji::None;
    for chunk in line.utf8_chunks() {
        let mut chars = chunk.valid().chars();
        while let Some(c) = chars.next() {
            let rest = chars.as_str();
            let next = next_emoji(emoji, c, rest);
            if next != Emoji::None {
                encoder.draw(c, None);
            } else if c == '\t' {
                TAB.chars().for_each(|space| encoder.char(space, ""));
            } else if c == '<' && rest.starts_with("RTL>") {
                encoder.repeat(Unit::Char(c));
            } else if is_right_to_left(c) {
                encoder.char_of(class_in_any_direction(c), c, rest);
            } else {
                encoder.char(c, rest);
            }
            emoji = next;
        }
        if !chunk.invalid().is_empty() {
            emoji = Emoji::None;
        }
        for byte in chunk.invalid() {
            encoder.repeat(Unit::Byte(*byte));
        }
    }
    encoder.finish()
}

/// Returns where `c` takes the emoji at the end of the row; `None` if it is no part of one.
fn next_emoji(emoji: Emoji, c: char, rest: &str) -> Emoji {
    let base = is_emoji(c) && matches!(class(c), Class::Base | Class::Visible);
    match emoji {
        Emoji::Joined { joiners } if base => Emoji::Base { joiners },
        Emoji::Base { joiners } if is_emoji_modifier(c) || c == '\u{FE0F}' || c == '\u{FE0E}' => {
            Emoji::Complete { joiners }
        }
        Emoji::Base { joiners } | Emoji::Complete { joiners }
            if c == '\u{200D}' && joiners < JOINERS && rest.starts_with(is_emoji) =>
        {
            Emoji::Joined {
                joiners: joiners + 1,
            }
        }
        Emoji::None | Emoji::Base { .. } | Emoji::Complete { .. } | Emoji::Joined { .. } => {
            if base {
                Emoji::Base { joiners: 0 }
            } else {
                Emoji::None
            }
        }
    }
}
