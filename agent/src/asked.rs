//! One asking, from the submit to the one use: what running a command, a hook and a proxy have in
//! common.
//!
//! ```text
//! submit ─▶ wait ─▶ (what would be done is looked at again) holds ─▶ redeem ─▶ (it is done)
//! ```
//!
//! Where nobody has to be asked, the submit may bring the use along, and what would be done is looked at
//! after it only.
//!
//! Each step that fails leaves nothing that could still be used in this process's name: a request
//! that is not wanted any more is let go, a use that was taken and not made is reported as not run.
//! What the action is and who carries it out, this does not know.

use std::pin::pin;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::text::Untrusted;
use rustix::process::Signal;

use crate::client::{Asking, AtOnce, Begun, Taken};
use crate::clock;
use crate::compare::Agreed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::Report;
use crate::session::Session;
use crate::signals::Signals;
use crate::telling::{self, SHORT_PATIENCE, forget, keep_report, report, warn, withdraw};
use crate::tickets::{Stage, Ticket};
use crate::waiting::{self, Waited};

/// How long an asking that nobody wants any more is listened to.
const LISTENING: Duration = Duration::from_secs(1);

/// What a wait came to, when it came to no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Enough people, or a policy, said yes. The one use is still to be taken.
    Approved,
    /// The caller's own time is over, the request's is not.
    StillPending,
}

/// A request that was submitted, with a document that holds the action.
#[derive(Debug)]
pub(crate) struct Asked {
    action: Vec<u8>,
    agreed: Agreed,
    ticket: Ticket,
    /// Whether another process asked for it first, and may make use of it.
    joined: bool,
    /// Where it stood when it was asked for.
    state: State,
    /// Who has the one use, as far as this process was told.
    held_by: Holder,
}

/// Who has the one use.
#[derive(Debug)]
enum Holder {
    /// Nobody that this process knows of.
    Nobody,
    /// This process.
    Own,
    /// The daemon, which runs it: the run, until it is followed; nothing when its answer was lost.
    Daemon(Option<Box<Begun>>),
}

impl Asked {
    /// Asks, and checks that the document holds what was asked.
    ///
    /// # Errors
    /// When it was refused, or the document is about something else.
    pub(crate) async fn submit(session: &mut Session, asking: Asking) -> Result<Self, Failure> {
        let (mut submitted, ticket) = session.submit(&asking).await?;
        let taken = submitted.taken.take();
        let origin = session.heads().origin().to_owned();
        let agreed = match Agreed::check(&submitted, &asking.action, &origin) {
            Ok(agreed) => agreed,
            Err(error) => {
                let failure = Failure::of(Exit::Verification, "document-differs", &error);
                match taken {
                    Some(Taken::Own(_)) => {
                        report_not_run(session, &ticket, &failure.message).await;
                    }
                    Some(Taken::Daemon(_)) => return Err(failure.may_have_run()),
                    None if asking.at_once == AtOnce::Daemon && submitted.state.was_used() => {
                        return Err(failure.may_have_run());
                    }
                    None if submitted.joined => {}
                    None => withdraw(session, &ticket).await,
                }
                return Err(failure);
            }
        };
        let (id, state) = (submitted.id, submitted.state);
        let held_by = match (taken, asking.at_once) {
            (Some(Taken::Daemon(begun)), _) => Holder::Daemon(Some(begun)),
            (Some(Taken::Own(_)), _) => {
                // What others were shown meanwhile is compared before anything is done.
                if let Err(failure) = session.meet_others().await {
                    report_not_run(session, &ticket, &failure.message).await;
                    return Err(failure);
                }
                Holder::Own
            }
            // An own asking that is repeated finds what came of it.
            (None, AtOnce::Daemon) if state == State::NotRun => return Err(not_ours(id, true)),
            (None, AtOnce::Daemon) if state.was_used() => Holder::Daemon(None),
            (None, _) if state.has_ended() => return Err(ended(state, &submitted.reason)),
            (None, AtOnce::Own) if state == State::Redeemed => {
                let was_ours = telling::disclaim(session, &ticket, SHORT_PATIENCE).await;
                return Err(not_ours(id, was_ours));
            }
            (None, AtOnce::Never | AtOnce::Own | AtOnce::Daemon) => Holder::Nobody,
        };
        Ok(Self {
            action: asking.action,
            agreed,
            ticket,
            joined: submitted.joined,
            state,
            held_by,
        })
    }

