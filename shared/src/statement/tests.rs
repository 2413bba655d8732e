//! Golden bytes, strictness, and every way a decision can fail to fit.

use proptest::prelude::*;

use super::*;
use crate::id::RequestId;
use crate::sshsig::Presence;

const DECISION: &[u8] = include_bytes!("../../testdata/statement/decision.json");
const RULES: &[u8] = include_bytes!("../../testdata/statement/rules.json");
const SETTLE: &[u8] = include_bytes!("../../testdata/statement/settle.json");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn decision() -> Decision {
    Decision {
        request: RequestId::from_bytes([0x11; 16]),
        digest: Digest::of(b"document"),
        verdict: Verdict::Approve,
        reason: "checked with the owner – ok".to_owned(),
        reviewer: "mika@example.org".to_owned(),
        assurance: Assurance::Passphrase,
        self_attested: false,
        requester: Requester {
            uid: 1001,
            user: "etl".to_owned(),
            unit: Some("etl.service".to_owned()),
            container: None,
        },
        rules: Digest::of(b"rules"),
        display: Display {
            sha256: Digest::of(b"display"),
            complete: true,
            masked: vec!["/action/arguments/argv/2".to_owned()],
        },
        issued_at: at("2026-11-21T20:49:13.007Z"),
        expires_at: at("2026-11-21T20:54:13.007Z"),
        nonce: Nonce::from_bytes([0xab; 16]),
        log: LogHead {
            origin: "countersign/test".to_owned(),
            size: 12,
            root: Digest::of(b"root"),
        },
    }
}

fn act(kind: ActKind) -> Act {
    let decision = decision();
    Act {
        kind,
        subject: if kind == ActKind::Rules {
            Subject::Rules {
                digest: Digest::of(b"new rules"),
            }
        } else {
            Subject::Request {
                id: decision.request,
                digest: decision.digest,
            }
        },
        outcome: (kind == ActKind::Settle).then_some(Outcome::Failed),
        display: (kind == ActKind::BreakGlass).then_some(decision.display),
        reason: String::new(),
        reviewer: decision.reviewer,
        assurance: Assurance::Touch,
        rules: decision.rules,
        issued_at: decision.issued_at,
        expires_at: decision.expires_at,
        nonce: decision.nonce,
        log: decision.log,
    }
}

fn context() -> Context {
    Context {
        reviewer: "mika@example.org".to_owned(),
        rules: Digest::of(b"rules"),
        origin: "countersign/test".to_owned(),
        least_size: 12,
        root: Some(Digest::of(b"root")),
        now: at("2026-11-21T20:50:00.000Z"),
        presence: Presence::NONE,
    }
}

fn expect() -> Expect {
    let decision = decision();
    Expect {
        context: context(),
        request: decision.request,
        digest: decision.digest,
        display: decision.display,
        requester: decision.requester,
        self_attested: false,
    }
}

#[test]
fn the_bytes_of_statements_are_the_ones_checked_in() {
    for (statement, golden) in [
        (Statement::Decision(decision()), DECISION),
        (Statement::Act(act(ActKind::Rules)), RULES),
        (Statement::Act(act(ActKind::Settle)), SETTLE),
    ] {
        let bytes = statement.to_bytes().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(golden)
        );
        assert_eq!(Statement::read(golden).unwrap(), statement);
    }
}

#[test]
fn each_kind_of_act_has_a_namespace_and_a_type_of_its_own() {
    let mut seen = std::collections::BTreeSet::from([Decision::NAMESPACE, Decision::TYPE]);
    for kind in ActKind::ALL {
        assert!(seen.insert(kind.namespace()));
        assert!(seen.insert(kind.predicate_type()));
        assert!(NAMESPACES.contains(&kind.namespace()));
        let statement = Statement::Act(act(kind));
        assert_eq!(statement.namespace(), kind.namespace());
        let bytes = statement.to_bytes().unwrap();
        assert_eq!(Statement::read(&bytes).unwrap(), statement);
    }
}

#[test]
fn bytes_that_are_not_the_canonical_ones_are_refused() {
    let good = std::str::from_utf8(DECISION).unwrap();
    for (from, to) in [
        ("{\"_type\"", " {\"_type\""),
        ("\"size\":12", "\"size\": 12"),
        ("\"size\":12", "\"size\":12.0"),
        ("\"size\":12", "\"size\":1.2e1"),
        ("\"size\":12", "\"size\":12,\"size\":12"),
        ("\"size\":12", "\"size\":-12"),
        ("\"size\":12", "\"size\":12,\"witness\":1"),
        ("\"decision\":", "\"decision\":\"deny\",\"decision\":"),
        ("\"decision\":", "\"Decision\":"),
        ("\"approve\"", "\"Approve\""),
        ("\"approve\"", "\"\\u0061pprove\""),
        ("\"approve\"", "\"approved\""),
        (",\"self_attested\":false", ""),
        ("\"self_attested\":false", "\"self_attested\":null"),
        ("\"self_attested\":false", "\"self_attested\":0"),
        ("\"container\":null,", ""),
        ("\"passphrase\"", "\"password\""),
        ("decision:v1", "decision:v2"),
        ("decision:v1", "revoke:v1"),
        ("Statement/v1", "Statement/v0.1"),
        ("request/req_", "request/"),
        ("request/req_", "requests/req_"),
        ("\"subject\":[", "\"subject\":[[],"),
        ("20:54:13.007Z", "20:54:13Z"),
        ("20:54:13.007Z", "20:40:13.007Z"),
        ("abab\"", "ab\""),
        ("abab\"", "ABAB\""),
        ("checked", "checked\\n"),
    ] {
        let bytes = good.replacen(from, to, 1);
        assert_ne!(bytes, good, "{from} stands nowhere");
        assert!(
            Statement::read(bytes.as_bytes()).is_err(),
            "{from} -> {to} was read"
        );
    }
}

