//! Breaking the glass, closing the review that it owes, and listing what people owe.
//!
//! Breaking the glass is the one way to approve alone. It is not a key of the console: nobody comes
//! upon it by habit, and it takes the target's name besides id, digest and reason.

use std::path::Path;

use countersign_client::shown;
use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::statement::ActKind;
use countersign_shared::text::Printable;
use countersign_shared::wire::pb;
use serde_json::json;

use super::decide::{check_digest, choose_key, load, sign_act, unlock};
use super::exit::{Done, Trouble};
use super::{Session, ask, output, show, wall_time};
use crate::console::model::Tier;
use crate::console::safety::Confirm;
use crate::keys::KeyError;
use crate::review::{Review, ReviewError, caught_up};
use crate::signing::{self, Doing, SigningError};

/// What breaking the glass needs.
#[derive(Debug, clap::Args)]
pub(super) struct BreakArguments {
    /// The full id.
    id: RequestId,
    /// The digest that `show` printed, at least 16 digits of it.
    #[arg(long, value_name = "HEX")]
    digest: String,
    /// Why it cannot wait for the people it asks; everybody reads it.
    #[arg(long)]
    reason: String,
    /// The target's name; asked for on the terminal when it is not given.
    #[arg(long, value_name = "TARGET")]
    confirm: Option<String>,
}

/// What closing a debt needs.
#[derive(Debug, clap::Args)]
pub(super) struct CloseArguments {
    /// The full id.
    id: RequestId,
    /// What you found when you reviewed it.
    #[arg(long)]
    reason: String,
}

/// How to list what is owed.
#[derive(Debug, clap::Args)]
pub(super) struct DebtsArguments {
    /// Write JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn break_glass(
    mut session: Session,
    arguments: &BreakArguments,
    key: Option<&Path>,
) -> Done {
    let review = load(&mut session, arguments.id).await?;
    check_digest(&review, &arguments.digest)?;
    check_standing(&review)?;
    if arguments.reason.trim().is_empty() {
        return Err(Trouble::usage("`--reason` must say why it cannot wait"));
    }
    let (pen, mut signer) = choose_key(&mut session, key).await?;
    if !pen.breaks_glass {
        return Err(Trouble::new(
            4,
            "not-on-break-glass-list",
            format!("`[break_glass]` does not name {}", pen.reviewer),
        ));
    }
    if let Some(lack) = signer.strength().lack(review.demands().assurance) {
        return Err(Trouble::from(SigningError::Key(KeyError::TooWeak(lack))));
    }
    show::print_rendering(&review);
    session
        .client
        .open(review.document.id(), review.rendering.digest())
        .await?;
    warn(&review);
    confirm(&review, arguments.confirm.as_deref())?;
    unlock(&mut signer)?;
    let doing = Doing {
        kind: ActKind::BreakGlass,
        outcome: None,
        reason: arguments.reason.clone(),
    };
    let now = wall_time();
    let assurance = signer.assurance();
    let act = signing::act(&pen, assurance, &review, &session.heads, doing, now)?;
    let statement = signing::sign(&mut signer, &act)?;
    let id = review.document.id();
    let known = caught_up::<ReviewError>(&mut session.client, &mut session.heads).await?;
    let answer = session
        .client
        .break_glass(id, statement.clone(), known)
        .await?;
    let dir = signing::keep(
        &mut session.heads,
        &session.state_dir,
        (&review, &"break-glass"),
        &statement,
        answer.recorded,
    )?;
    output::ours(&format!(
        "approved {id} by breaking the glass; another person has to review it"
    ));
    output::message(&format!(
        "statement, signature and receipt are kept in {}",
        dir.display()
    ));
    Ok(())
}

/// Refuses what the glass cannot be broken for, before anybody is asked for anything.
fn check_standing(review: &Review) -> Done {
    let state = review
        .answer
        .summary
        .as_ref()
        .and_then(|summary| shown::state(summary.state).ok());
    match state {
        Some(State::Pending) => {}
        Some(state) if state.has_ended() => return Err(Trouble::ended(state)),
        Some(state) => {
            return Err(Trouble::new(
                6,
                state.word(),
                format!("the glass is broken for what is pending, this request is {state}"),
            ));
        }
        None => return Err(Trouble::new(9, "answer", "the daemon names no state")),
    }
    if !review.rendering.complete {
        return Err(Trouble::new(
            1,
            "not-shown",
            "this request cannot be shown completely, so nobody can approve it",
        ));
    }
    if review.answer.self_attests {
        return Err(Trouble::new(
            4,
            "own-request",
            "you stand behind this request; who breaks the glass must not",
        ));
    }
    Ok(())
}

