//! One entry of the log whole, and how far its proof got.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::state::logbook::{ShownEntry, Stretch};
use super::super::theme::Role;
use super::{Drawn, detail, status};
use crate::proof::{Outcome, Proof, grouped};

/// Rows above what varies: what it is, the worst of what must be told.
const ABOVE: u16 = 2;
/// Rows below it: the notice and the footer.
const BELOW: u16 = 2;
/// Cells before the words of a step.
const INDENT: u16 = 15;

/// Returns where the page is, below the proof.
pub fn body(shown: &ShownEntry, area: Rect) -> Rect {
    let free = area.height.saturating_sub(ABOVE.saturating_add(BELOW));
    let rows = u16::try_from(rows(shown, area.width).len()).unwrap_or(u16::MAX);
    // What was found stands first; what the entry says can be scrolled to.
    let above = rows.min(free.saturating_sub(1));
    Rect {
        y: area.y.saturating_add(ABOVE).saturating_add(above),
        height: free.saturating_sub(above),
        ..area
    }
}

/// Draws the entry.
pub fn draw(
    state: &State,
    stretch: &Stretch,
    shown: &ShownEntry,
    buffer: &mut Buffer,
    area: Rect,
) -> Drawn {
    let mut pen = Pen::new(buffer, state.theme, row_of(area, 0));
    let between = state.theme.glyphs.between;
    pen.skip(1)
        .ours("countersign", Role::Title)
        .ours(between, Role::Dim);
    let seq = format!("entry {} of the log", grouped(shown.entry.seq));
    pen.text(&Printable::from_ours(seq), Role::Text);
    if stretch.is_reading() {
        pen.ours(between, Role::Dim).ours("proving", Role::Warning);
    }
    status::worst(state, buffer, row_of(area, 1));
    let page = body(shown, area);
    let found = Rect {
        y: area.y.saturating_add(ABOVE),
        height: page.y.saturating_sub(area.y.saturating_add(ABOVE)),
        ..area
    };
    for (at, (indent, role, text)) in rows(shown, area.width).iter().enumerate() {
        let mut pen = Pen::new(buffer, state.theme, row_of(found, at));
        pen.skip(*indent).text(text, *role);
    }
    let _ungated = detail::page(state, buffer, page, &shown.entry.page, shown.place, true);
    let height = usize::from(area.height);
    status::notice(state, buffer, row_of(area, height.saturating_sub(2)));
    status::footer(state, buffer, row_of(area, height.saturating_sub(1)));
    Drawn {
        frame: None,
        cursor: Some(Position::new(page.x, page.y)),
    }
}

/// The rows of the proof, each with where it begins.
fn rows(shown: &ShownEntry, width: u16) -> Vec<(u16, Role, Printable)> {
    let Some(proof) = &shown.entry.proof else {
        let text = "as the daemon lists it, not proven: v proves that it is in the log";
        let wide = usize::from(width.saturating_sub(2)).max(1);
        let rows = Printable::ours(text).wrap(wide).into_iter();
        return rows.map(|row| (1, Role::Warning, row)).collect();
    };
    let mut rows = says(proof, width);
    let wide = usize::from(width.saturating_sub(INDENT.saturating_add(1))).max(1);
    for step in &proof.steps {
        let (mark, role, text) = match &step.outcome {
            Outcome::Well(text) => ("ok    ", Role::Added, text.clone()),
            Outcome::Failed(text) => ("FAILED", Role::Alarm, text.clone()),
            Outcome::NotReached => ("-     ", Role::Dim, Printable::ours("not reached")),
        };
        for (at, row) in text.wrap(wide).into_iter().enumerate() {
            if at == 0 {
                let mut line = Printable::ours(mark);
                line.push(&Printable::ours(" "));
                // As wide as the longest of them.
                line.push(&Printable::from_ours(format!("{:<7}", step.what)));
                line.push(&row);
                rows.push((1, role, line));
            } else {
                rows.push((INDENT, role, row));
            }
        }
    }
    rows
}

fn says(proof: &Proof, width: u16) -> Vec<(u16, Role, Printable)> {
    let role = if proof.is_verified() {
        Role::Armed
    } else {
        Role::Alarm
    };
    let wide = usize::from(width.saturating_sub(2)).max(1);
    let rows = proof.says.wrap(wide).into_iter();
    rows.map(|row| (1, role, row)).collect()
}
