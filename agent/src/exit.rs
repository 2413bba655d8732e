//! Exit codes: the one table from what happened to what a shell sees.
//!
//! Nothing here knows how anything happened. `run` passes the child's own code through, so what it
//! says about itself moves out of the way, to 120 and above ([`Exit::for_run`]).

use countersign_shared::machine::State;
use tonic::Code;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or approved.
    Ok,
    /// Something failed.
    Failure,
    /// The command line, or the action it describes, is wrong.
    Usage,
    /// A person denied it, or policy refused it.
    Denied,
    /// Not the caller's to do.
    NotAuthorised,
    /// Nobody decided in time, or the approval was not used in time.
    Expired,
    /// Somebody or something was there first, or it was taken back.
    Conflict,
    /// No daemon answers.
    Unreachable,
    /// The caller's own wait is over, the request's is not.
    Pending,
    /// A proof, a head or a document does not fit.
    Verification,
    /// Ctrl-C, or an end from outside.
    Interrupted,
}

impl Exit {
    /// Returns the exit code of every command but `run`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::NotAuthorised => 4,
            Self::Expired => 5,
            Self::Conflict => 6,
            Self::Unreachable => 7,
            Self::Pending => 8,
            Self::Verification => 9,
            Self::Interrupted => 130,
        }
    }

    /// Returns the exit code of `run` when nothing ran.
    pub const fn for_run(self) -> u8 {
        match self {
            Self::Denied | Self::NotAuthorised | Self::Conflict => 120,
            Self::Expired => 121,
            Self::Unreachable => 122,
            Self::Interrupted => 130,
            // Nothing ran, so not even a success is one.
            Self::Ok | Self::Failure | Self::Usage | Self::Pending | Self::Verification => 125,
        }
    }

    /// Returns what a request that stands like this means to somebody who waits for an approval.
    pub const fn of_standing(state: State) -> Self {
        match state {
            State::Approved => Self::Ok,
            State::Received | State::Pending => Self::Pending,
            State::Refused | State::Denied => Self::Denied,
            State::Expired | State::Lapsed => Self::Expired,
            State::Withdrawn
            | State::Superseded
            | State::Invalidated
            | State::Revoked
            | State::Redeemed
            | State::Running
            | State::NotRun
            | State::Indeterminate
            | State::Succeeded
            | State::Failed
            | State::Killed
            | State::Settled => Self::Conflict,
        }
    }

    /// Returns what a refusal with this gRPC code comes down to.
    pub const fn of_grpc(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::Usage,
            Code::PermissionDenied | Code::Unauthenticated => Self::NotAuthorised,
            Code::ResourceExhausted => Self::Denied,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Self::Conflict,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Failure,
        }
    }

    /// Returns what a refusal with this code means, or `otherwise` for a code that is not listed.
    ///
    /// The code of a refusal can be the word of the state that stands in the way.
    pub fn of_refusal(code: &str, otherwise: Self) -> Self {
        match code {
            "limit-exceeded" | "deny-cooldown" => Self::Denied,
            "not-your-request"
            | "not-own-request"
            | "bad-ticket"
            | "not-the-executor"
            | "executor-not-allowed"
            | "profile-not-allowed"
            | "profile-refuses"
            | "caller-unknown" => Self::NotAuthorised,
            "deadline-passed" => Self::Expired,
            "already-redeemed" | "already-decided" | "stale-digest" | "too-late" | "unchanged"
            | "rules-changed" | "submission-reused" | "profile-differs" | "other-action" => {
                Self::Conflict
            }
            "draining" | "busy" => Self::Unreachable,
            "malformed-action" | "not-brokered" => Self::Usage,
            "not-approved" => Self::Pending,
            "not-found" | "log-unavailable" | "clock-behind" | "secret-unavailable" => {
                Self::Failure
            }
            code => State::from_word(code).map_or(otherwise, Self::of_standing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_two_exit_codes() {
        let table = [
            ("not-found", 1, 125),
            ("not-your-request", 4, 120),
            ("bad-ticket", 4, 120),
            ("not-the-executor", 4, 120),
            ("already-redeemed", 6, 120),
            ("deadline-passed", 5, 121),
            ("stale-digest", 6, 120),
            ("already-decided", 6, 120),
            ("denied", 3, 120),
            ("refused", 3, 120),
            ("expired", 5, 121),
            ("withdrawn", 6, 120),
            ("superseded", 6, 120),
            ("invalidated", 6, 120),
            ("revoked", 6, 120),
            ("lapsed", 5, 121),
            ("log-unavailable", 1, 125),
            ("limit-exceeded", 3, 120),
            ("malformed-action", 2, 125),
            ("clock-behind", 1, 125),
            ("draining", 7, 122),
            ("executor-not-allowed", 4, 120),
            ("deny-cooldown", 3, 120),
            ("not-own-request", 4, 120),
            ("caller-unknown", 4, 120),
            ("too-late", 6, 120),
            ("unchanged", 6, 120),
            ("rules-changed", 6, 120),
            ("submission-reused", 6, 120),
            ("busy", 7, 122),
            ("not-approved", 8, 125),
            ("pending", 8, 125),
            ("redeemed", 6, 120),
            ("profile-not-allowed", 4, 120),
            ("profile-refuses", 4, 120),
            ("profile-differs", 6, 120),
            ("other-action", 6, 120),
            ("not-brokered", 2, 125),
            ("secret-unavailable", 1, 125),
            ("running", 6, 120),
            ("a-code-of-next-year", 1, 125),
        ];
        for (code, plain, run) in table {
            let exit = Exit::of_refusal(code, Exit::Failure);
            assert_eq!((exit.number(), exit.for_run()), (plain, run), "{code}");
        }
    }

    #[test]
    fn every_standing_has_its_two_exit_codes() {
        for state in State::ALL {
            let expected = match state.word() {
                "approved" => (0, 125),
                "received" | "pending" => (8, 125),
                "refused" | "denied" => (3, 120),
                "expired" | "lapsed" => (5, 121),
                _ => (6, 120),
            };
            let exit = Exit::of_standing(state);
            assert_eq!((exit.number(), exit.for_run()), expected, "{state}");
        }
    }

    #[test]
    fn only_an_approval_is_a_success() {
        for state in State::ALL {
            assert_eq!(
                Exit::of_standing(state) == Exit::Ok,
                state == State::Approved
            );
        }
    }

    #[test]
    fn run_never_says_that_nothing_ran_with_a_code_below_120() {
        for exit in [
            Exit::Ok,
            Exit::Failure,
            Exit::Usage,
            Exit::Denied,
            Exit::NotAuthorised,
            Exit::Expired,
            Exit::Conflict,
            Exit::Unreachable,
            Exit::Pending,
            Exit::Verification,
            Exit::Interrupted,
        ] {
            assert!(exit.for_run() >= 120, "{exit:?}");
        }
    }
}
