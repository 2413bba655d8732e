//! One event in, the state changed, effects out. Nothing is drawn, sent or signed here.
//!
//! Every event that could matter to a decision passes through [`super::safety`] first; only what it
//! passes on is looked up in the key map.

mod act;
mod following;
mod logbook;
mod news;
mod rules;
mod uses;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::event::{Effect, Event, Request};
use super::keymap::{self, Command, Scope};
use super::safety::{Act, Input, Key, Millis, Press};
use super::state::{Open, State};

/// Changes the state by one event and returns what follows.
pub fn update(state: &mut State, now: Millis, event: Event) -> Vec<Effect> {
    state.now = state.now.max(now);
    if state
        .notice
        .as_ref()
        .is_some_and(|notice| state.now >= notice.until)
    {
        state.notice = None;
    }
    match event {
        // The keyboard's own rules need the time the key came, however late it is looked at.
        Event::Key(key) => on_key(state, now, &key),
        Event::Paste(text) => feed(state, Input::Paste(text)),
        Event::Resized { width, height } => {
            state.size = (width, height);
            state.fit();
            let mut effects = feed(state, Input::Resized);
            effects.extend(logbook::go_on(state));
            effects
        }
        Event::FocusGained => feed(state, Input::FocusGained),
        Event::Resumed => {
            let mut effects = feed(state, Input::Resumed);
            effects.push(Effect::Redraw);
            effects
        }
        Event::Tick => feed(state, Input::Tick),
        Event::Drawn(frame) => feed(state, Input::Drawn(frame)),
        Event::Prepared(prepared) => {
            act::opened(state, prepared);
            Vec::new()
        }
        Event::NotPrepared { id, why } => {
            act::not_opened(state, id, &why);
            Vec::new()
        }
        Event::News(news) => news::update(state, news),
    }
}

/// Gives an input to the safety machine and performs what follows inside the state.
fn feed(state: &mut State, input: Input) -> Vec<Effect> {
    let acts = state.safety.apply(state.now, input);
    acts.into_iter()
        .filter_map(|act| perform(state, act))
        .collect()
}

fn on_key(state: &mut State, now: Millis, event: &KeyEvent) -> Vec<Effect> {
    let press = match event.kind {
        KeyEventKind::Press => Press::Down,
        KeyEventKind::Repeat => Press::Repeat,
        KeyEventKind::Release => Press::Up,
    };
    let mut effects = Vec::new();
    for act in state.safety.apply(now, Input::Key(key_of(event), press)) {
        if act == Act::Pass {
            effects.extend(look_up(state, event));
        } else {
            effects.extend(perform(state, act));
        }
    }
    effects
}

/// Performs one act of the safety machine.
fn perform(state: &mut State, act: Act) -> Option<Effect> {
    match act {
        Act::Pass | Act::Taken => None,
        Act::Swallowed(obstacle) => {
            act::swallowed(state, obstacle);
            None
        }
        Act::SheetChanged => {
            act::sheet_changed(state);
            None
        }
        Act::Shown { id, display } => Some(Effect::Ask(Request::Shown { id, display })),
        Act::Unlock(passphrase) => Some(Effect::Ask(Request::Unlock(passphrase))),
        Act::Decide(decision) => {
            act::decided(state, &decision);
            Some(Effect::Ask(Request::Decide(decision)))
        }
    }
}

