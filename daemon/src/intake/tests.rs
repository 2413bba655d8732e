use std::os::unix::net::UnixStream;

use countersign_shared::home::Mode;
use countersign_shared::limits::Limits;
use countersign_shared::log::tree::leaf_hash;
use countersign_shared::requirement::{Assurance, RequiredReview, Requirement, RunBy, Tier};
use countersign_shared::roster::Roster;
use countersign_shared::time::{BootId, Timestamp};

use super::*;

fn rules() -> Rules {
    let requirement = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: "1 of anyone".parse().unwrap(),
        }],
        tier: Tier::Low,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 7200,
        grant_s: 300,
        max_run_s: 600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    let limits = Limits::default();
    let roster = Roster::default();
    Rules::holding_all(Mode::System, roster, Vec::new(), requirement, limits)
}

fn now() -> Moment {
    Moment {
        wall: Timestamp::from_millis(1_795_294_153_007),
        boot: BootId::new("a"),
        mono_ms: 5_000,
    }
}

fn message(action: &Value) -> pb::SubmitRequest {
    pb::SubmitRequest {
        action: countersign_shared::json::canonical(action).unwrap(),
        submission: vec![1; 16],
        ask_key: "toolu_1".to_owned(),
        attached: true,
        known_size: 3,
        use_at_once: None,
    }
}

fn action() -> Value {
    json!({
        "v": 1, "kind": "http.request",
        "target": {"kind": "service", "name": "billing"},
        "arguments": {"token": {"$secret": "s3cr3t-t0k3n-0123456789"}},
    })
}

/// A draft as the socket makes one, with this process as the caller.
fn draft(action: &Value) -> (Asking, Draft, Secrets) {
    try_draft(action).unwrap()
}

fn try_draft(action: &Value) -> Result<(Asking, Draft, Secrets), IntakeError> {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let peer = Peer::of(&ours).unwrap();
    let secrets = Secrets::new([4; 32]);
    let asking = Asking::read(&message(action), &rules()).unwrap();
    let drafted = asking.draft(
        &peer,
        &rules(),
        &secrets,
        "countersign/test",
        &now(),
        Recent::default(),
    )?;
    Ok((asking, drafted.draft, secrets))
}

#[test]
fn a_draft_names_the_caller_that_the_kernel_names_and_no_secret() {
    let (asking, draft, secrets) = draft(&action());
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(draft.received.side.uid, uid);
    assert!(draft.principal.starts_with(&format!("uid:{uid}")));
    assert_eq!(draft.card.pid, std::process::id());
    assert_eq!(draft.received.ticket, secrets.ticket(draft.id).digest());
    let text = String::from_utf8_lossy(&draft.document);
    assert!(!text.contains("s3cr3t"), "{text}");
    assert!(!format!("{draft:?}").contains("s3cr3t"));
    let openings = asking
        .openings(draft.id, &secrets, &draft.document)
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&openings.to_bytes().unwrap()).contains("s3cr3t"));
    let other = RequestId::from_bytes([9; 16]);
    let foreign = asking.openings(other, &secrets, &draft.document).unwrap();
    assert!(
        foreign.is_none(),
        "openings of masks that the document does not hold"
    );
}

#[test]
fn two_askings_never_share_a_digest_and_are_the_same_all_the_same() {
    let (_, first, _) = draft(&action());
    let mut with_claims = action();
    with_claims["claims"] = json!({"reason": "please"});
    let (_, second, _) = draft(&with_claims);
    assert_ne!(first.received.digest, second.received.digest);
    assert_ne!(leaf_hash(&first.document), leaf_hash(&second.document));
    assert_eq!(first.sameness, second.sameness);
    let mut other = action();
    other["target"]["name"] = json!("payroll");
    assert_ne!(draft(&other).1.sameness, first.sameness);
}

#[test]
fn a_request_ends_by_the_sooner_of_its_requirement_and_the_limits() {
    let (_, draft, _) = draft(&action());
    assert_eq!(
        draft.received.expires.left(&now()),
        Duration::from_secs(3600)
    );
}

#[test]
fn contents_that_nobody_can_read_are_at_least_of_tier_high() {
    let readable = json!({
        "v": 1, "kind": "http.request",
        "target": {"kind": "service", "name": "billing"},
        "arguments": {"method": "GET", "url": "https://billing.example/invoices"},
    });
    let (_, judged, _) = draft(&readable);
    assert_eq!(judged.received.requirement.tier, Tier::Low);
    let mut opaque = readable;
    opaque["changes"] = json!([{
        "path": "logo.png", "before": null,
        "after": {"base64": "iVBORw==", "size": 4}, "mode": null,
    }]);
    assert_eq!(draft(&opaque).1.received.requirement.tier, Tier::High);
}

#[test]
fn secrets_whose_places_no_statement_could_name_are_refused() {
    let with_secrets = |count: usize| {
        let mut action = action();
        for number in 0..count {
            let name = format!("{number:0>900}_token");
            action["arguments"][name] = json!({"$secret": format!("s3cr3t-t0k3n-{number:0>10}")});
        }
        action
    };
    try_draft(&with_secrets(8)).unwrap();
    let error = try_draft(&with_secrets(60)).unwrap_err();
    let IntakeError::Masked { limit, found } = error else {
        panic!("{error}");
    };
    assert!(limit == 8192 && found > 60 * 900, "{limit} {found}");
}

#[test]
fn a_message_with_a_wrong_token_or_key_is_refused() {
    let mut short = message(&action());
    short.submission.pop();
    let mut long = message(&action());
    long.ask_key = "x".repeat(257);
    let mut nul = message(&action());
    nul.ask_key = "a\0b".to_owned();
    for message in [short, long, nul] {
        let error = Asking::read(&message, &rules()).unwrap_err();
        assert!(matches!(error, IntakeError::Message { .. }), "{error}");
    }
}
