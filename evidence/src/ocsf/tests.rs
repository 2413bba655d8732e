use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use countersign_shared::log::entry::Body;

use super::*;
use crate::fixture::{self, Fixture};

/// A log with an entry of every type there is, and of one there is not.
fn everything() -> Fixture {
    let mut log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    let daemon = fixture::daemon();
    let mika = log.person(fixture::MIKA);
    let act = json!({"member": {"name": fixture::MIKA}, "reason": "=why\n"});
    for (kind, body) in [
        ("review.claimed", json!({"reviewer": fixture::MIKA})),
        ("review.released", json!({"reviewer": fixture::MIKA})),
        ("request.revoked", act.clone()),
        ("breakglass.used", act.clone()),
        ("debt.closed", act.clone()),
        ("execution.kill-requested", act.clone()),
        ("request.approved", json!({"via": "break-glass"})),
        ("request.approved", json!({"via": "self-attested"})),
        ("request.approved", json!({"via": "policy"})),
        ("request.withdrawn", json!({"because": "asked"})),
        ("request.superseded", json!({"by": id})),
        ("request.invalidated", json!({"because": "rules"})),
        ("request.escalated", json!({"act": null})),
        ("request.detached", json!({})),
        ("execution.not-run", json!({"because": "mismatch"})),
        ("execution.indeterminate", json!({"because": "gone"})),
        ("execution.settled", json!({"act": act, "report": null})),
        ("execution.finished", json!({"outcome": "killed"})),
        ("policy.evaluated", json!({"outcome": "permit"})),
        (
            "data.accessed",
            json!({"data": [
                {"name": "orders", "classification": "pii", "access": "read", "records": 4, "destination": null},
            ]}),
        ),
        (
            "document.erased",
            json!({"retained_until": "2026-07-01T00:00:00.000Z"}),
        ),
        ("something.new", json!({"any": [1, 2]})),
    ] {
        log.raw(&mika, Some(id), kind, &body);
    }
    for kind in [
        "event.refused",
        "clock.jumped",
        "rollback.adopted",
        "key.rotated",
        "key.retired",
        "rules.refused",
        "rules.proposed",
        "rules.withdrawn",
        "rules.signed",
        "rules.acknowledged",
        "log.pruned",
        "daemon.stopped",
    ] {
        log.raw(&daemon, None, kind, &json!({"reason": "r"}));
    }
    log
}

fn events(log: &Fixture) -> Vec<Value> {
    (0u64..)
        .zip(&log.entries)
        .map(|(at, bytes)| event(&Record::read(at, bytes).unwrap()))
        .collect()
}

#[test]
fn every_type_of_entry_is_among_what_is_tried() {
    let log = everything();
    let mut tried = BTreeSet::new();
    for (at, bytes) in (0u64..).zip(&log.entries) {
        tried.insert(Record::read(at, bytes).unwrap().entry_type);
    }
    for entry_type in Body::entry_types() {
        assert!(tried.contains(entry_type), "{entry_type}");
    }
}

#[test]
fn every_event_has_what_its_class_requires() {
    let log = everything();
    let common = [
        "activity_id",
        "category_uid",
        "class_uid",
        "metadata",
        "severity_id",
        "time",
        "type_uid",
    ];
    for event in events(&log) {
        let more: &[&str] = match event["class_uid"].as_u64() {
            Some(6003) => &[
                "actor",
                "api",
                "src_endpoint",
                "action_id",
                "disposition_id",
            ],
            Some(3004) => &["entity"],
            Some(6002) => &["app"],
            other => panic!("class {other:?}"),
        };
        for name in common.iter().chain(more) {
            assert!(!event[name].is_null(), "{name}: {event}");
        }
        let type_uid =
            event["class_uid"].as_u64().unwrap() * 100 + event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], type_uid);
        assert_eq!(
            event["category_uid"],
            event["class_uid"].as_u64().unwrap() / 1000
        );
        assert_eq!(event["metadata"]["version"], "1.8.0");
    }
}

