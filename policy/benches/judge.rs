//! Judging a request with 100 policies, beside the bare question to Cedar, in one run.
//!
//! The bare question has its request and its entities ready; judging builds both from the facts as
//! they stand in a document, and reads the requirement off the policies that matched. Then 100,000
//! requests of the past are judged again, over two threads.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot begin has nothing to say"
)]
#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Duration;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, Schema,
};
use countersign_policy::catalogue::Catalogue;
use countersign_policy::facts::{Agent, Facts, Principal, Recent, Surroundings};
use countersign_policy::kinds::Kinds;
use countersign_policy::load::{Lack, People, Policies, PolicyFile, SCHEMA, Sources};
use countersign_policy::replay::Past;
use countersign_shared::home::Mode;
use countersign_shared::machine::PolicyOutcome;
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use serde_json::{Value, json};

/// Rounds; each asks both once, so that both see the same machine.
const ROUNDS: usize = 4000;

/// Requests of the past.
const PAST: usize = 100_000;

const TARGETS: &str = "[[target]]\nkind = \"cluster\"\nname = \"eu-1\"\nenvironment = \"prod\"\n\
    [[target]]\nkind = \"database\"\nname = \"orders\"\nclassification = \"pii\"\nparent = \"cluster/eu-1\"\n";

fn main() {
    let text = policies(100);
    let ours = load(&text);
    let action = json!({
        "v": 1, "kind": "sql.exec", "target": {"kind": "database", "name": "orders"},
        "arguments": {"statement": "DELETE FROM orders WHERE id = 7"},
        "context": {"cwd": "/srv/etl", "environment": {}}, "claims": {"agent": "etl-3"},
    });
    let facts = Facts::of(&action, &surroundings(), ours.kinds());
    let (set, request, entities) = bare(&text, &facts);
    let authorizer = Authorizer::new();
    let answer = authorizer.is_authorized(&request, &set, &entities);
    assert_eq!(answer.decision(), Decision::Allow);
    assert_eq!(ours.judge(&facts, "database", "orders").word(), "held");

    let (mut floor, mut judged) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(time(|| {
            black_box(authorizer.is_authorized(black_box(&request), &set, &entities));
        }));
        judged.push(time(|| {
            let judgement = ours.judge(black_box(&facts), "database", "orders");
            assert_eq!(black_box(&judgement).word(), "held");
        }));
    }
    let (floor, judged) = (percentiles(&mut floor), percentiles(&mut judged));
    println!(
        "bare question to Cedar   p50 {:>8.1?}  p99 {:>8.1?}",
        floor.0, floor.1
    );
    println!(
        "judge, 100 policies      p50 {:>8.1?}  p99 {:>8.1?}",
        judged.0, judged.1
    );
    let ratio = judged.0.as_secs_f64() / floor.0.as_secs_f64();
    let word = if ratio <= 2.0 { "held" } else { "MISSED" };
    println!("p50 of judge over p50 of the bare question: {ratio:.2}x, the bar is 2x: {word}");
    replay(&ours, &facts.to_value(), &action);
}

/// Judges as many requests as a busy installation has in a year.
fn replay(policies: &Policies, facts: &Value, action: &Value) {
    let requirement = policies.default_requirement();
    let past = (0..PAST).map(|number| Past {
        id: format!("req_{number}"),
        outcome: PolicyOutcome::Hold,
        requirement: requirement.clone(),
        facts: facts.clone(),
        action: action.clone(),
    });
    let mut replayed = None;
    let took = time(|| replayed = Some(policies.replay(past, 2, 10)));
    let replayed = replayed.unwrap();
    assert_eq!((replayed.requests, replayed.changes.len()), (PAST, 10));
    let word = if took <= Duration::from_secs(60) {
        "held"
    } else {
        "MISSED"
    };
    println!("replay of {PAST} requests over 2 threads: {took:.1?}, the bar is 60 s: {word}");
}

