//! The queue: one row per request; only rows on the screen are built.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::model::{Row, Tier};
use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::state::queue::Entry;
use super::super::theme::Role;
use super::{Drawn, is_wide, preview, status};

/// Rows above the list beside the banners: the bar, the column names.
const ABOVE: u16 = 2;
/// Rows below it: a notice and the footer.
const BELOW: u16 = 2;

/// Returns where the list is.
pub fn list_area(area: Rect) -> Rect {
    let above = ABOVE.saturating_add(banner_rows(area));
    Rect {
        y: area.y.saturating_add(above),
        width: if is_wide(area) {
            area.width.saturating_mul(11) / 20
        } else {
            area.width
        },
        height: area.height.saturating_sub(above.saturating_add(BELOW)),
        ..area
    }
}

/// What has to be told above the list, the worst first.
fn banners(state: &State) -> Vec<(Role, Printable)> {
    let mut banners = status::session_banners(state);
    banners.extend(status::owed_banners(state, " (o lists it)"));
    banners.extend(status::rules_banners(state, " (u shows them)"));
    banners.sort_by_key(|(role, _)| *role != Role::Alarm);
    banners
}

/// As many rows whether they are needed or not, so that no banner moves what is under the cursor.
const fn banner_rows(area: Rect) -> u16 {
    if area.height < 24 { 1 } else { 2 }
}

/// Draws the queue.
pub fn draw(state: &State, buffer: &mut Buffer, area: Rect) -> Drawn {
    bar(state, buffer, row_of(area, 0));
    let rows_of_banners = banner_rows(area);
    for (at, (role, text)) in banners(state)
        .iter()
        .take(usize::from(rows_of_banners))
        .enumerate()
    {
        let row = row_of(area, at.saturating_add(1));
        let mut pen = Pen::new(buffer, state.theme, row);
        let left = pen.skip(1).left();
        pen.cell(text, left, *role);
    }
    let list = list_area(area);
    let names_at = area.y.saturating_add(1).saturating_add(rows_of_banners);
    names(
        state,
        buffer,
        Rect {
            y: names_at,
            height: 1,
            ..list
        },
    );
    let cursor = rows(state, buffer, list);
    if is_wide(area) {
        let x = list.right();
        let pane = Rect {
            x,
            y: names_at,
            width: area.right().saturating_sub(x),
            height: list.height.saturating_add(1),
        };
        preview::draw(state, buffer, pane);
    }
    let below = usize::from(area.height.saturating_sub(BELOW));
    status::notice(state, buffer, row_of(area, below));
    status::footer(state, buffer, row_of(area, below.saturating_add(1)));
    Drawn {
        frame: None,
        cursor,
    }
}

fn bar(state: &State, buffer: &mut Buffer, row: Rect) {
    let row = badge(state, buffer, row);
    let mut pen = Pen::new(buffer, state.theme, row);
    let between = state.theme.glyphs.between;
    pen.skip(1)
        .ours("countersign", Role::Title)
        .ours(between, Role::Dim);
    pen.text(&status::reviewer(state), Role::Text)
        .ours(between, Role::Dim);
    let count = format!("{} in the queue", state.queue.waiting());
    pen.text(&Printable::from_ours(count), Role::Text);
    if let Some(opening) = &state.opening {
        let text = format!("opening {opening}");
        pen.ours(between, Role::Dim)
            .text(&Printable::from_ours(text), Role::Warning);
    }
}

/// Draws how many arrivals wait to be merged, at the end of the bar; returns what is left of it.
fn badge(state: &State, buffer: &mut Buffer, row: Rect) -> Rect {
    let arrivals = state.queue.arrivals();
    if arrivals == 0 {
        return row;
    }
    let how = if row.width < 80 {
        "(R)"
    } else {
        "(R to merge)"
    };
    let text = Printable::from_ours(format!(" {arrivals} new {how} "));
    let width = u16::try_from(text.width())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let mut pen = Pen::new(buffer, state.theme, row);
    pen.right(width)
        .ours(state.theme.glyphs.arrivals, Role::Warning);
    pen.text(&text, Role::Warning);
    Rect {
        width: row.width.saturating_sub(width),
        ..row
    }
}

/// The widths of the columns that depend on the width of the list; 0 for those left out.
struct Columns {
    from: u16,
    kind: u16,
    target: u16,
    agent: u16,
}

fn columns(width: u16) -> Columns {
    let (from, kind, agent) = match width {
        100.. => (13, 20, 16),
        76.. => (10, 15, 0),
        // Beside a preview or on a narrow screen, what is asked for needs the room.
        _ => (0, 15, 0),
    };
    // Sign, tier, time, id, gutter, findings, and the gaps between.
    let fixed = 2 + 5 + 6 + 11 + 2 + 2;
    let target = width.saturating_sub(fixed + from + kind + 1 + agent);
    Columns {
        from,
        kind,
        target,
        agent,
    }
}

