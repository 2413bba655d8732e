//! Who used which data: a row for each count, and the requests behind one of them.
//!
//! Nothing is decided from here; `Enter` leads to the requests.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::model::Row;
use super::super::prepare;
use super::super::safe_line::{Pen, row_of};
use super::super::state::State;
use super::super::state::uses::{Behind, Count, Looked, Table};
use super::super::theme::Role;
use super::{Drawn, queue::tier_role, status};
use crate::proof::grouped;

/// Rows above the list: what it is, the worst of what must be told, the columns.
const ABOVE: u16 = 3;
/// Rows below it: the selected row whole, a remark, the notice, the footer.
const BELOW: u16 = 5;

/// Returns where the list is.
pub fn body(area: Rect) -> Rect {
    Rect {
        y: area.y.saturating_add(ABOVE),
        height: area.height.saturating_sub(ABOVE.saturating_add(BELOW)),
        ..area
    }
}

/// Draws the counts, or the requests behind one.
pub fn draw(state: &State, shown: &Looked, buffer: &mut Buffer, area: Rect) -> Drawn {
    bar(state, shown, buffer, row_of(area, 0));
    status::worst(state, buffer, row_of(area, 1));
    let list = body(area);
    let cursor = match (shown.behind(), shown.table()) {
        (Some(behind), _) => requests(state, behind, buffer, area),
        (None, Some(table)) => counts(state, shown, table, buffer, area),
        (None, None) => {
            nothing(state, shown, buffer, list);
            None
        }
    };
    let height = usize::from(area.height);
    status::notice(state, buffer, row_of(area, height.saturating_sub(2)));
    status::footer(state, buffer, row_of(area, height.saturating_sub(1)));
    Drawn {
        frame: None,
        cursor: cursor.or(Some(Position::new(list.x, list.y))),
    }
}

fn bar(state: &State, shown: &Looked, buffer: &mut Buffer, row: Rect) {
    let mut pen = Pen::new(buffer, state.theme, row);
    let between = state.theme.glyphs.between;
    pen.skip(1)
        .ours("countersign", Role::Title)
        .ours(between, Role::Dim)
        .ours("who used which data, by ", Role::Text)
        .ours(shown.by().word(), Role::Title)
        .ours(between, Role::Dim)
        .ours(shown.since().word(), Role::Title);
    if shown.is_reading() {
        pen.ours(between, Role::Dim).ours("counting", Role::Warning);
    }
}

fn nothing(state: &State, shown: &Looked, buffer: &mut Buffer, list: Rect) {
    let Some(why) = shown.failure() else {
        Pen::new(buffer, state.theme, row_of(list, 0))
            .skip(2)
            .ours("Counting.", Role::Dim);
        return;
    };
    let text = Printable::from_ours(format!("THE USES CANNOT BE COUNTED: {why}"));
    let width = usize::from(list.width.saturating_sub(2)).max(1);
    for (at, row) in text.wrap(width).iter().enumerate() {
        let mut pen = Pen::new(buffer, state.theme, row_of(list, at));
        pen.skip(1).text(row, Role::Alarm);
    }
}

/// The widths of the columns; 0 for those left out.
struct Columns {
    name: u16,
    via: u16,
    outcome: u16,
    classification: u16,
    access: u16,
    destination: u16,
}

/// The widths of the numbers.
const USES: u16 = 6;
const RECORDS: u16 = 10;

impl Columns {
    const fn of(width: u16) -> Self {
        let (via, outcome, classification, access, destination) = match width {
            150.. => (24, 24, 20, 20, 32),
            110.. => (17, 18, 17, 0, 18),
            76.. => (14, 15, 13, 0, 0),
            _ => (0, 14, 10, 0, 0),
        };
        // The gutter stands before the name.
        let fixed = 3 + USES + RECORDS + via + outcome + classification + access + destination;
        Self {
            name: width.saturating_sub(fixed),
            via,
            outcome,
            classification,
            access,
            destination,
        }
    }

    /// Each column's width, with what stands in it.
    fn cells<'a>(&self, count: &'a Count) -> [(u16, &'a Printable); 7] {
        [
            (USES, &count.uses),
            (RECORDS, &count.records),
            (self.via, &count.via),
            (self.outcome, &count.outcome),
            (self.classification, &count.classification),
            (self.access, &count.access),
            (self.destination, &count.destination),
        ]
    }
}

