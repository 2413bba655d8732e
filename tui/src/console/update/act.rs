//! What the safety machine's acts do to the rest of the state.

use countersign_shared::id::RequestId;
use countersign_shared::text::Printable;

use super::super::event::Effect;
use super::super::page::Place;
use super::super::prepare::{Prepared, Tab};
use super::super::safety::{Confirm, Decision, Input, Obstacle, SheetKind, Verdict};
use super::super::state::{Open, State};
use super::feed;

/// A request is ready: shows it, if it is still the one that was asked for.
pub(super) fn opened(state: &mut State, prepared: Box<Prepared>) {
    let id = prepared.detail.row.id;
    if state.opening != Some(id) {
        return;
    }
    state.opening = None;
    // The list may know more than the answer did; a different document is seen to be stale.
    let row = state
        .queue
        .get(&id)
        .map_or_else(|| prepared.detail.row.clone(), |entry| entry.row.clone());
    let ends = state.when(row.expires_at);
    let subject = prepared.subject(&row, ends, state.me.as_ref());
    let mut open = Open {
        prepared,
        row,
        tab: Tab::What,
        places: [Place::default(); 5],
        unfold: false,
    };
    if open.page().is_empty() {
        open.tab = Tab::Exact;
    }
    let changed_meanwhile = open.is_stale();
    state.open = Some(open);
    state.following = None;
    state.help = false;
    let _none = feed(state, Input::Opened(Box::new(subject)));
    if changed_meanwhile {
        changed(state, id);
    }
}

/// A request cannot be shown.
pub(super) fn not_opened(state: &mut State, id: RequestId, why: &str) {
    if state.opening == Some(id) {
        state.opening = None;
        state.notify(Printable::from_ours(why), true);
    }
}

/// Goes back to the queue.
pub(super) fn close(state: &mut State) -> Vec<Effect> {
    state.open = None;
    let mut effects = super::following::leave(state);
    effects.extend(feed(state, Input::Closed));
    effects
}

/// A decision is on its way: back to the queue, with the next request selected but not opened.
pub(super) fn decided(state: &mut State, decision: &Decision) {
    state.open = None;
    state.following = None;
    state.last_decision = Some((decision.verdict, state.now));
    state.queue.select_next_waiting();
    state.notify_ours(
        match decision.verdict {
            Verdict::Approve => "approval on its way, outcome unknown until the daemon answers",
            Verdict::Deny => "deny on its way, outcome unknown until the daemon answers",
            Verdict::Kill => "on its way: the end of the run, unknown until the daemon answers",
            Verdict::Close => "review on its way, outcome unknown until the daemon answers",
        },
        false,
    );
}

/// A deciding key was not live: says why.
pub(super) fn swallowed(state: &mut State, obstacle: Obstacle) {
    let text = Printable::concat([
        &Printable::ours("nothing decided: "),
        &super::super::view::status::obstacle_text(obstacle),
    ]);
    state.notify(text, false);
}

/// A sheet opened or closed: what it asks for comes into view.
pub(super) fn sheet_changed(state: &mut State) {
    let wants_code = matches!(
        state.safety.sheet().map(super::super::safety::Sheet::kind),
        Some(SheetKind::Approve {
            confirm: Confirm::Code(_),
            ..
        })
    );
    let (height, width) = super::super::view::page_size(state);
    let Some(open) = &mut state.open else {
        return;
    };
    if wants_code {
        for tab in [Tab::Diff, Tab::What] {
            let page = open.prepared.page(tab);
            if let Some(place) = page.place_of_code(open.unfold) {
                // With what stands above it, such as the name of the file.
                let above = isize::try_from(height / 2).unwrap_or(0).saturating_neg();
                let cells = width.saturating_sub(page.indent()).max(1);
                let place = page.step(place, above, cells, open.unfold);
                open.tab = tab;
                open.set_place(place);
                return;
            }
        }
    }
}

/// Shows a gated part.
pub(super) fn go_to_part(open: &mut Open, part: usize) {
    for tab in [Tab::What, Tab::Diff] {
        if let Some(place) = open.prepared.page(tab).place_of_part(part, open.unfold) {
            open.tab = tab;
            open.set_place(place);
            return;
        }
    }
}

/// Tells the safety machine how the open request stands now.
pub(super) fn changed(state: &mut State, id: RequestId) {
    let Some(open) = state.open.as_ref().filter(|open| open.row.id == id) else {
        return;
    };
    let input = Input::Changed {
        id,
        digest: open.row.digest,
        standing: open.row.standing,
        claimed_by_other: super::super::prepare::claimed_by_other(&open.row, state.me.as_ref()),
        debt: open.prepared.debt(&open.row, state.me.as_ref()),
        ends: state.when(open.row.expires_at),
    };
    let _none = feed(state, input);
}
