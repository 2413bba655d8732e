//! Page 5, Why: what the agent says for itself, what is required, and who has decided.

use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Map, Value};

use super::super::model::{Detail, Recorded, Tier};
use super::{Gutter, Line, Look, Page, Writer, leaves, line};
use crate::demands::Demands;

/// Writes the page.
pub fn page(document: &Map<String, Value>, detail: &Detail) -> Page {
    let mut parts = Vec::new();
    let mut writer = Writer::new(&mut parts, false);
    writer.heading("THE AGENT SAYS (not verified)");
    match document
        .get("action")
        .and_then(|action| action.get("claims"))
    {
        Some(Value::Object(claims)) if !claims.is_empty() => claims_of(&mut writer, claims),
        _ => writer.remark(Look::Dim, "nothing"),
    }
    writer.heading("REQUIRED");
    tier(&mut writer, document, detail);
    if let Some(text) = &detail.not_eligible {
        let text = Printable::concat([
            &Printable::ours("you may not approve it: "),
            &Printable::exact(text),
        ]);
        writer.push(Line {
            look: Look::Warning,
            ..line(Gutter::Computed, text)
        });
    }
    if detail.self_attests {
        writer.remark(
            Look::Warning,
            "you stand behind this request: approving it is self-attestation, and is called so",
        );
    }
    outlook(&mut writer, detail);
    match document.get("requirement") {
        Some(Value::Object(requirement)) => required(&mut writer, requirement),
        Some(_) | None => writer.remark(Look::Warning, "the document does not say"),
    }
    writer.heading("DECISIONS");
    if detail.decisions.is_empty() {
        writer.remark(Look::Dim, "none yet");
    }
    for decision in &detail.decisions {
        recorded(&mut writer, decision);
    }
    writer.finish(None)
}

/// What is required, in words where the words are known, and as it stands where they are not.
fn required(writer: &mut Writer<'_>, requirement: &Map<String, Value>) {
    for (key, value) in requirement {
        match (key.as_str(), value) {
            ("reviews", Value::Array(reviews)) if reviews.iter().all(is_review) => {
                for review in reviews {
                    writer.push(line(Gutter::Computed, review_in_words(review)));
                }
            }
            ("grant_s", Value::Number(seconds)) => {
                ours(writer, &format!("once approved, {seconds} s to begin"));
            }
            ("max_run_s", Value::Number(seconds)) => {
                ours(writer, &format!("a run is ended after {seconds} s"));
            }
            // The countdown says it.
            ("ttl_s", Value::Number(_))
            | ("reason_required" | "self_attest", Value::Bool(false))
            // Told first, beside each other.
            | ("tier", Value::String(_)) => {}
            ("why" | "advice" | "escalate", Value::Array(texts))
                if texts.iter().all(Value::is_string) =>
            {
                let label = match key.as_str() {
                    "advice" => "advice: ",
                    "escalate" => "while nobody decides, it calls ",
                    // The reasons stand beside the tier.
                    _ => continue,
                };
                for text in texts {
                    writer.push(said(label, text));
                }
            }
            ("run_by", Value::String(who)) if who == "agent" => {}
            ("run_by", Value::String(who)) if who == "daemon" => {
                ours(writer, "only the daemon may run it");
            }
            ("reason_required", Value::Bool(true)) => ours(writer, "a reason has to be given"),
            ("self_attest", Value::Bool(true)) => ours(writer, "one may approve one's own request"),
            _ => leaves::write(
                writer,
                Gutter::Computed,
                &Printable::exact(&Untrusted::new(key.clone())),
                value,
            ),
        }
    }
}

/// The tier, and why it is what it is.
fn tier(writer: &mut Writer<'_>, document: &Map<String, Value>, detail: &Detail) {
    let requirement = document.get("requirement");
    let Demands { tier, .. } = Demands::of(requirement, Some(detail.row.tier), detail.self_attests);
    let look = if tier >= Tier::High {
        Look::Warning
    } else {
        Look::Plain
    };
    let text = Printable::concat([&Printable::ours("tier "), &Printable::ours(tier.name())]);
    writer.push(Line {
        look,
        ..line(Gutter::Computed, text)
    });
    let why = requirement
        .and_then(|requirement| requirement.get("why"))
        .and_then(Value::as_array);
    for phrase in why.into_iter().flatten() {
        writer.push(Line {
            look,
            ..said("because ", phrase)
        });
    }
}

