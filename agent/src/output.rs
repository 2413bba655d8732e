//! Results go to stdout, messages to stderr, and both only as text that cannot act on a terminal.
//!
//! A reader that goes away ends nothing here: what was asked for happened all the same.

use std::io::{self, Write};

use countersign_shared::text::{Printable, Untrusted};
use rustix::fs::FileType;
use serde_json::Value;

use crate::failure::Failure;

/// Tells whether anybody could read what is written to stdout.
///
/// A descriptor that was closed at the start is the null device by now, which takes everything.
pub(crate) fn is_heard() -> bool {
    rustix::fs::fstat(rustix::stdio::stdout()).is_ok_and(|stat| {
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        !(is_device && stat.st_rdev == rustix::fs::makedev(1, 3))
    })
}

/// Prints one line of a result.
pub(crate) fn result(text: &Printable) {
    line(io::stdout().lock(), text.as_str());
}

/// Prints one message.
pub(crate) fn message(text: &Printable) {
    line(io::stderr().lock(), text.as_str());
}

/// Prints a result as one line of JSON.
pub(crate) fn json(value: &Value) {
    line(io::stdout().lock(), &ascii(value));
}

/// Prints a failure: as JSON on stdout, or in words with the advice last on stderr.
pub(crate) fn failure(failure: &Failure, as_json: bool) {
    if as_json {
        json(&serde_json::json!({ "schema": 1, "error": failure.to_json() }));
        return;
    }
    message(&Printable::from_ours(format!("error: {}", failure.message)));
    if let Some(hint) = &failure.hint {
        message(&Printable::from_ours(format!("next: {hint}")));
    }
}

/// Prints what a reviewer or a rule said, under its name.
pub(crate) fn reason(reason: &Untrusted) {
    for row in Printable::prose(reason) {
        message(&Printable::concat([&Printable::ours("reason: "), &row]));
    }
}

fn line(mut to: impl Write, text: &str) {
    let written = writeln!(to, "{text}").and_then(|()| to.flush());
    // Nobody is left to be told.
    drop(written);
}

/// Writes JSON in ASCII, so that a text inside cannot act on a terminal either.
pub(crate) fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text.push_str(&format_unit(*unit));
        }
    }
    text
}

fn format_unit(unit: u16) -> String {
    format!("\\u{unit:04x}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_on_a_terminal_is_ascii_and_means_the_same() {
        let value = json!({"reason": "no\u{1b}[2J\u{9b}\u{202e}é😀\u{7f}\n"});
        let text = ascii(&value);
        assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
