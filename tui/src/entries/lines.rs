//! What a run writes, taken apart into lines that can be shown.
//!
//! The output is the program's, which may be the agent's words: every line is encoded so that nothing
//! in it can act on a terminal.

use countersign_shared::text::{Printable, Untrusted};

/// The longest line that is waited for, in bytes; a longer one is shown in pieces.
const LONGEST: usize = 16 << 10;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// True for standard error.
    pub is_error: bool,
    /// The text.
    pub text: Printable,
}

/// One output, as it comes.
#[derive(Debug)]
pub struct Lines {
    is_error: bool,
    begun: Vec<u8>,
}

impl Lines {
    /// Begins with nothing.
    pub const fn new(is_error: bool) -> Self {
        Self {
            is_error,
            begun: Vec::new(),
        }
    }

    /// Takes a piece; returns the lines that are whole now.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Written> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if self.begun.ends_with(b"\n") {
                self.begun.pop();
                lines.push(self.line());
            } else if self.begun.len() > LONGEST {
                lines.push(self.line());
            }
        }
        lines
    }

    /// Returns what was begun when nothing more comes.
    pub fn end(&mut self) -> Option<Written> {
        (!self.begun.is_empty()).then(|| self.line())
    }

    fn line(&mut self) -> Written {
        Written {
            is_error: self.is_error,
            text: Printable::exact(&Untrusted::from_bytes(std::mem::take(&mut self.begun))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Written]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn pieces_become_lines_that_cannot_act() {
        let mut lines = Lines::new(true);
        assert!(lines.take(b"one").is_empty());
        let whole = lines.take(b" line\nan\x1b[2Jother\n\nlast");
        assert_eq!(texts(&whole), ["one line", "an<U+001B>[2Jother", ""]);
        assert!(whole.iter().all(|line| line.is_error));
        assert_eq!(lines.end().unwrap().text.as_str(), "last");
        assert_eq!(lines.end(), None);
    }

    #[test]
    fn a_line_without_an_end_is_not_waited_for() {
        let mut lines = Lines::new(false);
        let piece = vec![b'x'; LONGEST + 1];
        assert_eq!(lines.take(&piece).len(), 1);
        assert_eq!(lines.end(), None);
    }
}
