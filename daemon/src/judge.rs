//! Checks a person's signed statement against the roster and against the request it is about.
//!
//! What stands here needs no state: signature, key, words of the statement. Whether the request
//! still takes the decision is the machine's business, in the engine.

use countersign_shared::digest::Digest;
use countersign_shared::display::{self, DisplayError};
use countersign_shared::log::tree::Hash;
use countersign_shared::machine::{Act, Decision, Refused};
use countersign_shared::requirement::Member;
use countersign_shared::roster::VerifyError;
use countersign_shared::statement::{
    self, ActKind, Context, Display, Expect, Mismatch, Outcome, Requester, Statement,
    StatementError, Subject,
};
use countersign_shared::time::Timestamp;
use data_encoding::BASE64;

use crate::engine::{Verdict, View};
use crate::rules::Rules;

/// The statement does not count.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// It cannot be read.
    #[error("the statement cannot be read")]
    Statement(#[source] StatementError),
    /// It is of another kind than the call.
    #[error("the statement is of another kind than the call it came with")]
    Kind,
    /// The caller is nobody in the roster.
    #[error(
        "the OS user {uid} is nobody in the roster; ask the operator to add them to reviewers.toml"
    )]
    NotInRoster {
        /// The OS user.
        uid: u32,
    },
    /// The signature is not the person's.
    #[error("the signature does not count")]
    Signature(#[source] VerifyError),
    /// It does not fit the request.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// It is not as sure as the request asks for.
    #[error(transparent)]
    Refused(Refused),
    /// The stored document cannot be rendered.
    #[error("the stored request cannot be shown")]
    Display(#[source] DisplayError),
}

impl JudgeError {
    /// Returns the kebab-case code that programs go by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Statement(_) | Self::Kind => "malformed-statement",
            Self::NotInRoster { .. } => "not-in-roster",
            Self::Signature(error) => match error {
                VerifyError::Unknown { .. } => "not-in-roster",
                VerifyError::NotTheirs { .. } => "foreign-key",
                VerifyError::Expired { .. } => "expired-key",
                VerifyError::Signature(_) => "bad-signature",
            },
            Self::Mismatch(mismatch) => match mismatch {
                Mismatch::Digest { .. } | Mismatch::Request { .. } => "stale-digest",
                Mismatch::Display | Mismatch::Incomplete => "not-shown",
                Mismatch::Rules { .. } => "rules-changed",
                Mismatch::Reviewer { .. } => "foreign-key",
                Mismatch::Origin { .. }
                | Mismatch::OldHead { .. }
                | Mismatch::ForeignHead { .. } => "wrong-head",
                Mismatch::Requester
                | Mismatch::SelfAttested { .. }
                | Mismatch::Subject { .. }
                | Mismatch::Expired { .. }
                | Mismatch::NotYet { .. }
                | Mismatch::Unproven { .. } => "statement-does-not-fit",
            },
            Self::Refused(_) => "assurance-too-low",
            Self::Display(_) => "internal",
        }
    }
}

/// A signed statement as it came.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The statement's exact bytes.
    pub statement: &'a [u8],
    /// The armoured SSH signature.
    pub sshsig: &'a str,
}

/// What statements are checked against.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The rules in force.
    pub rules: &'a Rules,
    /// The log's origin.
    pub origin: &'a str,
    /// The caller's OS user.
    pub uid: u32,
    /// The daemon's wall time.
    pub now: Timestamp,
    /// The root the log has at the size the statement names, none when it is not that long.
    pub root: Option<Hash>,
}

/// Returns the size of the head that a statement names.
pub fn head_size(statement: &[u8]) -> Result<u64, JudgeError> {
    Statement::read(statement)
        .map(|statement| statement.log().size)
        .map_err(JudgeError::Statement)
}

/// Returns how a run went by the statement that settles it.
pub fn outcome(statement: &[u8]) -> Result<Outcome, JudgeError> {
    match Statement::read(statement).map_err(JudgeError::Statement)? {
        Statement::Act(act) => act.outcome.ok_or(JudgeError::Kind),
        Statement::Decision(_) => Err(JudgeError::Kind),
    }
}

/// Renders a request anew: what a person must have been shown.
fn shown(view: &View) -> Result<Display, JudgeError> {
    let rendering = display::render(&view.document).map_err(JudgeError::Display)?;
    Ok(Display {
        sha256: rendering.digest(),
        complete: rendering.complete,
        masked: rendering.masked.iter().map(ToString::to_string).collect(),
    })
}

