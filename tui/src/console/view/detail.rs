//! One request: bars, banners, the page of a tab, and what of it was drawn.

use countersign_shared::text::Printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::page::{Gutter, Line, Look, Page, Place};
use super::super::prepare::Tab;
use super::super::safe_line::{Pen, row_of};
use super::super::safety::{Confirm, Frame, Piece, Sheet, SheetKind};
use super::super::state::{Open, State};
use super::super::theme::Role;
use super::{Drawn, following, queue::tier_role, sheet, status};

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Banners.
    pub banners: Rect,
    /// The sheet, if one is open.
    pub sheet: Rect,
    /// The page.
    pub body: Rect,
    /// The notice and the footer.
    pub foot: Rect,
}

/// What stands before the code of a sheet.
const CODE_WORD: &str = " code ";

/// Rows above everything that varies: the bar, the action, the tabs.
const ABOVE: u16 = 3;
/// Rows below: the notice, the footer.
const BELOW: u16 = 2;

/// Lays the screen out. High and critical sheets stand above the page, others below it.
pub fn layout(state: &State, area: Rect) -> Layout {
    let most: usize = if area.height < 20 { 1 } else { 3 };
    let count = u16::try_from(banners(state).len().min(most)).unwrap_or(0);
    let banners = Rect {
        y: area.y.saturating_add(ABOVE),
        height: count,
        ..area
    };
    let foot = Rect {
        y: area.bottom().saturating_sub(BELOW),
        height: BELOW,
        ..area
    };
    let free = foot.y.saturating_sub(banners.bottom());
    let wanted = state
        .safety
        .sheet()
        .map_or(0, |sheet| sheet::height(state, sheet));
    let sheet_height = wanted.min(free.saturating_sub(1));
    let above = state.safety.sheet().is_some_and(sheet::is_above);
    let body = Rect {
        y: banners
            .bottom()
            .saturating_add(if above { sheet_height } else { 0 }),
        height: free.saturating_sub(sheet_height),
        ..area
    };
    let sheet = Rect {
        y: if above {
            banners.bottom()
        } else {
            body.bottom()
        },
        height: sheet_height,
        ..area
    };
    Layout {
        banners,
        sheet,
        body,
        foot,
    }
}

fn banners(state: &State) -> Vec<(Role, Printable)> {
    let mut banners = status::session_banners(state);
    banners.extend(status::request_banners(state));
    // Its own debt is told already.
    let is_owed = state
        .open
        .as_ref()
        .is_some_and(|open| state.owed.contains(&open.row.id));
    if !is_owed || state.owed.len() > 1 {
        banners.extend(status::owed_banners(state, ""));
    }
    let rules = status::rules_banners(state, "").into_iter();
    banners.extend(rules.filter(|(role, _)| *role == Role::Alarm));
    banners
}

/// Draws the open request.
pub fn draw(state: &State, buffer: &mut Buffer, area: Rect) -> Drawn {
    let Some(open) = &state.open else {
        return Drawn::default();
    };
    let layout = layout(state, area);
    bar(state, buffer, row_of(area, 0), open);
    action(state, buffer, row_of(area, 1), open);
    match &state.following {
        Some(following) => following::bar(state, following, buffer, row_of(area, 2)),
        None => tabs(state, buffer, row_of(area, 2), open),
    }
    told(state, buffer, layout.banners);
    let pieces = match &state.following {
        Some(following) => {
            following::page(state, following, buffer, layout.body);
            Vec::new()
        }
        None => page(
            state,
            buffer,
            layout.body,
            open.page(),
            open.place(),
            open.unfold,
        ),
    };
    let mut cursor = Some(Position::new(layout.body.x, layout.body.y));
    let mut serial = None;
    if let Some(sheet) = state.safety.sheet() {
        cursor = sheet::draw(state, buffer, layout.sheet, sheet, open);
        // A sheet that does not fit was not shown.
        serial = (layout.sheet.height == sheet::height(state, sheet)).then_some(sheet.serial);
    }
    status::notice(state, buffer, row_of(layout.foot, 0));
    status::footer(state, buffer, row_of(layout.foot, 1));
    let frame = Frame {
        id: open.prepared.detail.row.id,
        digest: open.prepared.detail.row.digest,
        pieces,
        sheet: serial,
    };
    // Beside what a run writes, its end can be asked for and nothing else.
    let is_running = state
        .safety
        .subject()
        .is_some_and(super::super::safety::Subject::is_running);
    Drawn {
        frame: (state.following.is_none() || is_running).then_some(frame),
        cursor,
    }
}

/// Draws what must be told, and of what has no room how much it is.
fn told(state: &State, buffer: &mut Buffer, area: Rect) {
    let banners = banners(state);
    let room = usize::from(area.height);
    for (at, (role, text)) in banners.iter().take(room).enumerate() {
        let mut row = row_of(area, at);
        let hidden = banners.len().saturating_sub(room);
        if at.saturating_add(1) == room && hidden > 0 {
            let more = Printable::from_ours(format!(" +{hidden}"));
            let width = u16::try_from(more.width()).unwrap_or(u16::MAX);
            let mut pen = Pen::new(buffer, state.theme, row);
            pen.right(width).text(&more, Role::Alarm);
            row.width = row.width.saturating_sub(width);
        }
        let mut pen = Pen::new(buffer, state.theme, row);
        let left = pen.skip(1).left();
        pen.cell(text, left, *role);
    }
}

