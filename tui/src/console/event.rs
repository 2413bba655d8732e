//! What can happen to the console, and what it asks for.
//!
//! Everything comes as one [`Event`] on one channel, so there is one order of things; everything
//! that reaches outside is an [`Effect`], performed by the runner or, as a [`Request`], by the
//! client.

use countersign_shared::id::RequestId;
use countersign_shared::log::tree::Hash;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use crossterm::event::KeyEvent;

use super::model::{Detail, Row, Standing};
use super::prepare::Prepared;
use super::safety::{Decision, Frame, Passphrase, Signing};
use super::state::logbook::{self, Wanted};
use super::state::{ruling, uses};
use crate::entries::lines::Written;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// A bracketed paste.
    Paste(String),
    /// The terminal has another size, in cells.
    Resized {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// The terminal has the focus again.
    FocusGained,
    /// The console was stopped and goes on.
    Resumed,
    /// Time has passed.
    Tick,
    /// A frame reached the terminal.
    Drawn(Option<Frame>),
    /// A request was made ready to be drawn.
    Prepared(Box<Prepared>),
    /// A request cannot be drawn.
    NotPrepared {
        /// Which one.
        id: RequestId,
        /// Why, in one line.
        why: String,
    },
    /// The client has news.
    News(News),
}

/// What the client tells.
#[derive(Debug, Clone)]
pub enum News {
    /// The connection stands; a snapshot of all open requests follows.
    Connected,
    /// The connection is gone, or could not be made.
    Disconnected {
        /// How often it was tried since it last stood.
        tries: u32,
    },
    /// The daemon is about to stop.
    Draining,
    /// A request is new or stands differently.
    Row(Box<Row>),
    /// All open requests have been told.
    SnapshotComplete {
        /// The reviewer's name in the roster; `None` when in none.
        reviewer: Option<Untrusted>,
        /// The daemon's wall time.
        now: Timestamp,
        /// This machine's wall time at the same moment.
        local: Timestamp,
    },
    /// What people owe, the newest first.
    Owed {
        /// Approved by breaking the glass, and reviewed by nobody else.
        debts: Vec<Row>,
        /// Runs of which nobody has said how they went.
        unsettled: Vec<Row>,
    },
    /// Which rules wait for people.
    Rules(Box<ruling::Standing>),
    /// What a change of rules does, as it was asked for.
    RulesChange(Box<ruling::Change>),
    /// A change of rules cannot be shown.
    NoRulesChange {
        /// Why, in one line.
        why: String,
    },
    /// A stretch of the log.
    Log(Box<logbook::Batch>),
    /// A stretch of the log cannot be read.
    NoLog {
        /// The question's.
        serial: u32,
        /// Why, in one line.
        why: String,
    },
    /// An entry of the log, whole.
    LogEntry(Box<logbook::Entry>),
    /// An entry of the log cannot be read.
    NoLogEntry {
        /// Its position.
        seq: u64,
        /// Why, in one line.
        why: String,
    },
    /// Who used which data.
    Uses(Box<uses::Table>),
    /// The uses cannot be counted.
    NoUses {
        /// The question's.
        serial: u32,
        /// Why, in one line.
        why: String,
    },
    /// The requests behind a count.
    UsedBy {
        /// Those that could be read.
        rows: Vec<Row>,
        /// How many could not.
        unread: usize,
    },
    /// What a run that is followed wrote.
    Output {
        /// Which request.
        id: RequestId,
        /// The lines.
        lines: Vec<Written>,
    },
    /// Some of what it wrote was missed here.
    OutputMissed {
        /// Which request.
        id: RequestId,
        /// How many pieces.
        pieces: u64,
    },
    /// Nothing more comes of it.
    OutputOver {
        /// Which request.
        id: RequestId,
        /// Why, in one line.
        why: String,
    },
    /// A head was verified to extend every head seen before.
    HeadAdvanced {
        /// How many entries it covers.
        size: u64,
    },
    /// Two heads contradict each other, or a proof is wrong.
    Forked {
        /// What was found, in one line.
        what: String,
    },
    /// The console was started to show this request.
    Open(RequestId),
    /// A request was loaded.
    Loaded(Box<Detail>),
    /// A request could not be loaded.
    NotLoaded {
        /// Which one.
        id: RequestId,
        /// Why, in one line.
        why: String,
    },
    /// A decision is durable.
    Decided {
        /// Which request.
        id: RequestId,
        /// Where it stands now.
        standing: Standing,
        /// What is still missing, perhaps nothing.
        missing: String,
    },
    /// A decision was refused, or could not be signed or sent.
    NotDecided {
        /// Which request.
        id: RequestId,
        /// Why, in one line.
        why: String,
    },
    /// Whether this console can sign.
    Signing(Signing),
    /// The passphrase was right.
    Unlocked,
    /// The passphrase was wrong, or the key could not be read.
    NotUnlocked {
        /// Why, in one line.
        why: String,
    },
    /// Something to tell the reviewer.
    Notice {
        /// What, in one line.
        text: String,
    },
}

