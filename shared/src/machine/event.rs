//! What can happen to a request. Each event is the body of one log entry, complete, so that
//! replaying the log gives the same states.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::State;
use crate::digest::Digest;
pub use crate::home::Mode;
use crate::requirement::{Assurance, Member, Requirement};
use crate::statement::{Outcome, Verdict};
use crate::time::{Deadline, Timestamp};

/// The people and accounts behind a request: none of them may approve it (R4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The OS user that asks.
    pub uid: u32,
    /// Every OS user but root among the ancestors of the asking process.
    pub launchers: BTreeSet<u32>,
    /// The name of the person who owns the agent or wrote the counter-proposal, if known.
    pub owner: Option<String>,
}

impl Side {
    /// Tells whether a person stands behind the request.
    pub fn includes(&self, member: &Member) -> bool {
        member.uid == self.uid
            || self.launchers.contains(&member.uid)
            || self.owner.as_ref() == Some(&member.name)
    }
}

/// The first event: the request was stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// The digest of the request document.
    pub digest: Digest,
    /// The digest of its display rendering.
    pub display: Digest,
    /// Whether everything in it can be shown.
    pub displayable: bool,
    /// The mode the daemon runs in.
    pub mode: Mode,
    /// Who stands behind it.
    pub side: Side,
    /// What must happen before it may pass.
    pub requirement: Requirement,
    /// The rules it was received under.
    pub rules: Digest,
    /// When it ends by itself.
    pub expires: Deadline,
    /// The digest of the ticket secret.
    pub ticket: Digest,
    /// Whether it ends with its last waiter.
    pub attached: bool,
}

/// What policy says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyOutcome {
    /// A policy forbids it, or could not be evaluated.
    Refuse,
    /// Policy asks nobody.
    Permit,
    /// People are asked.
    Hold,
}

/// A signed approve or deny, as it was checked and recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// When it was handed in.
    pub at: Timestamp,
    /// Approve or deny.
    pub verdict: Verdict,
    /// The person, with account, groups and keys at that moment.
    pub member: Member,
    /// The fingerprint of the key that signed.
    pub key: String,
    /// How sure we are that the person was there.
    pub assurance: Assurance,
    /// Whether the person stands behind the request as well and said so in the statement.
    pub self_attested: bool,
    /// What the person said.
    pub reason: String,
    /// The digest of the request document that the statement names.
    pub digest: Digest,
    /// The digest of the display rendering that the statement names.
    pub display: Digest,
    /// The statement's exact bytes, base64.
    pub statement_base64: String,
    /// The armoured SSH signature.
    pub sshsig: String,
}

/// A person's signed act that is not a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// The person.
    pub member: Member,
    /// The fingerprint of the key that signed.
    pub key: String,
    /// What the person said.
    pub reason: String,
    /// The statement's exact bytes, base64.
    pub statement_base64: String,
    /// The armoured SSH signature.
    pub sshsig: String,
}

/// By what right a request is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Policy asked nobody.
    Policy,
    /// People decided.
    Reviewers,
    /// Only the requester's own side decided (R4).
    SelfAttested,
    /// A listed person broke the glass (R17).
    BreakGlass,
}

/// Who runs what was redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// The agent's side: what happened is reported.
    Agent,
    /// The daemon itself.
    Daemon,
}

/// Who took the one use: only the same one, or whoever holds the run secret, tells of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redeemer {
    /// The process, as the kernel said.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`proc_pid_stat(5)`), if that could be read.
    pub started: Option<u64>,
    /// Whether the process runs the action itself: then its end is the end of what can be told.
    pub stays: bool,
    /// The digest of the run secret.
    pub run: Digest,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It was ended.
    Killed,
}

/// What is known of a run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnd {
    /// How it ended.
    pub outcome: RunOutcome,
    /// The exit code, if the program ended by itself.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The digest of everything it wrote to standard output.
    pub stdout: Option<Digest>,
    /// The digest of everything it wrote to standard error.
    pub stderr: Option<Digest>,
    /// How long it ran, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// What happened. The names are the log's entry types.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", deny_unknown_fields)]
