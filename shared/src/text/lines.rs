//! Texts with line feeds: one row for each line.
//!
//! A run of more than three line feeds is a row of its own and stands for the breaks on both of its
//! sides, so that an agent cannot push a line out of sight with empty rows.

use super::encode::{Unit, write_marker};
use super::printable::{NumberedRow, Printable};

/// Line feeds that repeat more often than this become one row with a count.
const FOLD_AFTER: usize = 3;

/// Cuts `bytes` into lines, writes each with `encode`, and numbers them.
pub(super) fn rows(bytes: &[u8], encode: impl Fn(&[u8]) -> Printable) -> Vec<NumberedRow> {
    let mut rows = Vec::new();
    let mut number = 1;
    let mut rest = bytes;
    loop {
        let (piece, feeds) = split_at_fold(rest);
        rest = rest.get(piece.len() + feeds..).unwrap_or_default();
        // Between two folds, and behind the last, there is a line only where there are bytes.
        if !piece.is_empty() || (feeds == 0 && rows.is_empty()) {
            for (line, at) in piece.split(|byte| *byte == b'\n').zip(number..) {
                let text = encode(line);
                rows.push(NumberedRow { number: at, text });
                number = at;
            }
        }
        if feeds == 0 {
            return rows;
        }
        let mut text = String::new();
        write_marker(&mut text, Unit::Char('\n'), feeds);
        let marker = 0..text.len();
        rows.push(NumberedRow {
            number: if piece.is_empty() { number } else { number + 1 },
            text: Printable::from_parts(text, vec![marker]),
        });
        number += feeds;
    }
}

/// Returns what stands before the first run of line feeds that folds, and the length of that run.
fn split_at_fold(bytes: &[u8]) -> (&[u8], usize) {
    let mut feeds = 0;
    let mut end = bytes.len();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            feeds += 1;
        } else if feeds > FOLD_AFTER {
            end = at;
            break;
        } else {
            feeds = 0;
        }
    }
    let feeds = if feeds > FOLD_AFTER { feeds } else { 0 };
    (bytes.get(..end - feeds).unwrap_or_default(), feeds)
}
