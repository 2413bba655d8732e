//! The policies that are shipped do what their cases say: the starter, and every example.

#![expect(clippy::unwrap_used, reason = "what helps a test may end it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use countersign_policy::catalogue::Catalogue;
use countersign_policy::kinds::Kinds;
use countersign_policy::load::{Lack, LoadError, People, Policies, PolicyFile, Sources};
use countersign_policy::{cases, starter};
use countersign_shared::home::Mode;
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};

/// Everybody the examples ask: three people of each group, nobody in two.
const GROUPS: [&str; 8] = [
    "data-stewards",
    "dba",
    "ml",
    "oncall",
    "platform",
    "privacy",
    "security",
    "sre",
];

fn members() -> Vec<Member> {
    let mut all = Vec::new();
    for group in GROUPS {
        for number in 1..=3_u32 {
            all.push(Member {
                name: format!("{group}-{number}"),
                uid: 3000 + u32::try_from(all.len()).unwrap(),
                groups: BTreeSet::from([group.to_owned()]),
                keys: BTreeSet::from([format!("SHA256:{group}{number}")]),
            });
        }
    }
    all
}

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

fn load(
    files: &[PolicyFile],
    targets: &str,
    kinds: &str,
    people: &People<'_>,
) -> Result<Policies, Vec<LoadError>> {
    Policies::load(Sources {
        files,
        catalogue: Catalogue::parse("targets.toml", targets).unwrap(),
        kinds: Kinds::parse("kinds.toml", kinds).unwrap(),
        default: default_requirement(),
        people: people.clone(),
        lack: Lack::Refuse,
    })
}

/// All of them have a security key.
static TOUCHING: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| members().into_iter().map(|member| member.name).collect());

fn everybody(members: &[Member]) -> People<'_> {
    People {
        mode: Mode::System,
        members,
        touching: &TOUCHING,
        requesters: None,
    }
}

fn starter_files() -> Vec<PolicyFile> {
    vec![PolicyFile {
        name: starter::NAME.to_owned(),
        text: starter::POLICY.to_owned(),
    }]
}

#[track_caller]
fn all_pass(policies: &Policies, file: &str, text: &str, least: usize) {
    let cases = cases::parse(file, text).unwrap();
    assert!(cases.len() >= least, "{file} has {} cases", cases.len());
    let tested = cases::run(policies, &cases);
    assert_eq!(tested.failed(), 0, "\n{tested}");
}

#[test]
fn the_starter_policy_does_what_its_cases_say() {
    let members = members();
    let people = everybody(&members);
    let policies = load(&starter_files(), starter::TARGETS, "", &people).unwrap();
    all_pass(&policies, "targets.test.toml", starter::TARGET_CASES, 5);
    // As `init` leaves them: nothing is listed.
    let policies = load(&starter_files(), "", "", &people).unwrap();
    all_pass(&policies, starter::CASES_NAME, starter::CASES, 40);
}

#[test]
fn every_policy_of_the_starter_is_met_by_a_case() {
    let members = members();
    let policies = load(&starter_files(), starter::TARGETS, "", &everybody(&members)).unwrap();
    let mut met = BTreeSet::new();
    for text in [starter::CASES, starter::TARGET_CASES] {
        let cases = cases::parse("cases", text).unwrap();
        for verdict in cases::run(&policies, &cases).verdicts {
            met.extend(verdict.judgement.policies().to_vec());
        }
    }
    assert_eq!(met.len(), policies.len(), "{met:?}");
}

#[test]
fn the_starter_policy_loads_for_one_person_alone_and_lets_that_person_confirm() {
    let me = [Member {
        name: "me".to_owned(),
        uid: 1000,
        groups: BTreeSet::new(),
        keys: BTreeSet::from(["SHA256:me".to_owned()]),
    }];
    let requesters = BTreeSet::from([1000]);
    let people = People {
        mode: Mode::User,
        members: &me,
        touching: &BTreeSet::new(),
        requesters: Some(&requesters),
    };
    let policies = load(&starter_files(), "", "", &people).unwrap();
    let text = "[[case]]\nname = \"x\"\nrequest = { kind = \"exec.run\", target = \"host/a\", command = [\"/usr/bin/sudo\"] }\n\
                expect = { outcome = \"held\", self_attest = true, seats = [\"1 of anyone\"] }";
    all_pass(&policies, "x", text, 1);
}

#[test]
fn nothing_is_odd_about_the_starter_policy() {
    let members = members();
    for targets in ["", starter::TARGETS] {
        let policies = load(&starter_files(), targets, "", &everybody(&members)).unwrap();
        assert_eq!(policies.findings(), []);
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policy")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_example_does_what_its_cases_say() {
    let members = members();
    let mut names = Vec::new();
    for entry in fs::read_dir(examples()).unwrap() {
        let directory = entry.unwrap().path();
        if !directory.is_dir() {
            continue;
        }
        let name = directory
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let mut files = Vec::new();
        let mut tests = Vec::new();
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if path
                .extension()
                .is_some_and(|extension| extension == "cedar")
            {
                files.push(PolicyFile {
                    name: format!("{name}/{file}"),
                    text: read(&path),
                });
            } else if file.ends_with(".test.toml") {
                tests.push((format!("{name}/{file}"), read(&path)));
            }
        }
        assert!(!files.is_empty() && !tests.is_empty(), "{name}");
        let targets = read(&directory.join("targets.toml"));
        let kinds = read(&directory.join("kinds.toml"));
        let policies = load(&files, &targets, &kinds, &everybody(&members))
            .unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
        for (file, text) in tests {
            all_pass(&policies, &file, &text, 6);
        }
        names.push(name);
    }
    names.sort();
    let expected = [
        "data-exports",
        "database",
        "infrastructure",
        "key-rotation",
        "model-deployment",
    ];
    assert_eq!(names, expected);
}