/// Policies of which a few speak about the request, as in a grown installation.
fn policies(count: usize) -> String {
    let shapes = [
        "@review(\"1 of sre\") @tier(\"high\")\npermit (principal, action == Action::\"sql.exec\", resource)\nwhen { resource.environment == \"prod\" && context.statements.contains(\"STATEMENT\") };\n",
        "@review(\"nobody\")\npermit (principal, action == Action::\"file.read\", resource)\nwhen { context.inside_workspace && !context.components.contains(\"STATEMENT\") };\n",
        "@review(\"2 of sre\")\npermit (principal, action in Action::\"infrastructure\", resource in Target::\"cluster/eu-1\")\nwhen { context.time.hour > 6 && context.stated.agent like \"STATEMENT*\" };\n",
        "@because(\"no\")\nforbid (principal, action, resource)\nwhen { resource.labels.contains(\"STATEMENT\") && context.recent.denials > 3 };\n",
    ];
    let words = ["delete", "update", "drop", "alter", "select"];
    let all = (0..count)
        .zip(shapes.iter().cycle())
        .map(|(number, shape)| {
            let word = words.iter().cycle().nth(number / 4).unwrap();
            format!("@id(\"p{number}\") {}", shape.replace("STATEMENT", word))
        });
    all.collect()
}

fn load(text: &str) -> Policies {
    let members: Vec<Member> = (1..=3)
        .map(|number| Member {
            name: format!("person-{number}"),
            uid: 2000 + number,
            groups: BTreeSet::from(["sre".to_owned()]),
            keys: BTreeSet::from([format!("SHA256:{number}")]),
        })
        .collect();
    let default = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: "1 of anyone".parse().unwrap(),
        }],
        tier: Tier::Medium,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 3600,
        grant_s: 300,
        max_run_s: 3600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    let file = PolicyFile {
        name: "bench.cedar".to_owned(),
        text: text.to_owned(),
    };
    Policies::load(Sources {
        files: &[file],
        catalogue: Catalogue::parse("targets.toml", TARGETS).unwrap(),
        kinds: Kinds::known(),
        default,
        people: People {
            mode: Mode::System,
            members: &members,
            touching: &BTreeSet::new(),
            requesters: None,
        },
        lack: Lack::Refuse,
    })
    .unwrap()
}

fn surroundings() -> Surroundings {
    Surroundings {
        principal: Principal::Agent(Agent {
            user: Some("etl".to_owned()),
            uid: 1001,
            program: Some("/usr/bin/python3".to_owned()),
            unit: Some("etl.service".to_owned()),
            container: Some(String::new()),
            host: "build-1".to_owned(),
            groups: Some(BTreeSet::from(["agents".to_owned()])),
        }),
        identity: "pidfd".to_owned(),
        workspace: Some("/srv/etl".to_owned()),
        program: Err("no program".to_owned()),
        resolved: BTreeMap::new(),
        wall: "2026-11-21T20:49:13.007Z".parse().unwrap(),
        utc_offset_minutes: 0,
        recent: Recent::default(),
    }
}

/// The same question, put to Cedar itself, with everything ready.
fn bare(text: &str, facts: &Facts) -> (PolicySet, Request, Entities) {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let uid = |text: &str| -> EntityUid { text.parse().unwrap() };
    let mut context = facts.computed().clone();
    context.insert("stated".to_owned(), Value::Object(facts.stated().clone()));
    let data = context
        .get_mut("data")
        .and_then(Value::as_object_mut)
        .unwrap();
    data.insert("classifications".to_owned(), json!(["unknown"]));
    let action = uid("Action::\"sql.exec\"");
    let context =
        Context::from_json_value(Value::Object(context), Some((&schema, &action))).unwrap();
    let mut principal = facts.principal().clone();
    principal.remove("type");
    let target = |path: &str, name: &str, parents: Value| {
        let kind = path.split('/').next().unwrap();
        json!({"uid": {"type": "Target", "id": path}, "parents": parents, "attrs": {
            "kind": kind, "name": name, "environment": "prod", "labels": [],
            "classification": "pii"}})
    };
    let entities = json!([
        {"uid": {"type": "Agent", "id": "a"}, "attrs": principal, "parents": []},
        target("cluster/eu-1", "eu-1", json!([])),
        target("database/orders", "orders", json!([{"type": "Target", "id": "cluster/eu-1"}])),
    ]);
    let entities = Entities::from_json_value(entities, Some(&schema)).unwrap();
    let request = Request::new(
        uid("Agent::\"a\""),
        action,
        uid("Target::\"database/orders\""),
        context,
        Some(&schema),
    );
    (text.parse().unwrap(), request.unwrap(), entities)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
fn time(work: impl FnOnce()) -> Duration {
    let begun = std::time::Instant::now();
    work();
    begun.elapsed()
}

fn percentiles(samples: &mut [Duration]) -> (Duration, Duration) {
    samples.sort();
    let at = |percent: usize| {
        let index = samples.len() * percent / 100;
        samples.get(index).copied().unwrap_or_default()
    };
    (at(50), at(99))
}
