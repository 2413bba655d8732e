//! The queue: rows that stay where they are.
//!
//! The selected request keeps both its id and its row on the screen. Arrivals wait beside the list
//! until they are merged, unless nothing in the list waits; a request that ends leaves its row in place, marked, until the selection
//! moves on. Nothing is opened or decided here.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use countersign_shared::id::RequestId;
use countersign_shared::text::{Findings, Printable};

use super::super::model::{Row, Standing};

/// A row, and what it looks like once it has been on the screen.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the daemon says.
    pub row: Row,
    look: OnceLock<Look>,
}

/// What a row looks like.
#[derive(Debug, Clone)]
pub struct Look {
    /// The id's first characters.
    pub short_id: Printable,
    /// The kind.
    pub kind: Printable,
    /// The target's kind and name.
    pub target: Printable,
    /// What the agent calls itself.
    pub agent: Printable,
    /// Whose process asks, as the kernel says.
    pub from: Printable,
    /// Who holds a claim.
    pub claimed_by: Option<Printable>,
    /// True when one of these texts hides something.
    pub hides_something: bool,
}

impl Entry {
    /// Takes a row as it is: of thousands that arrive at once, a screen shows a few.
    pub const fn new(row: Row) -> Self {
        Self {
            row,
            look: OnceLock::new(),
        }
    }

    /// Returns what the row looks like, encoded once.
    pub fn look(&self) -> &Look {
        self.look.get_or_init(|| Look::of(&self.row))
    }
}

impl Look {
    fn of(row: &Row) -> Self {
        let hides_something = [&row.kind, &row.target, &row.target_kind, &row.agent]
            .into_iter()
            .any(|text| Findings::of(text).is_hostile());
        Self {
            short_id: Printable::from_ours(row.id.to_string().chars().take(10).collect::<String>()),
            kind: Printable::exact(&row.kind),
            target: Printable::concat([
                &Printable::exact(&row.target_kind),
                &Printable::ours(":"),
                &Printable::exact(&row.target),
            ]),
            agent: Printable::exact(&row.agent),
            from: from(row),
            claimed_by: row.claimed_by.as_ref().map(Printable::exact),
            hides_something,
        }
    }
}

/// The user whose process asks; a user without a name is a number.
fn from(row: &Row) -> Printable {
    if row.requester.user.is_empty() {
        Printable::from_ours(format!("uid {}", row.requester.uid))
    } else {
        Printable::exact(&row.requester.user)
    }
}

/// The list.
#[derive(Debug, Default)]
pub struct Queue {
    shown: Vec<Entry>,
    places: HashMap<RequestId, usize>,
    /// Arrivals that are not in the list yet.
    waiting: HashMap<RequestId, Entry>,
    selected: usize,
    top: usize,
    height: usize,
    /// The ids that a snapshot has named so far; `None` when none is under way.
    snapshot: Option<HashSet<RequestId>>,
    /// What a snapshot did not name: it is over, and nobody said how.
    gone: HashSet<RequestId>,
}

impl Queue {
    /// Takes what the daemon says about a request.
    pub fn put(&mut self, row: Row) {
        if let Some(named) = &mut self.snapshot {
            named.insert(row.id);
        }
        self.gone.remove(&row.id);
        if let Some(entry) = self
            .places
            .get(&row.id)
            .and_then(|place| self.shown.get_mut(*place))
        {
            *entry = Entry::new(row);
            self.merge_when_idle();
            return;
        }
        if row.standing.is_live() {
            self.waiting.insert(row.id, Entry::new(row));
        } else {
            // It ended before it was ever shown.
            self.waiting.remove(&row.id);
        }
        self.merge_when_idle();
    }

    /// A snapshot of all open requests begins.
    pub fn begin_snapshot(&mut self) {
        self.snapshot = Some(HashSet::new());
    }

    /// The snapshot is complete: what it did not name ended in the meantime; so did the request that is
    /// open, if that is not in the list. Tells whether it did.
    pub fn end_snapshot(&mut self, open: Option<&Row>) -> bool {
        let Some(named) = self.snapshot.take() else {
            return false;
        };
        self.waiting.retain(|id, _| named.contains(id));
        for entry in &mut self.shown {
            if entry.row.standing.is_live() && !named.contains(&entry.row.id) {
                // No standing says "over, and nobody said how"; what counts is that it waits no more.
                entry.row.standing = Standing::Indeterminate;
                self.gone.insert(entry.row.id);
            }
        }
        if self.shown.is_empty() {
            self.merge();
        }
        let ended = open.filter(|row| row.standing.is_live() && !named.contains(&row.id));
        self.gone.extend(ended.map(|row| row.id));
        ended.is_some()
    }

    /// Tells whether a request is over, and nobody said here how.
    pub fn is_gone(&self, id: &RequestId) -> bool {
        self.gone.contains(id)
    }

    /// Takes the arrivals into the list and drops what ended, around the selected request.
    pub fn merge(&mut self) {
        let keep = self.selected_id();
        self.shown
            .extend(self.waiting.drain().map(|(_, entry)| entry));
        self.shown
            .retain(|entry| entry.row.standing.is_live() || Some(entry.row.id) == keep);
        // What waits for people stands above what they have decided.
        self.shown.sort_by_key(|entry| {
            let Row {
                standing,
                tier,
                expires_at,
                id,
                ..
            } = &entry.row;
            (!standing.is_waiting(), Reverse(*tier), *expires_at, *id)
        });
        self.settle(keep);
    }

