//! Approve, deny, and the other signed acts, from the command line.

use std::path::Path;

use countersign_client::shown;
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::requirement::RunBy;
use countersign_shared::statement::{ActKind, Outcome, Verdict};

use super::exit::{Done, Trouble};
use super::{Session, output, show, wall_time};
use crate::client::Signed;
use crate::console::model::Tier;
use crate::keys::{self, KeyError, Signer};
use crate::review::{Review, ReviewError, caught_up};
use crate::signing::{self, Doing, Pen, SigningError, Word};

/// The fewest digits of the digest that name what was looked at.
const LEAST_DIGITS: usize = 16;

/// Names a request.
#[derive(Debug, clap::Args)]
pub(super) struct IdArguments {
    /// The full id.
    id: RequestId,
}

/// What an approval needs.
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArguments {
    /// The full id.
    id: RequestId,
    /// The digest that `show` printed, at least 16 digits of it.
    #[arg(long, value_name = "HEX")]
    digest: String,
    /// The target's name, asked for when much is at stake.
    #[arg(long, value_name = "TARGET")]
    confirm: Option<String>,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

/// What a deny needs.
#[derive(Debug, clap::Args)]
pub(super) struct DenyArguments {
    /// The full id.
    id: RequestId,
    /// Why; the requester reads it.
    #[arg(long)]
    reason: String,
    /// The digest that `show` printed, at least 16 digits of it.
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
}

/// What another signed act needs.
#[derive(Debug, clap::Args)]
pub(super) struct ActArguments {
    /// The full id.
    id: RequestId,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// What settling needs.
#[derive(Debug, clap::Args)]
pub(super) struct SettleArguments {
    /// The full id.
    id: RequestId,
    /// How the run went: succeeded, failed or not-run.
    #[arg(long, value_parser = outcome, value_name = "OUTCOME")]
    outcome: Outcome,
    /// How you know.
    #[arg(long)]
    reason: String,
}

fn outcome(text: &str) -> Result<Outcome, &'static str> {
    [Outcome::Succeeded, Outcome::Failed, Outcome::NotRun]
        .into_iter()
        .find(|outcome| outcome.word() == text)
        .ok_or("must be `succeeded`, `failed` or `not-run`")
}

/// Which act.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Call for more eyes.
    Escalate,
    /// Take an approval back.
    Revoke,
    /// Ask for the end of a run.
    Kill,
}

pub(super) async fn approve(
    mut session: Session,
    arguments: &ApproveArguments,
    key: Option<&Path>,
) -> Done {
    let review = load(&mut session, arguments.id).await?;
    check_digest(&review, &arguments.digest)?;
    let state = review
        .answer
        .summary
        .as_ref()
        .and_then(|summary| shown::state(summary.state).ok());
    if let Some(state) = state.filter(|state| state.has_ended()) {
        return Err(Trouble::ended(state));
    }
    if !review.rendering.complete {
        return Err(Trouble::new(
            1,
            "not-shown",
            "this request cannot be shown completely, so nobody can approve it",
        ));
    }
    if !review.answer.not_eligible.is_empty() {
        return Err(Trouble::new(
            4,
            "own-request",
            review.answer.not_eligible.clone(),
        ));
    }
    let demands = review.demands();
    let target = review.document.target_name();
    let named = arguments.confirm.as_deref() == Some(target);
    if !named && (arguments.confirm.is_some() || demands.tier > Tier::Medium) {
        return Err(Trouble::usage(format!(
            "at tier {} say `--confirm` with the target's name, byte for byte",
            demands.tier.name()
        )));
    }
    if demands.reason {
        check_reason(&arguments.reason)?;
    }
    let (pen, signer) = choose_key(&mut session, key).await?;
    if let Some(lack) = signer.strength().lack(demands.assurance) {
        return Err(Trouble::from(SigningError::Key(KeyError::TooWeak(lack))));
    }
    show::print_rendering(&review);
    session
        .client
        .open(review.document.id(), review.rendering.digest())
        .await?;
    let word = Word {
        verdict: Verdict::Approve,
        reason: arguments.reason.clone(),
    };
    decide(&mut session, &review, word, (pen, signer)).await
}

