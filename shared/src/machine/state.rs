//! The states of a request, and the phases that group them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Stored; policy has not spoken yet.
    Received,
    /// Policy said no.
    Refused,
    /// People are asked.
    Pending,
    /// Enough valid decisions exist, or policy asked nobody.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// The requester's side took it back, or went away.
    Withdrawn,
    /// A counter-proposal took its place.
    Superseded,
    /// The rules changed under it.
    Invalidated,
    /// A person took the approval back.
    Revoked,
    /// The approval was not used in time.
    Lapsed,
    /// The one use was taken; nothing ran yet.
    Redeemed,
    /// The run goes on.
    Running,
    /// Redeemed, and nothing ran.
    NotRun,
    /// Redeemed, and nobody can say what ran.
    Indeterminate,
    /// The run ended well.
    Succeeded,
    /// The run ended badly.
    Failed,
    /// The run was ended.
    Killed,
    /// Somebody said later what had happened.
    Settled,
}

impl State {
    /// Every state, in the order of the life of a request.
    pub const ALL: [Self; 19] = [
        Self::Received,
        Self::Refused,
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Withdrawn,
        Self::Superseded,
        Self::Invalidated,
        Self::Revoked,
        Self::Lapsed,
        Self::Redeemed,
        Self::Running,
        Self::NotRun,
        Self::Indeterminate,
        Self::Succeeded,
        Self::Failed,
        Self::Killed,
        Self::Settled,
    ];

    /// Returns the state's word, as screens, lists and JSON show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
            Self::Invalidated => "invalidated",
            Self::Revoked => "revoked",
            Self::Lapsed => "lapsed",
            Self::Redeemed => "redeemed",
            Self::Running => "running",
            Self::NotRun => "not-run",
            Self::Indeterminate => "indeterminate",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Settled => "settled",
        }
    }

    /// Reads a state's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Returns the phase of the state.
    pub const fn phase(self) -> Phase {
        match self {
            Self::Received => Phase::Intake,
            Self::Pending => Phase::Open,
            Self::Approved => Phase::Granted,
            Self::Redeemed => Phase::Taken,
            Self::Running => Phase::Running,
            Self::Indeterminate => Phase::Unknown,
            Self::Refused
            | Self::Denied
            | Self::Expired
            | Self::Withdrawn
            | Self::Superseded
            | Self::Invalidated
            | Self::Revoked
            | Self::Lapsed
            | Self::NotRun
            | Self::Succeeded
            | Self::Failed
            | Self::Killed
            | Self::Settled => Phase::Ended,
        }
    }

    /// Tells whether somebody is still asked to decide.
    pub const fn is_waiting(self) -> bool {
        matches!(self.phase(), Phase::Intake | Phase::Open)
    }

    /// Tells whether the daemon follows the request: somebody may still decide, use or run it.
    ///
    /// What is indeterminate is over, and only waits for somebody's word; it hears of no change of
    /// rules, and no list of what is open has it.
    pub const fn is_live(self) -> bool {
        !matches!(self.phase(), Phase::Unknown | Phase::Ended)
    }

    /// Tells whether the action ran to its end, or may have run.
    pub const fn may_have_run(self) -> bool {
        matches!(
            self,
            Self::Indeterminate | Self::Succeeded | Self::Failed | Self::Killed | Self::Settled
        )
    }

    /// Tells whether the one use was taken, and may have been made.
    pub const fn was_used(self) -> bool {
        matches!(self, Self::Redeemed | Self::Running) || self.may_have_run()
    }

    /// Tells whether nothing leads out of the state (R1).
    pub const fn has_ended(self) -> bool {
        matches!(self.phase(), Phase::Ended)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// States that treat events alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Received.
    Intake,
    /// Pending.
    Open,
    /// Approved.
    Granted,
    /// Redeemed.
    Taken,
    /// Running.
    Running,
    /// Indeterminate.
    Unknown,
    /// Every state without an arrow out.
    Ended,
}
