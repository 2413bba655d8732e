use serde_json::json;

use super::*;
use crate::fixture::{self, Ask, Fixture, MIKA, NOOR};

fn lives(log: &Fixture) -> Vec<Life> {
    let mut lives = Lives::new();
    let mut all = Vec::new();
    for (at, bytes) in (0u64..).zip(&log.entries) {
        all.extend(lives.take(&Record::read(at, bytes).unwrap()).unwrap());
    }
    all.extend(lives.finish());
    all
}

#[test]
fn every_request_ends_in_the_state_of_its_machine() {
    let log = Fixture::story();
    let lives = lives(&log);
    assert_eq!(lives.len(), log.machines.len());
    for life in &lives {
        assert_eq!(life.state, log.machines[&life.id].state(), "{life:?}");
        assert_eq!(life.digest, log.machines[&life.id].digest().to_string());
    }
}

#[test]
fn a_life_says_who_decided_and_how_long_it_took() {
    let log = Fixture::story();
    let lives = lives(&log);
    let export = &lives[0];
    assert_eq!(export.names(true).collect::<Vec<_>>(), [MIKA, NOOR]);
    assert_eq!(export.review, "1 of data-stewards and 1 of sre");
    assert_eq!(export.via.as_deref(), Some("reviewers"));
    assert_eq!(export.said[0].after_shown_ms, Some(9_050));
    assert_eq!(export.said[0].after_received_ms, 13_050);
    assert_eq!(export.outcome.as_deref(), Some("succeeded"));
    assert_eq!(export.decided_after_ms(), Some(13_050 + 35_050));
    let denied = lives
        .iter()
        .find(|life| life.state == State::Denied)
        .unwrap();
    assert_eq!(denied.names(false).collect::<Vec<_>>(), [MIKA]);
    assert_eq!(denied.said[0].after_shown_ms, None);
}

#[test]
fn a_request_is_handed_out_once_its_last_moment_is_over_and_not_held_after() {
    let log = Fixture::story();
    let mut lives = Lives::new();
    let mut most = 0;
    for (at, bytes) in (0u64..).zip(&log.entries) {
        let record = Record::read(at, bytes).unwrap();
        for closed in lives.take(&record).unwrap() {
            assert!(closed.state.has_ended());
            assert!(*closed.entries.last().unwrap() < at);
            assert!(lives.get(closed.id).is_none());
        }
        most = most.max(lives.alive.len());
    }
    assert_eq!(most, 1, "they come one after another");
}

#[test]
fn broken_glass_keeps_a_request_until_somebody_reviews_it() {
    let mut log = Fixture::new();
    let id = log.ask(Ask::default());
    let mika = log.person(MIKA);
    let act = json!({"member": {"name": MIKA}, "reason": "the site is down"});
    log.raw(&mika, Some(id), "breakglass.used", &act);
    log.raw(
        &mika,
        Some(id),
        "request.approved",
        &json!({"via": "break-glass", "until": null}),
    );
    log.later(5);
    let lapsed = json!({});
    log.raw(&fixture::daemon(), Some(id), "request.lapsed", &lapsed);
    log.later(5);
    let open = lives(&log);
    assert!(open[0].owes_a_review());
    let other = json!({"member": {"name": NOOR}, "reason": "looked at"});
    log.raw(&log.person(NOOR), Some(id), "debt.closed", &other);
    let life = &lives(&log)[0];
    assert_eq!(life.state, State::Lapsed);
    assert_eq!(life.debt.as_ref().unwrap().reviewer, NOOR);
}

#[test]
fn an_entry_without_what_its_type_has_is_an_error() {
    for (kind, body) in [
        ("decision.recorded", json!({"verdict": "maybe"})),
        ("request.approved", json!({})),
        ("execution.finished", json!({"outcome": "well"})),
        ("breakglass.used", json!({"reason": "r"})),
        ("request.received", json!({})),
    ] {
        let mut log = Fixture::new();
        let id = log.ask(Ask::default());
        log.raw(&fixture::daemon(), Some(id), kind, &body);
        let mut lives = Lives::new();
        let wrong = (0u64..).zip(&log.entries).any(|(at, bytes)| {
            let record = Record::read(at, bytes).unwrap();
            lives.take(&record).is_err()
        });
        assert!(wrong, "{kind}");
    }
}
