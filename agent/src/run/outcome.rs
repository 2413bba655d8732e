//! How `run` ends, and the JSON that `--status-fd` gets.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use countersign_program::program::ProgramError;
use countersign_shared::machine::State;
use serde_json::{Value, json};

use super::capture::CaptureError;
use super::input::InputError;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::Finished;
use crate::tickets::Ticket;

/// How `run` ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The program ran.
    Ran {
        /// Our exit code: the program's own.
        code: u8,
        /// The request; nothing when it was never told which it is.
        ticket: Option<Box<Ticket>>,
        /// Where the request stands.
        state: State,
        /// How the program ended, if that can be told.
        end: Option<Finished>,
    },
    /// Nothing ran.
    NotRun(NotRun),
}

/// Why nothing ran.
#[derive(Debug)]
pub(crate) struct NotRun {
    /// Our exit code.
    pub(crate) code: u8,
    /// What is said about it.
    pub(crate) failure: Failure,
    /// The request, when there was one.
    pub(crate) ticket: Option<Box<Ticket>>,
}

impl NotRun {
    /// Takes a failure with the exit code it has.
    pub(crate) const fn of(failure: Failure) -> Self {
        Self {
            code: failure.exit.for_run(),
            failure,
            ticket: None,
        }
    }

    /// Takes an error that came before anybody was asked: a program that is not there is told as
    /// env(1) tells it.
    pub(crate) fn before_asking(error: &CaptureError) -> Self {
        let (exit, code, number) = match error {
            CaptureError::Program(ProgramError::NotFound { .. }) => {
                (Exit::Failure, "not-found", 127)
            }
            CaptureError::Program(
                ProgramError::NotExecutable { .. }
                | ProgramError::Read { .. }
                | ProgramError::Seal { .. }
                | ProgramError::TooLarge { .. }
                | ProgramError::Changed { .. },
            ) => (Exit::Failure, "not-executable", 126),
            CaptureError::Input(_) => (Exit::Failure, "standard-input", 125),
            CaptureError::Unset { .. } => (Exit::Usage, "not-set", 125),
            CaptureError::Directory(_) | CaptureError::NotText { .. } => {
                (Exit::Failure, "cannot-describe", 125)
            }
            CaptureError::Action(error) => (Exit::Failure, error.code(), 125),
        };
        let mut failure = Failure::of(exit, code, error);
        match error {
            CaptureError::Action(error) => {
                failure = crate::request::of_action(error);
            }
            CaptureError::Input(InputError::TooLarge { limit, found }) => {
                let size = |size: &usize| u64::try_from(*size).unwrap_or(u64::MAX);
                failure = failure
                    .field("/arguments/stdin")
                    .measured(size(limit), size(found))
                    .hint("put the input into a file that the command names");
            }
            CaptureError::Program(_)
            | CaptureError::Input(_)
            | CaptureError::Unset { .. }
            | CaptureError::Directory(_)
            | CaptureError::NotText { .. } => {}
        }
        Self {
            code: number,
            failure,
            ticket: None,
        }
    }
}

impl From<NotRun> for Ending {
    fn from(not_run: NotRun) -> Self {
        Self::NotRun(not_run)
    }
}

/// Writes what happened as one line of JSON.
pub(crate) fn write_status(to: OwnedFd, ending: &Ending) {
    let line = output::ascii(&status(ending));
    // The exit code says the same, if less; a reader that has gone changes nothing.
    drop(writeln!(File::from(to), "{line}"));
}

fn status(ending: &Ending) -> Value {
    let (ran, ticket, state, end, error) = match ending {
        Ending::Ran {
            ticket, state, end, ..
        } => (true, ticket.as_ref(), Some(*state), end.as_ref(), None),
        Ending::NotRun(not_run) => {
            let error = not_run.failure.to_json();
            (false, not_run.ticket.as_ref(), None, None, Some(error))
        }
    };
    json!({
        "schema": 1,
        "ran": ran,
        "id": ticket.map(|ticket| ticket.claim.id),
        "digest": ticket.map(|ticket| ticket.digest),
        "state": state.map(State::word),
        "exit": end.and_then(|end| end.exit),
        "signal": end.and_then(|end| end.signal),
        "error": error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_as_env_tells_it() {
        let not_found = ProgramError::NotFound { name: "x".into() };
        assert_eq!(NotRun::before_asking(&not_found.into()).code, 127);
        let not_executable = ProgramError::NotExecutable {
            path: "/x".into(),
            reason: "it is not executable",
        };
        assert_eq!(NotRun::before_asking(&not_executable.into()).code, 126);
        let unset = CaptureError::Unset {
            name: "X".to_owned(),
        };
        assert_eq!(NotRun::before_asking(&unset).code, 125);
    }

    #[test]
    fn a_childs_own_120_is_told_apart_from_ours() {
        let ours = Ending::from(NotRun::of(Failure::new(Exit::Denied, "denied", "no")));
        let line = status(&ours);
        assert_eq!(line["ran"], false);
        assert_eq!(line["error"]["code"], "denied");
        assert_eq!(line["exit"], Value::Null);
        let theirs = Ending::Ran {
            code: 120,
            ticket: Some(Box::new(crate::tickets::Ticket {
                claim: crate::client::Claim {
                    id: countersign_shared::id::RequestId::from_bytes([1; 16]),
                    secret: countersign_shared::id::TicketSecret::from_bytes([2; 16]),
                },
                digest: countersign_shared::digest::Digest::of(b"document"),
                expires_at: None,
                stage: crate::tickets::Stage::Started,
                redeemed_at: None,
                shared: false,
            })),
            state: State::Failed,
            end: Some(Finished {
                outcome: "failed",
                exit: Some(120),
                signal: None,
                stdout: None,
                stderr: None,
                duration: None,
            }),
        };
        let line = status(&theirs);
        assert_eq!(line["ran"], true);
        assert_eq!(line["exit"], 120);
        assert_eq!(line["state"], "failed");
        assert_eq!(line["error"], Value::Null);
        assert!(!line.to_string().contains("tkt_"));
    }
}