/// What the client is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Load a request whole.
    Load(RequestId),
    /// Tell the daemon that the request was completely drawn.
    Shown {
        /// Which one.
        id: RequestId,
        /// The digest of its display rendering.
        display: countersign_shared::digest::Digest,
    },
    /// Claim it.
    Claim(RequestId),
    /// Give the claim back.
    Release(RequestId),
    /// Tell what the rules that wait for people change.
    CompareRules,
    /// Read a stretch of the log.
    ReadLog(Wanted),
    /// Read one entry of the log.
    ReadEntry {
        /// Its position.
        seq: u64,
        /// The leaf hash that it was listed with.
        leaf: Hash,
    },
    /// Check that the log holds an entry.
    ProveEntry {
        /// Its position.
        seq: u64,
        /// The leaf hash that it was listed with.
        leaf: Hash,
    },
    /// Count who used which data.
    CountUses(uses::Question),
    /// Read these requests, as lists show them.
    ReadRequests(Vec<RequestId>),
    /// Follow what a run writes.
    Follow(RequestId),
    /// Leave the run that is followed.
    Unfollow,
    /// Unlock the key.
    Unlock(Passphrase),
    /// Sign the statement and send it.
    Decide(Decision),
}

impl Request {
    /// What the console is told when this was not done: whoever waits for an answer gets a "no".
    pub fn refused(self, why: String) -> Option<News> {
        Some(match self {
            Self::Load(id) => News::NotLoaded { id, why },
            Self::Decide(decision) => News::NotDecided {
                id: decision.id,
                why,
            },
            Self::Unlock(_) => News::NotUnlocked { why },
            Self::CompareRules => News::NoRulesChange { why },
            Self::ReadLog(Wanted { serial, .. }) => News::NoLog { serial, why },
            Self::ReadEntry { seq, .. } => News::NoLogEntry { seq, why },
            Self::ProveEntry { seq, leaf } => {
                News::LogEntry(Box::new(logbook::Entry::unproven(seq, leaf, &why)))
            }
            Self::CountUses(question) => News::NoUses {
                serial: question.serial,
                why,
            },
            Self::ReadRequests(requests) => News::UsedBy {
                rows: Vec::new(),
                unread: requests.len(),
            },
            Self::Follow(id) => News::OutputOver { id, why },
            Self::Shown { .. } | Self::Claim(_) | Self::Release(_) | Self::Unfollow => return None,
        })
    }
}

/// What the runner is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Pass this on to the client.
    Ask(Request),
    /// Make this ready to be drawn, on another thread, with a fresh nonce.
    Prepare(Box<Detail>),
    /// Draw everything, whatever the terminal shows now.
    Redraw,
    /// Ring.
    Bell,
    /// Stop, as job control does, and go on when told.
    Suspend,
    /// Leave.
    Quit,
}
