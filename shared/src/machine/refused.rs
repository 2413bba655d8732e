//! Why the machine does not take an event.

use crate::machine::State;
use crate::requirement::Assurance;
use crate::time::Timestamp;

/// The event is not possible now. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The state has no such arrow.
    #[error("a request that is {state} takes no `{event}`")]
    NoArrow {
        /// Where the request stands.
        state: State,
        /// The entry type of the event.
        event: &'static str,
    },
    /// An event that must come first has not come.
    #[error("`{owed}` must follow first")]
    Owed {
        /// The entry type of the event that is owed.
        owed: &'static str,
    },
    /// The event would change nothing (R5).
    #[error("nothing to change: that is how it stands")]
    Unchanged,
    /// Somebody decided before.
    #[error("already {state}")]
    AlreadyDecided {
        /// Where the request stands.
        state: State,
    },
    /// It was redeemed before.
    #[error("already redeemed at {at}")]
    AlreadyRedeemed {
        /// When.
        at: Timestamp,
    },
    /// A deny came after redemption (R2).
    #[error("too late to deny: redeemed at {at}; `kill` ends the run")]
    TooLate {
        /// When it was redeemed.
        at: Timestamp,
    },
    /// The deadline has come, whether or not that was written (R7, R10).
    #[error("ended by its deadline at {at}")]
    DeadlinePassed {
        /// The deadline.
        at: Timestamp,
    },
    /// The deadline has not come.
    #[error("the deadline has not come")]
    NotYet,
    /// The approval is of an earlier boot of the machine (R10).
    #[error("approved before the machine was started again")]
    OtherBoot,
    /// The digest is not the request's (R12, R15).
    #[error("the digest is not this request's; look at it again")]
    StaleDigest,
    /// The rendering is not the request's, or the request cannot be shown whole (R12).
    #[error("what was shown is not the whole request")]
    NotShown,
    /// The person stands behind the request (R4).
    #[error("`{name}` stands behind this request and may not approve it")]
    OwnRequest {
        /// The person.
        name: String,
    },
    /// The statement says self-attested and the person does not stand behind the request.
    #[error("`{name}` does not stand behind this request: a self-attested statement does not fit")]
    NotOwnRequest {
        /// The person.
        name: String,
    },
    /// The key is not one of the person's (R5).
    #[error("the key is not in the roster under `{name}`")]
    ForeignKey {
        /// The person.
        name: String,
    },
    /// The person sits in none of the groups that are asked for.
    #[error("`{name}` is in no group that this request waits for")]
    NoSeat {
        /// The person.
        name: String,
    },
    /// The requirement wants more proof that the person was there.
    #[error("this request asks for assurance `{needed:?}`; the decision brings `{found:?}`")]
    Assurance {
        /// What is asked for.
        needed: Assurance,
        /// What came.
        found: Assurance,
    },
    /// An approval of this request must say why.
    #[error("an approval of this request must say why")]
    ReasonRequired,
    /// The decisions do not satisfy the requirement (R3, R11).
    #[error("the decisions that count do not satisfy the requirement")]
    NotSatisfied,
    /// The requirement does not allow this executor (R11).
    #[error("only the daemon may execute this request")]
    ExecutorNotAllowed,
    /// Somebody else has claimed it.
    #[error("`{by}` has claimed it")]
    ClaimedBy {
        /// The person.
        by: String,
    },
    /// A debt is closed by another person than the one who broke the glass (R17).
    #[error("another person than `{by}` must close this debt")]
    OwnDebt {
        /// The person who broke the glass.
        by: String,
    },
    /// There is no debt.
    #[error("there is no debt to close")]
    NoDebt,
    /// A settlement brings neither a report nor a person's word, or both.
    #[error("a settlement needs either a report or a signed statement with its outcome")]
    EmptySettlement,
}
