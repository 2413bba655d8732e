//! Draws the state, and says what it drew. A pure function of both its arguments.
//!
//! The frame it returns is the only source of "seen" marks: a stretch of text counts when it was
//! written into the buffer, and a request counts as shown only when its detail was. The runner
//! hands the frame back once the terminal has it.

pub mod detail;
pub mod entry;
pub mod following;
pub mod help;
pub mod logbook;
pub mod owed;
pub mod preview;
pub mod queue;
pub mod rules;
pub mod sheet;
pub mod status;
pub mod uses;

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::safe_line::{Pen, row_of};
use super::safety::Frame;
use super::state::{MINIMUM, State, WIDE};
use super::theme::Role;

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drawn {
    /// The request whose detail is on the screen, and what of it.
    pub frame: Option<Frame>,
    /// Where the cursor is parked, for those who follow it.
    pub cursor: Option<Position>,
}

/// Draws everything.
pub fn view(state: &State, buffer: &mut Buffer) -> Drawn {
    let area = *buffer.area();
    if state.is_too_small() || area.width < MINIMUM.0 || area.height < MINIMUM.1 {
        too_small(state, buffer, area);
        return Drawn::default();
    }
    let mut drawn = if state.help {
        help::draw(state, buffer, area);
        Drawn::default()
    } else if state.open.is_some() {
        detail::draw(state, buffer, area)
    } else if let Some(shown) = state.ruling.shown() {
        rules::draw(state, shown, buffer, area)
    } else if let Some(shown) = state.logbook.shown() {
        match shown.entry() {
            Some(entry) => entry::draw(state, shown, entry, buffer, area),
            None => logbook::draw(state, shown, buffer, area),
        }
    } else if let Some(shown) = state.uses.shown() {
        uses::draw(state, shown, buffer, area)
    } else if state.owed.is_open() {
        owed::draw(state, buffer, area)
    } else {
        queue::draw(state, buffer, area)
    };
    if (area.width, area.height) != state.size {
        // The layout was made for another size; what it shows proves nothing.
        drawn.frame = None;
    }
    drawn
}

/// Returns how many rows the queue's list has.
pub fn queue_height(state: &State) -> usize {
    usize::from(queue::list_area(area_of(state)).height)
}

/// Returns the rows and columns that a page of the open request has.
pub fn page_size(state: &State) -> (usize, usize) {
    let body = detail::layout(state, area_of(state)).body;
    (usize::from(body.height), usize::from(body.width))
}

/// Returns the rows and columns that a change of rules has.
pub fn rules_size(state: &State) -> (usize, usize) {
    let body = rules::body(area_of(state));
    (usize::from(body.height), usize::from(body.width))
}

/// Returns how many rows the list of the log has.
pub fn log_height(state: &State) -> usize {
    usize::from(logbook::body(area_of(state)).height)
}

/// Returns the rows and columns that an entry of the log has.
pub fn entry_size(state: &State) -> (usize, usize) {
    let entry = state.logbook.shown().and_then(|shown| shown.entry());
    let body = entry.map_or_else(Rect::default, |entry| entry::body(entry, area_of(state)));
    (usize::from(body.height), usize::from(body.width))
}

/// Returns how many rows the list of uses has.
pub fn uses_height(state: &State) -> usize {
    usize::from(uses::body(area_of(state)).height)
}

const fn area_of(state: &State) -> Rect {
    Rect {
        x: 0,
        y: 0,
        width: state.size.0,
        height: state.size.1,
    }
}

/// Tells whether there is room for a preview beside the queue.
pub const fn is_wide(area: Rect) -> bool {
    area.width >= WIDE
}

fn too_small(state: &State, buffer: &mut Buffer, area: Rect) {
    let text = Printable::from_ours(format!(
        "The terminal has {} x {} cells, the console needs {} x {}.",
        area.width, area.height, MINIMUM.0, MINIMUM.1
    ));
    let width = usize::from(area.width.max(1));
    let mut rows = text.wrap(width);
    rows.extend(Printable::ours("No key decides here.").wrap(width));
    for (at, row) in rows.iter().enumerate() {
        Pen::new(buffer, state.theme, row_of(area, at)).text(row, Role::Warning);
    }
}

/// Draws a horizontal line with a title of our own.
fn rule(state: &State, buffer: &mut Buffer, area: Rect, title: &'static str, role: Role) {
    let glyph = state.theme.glyphs.rule;
    let mut pen = Pen::new(buffer, state.theme, area);
    pen.ours(glyph, role);
    if !title.is_empty() {
        pen.ours(" ", role).ours(title, role).ours(" ", role);
    }
    pen.fill(glyph, role);
}

#[cfg(test)]
mod tests;
