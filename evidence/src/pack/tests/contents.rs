//! What a pack holds, and that it is found good.

use countersign_shared::machine::{Event, RunOutcome};
use countersign_shared::statement::ActKind;
use serde_json::json;

use super::*;
use crate::fixture::{NOOR, daemon};

#[test]
fn a_pack_of_the_whole_log_is_found_good_without_any_program_of_ours() {
    let log = Fixture::story();
    let made = Made::of(&log, whole());
    let verdict = made.verify(&[]);
    assert_eq!(verdict.code, 0, "{}", verdict.text);
    let size = log.entries.len();
    let said = format!("good: {size} entries of a log of {size}, 7 requests, 5 signed statements");
    assert!(verdict.text.contains(&said), "{}", verdict.text);
    assert_eq!(made.packed.requests, 7);
    assert_eq!(made.packed.erased, []);
    assert_eq!(made.packed.rules_missing, []);
}

#[test]
fn a_pack_of_a_log_without_requests_is_found_good() {
    Made::of(&Fixture::new(), whole()).is_good();
}

#[test]
fn a_period_holds_its_requests_with_what_came_before_and_nothing_else() {
    let log = Fixture::story();
    // From the failed run up to the change of rules: the second request began before it.
    let times: Vec<Timestamp> = (0u64..)
        .zip(&log.entries)
        .map(|(at, bytes)| Record::read(at, bytes).unwrap().time)
        .collect();
    let at = |kind: &str, nth: usize| {
        let entries = log.entries.iter().enumerate();
        let of_kind = entries.filter(|(_, bytes)| {
            Record::read(
                serde_json::from_slice::<Value>(bytes).unwrap()["seq"]
                    .as_u64()
                    .unwrap(),
                bytes,
            )
            .unwrap()
            .entry_type
                == kind
        });
        of_kind.map(|(at, _)| at).nth(nth).unwrap()
    };
    let (first, end) = (at("request.redeemed", 1), at("rules.changed", 0));
    let period = Period {
        from: Some(times[first]),
        until: Some(times[end]),
    };
    let made = Made::of(&log, Scope::Period(period));
    made.is_good();
    assert_eq!(made.packed.range, first as u64..end as u64);
    assert_eq!(made.packed.requests, 4, "failed, denied, expired, refused");
    let entries = made.text("entries.jsonl");
    let seqs: Vec<u64> = entries
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(
        seqs.contains(&(end as u64)) && seqs.contains(&(first as u64 - 1)) && seqs.contains(&0)
    );
    assert!(seqs.len() < log.entries.len() - 10);
    // The script holds the pack to the period that was asked for.
    let from = times[first].to_string();
    let until = times[end].to_string();
    assert_eq!(made.verify(&["--from", &from, "--to", &until]).code, 0);
    assert_eq!(made.verify(&["--from", "2026-01-01T00:00:00.000Z"]).code, 9);
}

#[test]
fn a_period_in_which_nothing_happened_is_shown_to_be_empty() {
    let log = Fixture::story();
    let day = "2027-01-01T00:00:00.000Z".parse().unwrap();
    let made = Made::of(
        &log,
        Scope::Period(Period {
            from: Some(day),
            until: None,
        }),
    );
    made.is_good();
    assert_eq!(
        (made.packed.requests, made.packed.range.is_empty()),
        (0, true)
    );
}

#[test]
fn one_request_comes_with_its_entries_alone() {
    let log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    let made = Made::of(&log, Scope::Request(id));
    let verdict = made.verify(&[]);
    assert_eq!(verdict.code, 0, "{}", verdict.text);
    assert!(verdict.text.contains("is not shown"), "{}", verdict.text);
    assert_eq!(made.text("population.csv").lines().count(), 2);
}

