//! What stands in the report one by one: what was out of the ordinary.

use serde::Serialize;
use serde_json::Value;

use super::LONGEST;
use super::deciding::{is_hasty, span};
use crate::life::{Deed, Life};
use crate::record::{Record, shown};
use countersign_shared::machine::State;

/// Rows up to the longest list, and how many more there were.
#[derive(Debug, Default, Serialize)]
pub(super) struct List {
    rows: Vec<Vec<String>>,
    more: u64,
}

impl List {
    fn push(&mut self, row: impl IntoIterator<Item = String>) {
        if self.rows.len() < LONGEST {
            self.rows.push(row.into_iter().collect());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// All lists.
#[derive(Debug, Default, Serialize)]
pub(super) struct Lists {
    /// Approved by the requester's own side.
    attested: List,
    /// Approved sooner than anybody reads.
    hasty: List,
    /// Broken glass, and its debts.
    glass: List,
    denied: List,
    expired: List,
    /// Nobody can say what ran, or what was approved did not run.
    unclear: List,
    /// Rules and people.
    rules: List,
    /// Documents that went before their time.
    erased: List,
    /// Entries that went after they were handed out.
    pruned: List,
    clock: List,
    /// The log went on from an older copy of itself.
    went_back: List,
    /// Calls that were refused before they became requests.
    calls: List,
}

impl Lists {
    pub(super) fn life(&mut self, life: &Life) {
        let id = life.id.to_string();
        let of = || {
            [
                id.clone(),
                life.received_at.to_string(),
                shown(&life.principal),
            ]
        };
        let last = |reason: &str| shown(reason);
        if life.is_self_attested() {
            let said = life.said.iter().rev().find(|said| said.approves);
            let (name, reason) = said.map_or_else(Default::default, |it| {
                (shown(&it.reviewer), last(&it.reason))
            });
            self.attested
                .push(of().into_iter().chain([life.tier.clone(), name, reason]));
        }
        for said in life.said.iter().filter(|said| is_hasty(said)) {
            let after_shown = said
                .after_shown_ms
                .map_or_else(|| "not recorded".to_owned(), span);
            self.hasty.push([
                id.clone(),
                life.tier.clone(),
                shown(&said.reviewer),
                said.at.to_string(),
                after_shown,
                span(said.after_received_ms),
            ]);
        }
        if let Some(glass) = &life.glass {
            let words = |deed: &Deed| {
                format!(
                    "{}, {}: {}",
                    shown(&deed.reviewer),
                    deed.at,
                    shown(&deed.reason)
                )
            };
            let debt = life.debt.as_ref().map_or_else(|| "OPEN".to_owned(), words);
            let state = life.state.word().to_owned();
            self.glass
                .push([id.clone(), life.tier.clone(), words(glass), state, debt]);
        }
        match life.state {
            State::Denied => {
                let said = life.said.iter().find(|said| !said.approves);
                let (name, reason) = said.map_or_else(Default::default, |it| {
                    (shown(&it.reviewer), last(&it.reason))
                });
                self.denied
                    .push(of().into_iter().chain([life.tier.clone(), name, reason]));
            }
            State::Expired => {
                let names: Vec<String> = life.shown.keys().map(|name| shown(name)).collect();
                let tier = life.tier.clone();
                self.expired
                    .push(of().into_iter().chain([tier, names.join("; ")]));
            }
            State::Indeterminate | State::Settled | State::NotRun | State::Killed => {
                let state = life.state.word().to_owned();
                let executor = life.executor.as_deref().map(shown).unwrap_or_default();
                self.unclear.push(of().into_iter().chain([state, executor]));
            }
            State::Received
            | State::Refused
            | State::Pending
            | State::Approved
            | State::Withdrawn
            | State::Superseded
            | State::Invalidated
            | State::Revoked
            | State::Lapsed
            | State::Redeemed
            | State::Running
            | State::Succeeded
            | State::Failed => {}
        }
    }

    pub(super) fn record(&mut self, record: &Record<'_>) {
        let place = || [record.seq.to_string(), record.time.to_string()];
        match record.entry_type.as_str() {
            "log.genesis" | "rules.changed" => {
                let body = record.value("/rules").filter(|value| value.is_object());
                let body = body.unwrap_or(&record.body);
                let text = |name: &str| body.get(name).and_then(Value::as_str).map(shown);
                let people: Vec<String> = body
                    .get("members")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|member| member.get("name").and_then(Value::as_str).map(shown))
                    .collect();
                self.rules.push(place().into_iter().chain([
                    record.entry_type.clone(),
                    text("rules").unwrap_or_default(),
                    people.join("; "),
                ]));
            }
            "document.erased" if record.value("/early").is_some() => {
                let id = record.request.map(|id| id.to_string()).unwrap_or_default();
                let login = record.value("/early/login_uid").map(ToString::to_string);
                let by = [id, record.shown("/early/user"), login.unwrap_or_default()];
                let why = record.shown("/early/reason");
                self.erased.push(place().into_iter().chain(by).chain([why]));
            }
            "log.pruned" => {
                let number = |path| record.value(path).map(ToString::to_string);
                let what = ["/entries", "/before", "/kept_days"]
                    .map(|path| number(path).unwrap_or_default());
                let who = [record.shown("/user"), record.shown("/archive")];
                self.pruned.push(place().into_iter().chain(what).chain(who));
            }
            "clock.jumped" => {
                let reason = record.reason().map(shown).unwrap_or_default();
                self.clock.push(place().into_iter().chain([reason]));
            }
            "rollback.adopted" => {
                let size = record.value("/size").map(ToString::to_string);
                let reason = record.reason().map(shown).unwrap_or_default();
                let lost = [size.unwrap_or_default(), reason];
                self.went_back.push(place().into_iter().chain(lost));
            }
            "event.refused" => {
                let uid = record
                    .value("/uid")
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let counts = record.value("/counts").map(ToString::to_string);
                let counts = shown(&counts.unwrap_or_default());
                self.calls.push(place().into_iter().chain([uid, counts]));
            }
            _ => {}
        }
    }
}
