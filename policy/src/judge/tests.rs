use countersign_shared::requirement::RunBy;
use serde_json::json;

use super::*;
use crate::fixtures::{action, facts, load, sql};

const READ: &str = "@id(\"reads\") @review(\"nobody\")\n\
    permit (principal, action == Action::\"sql.exec\", resource)\n\
    when { context.reversibility == \"read-only\" };\n";

/// Judges an action, and once more from what would stand in its document.
fn judge(text: &str, action: &Value) -> Judgement {
    let policies = load(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let facts = facts(&policies, action);
    let at = |pointer: &str| {
        action
            .pointer(pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    let judgement = policies.judge(&facts, &at("/target/kind"), &at("/target/name"));
    // What stands in the document is all there is to it.
    assert_eq!(
        judgement,
        policies.judge_document(&facts.to_value(), action)
    );
    judgement
}

#[track_caller]
fn held(judgement: Judgement) -> Requirement {
    match judgement {
        Judgement::Held(held) => held.requirement,
        other @ (Judgement::Refused(_) | Judgement::Nobody(_)) => panic!("{other:#?}"),
    }
}

fn permit(id: &str, annotations: &str, condition: &str) -> String {
    format!(
        "@id(\"{id}\") {annotations} permit (principal, action, resource) when {{ {condition} }};\n"
    )
}

#[test]
fn what_no_policy_speaks_about_is_held_under_the_default() {
    let requirement = held(judge("", &sql("scratch", "SELECT 1")));
    assert_eq!(requirement.reviews[0].policy, "default");
    assert_eq!(requirement.tier, Tier::Medium);
    assert_eq!(
        requirement.why,
        ["no policy speaks about it: the default is medium"]
    );
}

#[test]
fn nobody_is_asked_where_a_permit_says_so_and_everything_was_seen() {
    let judgement = judge(READ, &sql("scratch", "SELECT 1"));
    let Judgement::Nobody(permitted) = judgement else {
        panic!("{judgement:#?}")
    };
    assert_eq!(permitted.policies, ["reads"]);
    let judgement = Judgement::Nobody(permitted.clone());
    assert_eq!(judgement.outcome(), PolicyOutcome::Permit);
    assert_eq!(judgement.because(), "nobody is asked (reads)");
    assert!(permitted.requirement.reviews.is_empty());
}

#[test]
fn a_forbid_refuses_whatever_else_matched_and_says_why() {
    let text = format!(
        "{READ}@id(\"no\") @because(\"not on sundays\") forbid (principal, action, resource);"
    );
    let judgement = judge(&text, &sql("scratch", "SELECT 1"));
    let Judgement::Refused(refusal) = judgement else {
        panic!("{judgement:#?}")
    };
    assert_eq!(refusal.because, "not on sundays");
    assert_eq!(refusal.policies, ["no"]);
}

#[test]
fn a_forbid_that_could_not_see_what_it_looks_for_leaves_it_to_people() {
    let run = |argv: Value| {
        let program = json!({"path": "/usr/bin/kubectl", "sha256": "ab".repeat(32)});
        let arguments = json!({"argv": argv, "program": program});
        action("exec.run", ("host", "a"), &arguments)
    };
    let masked = json!({"$parts": [{"$mask": {"class": "token"}}]});
    let clear = run(json!(["kubectl", "--token", "staging"]));
    let hidden = run(json!(["kubectl", "--token", masked]));
    let permits = "@id(\"p\") @review(\"nobody\") permit (principal, action, resource);";
    let forbid = |action: &str| {
        format!(
            "{permits}\n@id(\"f\") forbid (principal, action == Action::\"{action}\", resource)\n\
             when {{ context.argv.contains(\"prod\") }};"
        )
    };
    assert_eq!(judge(&forbid("exec.run"), &clear).word(), "nobody");
    let judgement = judge(&forbid("exec.run"), &hidden);
    assert_eq!(judgement.word(), "held", "{judgement:#?}");
    assert_eq!(
        judgement.because(),
        "unknown argv: a part of it is masked (policy `f`)"
    );
    // None that reads something else, or is for other actions, could have spoken.
    let reads = |scope: &str, condition: &str| {
        format!(
            "{permits}\n@id(\"f\") forbid (principal, {scope}, resource) when {{ {condition} }};"
        )
    };
    for other in [
        reads("action == Action::\"exec.run\"", "context.has_input"),
        reads(
            "action == Action::\"sql.exec\"",
            "context.tables.contains(\"x\")",
        ),
        reads("action", "context.masked > 100"),
    ] {
        assert_eq!(judge(&other, &hidden).word(), "nobody", "{other}");
    }
}

#[test]
fn a_policy_that_cannot_be_evaluated_refuses_everything_it_meets() {
    // The sum overflows, which strict validation cannot see.
    let overflow = "context.masked + 9223372036854775807 > 0";
    let masked = action(
        "ticket.close",
        ("ticket", "1"),
        &json!({"a": {"$parts": [{"$mask": {}}]}}),
    );
    for text in [
        permit("p", "@review(\"nobody\")", "true")
            + &format!("@id(\"f\") forbid (principal, action, resource) when {{ {overflow} }};"),
        permit("p", "@review(\"1 of sre\")", "true")
            + &permit("q", "@review(\"nobody\")", overflow),
    ] {
        let judgement = judge(&text, &masked);
        let Judgement::Refused(refusal) = judgement else {
            panic!("{judgement:#?}")
        };
        assert_eq!(refusal.errors.len(), 1, "{refusal:#?}");
        assert!(refusal.policies.is_empty());
    }
}

#[test]
fn a_forbid_that_matches_beside_an_error_still_says_why() {
    let text = "@id(\"f\") forbid (principal, action, resource) when { context.masked + 9223372036854775807 > 0 };\n\
                @id(\"g\") @because(\"closed\") forbid (principal, action, resource);";
    let masked = action(
        "ticket.close",
        ("t", "1"),
        &json!({"a": {"$parts": [{"$mask": {}}]}}),
    );
    let Judgement::Refused(refusal) = judge(text, &masked) else {
        panic!()
    };
    assert_eq!(
        (refusal.because.as_str(), refusal.errors.len()),
        ("closed", 1)
    );
}

#[test]
fn all_permits_that_match_count_together() {
    let text = permit(
        "a",
        "@review(\"1 of sre\") @tier(\"high\") @ttl(\"15m\") @advice(\"one\")",
        "true",
    ) + &permit(
        "b",
        "@review(\"1 of dba\") @ttl(\"30m\") @grant(\"1m\") @reason(\"required\") @assurance(\"touch\")",
        "true",
    ) + &permit("c", "@review(\"1 of sre\") @advice(\"two\")", "true")
        + &permit("d", "@review(\"nobody\")", "true")
        + &permit("e", "@review(\"2 of anyone\")", "false");
    let requirement = held(judge(&text, &sql("scratch", "SELECT 1")));
    let seats: Vec<String> = requirement
        .reviews
        .iter()
        .map(|review| review.seats.to_string())
        .collect();
    assert_eq!(seats, ["1 of sre", "1 of dba"]);
    assert_eq!(requirement.tier, Tier::High);
    assert_eq!((requirement.ttl_s, requirement.grant_s), (900, 60));
    assert!(requirement.reason_required);
    assert_eq!(requirement.assurance.to_string(), "touch");
    assert_eq!(requirement.advice, ["one", "two"]);
    assert_eq!(requirement.why, ["policy `a`"]);
}

#[test]
fn the_default_is_the_floor_of_what_asks_people() {
    let text = permit(
        "a",
        "@review(\"1 of sre\") @tier(\"low\") @assurance(\"file\")",
        "true",
    );
    assert_eq!(
        held(judge(&text, &sql("scratch", "SELECT 1"))).tier,
        Tier::Medium
    );
}

#[test]
fn nobody_never_passes_what_could_not_be_seen() {
    let anything = permit("any", "@review(\"nobody\")", "true");
    let not_prod = permit(
        "np",
        "@review(\"nobody\")",
        "resource.environment != \"prod\"",
    );
    let no_ssh = "@id(\"ns\") @review(\"nobody\") permit (principal, action == Action::\"file.read\", \
                  resource) when { !(context.components.contains(\".ssh\")) };";
    let outside = "@id(\"in\") @review(\"nobody\") permit (principal, action == Action::\"file.read\", \
                   resource) unless { !context.inside_workspace };";
    let unit = "@id(\"u\") @review(\"nobody\") permit (principal is Agent, action, resource) \
                when { principal.unit != \"bad.service\" };";
    for (text, action, word) in [
        (anything.as_str(), sql("scratch", "SELCT 1"), "statements"),
        (
            &anything,
            action("thing.unheard", ("a", "b"), &json!({})),
            "kind",
        ),
        (
            &anything,
            action("mcp.call", ("a", "b"), &json!({"server": "x"})),
            "tool",
        ),
        (
            &anything,
            action(
                "mcp.call",
                ("a", "b"),
                &json!({"server": "x", "tool": "y", "definition": {"found": {}}}),
            ),
            "tool",
        ),
        (
            &anything,
            action("http.request", ("a", "b"), &json!({"method": "GET"})),
            "host",
        ),
        (
            &not_prod,
            sql("not-listed", "SELECT 1"),
            "resource.environment",
        ),
        (
            no_ssh,
            json!({"v": 1, "kind": "file.read", "target": {"kind": "file", "name": "x"}, "arguments": {}}),
            "paths",
        ),
        (outside, action("file.read", ("file", "b"), &json!({})), ""),
    ] {
        let requirement = held(judge(text, &action));
        assert!(requirement.tier >= Tier::Medium && !requirement.reviews.is_empty());
        if !word.is_empty() {
            assert_eq!(requirement.tier, Tier::High, "{action}");
            let why = requirement.why.join("; ");
            assert!(why.contains(&format!("unknown {word}")), "{why}");
        }
    }
    let policies = load(unit).unwrap();
    let mut around = crate::fixtures::surroundings();
    if let crate::facts::Principal::Agent(agent) = &mut around.principal {
        agent.unit = None;
    }
    let action = sql("scratch", "SELECT 1");
    let facts = Facts::of(&action, &around, policies.kinds());
    let requirement = held(policies.judge(&facts, "database", "scratch"));
    assert!(
        requirement.why[0].contains("principal.unit"),
        "{:?}",
        requirement.why
    );
}

#[test]
fn what_cannot_be_undone_or_is_hidden_is_held_at_tier_high() {
    let anything = permit("any", "@review(\"nobody\")", "true");
    for (action, why) in [
        (sql("scratch", "DROP TABLE t"), "cannot be undone"),
        (sql("scratch", "SELECT '\u{202e}'"), "hides characters"),
        (
            action(
                "ticket.close",
                ("t", "1"),
                &json!({"a": {"base64": "/w=="}}),
            ),
            "cannot be shown",
        ),
    ] {
        let requirement = held(judge(&anything, &action));
        assert_eq!(requirement.tier, Tier::High);
        assert!(
            requirement.why.join("; ").contains(why),
            "{:?}",
            requirement.why
        );
    }
}

#[test]
fn reasons_stand_for_the_tier_that_binds() {
    let text = permit("m", "@review(\"1 of sre\") @because(\"it is big\")", "true");
    let requirement = held(judge(&text, &sql("scratch", "DROP TABLE t")));
    assert_eq!(
        (requirement.tier, requirement.why),
        (Tier::High, vec!["it cannot be undone".to_owned()])
    );
    let text = permit(
        "c",
        "@review(\"1 of sre\") @tier(\"critical\") @because(\"it is big\")",
        "true",
    );
    let requirement = held(judge(&text, &sql("scratch", "DROP TABLE t")));
    assert_eq!(requirement.why, ["it is big (policy `c`)"]);
}

#[test]
fn a_target_has_what_the_catalogue_says_and_the_agent_cannot_change_it() {
    let text = "@id(\"prod\") forbid (principal, action, resource) when { resource.environment == \"prod\" };\n\
                @id(\"under\") @review(\"2 of sre\") permit (principal, action, resource in Target::\"cluster/eu-1\");";
    assert_eq!(judge(text, &sql("orders", "SELECT 1")).word(), "refused");
    assert_eq!(judge(text, &sql("scratch", "SELECT 1")).word(), "held");
    let under = text.get(text.find("@id(\"under").unwrap()..).unwrap();
    let requirement = held(judge(under, &sql("orders", "SELECT 1")));
    assert_eq!(requirement.reviews[0].policy, "under");
}

#[test]
fn a_kind_that_nobody_declared_meets_the_policies_for_everything() {
    let text = "@id(\"f\") forbid (principal, action, resource) when { resource.name == \"x\" };";
    assert_eq!(
        judge(text, &action("thing.unheard", ("a", "x"), &json!({}))).word(),
        "refused"
    );
    let group = "@id(\"g\") forbid (principal, action in Action::\"writing\", resource);";
    assert_eq!(
        judge(group, &action("thing.unheard", ("a", "x"), &json!({}))).word(),
        "held"
    );
    assert_eq!(
        judge(group, &action("ticket.close", ("a", "x"), &json!({}))).word(),
        "refused"
    );
}

#[test]
fn at_tier_critical_the_daemon_runs_what_it_can_run() {
    let text = permit("c", "@review(\"1 of sre\") @tier(\"critical\")", "true");
    let run = action(
        "exec.run",
        ("host", "x"),
        &json!({"argv": ["ls"], "program": {"path": "/bin/ls", "sha256": "ab".repeat(32)}, "stdin": null}),
    );
    assert_eq!(held(judge(&text, &run)).run_by, RunBy::Daemon);
    assert_eq!(
        held(judge(&text, &sql("scratch", "SELECT 1"))).run_by,
        RunBy::Agent
    );
    let text = permit(
        "c",
        "@review(\"1 of sre\") @tier(\"critical\") @run_by(\"agent\")",
        "true",
    );
    assert_eq!(held(judge(&text, &run)).run_by, RunBy::Agent);
}

#[test]
fn self_attestation_takes_every_permit_that_asks() {
    let yes = "@review(\"1 of sre\") @self_attest(\"allow\")";
    let both = permit("a", yes, "true") + &permit("b", "@review(\"1 of sre\")", "true");
    assert!(!held(judge(&both, &sql("scratch", "SELECT 1"))).self_attest);
    let both = permit("a", yes, "true") + &permit("b", yes, "true");
    let requirement = held(judge(&both, &sql("scratch", "SELECT 1")));
    assert!(requirement.self_attest && requirement.asks_one_seat());
}

#[test]
fn facts_that_are_not_of_the_schema_refuse() {
    let policies = load(&permit("any", "@review(\"nobody\")", "true")).unwrap();
    let action = sql("scratch", "SELECT 1");
    let good = facts(&policies, &action).to_value();
    assert_eq!(policies.judge_document(&good, &action).word(), "nobody");
    for (pointer, value) in [
        ("/computed/masked", json!("0")),
        ("/computed/statements", json!(null)),
        ("/computed/statements", json!([1])),
        ("/computed/extra", json!(1)),
        ("/computed/kind", json!("exec.run")),
        ("/stated/agent", json!(1)),
        ("/stated/more", json!("x")),
        ("/principal/type", json!("Group")),
        ("/principal/uid", json!("1")),
        ("/computed/time", json!({"hour": 1})),
        ("/v", json!(2)),
        ("/unknown", json!([])),
    ] {
        let mut broken = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap()[name] = value;
        let judgement = policies.judge_document(&broken, &action);
        assert_eq!(judgement.word(), "refused", "{pointer}: {judgement:#?}");
    }
    let mut less = good.clone();
    less["computed"].as_object_mut().unwrap().remove("parsed");
    assert_eq!(policies.judge_document(&less, &action).word(), "refused");
    assert_eq!(policies.judge_document(&good, &json!({})).word(), "refused");
}

#[test]
fn a_condition_may_ask_about_any_entity_that_there_is() {
    for condition in [
        "Target::\"database/orders\".environment == \"prod\"",
        "Target::\"database/orders\" in Target::\"cluster/eu-1\"",
        "Action::\"file.read\" in Action::\"reading\"",
        "action in Action::\"writing\"",
        "[Action::\"sql.exec\"].contains(action)",
        "resource != Target::\"database/orders\"",
    ] {
        let text = permit("a", "@review(\"nobody\")", condition);
        let judgement = judge(&text, &sql("scratch", "SELECT 1"));
        assert_eq!(judgement.word(), "nobody", "{condition}: {judgement:#?}");
    }
    // An entity nobody listed has no attributes: that is an error, and an error refuses.
    let text = permit(
        "a",
        "@review(\"nobody\")",
        "Target::\"a/b\".environment == \"prod\"",
    );
    assert_eq!(judge(&text, &sql("scratch", "SELECT 1")).word(), "refused");
}
