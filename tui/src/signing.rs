//! Statements: put together from what was shown, signed, handed in, kept.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::place::Place;
use countersign_client::private::{Lasting, write_private};
use countersign_client::shown::{AnswerError, Inclusion};
use countersign_shared::digest::{Digest, DigestError};
use countersign_shared::display::Rendering;
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::log::receipt::{Receipt, ReceiptError};
use countersign_shared::statement::{
    self, ActKind, Assurance, Decision, Display, LogHead, Nonce, Outcome, Requester, Statement,
    StatementError, Subject, Verdict,
};
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;
use data_encoding::BASE64;
use serde_json::Value;
use ssh_key::PublicKey;

use crate::client::{Client, ClientError, Signed};
use crate::keys::{self, KeyError, Places, Signer};
use crate::review::Review;

/// How long a statement may be handed in after it was made.
const VALID: Duration = Duration::from_secs(120);

/// A statement could not be made or handed in.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The daemon refused, or was not reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer cannot be read.
    #[error("the daemon's answer cannot be read")]
    Answer(#[from] AnswerError),
    /// The rules that the daemon names have no digest.
    #[error("the daemon names no rules")]
    Rules(#[from] DigestError),
    /// The caller is nobody in the roster.
    #[error("you are nobody in the roster; ask the operator to add you to reviewers.toml")]
    NotInRoster,
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The statement cannot be written.
    #[error("the statement cannot be written")]
    Statement(#[from] StatementError),
    /// No head of the log was verified, so no statement could name one.
    #[error("no head of the log was verified yet")]
    NoHead,
    /// The decision is not in the log that answered.
    #[error("{}", not_recorded(_0))]
    NotRecorded(#[source] HeadsError),
    /// The entry that is proven tells of something else.
    #[error("the daemon says it recorded your word on the rules and proves another entry")]
    OtherEntry,
    /// What is recorded is what the person had said before.
    #[error(
        "you had said that before, and what you said first counts: nothing new is recorded, and what is \
         kept of the first stays"
    )]
    SaidBefore,
    /// The receipt cannot be written.
    #[error("the decision is recorded; its receipt cannot be written")]
    Receipt(#[source] ReceiptError),
    /// The copy cannot be kept.
    #[error("the decision is recorded; the copy in `{}` cannot be written", path.display())]
    Keep {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl SigningError {
    /// Tells whether the log contradicts itself, so that nothing may be decided any more.
    pub const fn is_alarm(&self) -> bool {
        matches!(self, Self::NotRecorded(error) if !error.is_ours())
    }
}

fn not_recorded(error: &HeadsError) -> &'static str {
    if error.is_ours() {
        "the daemon says it recorded the decision, and that cannot be checked here"
    } else {
        "the daemon says it recorded the decision and cannot prove it"
    }
}

/// Who signs, under which rules.
#[derive(Debug)]
pub struct Pen {
    /// The person's name in the roster.
    pub reviewer: String,
    /// The rules in force.
    pub rules: Digest,
    /// The person's keys in the roster.
    pub enrolled: Vec<PublicKey>,
    /// True when the rules list the person among those who may break the glass.
    pub breaks_glass: bool,
}

impl Pen {
    /// Asks the daemon who the caller is, and under which rules.
    pub async fn fetch(client: &mut Client) -> Result<Self, SigningError> {
        let rules = client.rules().await?;
        if rules.you.is_empty() {
            return Err(SigningError::NotInRoster);
        }
        Ok(Self {
            rules: rules.digest.parse()?,
            enrolled: enrolled(&rules.allowed_signers, &rules.you),
            breaks_glass: rules.break_glass.contains(&rules.you),
            reviewer: rules.you,
        })
    }

    /// Chooses the key to sign with.
    pub fn choose(&self, named: Option<&Path>, place: &Place) -> Result<Signer, KeyError> {
        let own = own_key(place);
        let configured = own.exists().then_some(own.as_path());
        keys::choose(
            named,
            configured,
            &self.enrolled,
            &Places::from_environment(),
        )
    }
}

/// Returns where `init` puts the key that it makes in user mode.
pub fn own_key(place: &Place) -> PathBuf {
    place.layout().config_dir().join("reviewer.key")
}

/// Returns the keys of one person in an OpenSSH `allowed_signers` file.
pub(crate) fn enrolled(allowed_signers: &str, name: &str) -> Vec<PublicKey> {
    allowed_signers
        .lines()
        .filter(|line| line.split(' ').next() == Some(name))
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let kind = words.iter().position(|word| {
                ["ssh-", "ecdsa-", "sk-"]
                    .iter()
                    .any(|prefix| word.starts_with(prefix))
            })?;
            PublicKey::from_openssh(&words.get(kind..)?.join(" ")).ok()
        })
        .collect()
}

/// What a person decides, and why.
#[derive(Debug, Clone)]
pub struct Word {
    /// Approve or deny.
    pub verdict: Verdict,
    /// Why; may be empty.
    pub reason: String,
}

/// Puts a decision together, to be signed with a key of this assurance.
pub fn decision(
    pen: &Pen,
    assurance: Assurance,
    review: &Review,
    heads: &Heads,
    word: Word,
    now: Timestamp,
) -> Result<Statement, SigningError> {
    let requester = review.document.requester();
    let text = |name: &str| {
        requester
            .get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let decision = Decision {
        request: review.document.id(),
        digest: review.digest(),
        verdict: word.verdict,
        reason: word.reason,
        reviewer: pen.reviewer.clone(),
        assurance,
        self_attested: review.answer.self_attests,
        requester: Requester {
            uid: requester
                .get("uid")
                .and_then(serde_json::Value::as_u64)
                .and_then(|uid| u32::try_from(uid).ok())
                .unwrap_or(u32::MAX),
            user: text("user").unwrap_or_default(),
            unit: text("unit"),
            container: text("container"),
        },
        rules: pen.rules,
        display: shown(review),
        issued_at: now,
        expires_at: now.plus(VALID),
        nonce: nonce()?,
        log: log_head(heads)?,
    };
    Ok(Statement::Decision(decision))
}

/// What the person was shown, completely drawn or printed.
fn shown(review: &Review) -> Display {
    let Rendering {
        complete, masked, ..
    } = &review.rendering;
    Display {
        sha256: review.rendering.digest(),
        complete: *complete,
        masked: masked.iter().map(ToString::to_string).collect(),
    }
}

/// What an act says.
#[derive(Debug, Clone)]
pub struct Doing {
    /// Which act.
    pub kind: ActKind,
    /// How the run went, where that is what is said, and nowhere else.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: String,
}

/// Puts an act together, to be signed with a key of this assurance.
pub fn act(
    pen: &Pen,
    assurance: Assurance,
    review: &Review,
    heads: &Heads,
    doing: Doing,
    now: Timestamp,
) -> Result<Statement, SigningError> {
    let Doing {
        kind,
        outcome,
        reason,
    } = doing;
    let act = statement::Act {
        kind,
        subject: Subject::Request {
            id: review.document.id(),
            digest: review.digest(),
        },
        outcome,
        // Breaking the glass approves, so it names what was shown (R12).
        display: (kind == ActKind::BreakGlass).then(|| shown(review)),
        reason,
        reviewer: pen.reviewer.clone(),
        assurance,
        rules: pen.rules,
        issued_at: now,
        expires_at: now.plus(VALID),
        nonce: nonce()?,
        log: log_head(heads)?,
    };
    Ok(Statement::Act(act))
}

/// Puts a person's word on a change of rules together, from the rules before to those after.
pub fn rules(
    pen: &Pen,
    assurance: Assurance,
    (previous, rules): (Digest, Digest),
    heads: &Heads,
    reason: String,
    now: Timestamp,
) -> Result<Statement, SigningError> {
    let act = statement::Act {
        kind: ActKind::Rules,
        subject: Subject::Rules { digest: rules },
        outcome: None,
        display: None,
        reason,
        reviewer: pen.reviewer.clone(),
        assurance,
        rules: previous,
        issued_at: now,
        expires_at: now.plus(VALID),
        nonce: nonce()?,
        log: log_head(heads)?,
    };
    Ok(Statement::Act(act))
}

/// Signs a statement. A security key may wait for its owner: not for a thread that draws.
pub fn sign(signer: &mut Signer, statement: &Statement) -> Result<Signed, SigningError> {
    let bytes = statement.to_bytes()?;
    let signature = signer.sign(statement.namespace(), &bytes)?;
    Ok(Signed {
        statement: bytes,
        sshsig: signature.armored,
    })
}

fn log_head(heads: &Heads) -> Result<LogHead, SigningError> {
    let head = heads.last().ok_or(SigningError::NoHead)?;
    Ok(LogHead {
        origin: head.origin().to_owned(),
        size: head.size(),
        root: Digest::from_bytes(*head.root().as_bytes()),
    })
}

fn nonce() -> Result<Nonce, SigningError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(SigningError::Random)?;
    Ok(Nonce::from_bytes(bytes))
}

/// Checks that a decision, or breaking the glass, is in the log, and keeps statement, signature and
/// receipt under a word for it (it counts as recorded for its reviewer only then). Returns the
/// directory they are kept in.
pub fn keep(
    heads: &mut Heads,
    state_dir: &Path,
    (review, word): (&Review, &dyn fmt::Display),
    signed: &Signed,
    recorded: Option<pb::Inclusion>,
) -> Result<PathBuf, SigningError> {
    let recorded = recorded.ok_or(AnswerError { field: "recorded" })?;
    let recorded = Inclusion::try_from(recorded)?;
    let id = review.document.id();
    heads
        .check(&recorded, &[], id)
        .map_err(SigningError::NotRecorded)?;
    let stem = format!("{id}.{word}");
    let counts = recorded_word(&recorded.entry).ok_or(SigningError::OtherEntry)?;
    if counts.statement != signed.statement {
        // The answer to the first may never have come.
        if !directory(state_dir).join(format!("{stem}.json")).exists() {
            write(state_dir, &stem, &counts, &recorded)?;
        }
        return Err(SigningError::SaidBefore);
    }
    write(state_dir, &stem, signed, &recorded)
}

/// Returns what an entry holds that a person signed.
fn recorded_word(entry: &[u8]) -> Option<Signed> {
    let entry: Value = serde_json::from_slice(entry).ok()?;
    let body = entry.get("body")?;
    let word = body.get("act").unwrap_or(body);
    let statement = word.get("statement_base64")?.as_str()?.as_bytes();
    Some(Signed {
        statement: BASE64.decode(statement).ok()?,
        sshsig: word.get("sshsig")?.as_str()?.to_owned(),
    })
}

/// Checks that a word on rules is in the log, and keeps statement, signature and receipt. Returns the
/// directory they are kept in.
pub fn keep_rules(
    heads: &mut Heads,
    state_dir: &Path,
    rules: Digest,
    signed: &Signed,
    answer: pb::SignRulesResponse,
) -> Result<PathBuf, SigningError> {
    let recorded = answer.recorded.ok_or(AnswerError { field: "recorded" })?;
    let recorded = Inclusion::try_from(recorded)?;
    heads.hold(&recorded).map_err(SigningError::NotRecorded)?;
    let entry = Entry::read(&recorded.entry).map(|entry| entry.body);
    let Ok(Body::Log(
        LogEvent::RulesSigned { rules: found, act }
        | LogEvent::RulesAcknowledged { rules: found, act },
    )) = entry
    else {
        return Err(SigningError::OtherEntry);
    };
    // A word that was given before is answered with the entry of that one; it is kept already.
    if found != rules || act.statement_base64 != BASE64.encode(&signed.statement) {
        return Err(SigningError::OtherEntry);
    }
    write(
        state_dir,
        &format!("rules-{}", rules.to_hex()),
        signed,
        &recorded,
    )
}

/// Returns where decisions are kept.
fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("decisions")
}

/// Writes statement, signature and receipt.
fn write(
    state_dir: &Path,
    stem: &str,
    signed: &Signed,
    recorded: &Inclusion,
) -> Result<PathBuf, SigningError> {
    let receipt = Receipt::new(
        recorded.index,
        Some(recorded.entry.clone()),
        recorded.proof.clone(),
        recorded.head.note.clone(),
    )
    .map_err(SigningError::Receipt)?;
    let dir = directory(state_dir);
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SigningError::Keep { path, source }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(failed(&dir))?;
    for (ending, bytes) in [
        ("json", signed.statement.as_slice()),
        ("json.sig", signed.sshsig.as_bytes()),
        ("tlog-proof", receipt.to_text().as_bytes()),
    ] {
        let path = dir.join(format!("{stem}.{ending}"));
        write_private(&path, bytes, Lasting::PowerCut).map_err(failed(&path))?;
    }
    Ok(dir)
}