#[test]
fn values_outside_their_limits_are_refused() {
    let write = |change: fn(&mut Decision)| {
        let mut decision = decision();
        change(&mut decision);
        Statement::Decision(decision).to_bytes()
    };
    assert!(matches!(
        write(|d| d.reason = "x".repeat(MAX_REASON + 1)),
        Err(StatementError::Reason {
            found: 2001,
            limit: 2000
        })
    ));
    assert!(matches!(
        write(|d| d.reason = "two\nlines".to_owned()),
        Err(StatementError::Reason { .. })
    ));
    assert!(matches!(
        write(|d| d.expires_at = d.issued_at),
        Err(StatementError::Times { .. })
    ));
    assert!(matches!(
        write(|d| d.log.size = 1 << 53),
        Err(StatementError::Number { .. })
    ));
    assert!(matches!(
        write(|d| d.display.masked = vec!["/x".repeat(100); 200]),
        Err(StatementError::TooLong { .. })
    ));
    assert!(matches!(
        Statement::read(&vec![b' '; MAX_STATEMENT + 1]),
        Err(StatementError::TooLong { .. })
    ));
}

#[test]
fn an_act_about_the_wrong_thing_is_refused() {
    let mut rules = act(ActKind::Rules);
    rules.subject = act(ActKind::Kill).subject;
    assert!(matches!(
        Statement::Act(rules).to_bytes(),
        Err(StatementError::Subject { .. })
    ));
    let mut kill = act(ActKind::Kill);
    kill.outcome = Some(Outcome::Failed);
    assert!(matches!(
        Statement::Act(kill.clone()).to_bytes(),
        Err(StatementError::Outcome)
    ));
    kill.outcome = None;
    kill.display = Some(decision().display);
    assert!(matches!(
        Statement::Act(kill).to_bytes(),
        Err(StatementError::Display)
    ));
    let mut glass = act(ActKind::BreakGlass);
    glass.display = None;
    assert!(matches!(
        Statement::Act(glass).to_bytes(),
        Err(StatementError::Display)
    ));
    let mut settle = act(ActKind::Settle);
    settle.outcome = None;
    assert!(matches!(
        Statement::Act(settle).to_bytes(),
        Err(StatementError::Outcome)
    ));
}

#[test]
fn a_decision_that_fits_counts_with_its_assurance() {
    assert_eq!(check(&decision(), &expect()), Ok(Assurance::Passphrase));
    let mut touched = expect();
    touched.context.presence = Presence::of_security_key(1, 7);
    assert_eq!(check(&decision(), &touched), Ok(Assurance::Touch));
}

#[test]
fn each_thing_that_does_not_fit_is_refused_by_its_name() {
    let with = |change: fn(&mut Expect)| {
        let mut expect = expect();
        change(&mut expect);
        check(&decision(), &expect)
    };
    assert!(matches!(
        with(|e| e.request = RequestId::from_bytes([0; 16])),
        Err(Mismatch::Request { .. })
    ));
    assert!(matches!(
        with(|e| e.digest = Digest::of(b"newer")),
        Err(Mismatch::Digest { .. })
    ));
    assert_eq!(
        with(|e| e.display.sha256 = Digest::of(b"")),
        Err(Mismatch::Display)
    );
    assert_eq!(with(|e| e.display.complete = false), Err(Mismatch::Display));
    assert_eq!(with(|e| e.display.masked.clear()), Err(Mismatch::Display));
    assert_eq!(with(|e| e.requester.uid = 0), Err(Mismatch::Requester));
    assert_eq!(with(|e| e.requester.unit = None), Err(Mismatch::Requester));
    assert_eq!(
        with(|e| e.self_attested = true),
        Err(Mismatch::SelfAttested { found: false })
    );
    assert!(matches!(
        with(|e| e.context.rules = Digest::of(b"newer")),
        Err(Mismatch::Rules { .. })
    ));
    assert!(matches!(
        with(|e| e.context.reviewer = "MIKA@example.org".to_owned()),
        Err(Mismatch::Reviewer { .. })
    ));
    assert!(matches!(
        with(|e| e.context.origin = "countersign/other".to_owned()),
        Err(Mismatch::Origin { .. })
    ));
    assert_eq!(
        with(|e| e.context.least_size = 13),
        Err(Mismatch::OldHead {
            least: 13,
            found: 12
        })
    );
    assert_eq!(
        with(|e| e.context.root = None),
        Err(Mismatch::ForeignHead { size: 12 })
    );
    assert_eq!(
        with(|e| e.context.root = Some(Digest::of(b"fork"))),
        Err(Mismatch::ForeignHead { size: 12 })
    );
    assert!(matches!(
        with(|e| e.context.now = at("2026-11-21T20:54:13.007Z")),
        Err(Mismatch::Expired { .. })
    ));
    assert!(matches!(
        with(|e| e.context.now = at("2026-11-21T20:47:13.006Z")),
        Err(Mismatch::NotYet { .. })
    ));
    assert!(with(|e| e.context.now = at("2026-11-21T20:47:13.007Z")).is_ok());
}

