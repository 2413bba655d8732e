//! What a change of rules does: what is proposed, or what was adopted, compared with the rules before.
//!
//! Nothing is signed from here: the command that does stands above the page, with the digest.

use countersign_shared::text::{Printable, Untrusted};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::state::ruling::{Change, Shown};
use super::super::theme::Role;
use super::{Drawn, detail, status};

/// Rows above the page: what it is, where it stands, what to do, whom it gives something.
const ABOVE: u16 = 4;
/// Rows below it: the notice and the footer.
const BELOW: u16 = 2;
/// How much of the digest a command takes at least, and what fits the smallest terminal.
const DIGITS: usize = 16;

/// Returns where the page is.
pub fn body(area: Rect) -> Rect {
    Rect {
        y: area.y.saturating_add(ABOVE),
        height: area.height.saturating_sub(ABOVE.saturating_add(BELOW)),
        ..area
    }
}

/// Draws the change.
pub fn draw(state: &State, shown: &Shown, buffer: &mut Buffer, area: Rect) -> Drawn {
    let change = &shown.change;
    let mut pen = Pen::new(buffer, state.theme, row_of(area, 0));
    pen.skip(1).ours("countersign", Role::Title);
    pen.ours(state.theme.glyphs.between, Role::Dim).ours(
        if change.is_adopted {
            "rules adopted without the reviewers"
        } else {
            "proposed rules"
        },
        Role::Text,
    );
    let rows = [
        standing(state, change),
        (Role::Text, command(state, change)),
        (Role::Warning, gained(change)),
    ];
    for (at, (role, text)) in rows.iter().enumerate() {
        let mut pen = Pen::new(buffer, state.theme, row_of(area, at.saturating_add(1)));
        let left = pen.skip(1).left();
        pen.cell(text, left, *role);
    }
    let page = body(area);
    let _ungated = detail::page(state, buffer, page, &change.page, shown.place, shown.unfold);
    let height = usize::from(area.height);
    status::notice(state, buffer, row_of(area, height.saturating_sub(2)));
    status::footer(state, buffer, row_of(area, height.saturating_sub(1)));
    Drawn {
        frame: None,
        cursor: Some(Position::new(page.x, page.y)),
    }
}

/// Where it stands.
fn standing(state: &State, change: &Change) -> (Role, Printable) {
    let said = state.ruling.standing();
    if !state.ruling.still_waits(change) {
        let text = "THIS IS OVER: it was signed, withdrawn or replaced; u looks again";
        return (Role::Alarm, Printable::ours(text));
    }
    if change.is_adopted {
        let text = Printable::ours("in force, because: ");
        return (
            Role::Alarm,
            Printable::concat([&text, &Printable::exact(&said.reason)]),
        );
    }
    let mut text = Printable::exact(&said.missing);
    if !said.signed_by.is_empty() {
        text.push(&Printable::ours("; signed by "));
        text.push(&names(&said.signed_by));
    }
    (Role::Warning, text)
}

/// What a person does about it.
fn command(state: &State, change: &Change) -> Printable {
    if !state.ruling.still_waits(change) {
        return Printable::default();
    }
    let verb = if change.is_adopted {
        "acknowledge"
    } else {
        "sign"
    };
    let hex = change.rules.to_hex();
    let digits = hex.get(..DIGITS).unwrap_or(&hex);
    Printable::from_ours(format!("countersign rules {verb} --digest {digits}"))
}

fn gained(change: &Change) -> Printable {
    match change.previous {
        None => Printable::ours("the rules before it were not kept: these are the new ones whole"),
        Some(_) if change.gained.is_empty() => Printable::default(),
        Some(_) => Printable::concat([
            &Printable::ours("adds, or changes account or keys of: "),
            &names(&change.gained),
        ]),
    }
}

fn names(names: &[Untrusted]) -> Printable {
    let mut text = Printable::default();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            text.push(&Printable::ours(", "));
        }
        text.push(&Printable::exact(name));
    }
    text
}
