use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::digest::Digest;
use crate::document::Intake;
use crate::id::RequestId;
use crate::log::entry::{Actor, ActorKind, Body, Entry, LogEvent, Separation, Sync};
use crate::time::{BootId, Moment, Timestamp};

fn document(agent: Option<&str>, data: &Value) -> Document {
    let mut action = json!({
        "v": 1, "kind": "data.export", "target": {"kind": "dataset", "name": "crm"},
        "arguments": {}, "data": data,
    });
    if let Some(agent) = agent {
        action["claims"] = json!({ "agent": agent });
    }
    Document::build(Intake {
        id: RequestId::from_bytes([1; 16]),
        origin: "countersign/test".to_owned(),
        received_at: Timestamp::from_millis(1_000),
        expires_at: Timestamp::from_millis(2_000),
        salt: [3; 32],
        requester: json!({}),
        requirement: json!({}),
        rules: Digest::of(b"rules"),
        facts: json!({}),
        action,
    })
    .unwrap()
}

fn one(name: &str, classification: Option<&str>) -> Value {
    json!({
        "name": name, "classification": classification, "access": "export",
        "records": 100, "destination": "s3://reports",
    })
}

fn catalogue(name: &str) -> Option<String> {
    (name == "crm").then(|| "pii".to_owned())
}

fn entry(body: DataAccessed) -> Entry {
    Entry {
        log: "countersign/test".to_owned(),
        seq: 1,
        now: Moment {
            wall: Timestamp::from_millis(1_000),
            boot: BootId::new("a"),
            mono_ms: 1,
        },
        sync: Sync::Unknown,
        actor: Actor {
            kind: ActorKind::Agent,
            id: "uid:1".to_owned(),
            uid: Some(1),
        },
        request: Some(RequestId::from_bytes([1; 16])),
        separation: Separation::Uid,
        body: Body::Log(LogEvent::DataAccessed(Box::new(body))),
    }
}

#[test]
fn what_the_catalogue_lists_has_its_word_and_the_rest_the_agents() {
    let document = document(
        Some("etl-3"),
        &json!([one("orders", None), one("crm", Some("public"))]),
    );
    let told = DataAccessed::of(&document, catalogue);
    let as_json: Vec<Value> = told.iter().map(|body| json!(body)).collect();
    assert_eq!(
        as_json,
        [
            json!({"agent": "etl-3", "basis": "computed", "data": [one("crm", Some("pii"))]}),
            json!({"agent": "etl-3", "basis": "stated", "data": [one("orders", None)]}),
        ]
    );
    assert!(DataAccessed::are_those_of(&document, &told));
    for body in told {
        let entry = entry(body);
        let bytes = entry.to_bytes().unwrap();
        assert_eq!(Entry::read(&bytes).unwrap(), entry);
    }
}

#[test]
fn an_action_without_data_has_nothing_to_tell() {
    let document = document(None, &json!([]));
    assert_eq!(DataAccessed::of(&document, catalogue), []);
    assert!(DataAccessed::are_those_of(&document, &[]));
}

#[test]
fn every_difference_from_the_document_is_found() {
    let data = json!([one("crm", None), one("orders", None), one("orders", None)]);
    let document = document(Some("etl-3"), &data);
    let good = DataAccessed::of(&document, catalogue);
    assert!(DataAccessed::are_those_of(&document, &good));
    let differs = |change: &dyn Fn(&mut Vec<DataAccessed>)| {
        let mut told = good.clone();
        change(&mut told);
        assert!(!DataAccessed::are_those_of(&document, &told), "{told:?}");
    };
    differs(&Vec::clear);
    differs(&|told| told[1].data.truncate(1));
    differs(&|told| told.push(told[1].clone()));
    differs(&|told| told[0].agent = None);
    differs(&|told| told[0].data[0].name = "hr".to_owned());
    differs(&|told| told[0].data[0].records = Some(99));
    differs(&|told| told[0].data[0].destination = None);
    differs(&|told| told[0].data[0].access = crate::action::Access::Read);
    // What the agent states of a classification is in the document.
    differs(&|told| told[1].data[0].classification = Some("public".to_owned()));
}

#[test]
fn the_longest_names_fit_and_a_longer_name_of_the_agent_is_left_out() {
    let long = "\u{1}".repeat(2_600);
    let data: Vec<Value> = (0..7).map(|_| one(&long, None)).collect();
    let document = document(Some(&long.repeat(4)), &json!(data));
    let told = DataAccessed::of(&document, catalogue);
    assert_eq!(told.len(), 4);
    assert!(DataAccessed::are_those_of(&document, &told));
    for body in told {
        assert_eq!(body.agent, None);
        entry(body).to_bytes().unwrap();
    }
}

proptest! {
    #[test]
    fn whatever_the_document_lists_is_told_in_entries_that_fit(
        names in prop::collection::vec("[a-c\u{1}é\"]{1,2000}|crm", 0..60),
        agent in prop::option::of("\\PC{0,200}"),
    ) {
        let data: Vec<Value> = names.iter().map(|name| one(name, None)).collect();
        let document = document(agent.as_deref(), &json!(data));
        let told = DataAccessed::of(&document, catalogue);
        prop_assert!(DataAccessed::are_those_of(&document, &told));
        let count: usize = told.iter().map(|body| body.data.len()).sum();
        prop_assert_eq!(count, names.len());
        for body in told {
            prop_assert!(entry(body).to_bytes().is_ok());
        }
    }
}