#[test]
fn a_request_not_completely_displayed_can_be_denied_and_not_approved() {
    let mut decision = decision();
    decision.display.complete = false;
    let mut expect = expect();
    expect.display.complete = false;
    assert_eq!(check(&decision, &expect), Err(Mismatch::Incomplete));
    decision.verdict = Verdict::Deny;
    assert!(check(&decision, &expect).is_ok());
}

#[test]
fn a_deny_under_rules_that_have_changed_still_counts() {
    let mut decision = decision();
    decision.verdict = Verdict::Deny;
    let mut expect = expect();
    expect.context.rules = Digest::of(b"newer");
    assert!(check(&decision, &expect).is_ok());
}

#[test]
fn a_claimed_touch_that_is_not_proven_is_refused() {
    let mut decision = decision();
    for claimed in [Assurance::Touch, Assurance::Pin] {
        decision.assurance = claimed;
        assert_eq!(
            check(&decision, &expect()),
            Err(Mismatch::Unproven { claimed })
        );
    }
    let mut untouched = expect();
    untouched.context.presence = Presence::of_security_key(0, 7);
    assert!(check(&decision, &untouched).is_err());
}

#[test]
fn new_rules_name_the_rules_they_replace() {
    let mut act = act(ActKind::Rules);
    act.assurance = Assurance::File;
    let subject = act.subject;
    assert!(check_act(&act, subject, &context()).is_ok());
    act.rules = Digest::of(b"older");
    assert!(matches!(
        check_act(&act, subject, &context()),
        Err(Mismatch::Rules { .. })
    ));
}

#[test]
fn an_act_counts_for_its_own_subject_only() {
    let mut kill = act(ActKind::Kill);
    kill.assurance = Assurance::File;
    let rules = act(ActKind::Rules).subject;
    assert!(check_act(&kill, kill.subject, &context()).is_ok());
    assert!(matches!(
        check_act(&kill, rules, &context()),
        Err(Mismatch::Subject { .. })
    ));
    let other = Subject::Request {
        id: RequestId::from_bytes([0; 16]),
        digest: Digest::of(b"document"),
    };
    assert!(matches!(
        check_act(&kill, other, &context()),
        Err(Mismatch::Request { .. })
    ));
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(
        reason in "[^\\p{Cc}]{0,80}", uid: u32, nonce: [u8; 16], size in 0u64..(1 << 53),
        deny: bool, complete: bool, masked in proptest::collection::vec("\\PC{0,20}", 0..4),
    ) {
        let mut decision = decision();
        decision.reason = reason;
        decision.requester.uid = uid;
        decision.nonce = Nonce::from_bytes(nonce);
        decision.log.size = size;
        decision.display.complete = complete;
        decision.display.masked = masked;
        if deny {
            decision.verdict = Verdict::Deny;
        }
        let statement = Statement::Decision(decision);
        prop_assert_eq!(Statement::read(&statement.to_bytes().unwrap()).unwrap(), statement);
    }

    #[test]
    fn one_changed_byte_is_refused_or_another_statement(index in 0..DECISION.len(), bit in 0u8..8) {
        let mut bytes = DECISION.to_vec();
        bytes[index] ^= 1 << bit;
        if let Ok(other) = Statement::read(&bytes) {
            prop_assert_ne!(other, Statement::read(DECISION).unwrap());
        }
    }
}

#[test]
fn breaking_the_glass_is_held_to_what_was_shown_and_to_the_rules() {
    let glass = act(ActKind::BreakGlass);
    let shown = decision().display;
    let check = |act: &Act, display| check_break_glass(act, glass.subject, display, &context());
    let touched = Act {
        assurance: Assurance::File,
        ..glass.clone()
    };
    assert_eq!(check(&touched, &shown), Ok(Assurance::File));
    let other = Display {
        sha256: Digest::of(b"another rendering"),
        ..shown.clone()
    };
    assert_eq!(check(&touched, &other), Err(Mismatch::Display));
    let part = Display {
        complete: false,
        ..shown.clone()
    };
    let saw_a_part = Act {
        display: Some(part.clone()),
        ..touched.clone()
    };
    assert_eq!(check(&saw_a_part, &part), Err(Mismatch::Incomplete));
    let older = Act {
        rules: Digest::of(b"older rules"),
        ..touched
    };
    assert!(matches!(check(&older, &shown), Err(Mismatch::Rules { .. })));
}
