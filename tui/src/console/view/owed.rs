//! What people owe: a row for each review after broken glass, and for each run of unknown end.
//!
//! Nothing is decided from here; `Enter` opens the request.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::model::Row;
use super::super::prepare;
use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::theme::Role;
use super::{Drawn, queue::tier_role, status};

/// Rows above the list, and below it.
const ABOVE: usize = 3;
const BELOW: usize = 2;
/// Rows of one item: what it is, and what there is to do.
const ITEM: usize = 2;

/// Draws the list.
pub fn draw(state: &State, buffer: &mut Buffer, area: Rect) -> Drawn {
    let mut pen = Pen::new(buffer, state.theme, row_of(area, 0));
    pen.skip(1).ours("countersign", Role::Title);
    pen.ours(state.theme.glyphs.between, Role::Dim)
        .ours("what people owe", Role::Text);
    let height = usize::from(area.height);
    let room = height.saturating_sub(ABOVE.saturating_add(BELOW)) / ITEM;
    let selected = state.owed.selected_row().unwrap_or(0);
    let top = selected.saturating_add(1).saturating_sub(room.max(1));
    let mut cursor = None;
    if state.owed.is_empty() {
        let mut pen = Pen::new(buffer, state.theme, row_of(area, ABOVE));
        pen.skip(2).ours("Nobody owes anything.", Role::Text);
    }
    let debts = state.owed.debts().len();
    for (at, row) in state.owed.rows().enumerate().skip(top).take(room) {
        let y = ABOVE.saturating_add(at.saturating_sub(top).saturating_mul(ITEM));
        let line = row_of(area, y);
        item(state, buffer, line, row);
        if at == selected {
            cursor = Some(Position::new(line.x, line.y));
            Pen::new(buffer, state.theme, line).paint(line, Role::Selected);
        }
        let mut pen = Pen::new(buffer, state.theme, row_of(area, y.saturating_add(1)));
        let left = pen.skip(4).left();
        pen.cell(&what_to_do(state, row, at < debts), left, Role::Warning);
    }
    status::notice(state, buffer, row_of(area, height.saturating_sub(BELOW)));
    status::footer(state, buffer, row_of(area, height.saturating_sub(1)));
    Drawn {
        frame: None,
        cursor,
    }
}

fn item(state: &State, buffer: &mut Buffer, line: Rect, row: &Row) {
    let mut pen = Pen::new(buffer, state.theme, line);
    pen.skip(2);
    pen.cell(&Printable::ours(row.tier.word()), 5, tier_role(row.tier));
    pen.cell(&Printable::ours(row.standing.word()), 14, Role::Text);
    pen.ours(state.theme.glyphs.agent, Role::Dim).skip(1);
    let left = pen.left();
    pen.cell(&prepare::title(row), left, Role::Text);
}

/// What is owed, and who may do it.
fn what_to_do(state: &State, row: &Row, is_debt: bool) -> Printable {
    match &row.owed_by {
        Some(by) if is_debt => Printable::concat([
            &Printable::ours("glass broken by "),
            &Printable::exact(by),
            &Printable::ours(if state.me.as_ref() == Some(by) {
                ": another person reviews it"
            } else {
                ": open it, C closes the review"
            }),
        ]),
        // The whole id fits the smallest terminal.
        Some(_) | None => Printable::from_ours(format!(
            "countersign settle {} --outcome WORD --reason TEXT",
            row.id
        )),
    }
}