/// What a key event is to the safety machine.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a key that is not named here decides nothing"
)]
fn key_of(event: &KeyEvent) -> Key {
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    match event.code {
        KeyCode::Char(character) if plain => Key::Char(character),
        KeyCode::Enter if plain => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab if plain => Key::Tab,
        KeyCode::Backspace => Key::Backspace,
        _ => Key::Other,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is left depends on what is open"
)]
fn look_up(state: &mut State, event: &KeyEvent) -> Vec<Effect> {
    let scope = state.scope();
    let Some(command) = keymap::stroke(event).and_then(|stroke| keymap::command(scope, stroke))
    else {
        return Vec::new();
    };
    match command {
        Command::Quit => vec![Effect::Quit],
        Command::Suspend => vec![Effect::Suspend],
        Command::Redraw => vec![Effect::Redraw],
        Command::Help => {
            state.help = !state.help;
            Vec::new()
        }
        Command::Back if state.help => {
            state.help = false;
            Vec::new()
        }
        // In the list of what is owed nothing waits, and the rest is nobody's.
        Command::Claim if !matches!(scope, Scope::Queue | Scope::Detail) => Vec::new(),
        Command::Claim if state.open.is_none() && state.owed.is_open() => Vec::new(),
        Command::Claim => claim(state),
        Command::Take => {
            if state.open.is_some() {
                state.notify_ours("you may approve although another reviewer is on it", false);
                feed(state, Input::Take)
            } else {
                Vec::new()
            }
        }
        _ if state.help => Vec::new(),
        _ if scope == Scope::Output => following::on_command(state, command),
        _ if state.open.is_some() => in_detail(state, command),
        _ if scope == Scope::Entry => logbook::in_entry(state, command),
        _ if scope == Scope::Log => logbook::on_command(state, command),
        _ if scope == Scope::Uses => uses::on_command(state, command),
        _ if state.ruling.shown().is_some() => rules::on_command(state, command),
        _ if state.owed.is_open() => in_owed(state, command),
        _ => in_queue(state, command),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
fn in_queue(state: &mut State, command: Command) -> Vec<Effect> {
    let page = state.queue.page();
    match command {
        Command::Down => state.queue.move_by(1),
        Command::Up => state.queue.move_by(-1),
        Command::PageDown => state.queue.move_by(page),
        Command::PageUp => state.queue.move_by(page.saturating_neg()),
        Command::First => state.queue.select(0),
        Command::Last => state.queue.select(usize::MAX),
        Command::Merge => state.queue.merge(),
        Command::Owed => state.owed.toggle(),
        Command::Rules => return rules::look(state),
        Command::Log => return logbook::look(state),
        Command::Uses => return uses::look(state),
        Command::Back => {
            state.opening = None;
            state.ruling.close();
        }
        Command::Open => {
            let id = state.queue.selected().map(|entry| entry.row.id);
            state.opening = id;
            state.ruling.close();
            return id
                .map(|id| Effect::Ask(Request::Load(id)))
                .into_iter()
                .collect();
        }
        _ => {}
    }
    Vec::new()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
fn in_owed(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Down => state.owed.move_by(1),
        Command::Up => state.owed.move_by(-1),
        Command::PageDown => state.owed.move_by(state.queue.page()),
        Command::PageUp => state.owed.move_by(state.queue.page().saturating_neg()),
        Command::First => state.owed.select(0),
        Command::Last => state.owed.select(usize::MAX),
        Command::Back | Command::Owed => {
            state.opening = None;
            state.owed.toggle();
        }
        Command::Open => {
            let id = state.owed.selected().map(|row| row.id);
            state.opening = id;
            return id
                .map(|id| Effect::Ask(Request::Load(id)))
                .into_iter()
                .collect();
        }
        _ => {}
    }
    Vec::new()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
fn in_detail(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Back => return act::close(state),
        Command::Log => return logbook::look(state),
        Command::Follow => return following::look(state),
        _ => {}
    }
    let unseen = state.safety.seen().first_missing();
    let (height, width) = super::view::page_size(state);
    let Some(open) = &mut state.open else {
        return Vec::new();
    };
    let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
    match command {
        Command::Down => scroll(open, 1, height, width),
        Command::Up => scroll(open, -1, height, width),
        Command::PageDown => {
            let before = open.place();
            scroll(open, page, height, width);
            // At its end it goes on with what was not seen yet, on whichever page that is.
            if open.place() == before
                && let Some(part) = unseen
            {
                act::go_to_part(open, part);
            }
        }
        Command::PageUp => scroll(open, page.saturating_neg(), height, width),
        Command::First => open.set_place(super::page::Place::default()),
        Command::Last => {
            let cells = width.saturating_sub(open.page().indent());
            open.set_place(open.page().last_top(height, cells, open.unfold));
        }
        Command::NextTab => {
            let next = (open.tab as usize).saturating_add(1);
            open.tab = tab(next).or_else(|| tab(0)).unwrap_or(open.tab);
        }
        Command::Tab(number) => open.tab = tab(number).unwrap_or(open.tab),
        Command::NextHunk => jump(open, false, true),
        Command::PreviousHunk => jump(open, false, false),
        Command::NextFile => jump(open, true, true),
        Command::PreviousFile => jump(open, true, false),
        Command::Unfold => {
            let place = open.page().after_folding(open.place(), open.unfold);
            open.set_place(place);
            open.unfold = !open.unfold;
        }
        Command::NextUnseen => {
            if let Some(part) = unseen {
                act::go_to_part(open, part);
            }
        }
        _ => {}
    }
    Vec::new()
}

fn tab(number: usize) -> Option<super::prepare::Tab> {
    super::prepare::Tab::ALL.get(number).copied()
}

fn scroll(open: &mut Open, rows: isize, height: usize, width: usize) {
    let page = open.page();
    let cells = width.saturating_sub(page.indent());
    let last = page.last_top(height, cells, open.unfold);
    let place = page.step(open.place(), rows, cells, open.unfold);
    open.set_place(if rows > 0 {
        place.min(last.max(open.place()))
    } else {
        place
    });
}

fn jump(open: &mut Open, files: bool, forward: bool) {
    open.tab = super::prepare::Tab::Diff;
    let page = open.page();
    let place = if forward {
        page.next_start(open.place(), files, open.unfold)
    } else {
        page.previous_start(open.place(), files, open.unfold)
    };
    if let Some(place) = place {
        open.set_place(place);
    }
}

fn claim(state: &mut State) -> Vec<Effect> {
    let row = match &state.open {
        Some(open) => Some(&open.row),
        None => state.queue.selected().map(|entry| &entry.row),
    };
    let Some(row) = row else {
        return Vec::new();
    };
    let mine = row.claimed_by.is_some() && row.claimed_by == state.me;
    vec![Effect::Ask(if mine {
        Request::Release(row.id)
    } else {
        Request::Claim(row.id)
    })]
}

#[cfg(test)]
mod tests;
