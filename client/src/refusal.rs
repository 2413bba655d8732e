//! What a gRPC status means: a refusal with a code, a lost connection, or something unknown.
//!
//! The daemon attaches an `ErrorInfo` to everything it says itself. A status without one comes
//! from the transport.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The daemon's own no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable code, in kebab case.
    pub code: String,
    /// The daemon's message.
    pub message: String,
    /// The part of the action that is wrong.
    pub field: Option<String>,
    /// The limit that was passed.
    pub limit: Option<u64>,
    /// The size found.
    pub found: Option<u64>,
    /// The gRPC code it came with, for reasons that are not known here.
    pub grpc: Code,
}

/// Why a call was not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The daemon said no.
    #[error(transparent)]
    Refused(Refusal),
    /// The connection broke, or no answer came.
    #[error("the connection to the daemon was lost: {message}")]
    Lost {
        /// What was seen of it.
        message: String,
    },
    /// An error without a reason that this program knows.
    #[error("the daemon answered with {code}: {message}")]
    Unexpected {
        /// The gRPC code, in words.
        code: String,
        /// The daemon's message.
        message: String,
    },
}

impl Failure {
    /// Tells whether the daemon may answer the same question when asked again on a new connection.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Refused(refusal) => refusal.code == "draining",
            Self::Unexpected { .. } => false,
        }
    }
}

/// Sorts a status into what can be done about it.
pub fn classify(status: &Status) -> Failure {
    let message = status.message().to_owned();
    if let Some(info) = status.get_details_error_info() {
        let number = |key| {
            info.metadata
                .get(key)
                .and_then(|text: &String| text.parse().ok())
        };
        return Failure::Refused(Refusal {
            message: if message.is_empty() {
                format!("the daemon refuses: {}", info.reason)
            } else {
                message
            },
            field: info.metadata.get("field").cloned(),
            limit: number("limit"),
            found: number("found"),
            code: info.reason,
            grpc: status.code(),
        });
    }
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::Aborted => {
            Failure::Lost { message }
        }
        code @ (Code::Ok
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated) => Failure::Unexpected {
            code: format!("`{code:?}`"),
            message,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn said(reason: &str, metadata: &[(&str, &str)]) -> Failure {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let details = ErrorDetails::with_error_info(reason, "countersign", metadata);
        classify(&Status::with_error_details(
            Code::Internal,
            "too much",
            details,
        ))
    }

    #[test]
    fn what_the_daemon_says_is_a_refusal_whatever_its_code() {
        let error = said(
            "limit-exceeded",
            &[("field", "/changes/0"), ("limit", "5"), ("found", "6")],
        );
        let Failure::Refused(refusal) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(refusal.code, "limit-exceeded");
        assert_eq!(refusal.message, "too much");
        assert_eq!(refusal.field.as_deref(), Some("/changes/0"));
        assert_eq!((refusal.limit, refusal.found), (Some(5), Some(6)));
        assert!(!error.is_lost());
    }

    #[test]
    fn a_daemon_that_stops_will_be_back() {
        assert!(said("draining", &[]).is_lost());
    }

    #[test]
    fn only_the_transports_own_errors_are_tried_again() {
        for (code, lost) in [
            (Code::Unavailable, true),
            (Code::Unknown, true),
            (Code::Internal, true),
            (Code::PermissionDenied, false),
            (Code::Unimplemented, false),
            (Code::ResourceExhausted, false),
        ] {
            assert_eq!(
                classify(&Status::new(code, "x")).is_lost(),
                lost,
                "{code:?}"
            );
        }
    }
}