#[test]
fn a_document_that_was_erased_long_after_brings_the_request_along() {
    let mut log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    log.documents.remove(&id);
    log.later(86_400_000);
    let from = log.now().wall;
    let until = json!({"retained_until": "2020-01-01T00:00:00.000Z"});
    log.raw(&daemon(), Some(id), "document.erased", &until);
    let period = Period {
        from: Some(from),
        until: None,
    };
    for scope in [Scope::Period(period), Scope::Request(id)] {
        let made = Made::of(&log, scope);
        made.is_good();
        assert_eq!(made.packed.requests, 1);
        assert!(made.text("entries.jsonl").contains("document.erased"));
        assert!(made.text("population.csv").contains(&id.to_string()));
    }
}

#[test]
fn a_document_that_was_erased_and_rules_that_were_not_kept_are_named() {
    let mut log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    log.documents.remove(&id);
    let until = json!({"retained_until": "2020-01-01T00:00:00.000Z"});
    log.raw(&daemon(), Some(id), "document.erased", &until);
    let rules = *log.rules.keys().next().unwrap();
    log.rules.remove(&rules);
    let made = Made::of(&log, whole());
    assert_eq!(
        (
            made.packed.erased.clone(),
            made.packed.rules_missing.clone()
        ),
        (vec![id], vec![rules])
    );
    made.is_good();
    let row = made.text("population.csv");
    assert!(
        row.lines()
            .any(|line| line.starts_with(&id.to_string()) && line.ends_with("erased"))
    );
}

#[test]
fn a_document_or_rules_with_another_digest_make_no_pack() {
    let mut log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    log.documents.get_mut(&id).unwrap().push(b' ');
    assert!(matches!(attempt(&log), ExportError::Document { .. }));
    let mut log = Fixture::story();
    for files in log.rules.values_mut() {
        files[0].bytes.push(b' ');
    }
    assert!(matches!(attempt(&log), ExportError::Rules { .. }));
}

fn attempt(log: &Fixture) -> ExportError {
    let parent = tempfile::tempdir().unwrap();
    let mut sink = Directory::create(&parent.path().join("pack")).unwrap();
    let made_at = Timestamp::from_millis(0);
    let order = Order {
        scope: whole(),
        made_at,
        software: String::new(),
    };
    let error = write(log, log.verifier(), &order, &mut sink).unwrap_err();
    assert!(!parent.path().join("pack/manifest.sha256").exists());
    error
}

#[test]
fn hostile_names_and_texts_are_held_against_the_documents_as_they_are() {
    let mut log = Fixture::new();
    let id = log.ask(Ask {
        target: "=HYPERLINK(\"x\")\u{202e}\n\u{1f511}",
        agent: "'@SUM(1)",
        ..Ask::default()
    });
    log.decide(
        id,
        MIKA,
        countersign_shared::statement::Verdict::Approve,
        "",
    );
    let made = Made::of(&log, whole());
    made.is_good();
    assert!(
        made.text("population.csv")
            .contains("\"'=HYPERLINK(\"\"x\"\")\\u202e\\u000a\\ud83d\\udd11\"")
    );
}

#[test]
fn heads_that_were_kept_elsewhere_are_compared() {
    let log = Fixture::story();
    let made = Made::of(&log, whole());
    let mut earlier = Fixture::story();
    earlier.entries.truncate(9);
    let path = made.parent.path().join("head");
    let kept = |text: &str| {
        fs::write(&path, text).unwrap();
        made.verify(&["--head", path.to_str().unwrap()])
    };
    assert_eq!(kept(&earlier.note()).code, 0);
    // As the clients keep them: with lines of their own before it.
    assert_eq!(kept(&format!("log x\nkey y\n\n{}", earlier.note())).code, 0);
    // A file of something else says nothing about the log.
    for other in [
        "",
        "no head\n",
        "a\n\nb\n\nc\n",
        "countersign/other\n3\nAAAA\n\nx\n",
    ] {
        let verdict = kept(other);
        assert_eq!(verdict.code, 1, "{}", verdict.text);
        assert!(
            verdict.text.contains("is not a head of"),
            "{}",
            verdict.text
        );
    }
    earlier.entries[3].push(b' ');
    let verdict = kept(&earlier.note());
    assert_eq!(verdict.code, 9, "{}", verdict.text);
    assert!(
        verdict.text.contains("a head of 9 entries was kept"),
        "{}",
        verdict.text
    );
}

