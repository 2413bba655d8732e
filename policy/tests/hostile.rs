//! Judging is total: whatever the policies, the facts and the texts are, there is an answer, and
//! no answer lets something pass because something else failed.

#![expect(clippy::unwrap_used, reason = "what helps a test may end it")]

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::catalogue::Catalogue;
use countersign_policy::facts::{Agent, Facts, Principal, Recent, Surroundings};
use countersign_policy::judge::Judgement;
use countersign_policy::kinds::Kinds;
use countersign_policy::load::{Lack, LoadError, People, Policies, PolicyFile, Sources};
use countersign_shared::action::KINDS;
use countersign_shared::home::Mode;
use countersign_shared::json;
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const TARGETS: &str =
    "[[target]]\nkind = \"database\"\nname = \"orders\"\nenvironment = \"prod\"\n";

/// Lets everything pass that it can see, and refuses nothing.
const OPEN: &str = "@id(\"open\") @review(\"nobody\") permit (principal, action, resource);";

fn default_requirement() -> Requirement {
    Requirement {
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
    }
}

fn load(text: &str) -> Result<Policies, Vec<LoadError>> {
    let members = [Member {
        name: "ana".to_owned(),
        uid: 2001,
        groups: BTreeSet::from(["sre".to_owned()]),
        keys: BTreeSet::from(["SHA256:a".to_owned()]),
    }];
    Policies::load(Sources {
        files: &[PolicyFile {
            name: "p.cedar".to_owned(),
            text: text.to_owned(),
        }],
        catalogue: Catalogue::parse("targets.toml", TARGETS).unwrap(),
        kinds: Kinds::known(),
        default: default_requirement(),
        people: People {
            mode: Mode::System,
            members: &members,
            touching: &BTreeSet::new(),
            requesters: None,
        },
        lack: Lack::Refuse,
    })
}

fn around(word: &str) -> Surroundings {
    Surroundings {
        principal: Principal::Agent(Agent {
            user: Some(word.to_owned()),
            uid: 1001,
            program: Some(word.to_owned()),
            unit: Some(word.to_owned()),
            container: None,
            host: word.to_owned(),
            groups: Some(BTreeSet::from([word.to_owned()])),
        }),
        identity: "pidfd".to_owned(),
        workspace: Some(word.to_owned()),
        program: Err(word.to_owned()),
        resolved: BTreeMap::from([(word.to_owned(), word.to_owned())]),
        wall: "2026-11-21T20:49:13.007Z".parse().unwrap(),
        utc_offset_minutes: i32::MAX,
        recent: Recent {
            denials: u32::MAX,
            requests: u32::MAX,
        },
    }
}

