//! The one place that reads a clock.
//!
//! Everything else takes a [`Moment`] as an argument, or holds a [`Clock`] and asks it. A test sets
//! its own with [`Clock::fixed`] and moves it with the [`Hand`] it gets.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_shared::log::entry::Sync;
use countersign_shared::time::{BootId, Moment, Timestamp};

use crate::sys;

/// Where the kernel tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clocks cannot be read, so no deadline could be kept.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The boot cannot be told from another.
    #[error("cannot read `{BOOT_ID}`")]
    Boot(#[source] io::Error),
    /// The file does not hold a boot id.
    #[error("`{BOOT_ID}` does not hold a boot id")]
    NoBootId,
}

/// Reads wall time, boot id and boot time at once.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// The machine's clocks, on the boot read at the start.
    Machine(BootId),
    /// A clock that only a test's hand moves.
    Fixed(Arc<Mutex<Moment>>),
}

impl Clock {
    /// Returns the machine's clock.
    ///
    /// # Errors
    /// When the kernel does not tell which boot this is.
    pub fn machine() -> Result<Self, ClockError> {
        let text = std::fs::read_to_string(BOOT_ID).map_err(ClockError::Boot)?;
        let digits = text.chars().filter(char::is_ascii_hexdigit).count();
        if digits != 32 {
            return Err(ClockError::NoBootId);
        }
        Ok(Self(Source::Machine(BootId::new(&text))))
    }

    /// Returns a clock that stands at `start`, and the hand that moves it.
    pub fn fixed(start: Moment) -> (Self, Hand) {
        let shared = Arc::new(Mutex::new(start));
        (Self(Source::Fixed(Arc::clone(&shared))), Hand(shared))
    }

    /// Reads all clocks.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::Machine(boot) => Moment {
                wall: wall(),
                boot: boot.clone(),
                mono_ms: since_boot(),
            },
            Source::Fixed(moment) => hold(moment).clone(),
        }
    }

    /// Asks whether wall time follows a time source.
    pub fn sync(&self) -> Sync {
        match self.0 {
            Source::Machine(_) => match sys::clock_is_synchronised() {
                Ok(true) => Sync::Synced,
                Ok(false) => Sync::Unsynced,
                Err(_) => Sync::Unknown,
            },
            Source::Fixed(_) => Sync::Unknown,
        }
    }
}

/// Moves a fixed clock.
#[derive(Debug, Clone)]
pub struct Hand(Arc<Mutex<Moment>>);

impl Hand {
    /// Lets time pass on both clocks.
    pub fn advance(&self, span: Duration) {
        let mut moment = hold(&self.0);
        moment.wall = moment.wall.plus(span);
        moment.mono_ms = moment
            .mono_ms
            .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    }

    /// Puts all clocks where the test wants them, backwards and onto another boot as well.
    pub fn set(&self, moment: Moment) {
        *hold(&self.0) = moment;
    }
}

/// Locks a moment. A panic elsewhere leaves a whole moment behind, so poisoning means nothing here.
fn hold(moment: &Mutex<Moment>) -> MutexGuard<'_, Moment> {
    moment.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everyone else is told to ask"
)]
fn wall() -> Timestamp {
    let now = SystemTime::now();
    Timestamp::from_millis(match now.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    })
}

/// Milliseconds since boot, time asleep included.
fn since_boot() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1000).saturating_add(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Moment {
        Moment {
            wall: Timestamp::from_millis(1_795_294_153_007),
            boot: BootId::new("a"),
            mono_ms: 7,
        }
    }

    #[test]
    fn the_machine_clock_runs_forward_on_one_boot() {
        let clock = Clock::machine().unwrap();
        let first = clock.now();
        let second = clock.now();
        assert_eq!(first.boot, second.boot);
        assert!(second.mono_ms >= first.mono_ms);
        assert!(first.wall > Timestamp::from_millis(1_700_000_000_000));
    }

    #[test]
    fn a_fixed_clock_moves_only_by_its_hand() {
        let (clock, hand) = Clock::fixed(start());
        let copy = clock.clone();
        assert_eq!(clock.now(), start());
        hand.advance(Duration::from_millis(1500));
        assert_eq!(copy.now().mono_ms, 1507);
        assert_eq!(
            copy.now().wall.since(start().wall),
            Duration::from_millis(1500)
        );
        hand.set(start());
        assert_eq!(copy.now(), start());
    }

    #[test]
    fn a_clock_can_be_shared_between_threads() {
        fn shareable<T: Send + std::marker::Sync + Clone + 'static>() {}
        shareable::<Clock>();
    }
}
