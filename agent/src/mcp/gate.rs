//! What every call of a tool goes through, whatever brought it: asked for, held, and let through once.
//!
//! ```text
//! describe ─▶ ask ─▶ wait ─▶ describe again ─▶ redeem ─▶ describe again ─▶ (it is passed on) ─▶ report
//! ```
//!
//! A call that a hook of the same client asked for already, and whose use it took, is let through in
//! that request's name, if it is exactly what was approved. How a message travels this does not know.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_client::place::state_dir;
use countersign_shared::digest::Digest;
use countersign_shared::json;
use countersign_shared::machine::State;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::action::describe;
use super::call::Call;
use super::message::{Answer, End};
use super::pins::{Change, PinError, Pins, Repeated};
use crate::asked::{Answer as Word, Asked};
use crate::calls::{Calls, Note, Shelf};
use crate::client::{Asking, AtOnce};
use crate::clock;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::report::{Finished, Report};
use crate::session::Session;
use crate::signals::Signals;
use crate::telling::{SHORT_PATIENCE, forget, keep_report, report, warn};
use crate::tickets::{Stage, Ticket};

/// How many calls may be held or on their way at once. More than a user can have pending.
const MOST_CALLS: usize = 32;

/// How long a report waits for a daemon that does not answer.
const REPORT_PATIENCE: Duration = Duration::from_secs(5);

/// Why a call is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The client took it back, and expects no answer.
    Cancelled,
    /// The client is gone.
    ClientGone,
    /// The server is gone.
    ServerGone,
}

impl Stop {
    /// Says so.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "the client took the call back",
            Self::ClientGone => "the client ended the conversation",
            Self::ServerGone => "the server has ended",
        }
    }
}

/// Hears whether a call is still wanted.
pub(crate) type Stops = watch::Receiver<Option<Stop>>;

/// Everything that calls of one server go through.
#[derive(Debug)]
pub(super) struct Gate {
    home: Option<PathBuf>,
    server: String,
    pins: Pins,
    calls: Calls,
    /// Whether a definition could not be kept, so that a change of it would not be seen.
    is_blind: AtomicBool,
    slots: Semaphore,
}

/// A call that may be passed on, once, now.
#[derive(Debug)]
#[must_use = "the use is taken and must be reported"]
pub(super) struct Passage<'g> {
    session: Session,
    ticket: Ticket,
    begun: Duration,
    _slot: SemaphorePermit<'g>,
}

/// What the request of a call is made from.
struct Wanted {
    action: Vec<u8>,
    change: Option<Change>,
}

impl Gate {
    /// Opens the gate in front of the server with this name.
    ///
    /// # Errors
    /// When there is no place for our own files.
    pub(super) fn open(home: Option<&Path>, server: String) -> Result<Self, Failure> {
        let own = state_dir()?;
        Ok(Self {
            home: home.map(Path::to_path_buf),
            server,
            pins: Pins::open(&own),
            calls: Calls::open(&own),
            is_blind: AtomicBool::new(false),
            slots: Semaphore::new(MOST_CALLS),
        })
    }

    /// Takes up definitions of tools. When they cannot be kept, no call passes from then on.
    pub(super) fn note(&self, tools: &[Box<RawValue>]) {
        if tools.is_empty() {
            return;
        }
        if let Err(error) = self.pins.note(&self.server, tools) {
            self.is_blind.store(true, Ordering::Relaxed);
            warn(&format!(
                "what the server says of its tools cannot be kept: {}",
                chain(&error)
            ));
        }
    }

    /// Returns which arguments of a tool are repeated in headers.
    ///
    /// # Errors
    /// When what the server says of its tools cannot be read.
    pub(super) fn repeated(&self, tool: &str) -> Result<Repeated, PinError> {
        self.pins.repeated(&self.server, tool)
    }

    /// Takes what its server says of a tool from now on, once a person has seen it with a call.
    fn learn(&self, call: &Call, wanted: &Wanted) {
        if let Some(change) = &wanted.change
            && let Err(error) = self.pins.accept(&self.server, &call.tool, change)
        {
            warn(&chain(&error));
        }
    }