    /// Asks, as [`submit`](Self::submit) does, unless `unwanted` says first why nobody wants it any more.
    /// What was submitted by then is let go, and a use that was taken with it given back, as far as that is
    /// heard of soon: else a request ends with its last waiter, and of a use nobody can tell. A run that the
    /// daemon has begun is returned all the same: who follows it ends it.
    ///
    /// # Errors
    /// As those of `submit`, and what `unwanted` says.
    pub(crate) async fn submit_unless(
        session: &mut Session,
        asking: Asking,
        unwanted: impl Future<Output = Failure>,
    ) -> Result<Self, Failure> {
        let is_run_at_once = asking.at_once == AtOnce::Daemon;
        let (failure, came) = {
            let mut submitting = pin!(Self::submit(session, asking));
            let failure = tokio::select! {
                biased;
                submitted = &mut submitting => return submitted,
                failure = unwanted => failure,
            };
            (failure, tokio::time::timeout(LISTENING, submitting).await)
        };
        match came {
            Ok(Ok(asked)) if asked.has_run() => return Ok(asked),
            Ok(Ok(asked)) if asked.has_use() => {
                asked.report_not_run(session, &failure.message).await;
            }
            Ok(Ok(asked)) => asked.let_go(session).await,
            Ok(Err(lost)) if lost.may_have_run => return Err(lost),
            Err(_) if is_run_at_once => {
                let message = "interrupted before the daemon answered";
                let unheard = Failure::new(failure.exit, &failure.code, message);
                return Err(unheard.may_have_run());
            }
            Ok(Err(_)) | Err(_) => {}
        }
        Err(failure)
    }

    /// Goes on with an earlier asking for the same action, whose ticket is kept.
    ///
    /// # Errors
    /// When there is no such ticket, or its document does not hold `action`.
    pub(crate) fn take_up(
        session: &mut Session,
        id: RequestId,
        action: Vec<u8>,
    ) -> Result<Self, Failure> {
        let ticket = session.tickets().load(id)?;
        let (document, openings) = session.tickets().document(id)?;
        let origin = session.heads().origin().to_owned();
        let agreed = Agreed::again(&ticket, &document, &openings, &action, &origin)
            .map_err(|error| Failure::of(Exit::Verification, "document-differs", &error))?;
        Ok(Self {
            action,
            agreed,
            joined: ticket.shared,
            ticket,
            state: State::Pending,
            held_by: Holder::Nobody,
        })
    }

    /// Returns the request.
    pub(crate) const fn id(&self) -> RequestId {
        self.agreed.id()
    }

    /// Returns the ticket.
    pub(crate) const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Takes the ticket out, when the use has been made.
    pub(crate) fn into_ticket(self) -> Ticket {
        self.ticket
    }

    /// Tells whether this process has the one use.
    pub(crate) const fn has_use(&self) -> bool {
        matches!(self.held_by, Holder::Own)
    }

    /// Tells whether the daemon took the use with the approval, and runs it or has run it.
    pub(crate) const fn has_run(&self) -> bool {
        matches!(self.held_by, Holder::Daemon(_))
    }

    /// Returns where the request stood when it was asked for.
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Takes out the run that the daemon began with the approval, to follow it.
    pub(crate) const fn take_begun(&mut self) -> Option<Box<Begun>> {
        match &mut self.held_by {
            Holder::Daemon(begun) => begun.take(),
            Holder::Nobody | Holder::Own => None,
        }
    }

    /// Waits for the approval, for at most `patience`.
    ///
    /// # Errors
    /// When there will be none, or a signal came, or nobody can tell; the request is let go then.
    pub(crate) async fn wait(
        &self,
        session: &mut Session,
        patience: Option<Duration>,
        signals: &mut Signals,
    ) -> Result<Answer, Failure> {
        if self.state == State::Approved {
            // Nobody had to be asked. The proof is that of the redemption.
            return Ok(Answer::Approved);
        }
        let waited = waiting::wait(session, &self.ticket, patience, signals).await;
        let failure = match waited {
            Ok(Waited::Decided(standing)) if standing.state == State::Approved => {
                return Ok(Answer::Approved);
            }
            Ok(Waited::Decided(standing)) => {
                if standing.state.has_ended() {
                    forget(session, &self.ticket);
                }
                return Err(ended(standing.state, &standing.reason));
            }
            Ok(Waited::StillPending) => return Ok(Answer::StillPending),
            Ok(Waited::Expired) => expired(self.id()),
            Ok(Waited::Unreachable) => Failure::new(
                Exit::Unreachable,
                "daemon-unreachable",
                "not approved: the daemon was not reachable until the request's end",
            )
            .hint("start `countersignd` and ask again"),
            Ok(Waited::Interrupted(signal)) => interrupted(signal),
            Err(failure) => failure,
        };
        self.let_go(session).await;
        Err(failure)
    }

