//! What is refused: bad input, floods, and people, keys and statements that do not count. Each has
//! its own code, and each leaves everything as it was.

use std::fs;

use countersign_shared::wire::pb;
use countersign_tests::Home;
use countersign_tests::home::make_key;
use serde_json::{Value, json};
use tonic::Code;

use crate::asking::{only_decision, request, show, ssh_keygen_sign};
use crate::wire::{Bare, REDEEM, Refusal, SUBMIT, Wire, asking};

/// The bytes of one message that an action may have.
const ACTION_LIMIT: usize = 1 << 20;

/// An action that is in order, with these fields added or replaced.
fn action(fields: Value) -> Vec<u8> {
    let mut action = json!({
        "v": 1,
        "kind": "data.export",
        "arguments": {},
        "target": {"kind": "database", "name": "orders"},
    });
    let Value::Object(fields) = fields else {
        panic!("fields")
    };
    for (name, value) in fields {
        action[&name] = value;
    }
    countersign_shared::json::canonical(&action).expect("an action")
}

/// The same, with its text changed.
fn edited(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(action(json!({"arguments": {"x": 1}}))).expect("text");
    assert!(text.contains(from), "{text}");
    text.replace(from, to).into_bytes()
}

#[test]
fn every_malformed_action_is_refused_by_its_own_name_and_place() {
    let home = Home::new();
    let wire = Wire::to_agents(&home);
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let mut latin = action(json!({}));
    let at = latin
        .windows(6)
        .position(|window| window == b"orders")
        .unwrap();
    latin[at] = 0xe9;
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("not-json", "", Vec::new()),
        ("not-json", "", b"{\"v\":1".to_vec()),
        ("not-json", "/target/name", latin),
        ("not-json", "", edited("\"v\":1}", "\"v\":1}{}")),
        (
            "duplicate-name",
            "/kind",
            edited("\"kind\":\"data", "\"kind\":\"a.b\",\"kind\":\"data"),
        ),
        (
            "duplicate-name",
            "/arguments/x",
            edited("\"x\":1", "\"x\":1,\"x\":1"),
        ),
        ("not-canonical", "", edited(",\"v\":1", ", \"v\":1")),
        (
            "number-not-canonical",
            "/arguments/x",
            edited("\"x\":1", "\"x\":1.0"),
        ),
        (
            "number-not-canonical",
            "/arguments/x",
            edited("\"x\":1", "\"x\":9007199254740993"),
        ),
        (
            "not-json",
            "/arguments/x",
            edited("\"x\":1", "\"x\":\"\\ud800\""),
        ),
        (
            "nul-character",
            "/arguments/x",
            edited("\"x\":1", "\"x\":\"\\u0000\""),
        ),
        ("too-deep", "", edited("{\"x\":1}", &deep)),
        ("wrong-type", "", b"[]".to_vec()),
        ("wrong-type", "/arguments", action(json!({"arguments": []}))),
        (
            "wrong-type",
            "/target/name",
            action(json!({"target": {"kind": "database", "name": 1}})),
        ),
        (
            "missing-field",
            "/target/name",
            action(json!({"target": {"kind": "database"}})),
        ),
        (
            "unknown-field",
            "/approved",
            action(json!({"approved": true})),
        ),
        ("bad-value", "/v", action(json!({"v": 2}))),
        ("bad-value", "/kind", action(json!({"kind": "Data Export"}))),
        (
            "bad-value",
            "/data/0/access",
            action(json!({"data": [{
                "access": "sniff", "classification": null, "destination": null, "name": "orders",
                "records": null,
            }]})),
        ),
        (
            "reserved-name",
            "/arguments/$mask",
            action(json!({"arguments": {"$mask": {}}})),
        ),
    ];
    let mut wrong = Vec::new();
    for (reason, field, bytes) in cases {
        let found = Refusal::of(wire.submit(&bytes));
        if found.reason != reason || (!field.is_empty() && found.metadata("field") != field) {
            let sent = String::from_utf8_lossy(&bytes).into_owned();
            wrong.push(format!("{reason} at `{field}`: {found:?}\n    {sent:.200}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(home.list().is_empty());
    wire.submit(&action(json!({}))).unwrap();
    assert_eq!(home.list().len(), 1);
}

#[test]
fn what_is_too_large_is_refused_with_the_limit_and_the_size_found() {
    let home = Home::new();
    let wire = Wire::to_agents(&home);
    let frame = action(json!({"arguments": {"x": ""}})).len();
    // Lines are limited as well, so the text is of many.
    let text = |size: usize| action(json!({"arguments": {"x": "y".repeat(size - frame)}}));
    let over = Refusal::of(wire.submit(&text(ACTION_LIMIT + 1)));
    assert_eq!(
        (over.code, over.reason.as_str()),
        (Code::ResourceExhausted, "too-large")
    );
    assert_eq!(over.metadata("limit"), "1048576");
    assert_eq!(over.metadata("found"), "1048577");
    // A message that no action could need is not read to its end.
    let huge = Refusal::of(wire.submit(&text(4 * ACTION_LIMIT)));
    assert!(
        [Code::OutOfRange, Code::ResourceExhausted].contains(&huge.code),
        "{huge:?}"
    );
    let lines = "\n".repeat(200_001);
    let over = Refusal::of(wire.submit(&action(json!({"arguments": {"x": lines}}))));
    assert_eq!(over.reason, "too-many-lines", "{over:?}");
    assert_eq!(over.metadata("limit"), "200000");
    assert!(home.list().is_empty());
    wire.submit(&text(ACTION_LIMIT)).unwrap();
}

#[test]
fn other_fields_of_a_message_are_named_as_well() {
    let home = Home::new();
    let wire = Wire::to_agents(&home);
    let short = pb::SubmitRequest {
        submission: vec![1; 15],
        ..asking(&action(json!({})))
    };
    let found = Refusal::of(wire.call::<_, pb::SubmitResponse>(SUBMIT, short));
    assert_eq!(
        (found.reason.as_str(), found.metadata("field")),
        ("malformed-message", "submission")
    );
    let long = pb::SubmitRequest {
        ask_key: "k".repeat(257),
        ..asking(&action(json!({})))
    };
    let found = Refusal::of(wire.call::<_, pb::SubmitResponse>(SUBMIT, long));
    assert_eq!(
        (found.reason.as_str(), found.metadata("field")),
        ("malformed-message", "ask_key")
    );
    let foreign = pb::SubmitRequest {
        use_at_once: Some(pb::UseAtOnce { pid: 1 }),
        ..asking(&action(json!({})))
    };
    let found = Refusal::of(wire.call::<_, pb::SubmitResponse>(SUBMIT, foreign));
    assert_eq!(
        (found.reason.as_str(), found.metadata("field")),
        ("malformed-message", "pid")
    );
    assert!(home.list().is_empty());
    for (id, field) in [
        ("", "id"),
        ("req_x", "id"),
        (&request(&home, "orders").id, "ticket"),
    ] {
        let redeem = pb::RedeemRequest {
            id: id.to_owned(),
            ..pb::RedeemRequest::default()
        };
        let found = Refusal::of(wire.call::<_, pb::RedeemResponse>(REDEEM, redeem));
        assert_eq!(
            (found.reason.as_str(), found.metadata("field")),
            ("malformed-message", field)
        );
    }
}

#[test]
fn a_service_has_no_call_of_the_other() {
    let home = Home::new();
    let agents = Wire::to_agents(&home);
    let decide =
        agents.call::<_, pb::DecideResponse>(crate::wire::DECIDE, pb::DecideRequest::default());
    assert_eq!(Refusal::of(decide).code, Code::Unimplemented);
    let reviewers = Wire::to_reviewers(&home);
    assert_eq!(
        Refusal::of(reviewers.submit(&action(json!({})))).code,
        Code::Unimplemented
    );
}

#[test]
fn a_flood_of_requests_meets_a_limit_that_says_what_it_is() {
    let home = Home::new();
    let wire = Wire::to_agents(&home);
    let name = |n: usize| json!({"target": {"kind": "database", "name": format!("orders-{n}")}});
    let flood = (0..40).map(|n| asking(&action(name(n)))).collect();
    let answers = wire.burst::<_, pb::SubmitResponse>(SUBMIT, flood);
    let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((held.len(), refused.len()), (16, 24));
    for refusal in refused.into_iter().map(Refusal::of) {
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::ResourceExhausted, "limit-exceeded")
        );
        assert_eq!(
            (refusal.metadata("limit"), refusal.metadata("found")),
            ("16", "17")
        );
    }
    home.agent(&["request", "--kind", "data.export", "--target", "one-more"])
        .expect_code(3);
    // Whoever decides is not kept from it, and each decision makes room.
    let asked = home.wait_for_state("pending");
    home.deny(&asked, "enough").expect_code(0);
    request(&home, "one-more");
}

#[test]
fn many_calls_at_once_are_all_answered() {
    let home = Home::new();
    let wire = Wire::to_agents(&home);
    let bad = (0..3_000).map(|_| pb::RedeemRequest::default()).collect();
    let answers = wire.burst::<_, pb::RedeemResponse>(REDEEM, bad);
    assert_eq!(answers.len(), 3_000);
    assert!(
        answers
            .into_iter()
            .all(|answer| Refusal::of(answer).reason == "malformed-message")
    );
    request(&home, "orders");
}

#[test]
fn whoever_stops_in_the_middle_of_a_message_holds_nobody_up() {
    let home = Home::new();
    let mut stalled: Vec<Bare> = (0..100).map(|_| Bare::open(&home)).collect();
    for bare in &mut stalled {
        for _ in 0..20 {
            bare.begin(b"\x0a\xff\xff");
        }
    }
    let mut many = Bare::open(&home);
    for _ in 0..5_000 {
        many.begin(b"");
    }
    let asked = request(&home, "orders");
    home.approve(&asked).expect_code(0);
    assert_eq!(home.look(&asked.id).state, "approved");
    // Those calls are still open: SETTINGS came, and neither RST_STREAM nor GOAWAY.
    let frames = stalled[0].frames();
    assert!(
        frames.contains(&4) && !frames.contains(&3) && !frames.contains(&7),
        "{frames:?}"
    );
}

#[test]
fn a_key_that_is_not_in_the_roster_approves_nothing() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let other = home.root().join("other");
    make_key(&other, "other");
    let other = other.to_str().unwrap();
    let arguments = [
        "approve",
        &asked.id,
        "--digest",
        &asked.digest,
        "--key",
        other,
    ];
    let mut command = home.person_command(&arguments);
    countersign_tests::process::run(&mut command).expect_code(4);
    let mut command = home.person_command(&["deny", &asked.id, "--reason", "no", "--key", other]);
    countersign_tests::process::run(&mut command).expect_code(4);
    assert_eq!(home.look(&asked.id).state, "pending");
}