/// Says what is about to be done, in red where there are colours.
fn warn(review: &Review) {
    let waits = &review.answer.waits_for;
    output::alarm("BREAKING THE GLASS: this approves the request above, by you alone.");
    if !waits.is_empty() {
        output::alarm(&format!("It passes by the people it waits for: {waits}."));
    }
    output::alarm("Everybody who reviews is told at once, with your name and your reason.");
    output::alarm("It leaves a debt on record until another person has reviewed what you did.");
}

/// Takes the target's name, from the command line or from the terminal.
fn confirm(review: &Review, given: Option<&str>) -> Done {
    let target = review.document.target_name();
    if let Some(given) = given {
        return if given == target {
            Ok(())
        } else {
            Err(Trouble::usage(
                "`--confirm` is not the target's name; it takes it byte for byte",
            ))
        };
    }
    let asked = Confirm::choose(Tier::Critical, target, &review.digest(), &[0; 16]);
    let prompt = match &asked {
        Confirm::Name(name) => format!("Type the target's name, {name}, to break the glass: "),
        Confirm::DigestDigits(digits) => {
            format!("Its name cannot be typed. Type the digest's start, {digits}: ")
        }
        Confirm::Code(_) | Confirm::Nothing => {
            return Err(Trouble::new(1, "failure", "nothing could be asked for"));
        }
    };
    let typed = ask::line(&prompt).map_err(|error| {
        Trouble::usage(format!(
            "nobody can be asked for the target's name: {error}"
        ))
        .hint("say it with `--confirm TARGET`")
    })?;
    if typed == asked.expected() {
        Ok(())
    } else {
        Err(Trouble::new(
            1,
            "not-confirmed",
            "that is something else; nothing was signed",
        ))
    }
}

pub(super) async fn close_debt(
    mut session: Session,
    arguments: &CloseArguments,
    key: Option<&Path>,
) -> Done {
    let id = arguments.id;
    let review = load(&mut session, id).await?;
    if arguments.reason.trim().is_empty() {
        return Err(Trouble::usage("`--reason` must say what you found"));
    }
    let owed_by = review
        .answer
        .summary
        .as_ref()
        .map_or("", |summary| summary.owed_by.as_str());
    if owed_by.is_empty() {
        return Err(Trouble::new(
            6,
            "no-debt",
            "nobody owes a review of this request; nothing was signed",
        ));
    }
    let owed_by = owed_by.to_owned();
    show::print_rendering(&review);
    let doing = Doing {
        kind: ActKind::CloseDebt,
        outcome: None,
        reason: arguments.reason.clone(),
    };
    let statement = sign_act(&mut session, &review, doing, key).await?;
    session.client.close_debt(id, statement).await?;
    output::ours(&format!(
        "closed: you have reviewed what {owed_by} approved alone, {id}"
    ));
    Ok(())
}

pub(super) async fn debts(mut session: Session, arguments: &DebtsArguments) -> Done {
    let owed = session.client.owed().await?;
    if arguments.json {
        let all = |requests: &[pb::Summary]| -> Vec<_> {
            requests.iter().map(show::summary_json).collect()
        };
        output::json(&json!({
            "schema": 1,
            "debts": all(&owed.debts),
            "unsettled": all(&owed.unsettled),
        }));
        return Ok(());
    }
    if owed.debts.is_empty() && owed.unsettled.is_empty() {
        output::message("nobody owes anything");
    }
    for request in &owed.debts {
        output::line(&show::summary_line(request));
        output::line(&Printable::concat([
            &Printable::ours("  the glass was broken by "),
            &output::shown(&request.owed_by),
            &Printable::ours("; another person reviews it: countersign close-debt "),
            &output::shown(&request.id),
            &Printable::ours(" --reason TEXT"),
        ]));
    }
    for request in &owed.unsettled {
        output::line(&show::summary_line(request));
        output::line(&Printable::concat([
            &Printable::ours("  nobody knows how it ended: countersign settle "),
            &output::shown(&request.id),
            &Printable::ours(" --outcome OUTCOME --reason TEXT"),
        ]));
    }
    Ok(())
}
