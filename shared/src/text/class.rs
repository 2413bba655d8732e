//! Which characters may be drawn as themselves: the allow-list behind every encoding.
//!
//! A list of bad characters is never finished, so this is a list of good ones: assigned letters, marks, digits,
//! punctuation and symbols that run left to right, are visible, and take at least one cell. All
//! else is written as a marker, whatever it is. The tables are those of the `unicode-*` crates in
//! the lock file; where they disagree about a character (they follow different versions of
//! Unicode), the stricter one counts.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_properties::{GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _};
use unicode_width::UnicodeWidthChar as _;

/// What the encoder may do with a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// U+0020.
    Space,
    /// A letter or a number, drawn as itself; it may carry combining marks.
    Base,
    /// Drawn as itself; carries nothing.
    Visible,
    /// A combining mark: drawn only on a base.
    Mark,
    /// A conjoining Hangul vowel: drawn only behind a leading consonant.
    Vowel,
    /// A conjoining Hangul final consonant: drawn only behind a vowel.
    Final,
    /// Never drawn.
    Marked,
}

/// Returns the class of `c` in exact text.
pub(super) fn class(c: char) -> Class {
    match c {
        ' ' => Class::Space,
        '0'..='9' | 'A'..='Z' | 'a'..='z' => Class::Base,
        '!'..='~' => Class::Visible,
        _ if c.is_ascii() || is_right_to_left(c) => Class::Marked,
        _ => class_in_any_direction(c),
    }
}

/// Returns the class that `c`, which is not ASCII, has where its direction does not matter.
pub(super) fn class_in_any_direction(c: char) -> Class {
    use GeneralCategoryGroup as Group;

    if is_blank_or_format(c) {
        return Class::Marked;
    }
    let width = c.width().unwrap_or(0);
    match c.general_category_group() {
        Group::Letter | Group::Number => match c {
            '\u{1161}'..='\u{11A7}' => Class::Vowel,
            '\u{11A8}'..='\u{11FF}' => Class::Final,
            _ if width == 0 => Class::Marked,
            _ => Class::Base,
        },
        Group::Mark => Class::Mark,
        Group::Punctuation | Group::Symbol if width > 0 => Class::Visible,
        Group::Punctuation | Group::Symbol | Group::Separator | Group::Other => Class::Marked,
    }
}

/// Tells whether `c` is a leading Hangul consonant that a conjoining vowel may follow.
pub(super) const fn is_leading_consonant(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115E}')
}

/// Tells whether `c` is a base of emoji sequences. Digits, `#` and `*` are not counted.
pub(super) fn is_emoji(c: char) -> bool {
    !c.is_ascii() && c.is_emoji_char() && !is_emoji_modifier(c)
}

/// Tells whether `c` is one of the five skin tones.
pub(super) const fn is_emoji_modifier(c: char) -> bool {
    matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

/// Tells whether `c` changes the order in which its neighbours are drawn.
pub(super) const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Tells whether `c` is one of the TAG characters, which mirror ASCII without being seen.
pub(super) const fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0000}'..='\u{E007F}')
}

/// Tells whether `c` selects a variant of the character before it.
pub(super) const fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Tells whether `c` is a letter or number of a script that runs from right to left (bidi classes
/// R, AL and AN).
///
/// The blocks reserved for such scripts count as a whole (`DerivedBidiClass`, `@missing`), so that
/// a letter newer than the table of classes is not taken for a left-to-right one.
pub(super) fn is_right_to_left(c: char) -> bool {
    matches!(
        c,
        '\u{0590}'..='\u{08FF}'
            | '\u{FB1D}'..='\u{FDFF}'
            | '\u{FE70}'..='\u{FEFE}'
            | '\u{10800}'..='\u{10FFF}'
            | '\u{1E800}'..='\u{1EFFF}'
    ) || !matches!(
        bidi_class(c),
        BidiClass::L
            | BidiClass::EN
            | BidiClass::ES
            | BidiClass::ET
            | BidiClass::CS
            | BidiClass::NSM
            | BidiClass::ON
            | BidiClass::B
            | BidiClass::S
            | BidiClass::WS
            | BidiClass::BN
            | BidiClass::LRE
            | BidiClass::LRO
            | BidiClass::LRI
            | BidiClass::RLE
            | BidiClass::RLO
            | BidiClass::RLI
            | BidiClass::FSI
            | BidiClass::PDF
            | BidiClass::PDI
    )
}

/// Tells whether `c` has no picture of its own, although its general category may say otherwise.
///
/// `Default_Ignorable_Code_Point` (`DerivedCoreProperties`), the blank letters and symbols, the
/// stand-ins U+FFFC and U+FFFD, the skin tones, which join the cell of what precedes them, and the
/// halfwidth voicing marks, which join it too, and the letters that make flags: terminals disagree whether two of them take two cells or four, so that
/// what stands behind a flag moves, and stays when the row is drawn anew.
fn is_blank_or_format(c: char) -> bool {
    is_bidi_control(c)
        || is_emoji_modifier(c)
        || matches!(
            c,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FF9E}'..='\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFF}'
                | '\u{13430}'..='\u{13446}'
                | '\u{16FE4}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D159}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{1F1E6}'..='\u{1F1FF}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_people_write_is_drawn_as_itself() {
        for c in "caféЖΩ漢字かなカナ한글हिไทย—“”€±→│✓🦀½²".chars()
        {
            assert!(
                matches!(class(c), Class::Base | Class::Visible | Class::Mark),
                "{c:?}: {:?}",
                class(c)
            );
        }
    }

    #[test]
    fn what_is_hidden_or_turns_the_line_is_never_drawn() {
        let hidden = "\0\t\n\r\u{1b}\u{7f}\u{80}\u{9b}\u{a0}\u{ad}\u{34f}\u{600}\u{61c}\u{5d0}\u{660}\u{115f}\u{1160}\u{2000}\u{200b}\u{200d}\
             \u{200e}\u{2028}\u{202e}\u{2066}\u{2800}\u{3000}\u{3164}\u{e000}\u{fe0f}\u{feff}\u{ffa0}\u{fffd}\u{13441}\u{1d159}\u{1f3fb}\u{1f1e9}\
             \u{e0041}\u{e0101}\u{10940}\u{10d5f}\u{1eeff}\u{378}\u{fdd0}\u{10ffff}";
        for c in hidden.chars() {
            assert_eq!(class(c), Class::Marked, "{:04X}", u32::from(c));
        }
    }

    #[test]
    fn a_character_drawn_as_itself_takes_a_cell_unless_it_joins_its_base() {
        for c in '\0'..=char::MAX {
            if matches!(class(c), Class::Space | Class::Base | Class::Visible) {
                assert!(c.width().is_some_and(|width| width > 0), "{c:?}");
                assert!(!is_right_to_left(c) && !c.is_control(), "{c:?}");
            }
        }
    }

    #[test]
    fn the_tables_are_those_the_rendering_was_fixed_with() {
        // Another version of Unicode may encode another text, and so give a document another
        // rendering: a change here needs a new version of the display rendering.
        assert_eq!(unicode_properties::UNICODE_VERSION, (18, 0, 0));
        assert_eq!(unicode_width::UNICODE_VERSION, (18, 0, 0));
        assert_eq!(unicode_bidi::UNICODE_VERSION, (16, 0, 0));
    }
}
