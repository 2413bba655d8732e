//! What people owe: reviews after broken glass, and words on runs of unknown end.
//!
//! The list is the daemon's, asked for anew whenever something in it may have changed. Nothing is
//! decided here; a review is closed from the request itself.

use countersign_shared::id::RequestId;
use countersign_shared::text::Untrusted;

use super::super::model::Row;

/// What is owed, and where in its list the reviewer is.
#[derive(Debug, Default)]
pub struct Owed {
    debts: Vec<Row>,
    unsettled: Vec<Row>,
    /// The selected row while the list is open.
    selected: Option<usize>,
}

impl Owed {
    /// Takes what the daemon says, the newest first.
    pub fn put(&mut self, debts: Vec<Row>, unsettled: Vec<Row>) {
        let id = self.selected().map(|row| row.id);
        self.debts = debts;
        self.unsettled = unsettled;
        if let Some(at) = self.selected {
            let found = self.rows().position(|row| Some(row.id) == id);
            self.selected = Some(found.unwrap_or(at).min(self.len().saturating_sub(1)));
        }
    }

    /// Returns the reviews that are owed.
    pub fn debts(&self) -> &[Row] {
        &self.debts
    }

    /// Returns the runs of unknown end.
    pub fn unsettled(&self) -> &[Row] {
        &self.unsettled
    }

    /// Returns all rows: first the debts, then the runs.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.debts.iter().chain(&self.unsettled)
    }

    /// Returns how many rows there are.
    pub const fn len(&self) -> usize {
        self.debts.len().saturating_add(self.unsettled.len())
    }

    /// Tells whether nobody owes anything.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether a request is among those that are owed.
    pub fn contains(&self, id: &RequestId) -> bool {
        self.rows().any(|row| row.id == *id)
    }

    /// Opens the list, or closes it.
    pub fn toggle(&mut self) {
        self.selected = match self.selected {
            None => Some(0),
            Some(_) => None,
        };
    }

    /// Tells whether the list is open.
    pub const fn is_open(&self) -> bool {
        self.selected.is_some()
    }

    /// Moves the selection.
    pub fn move_by(&mut self, rows: isize) {
        if let Some(at) = self.selected {
            self.select(at.saturating_add_signed(rows));
        }
    }

    /// Selects a row by its number.
    pub fn select(&mut self, row: usize) {
        self.selected = Some(row.min(self.len().saturating_sub(1)));
    }

    /// Returns the number of the selected row; nothing while the list is closed.
    pub const fn selected_row(&self) -> Option<usize> {
        self.selected
    }

    /// Returns the selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.rows().nth(self.selected?)
    }

    /// Returns those who broke the glass and are owed a review, each once.
    pub fn breakers(&self) -> Vec<&Untrusted> {
        let mut names: Vec<&Untrusted> = Vec::new();
        for name in self.debts.iter().filter_map(|row| row.owed_by.as_ref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{detail, plain};
    use super::super::super::model::Tier;
    use super::*;

    fn row(number: u8) -> Row {
        Row {
            owed_by: Some(Untrusted::new("ana")),
            ..detail(number, Tier::High, plain()).row
        }
    }

    #[test]
    fn the_selection_stays_with_its_request_when_the_list_changes() {
        let mut owed = Owed::default();
        owed.put(vec![row(1), row(2)], vec![row(3)]);
        owed.toggle();
        owed.move_by(1);
        assert_eq!(owed.selected().map(|row| row.id), Some(row(2).id));
        owed.put(vec![row(4), row(1), row(2)], vec![row(3)]);
        assert_eq!(owed.selected().map(|row| row.id), Some(row(2).id));
        owed.put(Vec::new(), vec![row(3)]);
        assert_eq!(owed.selected().map(|row| row.id), Some(row(3).id));
        owed.put(Vec::new(), Vec::new());
        assert!(owed.selected().is_none());
        owed.toggle();
        assert!(!owed.is_open());
    }

    #[test]
    fn whoever_broke_the_glass_twice_is_named_once() {
        let mut owed = Owed::default();
        owed.put(vec![row(1), row(2)], Vec::new());
        assert_eq!(owed.breakers(), [&Untrusted::new("ana")]);
    }
}
