//! Which reviewers are connected, for the line that a waiting caller sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The people who follow the queue now.
#[derive(Debug, Clone)]
pub(super) struct Online {
    seats: Arc<Mutex<BTreeMap<String, u32>>>,
    count: watch::Sender<u32>,
}

impl Default for Online {
    fn default() -> Self {
        Self {
            seats: Arc::default(),
            count: watch::Sender::new(0),
        }
    }
}

/// One console's seat; dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub(super) struct Seat {
    online: Online,
    name: String,
}

impl Online {
    /// A console of a person connected. Two consoles of one person are one reviewer.
    pub(super) fn sit(&self, name: &str) -> Seat {
        self.change(name, 1);
        Seat {
            online: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Follows the number of people.
    pub(super) fn subscribe(&self) -> watch::Receiver<u32> {
        self.count.subscribe()
    }

    fn change(&self, name: &str, by: i32) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = seats.entry(name.to_owned()).or_default();
        *seat = seat.saturating_add_signed(by);
        if *seat == 0 {
            seats.remove(name);
        }
        let people = u32::try_from(seats.len()).unwrap_or(u32::MAX);
        self.count
            .send_if_modified(|count| std::mem::replace(count, people) != people);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.online.change(&self.name, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_consoles_of_one_person_are_one_reviewer() {
        let online = Online::default();
        let count = online.subscribe();
        let first = online.sit("ana");
        let second = online.sit("ana");
        let third = online.sit("bo");
        assert_eq!(*count.borrow(), 2);
        drop(first);
        assert_eq!(*count.borrow(), 2);
        drop(second);
        drop(third);
        assert_eq!(*count.borrow(), 0);
    }
}
