use std::process::{Command, Stdio};

use countersign_shared::machine::RunOutcome;
use countersign_shared::requirement::Tier;
use countersign_shared::statement::Verdict;
use serde_json::json;

use super::*;
use crate::fixture::{self, Ask, Fixture, MIKA, NOOR};
use crate::life::Lives;
use crate::usage::By;

/// The story, and what it has not: haste, break-glass, self-attestation, data, hostile names.
fn log() -> Fixture {
    let mut log = Fixture::story();
    let mika = log.person(MIKA);
    let hasty = log.ask(Ask {
        tier: Tier::Low,
        ..Ask::default()
    });
    log.open(hasty, MIKA);
    log.later(900);
    log.decide(hasty, MIKA, Verdict::Approve, "<script>alert(1)</script>");
    log.run_untold(hasty, RunOutcome::Succeeded);
    let data = json!([{"name": "<b>crm</b>", "classification": "pii", "access": "export",
                       "records": 48211, "destination": "s3://reports"}]);
    let body = json!({"agent": "etl-3", "basis": "stated", "data": data});
    log.raw(&fixture::agent(), Some(hasty), "data.accessed", &body);
    log.later(5);
    for (state, reviewed) in [("request.lapsed", true), ("request.lapsed", false)] {
        let glass = log.ask(Ask {
            tier: Tier::Critical,
            ..Ask::default()
        });
        let act = json!({"member": {"name": MIKA}, "reason": "the site is down"});
        log.raw(&mika, Some(glass), "breakglass.used", &act);
        log.raw(
            &mika,
            Some(glass),
            "request.approved",
            &json!({"via": "break-glass"}),
        );
        log.later(5);
        log.raw(&fixture::daemon(), Some(glass), state, &json!({}));
        if reviewed {
            let act = json!({"member": {"name": NOOR}, "reason": "looked at"});
            log.raw(&mika, Some(glass), "debt.closed", &act);
        }
        log.later(5);
    }
    let own = log.ask(Ask::default());
    log.raw(
        &mika,
        Some(own),
        "request.approved",
        &json!({"via": "self-attested"}),
    );
    log.later(5);
    log.raw(
        &fixture::daemon(),
        None,
        "event.refused",
        &json!({"uid": 2001, "minute": null, "counts": {"too-large": 3}}),
    );
    log
}

fn page(log: &Fixture) -> String {
    let mut report = Report::new();
    let mut lives = Lives::new();
    let mut usage = Usage::new(By::Data, Period::default());
    for (at, bytes) in (0u64..).zip(&log.entries) {
        let record = Record::read(at, bytes).unwrap();
        for life in lives.take(&record).unwrap() {
            report.life(&life);
        }
        usage.take(&record, &lives).unwrap();
        report.record(&record);
    }
    for life in lives.finish() {
        report.life(&life);
    }
    let size = log.entries.len() as u64;
    let note = log.note();
    let head = countersign_shared::log::checkpoint::open(
        &note,
        &[log.verifier().clone()],
        fixture::ORIGIN,
    );
    let about = About {
        head: head.unwrap(),
        vkey: log.verifier().to_string(),
        period: Period::default(),
        begin: 0,
        end: size,
        made_at: "2026-11-21T09:00:00.000Z".parse().unwrap(),
        software: "countersign 0.1.0".to_owned(),
    };
    let mut out = Vec::new();
    report.write(&about, &usage, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What stands between a heading and the next one.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, after) = page.split_once(&format!("<h2>{heading}")).unwrap();
    after
        .split_once("<h2>")
        .map_or(after, |(section, _)| section)
}

#[test]
fn the_page_counts_what_happened() {
    let page = page(&log());
    let card = |count: u64, name: &str| {
        let text = format!("<b>{count}</b>{name}</div>");
        assert!(page.contains(&text), "{name}: {}", section(&page, "Totals"));
    };
    card(11, "requests");
    card(4, "approved by reviewers");
    card(1, "denied by a person");
    card(1, "refused by policy");
    card(1, "expired undecided");
    card(1, "self-attested");
    card(2, "by break-glass");
    let high = "<tr><td>high</td><td>1</td><td>1</td><td>0</td>";
    assert!(section(&page, "By tier").contains(high));
    let people = section(&page, "By reviewer");
    assert!(
        people.contains(
            "<tr><td>mika@example.org</td><td>3</td><td>1</td><td>0</td><td>2</td><td>1</td>"
        ),
        "{people}"
    );
}

#[test]
fn what_is_out_of_the_ordinary_is_listed() {
    let page = page(&log());
    let hasty = section(&page, "Approvals faster");
    assert!(hasty.contains(">0.950 s</td>"), "{hasty}");
    // 1.250 s after it was shown, to somebody else's account.
    assert_eq!(
        hasty.matches("<tr><td class=\"s\">req_").count(),
        2,
        "{hasty}"
    );
    let glass = section(&page, "Break-glass");
    assert!(
        glass.contains(">OPEN</td>") && glass.contains("noor@example.org, "),
        "{glass}"
    );
    assert!(section(&page, "Denied").contains("not in the change window"));
    assert!(section(&page, "Self-attested").contains("<tr><td class=\"s\">req_"));
    assert!(section(&page, "Calls refused").contains("too-large"));
    assert_eq!(
        section(&page, "Rules and people")
            .matches("<tr><td")
            .count(),
        2
    );
}

#[test]
fn what_others_wrote_is_text_and_nothing_comes_from_elsewhere() {
    let page = page(&log());
    assert!(
        !page.contains("<script") && !page.contains("<b>crm"),
        "{page}"
    );
    assert!(page.contains("&lt;b&gt;crm&lt;"));
    for door in [
        "src=", "href=", "url(", "@import", "<link", "http://", "https://", "<iframe", "onload",
    ] {
        assert!(!page.contains(door), "{door}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_time_in_which_nothing_happened_has_a_page() {
    let page = page(&Fixture::new());
    assert!(page.contains("<b>0</b>requests"));
    assert!(section(&page, "By reviewer").contains("Nobody decided anything."));
    assert!(section(&page, "Data").contains("No entry says"));
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let mut log = Fixture::new();
    for _ in 0..LONGEST + 3 {
        log.raw(
            &fixture::daemon(),
            None,
            "clock.jumped",
            &json!({"reason": "r"}),
        );
    }
    let page = page(&log);
    let clock = section(&page, "Clock");
    assert_eq!(clock.matches("<tr><td").count(), LONGEST);
    assert!(clock.contains("3 more;"), "{clock}");
}

/// A browser reads the page as it was meant: every element closed where it should be, nothing
/// fetched, no script. Skipped where no `chromium` is installed.
#[test]
fn a_browser_shows_the_page() {
    let has = Command::new("chromium")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        eprintln!("skipped: `chromium` is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    std::fs::write(&path, page(&log())).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("<b>11</b>requests"), "{shown}");
    assert_eq!(shown.matches("<h2>").count(), 18);
    assert_eq!(
        shown.matches("<h2>").count(),
        shown.matches("</h2>").count()
    );
    assert!(shown.trim_end().ends_with("</body></html>"), "{shown}");
}
