//! `countersignd rotate-log-key`: the log's next key, and the end of the one before.

use std::path::Path;
use std::time::Duration;

use super::{Opened, reason::reason, say};
use crate::engine::Engine;

/// The longest overlap, in days: ten years.
const LONGEST_DAYS: u64 = 3650;

/// What is to be done with the log's keys.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Why; recorded in the log.
    #[arg(long, value_name = "WHY", value_parser = reason)]
    reason: String,
    /// How long the old key signs beside the new one, such as 30d or 12h; whoever does not connect
    /// meanwhile has to compare the new key by hand.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = overlap)]
    overlap: Duration,
    /// End the old key now, and make no new one.
    #[arg(long, conflicts_with = "overlap")]
    finish: bool,
}

fn overlap(text: &str) -> Result<Duration, String> {
    let wrong = || format!("must be hours or days from 1h to {LONGEST_DAYS}d, such as 30d");
    let hours = |number: &str, hours: u64| {
        let number: u64 = number.parse().ok()?;
        number.checked_mul(hours)
    };
    text.strip_suffix('d')
        .and_then(|days| hours(days, 24))
        .or_else(|| text.strip_suffix('h').and_then(|number| hours(number, 1)))
        .filter(|hours| (1..=LONGEST_DAYS * 24).contains(hours))
        .map(|hours| Duration::from_secs(hours * 3600))
        .ok_or_else(wrong)
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<()> {
    let opened = Opened::open(home)?;
    let database = opened.home.layout().database();
    let reason = arguments.reason.clone();
    if arguments.finish {
        let old = Engine::end_old_key(&database, opened.settings, reason)?;
        return say(&format!(
            "ended {old}\nrecorded; heads are signed with the new key alone from now on"
        ));
    }
    let rotated = Engine::rotate(&database, opened.settings, arguments.overlap, reason)?;
    say(&format!(
        "vkey {}\nending {} {}\nrecorded; start the daemon, and note the new key where the old one was \
         noted",
        rotated.new, rotated.old, rotated.until
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_hours_or_days_and_never_nothing() {
        let hours = |text| overlap(text).map(|span| span.as_secs() / 3600);
        assert_eq!(hours("30d"), Ok(720));
        assert_eq!(hours("1h"), Ok(1));
        assert_eq!(hours("3650d"), Ok(87_600));
        for wrong in [
            "",
            "d",
            "0d",
            "0h",
            "-1d",
            "3651d",
            "30",
            "1w",
            "99999999999999999999d",
            "1.5d",
        ] {
            assert!(overlap(wrong).is_err(), "{wrong}");
        }
    }
}
