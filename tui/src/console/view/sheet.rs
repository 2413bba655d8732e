//! The sheets. Each tier has its own look and place, so that no habit carries over.
//!
//! What a sheet restates is told in our words, with the agent's names behind the gutter.

use countersign_shared::text::{Printable, Untrusted};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::super::model::Tier;
use super::super::safe_line::{Pen, row_of};
use super::super::safety::sheet::REASONS;
use super::super::safety::{Confirm, Field, Sheet, SheetKind};
use super::super::state::{Open, State};
use super::super::theme::Role;
use super::queue::tier_role;

/// From this many rows on, a sheet restates more.
const ROOMY: u16 = 24;

/// Returns how many rows a sheet takes.
pub fn height(state: &State, sheet: &Sheet) -> u16 {
    let more = state
        .open
        .as_ref()
        .map_or(0, |open| more(state, open).len());
    let more = u16::try_from(more).unwrap_or(0);
    match sheet.kind() {
        SheetKind::Approve {
            tier: Tier::High | Tier::Critical,
            ..
        } => more.saturating_add(8),
        SheetKind::Approve { .. } => more.saturating_add(5),
        SheetKind::Deny => 3,
        SheetKind::Close | SheetKind::Kill => 4,
        SheetKind::Passphrase => 2,
    }
}

/// What an approve sheet restates where there is room: why the tier is what it is, and who else has
/// to approve. Both stand on the Why page as well.
fn more(state: &State, open: &Open) -> Vec<(Role, Printable)> {
    if state.size.1 < ROOMY {
        return Vec::new();
    }
    let mut rows = Vec::new();
    if let Some(because) = &open.prepared.because {
        let tier = Printable::ours(open.prepared.tier.word());
        let text = Printable::concat([&tier, &Printable::ours(" "), because]);
        rows.push((tier_role(open.prepared.tier), text));
    }
    if open.prepared.approvals_missing() > 1 {
        let text = Printable::concat([
            &Printable::ours("it waits for "),
            &Printable::exact(&open.prepared.detail.waits_for),
            &Printable::ours(": your approval alone is not enough"),
        ]);
        rows.push((Role::Text, text));
    }
    rows
}

/// Tells whether a sheet stands above the page.
pub fn is_above(sheet: &Sheet) -> bool {
    matches!(
        sheet.kind(),
        SheetKind::Approve {
            tier: Tier::High | Tier::Critical,
            ..
        }
    )
}

/// Draws a sheet and returns where typed text goes.
pub fn draw(
    state: &State,
    buffer: &mut Buffer,
    area: Rect,
    sheet: &Sheet,
    open: &Open,
) -> Option<Position> {
    let mut form = Form {
        state,
        buffer,
        area,
        at: 0,
        cursor: None,
        focus: sheet.focus(),
    };
    match sheet.kind() {
        SheetKind::Deny => {
            form.rule("DENY: the agent reads the reason", Role::Title);
            form.presets();
            form.field(Field::Reason, "reason:", sheet.reason());
        }
        SheetKind::Close => {
            form.rule("CLOSE THE REVIEW of what was approved alone", Role::Title);
            form.restate(open);
            form.field(Field::Reason, "you found:", sheet.reason());
        }
        SheetKind::Kill => {
            form.rule("END THE RUN: what it did so far stays done", Role::Alarm);
            form.restate(open);
            form.field(Field::Reason, "reason:", sheet.reason());
        }
        SheetKind::Passphrase => {
            form.rule("THE KEY IS LOCKED: its passphrase comes first", Role::Title);
            let stars = "*".repeat(sheet.passphrase_length().min(40));
            form.field(Field::Passphrase, "passphrase:", &stars);
        }
        SheetKind::Approve {
            tier: Tier::High | Tier::Critical,
            confirm,
            reason_required,
        } => {
            let heading = if open.prepared.tier == Tier::Critical {
                "APPROVE, TIER CRITICAL: this is not to be undone"
            } else {
                "APPROVE, TIER HIGH: this is hard to undo"
            };
            form.rule(heading, Role::Alarm);
            form.restate(open);
            form.restate_more(open);
            form.ask(confirm, open.prepared.tier);
            form.field(Field::Back, "[ Back ]", "");
            form.field(Field::Confirm, "typed:", sheet.confirm());
            form.field(Field::Reason, reason_name(*reason_required), sheet.reason());
            form.rule("", Role::Alarm);
        }
        SheetKind::Approve {
            confirm,
            reason_required,
            ..
        } => {
            form.rule("APPROVE", Role::Title);
            form.restate(open);
            form.restate_more(open);
            match confirm {
                Confirm::Nothing => form.field(Field::Back, "[ Back ]", ""),
                Confirm::Code(_) | Confirm::Name(_) | Confirm::DigestDigits(_) => {
                    form.field(
                        Field::Confirm,
                        "code shown beside the change:",
                        sheet.confirm(),
                    );
                }
            }
            form.field(Field::Reason, reason_name(*reason_required), sheet.reason());
        }
    }
    form.cursor
}