pub enum Event {
    /// The request was stored.
    #[serde(rename = "request.received")]
    Received(Box<Received>),
    /// Policy spoke.
    #[serde(rename = "policy.evaluated")]
    PolicyEvaluated {
        /// What it says.
        outcome: PolicyOutcome,
        /// The policies that spoke.
        policies: Vec<String>,
        /// Why, for the requester to read.
        because: String,
    },
    /// Policy's no took force.
    #[serde(rename = "request.refused")]
    Refused {
        /// Why.
        because: String,
    },
    /// The request was shown to a person completely.
    #[serde(rename = "review.opened")]
    Opened {
        /// The person.
        reviewer: String,
        /// The digest of the rendering that was shown.
        display: Digest,
    },
    /// A person is on it.
    #[serde(rename = "review.claimed")]
    Claimed {
        /// The person.
        reviewer: String,
        /// When the lease ends.
        until: Deadline,
    },
    /// The person is no longer on it.
    #[serde(rename = "review.released")]
    Released {
        /// The person.
        reviewer: String,
    },
    /// A person decided.
    #[serde(rename = "decision.recorded")]
    Decided(Box<Decision>),
    /// Enough valid decisions exist.
    #[serde(rename = "request.approved")]
    Approved {
        /// By what right.
        via: Via,
        /// When the permission ends unused.
        until: Deadline,
    },
    /// A person's no took force.
    #[serde(rename = "request.denied")]
    Denied {
        /// The person.
        reviewer: String,
        /// What the person said.
        reason: String,
    },
    /// The caller may go away: from now on absence does not withdraw the request (R16).
    #[serde(rename = "request.detached")]
    Detached {},
    /// Nobody decided in time.
    #[serde(rename = "request.expired")]
    Expired {},
    /// The requester's side took it back, or went away.
    #[serde(rename = "request.withdrawn")]
    Withdrawn {
        /// Why.
        because: Withdrawal,
    },
    /// A counter-proposal took its place.
    #[serde(rename = "request.superseded")]
    Superseded {
        /// The request that took it.
        by: crate::id::RequestId,
    },
    /// The rules changed under it.
    #[serde(rename = "request.invalidated")]
    Invalidated {
        /// What changed.
        because: String,
    },
    /// The one use was taken.
    #[serde(rename = "request.redeemed")]
    Redeemed {
        /// Who runs it.
        executor: Executor,
        /// The digest of the document that the executor is about to run.
        digest: Digest,
        /// When the run must have ended.
        until: Deadline,
        /// Who took it; nobody when the daemon runs it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Redeemer>,
    },
    /// A person took the approval back.
    #[serde(rename = "request.revoked")]
    Revoked(Box<Act>),
    /// The approval was not used in time.
    #[serde(rename = "request.lapsed")]
    Lapsed {},
    /// Somebody called for more eyes.
    #[serde(rename = "request.escalated")]
    Escalated {
        /// The person who called; nobody when the time did.
        act: Option<Box<Act>>,
    },
    /// A listed person broke the glass.
    #[serde(rename = "breakglass.used")]
    BreakGlass(Box<Act>),
    /// Another person reviewed the broken glass.
    #[serde(rename = "debt.closed")]
    DebtClosed(Box<Act>),
    /// The run began.
    #[serde(rename = "execution.started")]
    Started {
        /// The process, as the executor names it.
        pid: Option<u32>,
    },
    /// The run ended.
    #[serde(rename = "execution.finished")]
    Finished(RunEnd),
    /// Nothing ran.
    #[serde(rename = "execution.not-run")]
    NotRun {
        /// Why.
        because: String,
    },
    /// Nobody can say what ran.
    #[serde(rename = "execution.indeterminate")]
    Indeterminate {
        /// Why.
        because: String,
    },
    /// A person asked for the end of the run.
    #[serde(rename = "execution.kill-requested")]
    KillRequested(Box<Act>),
    /// Somebody said later what had happened.
    #[serde(rename = "execution.settled")]
    Settled {
        /// What the executor reported late, if it did.
        report: Option<RunEnd>,
        /// The person's signed word, if a person gave it.
        act: Option<Box<Act>>,
        /// How the run went by that word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<Outcome>,
    },
    /// The rules changed. One entry for all requests; applied to each that is not over.
    #[serde(rename = "rules.changed")]
    RulesChanged(Box<RulesChanged>),
}

