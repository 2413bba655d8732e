//! The clocks, read in one place.

use std::time::Duration;

use countersign_shared::time::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Returns wall time.
pub(crate) fn wall() -> Timestamp {
    let span = span(clock_gettime(ClockId::Realtime));
    Timestamp::from_millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the time since boot, time asleep included; only differences of it mean anything.
pub(crate) fn boot() -> Duration {
    span(clock_gettime(ClockId::Boottime))
}

fn span(time: Timespec) -> Duration {
    // Both clocks count up from zero; a negative reading would be a broken kernel.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
