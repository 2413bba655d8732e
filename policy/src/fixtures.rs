//! Parts that the tests of several modules are put together from.

use std::collections::{BTreeMap, BTreeSet};

use countersign_shared::home::Mode;
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use serde_json::{Value, json};

use crate::catalogue::Catalogue;
use crate::facts::{Agent, Facts, Principal, Recent, Surroundings};
use crate::kinds::Kinds;
use crate::load::{Lack, LoadError, People, Policies, PolicyFile, Sources};

pub(crate) const TARGETS: &str = r#"
[[target]]
kind = "cluster"
name = "eu-1"
environment = "prod"

[[target]]
kind = "database"
name = "orders"
classification = "pii"
parent = "cluster/eu-1"

[[target]]
kind = "database"
name = "scratch"
environment = "dev"
classification = "none"
"#;

pub(crate) fn member(name: &str, uid: u32, groups: &[&str]) -> Member {
    Member {
        name: name.to_owned(),
        uid,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        keys: BTreeSet::from([format!("SHA256:{name}")]),
    }
}

pub(crate) fn members() -> Vec<Member> {
    vec![
        member("ana", 2001, &["sre", "dba"]),
        member("bo", 2002, &["sre"]),
        member("cy", 2003, &["data-stewards"]),
    ]
}

/// They, none of whom has a security key.
pub(crate) fn people(mode: Mode, members: &[Member]) -> People<'_> {
    static NOBODY: BTreeSet<String> = BTreeSet::new();
    People {
        mode,
        members,
        touching: &NOBODY,
        requesters: None,
    }
}

pub(crate) fn default_requirement() -> Requirement {
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

pub(crate) fn load_for(
    text: &str,
    mode: Mode,
    members: &[Member],
    requesters: Option<&BTreeSet<u32>>,
    lack: Lack,
) -> Result<Policies, Vec<LoadError>> {
    Policies::load(Sources {
        files: &[PolicyFile {
            name: "p.cedar".to_owned(),
            text: text.to_owned(),
        }],
        catalogue: Catalogue::parse("targets.toml", TARGETS).unwrap(),
        kinds: Kinds::parse(
            "c",
            "[[kind]]\nname = \"ticket.close\"\ngroup = \"writing\"\nexecutor = \"agent\"\n",
        )
        .unwrap(),
        default: default_requirement(),
        people: People {
            mode,
            members,
            touching: &BTreeSet::from(["ana".to_owned()]),
            requesters,
        },
        lack,
    })
}

pub(crate) fn load(text: &str) -> Result<Policies, Vec<LoadError>> {
    load_for(text, Mode::System, &members(), None, Lack::Refuse)
}

pub(crate) fn surroundings() -> Surroundings {
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
        program: Ok("ab".repeat(32)),
        resolved: BTreeMap::from([("/srv/etl/a".to_owned(), "/srv/etl/a".to_owned())]),
        wall: "2026-11-21T20:49:13.007Z".parse().unwrap(),
        utc_offset_minutes: 0,
        recent: Recent::default(),
    }
}

pub(crate) fn action(kind: &str, target: (&str, &str), arguments: &Value) -> Value {
    json!({
        "v": 1, "kind": kind, "target": {"kind": target.0, "name": target.1},
        "arguments": arguments, "context": {"cwd": "/srv/etl"},
    })
}

pub(crate) fn sql(name: &str, statement: &str) -> Value {
    action(
        "sql.exec",
        ("database", name),
        &json!({"statement": statement}),
    )
}

pub(crate) fn facts(policies: &Policies, action: &Value) -> Facts {
    Facts::of(action, &surroundings(), policies.kinds())
}
