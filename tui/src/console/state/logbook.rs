//! The log as it is looked at: a stretch of entries, the newest first, around the selected one.
//!
//! At most [`MOST`] rows are kept, whatever was scrolled through: what is far from the selection is let
//! go and read anew when it comes near again. Rows are what the daemon says; an entry is only proven
//! when somebody asks for that, and then [`Entry`] says how far it got. Nothing is decided here.

use std::collections::VecDeque;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::ActorKind;
use countersign_shared::log::tree::Hash;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;

use super::super::page::{Page, Place};
use crate::entries::filter::Picked;
use crate::proof::Proof;

/// How many rows are kept at most.
pub const MOST: usize = 1_000;

/// An entry, as a row tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its position in the log.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// Its type.
    pub entry_type: &'static str,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// Which side brought it about.
    pub side: ActorKind,
    /// Who did.
    pub actor: Untrusted,
    /// What there is to say beside that; cut when it is longer than any row.
    pub words: Untrusted,
    /// The hash of its bytes as the daemon listed them.
    pub leaf: Hash,
}

/// What a row of the list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// An entry.
    Entry(Item),
    /// Entries that are gone: pruned, by the word of the daemon.
    Gone {
        /// The first one's position.
        first: u64,
        /// The last one's.
        last: u64,
    },
}

impl Listed {
    /// Returns the entry, where there is one.
    pub const fn entry(&self) -> Option<&Item> {
        match self {
            Self::Entry(item) => Some(item),
            Self::Gone { .. } => None,
        }
    }

    /// Returns the first and the last position it stands for.
    const fn positions(&self) -> (u64, u64) {
        match self {
            Self::Entry(item) => (item.seq, item.seq),
            Self::Gone { first, last } => (*first, *last),
        }
    }

    /// Takes what is gone right before or behind what is gone here; tells whether it was that.
    fn join(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Gone { first, last },
                Self::Gone {
                    first: other_first,
                    last: other_last,
                },
            ) if other_last.saturating_add(1) == *first
                || last.saturating_add(1) == *other_first =>
            {
                *first = (*first).min(*other_first);
                *last = (*last).max(*other_last);
                true
            }
            (Self::Gone { .. } | Self::Entry(_), _) => false,
        }
    }
}

/// Which stretch of the log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its end.
    Newest,
    /// Its beginning.
    Oldest,
    /// What lies right before this position.
    Before(u64),
    /// What lies from this position on.
    From(u64),
}

/// What is asked of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Tells the answer from those to earlier questions.
    pub serial: u32,
    /// Which entries.
    pub picked: Picked,
    /// Only those of the agent that asked for this request; who that is, is found out.
    pub agent_of: Option<RequestId>,
    /// Which stretch.
    pub reach: Reach,
}

/// What was read of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The question's.
    pub serial: u32,
    /// Which entries were picked, with the agent that was found out.
    pub picked: Picked,
    /// Which stretch was asked for.
    pub reach: Reach,
    /// The first position that was looked at.
    pub from: u64,
    /// The first position behind those that were looked at.
    pub to: u64,
    /// Those that were picked, and where some are gone, the newest first.
    pub rows: Vec<Listed>,
}

/// An entry that is looked at whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub seq: u64,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// The hash of its bytes as the daemon listed them.
    pub leaf: Hash,
    /// What it holds, a value to a line.
    pub page: Page,
    /// How far its proof got; `None` when nobody asked for one.
    pub proof: Option<Proof>,
}

impl Entry {
    /// An entry of which nothing can be shown but that it is not proven.
    pub fn unproven(seq: u64, leaf: Hash, why: &str) -> Self {
        Self {
            seq,
            request: None,
            leaf,
            page: Page::default(),
            proof: Some(Proof::missing(why)),
        }
    }
}

/// An entry on the screen.
#[derive(Debug)]
pub struct ShownEntry {
    /// The entry.
    pub entry: Entry,
    /// The place at the top.
    pub place: Place,
}

/// The stretch that is looked at.
#[derive(Debug, Default)]
pub struct Stretch {
    rows: VecDeque<Listed>,
    /// The positions that were looked at.
    from: u64,
    to: u64,
    picked: Picked,
    selected: usize,
    top: usize,
    height: usize,
    /// What is being read.
    asked: Option<Reach>,
    /// Why the last question was not answered.
    failed: Option<String>,
    /// The entry that is looked at whole.
    entry: Option<ShownEntry>,
    /// The entry that is being read, by its position.
    entry_asked: Option<u64>,
    /// The request to go back to.
    back_to: Option<RequestId>,
}

