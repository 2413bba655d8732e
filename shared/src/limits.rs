//! The `[limits]` table of the configuration: what is too much, and how long things last.
//!
//! Only values and their defaults; whoever enforces one names it, and the size found, in the
//! refusal. Spans of time are written `"20s"`, `"15m"`, `"1h"`; sizes are plain integers.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Every limit that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The size of an action as it is submitted, in bytes.
    pub action_bytes: usize,
    /// Lines in all texts of an action together.
    pub lines: usize,
    /// The length of a line in a text of an action, in bytes.
    pub line_bytes: usize,
    /// Requests of one uid that wait for people at the same time.
    pub held_per_uid: u32,
    /// Requests of one uid that come to wait for people within an hour.
    pub held_per_uid_and_hour: u32,
    /// Requests that wait for people, of everybody.
    pub pending: u32,
    /// How long a request waits for people.
    #[serde(deserialize_with = "span")]
    pub lifetime: Duration,
    /// How long an approval can be redeemed.
    #[serde(deserialize_with = "span")]
    pub approval: Duration,
    /// How long a run may take.
    #[serde(deserialize_with = "span")]
    pub max_run: Duration,
    /// How long the last waiter of an attached request may be gone.
    #[serde(deserialize_with = "span")]
    pub disconnect_grace: Duration,
    /// How long the same action is refused after a deny.
    #[serde(deserialize_with = "span")]
    pub deny_cooldown: Duration,
    /// How long a reviewer's claim lasts.
    #[serde(deserialize_with = "span")]
    pub claim_lease: Duration,
    /// After how much of its lifetime a request calls for more eyes, from 1 to 100.
    #[serde(deserialize_with = "percent")]
    pub escalate_at_percent: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            action_bytes: 1024 * 1024,
            lines: 200_000,
            line_bytes: 1024 * 1024,
            held_per_uid: 16,
            held_per_uid_and_hour: 120,
            pending: 20_000,
            lifetime: Duration::from_secs(60 * 60),
            approval: Duration::from_secs(5 * 60),
            max_run: Duration::from_secs(60 * 60),
            disconnect_grace: Duration::from_secs(20),
            deny_cooldown: Duration::from_secs(10 * 60),
            claim_lease: Duration::from_secs(5 * 60),
            escalate_at_percent: 50,
        }
    }
}

/// The text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a span of time is written like `20s`, `15m` or `1h`, and is longer than nothing")]
pub struct SpanError;

/// Reads a span of time written with units, such as `20s`, `1h 30m` or `PT15M`.
///
/// Zero, negative spans and fractions of a millisecond are refused: none of them can be meant as a
/// limit, and the stored clocks count milliseconds.
pub fn read_span(text: &str) -> Result<Duration, SpanError> {
    let signed: jiff::SignedDuration = text.parse().map_err(|_| SpanError)?;
    let span = Duration::try_from(signed).map_err(|_| SpanError)?;
    if span.is_zero() || span.subsec_nanos() % 1_000_000 != 0 {
        return Err(SpanError);
    }
    Ok(span)
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    read_span(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let percent = u8::deserialize(deserializer)?;
    if (1..=100).contains(&percent) {
        Ok(percent)
    } else {
        Err(serde::de::Error::custom(
            "a percentage of the lifetime is from 1 to 100",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_keeps_its_default() {
        let limits: Limits = serde_json::from_str(r#"{"approval":"90s","pending":5}"#).unwrap();
        let expected = Limits {
            approval: Duration::from_secs(90),
            pending: 5,
            ..Limits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn an_unknown_limit_is_refused() {
        let error = serde_json::from_str::<Limits>(r#"{"aproval":"90s"}"#).unwrap_err();
        assert!(error.to_string().contains("aproval"), "{error}");
    }

    #[test]
    fn spans_are_read_with_their_units() {
        for (text, seconds) in [("20s", 20), ("15m", 900), ("1h", 3600), ("1h 30m", 5400)] {
            assert_eq!(read_span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "20", "-5m", "5m ago", "0s", "1ns", "forever", "1h1h"] {
            assert_eq!(read_span(text), Err(SpanError), "{text}");
        }
        assert!(serde_json::from_str::<Limits>(r#"{"lifetime":3600}"#).is_err());
    }

    #[test]
    fn a_percentage_is_one() {
        for text in ["0", "101", "-1", "50.5", "256"] {
            let table = format!(r#"{{"escalate_at_percent":{text}}}"#);
            assert!(serde_json::from_str::<Limits>(&table).is_err(), "{text}");
        }
    }

    #[test]
    fn every_limit_is_in_the_documentation_with_its_default() {
        let page = include_str!("../../docs/configuration.md");
        let (_, documentation) = page.split_once("\n### [limits]").unwrap();
        let error = serde_json::from_str::<Limits>(r#"{"no":1}"#).unwrap_err();
        let error = error.to_string();
        let (_, names) = error.split_once("expected one of ").unwrap();
        let mut count = 0;
        for name in names.split('`').skip(1).step_by(2) {
            let (_, rest) = documentation
                .split_once(&format!("| `{name}` | "))
                .expect(name);
            let (written, _) = rest.split_once(" |").unwrap();
            let table = format!("{{\"{name}\":{}}}", written.trim_matches('`'));
            let limits: Limits = serde_json::from_str(&table).expect(name);
            assert_eq!(limits, Limits::default(), "{name}");
            count += 1;
        }
        assert_eq!(count, 13);
    }
}
