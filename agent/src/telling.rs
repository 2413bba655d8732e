//! What the daemon is told besides the asking: reports, and that a request is taken back.
//!
//! None of it changes what happened. What could not be told is kept for `countersign-agent report`
//! or ends by its deadline, and is said on stderr.

use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::text::Printable;

use crate::client::ClientError;
use crate::output;
use crate::report::Report;
use crate::session::Session;
use crate::tickets::Ticket;

/// How long taking back and telling of a failure wait for a daemon that does not answer.
pub(crate) const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// Reports, and goes on trying for `patience`.
pub(crate) async fn report(
    session: &mut Session,
    ticket: &Ticket,
    report: &Report,
    patience: Duration,
) -> Result<State, ClientError> {
    let bytes = report.bytes().map_err(|error| ClientError::Unexpected {
        code: "`internal`".to_owned(),
        message: error.to_string(),
    })?;
    session.report(&ticket.claim, &bytes, patience).await
}

/// Says that the use is not made, if this process has it, after the answer to its redemption was lost.
///
/// If another process has it, the daemon does not take this from us, and nothing is kept that could
/// be told later in its name. Tells whether the daemon took it.
pub(crate) async fn disclaim(session: &mut Session, ticket: &Ticket, patience: Duration) -> bool {
    let not_run = Report::NotRun {
        because: "the answer to the redemption was lost".to_owned(),
    };
    match report(session, ticket, &not_run, patience).await {
        Ok(_) => {
            forget(session, ticket);
            true
        }
        Err(error) => {
            if error.is_lost() {
                warn("the daemon could not be told that nothing is carried out");
            }
            false
        }
    }
}

/// Keeps a report for `countersign-agent report`.
pub(crate) fn keep_report(session: &Session, ticket: &Ticket, report: &Report) {
    let kept = report
        .bytes()
        .map_err(|error| error.to_string())
        .and_then(|bytes| {
            let id = ticket.claim.id;
            session
                .tickets()
                .update(ticket)
                .and_then(|()| session.tickets().keep_report(id, &bytes))
                .map_err(|error| crate::failure::chain(&error))
        });
    if let Err(message) = kept {
        warn(&format!("the report could not be kept: {message}"));
    }
}

/// Takes the request back, as far as the daemon can be told; its deadline does it otherwise.
///
/// Not for a request that was joined: it is another process's as well.
pub(crate) async fn withdraw(session: &mut Session, ticket: &Ticket) {
    match session.withdraw(&ticket.claim, SHORT_PATIENCE).await {
        // A process that joined the request has taken the use, and needs the ticket to report.
        Err(error) if error.is_taken() => return,
        Err(error) if error.is_lost() => {
            warn("the request could not be taken back; it ends by itself");
        }
        // Somebody else asked for it as well, and needs the ticket.
        Ok(state) if !state.has_ended() => return,
        // What cannot be taken back any more has ended already.
        Ok(_) | Err(_) => {}
    }
    // An attached request ends with its waiter, so the ticket is of no use any more.
    forget(session, ticket);
}

/// Removes a ticket that is of no use any more.
pub(crate) fn forget(session: &Session, ticket: &Ticket) {
    if let Err(error) = session.tickets().remove(ticket.claim.id) {
        warn(&crate::failure::chain(&error));
    }
}

/// Says something that changes nothing about the result.
pub(crate) fn warn(text: &str) {
    output::message(&Printable::from_ours(format!("warning: {text}")));
}
