//! Where the command line writes: results to standard output, messages to standard error.
//!
//! A reader that goes away (`| head`) is no error; whoever writes without end is told.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use countersign_shared::text::{Printable, Untrusted};
use serde::Serialize;

use super::exit::{Done, Trouble};

/// Writes one line of a result; tells whether somebody still reads.
pub(super) fn line(text: &Printable) -> bool {
    raw_line(text.as_str())
}

/// Writes one line of our own making.
pub(super) fn ours(text: &str) {
    raw_line(Printable::from_ours(text).as_str());
}

/// Writes a value as one line of JSON, in ASCII, so that a text inside cannot act on a terminal either;
/// tells whether somebody still reads.
pub(super) fn json(value: &impl Serialize) -> bool {
    serde_json::to_string(value).is_ok_and(|text| raw_line(&ascii(&text)))
}

/// Writes every character of JSON that is not printable ASCII as an escape (RFC 8259, section 7).
/// Outside of strings JSON has none.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// Refuses to write the exact bytes of others to a terminal, on which they could act.
pub(super) fn check_raw() -> Done {
    if io::stdout().is_terminal() {
        return Err(
            Trouble::usage("`--raw` writes what agents and programs wrote, byte for byte")
                .hint("redirect it to a file or a pipe, or leave `--raw` out"),
        );
    }
    Ok(())
}

/// Writes exact bytes; tells whether somebody still reads.
pub(super) fn bytes(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Writes a message for the person at the terminal.
pub(super) fn message(text: &str) {
    drop(writeln!(
        io::stderr().lock(),
        "{}",
        Printable::from_ours(text)
    ));
}

/// Writes a message that must not be missed, in red where standard error shows colours.
pub(super) fn alarm(text: &str) {
    let mut out = io::stderr().lock();
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let text = Printable::from_ours(text);
    drop(if out.is_terminal() && !is_set("NO_COLOR") && !is_dumb {
        writeln!(out, "\u{1b}[1;31m{text}\u{1b}[0m")
    } else {
        writeln!(out, "{text}")
    });
}

/// Encodes a text that somebody else wrote.
pub(super) fn shown(text: &str) -> Printable {
    Printable::exact(&Untrusted::new(text))
}

/// Returns a text of our own, filled up to a column. The encoder marks long runs of spaces in what
/// others wrote; these are ours, a few at a time.
pub(super) fn padded(text: &str, width: usize) -> Printable {
    let mut column = Printable::from_ours(text);
    for _ in column.width()..width {
        column.push(&Printable::ours(" "));
    }
    column
}

fn raw_line(text: &str) -> bool {
    writeln!(io::stdout().lock(), "{text}").is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_on_a_terminal_is_ascii_and_means_the_same() {
        let value = json!({"reason": "no\u{1b}[2J\u{9b}\u{202e}é😀\u{7f}\n"});
        let text = ascii(&value.to_string());
        assert!(
            text.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
