//! The one door to the screen.
//!
//! Only this module writes characters into a ratatui buffer, and it takes [`Printable`] text or
//! text of our own that is fixed at compile time; a lint keeps the other doors shut. ratatui drops
//! control characters without a mark and passes others on, so what is safe is settled before it.
//! Styles do not change what is drawn.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the module that the lint points to"
)]

use std::ops::Range;

use countersign_shared::text::{Printable, SegmentKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::{Role, Theme};

/// Writes along one row of the screen, and never beyond its end.
#[derive(Debug)]
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    theme: Theme,
    x: u16,
    y: u16,
    end: u16,
}

impl<'a> Pen<'a> {
    /// Takes the first row of `area`.
    pub fn new(buffer: &'a mut Buffer, theme: Theme, area: Rect) -> Self {
        let inside = area.intersection(*buffer.area());
        Self {
            buffer,
            theme,
            x: inside.x,
            y: inside.y,
            end: if inside.height == 0 {
                inside.x
            } else {
                inside.right()
            },
        }
    }

    /// Returns how many cells are left.
    pub const fn left(&self) -> u16 {
        self.end.saturating_sub(self.x)
    }

    /// Writes text of our own.
    pub fn ours(&mut self, text: &'static str, role: Role) -> &mut Self {
        let style = self.theme.style(role);
        self.put(text, style);
        self
    }

    /// Writes printable text; its markers stand out.
    pub fn text(&mut self, text: &Printable, role: Role) -> &mut Self {
        self.emphasized(text, role, &[])
    }

    /// Writes printable text with some byte ranges of it emphasized.
    pub fn emphasized(
        &mut self,
        text: &Printable,
        role: Role,
        ranges: &[Range<usize>],
    ) -> &mut Self {
        let plain = self.theme.style(role);
        let marker = plain.patch(self.theme.style(Role::Marker));
        let mut at = 0;
        for segment in text.segments() {
            match segment.kind {
                SegmentKind::Marker => self.put(segment.text, marker),
                SegmentKind::Plain => self.plain(segment.text, at, plain, ranges),
            }
            at += segment.text.len();
        }
        self
    }

    /// Writes a plain segment that starts at byte `at` of its text.
    fn plain(&mut self, text: &str, at: usize, style: Style, ranges: &[Range<usize>]) {
        if ranges.is_empty() {
            self.put(text, style);
            return;
        }
        let strong = style.patch(self.theme.style(Role::Emphasis));
        let is_strong = |byte: usize| ranges.iter().any(|range| range.contains(&byte));
        let mut rest = text;
        let mut byte = at;
        while !rest.is_empty() {
            let first = is_strong(byte);
            let length = rest
                .char_indices()
                .map(|(offset, _)| offset)
                .find(|offset| is_strong(byte + offset) != first)
                .unwrap_or(rest.len());
            let Some((run, after)) = rest.split_at_checked(length) else {
                return;
            };
            self.put(run, if first { strong } else { style });
            byte += length;
            rest = after;
        }
    }

    /// Writes printable text into exactly `width` cells: padded, or cut with a mark.
    pub fn cell(&mut self, text: &Printable, width: u16, role: Role) -> &mut Self {
        let width = width.min(self.left());
        if width == 0 {
            return self;
        }
        let wanted = usize::from(width);
        let start = self.x;
        if text.width() <= wanted {
            self.text(text, role);
        } else if let Some(cut) = text.wrap(wanted.saturating_sub(1)).first() {
            self.text(cut, role);
            self.ours(self.theme.glyphs.cut, Role::Warning);
        }
        self.x = start.saturating_add(width);
        self
    }

    /// Leaves `cells` free.
    pub fn skip(&mut self, cells: u16) -> &mut Self {
        self.x = self.x.saturating_add(cells).min(self.end);
        self
    }

