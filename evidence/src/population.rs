//! Every request of a period, one to a row: the population that an auditor draws samples from.
//!
//! A row can be computed again from the entries and the document by a script without libraries, and
//! the evidence pack's script does that. So texts are not in the Exact encoding here but in a
//! simpler one: printable ASCII stands for itself, everything else, and the backslash, is `\uXXXX`
//! for each unit of UTF-16 ([`ascii`]).

use countersign_shared::document::Document;

use crate::life::Life;

/// The names of the columns.
pub const COLUMNS: [&str; 27] = [
    "request",
    "received_seq",
    "received_at",
    "requester_uid",
    "principal",
    "kind",
    "target",
    "agent",
    "tier",
    "review",
    "digest",
    "rules",
    "state",
    "state_at",
    "via",
    "approved_by",
    "denied_by",
    "self_attested",
    "decided_at",
    "decided_after_s",
    "glass_broken_by",
    "glass_reviewed_by",
    "redeemed_at",
    "executor",
    "outcome",
    "exit",
    "document",
];

/// Writes a text in printable ASCII, so that another text is written otherwise.
pub fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0u16; 2];
    for c in text.chars() {
        if matches!(c, ' '..='~') && c != '\\' {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            out.push_str("\\u");
            for shift in [12u8, 8, 4, 0] {
                let digit = u32::from((*unit >> shift) & 0xf);
                out.extend(char::from_digit(digit, 16));
            }
        }
    }
    out
}

/// Writes milliseconds as seconds.
pub(crate) fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Returns the row of a request; its document is nothing when it was erased.
pub fn row(life: &Life, document: Option<&Document>) -> [String; COLUMNS.len()] {
    let text = |text: &Option<String>| text.as_deref().map(ascii).unwrap_or_default();
    let names = |approves| {
        let names: Vec<String> = life.names(approves).map(ascii).collect();
        names.join("; ")
    };
    let of = |part: fn(&Document) -> &str| document.map(|it| ascii(part(it))).unwrap_or_default();
    let agent = document.and_then(|document| document.claim("agent"));
    let time = |at: Option<countersign_shared::time::Timestamp>| {
        at.map(|at| at.to_string()).unwrap_or_default()
    };
    let deed = |deed: &Option<crate::life::Deed>| {
        deed.as_ref()
            .map(|deed| ascii(&deed.reviewer))
            .unwrap_or_default()
    };
    [
        life.id.to_string(),
        life.received_seq.to_string(),
        life.received_at.to_string(),
        life.uid.map(|uid| uid.to_string()).unwrap_or_default(),
        ascii(&life.principal),
        of(Document::kind),
        of(Document::target_name),
        agent.map(ascii).unwrap_or_default(),
        ascii(&life.tier),
        ascii(&life.review),
        ascii(&life.digest),
        ascii(&life.rules),
        life.state.word().to_owned(),
        life.state_at.to_string(),
        text(&life.via),
        names(true),
        names(false),
        life.is_self_attested().to_string(),
        time(life.decided_at),
        life.decided_after_ms().map(seconds).unwrap_or_default(),
        deed(&life.glass),
        deed(&life.debt),
        time(life.redeemed_at),
        text(&life.executor),
        text(&life.outcome),
        life.exit.map(|exit| exit.to_string()).unwrap_or_default(),
        if document.is_some() { "kept" } else { "erased" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_scripts_and_marks_are_written_in_ascii() {
        assert_eq!(
            ascii("b\u{fc}ro \\ \u{1f511}\n"),
            "b\\u00fcro \\u005c \\ud83d\\udd11\\u000a"
        );
    }

    #[test]
    fn milliseconds_keep_their_zeros() {
        assert_eq!(seconds(13_050), "13.050");
        assert_eq!(seconds(7), "0.007");
    }

    proptest! {
        #[test]
        fn different_texts_are_written_differently(a in ".*", b in ".*") {
            prop_assert!(ascii(&a).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(a == b, ascii(&a) == ascii(&b));
        }
    }
}
