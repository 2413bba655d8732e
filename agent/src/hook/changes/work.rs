//! How much work it may take to tell what a call would change.
//!
//! An agent writes the call, and could write one that takes longer to describe than its client waits.
//! What is counted here grows with the time that is needed, so that the end is the same on every
//! machine; it is far beyond what a person could look through.

use super::ChangeError;

/// The most work: about as many bytes compared or lines moved.
const MOST: usize = 256 * 1024 * 1024;

/// What a file costs, however small it is.
pub(super) const A_FILE: usize = 4096;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Work {
    left: usize,
}

impl Work {
    /// Begins to count.
    pub(super) const fn new() -> Self {
        Self { left: MOST }
    }

    /// Counts.
    ///
    /// # Errors
    /// When it becomes too much.
    pub(super) fn spend(&mut self, amount: usize) -> Result<(), ChangeError> {
        self.left = self.left.checked_sub(amount).ok_or(ChangeError::TooMuch)?;
        Ok(())
    }
}
