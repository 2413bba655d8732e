//! Who used which data, while somebody looks at it: the counts, and the requests behind one of them.
//!
//! The daemon counts; nothing is decided here.

use countersign_shared::id::RequestId;
use countersign_shared::text::Printable;

use super::super::model::Row;

/// What uses are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// The name of the data.
    #[default]
    Data,
    /// Who used it.
    Agent,
    /// Who approved that.
    Reviewer,
    /// Where it went.
    Destination,
}

impl By {
    /// Returns the word of the protocol, the command line and the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Agent => "agent",
            Self::Reviewer => "reviewer",
            Self::Destination => "destination",
        }
    }

    /// Returns the one that comes after it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Data => Self::Agent,
            Self::Agent => Self::Reviewer,
            Self::Reviewer => Self::Destination,
            Self::Destination => Self::Data,
        }
    }
}

/// Since when uses are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Since {
    /// The last midnight here.
    Today,
    /// Seven days ago.
    #[default]
    Week,
    /// Thirty days ago.
    Month,
    /// The beginning of the log.
    All,
}

impl Since {
    /// Returns the word on the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::All => "all time",
        }
    }

    /// Returns the one that comes after it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Today => Self::Week,
            Self::Week => Self::Month,
            Self::Month => Self::All,
            Self::All => Self::Today,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Tells the answer from those to earlier questions.
    pub serial: u32,
    /// What uses are counted by.
    pub by: By,
    /// Since when.
    pub since: Since,
}

/// Uses that have one thing in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// What they have in common.
    pub name: Printable,
    /// How many.
    pub uses: Printable,
    /// How many records they touched; a plus where some did not say.
    pub records: Printable,
    /// How it was approved.
    pub via: Printable,
    /// How it ended.
    pub outcome: Printable,
    /// Of which classification it was.
    pub classification: Printable,
    /// What was done with it.
    pub access: Printable,
    /// Where it went.
    pub destination: Printable,
    /// The requests behind it, the last ones first; not all of them where there are many.
    pub requests: Vec<RequestId>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What was asked.
    pub question: Question,
    /// The counts.
    pub counts: Vec<Count>,
    /// How many counts there are beside those.
    pub left_out: u64,
    /// What must be known to read it.
    pub remarks: Vec<&'static str>,
}

/// The requests behind a count.
#[derive(Debug)]
pub struct Behind {
    /// What they have in common.
    pub name: Printable,
    /// Those that could be read.
    pub rows: Vec<Row>,
    /// How many could not.
    pub unread: usize,
    /// The selected one.
    pub selected: usize,
}

/// What is looked at.
#[derive(Debug, Default)]
pub struct Looked {
    by: By,
    since: Since,
    table: Option<Table>,
    selected: usize,
    asked: bool,
    failed: Option<String>,
    behind: Option<Behind>,
    /// What the requests that are being read have in common.
    behind_asked: Option<Printable>,
}

/// The uses of data, while somebody looks at them.
#[derive(Debug, Default)]
pub struct Uses {
    serial: u32,
    shown: Option<Looked>,
}

impl Uses {
    /// Opens the view.
    pub fn open(&mut self) -> Question {
        self.shown = Some(Looked::default());
        self.ask(|_| {})
    }

    /// Leaves it.
    pub fn close(&mut self) {
        self.serial = self.serial.wrapping_add(1);
        self.shown = None;
    }

    /// Changes the question and asks it.
    pub fn ask(&mut self, change: impl FnOnce(&mut Looked)) -> Question {
        self.serial = self.serial.wrapping_add(1);
        let shown = self.shown.get_or_insert_default();
        change(shown);
        shown.asked = true;
        shown.failed = None;
        Question {
            serial: self.serial,
            by: shown.by,
            since: shown.since,
        }
    }

    /// Takes the answer, if it is the one that was asked for last.
    pub fn put(&mut self, table: Table) {
        if table.question.serial == self.serial
            && let Some(shown) = &mut self.shown
        {
            shown.asked = false;
            shown.selected = 0;
            shown.table = Some(table);
        }
    }

    /// Notes that it could not be counted.
    pub fn failed(&mut self, serial: u32, why: String) {
        if serial == self.serial
            && let Some(shown) = &mut self.shown
        {
            shown.asked = false;
            shown.table = None;
            shown.failed = Some(why);
        }
    }

    /// Returns what is looked at.
    pub const fn shown(&self) -> Option<&Looked> {
        self.shown.as_ref()
    }

    /// Returns what is looked at, to move it.
    pub const fn shown_mut(&mut self) -> Option<&mut Looked> {
        self.shown.as_mut()
    }
}