fn bar(state: &State, buffer: &mut Buffer, row: Rect, open: &Open) {
    let between = state.theme.glyphs.between;
    let mut pen = Pen::new(buffer, state.theme, row);
    pen.skip(1);
    pen.text(&Printable::from_ours(open.row.id.to_string()), Role::Title)
        .skip(1);
    pen.ours(open.prepared.tier.word(), tier_role(open.prepared.tier));
    if open.row.standing.is_waiting() {
        let time = status::span(state.left(open.row.expires_at));
        pen.skip(1).text(&Printable::from_ours(time), Role::Text);
    }
    if let Some(claim) = status::claim(&open.row, state.me.as_ref()) {
        let room = pen.left().saturating_sub(14);
        if claim.width() < usize::from(room) {
            pen.ours(between, Role::Dim).text(&claim, Role::Text);
        }
    }
    status::armed(state, &mut pen);
}

fn action(state: &State, buffer: &mut Buffer, row: Rect, open: &Open) {
    let mut pen = Pen::new(buffer, state.theme, row);
    pen.ours(state.theme.glyphs.agent, Role::Dim).skip(1);
    let left = pen.left();
    pen.cell(&open.prepared.title, left, Role::Text);
}

fn tabs(state: &State, buffer: &mut Buffer, row: Rect, open: &Open) {
    let mut pen = Pen::new(buffer, state.theme, row);
    pen.skip(1);
    for tab in Tab::ALL {
        let role = if tab == open.tab {
            Role::Selected
        } else {
            Role::Dim
        };
        pen.ours(tab.title(), role).skip(1);
    }
    let reason = status::armed_reason(state);
    let width = u16::try_from(reason.width())
        .unwrap_or(u16::MAX)
        .saturating_add(1);
    if width < pen.left() {
        pen.right(width).text(&reason, Role::NotArmed);
    } else {
        let left = pen.skip(1).left();
        pen.cell(&reason, left, Role::NotArmed);
    }
}

/// Draws the page from its place on, and returns the gated stretches that are on the screen.
pub(super) fn page(
    state: &State,
    buffer: &mut Buffer,
    body: Rect,
    page: &Page,
    place: Place,
    unfold: bool,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let indent = page.indent();
    let cells = usize::from(body.width).saturating_sub(indent);
    if cells < 2 {
        return pieces;
    }
    let Place { mut line, row } = place;
    let mut skip = row;
    let mut y = 0;
    let height = usize::from(body.height);
    while y < height {
        let Some(current) = page.line(line, unfold) else {
            break;
        };
        // The code stands beside the text, never on it.
        let beside = match code(state).filter(|_| current.code_here) {
            Some(code) => code.len().saturating_add(CODE_WORD.len()).saturating_add(2),
            None => 0,
        };
        let cells = cells.saturating_sub(beside).max(2);
        let mut from = 0_usize;
        for (at, text) in current.text.wrap(cells).iter().enumerate() {
            let to = from.saturating_add(text.as_str().len());
            if at >= skip && y < height {
                let area = row_of(body, y);
                draw_row(
                    state,
                    buffer,
                    area,
                    current,
                    text,
                    from..to,
                    indent,
                    at == 0,
                );
                if let Some(part) = current.part {
                    pieces.push(Piece {
                        part,
                        from,
                        to: to.max(from.saturating_add(1)),
                    });
                }
                y = y.saturating_add(1);
            }
            from = to;
        }
        skip = 0;
        line = line.saturating_add(1);
    }
    pieces
}

#[expect(
    clippy::too_many_arguments,
    reason = "one row is drawn from all of them, and nothing else takes them"
)]
fn draw_row(
    state: &State,
    buffer: &mut Buffer,
    area: Rect,
    line: &Line,
    text: &Printable,
    range: std::ops::Range<usize>,
    indent: usize,
    first: bool,
) {
    let glyphs = state.theme.glyphs;
    let role = role_of(line.look);
    let mut pen = Pen::new(buffer, state.theme, area);
    pen.ours(
        match line.gutter {
            Gutter::Ours => " ",
            Gutter::Agent => glyphs.agent,
            Gutter::Computed => glyphs.computed,
            Gutter::Kernel => glyphs.kernel,
        },
        Role::Dim,
    );
    if first && !line.continued {
        pen.skip(1);
    } else {
        pen.ours(glyphs.wrapped, Role::Dim);
    }
    if indent > 2 {
        let width = u16::try_from(indent.saturating_sub(3)).unwrap_or(u16::MAX);
        let empty = Printable::default();
        pen.cell(if first { &line.label } else { &empty }, width, role)
            .skip(1);
    }
    let emphasis: Vec<_> = line
        .emphasis
        .iter()
        .map(|part| part.start.max(range.start)..part.end.min(range.end))
        .filter(|part| part.start < part.end)
        .map(|part| part.start.saturating_sub(range.start)..part.end.saturating_sub(range.start))
        .collect();
    pen.emphasized(text, role, &emphasis);
    if first
        && line.code_here
        && let Some(code) = code(state)
    {
        {
            let text = Printable::concat([
                &Printable::ours(CODE_WORD),
                &Printable::from_ours(code),
                &Printable::ours(" "),
            ]);
            let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
            pen.right(width).text(&text, Role::Armed);
        }
    }
}

/// The code that the open sheet asks for.
fn code(state: &State) -> Option<&str> {
    match state.safety.sheet().map(Sheet::kind) {
        Some(SheetKind::Approve {
            confirm: Confirm::Code(code),
            ..
        }) => Some(code),
        _ => None,
    }
}

const fn role_of(look: Look) -> Role {
    match look {
        Look::Plain => Role::Text,
        Look::Heading => Role::Title,
        Look::Dim => Role::Dim,
        Look::Warning => Role::Warning,
        Look::Added => Role::Added,
        Look::Removed => Role::Removed,
    }
}
