//! `wait`, `withdraw`, `redeem` and `report`: what any process of the same user can do with the
//! ticket that `request` kept.

use std::path::Path;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::machine::State;
use countersign_shared::text::{Printable, Untrusted};
use countersign_shared::time::Timestamp;
use serde_json::json;

use crate::cli::{OneRequest, Outcome, RedeemOptions, ReportOptions, WaitOptions};
use crate::client::ClientError;
use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::{Finished, Report};
use crate::session::Session;
use crate::signals::Signals;
use crate::telling;
use crate::tickets::{Stage, Ticket};
use crate::waiting::{self, Waited};

/// How long taking back and reporting wait for a daemon that does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the decision about an earlier request.
pub(crate) async fn wait(home: Option<&Path>, options: WaitOptions) -> Result<Exit, Failure> {
    let mut session = Session::open_durably(home)?;
    let ticket = session.tickets().load(options.id)?;
    let mut signals =
        Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
    let patience = options.timeout;
    await_decision(&mut session, &ticket, patience, &mut signals, options.json).await
}

/// Waits for the decision and prints it.
pub(crate) async fn await_decision(
    session: &mut Session,
    ticket: &Ticket,
    patience: Option<Duration>,
    signals: &mut Signals,
    as_json: bool,
) -> Result<Exit, Failure> {
    let id = ticket.claim.id;
    let (state, reason, expires_at) =
        match waiting::wait(session, ticket, patience, signals).await? {
            Waited::Decided(standing) => (standing.state, standing.reason, standing.expires_at),
            Waited::StillPending => {
                let nobody = Untrusted::default();
                print(ticket, State::Pending, &nobody, ticket.expires_at, as_json);
                output::message(&Printable::from_ours(format!(
                    "still pending, ticket {id}; next: countersign-agent wait {id}"
                )));
                return Ok(Exit::Pending);
            }
            Waited::Expired => (State::Expired, Untrusted::default(), ticket.expires_at),
            Waited::Unreachable => {
                return Err(Failure::new(
                    Exit::Unreachable,
                    "daemon-unreachable",
                    "not approved: the daemon was not reachable until the request's end",
                )
                .hint("start `countersignd` and ask again"));
            }
            Waited::Interrupted(_) => {
                return Err(Failure::new(
                    Exit::Interrupted,
                    "interrupted",
                    format!("the wait was interrupted; the request `{id}` goes on"),
                )
                .hint(format!("countersign-agent withdraw {id}")));
            }
        };
    if state.has_ended() {
        session.tickets().remove(id)?;
    }
    print(ticket, state, &reason, expires_at, as_json);
    Ok(Exit::of_standing(state))
}

/// Takes a request back.
pub(crate) async fn withdraw(home: Option<&Path>, options: OneRequest) -> Result<Exit, Failure> {
    let mut session = Session::open_durably(home)?;
    let ticket = session.tickets().load(options.id)?;
    let state = session.withdraw(&ticket.claim, PATIENCE).await?;
    if state.has_ended() {
        session.tickets().remove(options.id)?;
    }
    print(&ticket, state, &Untrusted::default(), None, options.json);
    Ok(if state == State::Withdrawn {
        Exit::Ok
    } else {
        Exit::Conflict
    })
}

/// Takes the one use, for the process that called us.
pub(crate) async fn redeem(home: Option<&Path>, options: RedeemOptions) -> Result<Exit, Failure> {
    let mut session = Session::open_durably(home)?;
    let mut ticket = session.tickets().load(options.id)?;
    let bytes = std::fs::read(&options.document).map_err(|error| {
        let path = options.document.display();
        Failure::new(
            Exit::Failure,
            "cannot-read",
            format!("cannot read `{path}`: {error}"),
        )
    })?;
    check_digest(&bytes, &ticket)?;
    session.meet_others().await?;
    // We end at once, and whoever called us carries the action out.
    let redeemed = match session.redeem(&ticket, false).await {
        Ok(redeemed) => redeemed,
        Err(error) if error.leaves_open() => {
            // The use may be taken, so the action must not be carried out on the strength of this.
            telling::disclaim(&mut session, &ticket, PATIENCE).await;
            return Err(Failure::from(error).hint(format!(
                "carry out nothing; `countersign-agent wait {}` tells where it stands",
                options.id
            )));
        }
        Err(error) => return Err(error.into()),
    };
    ticket.stage = Stage::Redeemed;
    ticket.redeemed_at = Some(clock::wall());
    let kept = match session.check_redemption(&ticket, &redeemed).await {
        Ok(()) => session.tickets().update(&ticket).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = kept {
        report_not_run(&mut session, &ticket, &failure.message).await;
        return Err(failure);
    }
    if options.json {
        output::json(&json!({
            "schema": 1,
            "id": options.id,
            "digest": ticket.digest,
            "state": State::Redeemed.word(),
            "run_until": redeemed.run_until,
        }));
    } else {
        let id = options.id;
        output::result(&Printable::from_ours(format!(
            "{id} redeemed {}",
            ticket.digest
        )));
        output::message(&Printable::from_ours(format!(
            "next: carry it out until {}, then countersign-agent report {id}",
            redeemed.run_until
        )));
    }
    Ok(Exit::Ok)
}

/// Refuses a document that is not the one the ticket is for.
fn check_digest(document: &[u8], ticket: &Ticket) -> Result<(), Failure> {
    let found = Digest::of(document);
    if found == ticket.digest {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Conflict,
        "stale-digest",
        format!(
            "the document has the digest {found}, the request has {}",
            ticket.digest
        ),
    )
    .field("document")
    .hint("carry out nothing; the request is about another document"))
}

