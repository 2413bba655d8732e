//! Answering calls without serving them: what is not a "no" while only a "no" can be written (R7).

use countersign_shared::statement::Verdict;

use super::call::{ActKind, Command};
use super::{EngineError, answer};

impl Command {
    /// Tells whether the call only takes permission away, or tells of an end.
    pub(super) fn is_a_no(&self) -> bool {
        match self {
            Self::Withdraw(..)
            | Self::Report(..)
            | Self::ExecutorGone(_)
            | Self::Brokered(..)
            // Rules may take people and keys out; what they would let in needs an approval.
            | Self::RulesRefused(..)
            | Self::Rules(..) => true,
            Self::Decide(_, verdict, _) => match verdict.decision.verdict {
                Verdict::Deny => true,
                Verdict::Approve => false,
            },
            Self::Act(_, kind, ..) => match kind {
                ActKind::Revoke | ActKind::Kill => true,
                ActKind::Escalate | ActKind::Settle(_) | ActKind::CloseDebt => false,
            },
            Self::Submit(..)
            | Self::Detach(..)
            | Self::Redeem(..)
            | Self::Open(..)
            | Self::Claim(..)
            | Self::Release(..)
            | Self::BreakGlass(..)
            | Self::SignRules(..)
            | Self::Cosigned(..) => false,
        }
    }

    /// Answers that the log is unavailable.
    pub(super) fn refuse(self) {
        match self {
            Self::Submit(_, reply) => no(reply),
            Self::Withdraw(_, _, reply)
            | Self::Report(_, _, _, _, reply)
            | Self::Brokered(_, _, reply)
            | Self::Act(_, _, _, reply) => no(reply),
            Self::Redeem(_, _, _, reply) => no(reply),
            Self::Decide(_, _, reply) | Self::BreakGlass(_, _, reply) => no(reply),
            Self::Claim(_, _, reply) => no(reply),
            Self::Detach(_, _, reply)
            | Self::Open(_, _, _, reply)
            | Self::Release(_, _, reply)
            | Self::RulesRefused(_, reply)
            | Self::Cosigned(_, reply) => no(reply),
            Self::Rules(_, reply) => no(reply),
            Self::SignRules(_, reply) => no(reply),
            Self::ExecutorGone(_) => {}
        }
    }
}

fn no<T>(reply: super::Reply<T>) {
    answer(reply, Err(EngineError::LogUnavailable(None)));
}
