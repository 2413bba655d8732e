//! `countersign rules`: the rules in force, what is proposed instead, and the signature that puts it
//! in force.

use std::path::Path;

use countersign_shared::text::{Printable, Untrusted};
use serde_json::json;

use super::exit::{Done, Trouble};
use super::{Session, decide, output, show, wall_time};
use crate::cause::chain;
use crate::review::caught_up;
use crate::rules::{RulesError, Standing, Waiting, Whole};
use crate::signing;

/// What is done with rules.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the rules in force, with all their files.
    Show {
        /// Show those that are proposed instead.
        #[arg(long)]
        proposed: bool,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what the proposed rules change.
    Diff,
    /// Sign the proposed rules.
    Sign(SignArguments),
    /// Take note of rules that the operator adopted without the reviewers.
    Acknowledge(SignArguments),
}

/// What signing rules needs.
#[derive(Debug, clap::Args)]
pub(super) struct SignArguments {
    /// The digest that `rules diff` or `rules show` printed, at least 16 digits of it.
    #[arg(long, value_name = "HEX")]
    digest: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

impl Command {
    /// Tells whether errors are to be JSON as well.
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Show { json, .. } => *json,
            Self::Diff | Self::Sign(_) | Self::Acknowledge(_) => false,
        }
    }
}

pub(super) async fn rules(mut session: Session, command: &Command, key: Option<&Path>) -> Done {
    let standing = Standing::load(&mut session.client, &mut session.heads).await?;
    match command {
        Command::Show { proposed, json } => {
            let digest = if *proposed {
                proposal(&standing)?.rules
            } else {
                standing.in_force
            };
            let whole = Whole::read(&mut session.client, digest).await?;
            show_whole(&standing, &whole, *json);
            Ok(())
        }
        Command::Diff => {
            let change = proposal(&standing)?.clone();
            print_change(&mut session, &standing, &change).await?;
            output::ours(&format!("digest   {}", change.rules));
            Ok(())
        }
        Command::Sign(arguments) => {
            let change = proposal(&standing)?.clone();
            sign(session, &standing, &change, arguments, key).await
        }
        Command::Acknowledge(arguments) => {
            let change = standing.adopted.clone().ok_or_else(|| {
                Trouble::new(
                    6,
                    "not-proposed",
                    "no rules were adopted that a reviewer has to acknowledge",
                )
            })?;
            sign(session, &standing, &change, arguments, key).await
        }
    }
}

fn proposal(standing: &Standing) -> Result<&Waiting, Trouble> {
    standing.proposed.as_ref().ok_or_else(|| {
        Trouble::new(
            6,
            "not-proposed",
            "no rules are proposed: the operator's files make those in force, or were not read yet",
        )
    })
}

/// Shows everything that the digest is over.
fn show_whole(standing: &Standing, whole: &Whole, as_json: bool) {
    let said = standing.answer.standing.clone().unwrap_or_default();
    if as_json {
        let of = |waiting: &Option<Waiting>| waiting.as_ref().map(|it| it.rules.to_string());
        output::json(&json!({
            "schema": 1,
            "digest": whole.digest.to_string(),
            "rules": whole.value,
            "files": whole.files,
            "in_force": standing.in_force.to_string(),
            "proposed": of(&standing.proposed),
            "signed_by": said.signed_by,
            "missing": said.missing,
            "adopted": of(&standing.adopted),
            "adopted_reason": said.adopted_reason,
        }));
        return;
    }
    lines(&whole.text());
    for (name, text) in &whole.files {
        output::line(&Printable::concat([
            &Printable::ours("file "),
            &output::shown(name),
        ]));
        lines(text);
    }
    output::ours(&format!("digest   {}", whole.digest));
    if let Some(proposed) = &standing.proposed {
        output::ours(&format!("proposed {}", proposed.rules));
    }
    if let Some(adopted) = &standing.adopted {
        output::ours(&format!("adopted  {}", adopted.rules));
        output::line(&Printable::concat([
            &Printable::ours("because  "),
            &output::shown(&said.adopted_reason),
        ]));
    }
}