/// Texts that have broken somebody's parser.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\PC\"'\\\\;@{}()\\[\\]?*%&|<>=! \n\t]{0,60}",
        Just("../".repeat(2000)),
        Just("\"; permit (principal, action, resource); //".to_owned()),
        Just("Target::\"x\"".to_owned()),
        Just("http://[::1]:99999/%00".to_owned()),
        Just("http://[".to_owned()),
        Just("SELECT ".to_owned() + &"(".repeat(3000)),
        Just("SELECT ".to_owned() + &"NOT ".repeat(3000)),
        Just("SELECT 1 ".to_owned() + &"UNION SELECT 1 ".repeat(2000)),
        Just("SELECT '".to_owned()),
        Just("CREATE TABLE t (a INT DEFAULT (SELECT $1::int[][]))".to_owned()),
        Just("\u{202e}\u{e0041}\u{fe0f}\u{0}\u{1b}[2J".to_owned()),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile().prop_map(Value::from),
        Just(json!({"base64": "/w=="})),
        Just(json!({"$parts": ["a", {"$mask": {}}]})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(hostile(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn action() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        prop::sample::select(KINDS.to_vec()).prop_map(str::to_owned),
        hostile(),
    ];
    let names = [
        "statement",
        "url",
        "method",
        "path",
        "paths",
        "argv",
        "program",
        "server",
        "tool",
        "annotations",
    ];
    let arguments =
        prop::collection::btree_map(prop::sample::select(names.to_vec()), json_value(), 0..5);
    (
        kind,
        hostile(),
        hostile(),
        arguments,
        json_value(),
        json_value(),
        json_value(),
    )
        .prop_map(
            |(kind, target_kind, name, arguments, changes, data, context)| {
                json!({
                    "v": 1, "kind": kind, "target": {"kind": target_kind, "name": name},
                    "arguments": arguments, "changes": changes, "data": data, "context": context,
                })
            },
        )
}

/// A piece of a policy, of which any sequence may come.
fn policy_text() -> impl Strategy<Value = String> {
    let words = [
        "permit",
        "forbid",
        "(",
        ")",
        "principal",
        ",",
        "action",
        "resource",
        ";",
        "when",
        "unless",
        "{",
        "}",
        "context",
        ".",
        "stated",
        "statements",
        "contains",
        "\"drop\"",
        "&&",
        "||",
        "!",
        "==",
        "in",
        "is",
        "Target",
        "::",
        "\"database/orders\"",
        "@id",
        "@review",
        "(\"nobody\")",
        "(\"1 of sre\")",
        "(\"a\")",
        "has",
        "like",
        "1",
        "9223372036854775807",
        "+",
        "*",
        "if",
        "then",
        "else",
        "true",
        "//",
        "\n",
        "?principal",
        "ip(\"1\")",
        "decimal(\"x\")",
    ];
    let soup = prop::collection::vec(prop::sample::select(words.to_vec()), 0..40)
        .prop_map(|words| words.join(" "));
    let shaped = (soup.clone(), prop::sample::select(vec!["permit", "forbid"])).prop_map(
        |(condition, effect)| {
            let review = if effect == "permit" {
                "@review(\"nobody\") "
            } else {
                ""
            };
            format!(
                "@id(\"a\") {review}{effect} (principal, action, resource) when {{ {condition} }};"
            )
        },
    );
    prop_oneof![any::<String>(), soup, shaped, hostile()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_loads_or_tells_why_and_where(text in policy_text()) {
        if let Err(errors) = load(&text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                let message = error.to_string();
                prop_assert!(!message.is_empty());
                if let Some(place) = error.place {
                    prop_assert!(place.line <= text.matches('\n').count() + 1);
                }
            }
        }
    }

    #[test]
    fn any_action_has_facts_and_a_judgement_and_the_same_from_its_document(
        action in action(), word in hostile(),
    ) {
        let policies = load(OPEN).unwrap();
        let facts = Facts::of(&action, &around(&word), policies.kinds());
        let value = facts.to_value();
        prop_assert!(json::integers_only(&value).is_ok());
        let judgement = policies.judge_document(&value, &action);
        prop_assert_eq!(&judgement, &policies.judge_document(&value, &action));
        match judgement {
            Judgement::Refused(refusal) => prop_assert!(!refusal.errors.is_empty(), "{refusal:?}"),
            Judgement::Nobody(permitted) => {
                prop_assert!(permitted.requirement.reviews.is_empty());
                prop_assert_eq!(permitted.requirement.tier, Tier::Low);
                prop_assert!(!facts.unknown().contains_key("context.statements"));
                prop_assert!(!facts.unknown().contains_key("context.kind"));
            }
            Judgement::Held(held) => prop_assert!(!held.requirement.reviews.is_empty()),
        }
    }

    #[test]
    fn facts_that_are_broken_let_nothing_pass(
        name in prop_oneof![
            "[a-z_]{1,12}",
            prop::sample::select(vec![
                "kind", "findings", "masked", "data", "time", "recent", "paths", "creates", "user",
                "uid", "groups", "type", "agent", "records", "hints",
            ]).prop_map(str::to_owned),
        ],
        part in prop::sample::select(vec!["computed", "principal", "stated"]),
        value in json_value(), all in json_value(),
    ) {
        let policies = load(OPEN).unwrap();
        let action = json!({"v": 1, "kind": "file.read", "target": {"kind": "file", "name": "/w/a"},
            "arguments": {}});
        let mut facts = Facts::of(&action, &around("/w"), policies.kinds()).to_value();
        // The whole object replaced is refused, whatever it is.
        prop_assert_eq!(policies.judge_document(&all, &action).word(), "refused");
        let before = facts[part].get(&name).cloned();
        facts[part][&name] = value.clone();
        let judgement = policies.judge_document(&facts, &action);
        let same_type = before.as_ref().is_some_and(|before| {
            std::mem::discriminant(before) == std::mem::discriminant(&value)
        });
        if !same_type {
            prop_assert_eq!(judgement.word(), "refused", "{} {} {}", part, name, value);
        }
    }

    #[test]
    fn an_error_never_lets_anything_pass(action in action(), condition in prop::sample::select(vec![
        "context.masked + 9223372036854775807 + 1 > 0",
        "context.recent.requests * 9223372036854775807 > 0",
        "resource.name == \"x\" || 9223372036854775807 + context.time.hour + 9223372036854775807 > 0",
    ]), effect in prop::sample::select(vec!["forbid", "permit"])) {
        let review = if effect == "permit" { "@review(\"nobody\")" } else { "" };
        let text = format!(
            "{OPEN}\n@id(\"e\") {review} {effect} (principal, action, resource) when {{ {condition} }};"
        );
        let policies = load(&text).unwrap();
        let facts = Facts::of(&action, &around("/w"), policies.kinds());
        let judgement = policies.judge_document(&facts.to_value(), &action);
        if let Judgement::Refused(refusal) = &judgement {
            prop_assert!(!refusal.errors.is_empty() || !refusal.policies.is_empty());
        } else {
            // Nothing failed: then the sum did not overflow, and the condition was true.
            prop_assert!(effect == "permit" && facts.to_value()["computed"]["masked"] == 0, "{judgement:?}");
        }
    }
}
