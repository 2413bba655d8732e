//! Counters with a ceiling, one per OS user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts something per OS user and refuses beyond a ceiling.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    ceiling: usize,
    taken: Arc<Mutex<HashMap<u32, usize>>>,
}

/// What one user has taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    uid: u32,
    amount: usize,
}

impl Budget {
    pub(super) fn new(ceiling: usize) -> Self {
        Self {
            ceiling,
            taken: Arc::default(),
        }
    }

    pub(super) fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// Returns an empty share for a user.
    pub(super) fn share(&self, uid: u32) -> Share {
        Share {
            budget: self.clone(),
            uid,
            amount: 0,
        }
    }
}

impl Share {
    /// Takes `amount` more, or nothing when that passes the ceiling; then returns how much would
    /// have been taken in all.
    pub(super) fn take(&mut self, amount: usize) -> Result<(), usize> {
        let mut taken = self
            .budget
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(self.uid).or_default();
        let wanted = count.saturating_add(amount);
        if wanted > self.budget.ceiling {
            return Err(wanted);
        }
        *count = wanted;
        self.amount = self.amount.saturating_add(amount);
        Ok(())
    }

    /// Gives all of it back.
    pub(super) fn give_back(&mut self) {
        let mut taken = self
            .budget
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.uid) {
            *count = count.saturating_sub(std::mem::take(&mut self.amount));
            if *count == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_at_the_ceiling_takes_nothing_from_another() {
        let budget = Budget::new(2);
        let mut first = budget.share(1);
        first.take(2).unwrap();
        assert_eq!(budget.share(1).take(1), Err(3));
        budget.share(2).take(2).unwrap();
        drop(first);
        budget.share(1).take(2).unwrap();
        assert!(budget.taken.lock().unwrap().is_empty());
    }
}