#[test]
fn an_event_leads_back_to_its_leaf() {
    let log = everything();
    for (event, bytes) in events(&log).iter().zip(&log.entries) {
        assert_eq!(event["raw_data"].as_str().unwrap().as_bytes(), bytes);
        assert_eq!(event["metadata"]["uid"], leaf_hash(bytes).to_string());
        assert_eq!(event["raw_data_hash"]["value"], Digest::of(bytes).to_hex());
    }
}

#[test]
fn what_was_decided_is_said_in_the_words_of_the_schema() {
    let log = everything();
    let of = |kind: &str, word: &str| {
        let events = events(&log);
        let found = events.iter().find(|event| {
            event["metadata"]["event_code"] == kind
                && event["raw_data"].as_str().unwrap().contains(word)
        });
        let event = found.unwrap();
        (
            event["action_id"].as_u64(),
            event["disposition_id"].as_u64(),
            event["status_id"].as_u64(),
        )
    };
    for (kind, word, action, disposition, status) in [
        ("request.received", "", 3, 14, 0),
        ("policy.evaluated", "\"permit\"", 1, 1, 1),
        ("policy.evaluated", "\"refuse\"", 2, 2, 1),
        ("decision.recorded", "\"approve\"", 3, 8, 1),
        ("decision.recorded", "\"deny\"", 2, 25, 1),
        ("request.approved", "\"reviewers\"", 1, 8, 1),
        ("request.approved", "\"self-attested\"", 1, 1, 1),
        ("request.denied", "", 2, 25, 1),
        ("request.expired", "", 2, 2, 1),
        ("request.refused", "", 2, 2, 1),
        ("request.revoked", "", 2, 24, 1),
        ("execution.finished", "\"succeeded\"", 1, 1, 1),
        ("execution.finished", "\"failed\"", 1, 27, 2),
        ("event.refused", "", 2, 26, 2),
    ] {
        assert_eq!(
            of(kind, word),
            (Some(action), Some(disposition), Some(status)),
            "{kind} {word}"
        );
    }
}

#[test]
fn every_type_of_entry_has_a_meaning_of_its_own() {
    let log = everything();
    let unknown: BTreeSet<String> = events(&log)
        .iter()
        .filter(|event| event["message"] == "entry of another type")
        .map(|event| event["metadata"]["event_code"].to_string())
        .collect();
    assert_eq!(unknown, BTreeSet::from(["\"something.new\"".to_owned()]));
}

/// Asks the published schema. It comes with the package `ocsf-json-schema` 1.2.0 of `PyPI`, which
/// holds the framework's own files; `COUNTERSIGN_TEST_PYTHON` names an interpreter that has it, and
/// `jsonschema`.
#[test]
fn the_published_schema_accepts_every_event_and_refuses_a_damaged_one() {
    const CHECK: &str = r"
import json, sys
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version='1.8.0'))
classes = {6003: ('api_activity', ['security_control']), 3004: ('entity_management', []),
           6002: ('application_lifecycle', [])}
checks = {uid: Draft202012Validator(schema.get_class_schema(*of)) for uid, of in classes.items()}
for line in sys.stdin:
    event = json.loads(line)
    for error in checks[event['class_uid']].iter_errors(event):
        sys.exit(event['metadata']['event_code'] + ': ' + str(list(error.path)) + ': ' + error.message)
";
    let python = std::env::var("COUNTERSIGN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python)
        .args(["-c", "import jsonschema, ocsf_json_schema"])
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        eprintln!("skipped: `{python}` has no `ocsf-json-schema` and `jsonschema`");
        return;
    }
    let accepts = |events: &[Value]| {
        let input = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        std::fs::write(input.path(), lines.join("\n")).unwrap();
        let output = Command::new(&python)
            .args(["-c", CHECK])
            .stdin(std::fs::File::open(input.path()).unwrap())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let log = everything();
    let mut events = events(&log);
    events.push(head(&Told {
        origin: fixture::ORIGIN,
        head: countersign_shared::log::tree::TreeHead::empty(),
        note: &log.note(),
        at: countersign_shared::time::Timestamp::from_millis(1),
    }));
    let (good, said) = accepts(&events);
    assert!(good, "{said}");
    events[5]["disposition_id"] = json!(1000);
    assert!(!accepts(&events).0);
}
