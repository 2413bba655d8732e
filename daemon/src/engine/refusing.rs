//! Answering calls without serving them: what is not a "no" while only a "no" can be written (R7).

use countersign_shared::statement::Verdict;

use super::call::{ActKind, Call};
use super::{EngineError, answer};

impl Call {
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
            | Self::Follow(..)
            | Self::Leave(..)
            | Self::Detach(..)
            | Self::Redeem(..)
            | Self::Open(..)
            | Self::Claim(..)
            | Self::Release(..)
            | Self::BreakGlass(..)
            | Self::SignRules(..)
            | Self::Cosigned(..)
            | Self::CosignedHead(..)
            | Self::Get(..)
            | Self::List { .. }
            | Self::Page { .. }
            | Self::Owed(_)
            | Self::Runs(_)
            | Self::Watch(_)
            | Self::ReadLog { .. }
            | Self::KeptRules(..)
            | Self::Head(..)
            | Self::Prove(..)
            | Self::Consistency(..)
            | Self::Root(..)
            | Self::Count { .. }
            | Self::Stop(_) => false,
        }
    }

    /// Answers that the log is unavailable.
    pub(super) fn refuse(self) {
        match self {
            Self::Submit(_, reply) => no(reply),
            Self::Follow(_, _, reply) => no(reply),
            Self::Withdraw(_, _, reply)
            | Self::Report(_, _, _, _, reply)
            | Self::Brokered(_, _, reply)
            | Self::Act(_, _, _, reply) => no(reply),
            Self::Redeem(_, _, _, reply) => no(reply),
            Self::Decide(_, _, reply) | Self::BreakGlass(_, _, reply) => no(reply),
            Self::Claim(_, _, reply) => no(reply),
            Self::Get(_, reply) => no(reply),
            Self::List { reply, .. } | Self::Page { reply, .. } => no(reply),
            Self::Owed(reply) => no(reply),
            Self::Runs(reply) => no(reply),
            Self::Watch(reply) => no(reply),
            Self::ReadLog { reply, .. } => no(reply),
            Self::KeptRules(_, reply) => no(reply),
            Self::Head(_, reply) => no(reply),
            Self::Prove(_, _, reply) => no(reply),
            Self::Consistency(_, _, reply) => no(reply),
            Self::CosignedHead(_, reply) => no(reply),
            Self::Root(_, reply) => no(reply),
            Self::Detach(_, _, reply)
            | Self::Open(_, _, _, reply)
            | Self::Release(_, _, reply)
            | Self::RulesRefused(_, reply)
            | Self::Cosigned(_, reply)
            | Self::Stop(reply) => no(reply),
            Self::Rules(_, reply) => no(reply),
            Self::SignRules(_, reply) => no(reply),
            Self::Leave(..) | Self::ExecutorGone(_) | Self::Count { .. } => {}
        }
    }
}

fn no<T>(reply: super::Reply<T>) {
    answer(reply, Err(EngineError::LogUnavailable(None)));
}
