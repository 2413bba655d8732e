//! The one place where errors become gRPC statuses.
//!
//! The message is what the person who has to act reads; the `ErrorInfo` is what programs go by
//! (`google.rpc.ErrorInfo`: a kebab-case reason, and metadata `field`, `limit`, `found`). Causes stay
//! in the daemon's own journal.

use std::collections::HashMap;

use countersign_shared::action::ActionError;
use countersign_shared::machine::Refused;
use countersign_shared::mask::MaskError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::broker::BrokerError;
use crate::engine::EngineError;
use crate::intake::IntakeError;
use crate::judge::JudgeError;

/// The domain of our reasons.
const DOMAIN: &str = "countersign";

/// Puts a status together.
pub(super) fn status(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// Returns the status of a malformed field of a message.
pub(super) fn malformed(field: &'static str, problem: &str) -> Status {
    let message = format!("field `{field}`: {problem}");
    status(
        Code::InvalidArgument,
        "malformed-message",
        message,
        [("field", field.to_owned())],
    )
}

/// Returns the status of the engine's no.
pub(super) fn engine(error: &EngineError) -> Status {
    let code = match error {
        EngineError::Machine(refused) => machine(refused),
        EngineError::LogUnavailable(_) | EngineError::Draining => Code::Unavailable,
        EngineError::NotFound { .. } | EngineError::Erased { .. } => Code::NotFound,
        EngineError::Ambiguous { .. } | EngineError::SubmissionReused { .. } => {
            Code::InvalidArgument
        }
        EngineError::BadTicket | EngineError::NotTheExecutor | EngineError::NotListed { .. } => {
            Code::PermissionDenied
        }
        EngineError::Limit { .. } | EngineError::Busy => Code::ResourceExhausted,
        EngineError::Cooldown { .. }
        | EngineError::ClockBehind { .. }
        | EngineError::NotProposed { .. } => Code::FailedPrecondition,
        EngineError::RulesChanged | EngineError::Conflict { .. } => Code::Aborted,
    };
    let mut metadata = Vec::new();
    if let EngineError::Limit {
        limit,
        allowed,
        found,
    } = error
    {
        metadata.push(("field", (*limit).to_owned()));
        metadata.push(("limit", allowed.to_string()));
        metadata.push(("found", found.to_string()));
    }
    status(code, error.code(), error.to_string(), metadata)
}

fn machine(refused: &Refused) -> Code {
    match refused {
        Refused::OwnRequest { .. }
        | Refused::NotOwnRequest { .. }
        | Refused::ForeignKey { .. }
        | Refused::NoSeat { .. }
        | Refused::Assurance { .. }
        | Refused::ExecutorNotAllowed
        | Refused::OwnDebt { .. } => Code::PermissionDenied,
        Refused::NotShown | Refused::ReasonRequired | Refused::EmptySettlement => {
            Code::InvalidArgument
        }
        Refused::NoArrow { .. }
        | Refused::Owed { .. }
        | Refused::Unchanged
        | Refused::AlreadyDecided { .. }
        | Refused::AlreadyRedeemed { .. }
        | Refused::TooLate { .. }
        | Refused::DeadlinePassed { .. }
        | Refused::NotYet
        | Refused::OtherBoot
        | Refused::StaleDigest
        | Refused::NotSatisfied
        | Refused::ClaimedBy { .. }
        | Refused::NoDebt => Code::FailedPrecondition,
    }
}

/// Returns the status of an asking that could not become a request.
pub(super) fn intake(error: &IntakeError) -> Status {
    match error {
        IntakeError::Action(error) => action(error),
        IntakeError::Message { field, problem } => malformed(field, problem),
        IntakeError::Mask(error) => mask(error),
        IntakeError::Masked { limit, found } => status(
            Code::InvalidArgument,
            "not-displayable",
            error.to_string(),
            [("limit", limit.to_string()), ("found", found.to_string())],
        ),
        IntakeError::Broker(error) => broker(error),
        IntakeError::PeerGone => status(
            Code::PermissionDenied,
            "caller-unknown",
            error.to_string(),
            [],
        ),
        IntakeError::Document(_) | IntakeError::Display(_) => {
            status(Code::InvalidArgument, "not-displayable", chain(error), [])
        }
        IntakeError::Random(_) => status(Code::Internal, "internal", error.to_string(), []),
    }
}

/// Returns the status of what the daemon does not run.
pub(super) fn broker(error: &BrokerError) -> Status {
    let code = match error {
        BrokerError::NoProfile { .. } | BrokerError::Refuses { .. } => Code::PermissionDenied,
        BrokerError::Differs { .. }
        | BrokerError::Secret { .. }
        | BrokerError::NotBrokered
        | BrokerError::OtherAction
        | BrokerError::Runs => Code::FailedPrecondition,
        BrokerError::Busy { .. } => Code::ResourceExhausted,
    };
    let field = match error {
        BrokerError::Differs { field, .. } => Some(("field", (*field).to_owned())),
        BrokerError::NoProfile { .. }
        | BrokerError::Refuses { .. }
        | BrokerError::Secret { .. }
        | BrokerError::NotBrokered
        | BrokerError::OtherAction
        | BrokerError::Busy { .. }
        | BrokerError::Runs => None,
    };
    status(code, error.code(), error.to_string(), field)
}

fn action(error: &ActionError) -> Status {
    let code = if error.limit().is_some() {
        Code::ResourceExhausted
    } else {
        Code::InvalidArgument
    };
    let field = error.field().map(|field| ("field", field.to_string()));
    let limit = error.limit().map(|limit| ("limit", limit.to_string()));
    let found = error.found().map(|found| ("found", found.to_string()));
    status(
        code,
        error.code(),
        chain(error),
        [field, limit, found].into_iter().flatten(),
    )
}

fn mask(error: &MaskError) -> Status {
    let field = error.field().map(|field| ("field", field.to_string()));
    let measured = error.measured();
    let limit = measured.map(|(limit, _)| ("limit", limit.to_string()));
    let found = measured.map(|(_, found)| ("found", found.to_string()));
    let metadata = [field, limit, found].into_iter().flatten();
    status(Code::InvalidArgument, error.code(), chain(error), metadata)
}

/// Returns the status of a statement that does not count.
pub(super) fn judge(error: &JudgeError) -> Status {
    let code = match error {
        JudgeError::Statement(_) | JudgeError::Kind => Code::InvalidArgument,
        JudgeError::NotInRoster { .. } | JudgeError::Signature(_) | JudgeError::Refused(_) => {
            Code::PermissionDenied
        }
        JudgeError::Mismatch(_) => Code::FailedPrecondition,
        JudgeError::Display(_) => Code::Internal,
    };
    status(code, error.code(), chain(error), [])
}

/// Writes an error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
