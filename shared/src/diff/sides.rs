//! The two sides of a change in numbers, and what is worth saying about them.

use std::fmt::Write as _;

use super::rows::Line;
use super::{Contents, FileDiff, Part, Side};
use crate::digest::Digest;
use crate::text::Printable;

/// Bytes of binary contents that are shown.
const HEAD: usize = 256;
/// Bytes in a row of them.
const ROW: usize = 16;

/// Describes `contents`.
pub(super) fn side(contents: &Contents) -> Side {
    let lines = super::rows::lines(Some(contents));
    let (raw, binary) = match contents {
        Contents::Text(text) => (Some(text.raw()), false),
        Contents::Binary(bytes) => (Some(bytes.as_slice()), true),
        Contents::Masked(_) => (None, false),
    };
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let size = match contents {
        Contents::Masked(parts) => parts.iter().fold(0, |size: u64, part| {
            size.saturating_add(match part {
                Part::Text(text) => length(text.raw()),
                Part::Mask(mask) => mask.length,
            })
        }),
        Contents::Text(_) | Contents::Binary(_) => raw.map_or(0, length),
    };
    Side {
        size,
        digest: raw.map(Digest::of),
        binary,
        lines: lines.len(),
        crlf_lines: lines.iter().filter(|line| line.ends_with(b"\r\n")).count(),
        tab_lines: lines.iter().filter(|line| is_tab_indented(line)).count(),
        line_feed_at_end: lines.last().is_none_or(|line| line.ends_with(b"\n")),
        head: raw.filter(|_| binary).map(head).unwrap_or_default(),
    }
}

/// Says what the rows of `diff` alone do not make plain.
pub(super) fn notes(diff: &FileDiff) -> Vec<Printable> {
    let mut notes = Vec::new();
    if diff.coarse {
        notes.push(Printable::ours(
            "compared in a hurry: lines shown as replaced may be the same",
        ));
    }
    if let Some(mode) = diff.mode {
        notes.push(Printable::from_ours(format!("mode becomes {mode:04o}")));
    }
    let sides = [("before", &diff.before), ("after", &diff.after)];
    for (name, side) in sides {
        if let Some(side) = side.as_ref().filter(|side| side.binary) {
            let digest = side
                .digest
                .map(|digest| format!(", {digest}"))
                .unwrap_or_default();
            let text = format!("{name}: {} bytes that are not text{digest}", side.size);
            notes.push(Printable::from_ours(text));
        }
    }
    for (name, side) in sides {
        if side
            .as_ref()
            .is_some_and(|side| !side.binary && !side.line_feed_at_end)
        {
            let text = format!("{name}: no line feed at the end");
            notes.push(Printable::from_ours(text));
        }
    }
    if let (Some(before), Some(after)) = (&diff.before, &diff.after)
        && !before.binary
        && !after.binary
    {
        for (what, old, new) in [
            ("ending in CR LF", before.crlf_lines, after.crlf_lines),
            ("indented with a tab", before.tab_lines, after.tab_lines),
        ] {
            if old != new {
                notes.push(Printable::from_ours(format!(
                    "lines {what}: {old} before, {new} after"
                )));
            }
        }
    }
    notes
}

/// Tells whether a tab stands before anything that is seen.
fn is_tab_indented(line: &Line<'_>) -> bool {
    line.start()
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .any(|byte| *byte == b'\t')
}

/// Writes the first bytes in hexadecimal and ASCII.
fn head(bytes: &[u8]) -> Vec<Printable> {
    let shown = bytes.get(..HEAD.min(bytes.len())).unwrap_or_default();
    shown
        .chunks(ROW)
        .zip((0..).step_by(ROW))
        .map(|(row, offset)| {
            let mut text = format!("{offset:08x}");
            let mut ascii = String::with_capacity(ROW);
            for byte in row {
                // Writing to a `String` cannot fail.
                let _ = write!(text, " {byte:02x}");
                ascii.push(if byte.is_ascii_graphic() {
                    char::from(*byte)
                } else {
                    '.'
                });
            }
            Printable::from_ours(format!("{text}  |{ascii}|"))
        })
        .collect()
}