    /// Asks for a call and waits until it may be made.
    ///
    /// # Errors
    /// With what the agent is told. Nothing may be passed on then.
    pub(super) async fn pass(&self, call: &Call, mut stops: Stops) -> Result<Passage<'_>, String> {
        let slot = self.slots.try_acquire().map_err(|_| {
            format!("countersign: not asked for: {MOST_CALLS} calls are held or made already")
        })?;
        let wanted = self.wanted(call)?;
        if let Some((session, ticket)) = self.take_over(call, &wanted).await? {
            self.learn(call, &wanted);
            return Ok(Passage {
                session,
                ticket,
                begun: clock::boot(),
                _slot: slot,
            });
        }
        let (session, ticket) = self
            .ask(call, &wanted, &mut stops)
            .await
            .map_err(|failure| told(&failure))?;
        self.learn(call, &wanted);
        Ok(Passage {
            session,
            ticket,
            begun: clock::boot(),
            _slot: slot,
        })
    }

    /// Writes the action of a call, from what is known now.
    fn wanted(&self, call: &Call) -> Result<Wanted, String> {
        let cannot = |why: &str| {
            format!(
                "countersign: not asked for, because nobody could be shown what would happen: {why}"
            )
        };
        if self.is_blind.load(Ordering::Relaxed) {
            return Err(cannot(
                "the definitions of the server's tools cannot be kept",
            ));
        }
        let seen = self
            .pins
            .look(&self.server, &call.tool)
            .map_err(|error| cannot(&chain(&error)))?;
        let action = describe(&self.server, call, &seen).map_err(|error| cannot(&chain(&error)))?;
        Ok(Wanted {
            action,
            change: seen.change,
        })
    }

    /// Takes over the use that a hook took for this very call.
    async fn take_over(
        &self,
        call: &Call,
        wanted: &Wanted,
    ) -> Result<Option<(Session, Ticket)>, String> {
        let Some(key) = call.use_id.as_ref().and_then(|id| use_key(id)) else {
            return Ok(None);
        };
        let note = match self.calls.take_of_any(Shelf::Redeemed, &key) {
            Ok(Some(note)) => note,
            Ok(None) => return Ok(None),
            Err(error) => return Err(told(&error.into())),
        };
        let adopted = self.adopt(&note, wanted).await;
        if !matches!(adopted, Ok(Some(_))) {
            // The client's own event tells how that one ended.
            self.calls
                .put(Shelf::Redeemed, &key, &note)
                .map_err(|error| told(&error.into()))?;
        }
        // What is not what was approved there is asked for by itself.
        adopted.map_err(|failure| told(&failure))
    }

    async fn adopt(
        &self,
        note: &Note,
        wanted: &Wanted,
    ) -> Result<Option<(Session, Ticket)>, Failure> {
        let mut session = Session::open(self.home.as_deref())?;
        let Ok(asked) = Asked::take_up(&mut session, note.id, wanted.action.clone()) else {
            return Ok(None);
        };
        let mut ticket = asked.into_ticket();
        if ticket.stage != Stage::Redeemed {
            return Ok(None);
        }
        // The daemon says whether the use is still good: its time may be over.
        let started = Report::Started {
            pid: std::process::id(),
        };
        let state = report(&mut session, &ticket, &started, REPORT_PATIENCE).await?;
        if state != State::Running {
            return Err(crate::request::not_approved(
                state,
                &countersign_shared::text::Untrusted::new(String::new()),
            ));
        }
        ticket.stage = Stage::Started;
        Ok(Some((session, ticket)))
    }

    async fn ask(
        &self,
        call: &Call,
        wanted: &Wanted,
        stops: &mut Stops,
    ) -> Result<(Session, Ticket), Failure> {
        let mut session = Session::open(self.home.as_deref())?;
        let mut signals =
            Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
        let asking = Asking {
            action: wanted.action.clone(),
            submission: crate::request::token()?,
            ask_key: ask_key(call)?,
            attached: true,
            at_once: AtOnce::Never,
        };
        let mut asked = tokio::select! {
            biased;
            // What was submitted already ends with its last waiter.
            stop = stopped(stops) => return Err(not_wanted(stop)),
            asked = Asked::submit(&mut session, asking) => asked?,
        };
        let word = tokio::select! {
            biased;
            stop = stopped(stops) => Err(stop),
            word = asked.wait(&mut session, None, &mut signals) => Ok(word?),
        };
        match word {
            Ok(Word::Approved) => {}
            Ok(Word::StillPending) => {
                asked.let_go(&mut session).await;
                return Err(crate::asked::expired(asked.id()));
            }
            Err(stop) => {
                asked.let_go(&mut session).await;
                return Err(not_wanted(stop));
            }
        }
        if let Err(failure) = self.look_again(call, &asked, stops) {
            asked.let_go(&mut session).await;
            return Err(failure);
        }
        asked.redeem(&mut session, true).await?;
        if let Err(failure) = self.look_again(call, &asked, stops) {
            asked.report_not_run(&mut session, &failure.message).await;
            return Err(failure);
        }
        Ok((session, asked.into_ticket()))
    }

    /// Looks whether the call is still what was asked for, and still wanted.
    fn look_again(&self, call: &Call, asked: &Asked, stops: &Stops) -> Result<(), Failure> {
        // Nobody is left who could want it when nobody could say so.
        let gone = stops.has_changed().is_err().then_some(Stop::ClientGone);
        if let Some(stop) = stops.borrow().or(gone) {
            return Err(not_wanted(stop));
        }
        let now = self
            .wanted(call)
            .map_err(|why| Failure::new(Exit::Conflict, "changed", why))?;
        asked.holds(&now.action)
    }
}