/// What it waits for now, and who could give that.
fn outlook(writer: &mut Writer<'_>, detail: &Detail) {
    if detail.waits_for.is_empty() {
        return;
    }
    let list = |label: &'static str, names: &[Untrusted]| {
        let mut text = Printable::ours(label);
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                text.push(&Printable::ours(", "));
            }
            text.push(&Printable::exact(name));
        }
        text
    };
    let waits = Printable::concat([
        &Printable::ours("waits for "),
        &Printable::exact(&detail.waits_for),
    ]);
    writer.push(line(Gutter::Computed, waits));
    if !detail.could_approve.is_empty() {
        let text = list("could still approve: ", &detail.could_approve);
        writer.push(line(Gutter::Computed, text));
    }
    if !detail.nobody_for.is_empty() {
        let text = list("nobody is left for: ", &detail.nobody_for);
        writer.push(Line {
            look: Look::Warning,
            ..line(Gutter::Computed, text)
        });
    }
}

/// What policy says, behind our own word for it.
fn said(label: &'static str, text: &Value) -> Line {
    let text = Untrusted::new(text.as_str().unwrap_or_default());
    let text = Printable::concat([&Printable::ours(label), &Printable::exact(&text)]);
    line(Gutter::Computed, text)
}

fn ours(writer: &mut Writer<'_>, text: &str) {
    writer.push(line(Gutter::Computed, Printable::from_ours(text)));
}

fn is_review(review: &Value) -> bool {
    let seats = review.get("seats").and_then(Value::as_array);
    let is_seat = |seat: &Value| {
        seat.get("count").is_some_and(Value::is_u64)
            && seat.get("group").is_some_and(Value::is_string)
    };
    review.get("policy").is_some_and(Value::is_string)
        && seats.is_some_and(|seats| seats.iter().all(is_seat))
}

/// Says what one review of a requirement asks, and which policy does.
pub(crate) fn review_in_words(review: &Value) -> Printable {
    let text = |value: Option<&Value>| {
        Printable::exact(&Untrusted::new(
            value.and_then(Value::as_str).unwrap_or_default().to_owned(),
        ))
    };
    let mut words = Printable::default();
    for (at, seat) in review
        .get("seats")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let count = seat
            .get("count")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let and = if at == 0 { "" } else { " and " };
        words.push(&Printable::from_ours(format!("{and}{count} of ")));
        words.push(&text(seat.get("group")));
    }
    words.push(&Printable::ours(", as the rule "));
    words.push(&text(review.get("policy")));
    words.push(&Printable::ours(" says"));
    words
}

fn claims_of(writer: &mut Writer<'_>, claims: &Map<String, Value>) {
    if let Some(Value::String(reason)) = claims.get("reason") {
        for row in Printable::prose(&Untrusted::new(reason.clone())) {
            writer.push(line(Gutter::Agent, row));
        }
    }
    for (key, value) in claims {
        if key == "reason" && value.is_string() {
            continue;
        }
        let name = Printable::exact(&Untrusted::new(key.clone()));
        leaves::write(writer, Gutter::Agent, &name, value);
    }
}

fn recorded(writer: &mut Writer<'_>, decision: &Recorded) {
    let mut text = Printable::concat([
        &Printable::exact(&decision.reviewer),
        &Printable::ours(": "),
        &Printable::exact(&decision.decision),
        &Printable::ours(", "),
        &Printable::exact(&decision.assurance),
        &Printable::ours(", "),
        &Printable::exact(&decision.time),
    ]);
    if decision.self_attested {
        text.push(&Printable::ours(", self-attested"));
    }
    writer.push(line(Gutter::Computed, text));
    if !decision.reason.is_empty() {
        writer.text(Gutter::Agent, &Printable::ours("said"), &decision.reason);
    }
}
