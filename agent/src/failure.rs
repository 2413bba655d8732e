//! What a command says when it ends without what was asked for.
//!
//! Modules have their own errors; here they become one message, one stable code, one exit code and
//! one line of advice. Texts of others may be in a message: it is encoded when it is printed.

use std::error::Error;

use serde_json::{Value, json};

use countersign_client::heads::HeadsError;
use countersign_client::place::PlaceError;

use crate::calls::CallsError;
use crate::client::ClientError;
use crate::exit::Exit;

use crate::tickets::TicketError;

/// A failure as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The stable code, in kebab case.
    pub code: Box<str>,
    /// What is wrong, in one line.
    pub message: String,
    /// The part of the action or of the command line that is wrong.
    pub field: Option<Box<str>>,
    /// The limit that was passed.
    pub limit: Option<u64>,
    /// The size found.
    pub found: Option<u64>,
    /// What to do next.
    pub hint: Option<Box<str>>,
    /// Whether the daemon may have run something all the same.
    pub may_have_run: bool,
}

impl Failure {
    /// Makes a failure from its three necessary parts.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            field: None,
            limit: None,
            found: None,
            hint: None,
            may_have_run: false,
        }
    }

    /// Makes a failure from an error and what caused it.
    pub fn of(exit: Exit, code: &str, error: &dyn Error) -> Self {
        Self::new(exit, code, chain(error))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that the daemon may have begun what was asked for.
    #[must_use]
    pub fn may_have_run(mut self) -> Self {
        self.may_have_run = true;
        self.hint(
            "what the daemon has begun, if it has, ends with this call: `countersign list --all`",
        )
    }

    /// Adds the part that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<Box<str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds the limit that was passed and the size found.
    #[must_use]
    pub fn measured(mut self, limit: u64, found: u64) -> Self {
        (self.limit, self.found) = (Some(limit), Some(found));
        self
    }

    /// Returns the failure as the object that `--json` prints.
    pub fn to_json(&self) -> Value {
        json!({
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "limit": self.limit,
            "found": self.found,
            "hint": self.hint,
        })
    }
}

/// Joins an error with its causes, outermost first.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        let exit = match &error {
            PlaceError::NoLogKey { .. } | PlaceError::LogKey { .. } => Exit::Verification,
            PlaceError::Home(_) | PlaceError::NotAbsolute { .. } | PlaceError::NoState => {
                Exit::Usage
            }
            PlaceError::CurrentDirectory { .. } => Exit::Failure,
        };
        let failure = Self::of(exit, "no-place", &error);
        match error {
            PlaceError::NoLogKey { .. } => {
                failure.hint("ask the operator to put the daemon's `log.vkey` there")
            }
            PlaceError::NoState => failure.hint("set `COUNTERSIGN_STATE` to a directory"),
            PlaceError::LogKey { .. }
            | PlaceError::Home(_)
            | PlaceError::NotAbsolute { .. }
            | PlaceError::CurrentDirectory { .. } => failure,
        }
    }
}

impl From<CallsError> for Failure {
    fn from(error: CallsError) -> Self {
        Self::of(Exit::Failure, "call-store", &error)
    }
}

impl From<TicketError> for Failure {
    fn from(error: TicketError) -> Self {
        match &error {
            TicketError::Unknown { .. } => Self::of(Exit::NotAuthorised, "no-ticket", &error).hint(
                "only the user who asked holds the ticket, and it goes when the request ends",
            ),
            TicketError::Foreign { .. }
            | TicketError::Read { .. }
            | TicketError::Write { .. }
            | TicketError::Format { .. } => Self::of(Exit::Failure, "ticket-store", &error),
        }
    }
}

impl From<HeadsError> for Failure {
    fn from(error: HeadsError) -> Self {
        match &error {
            HeadsError::Read { .. } | HeadsError::Write { .. } => {
                Self::of(Exit::Failure, "head-store", &error)
            }
            HeadsError::KeyEnded { .. } => Self::of(Exit::Verification, "log-key-changed", &error)
                .hint("nothing ran; do not adopt a key that nobody compared"),
            HeadsError::NotAdopted(_) => Self::of(Exit::Verification, "key-not-taken", &error)
                .hint("hand over the whole key that signs the log now"),
            HeadsError::NothingKept { .. } => Self::of(Exit::Failure, "nothing-kept", &error),
            HeadsError::Kept { .. }
            | HeadsError::OtherKey { .. }
            | HeadsError::Rotation(_)
            | HeadsError::Hash { .. }
            | HeadsError::Fork(_)
            | HeadsError::Diverged { .. }
            | HeadsError::Unsigned(_)
            | HeadsError::Inclusion(_)
            | HeadsError::Entry { .. } => Self::of(Exit::Verification, "log-not-verified", &error)
                .hint("nothing ran; show this to a reviewer, who runs `countersign verify`"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Unreachable { .. } | ClientError::Lost { .. } => {
                Self::of(Exit::Unreachable, "daemon-unreachable", &error)
                    .hint("start `countersignd`, or name its place with `--home DIR`")
            }
            ClientError::NotAllowed { .. } => {
                Self::of(Exit::NotAuthorised, "not-authorised", &error)
                    .hint("ask the operator to add this user to the group of the agents")
            }
            ClientError::Untrustworthy(_) => {
                Self::of(Exit::Verification, "daemon-not-trusted", &error)
            }
            ClientError::Answer(_) => Self::of(Exit::Failure, "bad-answer", &error)
                .hint("check that agent and daemon are of the same version"),
            ClientError::Unexpected { .. } => Self::of(Exit::Failure, "unexpected", &error),
            ClientError::Refused(refusal) => Self {
                field: refusal.field.as_deref().map(Into::into),
                limit: refusal.limit,
                found: refusal.found,
                hint: advice(&refusal.code).map(Into::into),
                ..Self::of(
                    Exit::of_refusal(&refusal.code, Exit::of_grpc(refusal.grpc)),
                    &refusal.code,
                    &error,
                )
            },
        }
    }
}

/// What to do about a refusal, where there is something to do.
fn advice(code: &str) -> Option<&'static str> {
    match code {
        "expired" | "lapsed" | "deadline-passed" | "invalidated" | "superseded" => {
            Some("ask again")
        }
        "denied" | "refused" => Some("do not ask again for the same; read the reason"),
        "limit-exceeded" => Some("wait until earlier requests are decided, or ask for less"),
        "log-unavailable" | "clock-behind" => Some("tell the operator; nothing is approved now"),
        "draining" => Some("try again when the daemon is back"),
        "already-redeemed" => Some("an approval is used once; ask again to do it again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_of_an_error_stand_behind_it_once() {
        let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
        let expected = format!("cannot ask for the current directory: {cause}");
        let error = PlaceError::CurrentDirectory { source: cause };
        assert_eq!(chain(&error), expected);
    }

    #[test]
    fn the_json_of_a_failure_has_every_field() {
        let failure = Failure::new(Exit::Failure, "limit-exceeded", "too much")
            .field("/changes/0")
            .measured(5, 6);
        assert_eq!(
            failure.to_json(),
            json!({"code": "limit-exceeded", "message": "too much", "field": "/changes/0",
                   "limit": 5, "found": 6, "hint": null})
        );
    }
}
