use countersign_shared::machine::RunOutcome;
use countersign_shared::statement::Verdict;

use super::*;
use crate::fixture::{self, Ask, Fixture, MIKA, NOOR};

/// Two exports that ran, one of them badly, and a request that nobody approved.
fn log() -> Fixture {
    let mut log = Fixture::new();
    for (agent, outcome, destination) in [
        ("report-1", RunOutcome::Succeeded, json!("s3://reports")),
        ("=cmd()", RunOutcome::Failed, Value::Null),
    ] {
        let id = log.ask(Ask {
            review: "1 of data-stewards and 1 of sre",
            ..Ask::default()
        });
        log.decide(id, MIKA, Verdict::Approve, "");
        log.decide(id, NOOR, Verdict::Approve, "");
        log.run_untold(id, outcome);
        let body = json!({"agent": agent, "basis": "stated", "data": [
            {"name": "crm", "classification": "pii", "access": "export", "records": 100, "destination": destination},
            {"name": "orders", "classification": null, "access": "read", "records": null, "destination": null},
        ]});
        log.raw(&fixture::agent(), Some(id), "data.accessed", &body);
        log.later(10);
    }
    let denied = log.ask(Ask::default());
    log.decide(denied, MIKA, Verdict::Deny, "");
    log
}

fn usage(log: &Fixture, by: By, period: Period) -> Usage {
    Usage::of(log, log.verifier(), by, period).unwrap()
}

#[test]
fn uses_are_counted_by_data() {
    let usage = usage(&log(), By::Data, Period::default());
    let rows: BTreeMap<&str, &Uses> = usage.rows().collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), ["crm", "orders"]);
    let crm = rows["crm"];
    assert_eq!(
        (crm.count, crm.records, crm.unknown_records, crm.stated),
        (2, 200, 0, 2)
    );
    assert_eq!(counted(&crm.outcome), "failed: 1; succeeded: 1");
    assert_eq!(counted(&crm.destination), "(none): 1; s3://reports: 1");
    assert_eq!(counted(&crm.via), "reviewers: 2");
    assert_eq!(joined(&crm.reviewers), format!("{MIKA}; {NOOR}"));
    assert_eq!(rows["orders"].unknown_records, 2);
}

#[test]
fn uses_are_counted_by_agent_reviewer_and_destination() {
    let log = log();
    let names = |by| -> Vec<String> {
        let usage = usage(&log, by, Period::default());
        usage
            .rows()
            .map(|(name, uses)| format!("{name} {}", uses.count))
            .collect()
    };
    assert_eq!(names(By::Agent), ["=cmd() 2", "report-1 2"]);
    assert_eq!(
        names(By::Reviewer),
        [format!("{MIKA} 4"), format!("{NOOR} 4")]
    );
    assert_eq!(names(By::Destination), ["(none) 3", "s3://reports 1"]);
}

#[test]
fn nothing_is_counted_that_was_only_asked_for_or_lies_outside_of_the_time() {
    let log = log();
    let mut asked = Fixture::new();
    asked.ask(Ask::default());
    assert_eq!(usage(&asked, By::Data, Period::default()).rows().count(), 0);
    let until = Record::read(2, &log.entries[2]).unwrap().time;
    let before = Period {
        from: None,
        until: Some(until),
    };
    assert_eq!(usage(&log, By::Data, before).rows().count(), 0);
    let since = Period {
        from: Some(until),
        until: None,
    };
    assert_eq!(usage(&log, By::Data, since).rows().count(), 2);
}

#[test]
fn what_policy_alone_permitted_is_nobodys() {
    let mut log = Fixture::new();
    let id = log.ask(Ask::default());
    log.raw(
        &fixture::daemon(),
        Some(id),
        "request.approved",
        &json!({"via": "policy"}),
    );
    let data = json!([{"name": "a", "access": "read"}]);
    let body = json!({"agent": null, "basis": "computed", "data": data});
    log.raw(&fixture::agent(), Some(id), "data.accessed", &body);
    let usage = usage(&log, By::Reviewer, Period::default());
    let (name, uses) = usage.rows().next().unwrap();
    assert_eq!((name, uses.stated), ("(policy)", 0));
    assert_eq!(joined(&uses.agents), "uid:2001");
}

#[test]
fn an_access_without_a_list_is_an_error() {
    let mut log = Fixture::new();
    let id = log.ask(Ask::default());
    log.raw(
        &fixture::agent(),
        Some(id),
        "data.accessed",
        &json!({"basis": "stated"}),
    );
    let error = Usage::of(&log, log.verifier(), By::Data, Period::default()).unwrap_err();
    assert!(
        matches!(error, ExportError::Record { seq: 4, .. }),
        "{error}"
    );
}

#[test]
fn the_table_guards_its_cells_and_the_json_says_the_same() {
    let usage = usage(&log(), By::Agent, Period::default());
    let mut out = Vec::new();
    usage.write_csv(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("agent,uses,uses_stated,records,"),
        "{text}"
    );
    assert!(text.contains("\r\n'=cmd(),2,2,100,1,"), "{text}");
    let json = usage.to_json();
    assert_eq!(json["usage"][0]["name"], "=cmd()");
    assert_eq!(json["usage"][0]["records"], 100);
}

#[test]
fn the_table_for_a_terminal_is_aligned_and_says_whose_word_it_is() {
    let text = usage(&log(), By::Destination, Period::default()).to_text();
    assert_eq!(
        text,
        "DESTINATION   USES  RECORDS  ACCESS              CLASSIFICATION     DESTINATION      OUTCOME                  APPROVED\n\
         (none)        3     100+     export: 1; read: 2  (none): 2; pii: 1  (none): 3        failed: 2; succeeded: 1  reviewers: 3\n\
         s3://reports  1     100      export: 1           pii: 1             s3://reports: 1  succeeded: 1             reviewers: 1\n\
         + some uses did not say how many records\n\
         classifications are the agents' word where the catalogue lists none"
    );
    let nothing = usage(&Fixture::new(), By::Data, Period::default());
    assert_eq!(nothing.to_text(), "no data was used");
}
