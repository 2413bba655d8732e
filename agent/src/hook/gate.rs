//! The answer to a call that is about to be made.
//!
//! ```text
//! describe ─▶ ask (or go on with the earlier asking of the same call) ─▶ wait ─▶ describe again ─▶ redeem
//! ```
//!
//! Three things can come of it: a verdict, which is the client's to follow; a failure, which must not
//! look like one; and our own time being over, which is a "no" for now with a ticket that waits. The
//! one use is taken before "allow" is said, and is reported as not made when nobody was there to
//! hear it.

use std::time::Duration;

use countersign_shared::action::Action;
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::limits::Limits;
use serde_json::Value;

use super::action::{DescribeError, Surroundings, describe};
use super::call::ToolCall;
use super::dialect::Verdict;
use super::headless;
use super::parent::Parent;
use crate::asked::{self, Answer, Asked};
use crate::calls::{Calls, Left, Note, Shelf};
use crate::client::{Asking, AtOnce};
use crate::clock;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::session::Session;
use crate::signals::Signals;

/// What is left of our own time when the waiting ends: for leaving the request to itself and for
/// saying so.
pub(super) const RESERVE: Duration = Duration::from_secs(3);

/// The code of a failure that says that the action is another one by now.
const CHANGED: &str = "changed";

/// How long leaving a request to itself waits for a daemon that does not answer.
const DETACH_PATIENCE: Duration = Duration::from_secs(2);

/// Everything a gate works with.
#[derive(Debug)]
pub(super) struct Gate<'g> {
    /// The call.
    pub(super) call: &'g ToolCall,
    /// When the waiting is over, as time since boot.
    pub(super) ends: Duration,
    /// Whether the client shall come back instead of being told "no for now".
    pub(super) defer: bool,
    /// Who asks.
    pub(super) parent: &'g Parent,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Decision {
    /// The answer.
    pub(super) verdict: Verdict,
    /// The request whose one use was taken, if the answer is yes.
    pub(super) used: Option<Asked>,
}

impl From<Verdict> for Decision {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            used: None,
        }
    }
}

/// What the asking is for, and how it is found again.
struct Wanted {
    action: Vec<u8>,
    around: Surroundings,
    key: String,
}

