//! Waiting for a condition. Tests never sleep for a time that they hope is enough.

use std::thread::sleep;
use std::time::Duration;

/// How long anything in a test may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How long passes between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` finds something and returns it.
///
/// # Panics
/// When [`PATIENCE`] is over; `what` is named.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, look).unwrap_or_else(|| panic!("waited in vain: {what}"))
}

/// Waits until `condition` holds.
///
/// # Panics
/// When [`PATIENCE`] is over; `what` is named.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `look` finds something, and for no longer than `limit`.
pub fn wait_at_most<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if waited >= limit {
            return None;
        }
        sleep(PAUSE);
        waited += PAUSE;
    }
}
