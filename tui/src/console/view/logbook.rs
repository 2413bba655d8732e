//! The log: a row for each entry, the newest first, as the daemon lists them.
//!
//! Nothing is decided from here; `v` proves the selected entry.

use countersign_shared::text::{Printable, Untrusted};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::state::logbook::{Item, Listed, Stretch};
use super::super::theme::Role;
use super::{Drawn, status};
use crate::proof::grouped;

/// Rows above the list: what it is, the worst of what must be told, which entries, the columns.
const ABOVE: u16 = 4;
/// Rows below it: the notice and the footer.
const BELOW: u16 = 2;

/// Returns where the list is.
pub fn body(area: Rect) -> Rect {
    Rect {
        y: area.y.saturating_add(ABOVE),
        height: area.height.saturating_sub(ABOVE.saturating_add(BELOW)),
        ..area
    }
}

/// Draws the log.
pub fn draw(state: &State, shown: &Stretch, buffer: &mut Buffer, area: Rect) -> Drawn {
    bar(state, shown, buffer, row_of(area, 0));
    status::worst(state, buffer, row_of(area, 1));
    picked(state, shown, buffer, row_of(area, 2));
    let list = body(area);
    let columns = Columns::of(area.width);
    names(state, buffer, row_of(area, 3), &columns);
    let cursor = rows(state, shown, buffer, list, &columns);
    let height = usize::from(area.height);
    status::notice(state, buffer, row_of(area, height.saturating_sub(2)));
    status::footer(state, buffer, row_of(area, height.saturating_sub(1)));
    Drawn {
        frame: None,
        cursor: cursor.or(Some(Position::new(list.x, list.y))),
    }
}

fn bar(state: &State, shown: &Stretch, buffer: &mut Buffer, row: Rect) {
    let mut pen = Pen::new(buffer, state.theme, row);
    let between = state.theme.glyphs.between;
    pen.skip(1)
        .ours("countersign", Role::Title)
        .ours(between, Role::Dim)
        .ours("the log, newest first", Role::Text);
    if shown.is_reading() {
        pen.ours(between, Role::Dim).ours("reading", Role::Warning);
    }
    let (from, to) = shown.looked_at();
    let size = state.head.unwrap_or(to).max(to);
    if to > from {
        let text = Printable::from_ours(format!(
            "{} to {} of {} ",
            grouped(from),
            grouped(to.saturating_sub(1)),
            grouped(size)
        ));
        let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
        if width < pen.left() {
            pen.right(width).text(&text, Role::Dim);
        }
    }
}

/// Says which entries are listed.
fn picked(state: &State, shown: &Stretch, buffer: &mut Buffer, row: Rect) {
    let mut pen = Pen::new(buffer, state.theme, row);
    pen.skip(1);
    let picked = shown.picked();
    let of = [
        ("type ", &picked.entry_type),
        ("agent ", &picked.agent),
        ("person ", &picked.reviewer),
        ("request ", &picked.request),
    ];
    let mut text = Printable::default();
    for (name, value) in of {
        if let Some(value) = value {
            let before = if text.is_empty() { "only " } else { ", " };
            text.push(&Printable::ours(before));
            text.push(&Printable::ours(name));
            text.push(&Printable::exact(&Untrusted::new(value.as_str())));
        }
    }
    let left = pen.left();
    if text.is_empty() {
        let text = "as the daemon lists them; v proves that one is in the log";
        pen.cell(&Printable::ours(text), left, Role::Dim);
    } else {
        pen.cell(&text, left, Role::Warning);
    }
}

/// The widths of the columns that depend on the width of the screen; 0 for those left out.
struct Columns {
    time: u16,
    entry_type: u16,
    request: u16,
}

impl Columns {
    const fn of(width: u16) -> Self {
        let (time, entry_type, request) = match width {
            140.. => (24, 25, 31),
            100.. => (20, 25, 11),
            76.. => (15, 22, 0),
            _ => (9, 19, 0),
        };
        Self {
            time,
            entry_type,
            request,
        }
    }

    /// The part of a time that fits its column.
    fn time(&self, item: &Item) -> Printable {
        // Such as 2026-11-21T12:00:00.000Z.
        let text = item.time.to_string().replace('T', " ");
        let (from, to) = match self.time {
            24.. => (0, 23),
            20.. => (0, 19),
            15.. => (5, 19),
            _ => (11, 19),
        };
        Printable::from_ours(text.get(from..to).unwrap_or_default())
    }
}

