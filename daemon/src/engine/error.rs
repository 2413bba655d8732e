//! Why the engine says no.

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::machine::Refused;
use countersign_shared::time::Timestamp;

use crate::store::StoreError;

/// The engine's no. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request machine does not take the event.
    #[error(transparent)]
    Machine(#[from] Refused),
    /// Nothing can be made durable, so nothing is permitted (R7).
    #[error("not approved: log unavailable")]
    LogUnavailable(#[source] Option<StoreError>),
    /// A row is not what the engine holds of it; foreign hands changed it (R6).
    #[error("conflict: {id} was changed by another program")]
    Conflict {
        /// The request.
        id: RequestId,
    },
    /// There is no such request.
    #[error("there is no request `{id}`")]
    NotFound {
        /// The id or prefix, as far as it is one.
        id: String,
    },
    /// The document of a request that is over was erased.
    #[error(
        "the document of {id} was erased; `countersign log --request {id}` \
         tells what happened to it"
    )]
    Erased {
        /// The request.
        id: RequestId,
    },
    /// A prefix names more than one request.
    #[error("`{prefix}` names more than one request; give more of the id")]
    Ambiguous {
        /// The prefix.
        prefix: String,
    },
    /// The caller does not hold the ticket, or is another principal (R16).
    #[error("this needs the ticket of the request, in the hands of the one who asked")]
    BadTicket,
    /// The caller did not take the one use, so it cannot tell of the run.
    #[error(
        "only who redeemed the request reports its run: bring the run secret of the redemption"
    )]
    NotTheExecutor,
    /// The person is not among those who may break the glass (R17).
    #[error("`{name}` may not break the glass: `[break_glass]` in countersign.toml says who may")]
    NotListed {
        /// The person.
        name: String,
    },
    /// No such rules wait for a person's word.
    #[error(
        "the rules {rules} are not proposed, or were not adopted; look again with `countersign rules diff`"
    )]
    NotProposed {
        /// The rules that were signed.
        rules: Digest,
    },
    /// A limit is reached.
    #[error("limit `{limit}` is {allowed} and this would be {found}")]
    Limit {
        /// The key of `[limits]`.
        limit: &'static str,
        /// What it allows.
        allowed: u64,
        /// What was found.
        found: u64,
    },
    /// The same action was denied a moment ago (R13).
    #[error("the same action was denied as {id}; it may be asked again at {until}")]
    Cooldown {
        /// The denied request.
        id: RequestId,
        /// When it may be asked again.
        until: Timestamp,
    },
    /// The submission token was used for another action.
    #[error("this submission token belongs to {id}, which asks for another action")]
    SubmissionReused {
        /// The earlier request.
        id: RequestId,
    },
    /// The rules changed while the call was on its way.
    #[error("the rules changed meanwhile; ask again")]
    RulesChanged,
    /// The wall clock is behind the log (R10).
    #[error(
        "the wall clock is {behind_s} s behind the log; approvals and redemptions stop until \
         the daemon is started with `--accept-clock`"
    )]
    ClockBehind {
        /// How far, in seconds.
        behind_s: u64,
    },
    /// The daemon is about to stop.
    #[error("the daemon is stopping; ask again in a moment")]
    Draining,
    /// Too many calls wait for the engine.
    #[error("the daemon is busy; ask again in a moment")]
    Busy,
}

impl EngineError {
    /// Returns the kebab-case code that programs go by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Machine(refused) => machine_code(refused),
            Self::LogUnavailable(_) => "log-unavailable",
            Self::Conflict { .. } => "conflict",
            Self::NotFound { .. } => "not-found",
            Self::Erased { .. } => "erased",
            Self::Ambiguous { .. } => "ambiguous-id",
            Self::BadTicket => "bad-ticket",
            Self::NotTheExecutor => "not-the-executor",
            Self::NotListed { .. } => "not-on-break-glass-list",
            Self::NotProposed { .. } => "not-proposed",
            Self::Limit { .. } => "limit-exceeded",
            Self::Cooldown { .. } => "deny-cooldown",
            Self::SubmissionReused { .. } => "submission-reused",
            Self::RulesChanged => "rules-changed",
            Self::ClockBehind { .. } => "clock-behind",
            Self::Draining => "draining",
            Self::Busy => "busy",
        }
    }
}

fn machine_code(refused: &Refused) -> &'static str {
    match refused {
        Refused::NoArrow { state, .. } | Refused::AlreadyDecided { state } => state_code(*state),
        Refused::Owed { .. } => "conflict",
        Refused::Unchanged => "unchanged",
        Refused::AlreadyRedeemed { .. } => "already-redeemed",
        Refused::TooLate { .. } => "too-late",
        Refused::DeadlinePassed { .. } => "deadline-passed",
        Refused::NotYet => "not-yet",
        Refused::OtherBoot => "lapsed",
        Refused::StaleDigest => "stale-digest",
        Refused::NotShown => "not-shown",
        Refused::OwnRequest { .. } => "own-request",
        Refused::NotOwnRequest { .. } => "not-own-request",
        Refused::ForeignKey { .. } => "foreign-key",
        Refused::NoSeat { .. } => "no-seat",
        Refused::Assurance { .. } => "assurance-too-low",
        Refused::ReasonRequired => "reason-required",
        Refused::NotSatisfied => "not-approved",
        Refused::ExecutorNotAllowed => "executor-not-allowed",
        Refused::ClaimedBy { .. } => "claimed",
        Refused::OwnDebt { .. } => "own-debt",
        Refused::NoDebt => "no-debt",
        Refused::EmptySettlement => "empty-settlement",
    }
}

fn state_code(state: countersign_shared::machine::State) -> &'static str {
    use countersign_shared::machine::State;
    match state {
        State::Approved => "already-decided",
        State::Received
        | State::Refused
        | State::Pending
        | State::Denied
        | State::Expired
        | State::Withdrawn
        | State::Superseded
        | State::Invalidated
        | State::Revoked
        | State::Lapsed
        | State::Redeemed
        | State::Running
        | State::NotRun
        | State::Indeterminate
        | State::Succeeded
        | State::Failed
        | State::Killed
        | State::Settled => state.word(),
    }
}