/// The log, while somebody looks at it.
#[derive(Debug, Default)]
pub struct Logbook {
    serial: u32,
    shown: Option<Stretch>,
}

impl Logbook {
    /// Opens the log at its end: all of it, or what is about one request, to which the way leads back.
    pub fn open(&mut self, about: Option<RequestId>, height: usize) -> Wanted {
        let picked = Picked {
            request: about.map(|id| id.to_string()),
            ..Picked::default()
        };
        self.shown = Some(Stretch {
            height,
            back_to: about,
            picked: picked.clone(),
            ..Stretch::default()
        });
        self.ask(picked, None, Reach::Newest)
    }

    /// Leaves it; returns the request to go back to.
    pub fn close(&mut self) -> Option<RequestId> {
        self.serial = self.serial.wrapping_add(1);
        self.shown.take().and_then(|shown| shown.back_to)
    }

    /// Returns what is looked at.
    pub const fn shown(&self) -> Option<&Stretch> {
        self.shown.as_ref()
    }

    /// Returns what is looked at, to move it.
    pub const fn shown_mut(&mut self) -> Option<&mut Stretch> {
        self.shown.as_mut()
    }

    /// Asks anew for other entries; the rows of now stay until the answer comes.
    pub fn pick(&mut self, picked: Picked, agent_of: Option<RequestId>) -> Wanted {
        self.ask(picked, agent_of, Reach::Newest)
    }

    /// Asks for one end of the log.
    pub fn jump(&mut self, reach: Reach) -> Option<Wanted> {
        let picked = self.shown.as_ref()?.picked.clone();
        Some(self.ask(picked, None, reach))
    }

    /// Asks for what will be on the screen soon, unless an answer is awaited. `size` is that of the last
    /// verified head.
    pub fn go_on(&mut self, size: u64) -> Option<Wanted> {
        let shown = self.shown.as_ref()?;
        if shown.asked.is_some() || shown.failed.is_some() {
            return None;
        }
        let ahead = shown.height.max(1).saturating_mul(2);
        let below = shown.rows.len().saturating_sub(shown.top);
        let reach = if shown.to < size && shown.top < shown.height.max(1) {
            Reach::From(shown.to)
        } else if shown.from > 0 && below < ahead {
            Reach::Before(shown.from)
        } else {
            return None;
        };
        let picked = shown.picked.clone();
        Some(self.ask(picked, None, reach))
    }

    fn ask(&mut self, picked: Picked, agent_of: Option<RequestId>, reach: Reach) -> Wanted {
        self.serial = self.serial.wrapping_add(1);
        if let Some(shown) = &mut self.shown {
            shown.asked = Some(reach);
            shown.failed = None;
        }
        Wanted {
            serial: self.serial,
            picked,
            agent_of,
            reach,
        }
    }

    /// Takes what was read, if it is what was asked for last.
    pub fn put(&mut self, batch: Batch) {
        if batch.serial == self.serial
            && let Some(shown) = &mut self.shown
        {
            shown.asked = None;
            shown.put(batch);
        }
    }

    /// Notes that it could not be read.
    pub fn failed(&mut self, serial: u32, why: String) {
        if serial == self.serial
            && let Some(shown) = &mut self.shown
        {
            shown.asked = None;
            shown.failed = Some(why);
        }
    }

    /// Lets it be read again after a failure.
    pub fn try_again(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.asked = None;
            shown.failed = None;
        }
    }
}

impl Stretch {
    fn put(&mut self, batch: Batch) {
        let is_next = match batch.reach {
            Reach::Newest | Reach::Oldest => false,
            // A gap would look as if nothing were there.
            Reach::Before(before) => before == self.from,
            Reach::From(from) => from == self.to,
        };
        self.picked = batch.picked;
        match batch.reach {
            Reach::Newest | Reach::Oldest => {
                self.rows.clear();
                self.add_older(batch.rows);
                (self.from, self.to) = (batch.from, batch.to);
                self.selected = 0;
                self.top = 0;
                if batch.reach == Reach::Oldest {
                    self.select(usize::MAX);
                }
            }
            Reach::Before(_) if is_next => {
                self.from = batch.from;
                self.add_older(batch.rows);
            }
            Reach::From(_) if is_next => {
                self.to = batch.to;
                let rows = self.add_newer(batch.rows);
                // The entry that is selected stays selected; at its start the list shows what is new.
                if rows < self.rows.len() {
                    self.selected = self.selected.saturating_add(rows);
                }
                if self.top > 0 {
                    self.top = self.top.saturating_add(rows);
                }
            }
            Reach::Before(_) | Reach::From(_) => return,
        }
        self.let_go();
        self.show_selected();
    }

