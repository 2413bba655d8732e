//! From the asking for a command to the end of its run: wait, compare, redeem, compare, start,
//! report.

use std::pin::pin;
use std::time::Duration;

use countersign_client::place::Place;
use countersign_shared::limits::Limits;
use countersign_shared::machine::State;
use countersign_shared::text::Printable;

use super::capture::{Capture, CaptureError};
use super::execute::{self, Running};
use super::outcome::{Ending, NotRun};
use crate::asked::{self, Answer, Asked};
use crate::client::{Claim, Client};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::{Finished, Report};
use crate::session::Session;
use crate::signals::Signals;
use crate::telling::{forget, keep_report, report, warn};
use crate::tickets::Ticket;

/// How long a report waits for a daemon that does not answer.
const REPORT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a program runs before its start is worth a report of its own. Of one that ends before,
/// the end tells both.
const SOON: Duration = Duration::from_millis(100);

/// Waits, and runs the command if it is approved.
pub(super) async fn see_through(
    mut asked: Asked,
    session: &mut Session,
    capture: &Capture,
    limits: &Limits,
    signals: &mut Signals,
) -> Ending {
    if !asked.has_use()
        && let Err(failure) = take_use(&mut asked, session, capture, limits, signals).await
    {
        return not_run(&asked, failure);
    }
    if let Err(failure) = compare(&asked, capture, limits, signals).await {
        asked.report_not_run(session, &failure.message).await;
        return not_run(&asked, failure);
    }
    match execute::start(capture) {
        Ok(running) => stay(asked.into_ticket(), session, running, signals).await,
        Err(error) => {
            let failure = Failure::of(Exit::Failure, "not-started", &error);
            asked.report_not_run(session, &failure.message).await;
            NotRun {
                code: error.exit(),
                ..tell(&asked, failure)
            }
            .into()
        }
    }
}

/// Waits for the approval, looks again at what would run, and takes the one use.
async fn take_use(
    asked: &mut Asked,
    session: &mut Session,
    capture: &Capture,
    limits: &Limits,
    signals: &mut Signals,
) -> Result<(), Failure> {
    wait(asked, session, signals).await?;
    if let Err(failure) = compare(asked, capture, limits, signals).await {
        asked.let_go(session).await;
        return Err(failure);
    }
    asked.redeem(session, true).await
}

/// Waits for the approval. Everything else is an error.
async fn wait(asked: &Asked, session: &mut Session, signals: &mut Signals) -> Result<(), Failure> {
    match asked.wait(session, None, signals).await? {
        Answer::Approved => Ok(()),
        // Without a limit of ours there is nothing else to wait for.
        Answer::StillPending => {
            asked.let_go(session).await;
            Err(asked::expired(asked.id()))
        }
    }
}

/// Looks again at what would run, and whether it is what the signed document holds (R9).
/// Whoever pressed Ctrl-C meanwhile does not want it any more.
async fn compare(
    asked: &Asked,
    capture: &Capture,
    limits: &Limits,
    signals: &mut Signals,
) -> Result<(), Failure> {
    if let Some(signal) = signals.arrived().await {
        return Err(asked::interrupted(signal));
    }
    let changed = |error: CaptureError| Failure::of(Exit::Conflict, "changed", &error);
    capture.check().map_err(changed)?;
    asked.holds(&capture.action(limits).map_err(changed)?)
}

/// Stays with the program, reports the start of one that takes a while, and reports the end.
async fn stay(
    ticket: Ticket,
    session: &mut Session,
    running: Running,
    signals: &mut Signals,
) -> Ending {
    let started = Report::Started { pid: running.pid() };
    let asked = heed(session.place().clone(), ticket.claim.clone());
    let mut finish = pin!(running.finish(signals, asked));
    let soon = tokio::time::timeout(SOON, &mut finish).await;
    let end = if let Ok(end) = soon {
        end
    } else {
        // A refusal or a loss changes nothing: the end says that it was started.
        let (_, end) = tokio::join!(report(session, &ticket, &started, REPORT_PATIENCE), finish,);
        end
    };
    let end = match end {
        Ok(end) => end,
        Err(error) => {
            // It ran, and how it ended cannot be told: the daemon must not hear of a success.
            warn(&format!("the end of the program cannot be told: {error}"));
            return Ending::Ran {
                code: Exit::Failure.for_run(),
                ticket: Some(Box::new(ticket)),
                state: State::Indeterminate,
                end: None,
            };
        }
    };
    let state = tell_end(&ticket, session, &end).await;
    Ending::Ran {
        code: code(&end),
        ticket: Some(Box::new(ticket)),
        state,
        end: Some(end),
    }
}

/// Waits until a reviewer asks for the end; for ever when nobody does. It has a connection of its own,
/// and makes another one when the daemon was away.
async fn heed(place: Place, claim: Claim) {
    // Most programs are over by then.
    tokio::time::sleep(SOON).await;
    let mut pause = SOON;
    loop {
        let asked = match Client::connect(&place).await {
            Ok(mut client) => client.await_kill(&claim).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(true) => break,
            Err(error) if error.is_lost() => {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(REPORT_PATIENCE);
            }
            // It is over for the daemon, or the daemon does not know this call: nobody will ask here.
            Ok(false) | Err(_) => return std::future::pending().await,
        }
    }
    output::message(&Printable::ours(
        "a reviewer asks for the end of this run: it gets SIGTERM, and SIGKILL after 10 s",
    ));
}

/// Reports the end.
async fn tell_end(ticket: &Ticket, session: &mut Session, end: &Finished) -> State {
    let finished = Report::Finished(end.clone());
    match report(session, ticket, &finished, REPORT_PATIENCE).await {
        Ok(state) => {
            forget(session, ticket);
            state
        }
        Err(error) => {
            keep_report(session, ticket, &finished);
            let id = ticket.claim.id;
            let cause = crate::failure::chain(&error);
            warn(&format!("the end of the run was not reported: {cause}"));
            output::message(&Printable::from_ours(format!(
                "next: it is recorded as indeterminate until `countersign-agent report {id}`"
            )));
            State::Indeterminate
        }
    }
}

fn not_run(asked: &Asked, failure: Failure) -> Ending {
    tell(asked, failure).into()
}

fn tell(asked: &Asked, failure: Failure) -> NotRun {
    NotRun {
        ticket: Some(Box::new(asked.ticket().clone())),
        ..NotRun::of(failure)
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

#[cfg(test)]
mod tests;
