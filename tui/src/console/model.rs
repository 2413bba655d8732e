//! What the console knows about requests, in its own types.
//!
//! The protocol's messages end here; text that an agent wrote stays [`Untrusted`] until a page
//! turns it into something printable. A [`Detail`] is only made when its document's bytes have the
//! digest that the daemon names: what is drawn is what is signed.

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
pub use countersign_shared::machine::State as Standing;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;

/// A message of the daemon cannot be understood, and is refused whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A field is missing.
    #[error("the daemon's answer lacks `{field}`")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field does not hold what it should.
    #[error("the daemon's answer holds no valid `{field}`: {why}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The document is not the one the digest names.
    #[error("the document of `{id}` has the digest {found}, the daemon names {named}")]
    Digest {
        /// The request.
        id: RequestId,
        /// The digest of the bytes.
        found: Digest,
        /// The digest in the summary.
        named: Digest,
    },
}

fn invalid(field: &'static str, why: &impl ToString) -> ModelError {
    ModelError::Invalid {
        field,
        why: why.to_string(),
    }
}

/// How careful a decision has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Reversible and small.
    Low,
    /// Worth a look at the content.
    Medium,
    /// Hard to undo.
    High,
    /// Not to be undone.
    Critical,
}

impl Tier {
    /// Returns the word that lists show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MED",
            Self::High => "HIGH",
            Self::Critical => "CRIT",
        }
    }

    /// Returns the word of policies and of the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads the protocol's word.
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// Reads where a request stands.
///
/// # Errors
///
/// When the number is no state.
pub fn standing(number: i32) -> Result<Standing, ModelError> {
    countersign_client::shown::state(number).map_err(|_| ModelError::Missing { field: "state" })
}

/// Who asks, as the kernel says. Names are chosen by whoever runs the machine or the program, so
/// they are encoded like any other text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requester {
    /// The OS user's number.
    pub uid: u32,
    /// The OS user's name.
    pub user: Untrusted,
    /// The process.
    pub pid: u32,
    /// The program's path.
    pub program: Untrusted,
    /// The systemd unit, empty for none.
    pub unit: Untrusted,
    /// The container, empty for none.
    pub container: Untrusted,
}

impl From<pb::Requester> for Requester {
    fn from(requester: pb::Requester) -> Self {
        Self {
            uid: requester.uid,
            user: Untrusted::new(requester.user),
            pid: requester.pid,
            program: Untrusted::new(requester.program),
            unit: Untrusted::new(requester.unit),
            container: Untrusted::new(requester.container),
        }
    }
}

/// What every list shows of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, as the daemon tells them"
)]
pub struct Row {
    /// The full request id.
    pub id: RequestId,
    /// The digest of the request document.
    pub digest: Digest,
    /// Where it stands.
    pub standing: Standing,
    /// How careful to be.
    pub tier: Tier,
    /// The kind of the action, as the agent wrote it.
    pub kind: Untrusted,
    /// The target's name, as the agent wrote it.
    pub target: Untrusted,
    /// The target's kind, as the agent wrote it.
    pub target_kind: Untrusted,
    /// Who the agent says it is.
    pub agent: Untrusted,
    /// Who the kernel says it is.
    pub requester: Requester,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it, or its approval, ends by itself.
    pub expires_at: Timestamp,
    /// Who holds a claim on it.
    pub claimed_by: Option<Untrusted>,
    /// True when the only approval is the requester's own.
    pub self_attested: bool,
    /// The reason of the standing, perhaps empty.
    pub reason: Untrusted,
    /// True while a waiting caller is connected.
    pub waiter_present: bool,
    /// True when somebody approved it alone, by breaking the glass.
    pub break_glass: bool,
    /// Who broke the glass, while no other person has reviewed that.
    pub owed_by: Option<Untrusted>,
    /// True when more eyes were called for.
    pub escalated: bool,
    /// The groups that are called then.
    pub escalate_to: Vec<Untrusted>,
}

impl TryFrom<pb::Summary> for Row {
    type Error = ModelError;

    fn try_from(summary: pb::Summary) -> Result<Self, ModelError> {
        Ok(Self {
            id: summary.id.parse().map_err(|why| invalid("id", &why))?,
            digest: summary
                .digest
                .parse()
                .map_err(|why| invalid("digest", &why))?,
            standing: standing(summary.state)?,
            tier: Tier::read(&summary.tier)
                .ok_or_else(|| invalid("tier", &"not low, medium, high or critical"))?,
            kind: Untrusted::new(summary.kind),
            target: Untrusted::new(summary.target),
            target_kind: Untrusted::new(summary.target_kind),
            agent: Untrusted::new(summary.agent),
            requester: summary
                .requester
                .ok_or(ModelError::Missing { field: "requester" })?
                .into(),
            received_at: summary
                .received_at
                .parse()
                .map_err(|why| invalid("received_at", &why))?,
            expires_at: summary
                .expires_at
                .parse()
                .map_err(|why| invalid("expires_at", &why))?,
            claimed_by: (!summary.claimed_by.is_empty())
                .then(|| Untrusted::new(summary.claimed_by)),
            self_attested: summary.self_attested,
            reason: Untrusted::new(summary.reason),
            waiter_present: summary.waiter_present,
            break_glass: summary.break_glass,
            owed_by: (!summary.owed_by.is_empty()).then(|| Untrusted::new(summary.owed_by)),
            escalated: summary.escalated,
            escalate_to: texts(summary.escalate_to),
        })
    }
}

