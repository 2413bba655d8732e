//! The one line that tells a person at the terminal what is being waited for.
//!
//! Written to stderr, only when that is a terminal, over itself, and cleared at the end. It is not
//! a log: a program that listens reads the result instead.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::time::Timestamp;

use crate::clock;

/// What the line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// The request.
    pub(crate) id: RequestId,
    /// How many reviewers are connected.
    pub(crate) reviewers: u32,
    /// When the request ends by itself.
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether the daemon answers.
    pub(crate) connected: bool,
}

impl Status {
    /// Returns the line's text.
    fn text(&self, now: Timestamp) -> String {
        let id = self.id;
        let rest = self.expires_at.map_or_else(String::new, |at| {
            format!(" · expires in {}", span(at.since(now)))
        });
        if !self.connected {
            return format!("not approved: daemon unreachable, trying again {id}{rest}");
        }
        let reviewers = match self.reviewers {
            0 => "no reviewer online".to_owned(),
            1 => "1 reviewer online".to_owned(),
            many => format!("{many} reviewers online"),
        };
        format!("waiting for review {id} · {reviewers}{rest}")
    }
}

/// Writes a span of time in its largest unit that is not too coarse.
fn span(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds @ 100..=5_999 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// The line on the terminal, if there is one.
#[derive(Debug)]
pub(crate) struct StatusLine {
    on_terminal: bool,
    shown: String,
}

impl StatusLine {
    /// Looks whether stderr is a terminal.
    pub(crate) fn new() -> Self {
        Self {
            on_terminal: io::stderr().is_terminal(),
            shown: String::new(),
        }
    }

    /// Tells whether there is a line to keep up to date.
    pub(crate) const fn is_shown(&self) -> bool {
        self.on_terminal
    }

    /// Shows `status` as it is now.
    pub(crate) fn show(&mut self, status: &Status) {
        if !self.on_terminal {
            return;
        }
        let text = fit(&status.text(clock::wall()), columns());
        if text != self.shown {
            write_over(&text);
            self.shown = text;
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if !self.shown.is_empty() {
            write_over("");
            self.shown.clear();
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Cuts a line that would wrap: a wrapped line cannot be written over.
fn fit(text: &str, columns: usize) -> String {
    // Every character of the line is one cell wide.
    text.chars().take(columns.saturating_sub(1)).collect()
}

fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| match size.ws_col {
        0 => 80,
        columns => usize::from(columns),
    })
}

fn write_over(text: &str) {
    let mut to = io::stderr().lock();
    // A terminal that has gone needs no line.
    drop(write!(to, "\r\u{1b}[K{text}").and_then(|()| to.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(reviewers: u32, seconds: Option<i64>) -> Status {
        Status {
            id: RequestId::from_bytes([0; 16]),
            reviewers,
            expires_at: seconds.map(|seconds| Timestamp::from_millis(seconds * 1000)),
            connected: true,
        }
    }

    fn text(status: &Status) -> String {
        status.text(Timestamp::from_millis(0))
    }

    #[test]
    fn the_line_says_who_is_there_and_how_long_it_lasts() {
        let id = "req_00000000000000000000000000";
        for (reviewers, seconds, rest) in [
            (2, 58 * 60, "2 reviewers online · expires in 58 min"),
            (1, 99, "1 reviewer online · expires in 99 s"),
            (0, 100 * 60, "no reviewer online · expires in 1 h"),
            (0, -5, "no reviewer online · expires in 0 s"),
        ] {
            assert_eq!(
                text(&status(reviewers, Some(seconds))),
                format!("waiting for review {id} · {rest}")
            );
        }
        assert_eq!(
            text(&status(3, None)),
            format!("waiting for review {id} · 3 reviewers online")
        );
    }

    #[test]
    fn a_lost_daemon_is_not_shown_as_waiting_for_review() {
        let lost = Status {
            connected: false,
            ..status(2, None)
        };
        let text = text(&lost);
        assert!(text.starts_with("not approved"), "{text}");
        assert!(!text.contains("online"), "{text}");
    }

    #[test]
    fn the_line_never_wraps() {
        for columns in 0..100 {
            let line = fit(&text(&status(2, Some(60))), columns);
            assert!(line.chars().count() <= columns.saturating_sub(1));
        }
    }
}
