//! From the asking to the end of the run: wait, compare, redeem, compare, start, report.

use std::time::Duration;

use countersign_shared::limits::Limits;
use countersign_shared::machine::State;
use countersign_shared::text::{Printable, Untrusted};
use rustix::process::Signal;

use super::capture::{Capture, CaptureError};
use super::execute::{self, Running};
use super::outcome::{Ending, NotRun};
use super::telling::{SHORT_PATIENCE, forget, keep_report, report, warn, withdraw};
use crate::client::{Asking, Standing};
use crate::clock;
use crate::compare::Agreed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::{Finished, Report};
use crate::session::Session;
use crate::signals::Signals;
use crate::tickets::{Stage, Ticket};
use crate::waiting::{self, Waited};

/// How long a report waits for a daemon that does not answer.
const REPORT_PATIENCE: Duration = Duration::from_secs(30);

/// A request that was submitted, with a document that holds the action.
#[derive(Debug)]
pub(super) struct Asked {
    action: Vec<u8>,
    agreed: Agreed,
    ticket: Ticket,
    /// Whether another process asked for it first, and may run it.
    joined: bool,
}

impl Asked {
    /// Asks, and checks that the document holds what was asked.
    ///
    /// # Errors
    /// When it was refused, or the document is about something else.
    pub(super) async fn submit(session: &mut Session, action: Vec<u8>) -> Result<Self, Failure> {
        let asking = Asking {
            action,
            submission: crate::request::token()?,
            attached: true,
        };
        let (submitted, ticket) = session.submit(&asking).await?;
        let origin = session.heads().origin().to_owned();
        let agreed = match Agreed::check(&submitted, &asking.action, &origin) {
            Ok(agreed) => agreed,
            Err(error) => {
                if !submitted.joined {
                    withdraw(session, &ticket).await;
                }
                return Err(Failure::of(Exit::Verification, "document-differs", &error));
            }
        };
        if submitted.state.has_ended() {
            return Err(ended(submitted.state, &submitted.reason));
        }
        Ok(Self {
            action: asking.action,
            agreed,
            ticket,
            joined: submitted.joined,
        })
    }

    /// Waits, and runs the command if it is approved.
    pub(super) async fn see_through(
        mut self,
        session: &mut Session,
        capture: &Capture,
        limits: &Limits,
        signals: &mut Signals,
    ) -> Ending {
        if let Err(failure) = self.wait(session, signals).await {
            return self.not_run(failure);
        }
        if let Err(failure) = self.compare(capture, limits, signals).await {
            self.let_go(session).await;
            return self.not_run(failure);
        }
        if let Err(failure) = self.redeem(session).await {
            return self.not_run(failure);
        }
        if let Err(failure) = self.compare(capture, limits, signals).await {
            self.report_not_run(session, &failure.message).await;
            return self.not_run(failure);
        }
        match execute::start(capture) {
            Ok(running) => self.stay(session, running, signals).await,
            Err(error) => {
                let failure = Failure::of(Exit::Failure, "not-started", &error);
                self.report_not_run(session, &failure.message).await;
                NotRun {
                    code: error.exit(),
                    ..self.tell(failure)
                }
                .into()
            }
        }
    }

