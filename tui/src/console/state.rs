//! Everything the console knows. Views read it and hold nothing; [`super::update`] changes it.

pub mod following;
pub mod logbook;
pub mod owed;
pub mod queue;
pub mod ruling;
pub mod uses;

use countersign_shared::id::RequestId;
use countersign_shared::text::{Printable, Untrusted};
use countersign_shared::time::Timestamp;

use super::keymap::Scope;
use super::model::{Row, Standing};
use super::page::{Page, Place};
use super::prepare::{Prepared, Tab};
use super::safety::{Debt, Millis, Obstacle, Safety, Sheet, SheetKind, Verdict, Wire};
use super::theme::Theme;
use following::Following;
use logbook::Logbook;
use owed::Owed;
use queue::Queue;
use ruling::Ruling;
use uses::Uses;

/// The smallest terminal that can be decided on, in columns and rows.
pub const MINIMUM: (u16, u16) = (60, 15);
/// From this width on, the queue has a preview beside it.
pub const WIDE: u16 = 120;
/// How long a notice stands, in milliseconds.
const NOTICE: u64 = 6_000;

/// Something told to the reviewer, for a while.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What.
    pub text: Printable,
    /// True for what must not be missed.
    pub alarm: bool,
    /// Until when.
    pub until: Millis,
}

/// A request that is open.
#[derive(Debug)]
pub struct Open {
    /// What is drawn.
    pub prepared: Box<Prepared>,
    /// The newest row of the list; the document may have changed since it was prepared.
    pub row: Row,
    /// The tab.
    pub tab: Tab,
    /// The place at the top of each tab.
    pub places: [Place; 5],
    /// True when unchanged rows are shown.
    pub unfold: bool,
}

impl Open {
    /// Returns the page of the tab.
    pub const fn page(&self) -> &Page {
        self.prepared.page(self.tab)
    }