impl Bench<'_> {
    /// Returns the caller as the roster has them.
    pub fn caller(&self) -> Result<&Member, JudgeError> {
        self.rules
            .member_of_uid(self.uid)
            .ok_or(JudgeError::NotInRoster { uid: self.uid })
    }

    /// Checks a decision.
    pub fn decision(&self, view: &View, signed: Signed<'_>) -> Result<Verdict, JudgeError> {
        let member = self.caller()?;
        let Statement::Decision(decision) =
            Statement::read(signed.statement).map_err(JudgeError::Statement)?
        else {
            return Err(JudgeError::Kind);
        };
        let (context, key) = self.context(
            member,
            signed,
            statement::Decision::NAMESPACE,
            view.received_index,
        )?;
        let card = &view.card;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let expect = Expect {
            context,
            request: view.request.id(),
            digest: view.request.digest(),
            display: shown(view)?,
            requester: Requester {
                uid: card.uid,
                user: card.user.clone(),
                unit: some(&card.unit),
                container: some(&card.container),
            },
            self_attested: view.request.is_own(member),
        };
        let assurance = statement::check(&decision, &expect)?;
        let decision = Decision {
            at: self.now,
            verdict: decision.verdict,
            member: member.clone(),
            key,
            assurance,
            self_attested: decision.self_attested,
            reason: decision.reason,
            digest: decision.digest,
            display: decision.display.sha256,
            statement_base64: BASE64.encode(signed.statement),
            sshsig: signed.sshsig.to_owned(),
        };
        Ok(Verdict {
            decision,
            rules: self.rules.digest,
            known_size: 0,
        })
    }

    /// Checks an act that is not a decision.
    pub fn act(&self, kind: ActKind, view: &View, signed: Signed<'_>) -> Result<Act, JudgeError> {
        let member = self.caller()?;
        let Statement::Act(act) =
            Statement::read(signed.statement).map_err(JudgeError::Statement)?
        else {
            return Err(JudgeError::Kind);
        };
        if act.kind != kind {
            return Err(JudgeError::Kind);
        }
        let (context, key) = self.context(member, signed, kind.namespace(), view.received_index)?;
        let subject = Subject::Request {
            id: view.request.id(),
            digest: view.request.digest(),
        };
        if kind == ActKind::BreakGlass {
            let found = statement::check_break_glass(&act, subject, &shown(view)?, &context)?;
            let needed = view.request.requirement().assurance;
            if found < needed {
                return Err(JudgeError::Refused(Refused::Assurance { needed, found }));
            }
        } else {
            statement::check_act(&act, subject, &context)?;
        }
        Ok(Act {
            member: member.clone(),
            key,
            reason: act.reason,
            statement_base64: BASE64.encode(signed.statement),
            sshsig: signed.sshsig.to_owned(),
        })
    }

    /// Checks a person's word on the change of rules from `previous` to `rules`, of which the entry at
    /// `index` tells.
    pub fn rules_word(
        &self,
        (previous, rules): (Digest, Digest),
        index: u64,
        signed: Signed<'_>,
    ) -> Result<Act, JudgeError> {
        let member = self.caller()?;
        let Statement::Act(act) =
            Statement::read(signed.statement).map_err(JudgeError::Statement)?
        else {
            return Err(JudgeError::Kind);
        };
        if act.kind != ActKind::Rules {
            return Err(JudgeError::Kind);
        }
        let (context, key) = self.context(member, signed, act.kind.namespace(), index)?;
        let context = Context {
            rules: previous,
            ..context
        };
        let subject = Subject::Rules { digest: rules };
        let found = statement::check_act(&act, subject, &context)?;
        let needed = self.rules.signing().assurance;
        if found < needed {
            return Err(JudgeError::Refused(Refused::Assurance { needed, found }));
        }
        Ok(Act {
            member: member.clone(),
            key,
            reason: act.reason,
            statement_base64: BASE64.encode(signed.statement),
            sshsig: signed.sshsig.to_owned(),
        })
    }

    /// Verifies the signature; returns what all statements are compared with, and the key.
    fn context(
        &self,
        member: &Member,
        signed: Signed<'_>,
        namespace: &str,
        received_index: u64,
    ) -> Result<(Context, String), JudgeError> {
        let proof = self
            .rules
            .roster
            .verify(
                &member.name,
                namespace,
                signed.statement,
                signed.sshsig,
                self.now,
            )
            .map_err(JudgeError::Signature)?;
        let context = Context {
            reviewer: member.name.clone(),
            rules: self.rules.digest,
            origin: self.origin.to_owned(),
            least_size: received_index.saturating_add(1),
            root: self.root.map(|root| Digest::from_bytes(*root.as_bytes())),
            now: self.now,
            presence: proof.presence,
        };
        Ok((context, proof.key.fingerprint().to_owned()))
    }
}