    /// Waits for the approval. Everything else is an error.
    async fn wait(&self, session: &mut Session, signals: &mut Signals) -> Result<(), Failure> {
        let waited = waiting::wait(session, &self.ticket, None, signals).await;
        let failure = match waited {
            Ok(Waited::Decided(standing)) if standing.state == State::Approved => return Ok(()),
            Ok(Waited::Decided(standing)) => {
                if standing.state.has_ended() {
                    forget(session, &self.ticket);
                }
                return Err(decided(&standing));
            }
            Ok(Waited::StillPending | Waited::Expired) => Failure::new(
                Exit::Expired,
                "expired",
                format!("nobody decided `{}` in time", self.agreed.id()),
            )
            .hint("ask again"),
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
    async fn let_go(&self, session: &mut Session) {
        if self.joined {
            session.hang_up();
        } else {
            withdraw(session, &self.ticket).await;
        }
    }

    /// Looks again at what would run, and whether it is what the signed document holds (R9).
    /// Whoever pressed Ctrl-C meanwhile does not want it any more.
    async fn compare(
        &self,
        capture: &Capture,
        limits: &Limits,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        if let Some(signal) = signals.arrived().await {
            return Err(interrupted(signal));
        }
        let changed = |error: CaptureError| Failure::of(Exit::Conflict, "changed", &error);
        capture.check().map_err(changed)?;
        let action = capture.action(limits).map_err(changed)?;
        if action != self.action {
            return Err(Failure::new(
                Exit::Conflict,
                "changed",
                "what would run is not what was asked for",
            ));
        }
        self.agreed
            .holds(&action)
            .map_err(|error| Failure::of(Exit::Verification, "document-differs", &error))
    }

    /// Takes the one use, and checks that the log has it.
    async fn redeem(&mut self, session: &mut Session) -> Result<(), Failure> {
        self.ticket.digest = self.agreed.digest();
        let redeemed = match session.redeem(&self.ticket, true).await {
            Ok(redeemed) => redeemed,
            // Another process has it, and its run and its ticket are not ours to touch.
            Err(error) if error.is_taken() => return Err(error.into()),
            Err(error) if error.leaves_open() => {
                // Whether the use was taken cannot be told, and a second try would be refused. Of a
                // request that several asked for, another process may have taken it, and may run.
                if !self.joined && !session.tickets().may_be_anothers(self.ticket.claim.id) {
                    self.report_not_run(session, "the answer to the redemption was lost")
                        .await;
                }
                return Err(error.into());
            }
            Err(error) => {
                self.let_go(session).await;
                return Err(error.into());
            }
        };
        self.ticket.stage = Stage::Redeemed;
        self.ticket.redeemed_at = Some(clock::wall());
        if let Err(failure) = session.check_redemption(&self.ticket, &redeemed) {
            self.report_not_run(session, &failure.message).await;
            return Err(failure);
        }
        // The use is ours, and this process holds all that it needs to run and report.
        if let Err(error) = session.tickets().update(&self.ticket) {
            warn(&crate::failure::chain(&error));
        }
        Ok(())
    }

    /// Reports the start, stays with the program, and reports the end.
    async fn stay(
        mut self,
        session: &mut Session,
        running: Running,
        signals: &mut Signals,
    ) -> Ending {
        let started = Report::Started { pid: running.pid() };
        let (reported, end) = tokio::join!(
            report(session, &self.ticket, &started, REPORT_PATIENCE),
            running.finish(signals),
        );
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                // It ran, and how it ended cannot be told: the daemon must not hear of a success.
                warn(&format!("the end of the program cannot be told: {error}"));
                return Ending::Ran {
                    code: Exit::Failure.for_run(),
                    ticket: Box::new(self.ticket),
                    state: State::Indeterminate,
                    end: None,
                };
            }
        };
        if reported.is_ok() {
            self.ticket.stage = Stage::Started;
        }
        let state = self.tell_end(session, &started, &end).await;
        Ending::Ran {
            code: code(&end),
            ticket: Box::new(self.ticket),
            state,
            end: Some(end),
        }
    }

    /// Reports the end, and the start before it when the daemon has not heard of that.
    async fn tell_end(&self, session: &mut Session, started: &Report, end: &Finished) -> State {
        if self.ticket.stage != Stage::Started {
            // A refusal may mean that only the answer was lost; the next report will tell.
            drop(report(session, &self.ticket, started, REPORT_PATIENCE).await);
        }
        let finished = Report::Finished(end.clone());
        match report(session, &self.ticket, &finished, REPORT_PATIENCE).await {
            Ok(state) => {
                forget(session, &self.ticket);
                state
            }
            Err(error) => {
                keep_report(session, &self.ticket, &finished);
                let id = self.ticket.claim.id;
                let cause = crate::failure::chain(&error);
                warn(&format!("the end of the run was not reported: {cause}"));
                output::message(&Printable::from_ours(format!(
                    "next: it is recorded as indeterminate until `countersign-agent report {id}`"
                )));
                State::Indeterminate
            }
        }
    }

    async fn report_not_run(&self, session: &mut Session, because: &str) {
        let not_run = Report::NotRun {
            because: because.to_owned(),
        };
        match report(session, &self.ticket, &not_run, SHORT_PATIENCE).await {
            Ok(_) => forget(session, &self.ticket),
            Err(_) => keep_report(session, &self.ticket, &not_run),
        }
    }

    fn not_run(&self, failure: Failure) -> Ending {
        self.tell(failure).into()
    }

    fn tell(&self, failure: Failure) -> NotRun {
        NotRun {
            ticket: Some(Box::new(self.ticket.clone())),
            ..NotRun::of(failure)
        }
    }
}

/// Returns the exit code that a shell would see.
fn code(end: &Finished) -> u8 {
    let number = match (end.exit, end.signal) {
        (Some(exit), _) => exit,
        (None, Some(signal)) => signal.saturating_add(128),
        (None, None) => 125,
    };
    u8::try_from(number & 0xff).unwrap_or(125)
}

/// Says that a signal came before anything ran.
pub(super) fn interrupted(signal: Signal) -> Failure {
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

fn decided(standing: &Standing) -> Failure {
    ended(standing.state, &standing.reason)
}

/// Says that a request ended without an approval.
fn ended(state: State, reason: &Untrusted) -> Failure {
    crate::request::not_approved(state, reason)
}

#[cfg(test)]
mod tests;