    fn add_older(&mut self, rows: Vec<Listed>) {
        for row in rows {
            if !self.rows.back_mut().is_some_and(|last| last.join(&row)) {
                self.rows.push_back(row);
            }
        }
    }

    /// Returns how many rows that makes.
    fn add_newer(&mut self, rows: Vec<Listed>) -> usize {
        let before = self.rows.len();
        for row in rows.into_iter().rev() {
            if !self.rows.front_mut().is_some_and(|first| first.join(&row)) {
                self.rows.push_front(row);
            }
        }
        self.rows.len().saturating_sub(before)
    }

    /// Lets rows go at the end that is further from the selection.
    fn let_go(&mut self) {
        while self.rows.len() > MOST {
            let is_late = self.selected >= self.rows.len() / 2;
            let gone = if is_late {
                self.selected = self.selected.saturating_sub(1);
                self.top = self.top.saturating_sub(1);
                self.rows.pop_front()
            } else {
                self.rows.pop_back()
            };
            let Some((first, last)) = gone.map(|row| row.positions()) else {
                return;
            };
            if is_late {
                self.to = first;
            } else {
                self.from = last.saturating_add(1);
            }
        }
    }

    /// Moves the selection.
    pub fn move_by(&mut self, rows: isize) {
        self.select(self.selected.saturating_add_signed(rows));
    }

    /// Selects a row by its number.
    pub fn select(&mut self, row: usize) {
        self.selected = row.min(self.rows.len().saturating_sub(1));
        self.show_selected();
    }

    /// Adapts to the size of the screen.
    pub fn resize(&mut self, height: usize) {
        self.height = height;
        self.show_selected();
    }

    fn show_selected(&mut self) {
        let lowest = self
            .selected
            .saturating_add(1)
            .saturating_sub(self.height.max(1));
        let end = self.rows.len().saturating_sub(self.height.max(1));
        self.top = self.top.min(end).clamp(lowest, self.selected.max(lowest));
    }

    /// Returns the selected entry, where the row is one.
    pub fn selected(&self) -> Option<&Item> {
        self.rows.get(self.selected).and_then(Listed::entry)
    }

    /// Returns the number of the selected row.
    pub const fn selected_row(&self) -> usize {
        self.selected
    }

    /// Returns how many rows lie above the screen, and those on it.
    pub fn window(&self) -> (usize, impl Iterator<Item = &Listed>) {
        let rows = self.rows.iter().skip(self.top).take(self.height.max(1));
        (self.top, rows)
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns how many rows one page has.
    pub fn page(&self) -> isize {
        isize::try_from(self.height.max(1)).unwrap_or(isize::MAX)
    }

    /// Returns the positions that were looked at.
    pub const fn looked_at(&self) -> (u64, u64) {
        (self.from, self.to)
    }

    /// Returns which entries are picked.
    pub const fn picked(&self) -> &Picked {
        &self.picked
    }

    /// Tells whether something is being read.
    pub const fn is_reading(&self) -> bool {
        self.asked.is_some() || self.entry_asked.is_some()
    }

    /// Returns why the log could not be read.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Notes that an entry is being read.
    pub const fn ask_entry(&mut self, seq: u64) {
        self.entry_asked = Some(seq);
    }

    /// Takes an entry, if it is the one that was asked for; where it was looked at before, it stays
    /// where it is.
    pub fn show_entry(&mut self, entry: Entry) {
        if self.entry_asked.take_if(|seq| *seq == entry.seq).is_none() {
            return;
        }
        let place = match &self.entry {
            Some(shown) if shown.entry.seq == entry.seq => shown.place,
            Some(_) | None => Place::default(),
        };
        self.entry = Some(ShownEntry { entry, place });
    }

    /// Notes that an entry could not be read; tells whether it was asked for.
    pub fn no_entry(&mut self, seq: u64) -> bool {
        self.entry_asked.take_if(|asked| *asked == seq).is_some()
    }

    /// Leaves the entry that is looked at, and waits for none any more.
    pub fn leave_entry(&mut self) {
        self.entry = None;
        self.entry_asked = None;
    }

    /// Returns the entry that is looked at.
    pub const fn entry(&self) -> Option<&ShownEntry> {
        self.entry.as_ref()
    }

    /// Returns the entry that is looked at, to move it.
    pub const fn entry_mut(&mut self) -> Option<&mut ShownEntry> {
        self.entry.as_mut()
    }
}

#[cfg(test)]
mod tests;