fn lines(text: &str) {
    for line in Printable::exact_lines(&Untrusted::new(text)) {
        output::line(&line);
    }
}

/// Shows what a change of rules does, and who it gives something.
async fn print_change(session: &mut Session, standing: &Standing, change: &Waiting) -> Done {
    let after = Whole::read(&mut session.client, change.rules).await?;
    match Whole::read(&mut session.client, change.previous).await {
        Ok(before) => {
            for change in after.changes_since(Some(&before)) {
                show::print_change(&change)?;
            }
        }
        // After an adoption the rules before may be lost; then all of the new ones are shown.
        Err(error) if error.is_missing() => {
            output::message("the rules before it were not kept; these are the new ones whole");
            show_whole(standing, &after, false);
        }
        Err(error) => return Err(error.into()),
    }
    if standing.proposed.as_ref().map(|it| it.rules) == Some(change.rules) {
        for name in &standing.answer.gained {
            output::line(&Printable::concat([
                &Printable::ours("adds, or changes account or keys of, "),
                &output::shown(name),
            ]));
        }
        let said = standing.answer.standing.clone().unwrap_or_default();
        for name in &said.signed_by {
            output::line(&Printable::concat([
                &Printable::ours("signed by "),
                &output::shown(name),
            ]));
        }
        output::line(&output::shown(&said.missing));
    }
    Ok(())
}

async fn sign(
    mut session: Session,
    standing: &Standing,
    change: &Waiting,
    arguments: &SignArguments,
    key: Option<&Path>,
) -> Done {
    decide::check_digits(&arguments.digest, change.rules, "the rules have")?;
    let (pen, mut signer) = decide::choose_key(&mut session, key).await?;
    if pen.rules != standing.in_force {
        return Err(Trouble::new(
            6,
            "rules-changed",
            "the rules changed meanwhile; look again with `countersign rules diff`",
        ));
    }
    print_change(&mut session, standing, change).await?;
    let said = standing.answer.standing.clone().unwrap_or_default();
    let is_proposal = standing.proposed.as_ref().map(|it| it.rules) == Some(change.rules);
    if is_proposal && said.signed_by.contains(&pen.reviewer) {
        output::ours(&format!(
            "you signed {} before; it {}",
            change.rules, said.missing
        ));
        return Ok(());
    }
    decide::unlock(&mut signer)?;
    let statement = signing::rules(
        &pen,
        signer.assurance(),
        (change.previous, change.rules),
        &session.heads,
        arguments.reason.clone(),
        wall_time(),
    )?;
    let word = signing::sign(&mut signer, &statement)?;
    let known = caught_up::<RulesError>(&mut session.client, &mut session.heads).await?;
    let answer = session.client.sign_rules(word.clone(), known).await?;
    let (in_force, missing) = (answer.in_force, answer.missing.clone());
    let dir = signing::keep_rules(
        &mut session.heads,
        &session.state_dir,
        change.rules,
        &word,
        answer,
    )?;
    let what = match (in_force, missing.as_str()) {
        (true, _) => "they are in force",
        (false, "") => "acknowledged",
        (false, missing) => missing,
    };
    output::ours(&format!("signed {}: {what}", change.rules));
    output::message(&format!(
        "statement, signature and receipt are kept in {}",
        dir.display()
    ));
    Ok(())
}

impl From<RulesError> for Trouble {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Client(error) => error.into(),
            RulesError::Log(error) if error.is_ours() => Self::new(1, "failure", chain(&error)),
            error @ (RulesError::Log(_)
            | RulesError::OtherEntry
            | RulesError::OtherBytes { .. }
            | RulesError::Entry(_)) => Self::new(9, "log", chain(&error)),
            error @ (RulesError::Answer(_) | RulesError::Digest(_) | RulesError::Form) => {
                Self::new(1, "failure", chain(&error))
            }
        }
    }
}