impl Passage<'_> {
    /// Says that the call was not passed on after all.
    pub(super) async fn not_made(mut self, why: &str) {
        let last = Report::NotRun {
            because: why.to_owned(),
        };
        self.tell(&last, SHORT_PATIENCE).await;
    }

    /// Says that the call is being made.
    pub(super) async fn made(&mut self) {
        self.begun = clock::boot();
        if self.ticket.stage == Stage::Started {
            return;
        }
        let started = Report::Started {
            pid: std::process::id(),
        };
        // What cannot be told now is told with the end.
        if report(&mut self.session, &self.ticket, &started, Duration::ZERO)
            .await
            .is_ok()
        {
            self.ticket.stage = Stage::Started;
        }
    }

    /// Says how the call ended.
    pub(super) async fn ended(mut self, answer: &Answer) {
        let outcome = match answer.end {
            End::Succeeded => "succeeded",
            End::Failed => "failed",
            // Nobody here will hear of its end: it becomes indeterminate by itself.
            End::GoesOn => return,
        };
        let last = Report::Finished(Finished {
            outcome,
            exit: None,
            signal: None,
            stdout: Some(answer.digest),
            stderr: None,
            duration: Some(clock::boot().saturating_sub(self.begun)),
        });
        if self.ticket.stage != Stage::Started {
            self.made_late().await;
        }
        self.tell(&last, REPORT_PATIENCE).await;
    }

    async fn made_late(&mut self) {
        let started = Report::Started {
            pid: std::process::id(),
        };
        // A refusal may mean that only the answer was lost; the next report will tell.
        drop(report(&mut self.session, &self.ticket, &started, REPORT_PATIENCE).await);
    }

    async fn tell(&mut self, last: &Report, patience: Duration) {
        match report(&mut self.session, &self.ticket, last, patience).await {
            Ok(_) => forget(&self.session, &self.ticket),
            Err(error) => {
                keep_report(&self.session, &self.ticket, last);
                warn(&format!(
                    "how a call ended was not reported: {}; it is kept for `countersign-agent report {}`",
                    chain(&error),
                    self.ticket.claim.id
                ));
            }
        }
    }
}

/// Waits until a call is not wanted any more.
async fn stopped(stops: &mut Stops) -> Stop {
    match stops.wait_for(Option::is_some).await {
        Ok(stop) => stop.unwrap_or(Stop::ClientGone),
        // Nobody is left who could want it.
        Err(_) => Stop::ClientGone,
    }
}

fn not_wanted(stop: Stop) -> Failure {
    Failure::new(
        Exit::Interrupted,
        "not-wanted",
        format!("{}; nothing was passed on", stop.word()),
    )
}

/// Returns what ties this call's askings together: a hook's and a proxy's have the same.
fn ask_key(call: &Call) -> Result<String, Failure> {
    match &call.use_id {
        Some(id) => Ok(id.clone()),
        None => Ok(Digest::of(&crate::request::token()?).to_hex()),
    }
}

/// Returns what a hook leaves word under for a use of a tool with this id.
fn use_key(id: &str) -> Option<String> {
    let bytes = json::canonical(&serde_json::json!(["id", id])).ok()?;
    Some(Digest::of(&bytes).to_hex())
}

/// Returns what the agent is told about a "no".
fn told(failure: &Failure) -> String {
    let message = &failure.message;
    match &failure.hint {
        Some(hint) => format!("countersign: {message}; {hint}"),
        None => format!("countersign: {message}"),
    }
}
