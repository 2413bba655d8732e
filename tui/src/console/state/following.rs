//! What a run of the daemon's own writes, while somebody follows it: the last lines of it.
//!
//! Lines come from the program, which may be the agent's words; they are text like any other here. At
//! most [`MOST`] lines and [`BUDGET`] bytes are kept, and what was let go is counted.

use countersign_shared::id::RequestId;
use countersign_shared::text::Printable;

use super::super::page::{Gutter, Line, Look, Page, Place, line};
use crate::entries::lines::Written;

/// How many lines are kept at most.
pub const MOST: usize = 5_000;
/// How many bytes of text are kept at most, as they are shown.
pub const BUDGET: usize = 4 << 20;

/// A run that is followed.
#[derive(Debug)]
pub struct Following {
    /// Which request.
    pub id: RequestId,
    page: Page,
    bytes: usize,
    /// The place at the top, when somebody scrolled up; nothing while the end is followed.
    place: Option<Place>,
    let_go: usize,
    missed: u64,
    ended: Option<Printable>,
}

impl Following {
    /// Follows a run from now on.
    pub fn new(id: RequestId) -> Self {
        Self {
            id,
            page: Page::labelled(3),
            bytes: 0,
            place: None,
            let_go: 0,
            missed: 0,
            ended: None,
        }
    }

    /// Takes lines.
    pub fn put(&mut self, lines: Vec<Written>) {
        for written in lines {
            self.bytes = self.bytes.saturating_add(written.text.as_str().len());
            self.page.append(&Line {
                label: Printable::ours(if written.is_error { "err" } else { "out" }),
                look: if written.is_error {
                    Look::Warning
                } else {
                    Look::Plain
                },
                ..line(Gutter::Agent, written.text)
            });
        }
        let mut gone = 0usize;
        while self.page.len(true).saturating_sub(gone) > MOST || self.bytes > BUDGET {
            let Some(line) = self.page.line(gone, true) else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(line.text.as_str().len());
            gone = gone.saturating_add(1);
        }
        if gone > 0 {
            self.page.forget(gone);
            self.let_go = self.let_go.saturating_add(gone);
            if let Some(place) = &mut self.place {
                *place = match place.line.checked_sub(gone) {
                    Some(line) => Place { line, ..*place },
                    None => Place::default(),
                };
            }
        }
    }

    /// Notes that pieces were missed: this console was too slow.
    pub fn miss(&mut self, pieces: u64) {
        self.missed = self.missed.saturating_add(pieces);
    }

    /// Notes that there is nothing more to come, and why.
    pub fn end(&mut self, why: Printable) {
        self.ended = Some(why);
    }

    /// Returns why nothing more comes.
    pub const fn ended(&self) -> Option<&Printable> {
        self.ended.as_ref()
    }

    /// Returns how many lines were let go, and how many pieces were missed.
    pub const fn lost(&self) -> (usize, u64) {
        (self.let_go, self.missed)
    }

    /// Tells whether the end is followed.
    pub const fn is_at_end(&self) -> bool {
        self.place.is_none()
    }

    /// Returns the page.
    pub const fn page(&self) -> &Page {
        &self.page
    }

    /// Returns the place at the top of a screen of this size.
    pub fn place(&self, height: usize, width: usize) -> Place {
        let end = || {
            let cells = width.saturating_sub(self.page.indent()).max(1);
            self.page.last_top(height, cells, true)
        };
        self.place.unwrap_or_else(end)
    }

    /// Scrolls by rows; at its end it follows again.
    pub fn scroll(&mut self, rows: isize, height: usize, width: usize) {
        let cells = width.saturating_sub(self.page.indent()).max(1);
        let last = self.page.last_top(height, cells, true);
        let place = self.page.step(self.place(height, width), rows, cells, true);
        self.place = (place < last).then_some(place);
    }

    /// Goes to the first line that is kept.
    pub fn to_start(&mut self, height: usize, width: usize) {
        self.scroll(isize::MIN / 2, height, width);
    }

    /// Follows the end.
    pub const fn to_end(&mut self) {
        self.place = None;
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::text::Untrusted;

    use super::*;

    fn written(text: &str, is_error: bool) -> Written {
        Written {
            is_error,
            text: Printable::exact(&Untrusted::new(text)),
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_the_others_counted() {
        let mut following = Following::new(RequestId::from_bytes([1; 16]));
        for number in 0..MOST + 10 {
            following.put(vec![written(&number.to_string(), false)]);
        }
        assert_eq!(following.page().len(true), MOST);
        assert_eq!(following.lost(), (10, 0));
        let first = following.page().line(0, true).unwrap();
        assert_eq!(first.text.as_str(), "10");
        let long = "x".repeat(1 << 20);
        for _ in 0..8 {
            following.put(vec![written(&long, true)]);
        }
        let kept: usize = (0..following.page().len(true))
            .filter_map(|at| following.page().line(at, true))
            .map(|line| line.text.as_str().len())
            .sum();
        assert!(kept <= BUDGET, "{kept}");
    }

    #[test]
    fn whoever_scrolled_up_stays_there_and_follows_again_at_the_end() {
        let mut following = Following::new(RequestId::from_bytes([1; 16]));
        let lines = |from: usize| {
            (from..from + 20)
                .map(|n| written(&n.to_string(), false))
                .collect()
        };
        following.put(lines(0));
        assert_eq!(following.place(10, 40).line, 10);
        following.scroll(-3, 10, 40);
        assert!(!following.is_at_end());
        following.put(lines(20));
        assert_eq!(following.place(10, 40).line, 7);
        following.scroll(100, 10, 40);
        assert!(following.is_at_end());
        assert_eq!(following.place(10, 40).line, 30);
        following.to_start(10, 40);
        assert_eq!(following.place(10, 40).line, 0);
    }
}
