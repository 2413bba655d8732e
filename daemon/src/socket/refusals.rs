//! Tells the engine of calls and connections that were refused, for the one summary entry per user
//! and minute (R7).
//!
//! A refusal is read from the answer itself, so every call of both services counts, also those that
//! never reached their handler.

use std::sync::Arc;

use tonic::codegen::http;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Where refusals are counted.
#[derive(Clone)]
pub struct Refusals(Arc<dyn Fn(u32, &'static str) + Send + Sync>);

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals(…)")
    }
}

impl Refusals {
    /// Counts with a function of the OS user and the kind of refusal.
    pub fn new(count: impl Fn(u32, &'static str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(count))
    }

    /// Counts one refusal.
    pub(super) fn count(&self, uid: u32, kind: &'static str) {
        (self.0)(uid, kind);
    }

    /// Counts an answer, if it refuses what should not have been sent.
    ///
    /// An error of a call that streams its answer, and one that comes before any message, stands in
    /// the headers.
    pub(super) fn look<B>(&self, uid: u32, answer: &http::Response<B>) {
        if let Some(kind) = Status::from_header_map(answer.headers()).and_then(|it| kind(&it)) {
            self.count(uid, kind);
        }
    }
}

/// Names the kind of a refusal. How a request stands is an answer and no refusal.
fn kind(status: &Status) -> Option<&'static str> {
    match status.code() {
        Code::InvalidArgument => Some("malformed"),
        Code::ResourceExhausted => Some("over-limit"),
        Code::OutOfRange => Some("too-large"),
        Code::DeadlineExceeded => Some("too-slow"),
        Code::Unimplemented => Some("unknown-call"),
        Code::NotFound => Some("not-found"),
        Code::PermissionDenied => {
            let reason = status
                .get_details_error_info()
                .map(|info| info.reason)
                .unwrap_or_default();
            Some(match reason.as_str() {
                "bad-ticket" => "bad-ticket",
                "not-the-executor" => "not-the-executor",
                "not-in-roster" => "not-in-roster",
                "bad-signature" | "foreign-key" | "expired-key" => "bad-signature",
                "caller-unknown" => "caller-unknown",
                _ => "not-allowed",
            })
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}
