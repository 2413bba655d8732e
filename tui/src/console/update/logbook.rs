//! Looking at the log. Nothing is decided from here; the way to a request is to open it.

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::ActorKind;
use countersign_shared::text::Printable;

use super::super::event::{Effect, Request};
use super::super::keymap::Command;
use super::super::page::Place;
use super::super::state::State;
use super::super::state::logbook::{Batch, Entry, Item, Reach, Wanted};
use super::{Input, feed};
use crate::entries::filter::Picked;

/// Opens the log: all of it, or what is about the request that is open.
pub(super) fn look(state: &mut State) -> Vec<Effect> {
    let about = state.open.take().map(|open| open.row.id);
    let mut effects = Vec::new();
    if about.is_some() {
        effects.extend(super::following::leave(state));
        effects.extend(feed(state, Input::Closed));
    }
    state.opening = None;
    state.ruling.close();
    state.uses.close();
    let height = super::super::view::log_height(state);
    let wanted = state.logbook.open(about, height);
    effects.push(read(wanted));
    effects
}

fn read(wanted: Wanted) -> Effect {
    Effect::Ask(Request::ReadLog(wanted))
}

/// Asks for what will be on the screen soon.
pub(super) fn go_on(state: &mut State) -> Vec<Effect> {
    let size = state.head.unwrap_or(0);
    state.logbook.go_on(size).map(read).into_iter().collect()
}

/// Takes a stretch of the log.
pub(super) fn put(state: &mut State, batch: Batch) -> Vec<Effect> {
    // It ends at a verified head, which may be newer than the one that was told.
    state.head = state.head.max(Some(batch.to).filter(|to| *to > 0));
    state.logbook.put(batch);
    go_on(state)
}

/// Notes that a stretch cannot be read.
pub(super) fn failed(state: &mut State, serial: u32, why: String) -> Vec<Effect> {
    state.logbook.failed(serial, why);
    Vec::new()
}

/// Takes an entry.
pub(super) fn put_entry(state: &mut State, entry: Entry) -> Vec<Effect> {
    if let Some(shown) = state.logbook.shown_mut() {
        shown.show_entry(entry);
    }
    Vec::new()
}

/// Says why an entry cannot be shown.
pub(super) fn no_entry(state: &mut State, seq: u64, why: &str) -> Vec<Effect> {
    if state
        .logbook
        .shown_mut()
        .is_some_and(|shown| shown.no_entry(seq))
    {
        state.notify(Printable::from_ours(why), true);
    }
    Vec::new()
}

/// Does what a key asks for while the log is looked at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
pub(super) fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(shown) = state.logbook.shown_mut() else {
        return Vec::new();
    };
    let page = shown.page();
    let about = shown.selected().and_then(|item| item.request);
    match command {
        Command::Down => shown.move_by(1),
        Command::Up => shown.move_by(-1),
        Command::PageDown => shown.move_by(page),
        Command::PageUp => shown.move_by(page.saturating_neg()),
        Command::First => {
            return state
                .logbook
                .jump(Reach::Newest)
                .map(read)
                .into_iter()
                .collect();
        }
        Command::Last => {
            return state
                .logbook
                .jump(Reach::Oldest)
                .map(read)
                .into_iter()
                .collect();
        }
        Command::Open => return ask_entry(state, false),
        Command::Verify => return ask_entry(state, true),
        Command::OpenRequest => return open_request(state, about),
        Command::PickAgent
        | Command::PickReviewer
        | Command::PickType
        | Command::PickRequest
        | Command::PickAll => return pick(state, command),
        Command::Back => return back(state),
        _ => {}
    }
    go_on(state)
}

