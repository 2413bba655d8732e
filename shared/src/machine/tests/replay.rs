//! The log is the event list: what was written down and read again gives the same request.

use proptest::prelude::*;

use super::lives::{life, play};
use crate::machine::{Event, Received, Request};
use crate::time::Moment;

/// Writes a value as the log does, names sorted, and reads it again.
fn through_json<T>(value: &T) -> T
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let sorted = serde_json::to_value(value).unwrap();
    let text = serde_json::to_string(&sorted).unwrap();
    serde_json::from_str(&text).unwrap()
}

proptest! {
    #[test]
    fn replaying_the_written_events_gives_the_same_request(life in life()) {
        let world = play(&life, |_| Ok(()))?;
        let received: Received = through_json(&world.received);
        let (mut again, _) =
            Request::receive(&through_json(&world.received_now), world.request.id(), received);
        for attempt in world.accepted() {
            let event: Event = through_json(&attempt.event);
            prop_assert_eq!(&event, &attempt.event);
            let direct = serde_json::to_string(&attempt.event).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Event>(&direct).unwrap(), &event);
            let now: Moment = through_json(&attempt.now);
            let replayed = again.apply(&now, &event);
            prop_assert!(replayed.is_ok(), "{:?} to {}", replayed, direct);
            prop_assert_eq!(&again, &attempt.after);
        }
        prop_assert_eq!(&again, &world.request);
    }

    #[test]
    fn a_stored_request_goes_on_as_if_it_had_not_been_stored(life in life()) {
        play(&life, |world| {
            let stored: Request = through_json(&world.request);
            prop_assert_eq!(&stored, &world.request);
            Ok(())
        })?;
    }
}

#[test]
fn an_event_with_an_unknown_field_is_not_read() {
    for text in [
        r#"{"type":"request.expired","body":{"extra":1}}"#,
        r#"{"type":"request.expired","body":{},"extra":1}"#,
        r#"{"type":"request.unknown","body":{}}"#,
        r#"{"type":"execution.started","body":{"pid":-1}}"#,
        r#"{"type":"request.approved","body":{"via":"reviewers"}}"#,
        r#"{"body":{}}"#,
    ] {
        assert!(
            serde_json::from_str::<Event>(text).is_err(),
            "`{text}` was read"
        );
    }
    let text = r#"{"body":{},"type":"request.expired"}"#;
    assert_eq!(
        serde_json::from_str::<Event>(text).unwrap(),
        Event::Expired {}
    );
}