/// The rules that took force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesChanged {
    /// The digest over all of them.
    pub rules: Digest,
    /// The digest they replace.
    pub previous: Digest,
    /// The people in the roster.
    pub members: Vec<Member>,
    /// The roster as an OpenSSH `allowed_signers` file.
    pub allowed_signers: String,
    /// The names of the people who may break the glass, sorted (R17).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub break_glass: BTreeSet<String>,
    /// What replacing them takes, in system mode; absent in user mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// By what right they took force, in system mode; absent in user mode and in the genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<RulesVia>,
    /// When they took force.
    pub at: Timestamp,
}

/// What it takes to sign other rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// How many different reviewers.
    pub signers: NonZeroU32,
    /// How sure we are at least that each of them was there: that of the default requirement.
    pub assurance: Assurance,
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            signers: NonZeroU32::MIN,
            assurance: Assurance::File,
        }
    }
}

/// By what right rules take force in system mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RulesVia {
    /// Current reviewers signed them; each signature is an entry of its own before this one.
    Signatures {},
    /// They only take people, groups or keys out of the ones before (R5).
    Removal {},
    /// The operator put them in force without the reviewers, and says why.
    Adoption {
        /// Why.
        reason: String,
    },
}

/// Why a request was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withdrawal {
    /// The requester's side asked for it.
    Asked,
    /// Its last waiter was gone for longer than the grace.
    WaitersGone,
}

impl Event {
    /// The entry types of all events.
    pub const ENTRY_TYPES: [&str; 27] = [
        "request.received",
        "policy.evaluated",
        "request.refused",
        "review.opened",
        "review.claimed",
        "review.released",
        "decision.recorded",
        "request.approved",
        "request.denied",
        "request.detached",
        "request.expired",
        "request.withdrawn",
        "request.superseded",
        "request.invalidated",
        "request.redeemed",
        "request.revoked",
        "request.lapsed",
        "request.escalated",
        "breakglass.used",
        "debt.closed",
        "execution.started",
        "execution.finished",
        "execution.not-run",
        "execution.indeterminate",
        "execution.kill-requested",
        "execution.settled",
        "rules.changed",
    ];

