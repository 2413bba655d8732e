//! How far something long is, on a line of its own of a terminal, and nowhere else.

use std::io::{self, IsTerminal as _, Write as _};

/// How many cells the bar has.
const CELLS: u64 = 24;

/// A bar on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    /// What is counted, such as `entries checked`.
    what: &'static str,
    is_shown: bool,
    percent: Option<u64>,
}

impl Progress {
    pub(super) fn of(what: &'static str) -> Self {
        Self {
            what,
            is_shown: io::stderr().is_terminal(),
            percent: None,
        }
    }

    /// Draws the bar anew, if it has moved.
    pub(super) fn tell(&mut self, done: u64, all: u64) {
        let percent = done.saturating_mul(100).checked_div(all);
        if self.is_shown && percent != self.percent {
            self.percent = percent;
            write!(io::stderr(), "\r\x1b[K{}", line(done, all, self.what)).ok();
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if self.percent.is_some() {
            write!(io::stderr(), "\r\x1b[K").ok();
        }
    }
}

fn line(done: u64, all: u64, what: &str) -> String {
    let full = done.saturating_mul(CELLS).checked_div(all).unwrap_or(0);
    let bar: String = (0..CELLS)
        .map(|cell| if cell < full { '#' } else { '.' })
        .collect();
    let percent = done.saturating_mul(100).checked_div(all).unwrap_or(0);
    format!("[{bar}] {percent:>3} %  {done} of {all} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_as_work_is_done() {
        assert_eq!(
            line(0, 400, "entries checked"),
            "[........................]   0 %  0 of 400 entries checked"
        );
        assert_eq!(
            line(100, 400, "pages"),
            "[######..................]  25 %  100 of 400 pages"
        );
        assert!(line(400, 400, "pages").starts_with("[########################] 100 %"));
        assert!(line(0, 0, "pages").contains("  0 %"));
    }
}
