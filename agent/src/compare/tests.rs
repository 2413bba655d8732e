//! Documents as a daemon would build them, honest and otherwise.

use countersign_shared::action::{Action, ActionBuilder, Text};
use countersign_shared::document::Intake;
use countersign_shared::id::TicketSecret;
use countersign_shared::limits::Limits;
use countersign_shared::machine::State;
use countersign_shared::mask::MaskKey;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use serde_json::json;

use super::*;
use crate::client::ShownHead;

pub(crate) const ORIGIN: &str = "countersign/test";

fn action(statement: &str, secret: &str, reason: &str) -> Vec<u8> {
    ActionBuilder::new("sql.exec", "database", "orders")
        .argument("statement", json!(statement))
        .argument("password", Text::secret(secret).into_value())
        .claim("reason", reason)
        .build(&Limits::default())
        .unwrap()
}

/// What a daemon answers that stored `action` under `origin`.
pub(crate) fn answer(action: &[u8], origin: &str) -> Submitted {
    let id = RequestId::from_bytes([1; 16]);
    let action = Action::read(action, &Limits::default()).unwrap();
    let key = MaskKey::from_bytes([2; 32]);
    let mut salt = 0;
    let salts = || {
        salt += 1;
        [salt; 32]
    };
    let (masked, openings) = mask::mask(&action, salts, &key, &id).unwrap();
    let document = Document::build(Intake {
        id,
        origin: origin.to_owned(),
        received_at: Timestamp::from_millis(1_000),
        expires_at: Timestamp::from_millis(2_000),
        salt: [3; 32],
        requester: json!({}),
        requirement: json!({}),
        rules: Digest::of(b"rules"),
        facts: json!({}),
        action: masked,
    })
    .unwrap();
    Submitted {
        id,
        document: document.bytes().to_vec(),
        digest: document.digest(),
        secret: TicketSecret::from_bytes([4; 16]),
        openings: openings.to_bytes().unwrap().to_vec(),
        state: State::Pending,
        reason: Untrusted::default(),
        expires_at: None,
        joined: false,
        head: ShownHead {
            note: String::new(),
            proof: Vec::new(),
            from: 0,
            rotation: None,
        },
        taken: None,
    }
}

fn check(submitted: &Submitted, action: &[u8]) -> Result<(), CompareError> {
    Agreed::check(submitted, action, ORIGIN).map(|_| ())
}

#[test]
fn the_document_of_what_was_asked_is_accepted() {
    let mine = action("select 1", "s3cr3t-t0ken", "because");
    let submitted = answer(&mine, ORIGIN);
    assert!(!String::from_utf8_lossy(&submitted.document).contains("s3cr3t-t0ken"));
    let agreed = Agreed::check(&submitted, &mine, ORIGIN).unwrap();
    assert_eq!(agreed.digest(), submitted.digest);
}

#[test]
fn another_action_secret_or_claim_is_noticed() {
    let mine = action("select 1", "s3cr3t-t0ken", "because");
    for other in [
        action("select 2", "s3cr3t-t0ken", "because"),
        action("select 1", "other-t0ken", "because"),
        action("select 1", "s3cr3t-t0ken", "no reason"),
    ] {
        let error = check(&answer(&other, ORIGIN), &mine).unwrap_err();
        assert!(matches!(error, CompareError::Action(_)), "{error}");
    }
}

#[test]
fn who_joined_may_have_claimed_something_else_and_asks_for_the_same() {
    let mine = action("select 1", "s3cr3t-t0ken", "mine");
    let joined = |other: &[u8]| Submitted {
        joined: true,
        ..answer(other, ORIGIN)
    };
    check(
        &joined(&action("select 1", "s3cr3t-t0ken", "theirs")),
        &mine,
    )
    .unwrap();
    for other in [
        action("select 2", "s3cr3t-t0ken", "mine"),
        action("select 1", "other-t0ken", "mine"),
    ] {
        assert!(check(&joined(&other), &mine).is_err());
    }
}

#[test]
fn a_document_of_another_request_or_log_is_refused() {
    let mine = action("select 1", "s3cr3t-t0ken", "because");
    let mut submitted = answer(&mine, ORIGIN);
    submitted.id = RequestId::from_bytes([9; 16]);
    assert!(matches!(
        check(&submitted, &mine),
        Err(CompareError::Other { what: "request" })
    ));
    assert!(matches!(
        check(&answer(&mine, "countersign/other"), &mine),
        Err(CompareError::Other { what: "log" })
    ));
}

#[test]
fn openings_of_another_document_open_nothing() {
    let mine = action("select 1", "s3cr3t-t0ken", "because");
    let mut submitted = answer(&mine, ORIGIN);
    submitted.openings = answer(&action("select 1", "other-t0ken", "because"), ORIGIN).openings;
    assert!(matches!(
        check(&submitted, &mine),
        Err(CompareError::Action(_))
    ));
    for openings in [&b""[..], NO_OPENINGS, b"[]"] {
        submitted.openings = openings.to_vec();
        assert!(check(&submitted, &mine).is_err());
    }
}