    /// Takes the arrivals in at once when nothing in the list waits: then there is no row that a
    /// reviewer is about to act on, and a badge beside an empty list would only be overlooked.
    fn merge_when_idle(&mut self) {
        let is_idle = self.snapshot.is_none() && !self.waiting.is_empty();
        if is_idle
            && !self
                .shown
                .iter()
                .any(|entry| entry.row.standing.is_waiting())
        {
            self.merge();
        }
    }

    /// Moves the selection; what ended and was kept for it is dropped.
    pub fn move_by(&mut self, rows: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(rows).min(last);
        self.sweep();
        self.show_selected();
    }

    /// Selects a row by its number.
    pub fn select(&mut self, row: usize) {
        self.selected = row.min(self.shown.len().saturating_sub(1));
        self.sweep();
        self.show_selected();
    }

    /// Selects the next request that waits, from the selected one on; wraps around.
    pub fn select_next_waiting(&mut self) {
        self.merge_when_idle();
        let length = self.shown.len();
        let next = (1..=length)
            .map(|step| {
                self.selected
                    .saturating_add(step)
                    .checked_rem(length)
                    .unwrap_or(0)
            })
            .find(|at| {
                self.shown
                    .get(*at)
                    .is_some_and(|entry| entry.row.standing.is_waiting())
            });
        if let Some(next) = next {
            self.selected = next;
            self.show_selected();
        }
    }

    /// Says how many rows the screen has for the list.
    pub fn resize(&mut self, height: usize) {
        self.height = height;
        self.show_selected();
    }

    /// Returns the rows that are on the screen, and the number of the first.
    pub fn window(&self) -> (usize, &[Entry]) {
        let end = self.top.saturating_add(self.height).min(self.shown.len());
        (self.top, self.shown.get(self.top..end).unwrap_or_default())
    }

    /// Returns the selected request.
    pub fn selected(&self) -> Option<&Entry> {
        self.shown.get(self.selected)
    }

    /// Returns the number of the selected row.
    pub const fn selected_row(&self) -> usize {
        self.selected
    }

    /// Returns a request by its id, shown or not.
    pub fn get(&self, id: &RequestId) -> Option<&Entry> {
        match self.places.get(id) {
            Some(place) => self.shown.get(*place),
            None => self.waiting.get(id),
        }
    }

    /// Returns the word for where a request stands that waits no more.
    pub fn ended_word(&self, row: &Row) -> &'static str {
        if self.gone.contains(&row.id) {
            "over, outcome not known here"
        } else {
            row.standing.word()
        }
    }

    /// Returns how many of the rows wait for people.
    pub fn waiting(&self) -> usize {
        let rows = self.shown.iter();
        rows.filter(|entry| entry.row.standing.is_waiting()).count()
    }

    /// Returns how many rows there are.
    pub const fn len(&self) -> usize {
        self.shown.len()
    }

    /// Tells whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Returns how many arrivals wait to be merged, of those that wait for people.
    pub fn arrivals(&self) -> usize {
        let arrived = self.waiting.values();
        arrived
            .filter(|entry| entry.row.standing.is_waiting())
            .count()
    }

    /// Returns how many rows one page of the list has.
    pub fn page(&self) -> isize {
        isize::try_from(self.height.max(1)).unwrap_or(isize::MAX)
    }

    fn selected_id(&self) -> Option<RequestId> {
        self.selected().map(|entry| entry.row.id)
    }

    /// Drops rows of ended requests, but for the selected one.
    fn sweep(&mut self) {
        let keep = self.selected_id();
        let ended = |entry: &Entry| !entry.row.standing.is_live();
        if self
            .shown
            .iter()
            .any(|entry| ended(entry) && Some(entry.row.id) != keep)
        {
            self.shown
                .retain(|entry| !ended(entry) || Some(entry.row.id) == keep);
            self.settle(keep);
        }
    }

    /// After rows moved: finds the selected request again and keeps its row on the screen.
    fn settle(&mut self, keep: Option<RequestId>) {
        let on_screen = self.selected.saturating_sub(self.top);
        self.places = self
            .shown
            .iter()
            .enumerate()
            .map(|(place, entry)| (entry.row.id, place))
            .collect();
        self.selected = keep
            .and_then(|id| self.places.get(&id).copied())
            .unwrap_or(self.selected)
            .min(self.shown.len().saturating_sub(1));
        // No row hides above the screen while there is room below: an arrival that is merged is seen.
        let lowest = self.shown.len().saturating_sub(self.height.max(1));
        self.top = self.selected.saturating_sub(on_screen).min(lowest);
        self.show_selected();
    }

    fn show_selected(&mut self) {
        let height = self.height.max(1);
        let lowest = self.selected.saturating_add(1).saturating_sub(height);
        self.top = self.top.clamp(lowest, self.selected);
    }
}

#[cfg(test)]
mod tests;
