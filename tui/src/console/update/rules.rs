//! Looking at the rules that wait for people.

use super::super::event::{Effect, Request};
use super::super::keymap::Command;
use super::super::page::Place;
use super::super::state::State;
use super::super::state::ruling::Shown;

/// Asks what the rules that wait for people change.
pub(super) fn look(state: &mut State) -> Vec<Effect> {
    if state.ruling.waits() {
        state.ruling.ask();
        vec![Effect::Ask(Request::CompareRules)]
    } else {
        state.notify_ours("no rules wait for anybody", false);
        Vec::new()
    }
}

/// Does what a key asks for while a change of rules is looked at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
pub(super) fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Back => {
            state.ruling.close();
            return Vec::new();
        }
        Command::Rules => return look(state),
        _ => {}
    }
    let (height, width) = super::super::view::rules_size(state);
    let Some(shown) = state.ruling.shown_mut() else {
        return Vec::new();
    };
    let screen = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
    let (page, unfold) = (&shown.change.page, shown.unfold);
    let cells = width.saturating_sub(page.indent());
    let last = page.last_top(height, cells, unfold);
    let place = match command {
        Command::Down => page.step(shown.place, 1, cells, unfold),
        Command::Up => page.step(shown.place, -1, cells, unfold),
        Command::PageDown => page.step(shown.place, screen, cells, unfold),
        Command::PageUp => page.step(shown.place, screen.saturating_neg(), cells, unfold),
        Command::First => Place::default(),
        Command::Last => last,
        Command::NextFile => page.next_start(shown.place, true, unfold).unwrap_or(last),
        Command::PreviousFile => page
            .previous_start(shown.place, true, unfold)
            .unwrap_or_default(),
        Command::Unfold => return fold(shown),
        _ => return Vec::new(),
    };
    shown.place = place.min(last);
    Vec::new()
}

fn fold(shown: &mut Shown) -> Vec<Effect> {
    shown.place = shown.change.page.after_folding(shown.place, shown.unfold);
    shown.unfold = !shown.unfold;
    Vec::new()
}