const fn reason_name(required: bool) -> &'static str {
    if required {
        "reason (required):"
    } else {
        "reason (optional):"
    }
}

/// Writes the rows of a sheet.
struct Form<'a> {
    state: &'a State,
    buffer: &'a mut Buffer,
    area: Rect,
    at: usize,
    cursor: Option<Position>,
    focus: Field,
}

impl Form<'_> {
    fn row(&mut self) -> Rect {
        let row = row_of(self.area, self.at);
        self.at = self.at.saturating_add(1);
        row
    }

    fn rule(&mut self, title: &'static str, role: Role) {
        let row = self.row();
        super::rule(self.state, self.buffer, row, title, role);
    }

    fn agent(&mut self, text: &Printable) {
        let row = self.row();
        let mut pen = Pen::new(self.buffer, self.state.theme, row);
        pen.ours(self.state.theme.glyphs.agent, Role::Dim).skip(1);
        let left = pen.left();
        pen.cell(text, left, Role::Title);
    }

    /// Restates the action: the agent's names, then our numbers.
    fn restate(&mut self, open: &Open) {
        self.agent(&open.prepared.title);
        let row = self.row();
        let mut pen = Pen::new(self.buffer, self.state.theme, row);
        pen.ours(self.state.theme.glyphs.computed, Role::Dim)
            .skip(1);
        let left = pen.left();
        pen.cell(&open.prepared.effect, left, Role::Text);
    }

    /// Restates what there is room for.
    fn restate_more(&mut self, open: &Open) {
        for (role, text) in more(self.state, open) {
            let row = self.row();
            let mut pen = Pen::new(self.buffer, self.state.theme, row);
            pen.ours(self.state.theme.glyphs.computed, Role::Dim)
                .skip(1);
            let left = pen.left();
            pen.cell(&text, left, role);
        }
    }

    fn presets(&mut self) {
        let row = self.row();
        let mut pen = Pen::new(self.buffer, self.state.theme, row);
        for (number, reason) in ["1 ", "2 ", "3 ", "4 "].iter().zip(REASONS) {
            pen.skip(1)
                .ours(number, Role::Title)
                .ours(reason, Role::Text);
        }
    }

    /// Says what has to be typed.
    fn ask(&mut self, confirm: &Confirm, tier: Tier) {
        let row = self.row();
        let mut pen = Pen::new(self.buffer, self.state.theme, row);
        pen.skip(2);
        match confirm {
            Confirm::Name(name) => {
                let ask = if tier == Tier::Critical {
                    "type the target's name (a paste does not count): "
                } else {
                    "type the target's name: "
                };
                pen.ours(ask, Role::Text);
                let left = pen.left();
                pen.cell(
                    &Printable::exact(&Untrusted::new(name.clone())),
                    left,
                    Role::Title,
                );
            }
            Confirm::DigestDigits(digits) => {
                pen.ours(
                    "its name cannot be typed; type the digest's start: ",
                    Role::Text,
                );
                pen.text(&Printable::from_ours(digits), Role::Title);
            }
            Confirm::Code(_) | Confirm::Nothing => {
                pen.ours("press A again", Role::Text);
            }
        }
    }

    fn field(&mut self, field: Field, name: &'static str, text: &str) {
        let row = self.row();
        let focused = self.focus == field;
        let mut pen = Pen::new(self.buffer, self.state.theme, row);
        pen.ours(if focused { "> " } else { "  " }, Role::Title);
        pen.ours(name, if focused { Role::Selected } else { Role::Text })
            .skip(1);
        // Pasted text is no safer than an agent's. The end of it is what one types at.
        let typed = Printable::exact(&Untrusted::new(text));
        let room = usize::from(pen.left().saturating_sub(1));
        let shown = typed.wrap(room.max(1)).pop().unwrap_or_default();
        let x = row.right().saturating_sub(pen.left());
        let width = u16::try_from(shown.width()).unwrap_or(u16::MAX);
        pen.text(&shown, Role::Text);
        if focused {
            self.cursor = Some(Position::new(
                x.saturating_add(width).min(row.right().saturating_sub(1)),
                row.y,
            ));
        }
    }
}
