//! A moment as people write one on a command line.

use std::str::FromStr;
use std::time::Duration;

use crate::limits::read_span;
use crate::time::Timestamp;

/// A time, a day, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At that time.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

/// The text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a day such as 2026-07-01, a time such as 2026-07-01T08:00:00Z, or how long ago, such as 36h"
)]
pub struct WhenError;

impl When {
    /// Returns the moment, as seen from `now`.
    pub fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => {
                let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(span))
            }
        }
    }
}

impl FromStr for When {
    type Err = WhenError;

    /// Reads a time of RFC 3339 in any zone; a day, which is its first moment in UTC; or a span such as
    /// `36h`.
    fn from_str(text: &str) -> Result<Self, WhenError> {
        let at = |time: jiff::Timestamp| Self::At(Timestamp::from_millis(time.as_millisecond()));
        // The library takes other forms of a day as well.
        if text.len() == "2026-07-01".len()
            && let Ok(day) = text.parse::<jiff::civil::Date>()
            && let Ok(midnight) = day.to_zoned(jiff::tz::TimeZone::UTC)
        {
            return Ok(at(midnight.timestamp()));
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(at(time));
        }
        read_span(text).map(Self::Ago).map_err(|_| WhenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_how_long_ago() {
        let now: Timestamp = "2026-11-21T20:00:00.000Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000Z"),
            ("2026-11-20T10:00:00.500+01:00", "2026-11-20T09:00:00.500Z"),
            ("36h", "2026-11-20T08:00:00.000Z"),
        ] {
            let moment: When = text.parse().unwrap();
            assert_eq!(moment.seen_from(now).to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "-3h", "2026-13-01", "20261120"] {
            assert_eq!(text.parse::<When>(), Err(WhenError), "{text}");
        }
    }
}
