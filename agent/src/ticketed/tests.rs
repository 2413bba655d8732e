//! What is stated about a run that we did not see.

use countersign_shared::id::{RequestId, TicketSecret};

use super::*;
use crate::client::Claim;

fn ticket(stage: Stage) -> Ticket {
    Ticket {
        claim: Claim {
            id: RequestId::from_bytes([1; 16]),
            secret: TicketSecret::from_bytes([2; 16]),
        },
        digest: Digest::of(b"document"),
        expires_at: None,
        stage,
        redeemed_at: Some(Timestamp::from_millis(1_000)),
        shared: false,
    }
}

#[test]
fn only_the_document_that_was_approved_can_be_redeemed() {
    check_digest(b"document", &ticket(Stage::Asked)).unwrap();
    let failure = check_digest(b"document ", &ticket(Stage::Asked)).unwrap_err();
    assert_eq!(failure.exit, Exit::Conflict);
    assert_eq!(&*failure.code, "stale-digest");
}

#[test]
fn a_stated_end_has_no_digest_and_lasts_since_the_redemption() {
    let end = stated(
        Outcome::Failed,
        Some(3),
        &ticket(Stage::Redeemed),
        Timestamp::from_millis(4_500),
    );
    assert_eq!(
        end,
        Finished {
            outcome: "failed",
            exit: Some(3),
            signal: None,
            stdout: None,
            stderr: None,
            duration: Some(Duration::from_millis(3_500)),
        }
    );
}

#[test]
fn a_start_is_told_once_and_never_before_a_not_run() {
    assert!(own_start(&ticket(Stage::Redeemed)).unwrap().is_some());
    assert!(own_start(&ticket(Stage::Started)).unwrap().is_none());
    let not_run = Report::NotRun {
        because: "x".to_owned(),
    };
    assert!(is_not_run(&not_run.bytes().unwrap()));
    assert!(!is_not_run(&Report::Started { pid: 1 }.bytes().unwrap()));
}
