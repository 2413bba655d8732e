//! Looking: lists, one request whole, its diff, and changes as they come.

use std::time::Duration;

use countersign_shared::diff::{self, Change, RowKind};
use countersign_shared::text::Printable;
use countersign_shared::wire::pb;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::exit::{Done, Trouble};
use super::{Session, output};
use crate::review::Review;

/// How long comparing one file may take before whole lines are compared.
const DIFF_TIME: Duration = Duration::from_millis(200);

/// What to list.
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Ended ones as well.
    #[arg(long)]
    all: bool,
    /// Only those that nobody could follow to their end; a late report or `settle` closes them.
    #[arg(long, conflicts_with = "all")]
    indeterminate: bool,
    /// Write JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What to show.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The id, or an unambiguous beginning of it.
    id: String,
    /// Write JSON.
    #[arg(long, conflicts_with = "raw")]
    pub(super) json: bool,
    /// Write the exact bytes of the request document; their SHA-256 is the digest.
    #[arg(long)]
    raw: bool,
}

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArguments {
    /// The id, or an unambiguous beginning of it.
    id: String,
}

/// How to follow.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArguments {
    /// Write a line of JSON for each change.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn list(mut session: Session, arguments: &ListArguments) -> Done {
    let owed = session.client.owed().await?;
    let unsettled = owed.unsettled.len();
    let requests = if arguments.indeterminate {
        owed.unsettled
    } else {
        session.client.list(arguments.all).await?
    };
    if arguments.json {
        let requests: Vec<Value> = requests.iter().map(summary_json).collect();
        output::json(&json!({"schema": 1, "requests": requests}));
        return Ok(());
    }
    if requests.is_empty() {
        output::message("no requests");
    }
    for request in &requests {
        output::line(&summary_line(request));
    }
    if unsettled > 0 && !arguments.indeterminate {
        let whose = match unsettled {
            1 => "of 1 request nobody knows how it ended".to_owned(),
            several => format!("of {several} requests nobody knows how they ended"),
        };
        output::message(&format!("{whose}: `countersign list --indeterminate`"));
    }
    Ok(())
}

pub(super) async fn show(mut session: Session, arguments: &ShowArguments) -> Done {
    let review = Review::load(&mut session.client, &mut session.heads, &arguments.id).await?;
    if arguments.raw {
        output::check_raw()?;
        output::bytes(review.document.bytes());
        return Ok(());
    }
    if arguments.json {
        output::json(&review_json(&review)?);
        return Ok(());
    }
    print_rendering(&review);
    let answer = &review.answer;
    if let Some(summary) = &answer.summary {
        output::ours(&format!("state    {}", state_word(summary)));
        output::line(&labelled("reason   ", &summary.reason));
        if !summary.claimed_by.is_empty() {
            output::line(&labelled("claimed  ", &summary.claimed_by));
        }
        if !marks(summary).is_empty() {
            output::line(&Printable::concat([
                &Printable::ours("marks    "),
                &marks(summary),
            ]));
        }
        if !summary.owed_by.is_empty() {
            output::line(&labelled(
                "the glass was broken, and nobody has reviewed it since, by ",
                &summary.owed_by,
            ));
        }
    }
    print_requirement(&review);
    for decision in &answer.decisions {
        output::line(&decision_line(decision));
    }
    if !answer.waits_for.is_empty() {
        output::line(&labelled("waits for ", &answer.waits_for));
    }
    if !answer.could_approve.is_empty() {
        output::line(&labelled(
            "could still approve: ",
            &answer.could_approve.join(", "),
        ));
    }
    if !answer.nobody_for.is_empty() {
        output::line(&labelled(
            "nobody is left for: ",
            &answer.nobody_for.join(", "),
        ));
    }
    if !answer.not_eligible.is_empty() {
        output::line(&labelled("you may not approve it: ", &answer.not_eligible));
    }
    output::ours(&format!("digest   {}", review.digest()));
    if review.rendering.complete {
        session
            .client
            .open(review.document.id(), review.rendering.digest())
            .await
            .or_else(
                // Whoever is nobody in the roster, or comes too late, may look all the same.
                |error| match Trouble::from(error) {
                    trouble if trouble.is_about_standing() => Ok(()),
                    trouble => Err(trouble),
                },
            )?;
    } else {
        output::message("this request cannot be shown completely, so nobody can approve it");
    }
    Ok(())
}