#[test]
fn without_a_key_nothing_is_approved() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let arguments = ["approve", &asked.id, "--digest", &asked.digest];
    let ran = countersign_tests::process::run(&mut home.person_command(&arguments));
    ran.expect_code(4);
    assert_eq!(home.look(&asked.id).state, "pending");
}

#[test]
fn an_expired_key_approves_nothing() {
    let mut home = Home::new();
    let asked = request(&home, "orders");
    home.stop();
    let roster = home.path().join("reviewers.toml");
    let text = fs::read_to_string(&roster).unwrap();
    let expired = text.replace("\"ssh-ed25519", "'valid-before=\"20200101Z\" ssh-ed25519");
    assert_ne!(text, expired);
    // The line's closing quote, of the key alone.
    let expired = expired.replace("example.org\"]", "example.org']");
    fs::write(&roster, expired).unwrap();
    home.start();
    let ran = home.approve(&asked).expect_code(4);
    assert!(ran.stderr.contains("expired at 2020-01-01"), "{ran:?}");
    assert_eq!(home.look(&asked.id).state, "pending");
}

#[test]
fn a_statement_counts_for_its_signer_and_its_request_only() {
    let home = Home::new();
    let [asked, other] = ["orders", "customers"].map(|target| request(&home, target));
    home.approve(&asked).expect_code(0);
    let (statement, sshsig) = only_decision(&home, &asked);
    let wire = Wire::to_reviewers(&home);
    let decide =
        |id: &str, statement: &[u8], sshsig: &str| Refusal::of(wire.decide(id, statement, sshsig));

    let replayed = decide(&other.id, &statement, &sshsig);
    assert_eq!(
        (replayed.code, replayed.reason.as_str()),
        (Code::FailedPrecondition, "stale-digest")
    );

    let key = home.root().join("other");
    make_key(&key, "other");
    let foreign = decide(
        &asked.id,
        &statement,
        &ssh_keygen_sign(&home, &key, &statement),
    );
    assert_eq!(
        (foreign.code, foreign.reason.as_str()),
        (Code::PermissionDenied, "foreign-key")
    );

    let mut edited = statement.clone();
    let at = edited
        .windows(7)
        .position(|window| window == b"approve")
        .unwrap();
    edited.splice(at..at + 7, *b"deny");
    let forged = decide(&asked.id, &edited, &sshsig);
    assert_eq!(
        (forged.code, forged.reason.as_str()),
        (Code::PermissionDenied, "bad-signature")
    );

    let resigned = ssh_keygen_sign(&home, &home.key(), b"something else");
    assert_eq!(
        decide(&asked.id, &statement, &resigned).reason,
        "bad-signature"
    );
    assert_eq!(decide(&asked.id, &statement, "").reason, "bad-signature");
    assert_eq!(
        decide(&asked.id, b"{}", &sshsig).reason,
        "malformed-statement"
    );

    assert_eq!(home.look(&other.id).state, "pending");
    assert_eq!(home.look(&asked.id).state, "approved");
    let decisions = show(&home, &asked)["decisions"].clone();
    assert_eq!(decisions.as_array().map(Vec::len), Some(1));
}

