//! Reading a change from a request document.
//!
//! The document was judged when it was made; what does not have the form of a change here is an
//! error all the same, so that nothing is drawn as less than it is.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::{Change, Contents, DiffError, Part};
use crate::text::{Mask, Untrusted};

/// Reads a change.
pub(super) fn change(change: &Value) -> Result<Change, DiffError> {
    let path = change.get("path").and_then(Value::as_str);
    let path = path.ok_or(form("path", "a string"))?;
    let mode = match change.get("mode") {
        None | Some(Value::Null) => None,
        Some(mode) => Some(octal(mode).ok_or(form("mode", "octal digits in a string"))?),
    };
    let contents = |field| match change.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => contents(value)
            .map(Some)
            .ok_or(form(field, "contents: `text`, or `base64` and `size`")),
    };
    Ok(Change {
        path: Untrusted::new(path),
        before: contents("before")?,
        after: contents("after")?,
        mode,
    })
}

/// Returns the error for `field`.
const fn form(field: &'static str, expected: &'static str) -> DiffError {
    DiffError::Form { field, expected }
}

/// Reads permissions.
fn octal(mode: &Value) -> Option<u32> {
    let digits = mode.as_str()?;
    let known =
        (3..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    u32::from_str_radix(digits, 8).ok().filter(|_| known)
}

/// Reads contents.
fn contents(value: &Value) -> Option<Contents> {
    let members = value.as_object()?;
    if let Some(base64) = members.get("base64") {
        let bytes = BASE64.decode(base64.as_str()?.as_bytes()).ok()?;
        let size = members
            .get("size")
            .map_or(Some(None), |size| size.as_u64().map(Some))?;
        let known = members.len() == 1 + usize::from(size.is_some());
        let same = size.is_none_or(|size| u64::try_from(bytes.len()) == Ok(size));
        // Whoever sent text in disguise is shown as having sent what cannot be read.
        return (known && same).then_some(Contents::Binary(bytes));
    }
    match only(members, "text")? {
        Value::String(text) => Some(Contents::Text(Untrusted::new(text.as_str()))),
        Value::Object(masked) => {
            let parts = match only(masked, "$parts") {
                Some(parts) => parts.as_array()?.iter().map(part).collect::<Option<_>>()?,
                None => vec![Part::Mask(mask(masked)?)],
            };
            Some(Contents::Masked(parts))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Reads a part of a masked string.
fn part(part: &Value) -> Option<Part> {
    match part.as_str() {
        Some(text) => Some(Part::Text(Untrusted::new(text))),
        None => mask(part.as_object()?).map(Part::Mask),
    }
}

/// Reads a mask.
fn mask(members: &Map<String, Value>) -> Option<Mask> {
    let mask = only(members, "$mask")?;
    Some(Mask {
        class: mask.get("class")?.as_str()?.to_owned(),
        length: mask.get("length")?.as_u64()?,
        tag: mask.get("tag")?.as_str()?.to_owned(),
    })
}

/// Returns the member `name` of an object that has no other.
fn only<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|_| members.len() == 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_masked_value_in_a_file_stays_a_marker_in_its_row() {
        let mask =
            json!({"$mask": {"class": "token", "length": 40, "tag": "9f3a", "commitment": "5b"}});
        let change = Change::read(&json!({
            "path": ".env",
            "before": {"text": "A=1\nKEY=old\n"},
            "after": {"text": {"$parts": ["A=1\nKEY=", mask, "\n"]}},
            "mode": "0600",
        }))
        .unwrap();
        let diff = super::super::diff(&change, None).unwrap();
        let rows: Vec<_> = diff.rows.iter().map(|row| row.text.as_str()).collect();
        assert_eq!(
            rows,
            ["A=1", "KEY=old", "KEY=<masked token of 40 bytes, 9f3a>"]
        );
        let after = diff.after.unwrap();
        assert_eq!((after.size, after.digest, after.lines), (49, None, 2));
        assert_eq!(diff.mode, Some(0o600));
        assert!(after.line_feed_at_end && !diff.contents_not_shown);
    }

    #[test]
    fn contents_in_base64_are_never_drawn_as_text() {
        let change = Change::read(
            &json!({"path": "a", "before": null, "after": {"base64": "YQ==", "size": 1}}),
        )
        .unwrap();
        assert_eq!(change.after, Some(Contents::Binary(b"a".to_vec())));
        assert!(
            super::super::diff(&change, None)
                .unwrap()
                .contents_not_shown
        );
    }

    #[test]
    fn what_is_not_a_change_is_refused() {
        for change in [
            json!({}),
            json!({"path": 1}),
            json!({"path": "a", "after": "text"}),
            json!({"path": "a", "after": {"text": 1}}),
            json!({"path": "a", "after": {"text": "a", "more": 1}}),
            json!({"path": "a", "after": {"text": {"$parts": [1]}}}),
            json!({"path": "a", "after": {"base64": "YQ==", "size": 2}}),
            json!({"path": "a", "after": {"base64": "YQ==", "text": "b"}}),
            json!({"path": "a", "mode": 420}),
            json!({"path": "a", "mode": "0888"}),
        ] {
            assert!(
                matches!(Change::read(&change), Err(DiffError::Form { .. })),
                "{change}"
            );
        }
    }
}