/// Prints the tier with its reasons, and what policy has to say to whoever decides.
fn print_requirement(review: &Review) {
    let requirement = review.document.value().get("requirement");
    let texts = |name: &str| -> Vec<&str> {
        requirement
            .and_then(|requirement| requirement.get(name))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    output::ours(&format!("tier     {}", review.demands().tier.name()));
    for (label, name) in [("because  ", "why"), ("advice   ", "advice")] {
        for text in texts(name) {
            output::line(&labelled(label, text));
        }
    }
    for seats in requirement
        .and_then(|requirement| requirement.get("reviews"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        output::line(&Printable::concat([
            &Printable::ours("review   "),
            &crate::console::page::why::review_in_words(seats),
        ]));
    }
}

/// Prints everything that a statement about the request binds.
pub(super) fn print_rendering(review: &Review) {
    output::bytes(review.rendering.text.as_bytes());
    if !review.rendering.text.ends_with('\n') {
        output::bytes(b"\n");
    }
    for finding in review.rendering.findings.summary() {
        output::line(&Printable::concat([
            &Printable::ours("found    "),
            &finding,
        ]));
    }
    for finding in review.rendering.claims_findings.summary() {
        output::line(&Printable::concat([
            &Printable::ours("found in what the agent says    "),
            &finding,
        ]));
    }
    for pointer in &review.rendering.masked {
        output::line(&Printable::concat([&Printable::ours("masked   "), pointer]));
    }
}

pub(super) async fn diff(mut session: Session, arguments: &DiffArguments) -> Done {
    let review = Review::load(&mut session.client, &mut session.heads, &arguments.id).await?;
    let changes = review
        .document
        .action()
        .get("changes")
        .and_then(Value::as_array);
    let Some(changes) = changes.filter(|changes| !changes.is_empty()) else {
        output::message("this request changes no files");
        return Ok(());
    };
    for change in changes {
        let change = Change::read(change).map_err(|error| Trouble::failure(&error))?;
        print_change(&change)?;
    }
    Ok(())
}

/// Prints what a change does to a file.
pub(super) fn print_change(change: &Change) -> Done {
    let deadline = deadline();
    let file = diff::diff(change, Some(deadline)).map_err(|error| Trouble::failure(&error))?;
    output::line(&Printable::concat([&Printable::ours("file "), &file.path]));
    for note in file.notes() {
        output::line(&note);
    }
    for hunk in &file.hunks {
        output::line(&hunk.heading());
        for row in file.rows.get(hunk.rows.clone()).unwrap_or_default() {
            let mark = match row.kind {
                RowKind::Context => Printable::ours(" "),
                RowKind::Added => Printable::ours("+"),
                RowKind::Removed => Printable::ours("-"),
            };
            output::line(&Printable::concat([&mark, &row.text]));
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the diff library takes its deadline as an instant"
)]
fn deadline() -> std::time::Instant {
    std::time::Instant::now() + DIFF_TIME
}

pub(super) async fn watch(mut session: Session, arguments: &WatchArguments) -> Done {
    use pb::watch_response::Change;

    let mut changes = session.client.watch(0).await?;
    while let Some(change) = changes
        .message()
        .await
        .map_err(|status| Trouble::failure(&status))?
        .and_then(|it| it.change)
    {
        let is_read = match change {
            Change::Request(summary) if arguments.json => output::json(&summary_json(&summary)),
            Change::Request(summary) => output::line(&summary_line(&summary)),
            Change::SnapshotComplete(_) | Change::Head(_) | Change::Rules(_) => true,
            Change::Draining(_) => {
                output::message("the daemon is stopping");
                true
            }
        };
        if !is_read {
            return Ok(());
        }
    }
    Err(Trouble::new(7, "unreachable", "the daemon is gone"))
}

fn state_word(summary: &pb::Summary) -> &'static str {
    countersign_client::shown::state(summary.state)
        .map_or("unknown", countersign_shared::machine::State::word)
}

fn labelled(label: &'static str, text: &str) -> Printable {
    Printable::concat([&Printable::ours(label), &output::shown(text)])
}

pub(super) fn summary_line(summary: &pb::Summary) -> Printable {
    let gap = Printable::ours("  ");
    let standing = Printable::concat([
        &output::padded(state_word(summary), 14),
        &output::padded(&summary.tier, 9),
        &marks(summary),
    ]);
    let claimed = if summary.claimed_by.is_empty() {
        Printable::ours("")
    } else {
        Printable::concat([
            &Printable::ours("  claimed by "),
            &output::shown(&summary.claimed_by),
        ])
    };
    Printable::concat([
        &output::shown(&summary.id),
        &gap,
        &standing,
        &output::shown(&summary.kind),
        &Printable::ours(" on "),
        &output::shown(&summary.target_kind),
        &Printable::ours(":"),
        &output::shown(&summary.target),
        &gap,
        &Printable::from_ours(format!(
            "uid {}",
            summary
                .requester
                .as_ref()
                .map_or(u32::MAX, |requester| requester.uid)
        )),
        &Printable::ours("  until "),
        &output::shown(&summary.expires_at),
        &claimed,
    ])
}

/// What must not be overlooked about how a request stands, behind its state and tier.
fn marks(summary: &pb::Summary) -> Printable {
    let mut text = Printable::default();
    for (is_so, mark) in [
        (summary.self_attested, "self-attested  "),
        (summary.break_glass, "break-glass  "),
        (summary.escalated, "escalated  "),
    ] {
        if is_so {
            text.push(&Printable::ours(mark));
        }
    }
    text
}

fn decision_line(decision: &pb::Decision) -> Printable {
    Printable::concat([
        &Printable::ours("decision "),
        &output::shown(&decision.decision),
        &Printable::ours(" by "),
        &output::shown(&decision.reviewer),
        &Printable::ours(if decision.self_attested {
            " (self-attested) at "
        } else {
            " at "
        }),
        &output::shown(&decision.time),
        &Printable::ours(", "),
        &output::shown(&decision.assurance),
        &Printable::ours(": "),
        &output::shown(&decision.reason),
    ])
}

/// The stable JSON of one request in lists.
pub(super) fn summary_json(summary: &pb::Summary) -> Value {
    let requester = summary.requester.clone().unwrap_or_default();
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "id": summary.id,
        "state": state_word(summary),
        "digest": summary.digest,
        "tier": summary.tier,
        "kind": summary.kind,
        "target": summary.target,
        "target_kind": summary.target_kind,
        "requester": {
            "uid": requester.uid,
            "user": requester.user,
            "pid": requester.pid,
            "program": requester.program,
            "unit": some(&requester.unit),
            "container": some(&requester.container),
        },
        "agent": summary.agent,
        "received_at": summary.received_at,
        "expires_at": summary.expires_at,
        "claimed_by": some(&summary.claimed_by),
        "self_attested": summary.self_attested,
        "break_glass": summary.break_glass,
        "owed_by": some(&summary.owed_by),
        "escalated": summary.escalated,
        "escalate_to": summary.escalate_to,
        "reason": summary.reason,
    })
}