#[test]
fn what_does_not_exist_is_not_found() {
    let home = Home::new();
    let id = format!("req_{}", "0".repeat(26));
    let error = home.person(&["show", &id, "--json"]).expect_code(1).json();
    assert_eq!(error["error"]["code"], "not-found");
    let digest = "0".repeat(64);
    home.person(&["approve", &id, "--digest", &digest])
        .expect_code(1);
    home.person(&["deny", &id, "--reason", "no"]).expect_code(1);
    // Without the ticket it cannot be asked about at all.
    home.agent(&["wait", &id]).expect_code(4);
}

#[test]
fn a_ticket_that_is_not_the_requests_gives_nothing() {
    let home = Home::new();
    let asked = request(&home, "orders");
    home.approve(&asked).expect_code(0);
    let wire = Wire::to_agents(&home);
    let redeem = pb::RedeemRequest {
        id: asked.id.clone(),
        ticket: format!("tkt_{}", "0".repeat(26)),
        digest: asked.digest.clone(),
        ..pb::RedeemRequest::default()
    };
    let refused = Refusal::of(wire.call::<_, pb::RedeemResponse>(REDEEM, redeem));
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::PermissionDenied, "bad-ticket")
    );
    assert_eq!(home.look(&asked.id).state, "approved");
}

#[test]
fn a_target_that_is_written_with_its_kind_is_not_another_name() {
    let home = Home::new();
    for target in ["database/orders", "database:orders"] {
        let ran = home
            .agent(&["request", "--kind", "sql.exec", "--target", target])
            .expect_code(2);
        assert!(
            ran.stderr
                .contains("--target-kind database --target orders"),
            "{ran:?}"
        );
    }
    assert!(home.list().is_empty());
    // Whoever says which kind it is has said what the name is.
    let line = "request --kind sql.exec --target-kind database --target database/orders";
    let line: Vec<&str> = line.split(' ').collect();
    home.agent(&line).expect_code(0);
    assert_eq!(home.list().len(), 1);
}