/// Refuses to go on without a reason where there has to be one.
fn check_reason(reason: &str) -> Done {
    if reason.trim().is_empty() {
        return Err(Trouble::usage("say why with `--reason`".to_owned()));
    }
    Ok(())
}

pub(super) async fn deny(
    mut session: Session,
    arguments: &DenyArguments,
    key: Option<&Path>,
) -> Done {
    check_reason(&arguments.reason)?;
    let review = load(&mut session, arguments.id).await?;
    if let Some(digest) = &arguments.digest {
        check_digest(&review, digest)?;
    }
    let word = Word {
        verdict: Verdict::Deny,
        reason: arguments.reason.clone(),
    };
    let hand = choose_key(&mut session, key).await?;
    decide(&mut session, &review, word, hand).await
}

pub(super) async fn claim(mut session: Session, arguments: &IdArguments) -> Done {
    let until = session.client.claim(arguments.id).await?;
    output::ours(&format!("claimed {} until {until}", arguments.id));
    Ok(())
}

pub(super) async fn release(mut session: Session, arguments: &IdArguments) -> Done {
    let id = arguments.id;
    let me = Pen::fetch(&mut session.client).await?.reviewer;
    // The daemon answers the same whether there was a claim to give back or not.
    let answer = session.client.get(&id.to_string(), 0).await?;
    let holder = answer.summary.map_or(String::new(), |it| it.claimed_by);
    if holder.is_empty() {
        return Err(Trouble::new(
            6,
            "unclaimed",
            "nobody holds a claim on it; nothing was released",
        ));
    }
    if holder != me {
        return Err(Trouble::new(
            6,
            "claimed",
            format!("{holder} holds the claim on it; nothing was released"),
        ));
    }
    session.client.release(id).await?;
    output::ours(&format!("released {id}"));
    Ok(())
}

pub(super) async fn act(
    mut session: Session,
    kind: Kind,
    arguments: &ActArguments,
    key: Option<&Path>,
) -> Done {
    let id = arguments.id;
    let review = load(&mut session, id).await?;
    let doing = Doing {
        kind: match kind {
            Kind::Escalate => ActKind::Escalate,
            Kind::Revoke => ActKind::Revoke,
            Kind::Kill => ActKind::Kill,
        },
        outcome: None,
        reason: arguments.reason.clone(),
    };
    let statement = sign_act(&mut session, &review, doing, key).await?;
    match kind {
        Kind::Escalate => {
            session.client.escalate(id, statement).await?;
            output::ours(&format!("escalated {id}"));
        }
        Kind::Revoke => {
            session.client.revoke(id, statement).await?;
            output::ours(&format!("revoked {id}"));
        }
        Kind::Kill => {
            session.client.kill(id, statement).await?;
            output::ours(&format!("asked for the end of {id}"));
            if review.demands().run_by == RunBy::Agent {
                output::message(
                    "its agent runs it, not the daemon: `countersign-agent run` obeys, and whatever else runs \
                     it may not",
                );
            }
        }
    }
    Ok(())
}

pub(super) async fn settle(
    mut session: Session,
    arguments: &SettleArguments,
    key: Option<&Path>,
) -> Done {
    let id = arguments.id;
    let review = load(&mut session, id).await?;
    let state = review
        .answer
        .summary
        .as_ref()
        .and_then(|summary| shown::state(summary.state).ok());
    if let Some(state) = state.filter(|state| *state != State::Indeterminate) {
        return Err(Trouble::new(
            6,
            state.word(),
            format!(
                "only a run of unknown end is settled, this request is {state}; nothing was signed"
            ),
        ));
    }
    let doing = Doing {
        kind: ActKind::Settle,
        outcome: Some(arguments.outcome),
        reason: arguments.reason.clone(),
    };
    let statement = sign_act(&mut session, &review, doing, key).await?;
    session.client.settle(id, statement).await?;
    let word = arguments.outcome.word();
    output::ours(&format!("settled {id}: you say {word}"));
    Ok(())
}

