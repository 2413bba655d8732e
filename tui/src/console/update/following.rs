//! Following what a run of the daemon's own writes. The key that ends the run is judged by the safety
//! machine, as every key that decides.

use countersign_shared::id::RequestId;
use countersign_shared::text::Printable;

use super::super::event::{Effect, Request};
use super::super::keymap::Command;
use super::super::model::Standing;
use super::super::state::State;
use super::super::state::following::Following;

/// Follows the run of the open request.
pub(super) fn look(state: &mut State) -> Vec<Effect> {
    let Some(row) = state.open.as_ref().map(|open| &open.row) else {
        return Vec::new();
    };
    let id = row.id;
    if !matches!(row.standing, Standing::Redeemed | Standing::Running) {
        state.notify_ours("it does not run now, so there is nothing to follow", false);
        return Vec::new();
    }
    state.following = Some(Following::new(id));
    vec![Effect::Ask(Request::Follow(id))]
}

/// Leaves it.
pub(super) fn leave(state: &mut State) -> Vec<Effect> {
    match state.following.take() {
        Some(_) => vec![Effect::Ask(Request::Unfollow)],
        None => Vec::new(),
    }
}

/// Does what a key asks for while a run is followed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the table of keys says what holds here"
)]
pub(super) fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    if matches!(command, Command::Back | Command::Follow) {
        return leave(state);
    }
    let (height, width) = super::super::view::page_size(state);
    let Some(following) = &mut state.following else {
        return Vec::new();
    };
    let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
    match command {
        Command::Down => following.scroll(1, height, width),
        Command::Up => following.scroll(-1, height, width),
        Command::PageDown => following.scroll(page, height, width),
        Command::PageUp => following.scroll(page.saturating_neg(), height, width),
        Command::First => following.to_start(height, width),
        Command::Last => following.to_end(),
        _ => {}
    }
    Vec::new()
}

/// Changes the run that is followed, if it is this one.
pub(super) fn put(
    state: &mut State,
    id: RequestId,
    change: impl FnOnce(&mut Following),
) -> Vec<Effect> {
    if let Some(following) = state.following.as_mut().filter(|it| it.id == id) {
        change(following);
    }
    Vec::new()
}

/// Nothing more comes.
pub(super) fn over(state: &mut State, id: RequestId, why: &str) -> Vec<Effect> {
    let why = Printable::from_ours(why);
    put(state, id, |following| following.end(why))
}
