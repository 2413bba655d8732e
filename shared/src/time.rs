//! Wall time, boot time and deadlines. Nothing here reads a clock.
//!
//! A [`Moment`] is what the daemon reads at once: wall time, which boot this is, and the time since
//! that boot. A [`Deadline`] is stored the same way, and the sooner of the two clocks ends it, so
//! that setting a clock back lengthens nothing (R10).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not a time in the one accepted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time is written `YYYY-MM-DDTHH:MM:SS.mmmZ`")]
pub struct TimeError;

/// Milliseconds of Unix time, written `YYYY-MM-DDTHH:MM:SS.mmmZ` (RFC 3339, always UTC).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first moment of the year 0, in milliseconds of Unix time.
    const MIN: i64 = -62_167_219_200_000;
    /// The last moment that the library for times writes in every time zone, on the last day but one of the
    /// year 9999, in milliseconds of Unix time.
    const MAX: i64 = 253_402_207_200_999;

    /// Makes a time from milliseconds of Unix time; years before 0 and after 9999 are clamped.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN, Self::MAX))
    }

    /// Returns milliseconds of Unix time.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the time `span` later, or the last one that can be written.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }

    /// Returns how much later this is than `earlier`, zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Whole milliseconds of a span, saturating.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        let time = Self(parsed.as_millisecond());
        if time.to_string() == text {
            Ok(time)
        } else {
            Err(TimeError)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Which boot of the machine: the kernel's `boot_id`, without dashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    /// Takes the kernel's text; dashes and white space are dropped.
    pub fn new(text: &str) -> Self {
        Self(text.chars().filter(char::is_ascii_alphanumeric).collect())
    }
}

/// One reading of all clocks: the `now` an event is applied with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Wall time.
    pub wall: Timestamp,
    /// The boot this was read in.
    pub boot: BootId,
    /// Milliseconds since that boot, time asleep included.
    pub mono_ms: u64,
}

/// When something ends, by both clocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// The wall time of the end.
    pub wall: Timestamp,
    /// The boot whose clock `mono_ms` counts on.
    pub boot: BootId,
    /// Milliseconds since that boot at the end.
    pub mono_ms: u64,
}

impl Deadline {
    /// Returns the deadline `span` after `now`.
    pub fn after(now: &Moment, span: Duration) -> Self {
        Self {
            wall: now.wall.plus(span),
            boot: now.boot.clone(),
            mono_ms: now
                .mono_ms
                .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Tells whether the deadline has come: by wall time, or by boot time on the same boot.
    pub fn has_passed(&self, now: &Moment) -> bool {
        now.wall >= self.wall || (now.boot == self.boot && now.mono_ms >= self.mono_ms)
    }

    /// Tells whether `now` is on the boot this deadline was set in.
    pub fn is_on_boot_of(&self, now: &Moment) -> bool {
        now.boot == self.boot
    }

    /// Returns how long is left, by the clock that ends sooner.
    pub fn left(&self, now: &Moment) -> Duration {
        let by_wall = self.wall.since(now.wall);
        if now.boot == self.boot {
            by_wall.min(Duration::from_millis(
                self.mono_ms.saturating_sub(now.mono_ms),
            ))
        } else {
            by_wall
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(wall: i64, boot: &str, mono_ms: u64) -> Moment {
        Moment {
            wall: Timestamp::from_millis(wall),
            boot: BootId::new(boot),
            mono_ms,
        }
    }

    #[test]
    fn a_time_has_one_spelling() {
        let time = Timestamp::from_millis(1_795_294_153_007);
        assert_eq!(time.to_string(), "2026-11-21T20:49:13.007Z");
        for other in [
            "2026-11-21T20:49:13Z",
            "2026-11-21T20:49:13.0070Z",
            "2026-11-21t20:49:13.007z",
            "2026-11-21T20:49:13.007+00:00",
            "2026-11-21 20:49:13.007Z",
            "2026-11-21T21:49:13.007+01:00",
            "",
        ] {
            assert_eq!(other.parse::<Timestamp>(), Err(TimeError), "{other}");
        }
    }

    #[test]
    fn a_clock_set_back_lengthens_nothing() {
        let deadline = Deadline::after(&moment(1_000_000, "a", 500), Duration::from_secs(10));
        assert!(!deadline.has_passed(&moment(1_009_999, "a", 10_499)));
        assert!(deadline.has_passed(&moment(1_010_000, "a", 600)));
        assert!(deadline.has_passed(&moment(0, "a", 10_500)));
        assert!(!deadline.has_passed(&moment(0, "b", 10_500)));
    }

    proptest! {
        #[test]
        fn times_round_trip(millis in Timestamp::MIN..=Timestamp::MAX) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn a_deadline_passes_exactly_when_nothing_is_left(
            wall in 0i64..100_000, mono in 0u64..100_000, same_boot: bool,
        ) {
            let deadline = Deadline::after(&moment(50_000, "a", 50_000), Duration::from_secs(1));
            let now = moment(wall, if same_boot { "a" } else { "b" }, mono);
            prop_assert_eq!(deadline.has_passed(&now), deadline.left(&now).is_zero());
        }
    }
}