fn counts(
    state: &State,
    shown: &Looked,
    table: &Table,
    buffer: &mut Buffer,
    area: Rect,
) -> Option<Position> {
    let columns = Columns::of(area.width);
    let named = Count {
        name: Printable::from_ours(table.question.by.word().to_uppercase()),
        uses: Printable::ours("USES"),
        records: Printable::ours("RECORDS"),
        via: Printable::ours("APPROVED"),
        outcome: Printable::ours("OUTCOME"),
        classification: Printable::ours("CLASS"),
        access: Printable::ours("ACCESS"),
        destination: Printable::ours("DESTINATION"),
        requests: Vec::new(),
    };
    let mut pen = Pen::new(buffer, state.theme, row_of(area, 2));
    pen.skip(3);
    cells(&mut pen, &columns, &named, Role::Dim);
    let list = body(area);
    if table.counts.is_empty() {
        let mut pen = Pen::new(buffer, state.theme, row_of(list, 0));
        pen.skip(2).ours("No data was used.", Role::Text);
    }
    let selected = shown.selected_row();
    let height = usize::from(list.height).max(1);
    let top = selected.saturating_add(1).saturating_sub(height);
    let mut cursor = None;
    for (at, count) in table.counts.iter().enumerate().skip(top).take(height) {
        let line = row_of(list, at.saturating_sub(top));
        let mut pen = Pen::new(buffer, state.theme, line);
        pen.skip(1)
            .ours(state.theme.glyphs.agent, Role::Dim)
            .skip(1);
        cells(&mut pen, &columns, count, Role::Text);
        if at == selected {
            cursor = Some(Position::new(line.x, line.y));
            Pen::new(buffer, state.theme, line).paint(line, Role::Selected);
        }
    }
    if let Some(count) = shown.selected() {
        whole(state, buffer, area, count);
    }
    remark(state, table, buffer, area);
    cursor
}

fn cells(pen: &mut Pen<'_>, columns: &Columns, count: &Count, role: Role) {
    pen.cell(&count.name, columns.name.saturating_sub(1), role)
        .skip(1);
    for (width, text) in columns.cells(count) {
        if let Some(width) = width.checked_sub(1) {
            pen.cell(text, width, role).skip(1);
        }
    }
}

/// The selected count, as far as two rows hold it.
fn whole(state: &State, buffer: &mut Buffer, area: Rect, count: &Count) {
    let rows = [
        vec![
            ("approved ", &count.via),
            (", ended ", &count.outcome),
            (", class ", &count.classification),
        ],
        vec![("access ", &count.access), (", to ", &count.destination)],
    ];
    let first = usize::from(area.height.saturating_sub(BELOW));
    for (at, row) in rows.iter().enumerate() {
        let mut text = Printable::default();
        for (name, value) in row {
            text.push(&Printable::ours(name));
            text.push(value);
        }
        let mut pen = Pen::new(buffer, state.theme, row_of(area, first.saturating_add(at)));
        pen.skip(1)
            .ours(state.theme.glyphs.agent, Role::Dim)
            .skip(1);
        let left = pen.left();
        pen.cell(&text, left, Role::Dim);
    }
}

fn remark(state: &State, table: &Table, buffer: &mut Buffer, area: Rect) {
    let row = usize::from(area.height.saturating_sub(3));
    let mut pen = Pen::new(buffer, state.theme, row_of(area, row));
    let mut text = Printable::default();
    if table.left_out > 0 {
        let more = format!("{} more are not listed; ", grouped(table.left_out));
        text.push(&Printable::from_ours(more));
    }
    for (at, remark) in table.remarks.iter().enumerate() {
        if at > 0 {
            text.push(&Printable::ours("; "));
        }
        text.push(&Printable::ours(remark));
    }
    let left = pen.skip(1).left();
    pen.cell(&text, left, Role::Dim);
}

fn requests(state: &State, behind: &Behind, buffer: &mut Buffer, area: Rect) -> Option<Position> {
    let mut pen = Pen::new(buffer, state.theme, row_of(area, 2));
    pen.skip(1).ours("the last requests behind ", Role::Dim);
    let left = pen.left();
    pen.cell(&behind.name, left, Role::Title);
    let list = body(area);
    if behind.rows.is_empty() {
        let mut pen = Pen::new(buffer, state.theme, row_of(list, 0));
        pen.skip(2).ours("None of them can be read.", Role::Text);
    }
    let height = usize::from(list.height).max(1);
    let top = behind.selected.saturating_add(1).saturating_sub(height);
    let mut cursor = None;
    for (at, row) in behind.rows.iter().enumerate().skip(top).take(height) {
        let line = row_of(list, at.saturating_sub(top));
        request(state, buffer, line, row);
        if at == behind.selected {
            cursor = Some(Position::new(line.x, line.y));
            Pen::new(buffer, state.theme, line).paint(line, Role::Selected);
        }
    }
    if behind.unread > 0 {
        let text = format!("{} more are not shown", behind.unread);
        let row = usize::from(area.height.saturating_sub(3));
        let mut pen = Pen::new(buffer, state.theme, row_of(area, row));
        pen.skip(1).text(&Printable::from_ours(text), Role::Dim);
    }
    cursor
}

fn request(state: &State, buffer: &mut Buffer, line: Rect, row: &Row) {
    let mut pen = Pen::new(buffer, state.theme, line);
    pen.skip(1);
    let time = row.received_at.to_string().replace('T', " ");
    let time = time.get(5..16).unwrap_or_default();
    pen.cell(&Printable::from_ours(time), 12, Role::Text);
    pen.cell(&Printable::ours(row.tier.word()), 5, tier_role(row.tier));
    pen.cell(&Printable::ours(row.standing.word()), 14, Role::Text);
    pen.ours(state.theme.glyphs.agent, Role::Dim).skip(1);
    let left = pen.left();
    pen.cell(&prepare::title(row), left, Role::Text);
}
