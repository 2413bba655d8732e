//! What became of a call that was allowed, as its client tells it, for the log.
//!
//! Nothing is decided here. A call that nobody was asked about is passed over in silence: other hooks
//! and other clients' calls are no business of ours. One that waits for people, and was made all the same,
//! is not: its request is taken back, and the client is told.

use std::path::Path;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::machine::State;

use super::call::{End, ToolCall};
use super::parent::Parent;
use crate::calls::{Calls, Left, Note, Shelf};
use crate::client::ClientError;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::report::{Finished, Report};
use crate::session::Session;
use crate::telling::{forget, keep_report, report, warn, withdraw};
use crate::tickets::{Stage, Ticket};

/// How long telling waits for a daemon that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells the daemon how the call ended.
///
/// # Errors
/// When it cannot be told; the report is kept for `countersign-agent report`.
pub(super) async fn tell(
    call: &ToolCall,
    end: &End,
    parent: &Parent,
    open: impl FnOnce() -> Result<Session, Failure>,
    calls: &Calls,
) -> Result<(), Failure> {
    let key = call
        .key()
        .map_err(|error| Failure::of(Exit::Failure, "internal", &error))?;
    let note = match &call.id {
        // Its name is enough, and whoever let it through may not have known the conversation.
        Some(_) => calls.take_of_any(Shelf::Redeemed, &key)?,
        None => calls.take(Shelf::Redeemed, &key, &call.session)?,
    };
    let Some(note) = note else {
        return match end {
            End::Ran { .. } => made_unapproved(call, open, calls).await,
            End::NotRun { .. } => Ok(()),
        };
    };
    let (mut session, ticket) = match opened(&note, open) {
        Ok(opened) => opened,
        Err(failure) => {
            // Whoever tells it once more finds it.
            calls.put(Shelf::Redeemed, &key, &note)?;
            return Err(failure);
        }
    };
    let last = match end {
        End::NotRun { because } => Report::NotRun {
            because: (*because).to_owned(),
        },
        End::Ran {
            outcome,
            exit,
            duration_ms,
        } => {
            // Another hook may have given the tool something else meanwhile.
            let is_other = call.digest().ok() != Some(note.call);
            let outcome = if is_other {
                warn("the call is not the one that was approved; it is reported as failed");
                "failed"
            } else if *outcome == "succeeded" && !is_left(&note.left) {
                warn("what is on disk is not what was approved; the call is reported as failed");
                "failed"
            } else {
                outcome
            };
            Report::Finished(Finished {
                outcome,
                exit: *exit,
                signal: None,
                stdout: None,
                stderr: None,
                duration: duration_ms.map(Duration::from_millis),
            })
        }
    };
    if matches!(last, Report::Finished(_)) && ticket.stage != Stage::Started {
        let started = Report::Started { pid: parent.pid() };
        match report(&mut session, &ticket, &started, PATIENCE).await {
            // Refused: it is known already, or a late report does not need it.
            Ok(_) | Err(ClientError::Refused(_)) => {}
            Err(error) => {
                keep_report(&session, &ticket, &last);
                return Err(not_told(&error));
            }
        }
    }
    match report(&mut session, &ticket, &last, PATIENCE).await {
        Ok(State::Redeemed | State::Running) => Ok(()),
        Ok(_) => {
            forget(&session, &ticket);
            Ok(())
        }
        Err(error) => {
            keep_report(&session, &ticket, &last);
            Err(not_told(&error))
        }
    }
}

fn opened(
    note: &Note,
    open: impl FnOnce() -> Result<Session, Failure>,
) -> Result<(Session, Ticket), Failure> {
    let session = open()?;
    let ticket = session.tickets().load(note.id)?;
    Ok((session, ticket))
}

/// Takes the request of a call back that its client made without an answer: nobody is to approve what is
/// done.
async fn made_unapproved(
    call: &ToolCall,
    open: impl FnOnce() -> Result<Session, Failure>,
    calls: &Calls,
) -> Result<(), Failure> {
    let digest = call
        .digest()
        .map_err(|error| Failure::of(Exit::Failure, "internal", &error))?;
    let Some((key, note)) = calls.take_held(&call.session, digest)? else {
        return Ok(());
    };
    let id = note.id;
    match opened(&note, open) {
        Ok((mut session, ticket)) => withdraw(&mut session, &ticket).await,
        Err(failure) => {
            warn(&failure.message);
            // Whoever tells it once more takes it back.
            calls.put(Shelf::Held, &key, &note)?;
        }
    }
    Err(Failure::new(
        Exit::Conflict,
        "made-unapproved",
        format!("the client made this call although it was denied for now, as {id}"),
    )
    .hint(format!(
        "tell whoever runs this client, and look at what the call did; `countersign show {id}` has its request"
    )))
}

/// Tells whether files are as the approved call leaves them.
fn is_left(left: &[Left]) -> bool {
    left.iter().all(|left| {
        let path = Path::new(&left.path);
        match (&left.digest, std::fs::read(path)) {
            (Some(digest), Ok(bytes)) => Digest::of(&bytes) == *digest,
            (None, Err(error)) => error.kind() == std::io::ErrorKind::NotFound,
            (Some(_), Err(_)) | (None, Ok(_)) => false,
        }
    })
}

fn not_told(error: &ClientError) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "not-reported",
        format!("how the call ended could not be reported: {}", chain(error)),
    )
    .hint("it is kept for `countersign-agent report ID`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_as_approved_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let left = |digest| {
            [Left {
                path: path.to_str().unwrap().to_owned(),
                digest,
            }]
        };
        assert!(is_left(&[]));
        assert!(is_left(&left(None)));
        assert!(!is_left(&left(Some(Digest::of(b"one")))));
        std::fs::write(&path, "one").unwrap();
        assert!(is_left(&left(Some(Digest::of(b"one")))));
        assert!(!is_left(&left(Some(Digest::of(b"two")))));
        assert!(!is_left(&left(None)));
    }
}