fn names(state: &State, buffer: &mut Buffer, row: Rect) {
    let columns = columns(row.width);
    let mut pen = Pen::new(buffer, state.theme, row);
    let cell = |pen: &mut Pen<'_>, text: &'static str, width: u16| {
        pen.cell(&Printable::ours(text), width, Role::Dim);
    };
    pen.skip(2);
    cell(&mut pen, "TIER", 5);
    cell(&mut pen, "LEFT", 6);
    cell(&mut pen, "ID", 11);
    cell(&mut pen, "FROM", columns.from);
    pen.skip(2);
    cell(&mut pen, "ACTION", columns.kind.saturating_add(1));
    cell(&mut pen, "TARGET", columns.target);
    cell(&mut pen, "AGENT", columns.agent);
}

fn rows(state: &State, buffer: &mut Buffer, list: Rect) -> Option<Position> {
    let (top, entries) = state.queue.window();
    if entries.is_empty() {
        let mut pen = Pen::new(buffer, state.theme, row_of(list, 1));
        pen.skip(2);
        if state.is_old() {
            pen.ours("Nothing is known yet.", Role::Dim);
        } else {
            pen.ours("Queue clear.", Role::Text).skip(1);
            if let Some(text) = status::last_decision(state) {
                pen.text(&text, Role::Dim);
            }
        }
        return None;
    }
    let columns = columns(list.width);
    let mut cursor = None;
    for (at, entry) in entries.iter().enumerate() {
        let area = row_of(list, at);
        let selected = top.saturating_add(at) == state.queue.selected_row();
        draw_row(
            state,
            &mut Pen::new(buffer, state.theme, area),
            entry,
            &columns,
        );
        if selected {
            cursor = Some(Position::new(area.x, area.y));
            Pen::new(buffer, state.theme, area).paint(area, Role::Selected);
        }
    }
    cursor
}

fn draw_row(state: &State, pen: &mut Pen<'_>, entry: &Entry, columns: &Columns) {
    let (row, look) = (&entry.row, entry.look());
    let glyphs = state.theme.glyphs;
    let (waits, lives) = (row.standing.is_waiting(), row.standing.is_live());
    let text_role = if lives && !state.is_old() {
        Role::Text
    } else {
        Role::Dim
    };
    let sign = match (waits, lives, &look.claimed_by) {
        (false, false, _) => glyphs.ended,
        (false, true, _) => glyphs.going,
        (true, _, Some(_)) => glyphs.claimed,
        (true, _, None) => glyphs.waiting,
    };
    pen.ours(sign, text_role).skip(1);
    pen.cell(&Printable::ours(row.tier.word()), 5, tier_role(row.tier));
    let time = if waits {
        Printable::from_ours(status::span(state.left(row.expires_at)))
    } else if lives {
        Printable::ours("")
    } else {
        Printable::ours("over")
    };
    pen.cell(&time, 6, text_role);
    pen.cell(&look.short_id, 10, text_role).skip(1);
    if let Some(width) = columns.from.checked_sub(1) {
        pen.cell(&look.from, width, text_role).skip(1);
    }
    // What must not be overlooked stands at the end, behind the gutter's text.
    let mark = mark(row, columns.target);
    let target = mark.map_or(columns.target, |(mark, _)| {
        columns
            .target
            .saturating_sub(width_of(mark).saturating_add(1))
    });
    pen.ours(glyphs.agent, Role::Dim).skip(1);
    if state.safety.is_in_flight(&row.id) {
        let unknown = Printable::ours("outcome unknown");
        pen.cell(&unknown, columns.kind, Role::Warning).skip(1);
        pen.cell(&look.target, target, Role::Dim);
    } else if waits {
        pen.cell(&look.kind, columns.kind, text_role).skip(1);
        pen.cell(&look.target, target, text_role);
        pen.cell(&look.agent, columns.agent, text_role);
    } else {
        pen.cell(
            &Printable::ours(state.queue.ended_word(row)),
            columns.kind,
            Role::Warning,
        )
        .skip(1);
        pen.cell(&look.target, target, Role::Dim);
    }
    if let Some((mark, role)) = mark {
        pen.right(width_of(mark).saturating_add(2)).ours(mark, role);
    }
    if look.hides_something {
        pen.right(1).ours("!", Role::Alarm);
    }
}

fn width_of(mark: &str) -> u16 {
    u16::try_from(mark.len()).unwrap_or(u16::MAX)
}

/// The word for what is unusual about how a request stands; a short one where there is little room.
fn mark(row: &Row, room: u16) -> Option<(&'static str, Role)> {
    let (long, short, role) = if row.break_glass {
        ("break-glass", "GLASS", Role::Alarm)
    } else if row.escalated {
        ("escalated", "ESC", Role::Warning)
    } else if row.self_attested {
        ("self-attested", "SELF", Role::Warning)
    } else {
        return None;
    };
    Some((if room < 40 { short } else { long }, role))
}

/// The look of a tier.
pub const fn tier_role(tier: Tier) -> Role {
    match tier {
        Tier::Low => Role::Dim,
        Tier::Medium => Role::Text,
        Tier::High => Role::Warning,
        Tier::Critical => Role::Alarm,
    }
}