async fn report_not_run(session: &mut Session, ticket: &Ticket, because: &str) {
    let not_run = Report::NotRun {
        because: because.to_owned(),
    };
    let told = match not_run.bytes() {
        Ok(bytes) => session
            .report(&ticket.claim, &bytes, PATIENCE)
            .await
            .is_ok(),
        Err(_) => false,
    };
    if !told {
        output::message(&Printable::ours(
            "warning: the daemon could not be told that nothing is carried out",
        ));
    }
}

/// Tells what became of a redeemed request.
pub(crate) async fn report(home: Option<&Path>, options: ReportOptions) -> Result<Exit, Failure> {
    let mut session = Session::open_durably(home)?;
    let ticket = session.tickets().load(options.id)?;
    let kept = session.tickets().report(options.id)?;
    let (bytes, started) = match (options.outcome, kept) {
        (None, Some(bytes)) if is_not_run(&bytes) => (bytes, None),
        (None, Some(bytes)) => (bytes, own_start(&ticket)?),
        (None, None) => {
            return Err(Failure::new(
                Exit::Usage,
                "no-outcome",
                format!("no report is kept for `{}`", options.id),
            )
            .hint("say how it ended with `--outcome succeeded` or `--outcome failed`"));
        }
        (Some(outcome), _) => {
            let end = stated(outcome, options.exit, &ticket, clock::wall());
            (write(&Report::Finished(end))?, own_start(&ticket)?)
        }
    };
    if let Some(started) = started {
        match session.report(&ticket.claim, &started, PATIENCE).await {
            // Refused: it is known already, or a late report does not need it.
            Ok(_) | Err(ClientError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let state = session.report(&ticket.claim, &bytes, PATIENCE).await?;
    if state.has_ended() {
        session.tickets().remove(options.id)?;
    }
    print(&ticket, state, &Untrusted::default(), None, options.json);
    Ok(Exit::Ok)
}

/// Tells whether a kept report says that nothing ran, which no start goes before.
fn is_not_run(report: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(report).is_ok_and(|report| {
        report
            .get("outcome")
            .is_some_and(|outcome| outcome == "not-run")
    })
}

/// The start of what was carried out outside of us. The daemon wants to hear of it first.
fn own_start(ticket: &Ticket) -> Result<Option<Vec<u8>>, Failure> {
    if ticket.stage == Stage::Started {
        return Ok(None);
    }
    let pid = rustix::process::getppid().map_or(0, |pid| {
        u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0)
    });
    write(&Report::Started { pid }).map(Some)
}

/// An end as its doer states it. We saw nothing of it, so its output has no digest, and it lasted
/// from the redemption until now.
fn stated(outcome: Outcome, exit: Option<u8>, ticket: &Ticket, now: Timestamp) -> Finished {
    Finished {
        outcome: match outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
        },
        exit: exit.map(i32::from),
        signal: None,
        stdout: None,
        stderr: None,
        duration: ticket.redeemed_at.map(|redeemed| now.since(redeemed)),
    }
}

fn write(report: &Report) -> Result<Vec<u8>, Failure> {
    report
        .bytes()
        .map_err(|error| Failure::of(Exit::Failure, "internal", &error))
}

fn print(
    ticket: &Ticket,
    state: State,
    reason: &Untrusted,
    expires_at: Option<Timestamp>,
    as_json: bool,
) {
    if as_json {
        output::json(&json!({
            "schema": 1,
            "id": ticket.claim.id,
            "digest": ticket.digest,
            "state": state.word(),
            "expires_at": expires_at,
            "reason": reason.raw_str(),
        }));
        return;
    }
    output::result(&Printable::from_ours(format!(
        "{} {} {}",
        ticket.claim.id,
        state.word(),
        ticket.digest
    )));
    if !reason.is_empty() {
        output::reason(reason);
    }
}

#[cfg(test)]
mod tests;
