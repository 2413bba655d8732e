//! Beside the queue on wide terminals: what the list knows of the selected request.
//!
//! It is not the request: nothing drawn here counts as seen, and no key decides.

use countersign_shared::text::{Printable, Untrusted};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::theme::Role;
use super::{queue::tier_role, status};

/// Draws the preview.
pub fn draw(state: &State, buffer: &mut Buffer, pane: Rect) {
    let glyphs = state.theme.glyphs;
    for at in 0..usize::from(pane.height) {
        Pen::new(buffer, state.theme, row_of(pane, at)).ours(glyphs.bar, Role::Dim);
    }
    let Some(entry) = state.queue.selected() else {
        return;
    };
    let (row, look) = (&entry.row, entry.look());
    let area = Rect {
        x: pane.x.saturating_add(2),
        width: pane.width.saturating_sub(2),
        ..pane
    };
    let mut head = Pen::new(buffer, state.theme, row_of(area, 0));
    head.text(&Printable::from_ours(row.id.to_string()), Role::Title)
        .skip(2);
    head.ours(row.tier.word(), tier_role(row.tier)).skip(2);
    head.ours(row.standing.word(), Role::Text);
    let requester = Printable::concat([
        &Printable::ours("uid "),
        &Printable::from_ours(row.requester.uid.to_string()),
        &Printable::ours(" "),
        &Printable::exact(&row.requester.user),
        &Printable::ours(", pid "),
        &Printable::from_ours(row.requester.pid.to_string()),
    ]);
    let named = |name: &'static str, text: &Untrusted| {
        (!text.is_empty())
            .then(|| Printable::concat([&Printable::ours(name), &Printable::exact(text)]))
    };
    let facts = [
        (glyphs.agent, Some(look.kind.clone())),
        (glyphs.agent, Some(look.target.clone())),
        (glyphs.agent, named("calls itself ", &row.agent)),
        (glyphs.kernel, Some(requester)),
        (glyphs.kernel, named("unit ", &row.requester.unit)),
        (glyphs.kernel, named("container ", &row.requester.container)),
        (glyphs.computed, named("program ", &row.requester.program)),
        (
            glyphs.computed,
            Some(Printable::from_ours(format!("digest {}", row.digest))),
        ),
        (
            glyphs.computed,
            Some(Printable::from_ours(format!("ends {}", row.expires_at))),
        ),
        (glyphs.computed, status::claim(row, state.me.as_ref())),
        (
            glyphs.computed,
            look.hides_something
                .then(|| Printable::ours("! a name hides characters")),
        ),
    ];
    let width = usize::from(area.width.saturating_sub(2));
    let mut at = 2;
    for (gutter, text) in facts {
        for text in text.iter().flat_map(|text| text.wrap(width)) {
            let mut pen = Pen::new(buffer, state.theme, row_of(area, at));
            pen.ours(gutter, Role::Dim).skip(1).text(&text, Role::Text);
            at = at.saturating_add(1);
        }
    }
    let mut pen = Pen::new(buffer, state.theme, row_of(area, at.saturating_add(1)));
    pen.ours("Enter opens it; nothing is decided from here", Role::Dim);
}