/// Does what a key asks for while an entry is looked at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
pub(super) fn in_entry(state: &mut State, command: Command) -> Vec<Effect> {
    let (height, width) = super::super::view::entry_size(state);
    let Some(shown) = state.logbook.shown_mut() else {
        return Vec::new();
    };
    let Some(looked) = shown.entry_mut() else {
        return Vec::new();
    };
    let screen = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
    let page = &looked.entry.page;
    let cells = width.saturating_sub(page.indent()).max(1);
    let last = page.last_top(height, cells, true);
    let step = |rows| page.step(looked.place, rows, cells, true);
    let (seq, leaf, request) = (looked.entry.seq, looked.entry.leaf, looked.entry.request);
    let place = match command {
        Command::Down => step(1),
        Command::Up => step(-1),
        Command::PageDown => step(screen),
        Command::PageUp => step(screen.saturating_neg()),
        Command::First => Place::default(),
        Command::Last => last,
        Command::Back => {
            shown.leave_entry();
            return Vec::new();
        }
        Command::Verify => {
            shown.ask_entry(seq);
            return vec![Effect::Ask(Request::ProveEntry { seq, leaf })];
        }
        Command::OpenRequest => return open_request(state, request),
        _ => return Vec::new(),
    };
    looked.place = place.min(last);
    Vec::new()
}

fn ask_entry(state: &mut State, is_proven: bool) -> Vec<Effect> {
    let Some(shown) = state.logbook.shown_mut() else {
        return Vec::new();
    };
    let Some((seq, leaf)) = shown.selected().map(|item| (item.seq, item.leaf)) else {
        if !shown.is_empty() {
            state.notify_ours(
                "these entries are gone; what they said is in their archive",
                false,
            );
        }
        return Vec::new();
    };
    shown.ask_entry(seq);
    vec![Effect::Ask(if is_proven {
        Request::ProveEntry { seq, leaf }
    } else {
        Request::ReadEntry { seq, leaf }
    })]
}

/// Opens the request that an entry is about.
fn open_request(state: &mut State, about: Option<RequestId>) -> Vec<Effect> {
    let Some(id) = about else {
        state.notify_ours("this entry is about no request", false);
        return Vec::new();
    };
    state.opening = Some(id);
    vec![Effect::Ask(Request::Load(id))]
}

/// Leaves the log, back to the request that it was opened from.
fn back(state: &mut State) -> Vec<Effect> {
    let was_opening = state.opening.take().is_some();
    if was_opening {
        return Vec::new();
    }
    match state.logbook.close() {
        Some(id) => open_request(state, Some(id)),
        None => Vec::new(),
    }
}

/// Picks entries that have something in common with the selected one, or lets that go again.
fn pick(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(shown) = state.logbook.shown() else {
        return Vec::new();
    };
    let Some((picked, agent_of)) = picked_by(command, shown.picked(), shown.selected()) else {
        state.notify_ours("the selected entry has none", false);
        return Vec::new();
    };
    vec![read(state.logbook.pick(picked, agent_of))]
}

/// What is picked then; nothing when the selected entry does not say.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only the picking commands come here"
)]
fn picked_by(
    command: Command,
    picked: &Picked,
    selected: Option<&Item>,
) -> Option<(Picked, Option<RequestId>)> {
    let mut picked = picked.clone();
    let mut agent_of = None;
    match command {
        Command::PickAll => picked = Picked::default(),
        Command::PickType if picked.entry_type.take().is_none() => {
            picked.entry_type = Some(selected?.entry_type.to_owned());
        }
        Command::PickRequest if picked.request.take().is_none() => {
            picked.request = Some(selected?.request?.to_string());
        }
        Command::PickReviewer if picked.reviewer.take().is_none() => {
            let item = selected.filter(|item| item.side == ActorKind::Reviewer)?;
            picked.reviewer = Some(item.actor.raw_str()?.to_owned());
        }
        Command::PickAgent if picked.agent.take().is_none() => {
            let item = selected?;
            if item.side == ActorKind::Agent {
                picked.agent = Some(item.actor.raw_str()?.to_owned());
            } else {
                agent_of = Some(item.request?);
            }
        }
        _ => {}
    }
    Some((picked, agent_of))
}