impl Looked {
    /// Counts by the next thing.
    pub fn turn(&mut self) {
        self.by = self.by.next();
        self.table = None;
    }

    /// Counts since the next moment.
    pub fn turn_since(&mut self) {
        self.since = self.since.next();
        self.table = None;
    }

    /// Returns what uses are counted by.
    pub const fn by(&self) -> By {
        self.by
    }

    /// Returns since when.
    pub const fn since(&self) -> Since {
        self.since
    }

    /// Returns the answer.
    pub const fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// Returns why there is none.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Tells whether an answer is awaited.
    pub const fn is_reading(&self) -> bool {
        self.asked || self.behind_asked.is_some()
    }

    /// Returns the number of the selected row.
    pub const fn selected_row(&self) -> usize {
        self.selected
    }

    /// Returns the selected count.
    pub fn selected(&self) -> Option<&Count> {
        self.table.as_ref()?.counts.get(self.selected)
    }

    /// Moves the selection, among the requests where these are shown.
    pub fn move_by(&mut self, rows: isize) {
        let at = match &self.behind {
            Some(behind) => behind.selected,
            None => self.selected,
        };
        self.select(at.saturating_add_signed(rows));
    }

    /// Selects a row by its number.
    pub fn select(&mut self, row: usize) {
        if let Some(behind) = &mut self.behind {
            behind.selected = row.min(behind.rows.len().saturating_sub(1));
        } else {
            let counts = self.table.as_ref().map_or(0, |table| table.counts.len());
            self.selected = row.min(counts.saturating_sub(1));
        }
    }

    /// Notes that the requests behind the selected count are being read; returns them.
    pub fn ask_behind(&mut self) -> Option<Vec<RequestId>> {
        let count = self.selected()?;
        let (name, requests) = (count.name.clone(), count.requests.clone());
        self.behind_asked = Some(name);
        Some(requests)
    }

    /// Takes the requests behind a count, if they were asked for.
    pub fn show_behind(&mut self, rows: Vec<Row>, unread: usize) {
        if let Some(name) = self.behind_asked.take() {
            self.behind = Some(Behind {
                name,
                rows,
                unread,
                selected: 0,
            });
        }
    }

    /// Notes that the requests could not be read.
    pub fn no_behind(&mut self) {
        self.behind_asked = None;
    }

    /// Returns the requests behind a count.
    pub const fn behind(&self) -> Option<&Behind> {
        self.behind.as_ref()
    }

    /// Leaves the requests behind a count; tells whether there was something to leave.
    pub fn leave_behind(&mut self) -> bool {
        let was_asked = self.behind_asked.take().is_some();
        self.behind.take().is_some() || was_asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(question: Question, names: &[&'static str]) -> Table {
        let count = |name: &&'static str| Count {
            name: Printable::ours(name),
            requests: vec![RequestId::from_bytes([1; 16])],
            ..Count::default()
        };
        Table {
            question,
            counts: names.iter().map(count).collect(),
            left_out: 0,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn only_the_answer_to_the_last_question_is_shown() {
        let mut uses = Uses::default();
        let first = uses.open();
        let second = uses.ask(Looked::turn);
        assert_eq!((second.by, second.since), (By::Agent, Since::Week));
        uses.put(answer(first, &["crm"]));
        assert!(uses.shown().unwrap().table().is_none());
        uses.failed(first.serial, "no".to_owned());
        assert!(uses.shown().unwrap().failure().is_none());
        uses.put(answer(second, &["bot", "cron"]));
        let shown = uses.shown_mut().unwrap();
        shown.move_by(9);
        assert_eq!(shown.selected().unwrap().name.as_str(), "cron");
        uses.close();
        uses.put(answer(second, &["bot"]));
        assert!(uses.shown().is_none());
    }

    #[test]
    fn requests_that_nobody_waits_for_any_more_are_not_shown() {
        let mut uses = Uses::default();
        let question = uses.open();
        uses.put(answer(question, &["crm"]));
        let shown = uses.shown_mut().unwrap();
        assert_eq!(shown.ask_behind().map(|ids| ids.len()), Some(1));
        assert!(shown.leave_behind());
        shown.show_behind(Vec::new(), 0);
        assert!(shown.behind().is_none());
        assert!(shown.ask_behind().is_some());
        shown.show_behind(Vec::new(), 1);
        assert!(shown.behind().is_some());
        assert!(shown.leave_behind());
        assert!(!shown.leave_behind());
    }

    #[test]
    fn every_way_to_count_and_every_span_comes_round() {
        let (mut by, mut since) = (By::default(), Since::default());
        for _ in 0..4 {
            (by, since) = (by.next(), since.next());
        }
        assert_eq!((by, since), (By::default(), Since::default()));
    }
}
