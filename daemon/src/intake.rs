//! Turns an asking into a draft of a request: read strictly, masked, judged by policy, put into a
//! document, rendered.
//!
//! Everything costly happens here, outside the engine, and nothing durable does. Masking is one
//! step, before anything is stored, logged, shown or traced.

use std::time::Duration;

use countersign_policy::facts::{Facts, Recent, paths_of};
use countersign_policy::judge::Judgement;
use countersign_shared::action::{Action, ActionError};
use countersign_shared::display::{self, DisplayError};
use countersign_shared::document::{Document, DocumentError, Intake};
use countersign_shared::id::{RequestId, TicketSecret};
use countersign_shared::machine::{Received, Side};
use countersign_shared::mask::{self, MaskError, MaskKey, Openings};
use countersign_shared::requirement::RunBy;
use countersign_shared::text::Printable;
use countersign_shared::time::{Deadline, Moment};
use countersign_shared::wire::pb;
use serde_json::{Value, json};

use crate::broker::BrokerError;
use crate::broker::ask::{self, Prepared};
use crate::engine::{Card, Draft, Judged};
use crate::identity::Peer;
use crate::rules::Rules;
use crate::secrets::Secrets;

mod surroundings;

/// The longest ask key, in bytes.
const MAX_ASK_KEY: usize = 256;

/// How much of a statement the pointers of masked values may take, in bytes as they are written
/// there. With it every statement about a request stays below [`statement::MAX_STATEMENT`]: nobody
/// could sign a longer one.
///
/// [`statement::MAX_STATEMENT`]: countersign_shared::statement::MAX_STATEMENT
const MAX_MASKED: usize = 8 * 1024;

