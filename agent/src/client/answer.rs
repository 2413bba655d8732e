//! The daemon's answers as our own types. A field that is missing or strange is an error that
//! names it; nothing is filled in.

use countersign_client::shown::{AnswerError, Inclusion, ShownHead, state, time};
use countersign_shared::digest::Digest;
use countersign_shared::id::{RequestId, RunSecret, TicketSecret};
use countersign_shared::machine::State;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;

use super::{Begun, Claim};

/// What came of an asking.
#[derive(Debug)]
pub struct Submitted {
    /// The request's id.
    pub id: RequestId,
    /// The document's bytes.
    pub document: Vec<u8>,
    /// The digest of the document, computed here.
    pub digest: Digest,
    /// The ticket secret.
    pub secret: TicketSecret,
    /// The openings of the masks.
    pub openings: Vec<u8>,
    /// Where the request stands.
    pub state: State,
    /// Why.
    pub reason: Untrusted,
    /// When it ends by itself; `None` when it has ended.
    pub expires_at: Option<Timestamp>,
    /// Whether an earlier asking of the same action was joined.
    pub joined: bool,
    /// The head of the log now.
    pub head: ShownHead,
    /// The one use, when it was taken at once.
    pub taken: Option<Taken>,
}

/// The one use, taken with the approval.
#[derive(Debug)]
pub enum Taken {
    /// By this process.
    Own(Box<Redeemed>),
    /// By the daemon, which runs it for this process.
    Daemon(Box<Begun>),
}

/// Where a request stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Why.
    pub reason: Untrusted,
    /// How many reviewers are connected.
    pub reviewers_online: u32,
    /// When the request, or the approval, ends by itself; `None` when it has ended.
    pub expires_at: Option<Timestamp>,
    /// The entry that decided.
    pub decided_by: Option<Inclusion>,
}

/// The one use, taken.
#[derive(Debug, Clone)]
pub struct Redeemed {
    /// The entry that says so.
    pub redeemed_by: Inclusion,
    /// When the run must have ended.
    pub run_until: Timestamp,
    /// What lets its holder report the run.
    pub run: RunSecret,
}

impl Submitted {
    /// Returns the right to the request.
    pub fn claim(&self) -> Claim {
        Claim {
            id: self.id,
            secret: self.secret.clone(),
        }
    }
}

impl TryFrom<pb::SubmitResponse> for Submitted {
    type Error = AnswerError;

    fn try_from(message: pb::SubmitResponse) -> Result<Self, AnswerError> {
        let wrong = |field| AnswerError { field };
        Ok(Self {
            id: message.id.parse().map_err(|_| wrong("id"))?,
            digest: Digest::of(&message.document),
            document: message.document,
            secret: message.ticket.parse().map_err(|_| wrong("ticket"))?,
            openings: message.openings,
            state: state(message.state)?,
            reason: Untrusted::new(message.reason),
            expires_at: time(&message.expires_at)?,
            joined: message.joined,
            head: message.head.ok_or_else(|| wrong("head"))?.try_into()?,
            taken: match message.redeemed {
                Some(redeemed) => Some(Taken::Own(Box::new(redeemed.try_into()?))),
                None => None,
            },
        })
    }
}

impl TryFrom<pb::WaitResponse> for Standing {
    type Error = AnswerError;

    fn try_from(message: pb::WaitResponse) -> Result<Self, AnswerError> {
        Ok(Self {
            state: state(message.state)?,
            reason: Untrusted::new(message.reason),
            reviewers_online: message.reviewers_online,
            expires_at: time(&message.expires_at)?,
            decided_by: message.decided_by.map(TryInto::try_into).transpose()?,
        })
    }
}

impl TryFrom<pb::RedeemResponse> for Redeemed {
    type Error = AnswerError;

    fn try_from(message: pb::RedeemResponse) -> Result<Self, AnswerError> {
        let wrong = |field| AnswerError { field };
        Ok(Self {
            redeemed_by: message
                .redeemed_by
                .ok_or_else(|| wrong("redeemed_by"))?
                .try_into()?,
            run_until: message.run_until.parse().map_err(|_| wrong("run_until"))?,
            run: message.run.parse().map_err(|_| wrong("run"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(state: i32) -> pb::WaitResponse {
        pb::WaitResponse {
            state,
            reason: String::new(),
            reviewers_online: 0,
            expires_at: String::new(),
            decided_by: None,
        }
    }

    #[test]
    fn a_state_nobody_sent_is_not_a_state() {
        for number in [0, -1, 20] {
            let error = Standing::try_from(standing(number)).unwrap_err();
            assert_eq!(error.field, "state", "{number}");
        }
    }

    #[test]
    fn a_redemption_without_its_entry_is_none() {
        let message = pb::RedeemResponse {
            redeemed_by: None,
            run_until: "2026-11-21T20:49:13.007Z".to_owned(),
            run: "run_008j4ct4ank7f24snaxwsqfezw".to_owned(),
        };
        assert_eq!(
            Redeemed::try_from(message).unwrap_err().field,
            "redeemed_by"
        );
    }
}
