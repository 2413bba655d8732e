//! The clock of the keyboard: silence, bursts, and how long anything has to stand.
//!
//! Times are milliseconds of a monotonic clock that runs on while the machine sleeps; they are
//! passed in, never read.

use super::Obstacle;

/// Milliseconds on the console's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// Returns the time `span` milliseconds later.
    #[must_use]
    pub const fn plus(self, span: u64) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Returns the milliseconds since `earlier`, zero if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long a frame must stand before a key decides on it, in milliseconds.
pub const ARMING: u64 = 500;
/// How long no key may have come before a deciding one.
pub const QUIET: u64 = 150;
/// Two keys closer than this were not pressed by a finger.
pub const BURST: u64 = 15;
/// How long deciding keys are dead after a burst.
pub const DEAD: u64 = 300;
/// A held key that was not released by then is forgotten.
pub const STALE: u64 = 250;

/// What the keyboard did last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keyboard {
    last: Option<Millis>,
    dead_until: Option<Millis>,
}

impl Keyboard {
    /// Notes a key event.
    pub(super) fn pressed(&mut self, now: Millis) {
        if self.last.is_some_and(|last| now.since(last) < BURST) {
            self.dead_until = Some(now.plus(DEAD));
        }
        self.last = Some(now);
    }

    /// Tells whether a burst makes deciding keys dead.
    pub(super) fn burst(&self, now: Millis) -> Option<Obstacle> {
        self.dead_until
            .is_some_and(|until| now < until)
            .then_some(Obstacle::Burst)
    }

    /// Tells whether a deciding key that comes now would be live.
    pub(super) fn obstacle(&self, now: Millis) -> Option<Obstacle> {
        self.burst(now).or_else(|| {
            self.last
                .is_some_and(|last| now.since(last) < QUIET)
                .then_some(Obstacle::NotQuiet)
        })
    }

    /// When the keyboard will have been quiet for long enough.
    pub(super) fn quiet_at(&self) -> Option<Millis> {
        self.last.map(|last| last.plus(QUIET)).max(self.dead_until)
    }
}