/// The asking cannot become a request.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The action is not one.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// Another field of the message is wrong.
    #[error("field `{field}`: {problem}")]
    Message {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A secret cannot be masked.
    #[error("a secret cannot be masked")]
    Mask(#[source] MaskError),
    /// The document cannot be put together.
    #[error("the request document cannot be written")]
    Document(#[source] DocumentError),
    /// The document cannot be shown.
    #[error("the request cannot be shown to reviewers")]
    Display(#[source] DisplayError),
    /// The places of the secrets are too long for a statement that names them all.
    #[error(
        "the paths of the masked values have {found} bytes, the limit is {limit}; use fewer \
         secrets, or shorter names around them"
    )]
    Masked {
        /// The limit in bytes.
        limit: usize,
        /// The size in bytes.
        found: usize,
    },
    /// The daemon shall run it, and would not run this.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The caller is gone, or the kernel does not say who stands behind it.
    #[error("the kernel does not say who is asking; ask from a process that keeps running")]
    PeerGone,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A draft, with what the daemon keeps of it beside the request.
#[derive(Debug)]
pub struct Drafted {
    /// The draft.
    pub draft: Draft,
    /// The openings of its masks.
    pub openings: Openings,
    /// What a profile makes of it, opened, when the daemon is to run it.
    pub(crate) brokered: Option<Prepared>,
}

/// An asking, checked as far as it can be without the state.
#[derive(Debug)]
pub struct Asking {
    action: Action,
    /// The token that makes Submit repeatable.
    submission: [u8; 16],
    ask_key: String,
    attached: bool,
    known_size: u64,
}

impl Asking {
    /// Reads a Submit.
    pub fn read(request: &pb::SubmitRequest, rules: &Rules) -> Result<Self, IntakeError> {
        let action = Action::read(&request.action, &rules.limits)?;
        let submission =
            request
                .submission
                .as_slice()
                .try_into()
                .map_err(|_| IntakeError::Message {
                    field: "submission",
                    problem: "must be 16 random bytes",
                })?;
        if request.ask_key.len() > MAX_ASK_KEY || request.ask_key.contains('\0') {
            let problem = "must be at most 256 bytes, without NUL";
            return Err(IntakeError::Message {
                field: "ask_key",
                problem,
            });
        }
        Ok(Self {
            action,
            submission,
            ask_key: request.ask_key.clone(),
            attached: request.attached,
            known_size: request.known_size,
        })
    }

    /// Tells whether a draft looks at files: resolves paths, or reads a program.
    pub fn looks_at_files(&self) -> bool {
        self.action.kind() == "exec.run" || !paths_of(self.action.value()).is_empty()
    }

    /// Returns the action.
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// Puts the request together that would come of the asking now.
    pub fn draft(
        &self,
        peer: &Peer,
        rules: &Rules,
        secrets: &Secrets,
        origin: &str,
        now: &Moment,
        recent: Recent,
    ) -> Result<Drafted, IntakeError> {
        let launchers = peer.launchers().map_err(|_| IntakeError::PeerGone)?;
        if !peer.is_alive() {
            return Err(IntakeError::PeerGone);
        }
        let brokered = if ask::profile_of(&self.action).is_some() {
            let action = self.action.value();
            Some(Prepared::of_action(&rules.profiles, peer, action)?)
        } else {
            None
        };
        let principal = principal(peer);
        let id = secrets.request_id(&principal, self.submission);
        let (action, openings) = self.mask(id, secrets)?;
        let around = surroundings::look(peer, &action, now.wall, recent);
        let facts = Facts::of(&action, &around, rules.policies.kinds());
        let (target_kind, target_name) = (self.action.target_kind(), self.action.target_name());
        let judgement = rules.policies.judge(&facts, target_kind, target_name);
        if let Judgement::Refused(refusal) = &judgement {
            for error in &refusal.errors {
                tracing::error!(%id, "a policy could not be evaluated, so the request is refused: {error}");
            }
        }
        let mut requirement = judgement
            .requirement()
            .unwrap_or_else(|| rules.policies.default_requirement())
            .clone();
        if let Some(brokered) = &brokered {
            requirement.run_by = RunBy::Daemon;
            requirement.max_run_s = requirement.max_run_s.min(brokered.max_run_s());
        }
        let lifetime = Duration::from_secs(u64::from(requirement.ttl_s)).min(rules.limits.lifetime);
        let expires = Deadline::after(now, lifetime);
        let ticket: TicketSecret = secrets.ticket(id);
        let document = Document::build(Intake {
            id,
            origin: origin.to_owned(),
            received_at: now.wall,
            expires_at: expires.wall,
            salt: random::<32>()?,
            requester: peer.requester().clone(),
            requirement: json!(requirement),
            rules: rules.digest,
            facts: facts.to_value(),
            action,
        })
        .map_err(IntakeError::Document)?;
        let shown = display::shown(&document).map_err(IntakeError::Display)?;
        check_masked(&shown.masked)?;
        let received = Received {
            digest: document.digest(),
            display: shown.digest,
            displayable: shown.complete,
            mode: rules.mode,
            side: Side {
                uid: peer.uid(),
                launchers,
                owner: None,
            },
            requirement,
            rules: rules.digest,
            expires,
            ticket: ticket.digest(),
            attached: self.attached,
        };
        let draft = Draft {
            id,
            card: Card::of(&document),
            document: document.bytes().into(),
            received,
            judged: Judged {
                outcome: judgement.outcome(),
                policies: judgement.policies().to_vec(),
                because: judgement.because(),
            },
            sameness: secrets.sameness(&principal, &self.action.sameness_bytes()?),
            principal,
            ask_key: self.ask_key.clone(),
            known_size: self.known_size,
            use_at_once: None,
        };
        Ok(Drafted {
            draft,
            openings,
            brokered,
        })
    }

    /// Returns the openings of the masks of the request `id`, as far as this asking is the one
    /// that its document holds.
    pub fn openings(
        &self,
        id: RequestId,
        secrets: &Secrets,
        document: &[u8],
    ) -> Result<Option<Openings>, IntakeError> {
        let (action, openings) = self.mask(id, secrets)?;
        let document = Document::read(document).map_err(IntakeError::Document)?;
        Ok((*document.action() == action).then_some(openings))
    }

    fn mask(&self, id: RequestId, secrets: &Secrets) -> Result<(Value, Openings), IntakeError> {
        masked(&self.action, id, secrets)
    }
}

/// Takes the secrets out of the action of the request `id`. The same comes of it each time.
fn masked(
    action: &Action,
    id: RequestId,
    secrets: &Secrets,
) -> Result<(Value, Openings), IntakeError> {
    let mut index = 0u64;
    let salts = || {
        let salt = secrets.salt(id, index);
        index = index.saturating_add(1);
        salt
    };
    mask::mask(action, salts, &MaskKey::from_bytes(secrets.mask_key()), &id)
        .map_err(IntakeError::Mask)
}

/// Tells whether a document holds an action, secrets included. What agents claim about themselves is
/// not executed, and may differ between those who joined.
pub(crate) fn holds(
    document: &Document,
    action: &Action,
    secrets: &Secrets,
) -> Result<bool, IntakeError> {
    let (mut mine, _) = masked(action, document.id(), secrets)?;
    let mut theirs = document.action().clone();
    for action in [&mut mine, &mut theirs] {
        if let Value::Object(members) = action {
            members.remove("claims");
        }
    }
    Ok(mine == theirs)
}

/// Returns the text form of a caller's principal.
pub fn principal(peer: &Peer) -> String {
    let principal = peer.principal();
    match principal.place {
        Some(place) => format!("uid:{} in {place}", principal.uid),
        None => format!("uid:{}", principal.uid),
    }
}

/// Refuses a request whose masked values no statement could name.
fn check_masked(pointers: &[Printable]) -> Result<(), IntakeError> {
    let written = |pointer: &Printable| {
        let text = pointer.as_str();
        // A quote or a backslash is written with a backslash; two quotes and a comma stand around.
        let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
        text.len() + escaped.count() + 3
    };
    let found = pointers.iter().map(written).sum();
    if found > MAX_MASKED {
        return Err(IntakeError::Masked {
            limit: MAX_MASKED,
            found,
        });
    }
    Ok(())
}

fn random<const N: usize>() -> Result<[u8; N], IntakeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(IntakeError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
