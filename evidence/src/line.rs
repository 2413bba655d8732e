//! Entries and heads one at a time, each as one line, as they are streamed to a collector.
//!
//! The formats are those of the exports. A stream is read in journals and terminals, so its JSON is
//! printable ASCII: whatever else an agent or a person wrote is a JSON escape. That is the same value,
//! and its form after RFC 8785 is the entry's exact bytes again. Nothing is compared with a head
//! here; the heads that are streamed as well are what a collector compares with.

use std::fmt::Write as _;
use std::io;

use countersign_shared::log::tree::TreeHead;
use countersign_shared::time::Timestamp;
use serde_json::json;

use crate::meaning;
use crate::record::Record;
use crate::{cef, ocsf};

/// How an entry or a head is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The entry itself.
    Json,
    /// The Common Event Format.
    Cef,
    /// The Open Cybersecurity Schema Framework 1.8.
    Ocsf,
}

/// A head as it is told to a collector.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// Size and root.
    pub head: TreeHead,
    /// The signed note.
    pub note: &'a str,
    /// When it is told.
    pub at: Timestamp,
}

/// Writes an entry as a line, without a line feed.
///
/// # Errors
///
/// When it cannot be written as JSON.
pub fn entry(form: Form, record: &Record<'_>) -> io::Result<String> {
    match form {
        Form::Json => Ok(ascii(&String::from_utf8_lossy(record.bytes))),
        Form::Cef => cef::line(record),
        Form::Ocsf => Ok(ascii(&ocsf::event(record).to_string())),
    }
}

/// Writes a head as a line, without a line feed. In JSON its `type` is `head`, which no entry has.
pub fn head(form: Form, told: &Told<'_>) -> String {
    match form {
        Form::Json => ascii(
            &json!({
                "v": 1,
                "type": "head",
                "log": told.origin,
                "size": told.head.size,
                "root": told.head.root.to_base64(),
                "note": told.note,
            })
            .to_string(),
        ),
        Form::Cef => cef::head(told),
        Form::Ocsf => ascii(&ocsf::head(told).to_string()),
    }
}

/// Returns how grave an entry is, as syslog counts (RFC 5424, section 6.2.1): 6 is informational, 2
/// critical.
pub fn severity(record: &Record<'_>) -> u8 {
    match meaning::of(record).severity.0 {
        0 | 1 => 6,
        2 => 5,
        3 => 4,
        4 => 3,
        _ => 2,
    }
}

/// Writes each character of a JSON text that is not printable ASCII as an escape. Outside of its
/// strings such a text has none.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing into a text does not fail.
            let _always = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use countersign_shared::json;
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::Fixture;

    const FORMS: [Form; 3] = [Form::Json, Form::Cef, Form::Ocsf];

    fn told(note: &str) -> Told<'_> {
        Told {
            origin: "countersign/test",
            head: TreeHead::empty(),
            note,
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn every_entry_is_one_printable_line_and_its_canonical_form_the_exact_bytes() {
        let log = Fixture::with_reason("a\u{202e}b\nc \u{1f511} \u{7f}\u{9b}31m");
        for (at, bytes) in (0u64..).zip(&log.entries) {
            let record = Record::read(at, bytes).unwrap();
            for form in FORMS {
                let line = entry(form, &record).unwrap();
                assert!(!line.contains('\n') && !line.contains('\u{9b}'), "{line}");
            }
            for form in [Form::Json, Form::Ocsf] {
                let line = entry(form, &record).unwrap();
                assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
            let line = entry(Form::Json, &record).unwrap();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(&json::canonical(&value).unwrap(), bytes);
            let event: serde_json::Value =
                serde_json::from_str(&entry(Form::Ocsf, &record).unwrap()).unwrap();
            assert_eq!(event["raw_data"].as_str().unwrap().as_bytes(), bytes);
        }
    }

    #[test]
    fn a_head_is_one_line_with_its_note() {
        let note = "countersign/test\n0\nroot\n\n\u{2014} countersign/test sig\n";
        for form in FORMS {
            let line = head(form, &told(note));
            assert!(line.contains("countersign/test"), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        let value: serde_json::Value =
            serde_json::from_str(&head(Form::Json, &told(note))).unwrap();
        assert_eq!(value["note"], note);
        assert_eq!(value["type"], "head");
        assert!(Record::read(0, head(Form::Json, &told(note)).as_bytes()).is_err());
        let event: serde_json::Value =
            serde_json::from_str(&head(Form::Ocsf, &told(note))).unwrap();
        assert_eq!(event["raw_data"], note);
        assert!(head(Form::Cef, &told(note)).starts_with("CEF:0|Countersign|countersignd|1|head|"));
    }

    #[test]
    fn what_is_grave_is_grave_to_syslog() {
        let log = Fixture::story();
        for (at, bytes) in (0u64..).zip(&log.entries) {
            let record = Record::read(at, bytes).unwrap();
            assert!((2..=6).contains(&severity(&record)));
        }
        let mut log = Fixture::story();
        let (at, mika) = (log.entries.len(), log.person(crate::fixture::MIKA));
        let body = serde_json::json!({"via": "break-glass"});
        log.raw(&mika, None, "request.approved", &body);
        let record = Record::read(u64::try_from(at).unwrap(), &log.entries[at]).unwrap();
        assert_eq!(severity(&record), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_the_same_value_in_ascii(text in ".{0,64}") {
            let json = serde_json::to_string(&text).unwrap();
            let line = ascii(&json);
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
