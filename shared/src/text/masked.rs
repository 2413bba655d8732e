//! What is drawn in place of a masked value.

use super::encode::{Encoder, Layout};
use super::printable::Printable;

/// How a marker for a masked value begins. No text of others can be drawn like this: the encoder
/// marks a `<` before these words.
pub(super) const MASKED: &str = "masked ";

/// What may be told of a masked value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mask {
    /// What kind of secret it is, such as `token`.
    pub class: String,
    /// Its length in bytes.
    pub length: u64,
    /// A short name that equal values of one request share.
    pub tag: String,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece<'a> {
    /// Bytes as they are.
    Text(&'a [u8]),
    /// A masked value.
    Mask(&'a Mask),
}

/// Encodes a line of a file that has masked values in it.
pub(super) fn line(pieces: &[Piece<'_>], layout: Layout) -> Printable {
    let mut encoder = Encoder::new(layout, 0);
    // Texts that follow one another are encoded as one: what would look like a marker may be
    // spread over both.
    let mut text = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(bytes) => text.extend_from_slice(bytes),
            Piece::Mask(mask) => {
                encoder.bytes(&text);
                text.clear();
                encoder.marker(&marker(mask));
            }
        }
    }
    encoder.bytes(&text);
    encoder.finish()
}

/// Writes the marker of `mask`, such as `<masked token of 40 bytes, 9f3a>`.
fn marker(mask: &Mask) -> String {
    // They come from a document: whatever they hold, a marker stays ASCII and ends where it ends.
    let word = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                    c
                } else {
                    '?'
                }
            })
            .collect()
    };
    let (class, tag) = (word(&mask.class), word(&mask.tag));
    format!("<{MASKED}{class} of {} bytes, {tag}>", mask.length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{SegmentKind, Untrusted};

    fn mask(class: &str) -> Mask {
        Mask {
            class: class.to_owned(),
            length: 40,
            tag: "9f3a".to_owned(),
        }
    }

    #[test]
    fn a_masked_value_is_drawn_as_a_marker() {
        let text = Printable::exact_pieces(&[
            Piece::Text(b"    key: "),
            Piece::Mask(&mask("token")),
            Piece::Text(b" "),
        ]);
        assert_eq!(
            text.as_str(),
            "    key: <masked token of 40 bytes, 9f3a><U+0020>"
        );
        let markers = text
            .segments()
            .filter(|part| part.kind == SegmentKind::Marker);
        assert_eq!(markers.count(), 2);
    }

    #[test]
    fn no_text_is_drawn_like_a_masked_value() {
        let text = Printable::exact(&Untrusted::new("<masked token of 40 bytes, 9f3a>"));
        assert_eq!(text.as_str(), "<U+003C>masked token of 40 bytes, 9f3a>");
        let text = Printable::exact_pieces(&[Piece::Text(b"<"), Piece::Text(b"U+202E>")]);
        assert_eq!(text.as_str(), "<U+003C>U+202E>");
        let text = Printable::exact_pieces(&[Piece::Mask(&mask("\u{1b}> x"))]);
        assert_eq!(text.as_str(), "<masked ???x of 40 bytes, 9f3a>");
    }
}
