//! Looking at who used which data. Nothing is decided from here.

use super::super::event::{Effect, Request};
use super::super::keymap::Command;
use super::super::model::Row;
use super::super::state::State;
use super::super::state::uses::{Looked, Question, Table};

/// Opens the view.
pub(super) fn look(state: &mut State) -> Vec<Effect> {
    state.opening = None;
    state.ruling.close();
    state.logbook.close();
    vec![count(state.uses.open())]
}

const fn count(question: Question) -> Effect {
    Effect::Ask(Request::CountUses(question))
}

/// Takes the counts.
pub(super) fn put(state: &mut State, table: Table) -> Vec<Effect> {
    state.uses.put(table);
    Vec::new()
}

/// Notes that there are none to be had.
pub(super) fn failed(state: &mut State, serial: u32, why: String) -> Vec<Effect> {
    state.uses.failed(serial, why);
    Vec::new()
}

/// Takes the requests behind a count.
pub(super) fn used_by(state: &mut State, rows: Vec<Row>, unread: usize) -> Vec<Effect> {
    if let Some(shown) = state.uses.shown_mut() {
        shown.show_behind(rows, unread);
    }
    Vec::new()
}

/// Does what a key asks for while uses are looked at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
pub(super) fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    let height = super::super::view::uses_height(state);
    let page = isize::try_from(height.max(1)).unwrap_or(1);
    let Some(shown) = state.uses.shown_mut() else {
        return Vec::new();
    };
    match command {
        Command::Down => shown.move_by(1),
        Command::Up => shown.move_by(-1),
        Command::PageDown => shown.move_by(page),
        Command::PageUp => shown.move_by(page.saturating_neg()),
        Command::First => shown.select(0),
        Command::Last => shown.select(usize::MAX),
        Command::NextTab if shown.behind().is_none() => {
            return vec![count(state.uses.ask(Looked::turn))];
        }
        Command::NextSince if shown.behind().is_none() => {
            return vec![count(state.uses.ask(Looked::turn_since))];
        }
        Command::Open => return open(state),
        Command::Back => back(state),
        _ => {}
    }
    Vec::new()
}

/// Shows the requests behind the selected count, or opens the selected request.
fn open(state: &mut State) -> Vec<Effect> {
    let Some(shown) = state.uses.shown_mut() else {
        return Vec::new();
    };
    if let Some(behind) = shown.behind() {
        let id = behind.rows.get(behind.selected).map(|row| row.id);
        state.opening = id;
        let load = |id| Effect::Ask(Request::Load(id));
        return id.map(load).into_iter().collect();
    }
    let ask = |ids| Effect::Ask(Request::ReadRequests(ids));
    shown.ask_behind().map(ask).into_iter().collect()
}

fn back(state: &mut State) {
    if state.opening.take().is_some() {
        return;
    }
    let had = state.uses.shown_mut().is_some_and(Looked::leave_behind);
    if !had {
        state.uses.close();
    }
}
