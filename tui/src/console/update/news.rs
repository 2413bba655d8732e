//! What the client tells, and what it changes.

use countersign_shared::id::RequestId;
use countersign_shared::text::Printable;

use super::super::event::{Effect, News, Request};
use super::super::model::{self, Row};
use super::super::safety::{Input, Wire};
use super::super::state::State;
use super::super::state::ruling::Standing;
use super::{act, feed, following, logbook, uses};

pub(super) fn update(state: &mut State, news: News) -> Vec<Effect> {
    match news {
        News::Connected => {
            state.queue.begin_snapshot();
            feed(state, Input::Wire(Wire::Syncing))
        }
        News::Disconnected { tries } => {
            state.tries = tries;
            feed(state, Input::Wire(Wire::Down))
        }
        News::Draining => feed(state, Input::Wire(Wire::Draining)),
        News::Row(row) => on_row(state, *row),
        News::SnapshotComplete {
            reviewer,
            now,
            local,
        } => {
            state.me = reviewer;
            state.tries = 0;
            state.set_clock(now, local);
            let open = state.open.as_mut().map(|open| &mut open.row);
            if state.queue.end_snapshot(open.as_deref())
                && let Some(row) = open
            {
                row.standing = model::Standing::Indeterminate;
            }
            refresh_open(state);
            let mut effects = feed(state, Input::Wire(Wire::Live));
            state.logbook.try_again();
            effects.extend(logbook::go_on(state));
            effects
        }
        News::Owed { debts, unsettled } => {
            state.owed.put(debts, unsettled);
            Vec::new()
        }
        News::Rules(standing) => on_rules(state, *standing),
        News::RulesChange(change) => {
            state.ruling.show(*change);
            Vec::new()
        }
        News::NoRulesChange { why } => {
            state.ruling.close();
            state.notify(Printable::from_ours(why), true);
            Vec::new()
        }
        News::Log(batch) => logbook::put(state, *batch),
        News::NoLog { serial, why } => logbook::failed(state, serial, why),
        News::LogEntry(entry) => logbook::put_entry(state, *entry),
        News::NoLogEntry { seq, why } => logbook::no_entry(state, seq, &why),
        News::Uses(table) => uses::put(state, *table),
        News::NoUses { serial, why } => uses::failed(state, serial, why),
        News::UsedBy { rows, unread } => uses::used_by(state, rows, unread),
        News::Output { id, lines } => following::put(state, id, |it| it.put(lines)),
        News::OutputMissed { id, pieces } => following::put(state, id, |it| it.miss(pieces)),
        News::OutputOver { id, why } => following::over(state, id, &why),
        News::HeadAdvanced { size } => {
            state.head = Some(state.head.map_or(size, |head| head.max(size)));
            logbook::go_on(state)
        }
        News::Forked { what } => {
            state.fork = Some(Printable::from_ours(what));
            feed(state, Input::Forked)
        }
        News::Open(id) => open(state, id),
        News::Loaded(detail) => {
            if state.opening == Some(detail.row.id) {
                vec![Effect::Prepare(detail)]
            } else {
                Vec::new()
            }
        }
        News::NotLoaded { id, why } => {
            act::not_opened(state, id, &why);
            Vec::new()
        }
        News::Decided {
            id,
            standing,
            missing,
        } => {
            let mut text = Printable::from_ours(format!("{id} is recorded: {}", standing.word()));
            if !missing.is_empty() {
                text.push(&Printable::from_ours(format!(", still missing: {missing}")));
            }
            state.notify(text, false);
            feed(state, Input::Answered(id))
        }
        News::NotDecided { id, why } => {
            let text = Printable::from_ours(format!("{id} was not decided: {why}"));
            state.notify(text, true);
            feed(state, Input::Answered(id))
        }
        News::Signing(signing) => feed(state, Input::Signing(signing)),
        News::Unlocked => {
            state.notify_ours("the key is unlocked; press the deciding key again", false);
            feed(state, Input::Unlocked)
        }
        News::NotUnlocked { why } => told(state, why, true),
        News::Notice { text } => told(state, text, false),
    }
}

fn told(state: &mut State, text: String, is_alarm: bool) -> Vec<Effect> {
    state.notify(Printable::from_ours(text), is_alarm);
    Vec::new()
}

/// Takes where the rules stand.
fn on_rules(state: &mut State, standing: Standing) -> Vec<Effect> {
    // Nobody needs to be called for what was there already.
    if state.ruling.put(standing) && !state.is_old() {
        vec![Effect::Bell]
    } else {
        Vec::new()
    }
}

/// Opens the request that the console was started for.
fn open(state: &mut State, id: RequestId) -> Vec<Effect> {
    // Somebody who looks at another request already is left alone.
    if state.open.is_some() || state.opening.is_some() {
        return Vec::new();
    }
    state.opening = Some(id);
    vec![Effect::Ask(Request::Load(id))]
}

fn on_row(state: &mut State, row: Row) -> Vec<Effect> {
    let id = row.id;
    let before = state.queue.get(&id).map(|entry| &entry.row);
    let new = before.is_none() && row.standing.is_waiting();
    // A debt that is listed was told before.
    let is_broken = row.break_glass
        && row.owed_by.is_some()
        && !state.owed.contains(&id)
        && before.is_none_or(|before| !before.break_glass);
    let is_called = row.escalated && before.is_some_and(|before| !before.escalated);
    if is_broken && !state.is_old() {
        glass_broken(state, &row);
    }
    if let Some(open) = state.open.as_mut().filter(|open| open.row.id == id) {
        open.row = row.clone();
    }
    state.queue.put(row);
    refresh_open(state);
    // Nobody needs to be called for what was there already.
    if (new || is_broken || is_called) && !state.is_old() {
        vec![Effect::Bell]
    } else {
        Vec::new()
    }
}

/// Somebody approved alone: everybody is told, whatever they look at.
fn glass_broken(state: &mut State, row: &Row) {
    let by = row.owed_by.clone().unwrap_or_default();
    let text = Printable::concat([
        &Printable::ours("THE GLASS WAS BROKEN by "),
        &Printable::exact(&by),
        &Printable::ours(" for "),
        &super::super::prepare::title(row),
    ]);
    state.notify(text, true);
}

/// Brings the newest row into what is open.
fn refresh_open(state: &mut State) {
    let Some(open) = &mut state.open else {
        return;
    };
    let id = open.row.id;
    if let Some(entry) = state.queue.get(&id) {
        open.row = entry.row.clone();
    }
    act::changed(state, id);
}
