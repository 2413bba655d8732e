//! The time of the day and the weekday, in the zone the daemon gives.

use countersign_shared::time::Timestamp;
use jiff::Timestamp as Instant;
use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use serde_json::json;

use super::{Draft, UNKNOWN};

pub(super) fn look(wall: Timestamp, offset_minutes: i32, draft: &mut Draft) {
    let zone = Offset::from_seconds(offset_minutes.saturating_mul(60)).map(TimeZone::fixed);
    let instant = Instant::from_millisecond(wall.as_millis());
    if let (Ok(zone), Ok(instant)) = (zone, instant) {
        let local = instant.to_zoned(zone);
        let weekday = match local.weekday() {
            Weekday::Monday => "monday",
            Weekday::Tuesday => "tuesday",
            Weekday::Wednesday => "wednesday",
            Weekday::Thursday => "thursday",
            Weekday::Friday => "friday",
            Weekday::Saturday => "saturday",
            Weekday::Sunday => "sunday",
        };
        draft.set(
            "time",
            json!({ "hour": local.hour(), "minute": local.minute(), "weekday": weekday }),
        );
    } else {
        draft.set(
            "time",
            json!({ "hour": -1, "minute": -1, "weekday": UNKNOWN }),
        );
        draft.unknown("time", "the clock is outside the years that can be written");
    }
}
