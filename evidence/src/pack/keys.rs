//! The log's keys as a pack names them: for programs, and as a C2SP `tlog-policy`.

use std::fmt::Write as _;

use countersign_shared::log::keys::LogKeys;
use serde_json::{Value, json};

/// Writes the keys as a policy, the first one first: whoever has the first one needs no other.
pub(super) fn policy(keys: &LogKeys) -> String {
    let mut text = String::new();
    for span in keys.spans() {
        let from = span.from;
        let heads = match span.to {
            Some(to) => format!("heads of {from} to {to} entries"),
            None => format!("heads of {from} entries and more"),
        };
        // Writing to a `String` cannot fail.
        let _infallible = writeln!(text, "# signs {heads}\nlog {}", span.key);
    }
    text.push_str("quorum none\n");
    text
}

/// Says which key signs which heads, by their sizes.
pub(super) fn spans(keys: &LogKeys) -> Value {
    keys.spans()
        .iter()
        .map(|span| {
            json!({"vkey": span.key.to_string(), "from": span.from, "to": span.to,
                "until": span.until})
        })
        .collect()
}