    /// Returns the log's entry type.
    pub const fn entry_type(&self) -> &'static str {
        match self {
            Self::Received(_) => "request.received",
            Self::PolicyEvaluated { .. } => "policy.evaluated",
            Self::Refused { .. } => "request.refused",
            Self::Opened { .. } => "review.opened",
            Self::Claimed { .. } => "review.claimed",
            Self::Released { .. } => "review.released",
            Self::Decided(_) => "decision.recorded",
            Self::Approved { .. } => "request.approved",
            Self::Denied { .. } => "request.denied",
            Self::Detached {} => "request.detached",
            Self::Expired {} => "request.expired",
            Self::Withdrawn { .. } => "request.withdrawn",
            Self::Superseded { .. } => "request.superseded",
            Self::Invalidated { .. } => "request.invalidated",
            Self::Redeemed { .. } => "request.redeemed",
            Self::Revoked(_) => "request.revoked",
            Self::Lapsed {} => "request.lapsed",
            Self::Escalated { .. } => "request.escalated",
            Self::BreakGlass(_) => "breakglass.used",
            Self::DebtClosed(_) => "debt.closed",
            Self::Started { .. } => "execution.started",
            Self::Finished(_) => "execution.finished",
            Self::NotRun { .. } => "execution.not-run",
            Self::Indeterminate { .. } => "execution.indeterminate",
            Self::KillRequested(_) => "execution.kill-requested",
            Self::Settled { .. } => "execution.settled",
            Self::RulesChanged(_) => "rules.changed",
        }
    }

    /// Tells whether the event can have brought a request into this state.
    pub const fn leads_to(&self, state: State) -> bool {
        match state {
            State::Received => matches!(self, Self::Received(_)),
            State::Refused => matches!(self, Self::Refused { .. }),
            State::Pending => matches!(self, Self::PolicyEvaluated { .. }),
            State::Approved => matches!(self, Self::Approved { .. }),
            State::Denied => matches!(self, Self::Denied { .. }),
            State::Expired => matches!(self, Self::Expired {}),
            State::Withdrawn => matches!(self, Self::Withdrawn { .. }),
            State::Superseded => matches!(self, Self::Superseded { .. }),
            State::Invalidated => matches!(self, Self::Invalidated { .. }),
            State::Revoked => matches!(self, Self::Revoked(_)),
            State::Lapsed => matches!(self, Self::Lapsed {}),
            State::Redeemed => matches!(self, Self::Redeemed { .. }),
            State::Running => matches!(self, Self::Started { .. }),
            State::NotRun => matches!(self, Self::NotRun { .. }),
            State::Indeterminate => matches!(self, Self::Indeterminate { .. }),
            State::Succeeded | State::Failed | State::Killed => matches!(self, Self::Finished(_)),
            State::Settled => matches!(self, Self::Settled { .. }),
        }
    }

    /// Tells whether the event says that the action ran, or may have run.
    pub const fn says_it_ran(&self) -> bool {
        match self {
            Self::Finished(_) | Self::Indeterminate { .. } => true,
            Self::Settled { outcome, .. } => !matches!(outcome, Some(Outcome::NotRun)),
            Self::Received(_)
            | Self::PolicyEvaluated { .. }
            | Self::Refused { .. }
            | Self::Opened { .. }
            | Self::Claimed { .. }
            | Self::Released { .. }
            | Self::Decided(_)
            | Self::Approved { .. }
            | Self::Denied { .. }
            | Self::Detached {}
            | Self::Expired {}
            | Self::Withdrawn { .. }
            | Self::Superseded { .. }
            | Self::Invalidated { .. }
            | Self::Redeemed { .. }
            | Self::Revoked(_)
            | Self::Lapsed {}
            | Self::Escalated { .. }
            | Self::BreakGlass(_)
            | Self::DebtClosed(_)
            | Self::Started { .. }
            | Self::NotRun { .. }
            | Self::KillRequested(_)
            | Self::RulesChanged(_) => false,
        }
    }

    /// Tells whether the event only ever follows another one, in the same savepoint.
    pub const fn only_follows(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Approved { .. } | Self::Denied { .. } => true,
            Self::Received(_)
            | Self::PolicyEvaluated { .. }
            | Self::Opened { .. }
            | Self::Claimed { .. }
            | Self::Released { .. }
            | Self::Decided(_)
            | Self::Detached {}
            | Self::Expired {}
            | Self::Withdrawn { .. }
            | Self::Superseded { .. }
            | Self::Invalidated { .. }
            | Self::Redeemed { .. }
            | Self::Revoked(_)
            | Self::Lapsed {}
            | Self::Escalated { .. }
            | Self::BreakGlass(_)
            | Self::DebtClosed(_)
            | Self::Started { .. }
            | Self::Finished(_)
            | Self::NotRun { .. }
            | Self::Indeterminate { .. }
            | Self::KillRequested(_)
            | Self::Settled { .. }
            | Self::RulesChanged(_) => false,
        }
    }
}
