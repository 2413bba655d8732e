//! When a request that nobody decided calls for more eyes, and whose.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::is_group;

/// The text does not say when and whom to call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not `at N% to GROUP`, with N from 1 to 100 and a group of the roster")]
pub struct EscalationError {
    /// What was written.
    text: String,
}

/// A call for more eyes, written `at 50% to GROUP`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Escalation {
    at_percent: u8,
    to: String,
}

impl Escalation {
    /// Returns after how much of its lifetime the request calls, from 1 to 100.
    pub const fn at_percent(&self) -> u8 {
        self.at_percent
    }

    /// Returns the group that is called. It is told; the seats stay who they are.
    pub fn to(&self) -> &str {
        &self.to
    }
}

impl fmt::Display for Escalation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}% to {}", self.at_percent, self.to)
    }
}

impl FromStr for Escalation {
    type Err = EscalationError;

    fn from_str(text: &str) -> Result<Self, EscalationError> {
        let wrong = || EscalationError {
            text: text.to_owned(),
        };
        let mut words = text.split_ascii_whitespace();
        let (Some("at"), Some(percent), Some("to"), Some(to), None) = (
            words.next(),
            words.next(),
            words.next(),
            words.next(),
            words.next(),
        ) else {
            return Err(wrong());
        };
        let digits = percent.strip_suffix('%').ok_or_else(wrong)?;
        if digits.starts_with(['0', '+']) {
            return Err(wrong());
        }
        let at_percent = digits
            .parse()
            .ok()
            .filter(|percent| (1..=100).contains(percent))
            .ok_or_else(wrong)?;
        if !is_group(to) {
            return Err(wrong());
        }
        Ok(Self {
            at_percent,
            to: to.to_owned(),
        })
    }
}

impl Serialize for Escalation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Escalation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read: Self = text.parse().map_err(D::Error::custom)?;
        if read.to_string() == text {
            Ok(read)
        } else {
            Err(D::Error::custom("written differently than it is read"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escalation_is_read_and_written() {
        let read: Escalation = "at 50%  to sre-leads".parse().unwrap();
        assert_eq!((read.at_percent(), read.to()), (50, "sre-leads"));
        assert_eq!(read.to_string(), "at 50% to sre-leads");
        let json = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Escalation>(&json).unwrap(), read);
    }

    #[test]
    fn what_says_neither_when_nor_whom_is_refused() {
        for text in [
            "",
            "at 50%",
            "at 0% to sre",
            "at 101% to sre",
            "at 050% to sre",
            "at +5% to sre",
            "at 5 to sre",
            "at 5% to SRE",
            "50% to sre",
            "at 50% to sre and dba",
        ] {
            assert!(text.parse::<Escalation>().is_err(), "`{text}` was read");
        }
    }
}