    /// Moves so that `cells` cells are left of the end, if it is not beyond that point.
    pub fn right(&mut self, cells: u16) -> &mut Self {
        self.x = self.x.max(self.end.saturating_sub(cells));
        self
    }

    /// Gives the whole row a look, without changing its text.
    pub fn paint(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        let row = Rect { height: 1, ..area }.intersection(*self.buffer.area());
        self.buffer.set_style(row, style);
    }

    /// Fills the rest of the row.
    pub fn fill(&mut self, text: &'static str, role: Role) {
        let style = self.theme.style(role);
        while self.x < self.end {
            let before = self.x;
            self.put(text, style);
            if self.x == before {
                return;
            }
        }
    }

    fn put(&mut self, text: &str, style: Style) {
        if self.left() == 0 {
            return;
        }
        let (x, _) = self
            .buffer
            .set_stringn(self.x, self.y, text, usize::from(self.left()), style);
        self.x = x;
    }
}

/// Returns the row of `area` with this number, counted from its top; an empty one below its end.
pub fn row_of(area: Rect, number: usize) -> Rect {
    let offset = u16::try_from(number).unwrap_or(u16::MAX);
    Rect {
        y: area.y.saturating_add(offset.min(area.height)),
        height: u16::from(offset < area.height),
        ..area
    }
}

/// Blanks an area before something is drawn over it.
pub fn clear(buffer: &mut Buffer, area: Rect) {
    for position in area.intersection(*buffer.area()).positions() {
        if let Some(cell) = buffer.cell_mut(position) {
            cell.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::text::Untrusted;
    use proptest::prelude::*;

    use super::*;

    fn drawn(width: u16, draw: impl FnOnce(&mut Pen<'_>)) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buffer = Buffer::empty(area);
        draw(&mut Pen::new(&mut buffer, Theme::default(), area));
        let mut symbols = buffer.content().iter().map(ratatui::buffer::Cell::symbol);
        let mut row = String::new();
        while let Some(symbol) = symbols.next() {
            row.push_str(symbol);
            // The cells behind a wide character are blank, and not part of the text.
            for _ in 1..unicode_width::UnicodeWidthStr::width(symbol) {
                symbols.next();
            }
        }
        row
    }

    #[test]
    fn hostile_text_arrives_as_its_encoding_and_nothing_else() {
        let text = Printable::exact(&Untrusted::new("rm\r\u{1b}[2J\u{202e}\u{200d}x"));
        let row = drawn(60, |pen| {
            pen.text(&text, Role::Text);
        });
        assert_eq!(row.trim_end(), "rm<U+000D><U+001B>[2J<U+202E><U+200D>x");
    }

    proptest! {
        #[test]
        fn what_is_printable_arrives_whole_however_it_is_wrapped(
            text in "(\\PC|[a-c\u{300}-\u{303}\u{200d}\u{1f468}\u{fe0f}<\u{202e}\u{5d0}]){0,40}",
            cells in 2_u16..30,
        ) {
            let text = Printable::exact_line(&Untrusted::new(text));
            for row in text.wrap(usize::from(cells)) {
                let arrived = drawn(cells, |pen| {
                    pen.text(&row, Role::Text);
                });
                prop_assert_eq!(arrived.trim_end(), row.as_str().trim_end());
            }
        }
    }

    #[test]
    fn a_text_that_is_cut_says_so() {
        let text = Printable::exact(&Untrusted::new("abcdefgh"));
        let row = drawn(7, |pen| {
            pen.cell(&text, 5, Role::Text).ours("!", Role::Text);
        });
        assert_eq!(row, "abcd→! ");
    }

    #[test]
    fn emphasis_does_not_change_the_text() {
        let text = Printable::exact(&Untrusted::new("aäb\tc"));
        let row = drawn(20, |pen| {
            pen.emphasized(&text, Role::Text, &[1..3, 4..9]);
        });
        assert_eq!(row.trim_end(), "aäb<U+0009>c");
    }
}