fn review_json(review: &Review) -> Result<Value, Trouble> {
    let answer = &review.answer;
    let read = |bytes: &[u8]| -> Result<Value, Trouble> {
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(bytes).map_err(|error| Trouble::failure(&error))
    };
    let decisions: Vec<Value> = answer
        .decisions
        .iter()
        .map(|decision| {
            json!({
                "decision": decision.decision,
                "reviewer": decision.reviewer,
                "assurance": decision.assurance,
                "self_attested": decision.self_attested,
                "reason": decision.reason,
                "time": decision.time,
                "statement_base64": BASE64.encode(&decision.statement),
                "sshsig": decision.sshsig,
            })
        })
        .collect();
    let mut requirement = read(&answer.requirement)?;
    flatten_seats(&mut requirement);
    Ok(json!({
        "schema": 1,
        "request": answer.summary.as_ref().map(summary_json),
        "document": review.document.value(),
        "requirement": requirement,
        "decisions": decisions,
        "waits_for": (!answer.waits_for.is_empty()).then_some(&answer.waits_for),
        "could_approve": answer.could_approve,
        "nobody_for": answer.nobody_for,
        "not_eligible": (!answer.not_eligible.is_empty()).then_some(&answer.not_eligible),
        "execution": read(&answer.execution)?,
    }))
}

/// Adds `seats` and `rule` over all reviews, which scripts go by, to what the document holds.
fn flatten_seats(requirement: &mut Value) {
    let reviews = requirement
        .get("reviews")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let of = |name: &str| -> Vec<Value> {
        reviews
            .iter()
            .filter_map(|review| review.get(name).cloned())
            .collect()
    };
    let seats: Vec<Value> = of("seats")
        .into_iter()
        .filter_map(|seats| seats.as_array().cloned())
        .flatten()
        .collect();
    let rule = of("policy");
    if let Value::Object(fields) = requirement {
        fields.insert("seats".to_owned(), Value::Array(seats));
        fields.insert("rule".to_owned(), Value::Array(rule));
    }
}
