//! Every fenced block of docs/policy.md is run: policies load, cases pass, output is what is shown.
//!
//! A section stands for itself: its policies make one file, judged with its targets, kinds and
//! cases. A block of a kind that is not known here fails, so that none goes unread.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what helps a test may end it"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use countersign_policy::cases::{self, Case};
use countersign_policy::catalogue::Catalogue;
use countersign_policy::check::{Checked, check};
use countersign_policy::kinds::Kinds;
use countersign_policy::load::{Lack, People, Policies, PolicyFile, Sources};
use countersign_shared::home::Mode;
use countersign_shared::machine::Side;
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use countersign_shared::text::Printable;

#[derive(Default)]
struct Section {
    heading: String,
    policies: String,
    targets: String,
    kinds: String,
    cases: Vec<Case>,
    /// Whether the policies are to load.
    fails: bool,
    /// Whether an output was shown.
    shown: bool,
}

fn members() -> Vec<Member> {
    let groups = ["dba", "ml", "sre"];
    let all = groups.iter().enumerate().flat_map(|(index, group)| {
        (1..=3).map(move |number| Member {
            name: format!("{group}-{number}"),
            uid: 3000 + u32::try_from(index).unwrap() * 10 + number,
            groups: BTreeSet::from([(*group).to_owned()]),
            keys: BTreeSet::from([format!("SHA256:{group}{number}")]),
        })
    });
    all.collect()
}

/// Nobody of them has a security key.
static NOBODY: BTreeSet<String> = BTreeSet::new();

fn people(members: &[Member]) -> People<'_> {
    People {
        mode: Mode::System,
        members,
        touching: &NOBODY,
        requesters: None,
    }
}

impl Section {
    fn sources<'a>(&self, files: &'a [PolicyFile], members: &'a [Member]) -> Sources<'a> {
        Sources {
            files,
            catalogue: Catalogue::parse("targets.toml", &self.targets).unwrap(),
            kinds: Kinds::parse("kinds.toml", &self.kinds).unwrap(),
            default: Requirement {
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
            },
            people: people(members),
            lack: Lack::Refuse,
        }
    }

    fn files(&self) -> Vec<PolicyFile> {
        vec![PolicyFile {
            name: "policy/guide.cedar".to_owned(),
            text: self.policies.clone(),
        }]
    }

    fn check(&self) -> Checked {
        check(self.sources(&self.files(), &members()))
    }

    fn load(&self) -> Policies {
        Policies::load(self.sources(&self.files(), &members()))
            .unwrap_or_else(|errors| panic!("{}: {errors:#?}", self.heading))
    }

    fn take(&mut self, info: &str, body: &str) {
        let first = body.lines().next().unwrap_or_default();
        match (info, first) {
            ("cedar", _) => {
                self.policies.push_str(body);
                self.policies.push('\n');
            }
            ("cedar,fails", _) => {
                body.clone_into(&mut self.policies);
                self.fails = true;
            }
            ("toml", "# targets.toml") => body.clone_into(&mut self.targets),
            ("toml", "# kinds.toml") => body.clone_into(&mut self.kinds),
            ("toml", name) if name.ends_with(".test.toml") => {
                let name = name.trim_start_matches("# ");
                self.cases = cases::parse(&format!("policy/{name}"), body).unwrap();
            }
            ("text", command) if command.starts_with("$ ") => self.compare(body),
            _ => panic!("{}: a block `{info}` that begins `{first}`", self.heading),
        }
    }

    /// Runs each command of a block, and holds its output against what is shown.
    fn compare(&mut self, body: &str) {
        self.shown = true;
        let mut written = String::new();
        for command in body.lines().filter(|line| line.starts_with("$ ")) {
            let output = match command {
                "$ countersign policy check" => self.check().to_string(),
                "$ countersign policy test" => {
                    assert!(!self.cases.is_empty(), "{}", self.heading);
                    cases::run(&self.load(), &self.cases).to_string()
                }
                "$ countersign policy explain req_…" => self.explain(),
                other => panic!("{}: `{other}`", self.heading),
            };
            writeln!(written, "{command}\n{output}").unwrap();
        }
        assert_eq!(written.trim_end(), body.trim_end(), "{}", self.heading);
    }

    fn explain(&self) -> String {
        let policies = self.load();
        let (action, facts) = self.cases.last().unwrap().request(policies.kinds());
        let side = Side {
            uid: 1001,
            launchers: BTreeSet::new(),
            owner: None,
        };
        let explanation = policies
            .explain(&facts.to_value(), &action, &people(&members()), &side)
            .unwrap();
        let lines = explanation.lines();
        let lines: Vec<&str> = lines.iter().map(Printable::as_str).collect();
        lines.join("\n")
    }

    fn end(&self) -> usize {
        if self.policies.is_empty() {
            return 0;
        }
        assert!(self.shown, "{}: nothing shows what it does", self.heading);
        assert_eq!(self.check().loads(), !self.fails, "{}", self.heading);
        1
    }
}

#[test]
fn every_snippet_of_the_guide_does_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let text = fs::read_to_string(path).unwrap();
    let mut section = Section::default();
    let mut sections = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections += section.end();
            section = Section {
                heading: heading.to_owned(),
                ..Section::default()
            };
        }
        if let Some(info) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            section.take(info, &body.join("\n"));
        }
    }
    sections += section.end();
    assert!(sections >= 8, "only {sections} sections have policies");
}

#[test]
fn the_guide_names_every_annotation_and_every_fact() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let text = fs::read_to_string(path).unwrap();
    for name in countersign_policy::annotations::OF_PERMITS {
        assert!(text.contains(&format!("`@{name}(")), "@{name}");
    }
    for line in countersign_policy::load::SCHEMA.lines() {
        let Some((name, _)) = line
            .strip_prefix("    ")
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let name = name.trim();
        let is_attribute = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b));
        let structural = ["principal", "resource", "context"];
        if is_attribute && !structural.contains(&name) {
            assert!(text.contains(name), "{name}");
        }
    }
}