/// The width of the position.
const SEQ: u16 = 8;

fn names(state: &State, buffer: &mut Buffer, row: Rect, columns: &Columns) {
    let mut pen = Pen::new(buffer, state.theme, row);
    let cell = |pen: &mut Pen<'_>, text: &'static str, width: u16| {
        pen.cell(&Printable::ours(text), width, Role::Dim);
    };
    pen.skip(1);
    cell(&mut pen, "  ENTRY", SEQ);
    let time = if columns.time < 11 {
        "UTC"
    } else {
        "TIME, UTC"
    };
    cell(&mut pen, time, columns.time);
    cell(&mut pen, "TYPE", columns.entry_type);
    cell(&mut pen, "REQUEST", columns.request);
    pen.skip(2);
    cell(&mut pen, "WHO: WHAT", 12);
}

fn rows(
    state: &State,
    shown: &Stretch,
    buffer: &mut Buffer,
    list: Rect,
    columns: &Columns,
) -> Option<Position> {
    if let Some(why) = shown.failure() {
        let text =
            Printable::from_ours(format!("THE LOG CANNOT BE SHOWN (g reads it again): {why}"));
        let width = usize::from(list.width.saturating_sub(2)).max(1);
        for (at, row) in text.wrap(width).iter().enumerate() {
            let mut pen = Pen::new(buffer, state.theme, row_of(list, at));
            pen.skip(1).text(row, Role::Alarm);
        }
        return None;
    }
    if shown.is_empty() {
        let mut pen = Pen::new(buffer, state.theme, row_of(list, 1));
        pen.skip(2);
        if shown.is_reading() {
            pen.ours("Reading the log.", Role::Dim);
        } else {
            pen.ours("No entry is like that (x lists all).", Role::Text);
        }
        return None;
    }
    let (top, window) = shown.window();
    let mut cursor = None;
    for (at, row) in window.enumerate() {
        let area = row_of(list, at);
        let mut pen = Pen::new(buffer, state.theme, area);
        match row {
            Listed::Entry(item) => draw_entry(state, &mut pen, item, columns),
            Listed::Gone { first, last } => draw_gone(&mut pen, *first, *last),
        }
        if top.saturating_add(at) == shown.selected_row() {
            cursor = Some(Position::new(area.x, area.y));
            Pen::new(buffer, state.theme, area).paint(area, Role::Selected);
        }
    }
    cursor
}

fn draw_gone(pen: &mut Pen<'_>, first: u64, last: u64) {
    let text = if first == last {
        format!("{first:>7} is gone: pruned, by the word of the daemon")
    } else {
        format!("{first:>7} to {last} are gone: pruned, by the word of the daemon")
    };
    pen.skip(1);
    let left = pen.left();
    pen.cell(&Printable::from_ours(text), left, Role::Warning);
}

fn draw_entry(state: &State, pen: &mut Pen<'_>, item: &Item, columns: &Columns) {
    let role = role_of(item.entry_type);
    pen.skip(1);
    let seq = Printable::from_ours(format!("{:>7}", item.seq));
    pen.cell(&seq, SEQ, Role::Dim);
    pen.cell(&columns.time(item), columns.time, Role::Text);
    let width = columns.entry_type.saturating_sub(1);
    pen.cell(&Printable::ours(item.entry_type), width, role)
        .skip(1);
    if let Some(width) = columns.request.checked_sub(1) {
        let id = item.request.map_or_else(String::new, |id| id.to_string());
        let id: String = id.chars().take(usize::from(width)).collect();
        pen.cell(&Printable::from_ours(id), width, Role::Text)
            .skip(1);
    }
    pen.ours(state.theme.glyphs.agent, Role::Dim).skip(1);
    let mut text = Printable::exact(&item.actor);
    if !item.words.is_empty() {
        text.push(&Printable::ours(": "));
        text.push(&Printable::exact(&item.words));
    }
    let left = pen.left();
    pen.cell(&text, left, Role::Text);
}

/// What should be looked at stands out; the word says the same.
fn role_of(entry_type: &str) -> Role {
    match entry_type {
        "breakglass.used" | "clock.jumped" | "rollback.adopted" | "execution.indeterminate" => {
            Role::Alarm
        }
        "rules.changed"
        | "rules.proposed"
        | "rules.refused"
        | "event.refused"
        | "execution.kill-requested"
        | "key.rotated" => Role::Warning,
        _ => Role::Text,
    }
}
