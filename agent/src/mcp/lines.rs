//! Lines of bytes, none longer than a limit: what is longer is read past and not kept.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The longest message of a client, in bytes. What calls a tool has to fit into an action besides.
pub(super) const LONGEST_FROM_CLIENT: usize = 4 * 1024 * 1024;

/// The longest message of a server, in bytes.
pub(super) const LONGEST_FROM_SERVER: usize = 64 * 1024 * 1024;

/// The next line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// One, without its line feed.
    Whole(Vec<u8>),
    /// One that has more bytes than may be kept.
    TooLong {
        /// How many it has.
        found: usize,
    },
    /// No more; whether bytes without a line feed came last.
    End {
        /// Whether a message was begun.
        cut_off: bool,
    },
}

/// Reads the next line, keeping at most `limit` bytes of it.
///
/// # Errors
/// When the source cannot be read.
pub(super) async fn next(from: &mut (impl AsyncBufRead + Unpin), limit: usize) -> io::Result<Line> {
    let mut kept = Vec::new();
    let mut found = 0_usize;
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            return Ok(Line::End { cut_off: found > 0 });
        }
        let feed = available.iter().position(|byte| *byte == b'\n');
        let part = available.get(..feed.unwrap_or(available.len()));
        let part = part.unwrap_or_default();
        found = found.saturating_add(part.len());
        if found <= limit {
            kept.extend_from_slice(part);
        } else {
            kept = Vec::new();
        }
        let used = part.len().saturating_add(usize::from(feed.is_some()));
        from.consume(used);
        if feed.is_some() {
            return Ok(if found <= limit {
                Line::Whole(kept)
            } else {
                Line::TooLong { found }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    async fn all(text: &[u8], limit: usize) -> Vec<Line> {
        // A buffer smaller than a line, so that lines come in parts.
        let mut from = BufReader::with_capacity(3, text);
        let mut lines = Vec::new();
        loop {
            let line = next(&mut from, limit).await.unwrap();
            let is_last = matches!(line, Line::End { .. });
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_read_past_and_the_next_one_is_whole() {
        let whole = |text: &[u8]| Line::Whole(text.to_vec());
        assert_eq!(
            all(b"abcde\n\nabcdef\r\nab\n", 5).await,
            [
                whole(b"abcde"),
                whole(b""),
                Line::TooLong { found: 7 },
                whole(b"ab"),
                Line::End { cut_off: false },
            ]
        );
    }

    #[tokio::test]
    async fn bytes_without_a_line_feed_are_no_line() {
        assert_eq!(all(b"abc", 5).await, [Line::End { cut_off: true }]);
        assert_eq!(all(b"", 5).await, [Line::End { cut_off: false }]);
    }
}