    /// Returns the place at the top of the tab.
    pub fn place(&self) -> Place {
        self.places
            .get(self.tab as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Sets the place at the top of the tab.
    pub fn set_place(&mut self, place: Place) {
        if let Some(slot) = self.places.get_mut(self.tab as usize) {
            *slot = place;
        }
    }

    /// Tells whether the document is no longer the one that is drawn.
    pub fn is_stale(&self) -> bool {
        self.row.digest != self.prepared.detail.row.digest
    }
}

/// How two wall clocks relate.
#[derive(Debug, Clone, Copy)]
struct DaemonClock {
    /// The daemon's wall time.
    wall: Timestamp,
    /// The console's monotonic time at the same moment.
    at: Millis,
    /// How far this machine's wall clock was off, in milliseconds.
    skew: i64,
}

/// The state.
#[derive(Debug)]
pub struct State {
    /// The time of the last event.
    pub now: Millis,
    /// The terminal's size, in columns and rows.
    pub size: (u16, u16),
    /// The look.
    pub theme: Theme,
    /// What decides whether a key decides.
    pub safety: Safety,
    /// The queue.
    pub queue: Queue,
    /// What people owe.
    pub owed: Owed,
    /// Which rules wait for people.
    pub ruling: Ruling,
    /// The log, while somebody looks at it.
    pub logbook: Logbook,
    /// Who used which data, while somebody looks at it.
    pub uses: Uses,
    /// The request that is open.
    pub open: Option<Open>,
    /// What the run of the open request writes, while somebody follows it.
    pub following: Option<Following>,
    /// The request that is being loaded.
    pub opening: Option<RequestId>,
    /// True when the keys are shown.
    pub help: bool,
    /// Something told to the reviewer.
    pub notice: Option<Notice>,
    /// The reviewer's name in the roster.
    pub me: Option<Untrusted>,
    /// How often a connection was tried since it last stood.
    pub tries: u32,
    /// The size of the last verified head.
    pub head: Option<u64>,
    /// What was found when two heads contradicted each other.
    pub fork: Option<Printable>,
    /// The last decision of this session: what, and when.
    pub last_decision: Option<(Verdict, Millis)>,
    /// When the console started.
    pub started: Millis,
    clock: Option<DaemonClock>,
}

impl State {
    /// Makes the state of a console that has just started.
    pub fn new(now: Millis, size: (u16, u16), theme: Theme, read_only: bool) -> Self {
        let mut state = Self {
            now,
            size,
            theme,
            safety: Safety::new(now, read_only),
            queue: Queue::default(),
            owed: Owed::default(),
            ruling: Ruling::default(),
            logbook: Logbook::default(),
            uses: Uses::default(),
            open: None,
            following: None,
            opening: None,
            help: false,
            notice: None,
            me: None,
            tries: 0,
            head: None,
            fork: None,
            last_decision: None,
            started: now,
            clock: None,
        };
        state.fit();
        state
    }

    /// Tells whether the terminal is too small to decide on.
    pub const fn is_too_small(&self) -> bool {
        self.size.0 < MINIMUM.0 || self.size.1 < MINIMUM.1
    }

    /// Returns where keys are looked up.
    pub fn scope(&self) -> Scope {
        if self.open.is_some() {
            if self.following.is_some() {
                Scope::Output
            } else {
                Scope::Detail
            }
        } else if self.ruling.shown().is_some() {
            Scope::Rules
        } else if let Some(shown) = self.logbook.shown() {
            if shown.entry().is_some() {
                Scope::Entry
            } else {
                Scope::Log
            }
        } else if self.uses.shown().is_some() {
            Scope::Uses
        } else {
            Scope::Queue
        }
    }

    /// Adapts scrolling to the size of the terminal.
    pub fn fit(&mut self) {
        self.queue.resize(super::view::queue_height(self));
        let height = super::view::log_height(self);
        if let Some(shown) = self.logbook.shown_mut() {
            shown.resize(height);
        }
    }

    /// Tells the reviewer something for a while.
    pub fn notify(&mut self, text: Printable, alarm: bool) {
        self.notice = Some(Notice {
            text,
            alarm,
            until: self.now.plus(NOTICE),
        });
    }

    /// Tells the reviewer something of our own for a while.
    pub fn notify_ours(&mut self, text: &'static str, alarm: bool) {
        self.notify(Printable::ours(text), alarm);
    }

    /// Notes what the daemon's clock showed when this machine's showed `local`.
    pub fn set_clock(&mut self, daemon: Timestamp, local: Timestamp) {
        self.clock = Some(DaemonClock {
            wall: daemon,
            at: self.now,
            skew: local.as_millis().saturating_sub(daemon.as_millis()),
        });
    }

    /// Returns when a time of the daemon's clock comes on the console's monotonic clock; `None`
    /// when the daemon's clock is not known.
    pub fn when(&self, time: Timestamp) -> Option<Millis> {
        let clock = self.clock?;
        let ahead = u64::try_from(time.since(clock.wall).as_millis()).unwrap_or(u64::MAX);
        Some(clock.at.plus(ahead))
    }

    /// Returns how many seconds are left until a time of the daemon's clock.
    pub fn left(&self, time: Timestamp) -> Option<u64> {
        Some(self.when(time)?.since(self.now) / 1_000)
    }

    /// Returns how far this machine's wall clock is off, in seconds, when it matters.
    pub fn skew(&self) -> Option<i64> {
        let seconds = self.clock?.skew / 1_000;
        (seconds.abs() >= 5).then_some(seconds)
    }

    /// Returns what stands against deciding what is open: against denying while that sheet is open,
    /// against closing a review where that is owed, and against approving otherwise; an incomplete
    /// sheet is part of it.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let sheet = self.safety.sheet();
        let verdict = match sheet.map(Sheet::kind) {
            Some(SheetKind::Deny) => Verdict::Deny,
            Some(SheetKind::Close) => Verdict::Close,
            Some(SheetKind::Kill) => Verdict::Kill,
            Some(SheetKind::Approve { .. }) => Verdict::Approve,
            Some(SheetKind::Passphrase) | None => self.asked_for(),
        };
        self.safety
            .obstacle(self.now, verdict)
            .or_else(|| sheet.and_then(Sheet::incomplete))
    }

    /// What the open request is there for: a decision, the end of its run, or the review that broken
    /// glass owes.
    fn asked_for(&self) -> Verdict {
        match self.safety.subject() {
            Some(subject) if subject.is_running() => Verdict::Kill,
            Some(subject)
                if subject.debt == Debt::Anothers && subject.standing != Standing::Pending =>
            {
                Verdict::Close
            }
            Some(_) | None => Verdict::Approve,
        }
    }

    /// Tells whether what is shown may be old.
    pub fn is_old(&self) -> bool {
        !matches!(self.safety.wire(), Wire::Live | Wire::Draining)
    }
}