/// Signs an act with the person's key.
pub(super) async fn sign_act(
    session: &mut Session,
    review: &Review,
    doing: Doing,
    key: Option<&Path>,
) -> Result<Signed, Trouble> {
    let (pen, mut signer) = choose_key(session, key).await?;
    unlock(&mut signer)?;
    let (assurance, heads) = (signer.assurance(), &session.heads);
    let act = signing::act(&pen, assurance, review, heads, doing, wall_time())?;
    Ok(signing::sign(&mut signer, &act)?)
}

pub(super) async fn load(session: &mut Session, id: RequestId) -> Result<Review, Trouble> {
    Ok(Review::load(&mut session.client, &mut session.heads, &id.to_string()).await?)
}

/// Returns who signs, and the key, perhaps locked.
pub(super) async fn choose_key(
    session: &mut Session,
    key: Option<&Path>,
) -> Result<(Pen, Signer), Trouble> {
    let pen = Pen::fetch(&mut session.client).await?;
    let signer = pen.choose(key, &session.place).map_err(SigningError::Key)?;
    Ok((pen, signer))
}

/// Asks for the passphrase of a key that has one.
pub(super) fn unlock(signer: &mut Signer) -> Done {
    signer
        .unlock_asking(keys::ask_on_terminal)
        .map_err(|error| SigningError::Key(error).into())
}

async fn decide(
    session: &mut Session,
    review: &Review,
    word: Word,
    (pen, mut signer): (Pen, Signer),
) -> Done {
    unlock(&mut signer)?;
    let verdict = word.verdict;
    let decision = signing::decision(
        &pen,
        signer.assurance(),
        review,
        &session.heads,
        word,
        wall_time(),
    )?;
    let statement = signing::sign(&mut signer, &decision)?;
    let id = review.document.id();
    let known = caught_up::<ReviewError>(&mut session.client, &mut session.heads).await?;
    let answer = session.client.decide(id, statement.clone(), known).await?;
    let missing = answer.missing.clone();
    let kept = signing::keep(
        &mut session.heads,
        &session.state_dir,
        (review, &verdict),
        &statement,
        answer.recorded,
    );
    let kept = match kept {
        Err(SigningError::SaidBefore) => SigningError::SaidBefore.to_string(),
        kept => format!(
            "statement, signature and receipt are kept in {}",
            kept?.display()
        ),
    };
    let word = match verdict {
        Verdict::Approve => "approved",
        Verdict::Deny => "denied",
    };
    let attested = match verdict {
        Verdict::Approve if review.answer.self_attests => " (self-attested)",
        Verdict::Approve | Verdict::Deny => "",
    };
    let waits = if missing.is_empty() {
        String::new()
    } else {
        format!("; it still {missing}")
    };
    output::ours(&format!("{word} {id}{attested}{waits}"));
    output::message(&kept);
    Ok(())
}

pub(super) fn check_digest(review: &Review, given: &str) -> Done {
    check_digits(given, review.digest(), "the request has")
}

/// Compares a digest with the digits that were given; `whose` begins what is said when it differs.
pub(super) fn check_digits(given: &str, digest: Digest, whose: &str) -> Done {
    let given = given.strip_prefix("sha256:").unwrap_or(given);
    let is_hex = given
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if given.len() < LEAST_DIGITS || !is_hex {
        return Err(Trouble::usage(format!(
            "`--digest` takes at least {LEAST_DIGITS} lower-case hexadecimal digits, {} given",
            given.len()
        )));
    }
    if digest.to_hex().starts_with(given) {
        Ok(())
    } else {
        Err(Trouble::new(
            6,
            "stale-digest",
            format!("{whose} another digest than the one given"),
        ))
    }
}