#[test]
fn without_a_tool_nothing_is_said_to_be_good() {
    let made = Made::of(&Fixture::new(), whole());
    for tool in ["sha256sum", "ssh-keygen", "python3"] {
        let path = made.parent.path().join("bin").join(tool);
        let program = fs::read_link(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let verdict = made.verify(&[]);
        assert_eq!(verdict.code, 1, "{}", verdict.text);
        assert!(verdict.text.contains(tool), "{}", verdict.text);
        symlink(program, path).unwrap();
    }
    assert_eq!(made.verify(&["--vkey", "nowhere"]).code, 1);
}

#[test]
fn the_readme_says_what_the_pack_is() {
    let log = Fixture::story();
    let made = Made::of(&log, whole());
    let text = made.text("README.txt");
    assert!(text.contains(fixture::ORIGIN), "{text}");
    assert!(
        text.contains(&made.packed.head.root().to_string()),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    // Every file and directory of the pack is told of.
    for entry in fs::read_dir(made.path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let told = text.contains(&name) || ["verify.py", "README.txt"].contains(&name.as_str());
        assert!(told, "{name}");
    }
}

#[test]
fn nobody_but_its_owner_reads_a_pack() {
    let made = Made::of(&Fixture::new(), whole());
    let permissions = fs::metadata(made.path("")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o077, 0);
}

#[test]
fn broken_glass_is_checked_like_a_decision_and_by_who_may_break_it() {
    let glass = |name: &str, other: &str| {
        let mut log = Fixture::new();
        let id = log.ask(Ask::default());
        log.open(id, name);
        log.act(id, name, ActKind::BreakGlass, Event::BreakGlass);
        log.run(id, RunOutcome::Succeeded);
        log.act(id, other, ActKind::CloseDebt, Event::DebtClosed);
        Made::of(&log, whole())
    };
    let made = glass(MIKA, NOOR);
    made.is_good();
    let row = made
        .text("population.csv")
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    assert!(
        row.contains(",break-glass,") && row.contains(",mika@example.org,noor@example.org,"),
        "{row}"
    );
    glass(NOOR, MIKA).is_refused("is by somebody who may not break the glass");
}

#[test]
fn rules_that_reviewers_signed_are_judged_also_where_the_period_begins_later() {
    let mut log = Fixture::story();
    log.sign_rules(WIDER, &[MIKA]);
    // Who is gone takes no signature.
    log.change_rules(NARROWER);
    let made = Made::of(&log, whole());
    made.is_good();
    let statements = made.packed.statements;
    let until = Period {
        from: Some("2026-12-01T00:00:00.000Z".parse().unwrap()),
        until: None,
    };
    let later = Made::of(&log, Scope::Period(until));
    later.is_good();
    assert!(statements > later.packed.statements);
    assert_eq!(later.packed.statements, 1, "the word on the rules is there");
    assert!(later.text("entries.jsonl").contains("rules.proposed"));
}

#[test]
fn a_document_that_was_erased_before_its_time_is_told_with_who_and_why() {
    let mut log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    log.documents.remove(&id);
    let early =
        json!({"early": {"uid": 0, "user": "root", "login_uid": 1001, "reason": "a <password>"}});
    log.raw(&daemon(), Some(id), "document.erased", &early);
    let made = Made::of(&log, whole());
    made.is_good();
    assert_eq!(made.packed.erased, [id]);
    let page = made.text("report.html");
    assert!(page.contains("a &lt;password&gt;"), "{page}");
    let mut silent = Fixture::story();
    silent.documents.remove(&id);
    let early = json!({"early": {"uid": 0, "user": "root", "login_uid": null, "reason": " "}});
    silent.raw(&daemon(), Some(id), "document.erased", &early);
    Made::of(&silent, whole()).is_refused("does not say why");
}