impl Gate<'_> {
    /// Decides.
    ///
    /// # Errors
    /// With everything that is no decision.
    pub(super) async fn decide(
        &self,
        session: &mut Session,
        calls: &Calls,
        signals: &mut Signals,
    ) -> Result<Decision, Failure> {
        let around = Surroundings::take();
        let action = match self.describe(&around, signals).await? {
            Ok(action) => action,
            Err(error) => return Ok(Verdict::Deny(cannot_be_shown(&error)).into()),
        };
        let wanted = Wanted {
            key: held_key(&action, &Limits::default())?,
            action,
            around,
        };
        match self.ask(session, calls, &wanted, signals).await {
            Ok(decision) => Ok(decision),
            // These are answers: nobody will say yes to this request any more.
            Err(failure)
                if matches!(failure.exit, Exit::Denied | Exit::Expired | Exit::Conflict) =>
            {
                Ok(Verdict::Deny(told(&failure)).into())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn ask(
        &self,
        session: &mut Session,
        calls: &Calls,
        wanted: &Wanted,
        signals: &mut Signals,
    ) -> Result<Decision, Failure> {
        if let Some(note) = calls.take(Shelf::Held, &wanted.key, &self.call.session)? {
            match Asked::take_up(session, note.id, wanted.action.clone()) {
                Ok(asked) => {
                    let seen = self
                        .see_through(asked, session, calls, wanted, signals)
                        .await;
                    match seen {
                        // That one is over; the call is asked for anew.
                        Err(failure) if is_over(&failure) => {}
                        // It may still be decided: who comes next shall find it.
                        Err(failure) if failure.exit == Exit::Unreachable => {
                            calls.put(Shelf::Held, &wanted.key, &note)?;
                            return Err(failure);
                        }
                        decision => return decision,
                    }
                }
                // There is no ticket any more, and so nothing to go on with.
                Err(failure) if failure.exit == Exit::NotAuthorised => {}
                Err(failure) => return Err(failure),
            }
        }
        let asking = Asking {
            action: wanted.action.clone(),
            submission: crate::request::token()?,
            ask_key: self.ask_key()?,
            attached: !self.defer,
            at_once: AtOnce::Never,
        };
        let asked = tokio::select! {
            biased;
            // What was submitted already ends with its last waiter, or by its deadline.
            signal = signals.next() => return Err(asked::interrupted(signal)),
            () = self.parent.gone() => return Err(abandoned()),
            () = self.time_over() => return Err(too_slow()),
            asked = Asked::submit(session, asking) => asked?,
        };
        self.see_through(asked, session, calls, wanted, signals)
            .await
    }

    /// Waits for the approval, looks at the call again, and takes the one use.
    async fn see_through(
        &self,
        mut asked: Asked,
        session: &mut Session,
        calls: &Calls,
        wanted: &Wanted,
        signals: &mut Signals,
    ) -> Result<Decision, Failure> {
        let patience = self.left();
        let came = tokio::select! {
            biased;
            answer = asked.wait(session, Some(patience), signals) => Some(answer),
            () = self.parent.gone() => None,
        };
        match came {
            Some(Ok(Answer::Approved)) => {}
            Some(Ok(Answer::StillPending)) => {
                return Ok(self.leave(&asked, session, calls, wanted).await?.into());
            }
            Some(Err(failure)) => return Err(failure),
            None => {
                asked.let_go(session).await;
                return Err(abandoned());
            }
        }
        if let Err(failure) = self.look_again(&asked, wanted, signals).await {
            asked.let_go(session).await;
            return Err(failure);
        }
        asked.redeem(session, false).await?;
        // Between the two looks a person may have pressed Escape, and a file may have changed.
        let kept = match self.look_again(&asked, wanted, signals).await {
            Ok(()) => self.keep(calls, &asked, wanted),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = kept {
            asked.report_not_run(session, &failure.message).await;
            return Err(failure);
        }
        Ok(Decision {
            verdict: Verdict::Allow(format!("countersign: approved, request {}", asked.id())),
            used: Some(asked),
        })
    }

    /// Looks whether the call would still do what was asked for, and whether it is still wanted.
    async fn look_again(
        &self,
        asked: &Asked,
        wanted: &Wanted,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        if let Some(signal) = signals.arrived().await {
            return Err(asked::interrupted(signal));
        }
        if self.parent.is_gone() {
            return Err(abandoned());
        }
        let action = self
            .describe(&wanted.around, signals)
            .await?
            .map_err(|error| Failure::of(Exit::Conflict, CHANGED, &error))?;
        asked.holds(&action)
    }

    /// Writes the action on a thread of its own: the files it looks at may be slow, and nobody waits for
    /// them longer than for anything else.
    async fn describe(
        &self,
        around: &Surroundings,
        signals: &mut Signals,
    ) -> Result<Result<Vec<u8>, DescribeError>, Failure> {
        let (call, around) = (self.call.clone(), around.clone());
        let describing =
            tokio::task::spawn_blocking(move || describe(&call, &around, &Limits::default()));
        tokio::select! {
            biased;
            signal = signals.next() => Err(asked::interrupted(signal)),
            () = self.parent.gone() => Err(abandoned()),
            described = describing => described.map_err(|error| internal(&error)),
            // An approval may come at the last moment: the look behind it is part of what is left then.
            () = tokio::time::sleep(self.left().saturating_add(RESERVE)) => Err(too_slow()),
        }
    }

    /// Leaves the request to itself: it waits on, and the same call finds it again.
    async fn leave(
        &self,
        asked: &Asked,
        session: &mut Session,
        calls: &Calls,
        wanted: &Wanted,
    ) -> Result<Verdict, Failure> {
        let id = asked.id();
        // First the note: time may be over before the daemon has answered.
        let note = self.note(id, Vec::new())?;
        calls.put(Shelf::Held, &wanted.key, &note)?;
        session
            .detach(&asked.ticket().claim, DETACH_PATIENCE)
            .await?;
        if self.defer && headless::may_defer(self.call, self.parent) {
            return Ok(Verdict::Defer);
        }
        Ok(Verdict::Deny(format!(
            "countersign: denied for now: nobody has decided yet. The request waits as ticket {id}. \
             This call did not run. Make exactly the same call again later: it waits anew, or runs if a \
             person has approved it by then. Do not try to get the same done in another way"
        )))
    }

    /// Leaves word for the event that says how the call ended.
    fn keep(&self, calls: &Calls, asked: &Asked, wanted: &Wanted) -> Result<(), Failure> {
        let note = self.note(asked.id(), left(&wanted.action))?;
        let key = self.call.key().map_err(|error| internal(&error))?;
        calls.put(Shelf::Redeemed, &key, &note)?;
        Ok(())
    }

    fn note(&self, id: RequestId, left: Vec<Left>) -> Result<Note, Failure> {
        Ok(Note {
            id,
            session: self.call.session.clone(),
            call: self.call.digest().map_err(|error| internal(&error))?,
            left,
        })
    }

    /// Returns what ties this call's askings together. A client that has no name for a call gets one
    /// for each process, so that two equal calls are two requests.
    fn ask_key(&self) -> Result<String, Failure> {
        if let Some(id) = &self.call.id {
            return Ok(id.clone());
        }
        Ok(Digest::of(&crate::request::token()?).to_hex())
    }

    fn left(&self) -> Duration {
        self.ends.saturating_sub(clock::boot())
    }

    async fn time_over(&self) {
        tokio::time::sleep(self.left()).await;
    }
}

/// Returns the files that an action leaves, for a look when it is over.
fn left(action: &[u8]) -> Vec<Left> {
    let action: Value = serde_json::from_slice(action).unwrap_or_default();
    let is_whole = action.pointer("/arguments/notebook").is_none();
    let changes = action.get("changes").and_then(Value::as_array);
    changes
        .into_iter()
        .flatten()
        .filter(|_| is_whole)
        .filter_map(|change| {
            let after = change.get("after").filter(|after| !after.is_null());
            let contents = after.map(countersign_shared::action::Contents::read);
            Some(Left {
                path: change.get("path")?.as_str()?.to_owned(),
                digest: match contents {
                    None => None,
                    Some(contents) => Some(Digest::of(contents?.as_bytes())),
                },
            })
        })
        .collect()
}

/// Returns what the same call is found by when it is made again: all of it but its claims.
fn held_key(action: &[u8], limits: &Limits) -> Result<String, Failure> {
    let bytes = Action::read(action, limits)
        .and_then(|action| action.sameness_bytes())
        .map_err(|error| internal(&error))?;
    Ok(Digest::of(&bytes).to_hex())
}

/// Tells whether a request has ended or was used, and nobody said no to it.
fn is_over(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Expired | Exit::Conflict) && &*failure.code != CHANGED
}

fn cannot_be_shown(error: &DescribeError) -> String {
    format!(
        "countersign: not asked for, because nobody could be shown what would happen: {}",
        chain(error)
    )
}

/// Returns what the client, and with it the agent, is told about a "no".
fn told(failure: &Failure) -> String {
    let message = &failure.message;
    match &failure.hint {
        Some(hint) => format!("countersign: {message}; {hint}"),
        None => format!("countersign: {message}"),
    }
}

fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::of(Exit::Failure, "internal", error)
}

pub(super) fn abandoned() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "abandoned",
        "the process that asked is gone; nothing ran",
    )
}

pub(super) fn too_slow() -> Failure {
    Failure::new(
        Exit::Unreachable,
        "too-slow",
        "not approved: the daemon did not answer in the time that the client gives",
    )
}