/// A signed decision as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// approve or deny.
    pub decision: Untrusted,
    /// The person's name.
    pub reviewer: Untrusted,
    /// How sure the daemon is that the person was there.
    pub assurance: Untrusted,
    /// True when the person stands behind the request as well.
    pub self_attested: bool,
    /// What the person said.
    pub reason: Untrusted,
    /// When it was recorded.
    pub time: Untrusted,
}

impl From<pb::Decision> for Recorded {
    fn from(decision: pb::Decision) -> Self {
        Self {
            decision: Untrusted::new(decision.decision),
            reviewer: Untrusted::new(decision.reviewer),
            assurance: Untrusted::new(decision.assurance),
            self_attested: decision.self_attested,
            reason: Untrusted::new(decision.reason),
            time: Untrusted::new(decision.time),
        }
    }
}

/// One request whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// As in lists.
    pub row: Row,
    /// The exact bytes of the request document; they have `row.digest`.
    pub document: Vec<u8>,
    /// The requirement as the daemon states it, canonical JSON.
    pub requirement: Vec<u8>,
    /// The decisions so far.
    pub decisions: Vec<Recorded>,
    /// Why this reviewer may not approve it.
    pub not_eligible: Option<Untrusted>,
    /// True when this reviewer stands behind the request and may only self-attest.
    pub self_attests: bool,
    /// The seats that are still empty, such as `1 of dba`; empty when none is.
    pub waits_for: Untrusted,
    /// Those whose approval would fill one of them.
    pub could_approve: Vec<Untrusted>,
    /// The groups of those seats that nobody is left for.
    pub nobody_for: Vec<Untrusted>,
}

impl TryFrom<pb::GetResponse> for Detail {
    type Error = ModelError;

    fn try_from(answer: pb::GetResponse) -> Result<Self, ModelError> {
        let row: Row = answer
            .summary
            .ok_or(ModelError::Missing { field: "summary" })?
            .try_into()?;
        let found = Digest::of(&answer.document);
        if found != row.digest {
            return Err(ModelError::Digest {
                id: row.id,
                found,
                named: row.digest,
            });
        }
        Ok(Self {
            row,
            document: answer.document,
            requirement: answer.requirement,
            decisions: answer.decisions.into_iter().map(Recorded::from).collect(),
            not_eligible: (!answer.not_eligible.is_empty())
                .then(|| Untrusted::new(answer.not_eligible)),
            self_attests: answer.self_attests,
            waits_for: Untrusted::new(answer.waits_for),
            could_approve: texts(answer.could_approve),
            nobody_for: texts(answer.nobody_for),
        })
    }
}

fn texts(texts: Vec<String>) -> Vec<Untrusted> {
    texts.into_iter().map(Untrusted::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn summary() -> pb::Summary {
        pb::Summary {
            id: RequestId::from_bytes([1; 16]).to_string(),
            state: pb::State::Pending.into(),
            digest: Digest::of(b"document").to_string(),
            tier: "high".to_owned(),
            requester: Some(pb::Requester::default()),
            received_at: "2026-11-21T20:49:13.007Z".to_owned(),
            expires_at: "2026-11-21T21:49:13.007Z".to_owned(),
            ..pb::Summary::default()
        }
    }

    #[test]
    fn a_summary_that_is_not_understood_is_refused_whole() {
        assert!(Row::try_from(summary()).is_ok());
        let broken: [fn(&mut pb::Summary); 6] = [
            |summary| summary.id = "req_1".to_owned(),
            |summary| summary.state = 0,
            |summary| summary.state = 99,
            |summary| summary.tier = "none".to_owned(),
            |summary| summary.requester = None,
            |summary| summary.expires_at = String::new(),
        ];
        for (index, damage) in broken.iter().enumerate() {
            let mut summary = summary();
            damage(&mut summary);
            assert!(Row::try_from(summary).is_err(), "{index}");
        }
    }

    #[test]
    fn a_document_with_another_digest_is_refused() {
        let answer = |document: &[u8]| pb::GetResponse {
            summary: Some(summary()),
            document: document.to_vec(),
            ..pb::GetResponse::default()
        };
        assert!(Detail::try_from(answer(b"document")).is_ok());
        assert!(matches!(
            Detail::try_from(answer(b"another")),
            Err(ModelError::Digest { .. })
        ));
    }
}
