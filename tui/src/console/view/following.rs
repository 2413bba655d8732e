//! What the run of the open request writes, in the place of its page.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::safe_line::Pen;
use super::super::state::State;
use super::super::state::following::Following;
use super::super::theme::Role;
use super::detail;
use crate::proof::grouped;

/// Draws the row above the lines: that it is followed, what was lost, how it stands.
pub fn bar(state: &State, following: &Following, buffer: &mut Buffer, row: Rect) {
    let mut pen = Pen::new(buffer, state.theme, row);
    pen.skip(1).ours("output, secrets masked", Role::Title);
    let between = state.theme.glyphs.between;
    let (let_go, missed) = following.lost();
    if let_go > 0 {
        let count = u64::try_from(let_go).unwrap_or(u64::MAX);
        let text = format!("{} earlier lines let go", grouped(count));
        pen.ours(between, Role::Dim)
            .text(&Printable::from_ours(text), Role::Warning);
    }
    if missed > 0 {
        let text = format!("{} pieces missed", grouped(missed));
        pen.ours(between, Role::Dim)
            .text(&Printable::from_ours(text), Role::Alarm);
    }
    pen.ours(between, Role::Dim);
    let left = pen.left();
    match following.ended() {
        Some(why) => pen.cell(why, left, Role::Warning),
        None if following.is_at_end() => pen.ours("following", Role::Armed),
        None => pen.ours("scrolled up, G follows", Role::Warning),
    };
}

/// Draws the lines. None of them is a gated part.
pub fn page(state: &State, following: &Following, buffer: &mut Buffer, body: Rect) {
    let (height, width) = (usize::from(body.height), usize::from(body.width));
    let place = following.place(height, width);
    let _ungated = detail::page(state, buffer, body, following.page(), place, true);
    if following.page().is_empty() {
        let text = "Nothing was written since you began to follow.";
        Pen::new(buffer, state.theme, body)
            .skip(2)
            .ours(text, Role::Dim);
    }
}
