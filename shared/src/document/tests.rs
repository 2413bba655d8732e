use super::*;
use crate::action::Action;
use crate::limits::Limits;
use crate::mask::{self, MaskKey, Openings};

/// Written by another program: Python's `json`, `hashlib` and `hmac`.
const ACTION: &[u8] = include_bytes!("../../testdata/action.json");
const OPENINGS: &[u8] = include_bytes!("../../testdata/openings.json");
const DOCUMENT: &[u8] = include_bytes!("../../testdata/document.json");
const DIGEST: &str = include_str!("../../testdata/document.sha256");

fn id() -> RequestId {
    "req_008j4csh8nawcxw9sakwsjfezw".parse().unwrap()
}

fn masked() -> (Value, Openings) {
    let action = Action::read(ACTION, &Limits::default()).unwrap();
    let mut salt = 0;
    let salts = || {
        salt += 1;
        [salt; 32]
    };
    mask::mask(&action, salts, &MaskKey::from_bytes([7; 32]), &id()).unwrap()
}

fn intake() -> Intake {
    Intake {
        id: id(),
        origin: "countersign/test".to_owned(),
        received_at: "2026-11-21T20:49:13.007Z".parse().unwrap(),
        expires_at: "2026-11-21T21:49:13.007Z".parse().unwrap(),
        salt: [9; 32],
        requester: json!({"uid": 1001, "program": "/usr/bin/python3"}),
        requirement: json!({"tier": "medium", "seats": [{"group": "anyone", "count": 1}]}),
        rules: Digest::of(b"rules"),
        facts: json!({"program": "computed"}),
        action: masked().0,
    }
}

#[test]
fn the_document_is_byte_for_byte_the_one_another_program_writes() {
    let document = Document::build(intake()).unwrap();
    assert_eq!(
        String::from_utf8_lossy(document.bytes()),
        String::from_utf8_lossy(DOCUMENT)
    );
    let digest = document.digest().to_hex();
    assert_eq!(format!("{digest}  document.json\n"), DIGEST);
    assert_eq!(Document::read(DOCUMENT).unwrap(), document);
    let openings = masked().1.to_bytes().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&openings),
        String::from_utf8_lossy(OPENINGS)
    );
}

#[test]
fn a_document_says_what_it_was_built_of() {
    let document = Document::read(DOCUMENT).unwrap();
    let intake = intake();
    assert_eq!(document.id(), intake.id);
    assert_eq!(document.origin(), intake.origin);
    assert_eq!(document.received_at(), intake.received_at);
    assert_eq!(document.expires_at(), intake.expires_at);
    assert_eq!(document.rules(), intake.rules);
    assert_eq!(document.requester(), &intake.requester);
    assert_eq!(document.requirement(), &intake.requirement);
    assert_eq!(document.facts(), &intake.facts);
    assert_eq!(document.action(), &intake.action);
    assert_eq!(document.kind(), "exec.run");
    assert_eq!(document.target_kind(), "host");
    assert_eq!(document.target_name(), "b\u{fc}ro-1 \u{202e}");
    assert_eq!(document.claim("agent"), Some("etl-3"));
}

#[test]
fn the_executor_accepts_the_approved_action_and_no_other() {
    let document = Document::read(DOCUMENT).unwrap();
    let openings = Openings::read(OPENINGS).unwrap();
    assert_eq!(mask::check(ACTION, document.action(), &openings), Ok(()));
    let other = String::from_utf8(ACTION.to_vec()).unwrap();
    let other = other.replace("hunter2", "hunter3");
    let error = mask::check(other.as_bytes(), document.action(), &openings).unwrap_err();
    assert_eq!(
        error.field(),
        Some(&Pointer::from_text("/arguments/argv/3"))
    );
}

#[test]
fn a_document_has_exactly_its_fields() {
    let whole: Value = serde_json::from_slice(DOCUMENT).unwrap();
    let read = |value: &Value| Document::read(&json::canonical(value).unwrap());
    for name in NAMES {
        let mut value = whole.clone();
        value.as_object_mut().unwrap().remove(name);
        let at = Pointer::root().member(name);
        assert_eq!(read(&value), Err(DocumentError::Missing { at }));
    }
    let mut value = whole.clone();
    value["note"] = json!("x");
    assert!(matches!(read(&value), Err(DocumentError::Unknown { .. })));
    for (name, wrong) in [
        ("v", json!(2)),
        ("id", json!("req_1")),
        ("origin", json!("")),
        ("origin", json!(1)),
        ("received_at", json!("2026-11-21T20:49:13Z")),
        ("expires_at", json!("2026-11-21T20:49:13.007Z")),
        ("salt", json!("09")),
        ("salt", json!("0A".repeat(32))),
        ("requester", json!([])),
        ("requester", json!({"uid": 1.5})),
        ("requirement", json!(null)),
        ("facts", json!({"size": [9_007_199_254_740_992_u64]})),
        ("rules", json!("ab".repeat(32))),
        ("action", json!({"v": 1})),
    ] {
        let mut value = whole.clone();
        value[name] = wrong.clone();
        assert!(read(&value).is_err(), "{name} {wrong}");
    }
}

#[test]
fn a_secret_that_was_not_masked_makes_no_document() {
    let mut intake = intake();
    intake.action = serde_json::from_slice(ACTION).unwrap();
    let error = Document::build(intake).unwrap_err();
    assert!(matches!(error, DocumentError::Action(_)), "{error}");
}

#[test]
fn one_changed_byte_is_another_document_or_none() {
    let whole = Document::read(DOCUMENT).unwrap();
    for index in 0..DOCUMENT.len() {
        let mut bytes = DOCUMENT.to_vec();
        bytes[index] ^= 1;
        if let Ok(other) = Document::read(&bytes) {
            assert_ne!(other.digest(), whole.digest(), "byte {index}");
        }
    }
    let mut spaced = DOCUMENT.to_vec();
    spaced.push(b'\n');
    assert!(Document::read(&spaced).is_err());
}
