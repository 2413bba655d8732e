//! How a command ended: the exit code, the message, and what to do next.

use std::process::ExitCode;

use countersign_client::peer::ConnectError;
use countersign_client::refusal::Failure;
use countersign_shared::machine::State;
use serde_json::json;

use super::output;
pub(super) use crate::cause::chain;
use crate::client::ClientError;
use crate::review::ReviewError;
use crate::signing::SigningError;

/// A command that did not do what was asked.
#[derive(Debug)]
pub(super) struct Trouble(Box<Details>);

#[derive(Debug)]
struct Details {
    exit: u8,
    code: String,
    message: String,
    field: Option<String>,
    limit: Option<u64>,
    found: Option<u64>,
    hint: Option<&'static str>,
}

/// What commands return.
pub(super) type Done = Result<(), Trouble>;

impl Trouble {
    /// Makes a trouble with its exit code.
    pub(super) fn new(exit: u8, code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            exit,
            code: code.to_owned(),
            message: message.into(),
            field: None,
            limit: None,
            found: None,
            hint: None,
        }))
    }

    /// Ends with an exit code alone: what there is to say was written already.
    pub(super) fn silent(exit: u8) -> Self {
        Self::new(exit, "", "")
    }

    /// The command line is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, "usage", message)
    }

    /// The request has ended, so nothing can be decided about it.
    pub(super) fn ended(state: State) -> Self {
        let word = state.word();
        Self::new(
            exit_of(word),
            word,
            format!("the request is {word} already; nothing was signed"),
        )
    }

    /// Something failed on this machine.
    pub(super) fn failure(error: &dyn std::error::Error) -> Self {
        Self::new(1, "failure", chain(error))
    }

    /// Tells whether it is about who asks or how the request stands, and not about this machine.
    pub(super) const fn is_about_standing(&self) -> bool {
        matches!(self.0.exit, 3..=6)
    }

    /// Says what to do next.
    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// Writes the trouble and returns its exit code.
    pub(super) fn report(self, as_json: bool) -> ExitCode {
        let Details {
            exit,
            code,
            message,
            field,
            limit,
            found,
            hint,
        } = *self.0;
        if message.is_empty() {
            return ExitCode::from(exit);
        }
        let hint = hint.or_else(|| hint_of(&code));
        if as_json {
            output::json(&json!({"schema": 1, "error": {
                "code": code,
                "message": message,
                "field": field,
                "limit": limit,
                "found": found,
                "hint": hint,
            }}));
        } else {
            output::message(&format!("countersign: {message}"));
            if let Some(hint) = hint {
                output::message(hint);
            }
        }
        ExitCode::from(exit)
    }
}

/// Returns what to do next about a refusal.
fn hint_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "unreachable" => "start the daemon with `countersignd`, or name its home with `--home`",
        "not-allowed" => "ask the operator to add you to the reviewers' group",
        "stale-digest" => "look again with `countersign show` and give the digest it prints",
        "not-in-roster" => "ask the operator to add you to reviewers.toml",
        "not-proposed" => "`countersign rules diff` shows what waits",
        "not-found" => "`countersign list --all` shows what there is",
        "own-request" => "another person has to approve it",
        "assurance-too-low" => "use a key that asks for more: a passphrase, or a touch",
        "pending" => "it is not approved and nothing runs; deny it instead",
        "too-late" => "`countersign kill` asks for the end of the run",
        "not-on-break-glass-list" => "ask somebody it names; `countersign doctor` lists them",
        "own-debt" => "another person than the one who broke the glass has to close it",
        "log" => "run `countersign verify` and tell whoever runs the daemon",
        _ => return None,
    })
}

/// Returns the exit code of a refusal's code.
fn exit_of(code: &str) -> u8 {
    match code {
        "limit-exceeded" => 3,
        "not-in-roster"
        | "foreign-key"
        | "expired-key"
        | "bad-signature"
        | "own-request"
        | "not-own-request"
        | "no-seat"
        | "assurance-too-low"
        | "own-debt"
        | "not-on-break-glass-list" => 4,
        "deadline-passed" | "expired" | "lapsed" => 5,
        // For whoever decides, a request that was decided already is a conflict, whichever way.
        "denied" | "refused" | "pending" | "received" | "conflict" | "stale-digest"
        | "already-decided" | "already-redeemed" | "too-late" | "withdrawn" | "superseded"
        | "invalidated" | "revoked" | "claimed" | "rules-changed" | "redeemed" | "running"
        | "succeeded" | "failed" | "killed" | "not-run" | "indeterminate" | "settled"
        | "unchanged" | "no-debt" | "not-proposed" => 6,
        "draining" | "busy" => 7,
        "wrong-head" => 9,
        "malformed-message" | "malformed-statement" | "ambiguous-id" => 2,
        _ => 1,
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Connect(error @ ConnectError::Unreachable { .. }) => {
                Self::new(7, "unreachable", chain(&error))
            }
            ClientError::Connect(error @ ConnectError::NotAllowed { .. }) => {
                Self::new(4, "not-allowed", chain(&error))
            }
            ClientError::Connect(error @ ConnectError::Untrustworthy(_)) => {
                Self::new(9, "not-trusted", chain(&error))
            }
            ClientError::Failure(Failure::Refused(refusal)) => Self(Box::new(Details {
                exit: exit_of(&refusal.code),
                code: refusal.code,
                message: refusal.message,
                field: refusal.field,
                limit: refusal.limit,
                found: refusal.found,
                hint: None,
            })),
            ClientError::Failure(error @ Failure::Lost { .. }) => {
                Self::new(7, "unreachable", chain(&error))
            }
            ClientError::Failure(error @ Failure::Unexpected { .. }) => {
                Self::new(1, "failure", chain(&error))
            }
            ClientError::Answer(error) => Self::new(9, "answer", chain(&error)),
        }
    }
}

impl From<ReviewError> for Trouble {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::Client(error) => error.into(),
            error @ ReviewError::Kept(_) => Self::new(1, "failure", chain(&error)),
            error @ (ReviewError::Answer(_)
            | ReviewError::Log(_)
            | ReviewError::Document(_)
            | ReviewError::OtherDocument
            | ReviewError::Entry(_)
            | ReviewError::Display(_)) => Self::new(9, "log", chain(&error)),
        }
    }
}

impl From<SigningError> for Trouble {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Client(error) => error.into(),
            SigningError::Key(error) => Self::new(error.exit_code(), "no-key", chain(&error)),
            SigningError::NotRecorded(kept) if kept.is_ours() => {
                Self::new(1, "failure", chain(&SigningError::NotRecorded(kept)))
            }
            error @ SigningError::NotInRoster => Self::new(4, "not-in-roster", chain(&error)),
            error @ (SigningError::NotRecorded(_)
            | SigningError::OtherEntry
            | SigningError::NoHead) => Self::new(9, "log", chain(&error)),
            error @ SigningError::SaidBefore => Self::new(6, "conflict", chain(&error)),
            error @ (SigningError::Answer(_)
            | SigningError::Rules(_)
            | SigningError::Statement(_)
            | SigningError::Receipt(_)
            | SigningError::Keep { .. }
            | SigningError::Random(_)) => Self::new(1, "failure", chain(&error)),
        }
    }
}
