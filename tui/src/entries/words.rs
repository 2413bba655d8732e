//! What an entry says, in a few words. The words may hold texts of agents: encode them before they
//! are shown.

use serde_json::Value;

/// Returns what there is to say beside type, request and actor; nothing where those say it all.
pub fn of(entry_type: &str, body: &Value) -> String {
    let text = |pointer: &str| {
        let found = body.pointer(pointer);
        found.and_then(Value::as_str).unwrap_or_default()
    };
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let said = |first: &str, reason: &str| match (first, reason) {
        (first, "") => first.to_owned(),
        ("", reason) => reason.to_owned(),
        (first, reason) => format!("{first}: {reason}"),
    };
    match entry_type {
        "request.received" => said(text("/requirement/tier"), text("/digest")),
        "policy.evaluated" => said(text("/outcome"), text("/because")),
        "decision.recorded" => {
            let own = body.get("self_attested").and_then(Value::as_bool) == Some(true);
            let by = if own && text("/verdict") == "approve" {
                ", self-attested"
            } else {
                ""
            };
            said(
                &format!("{} ({}{by})", text("/verdict"), text("/assurance")),
                text("/reason"),
            )
        }
        "request.approved" => text("/via").to_owned(),
        "request.denied"
        | "breakglass.used"
        | "debt.closed"
        | "request.revoked"
        | "execution.kill-requested" => said("", text("/reason")),
        "request.redeemed" => text("/executor").to_owned(),
        "request.superseded" => text("/by").to_owned(),
        "request.escalated" => said("", text("/act/reason")),
        "execution.finished" => match body.get("exit").and_then(Value::as_i64) {
            Some(exit) => format!("{} ({exit})", text("/outcome")),
            None => text("/outcome").to_owned(),
        },
        "execution.settled" => {
            let outcome = [text("/outcome"), text("/report/outcome")].concat();
            said(&outcome, text("/act/reason"))
        }
        "data.accessed" => data(body),
        "log.pruned" => format!(
            "{} entries are gone, all from before {}: kept for {} days",
            number("/entries"),
            number("/before"),
            number("/kept_days")
        ),
        "document.erased" => match text("/early/reason") {
            "" => format!("kept until {}", text("/retained_until")),
            reason => said(
                &format!("by {}, before its time", text("/early/user")),
                reason,
            ),
        },
        "rules.changed" | "rules.proposed" | "rules.withdrawn" => text("/rules").to_owned(),
        "rules.signed" | "rules.acknowledged" => said(text("/rules"), text("/act/reason")),
        "rules.refused" => text("/problem").to_owned(),
        "clock.jumped" | "rollback.adopted" | "key.rotated" | "key.retired" => {
            text("/reason").to_owned()
        }
        "daemon.started" => text("/software").to_owned(),
        "event.refused" => counts(body),
        _ => text("/because").to_owned(),
    }
}

/// Names the data of a run, each with what was done to it.
fn data(body: &Value) -> String {
    let sets = body.get("data").and_then(Value::as_array);
    let words = sets.into_iter().flatten().map(|set| {
        let text = |name: &str| set.get(name).and_then(Value::as_str);
        let mut word = format!(
            "{} {}",
            text("access").unwrap_or_default(),
            text("name").unwrap_or_default()
        );
        if let Some(classification) = text("classification") {
            word = format!("{word} ({classification})");
        }
        match text("destination") {
            Some(destination) => format!("{word} to {destination}"),
            None => word,
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

fn counts(body: &Value) -> String {
    let counts = body.get("counts").and_then(Value::as_object);
    let words = counts
        .into_iter()
        .flatten()
        .map(|(code, count)| format!("{count} {code}"));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_say_what_matters_of_them() {
        for (entry_type, body, expected) in [
            (
                "decision.recorded",
                json!({"verdict": "deny", "assurance": "touch", "reason": "not now",
                    "self_attested": false}),
                "deny (touch): not now",
            ),
            (
                "decision.recorded",
                json!({"verdict": "approve", "assurance": "file", "reason": "",
                    "self_attested": true}),
                "approve (file, self-attested)",
            ),
            (
                "request.approved",
                json!({"via": "break-glass"}),
                "break-glass",
            ),
            (
                "execution.finished",
                json!({"outcome": "failed", "exit": 3}),
                "failed (3)",
            ),
            ("execution.not-run", json!({"because": "gone"}), "gone"),
            (
                "execution.settled",
                json!({"report": null, "outcome": "failed", "act": {"reason": "seen"}}),
                "failed: seen",
            ),
            (
                "data.accessed",
                json!({"data": [
                    {"name": "crm", "access": "export", "classification": "pii",
                        "destination": "s3://r"},
                    {"name": "hr", "access": "read", "classification": null, "destination": null},
                ]}),
                "export crm (pii) to s3://r, read hr",
            ),
            (
                "event.refused",
                json!({"counts": {"bad-ticket": 1, "malformed": 2}}),
                "1 bad-ticket, 2 malformed",
            ),
            (
                "rules.signed",
                json!({"rules": "sha256:00", "act": {"reason": "as agreed"}}),
                "sha256:00: as agreed",
            ),
            ("daemon.stopped", json!({}), ""),
        ] {
            assert_eq!(of(entry_type, &body), expected, "{entry_type}");
        }
    }

    #[test]
    fn a_body_of_another_shape_says_nothing_and_breaks_nothing() {
        for entry_type in ["decision.recorded", "data.accessed", "event.refused", "x"] {
            for body in [json!(null), json!([1]), json!({"data": 1, "counts": []})] {
                drop(of(entry_type, &body));
            }
        }
    }
}
