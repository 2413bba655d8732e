//! The keys, from the table that the keyboard uses.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::keymap::{self, Command, Scope};
use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::theme::Role;

/// Draws the keys that hold behind this page.
pub fn draw(state: &State, buffer: &mut Buffer, area: Rect) {
    let mut head = Pen::new(buffer, state.theme, row_of(area, 0));
    head.skip(1).ours("KEYS", Role::Title);
    head.ours(
        "  lower case looks, UPPER CASE decides  (Esc back)",
        Role::Dim,
    );
    let scope = state.scope();
    // In the views there is nothing to claim.
    let claims = matches!(scope, Scope::Queue | Scope::Detail);
    let bindings: Vec<_> = keymap::bindings(scope)
        .filter(|binding| !binding.keys.is_empty())
        .filter(|binding| claims || binding.command != Command::Claim)
        .collect();
    let rows = bindings.len().div_ceil(2);
    let half = area.width / 2;
    for (at, binding) in bindings.iter().enumerate() {
        let column = u16::from(at >= rows);
        let cell = Rect {
            x: area.x.saturating_add(half.saturating_mul(column)),
            width: half,
            ..area
        };
        let row = at.checked_rem(rows).unwrap_or(0).saturating_add(1);
        let mut pen = Pen::new(buffer, state.theme, row_of(cell, row));
        pen.skip(1)
            .cell(&Printable::ours(binding.keys), 10, Role::Title)
            .skip(1);
        let left = pen.left();
        pen.cell(&Printable::ours(binding.help), left, Role::Text);
    }
}