    /// Wants no more of the request. One that was joined stays for whoever asked first; the daemon
    /// sees this waiter go, and ends an attached request with its last.
    pub(crate) async fn let_go(&self, session: &mut Session) {
        if self.joined {
            session.hang_up();
        } else {
            withdraw(session, &self.ticket).await;
        }
    }

    /// Checks that `action`, written anew from what would be done now, is what was asked for and
    /// what the signed document holds (R9).
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn holds(&self, action: &[u8]) -> Result<(), Failure> {
        if action != self.action {
            return Err(Failure::new(
                Exit::Conflict,
                "changed",
                "what would run is not what was asked for",
            ));
        }
        self.agreed
            .holds(action)
            .map_err(|error| Failure::of(Exit::Verification, "document-differs", &error))
    }

    /// Takes the one use, and checks that the log has it. With `stays`, this process carries the
    /// action out, and the daemon looks whether it lives.
    ///
    /// # Errors
    /// When the use is not, or not for sure, this process's. Nothing may be done then.
    pub(crate) async fn redeem(
        &mut self,
        session: &mut Session,
        stays: bool,
    ) -> Result<(), Failure> {
        self.ticket.digest = self.agreed.digest();
        if let Err(failure) = session.meet_others().await {
            self.let_go(session).await;
            return Err(failure);
        }
        let redeemed = match session.redeem(&self.ticket, stays).await {
            Ok(redeemed) => redeemed,
            // Another process has it, and its run and its ticket are not ours to touch.
            Err(error) if error.is_taken() => return Err(error.into()),
            Err(error) if error.leaves_open() => {
                // Whether the use was taken cannot be told, and a second try would be refused.
                telling::disclaim(session, &self.ticket, SHORT_PATIENCE).await;
                return Err(error.into());
            }
            Err(error) => {
                self.let_go(session).await;
                return Err(error.into());
            }
        };
        self.held_by = Holder::Own;
        self.ticket.stage = Stage::Redeemed;
        self.ticket.redeemed_at = Some(clock::wall());
        if let Err(failure) = session.check_redemption(&self.ticket, &redeemed).await {
            self.report_not_run(session, &failure.message).await;
            return Err(failure);
        }
        // The use is ours, and this process holds all that it needs to run and report.
        if let Err(error) = session.tickets().update(&self.ticket) {
            warn(&crate::failure::chain(&error));
        }
        Ok(())
    }

    /// Reports that the use that was taken is not made.
    pub(crate) async fn report_not_run(&self, session: &mut Session, because: &str) {
        report_not_run(session, &self.ticket, because).await;
    }
}

/// Reports that the use that was taken is not made.
async fn report_not_run(session: &mut Session, ticket: &Ticket, because: &str) {
    let not_run = Report::NotRun {
        because: because.to_owned(),
    };
    match report(session, ticket, &not_run, SHORT_PATIENCE).await {
        Ok(_) => forget(session, ticket),
        Err(_) => keep_report(session, ticket, &not_run),
    }
}

/// Says that a signal came before anything ran.
pub(crate) fn interrupted(signal: Signal) -> Failure {
    let name = match signal {
        Signal::INT => "SIGINT",
        Signal::TERM => "SIGTERM",
        Signal::HUP => "SIGHUP",
        _ => "SIGQUIT",
    };
    Failure::new(
        Exit::Interrupted,
        "interrupted",
        format!("interrupted by {name}; nothing ran"),
    )
}

/// Says that the use was taken, by this process without hearing of it, or by another one.
fn not_ours(id: RequestId, was_ours: bool) -> Failure {
    if was_ours {
        let message = format!("the answer with the one use of `{id}` was lost; nothing ran");
        Failure::new(Exit::Unreachable, "use-lost", message).hint("ask again")
    } else {
        let message =
            format!("the one use of `{id}` is taken, and not by this process; nothing ran here");
        Failure::new(Exit::Conflict, "already-redeemed", message).hint(format!(
            "`countersign-agent wait {id}` tells where it stands"
        ))
    }
}

/// Says that the request's time is over.
pub(crate) fn expired(id: RequestId) -> Failure {
    Failure::new(
        Exit::Expired,
        "expired",
        format!("nobody decided `{id}` in time"),
    )
    .hint("ask again")
}

/// Says that a request ended without an approval.
fn ended(state: State, reason: &Untrusted) -> Failure {
    crate::request::not_approved(state, reason)
}

#[cfg(test)]
pub(crate) mod tests;
