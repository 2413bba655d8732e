//! Quiet hours: a span of the local day, perhaps over midnight.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The text names no span of a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("quiet hours are written `22:00-07:00`, two different times of a day")]
pub struct QuietError;

/// A span of the day: from its first minute, until before its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: u16,
    until: u16,
}

impl Quiet {
    /// Tells whether a minute of the local day, from 0, is in it.
    pub const fn holds(self, minute: u16) -> bool {
        if self.from < self.until {
            self.from <= minute && minute < self.until
        } else {
            self.from <= minute || minute < self.until
        }
    }
}

impl FromStr for Quiet {
    type Err = QuietError;

    fn from_str(text: &str) -> Result<Self, QuietError> {
        let (from, until) = text.split_once('-').ok_or(QuietError)?;
        let quiet = Self {
            from: minute(from)?,
            until: minute(until)?,
        };
        if quiet.from == quiet.until {
            return Err(QuietError);
        }
        Ok(quiet)
    }
}

fn minute(text: &str) -> Result<u16, QuietError> {
    let (hours, minutes) = text.split_once(':').ok_or(QuietError)?;
    let two = |text: &str| -> Result<u16, QuietError> {
        if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuietError);
        }
        text.parse().map_err(|_| QuietError)
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours.saturating_mul(60).saturating_add(minutes);
    if minutes < 60 && all < DAY {
        Ok(all)
    } else {
        Err(QuietError)
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            until / 60,
            until % 60
        )
    }
}

impl<'de> Deserialize<'de> for Quiet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Returns the minute of the local day, from 0: by the system's time zone as it is now.
pub fn local_minute() -> u16 {
    let now = jiff::Timestamp::from_millisecond(crate::cli::wall_time().as_millis());
    let Ok(now) = now else {
        return 0;
    };
    let local = now.to_zoned(jiff::tz::TimeZone::system());
    let of = |part: i8| u16::try_from(part).unwrap_or_default();
    of(local.hour())
        .saturating_mul(60)
        .saturating_add(of(local.minute()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_may_go_over_midnight() {
        let night: Quiet = "22:00-07:30".parse().unwrap();
        for (minute, is_quiet) in [
            (22 * 60 - 1, false),
            (22 * 60, true),
            (DAY - 1, true),
            (0, true),
            (7 * 60 + 29, true),
            (7 * 60 + 30, false),
        ] {
            assert_eq!(night.holds(minute), is_quiet, "{minute}");
        }
        let lunch: Quiet = "12:00-13:00".parse().unwrap();
        assert!(lunch.holds(12 * 60) && !lunch.holds(13 * 60) && !lunch.holds(0));
        assert_eq!(night.to_string(), "22:00-07:30");
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "22-07",
            "22:00",
            "22:00-24:00",
            "22:60-07:00",
            "7:00-8:00",
            "08:00-08:00",
            "+1:00-02:00",
            "22:00-07:00 ",
        ] {
            assert_eq!(text.parse::<Quiet>(), Err(QuietError), "{text}");
        }
    }
}
