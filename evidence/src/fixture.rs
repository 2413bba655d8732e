//! A log for tests: made by the request machine, signed by real SSH keys, under a real head.
//!
//! Nothing in it is drawn at random, so that it is the same in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::display;
use countersign_shared::document::{Document, Intake};
use countersign_shared::id::RequestId;
use countersign_shared::json;
use countersign_shared::log::accessed::DataAccessed;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::{Actor, ActorKind, Body, Entry, LogEvent, Separation, Sync};
use countersign_shared::log::note::{SignerKey, VerifierKey};
use countersign_shared::log::tree::{Frontier, leaf_hash};
use countersign_shared::machine::{
    Effect, Event, Executor, Mode, PolicyOutcome, Received, Request, RulesChanged, RulesVia,
    RunEnd, RunOutcome, Side,
};
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use countersign_shared::roster::{Person, Roster};
use countersign_shared::statement::Verdict;
use countersign_shared::time::{BootId, Deadline, Moment, Timestamp};
use serde_json::{Value, json};
use ssh_key::PrivateKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};

use crate::source::RulesFile;

mod pruning;
mod rotating;
mod signing;
mod source;

/// The log's name.
pub(crate) const ORIGIN: &str = "countersign/d7a4hw322365ywpb7nhcs1scn8";

pub(crate) const MIKA: &str = "mika@example.org";
pub(crate) const NOOR: &str = "noor@example.org";
/// The OS user that asks.
pub(crate) const AGENT: u32 = 2001;

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) kind: &'a str,
    pub(crate) target: &'a str,
    pub(crate) tier: Tier,
    pub(crate) review: &'a str,
    pub(crate) agent: &'a str,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            kind: "sql.exec",
            target: "orders",
            tier: Tier::Medium,
            review: "1 of anyone",
            agent: "etl-3",
        }
    }
}

/// A log with what lies beside it.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) documents: BTreeMap<RequestId, Vec<u8>>,
    pub(crate) rules: BTreeMap<Digest, Vec<RulesFile>>,
    pub(crate) key: SignerKey,
    /// The key before it, while that signs as well.
    pub(crate) ending: Option<SignerKey>,
    pub(crate) machines: BTreeMap<RequestId, Request>,
    /// The positions of entries that are gone.
    pub(crate) gone: BTreeSet<u64>,
    frontier: Frontier,
    members: Vec<Member>,
    keys: BTreeMap<String, PrivateKey>,
    in_force: Digest,
    wall: i64,
}

fn private_key(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").unwrap()
}

impl Fixture {
    /// A log that begins on 2026-11-20 at 08:00, with two people in its roster.
    pub(crate) fn new() -> Self {
        let start: Timestamp = "2026-11-20T08:00:00.000Z".parse().unwrap();
        let mut log = Self {
            entries: Vec::new(),
            documents: BTreeMap::new(),
            rules: BTreeMap::new(),
            key: SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap(),
            ending: None,
            machines: BTreeMap::new(),
            gone: BTreeSet::new(),
            frontier: Frontier::new(),
            members: Vec::new(),
            keys: BTreeMap::new(),
            in_force: Digest::of(b""),
            wall: start.as_millis(),
        };
        let mut change = log.change(&[
            (MIKA, 1, 1001, &["sre"]),
            (NOOR, 2, 1002, &["data-stewards"]),
        ]);
        change.previous = change.rules;
        let genesis = LogEvent::Genesis {
            vkey: log.key.verifier().to_string(),
            software: "countersignd 0.1.0".to_owned(),
            mode: Mode::System,
            rules: Box::new(change),
        };
        log.push_log(genesis);
        let software = "countersignd 0.1.0".to_owned();
        log.push_log(LogEvent::DaemonStarted { software });
        log
    }

    /// Every kind of end that needs no break-glass: 8 requests, and a change of rules.
    pub(crate) fn story() -> Self {
        let mut log = Self::new();
        let export = log.ask(Ask {
            kind: "data.export",
            target: "crm",
            tier: Tier::High,
            review: "1 of data-stewards and 1 of sre",
            agent: "report-1",
        });
        log.open(export, MIKA);
        log.later(9_000);
        log.decide(export, MIKA, Verdict::Approve, "the quarterly export");
        log.open(export, NOOR);
        log.later(31_000);
        log.decide(export, NOOR, Verdict::Approve, "");
        log.run(export, RunOutcome::Succeeded);
        let failed = log.ask(Ask::default());
        log.open(failed, NOOR);
        log.later(1_200);
        log.decide(failed, NOOR, Verdict::Approve, "");
        log.run(failed, RunOutcome::Failed);
        let denied = log.ask(Ask {
            target: "payments",
            ..Ask::default()
        });
        log.later(45_000);
        log.decide(denied, MIKA, Verdict::Deny, "not in the change window");
        let expired = log.ask(Ask {
            agent: "etl-4",
            ..Ask::default()
        });
        log.later(3_601_000);
        log.happen(expired, &daemon(), Event::Expired {});
        let refused = log.receive(Ask {
            target: "prod",
            ..Ask::default()
        });
        let no = Event::PolicyEvaluated {
            outcome: PolicyOutcome::Refuse,
            policies: vec!["no-prod-drop".to_owned()],
            because: "schema changes in prod go through a migration".to_owned(),
        };
        log.happen(refused, &daemon(), no);
        log.change_rules(&[(MIKA, 1, 1001, &["sre", "data-stewards"])]);
        let lapsed = log.ask(Ask::default());
        log.later(20_000);
        log.decide(lapsed, MIKA, Verdict::Approve, "");
        log.later(301_000);
        log.happen(lapsed, &daemon(), Event::Lapsed {});
        let pending = log.ask(Ask {
            tier: Tier::Critical,
            ..Ask::default()
        });
        log.open(pending, MIKA);
        log.later(1_000);
        log.push_log(LogEvent::DaemonStopped {});
        log
    }

    /// One approved request whose decision has this reason.
    pub(crate) fn with_reason(reason: &str) -> Self {
        let mut log = Self::new();
        let id = log.ask(Ask::default());
        log.later(10_000);
        // A statement holds one line; what an adapter makes of it may not, so the entry is forged.
        log.decide(id, MIKA, Verdict::Approve, "placeholder");
        for bytes in &mut log.entries {
            let mut entry: Value = serde_json::from_slice(bytes).unwrap();
            if entry["type"] == "decision.recorded" {
                entry["body"]["reason"] = json!(reason);
                *bytes = json::canonical(&entry).unwrap();
            }
        }
        log
    }

    /// Lets time pass.
    pub(crate) fn later(&mut self, millis: i64) {
        self.wall += millis;
    }

    /// Asks, and policy holds it.
    pub(crate) fn ask(&mut self, ask: Ask<'_>) -> RequestId {
        let id = self.receive(ask);
        let hold = Event::PolicyEvaluated {
            outcome: PolicyOutcome::Hold,
            policies: vec!["default".to_owned()],
            because: String::new(),
        };
        self.happen(id, &daemon(), hold);
        id
    }

    /// Stores a request; policy has not spoken yet.
    pub(crate) fn receive(&mut self, ask: Ask<'_>) -> RequestId {
        self.later(500);
        let now = self.now();
        let count = u128::try_from(self.documents.len()).unwrap() + 1;
        let id = RequestId::from_bytes((count << 100 | 0xc0).to_be_bytes());
        let requirement = requirement(ask);
        let expires = Deadline::after(&now, Duration::from_secs(u64::from(requirement.ttl_s)));
        let action = json!({
            "v": 1,
            "kind": ask.kind,
            "target": {"kind": "database", "name": ask.target},
            "arguments": {"statement": "DELETE FROM orders_2024"},
            "data": [{"name": ask.target, "classification": "pii", "access": "delete",
                      "records": 48211, "destination": null}],
            "claims": {"agent": ask.agent, "reason": "routine cleanup"},
        });
        let document = Document::build(Intake {
            id,
            origin: ORIGIN.to_owned(),
            received_at: now.wall,
            expires_at: expires.wall,
            salt: [9; 32],
            requester: json!({"uid": AGENT, "user": "agent", "unit": null, "container": null}),
            requirement: json!(requirement),
            rules: self.in_force,
            facts: json!({}),
            action,
        })
        .unwrap();
        let rendering = display::render(document.bytes()).unwrap();
        let received = Received {
            digest: document.digest(),
            display: rendering.digest(),
            displayable: rendering.complete,
            mode: Mode::System,
            side: Side {
                uid: AGENT,
                launchers: [].into(),
                owner: None,
            },
            requirement,
            rules: self.in_force,
            expires,
            ticket: Digest::of(b"ticket"),
            attached: false,
        };
        let (machine, _) = Request::receive(&now, id, received.clone());
        self.machines.insert(id, machine);
        self.documents.insert(id, document.bytes().to_vec());
        let event = Event::Received(Box::new(received));
        self.push(agent(), Some(id), Body::Request(event));
        id
    }

    /// Applies an event, and what follows from it.
    pub(crate) fn happen(&mut self, id: RequestId, actor: &Actor, event: Event) {
        let now = self.now();
        let mut next = Some(event);
        while let Some(event) = next {
            let machine = self.machines.get_mut(&id).unwrap();
            let effects = machine.apply(&now, &event).unwrap();
            next = effects.into_iter().find_map(|effect| match effect {
                Effect::Follow(event) => Some(*event),
                Effect::Arm(_) | Effect::Wake | Effect::Announce | Effect::Alarm | Effect::Kill => {
                    None
                }
            });
            self.push(actor.clone(), Some(id), Body::Request(event));
        }
    }

    pub(crate) fn open(&mut self, id: RequestId, name: &str) {
        self.later(4_000);
        let display = self.machines[&id].received().display;
        let reviewer = name.to_owned();
        let actor = self.person(name);
        self.happen(id, &actor, Event::Opened { reviewer, display });
    }

    /// Lets an approved action run, and tells of its data as its document lists it.
    pub(crate) fn run(&mut self, id: RequestId, outcome: RunOutcome) {
        self.run_untold(id, outcome);
        let document = Document::read(&self.documents[&id]).unwrap();
        for data in DataAccessed::of(&document, |_| None) {
            let body = serde_json::to_value(data).unwrap();
            self.raw(&agent(), Some(id), "data.accessed", &body);
        }
    }

    /// Lets an approved action run, and leaves it to the caller to tell of its data.
    pub(crate) fn run_untold(&mut self, id: RequestId, outcome: RunOutcome) {
        self.later(700);
        let digest = self.machines[&id].digest();
        let until = Deadline::after(&self.now(), Duration::from_secs(60));
        let executor = Executor::Agent;
        self.happen(
            id,
            &agent(),
            Event::Redeemed {
                executor,
                digest,
                until,
                by: None,
            },
        );
        self.later(10);
        self.happen(id, &agent(), Event::Started { pid: Some(4242) });
        self.later(2_000);
        let end = RunEnd {
            outcome,
            exit: Some(i32::from(outcome == RunOutcome::Failed)),
            signal: None,
            stdout: Some(Digest::of(b"")),
            stderr: None,
            duration_ms: Some(2_000),
        };
        self.happen(id, &agent(), Event::Finished(end));
    }

    /// Puts other people in force.
    pub(crate) fn change_rules(&mut self, people: &[(&str, u8, u32, &[&str])]) {
        self.later(60_000);
        let previous = self.in_force;
        let mut change = self.change(people);
        change.previous = previous;
        change.via = Some(RulesVia::Adoption {
            reason: "nobody else is left to sign".to_owned(),
        });
        self.put_in_force(change);
    }

    /// Has other people proposed, signed for by those in force who are named, and put in force.
    pub(crate) fn sign_rules(&mut self, people: &[(&str, u8, u32, &[&str])], signers: &[&str]) {
        self.later(60_000);
        let before = (self.members.clone(), self.keys.clone(), self.in_force);
        let mut change = self.change(people);
        change.previous = before.2;
        change.via = Some(RulesVia::Signatures {});
        let after = (self.members.clone(), self.keys.clone(), self.in_force);
        (self.members, self.keys, self.in_force) = before;
        self.push_log(LogEvent::RulesProposed {
            rules: change.rules,
            previous: change.previous,
        });
        for name in signers {
            self.sign_for(name, change.rules);
        }
        self.later(50);
        change.at = self.now().wall;
        (self.members, self.keys, self.in_force) = after;
        self.put_in_force(change);
    }

    /// Puts people in force with the word that this only takes away.
    pub(crate) fn remove_people(&mut self, people: &[(&str, u8, u32, &[&str])]) {
        self.later(60_000);
        let previous = self.in_force;
        let mut change = self.change(people);
        change.previous = previous;
        change.via = Some(RulesVia::Removal {});
        self.put_in_force(change);
    }

    /// Has a person sign with a key that is not theirs from now on.
    pub(crate) fn hand_out_key(&mut self, name: &str, seed: u8) {
        self.keys.insert(name.to_owned(), private_key(seed));
    }

    fn put_in_force(&mut self, change: RulesChanged) {
        let event = Event::RulesChanged(Box::new(change));
        let now = self.now();
        for machine in self.machines.values_mut() {
            if !machine.state().has_ended() {
                drop(machine.apply(&now, &event).unwrap());
            }
        }
        self.push(daemon(), None, Body::Request(event));
    }

    /// Appends an entry of a type that the machine does not know.
    pub(crate) fn raw(
        &mut self,
        actor: &Actor,
        request: Option<RequestId>,
        kind: &str,
        body: &Value,
    ) {
        let now = self.now();
        let entry = json!({
            "v": 1, "log": ORIGIN, "seq": self.frontier.size(), "time": now.wall,
            "clock": {"boot": now.boot, "mono_ms": now.mono_ms, "sync": "synced"},
            "type": kind, "actor": actor, "request": request, "separation": "uid", "body": body,
        });
        self.append(json::canonical(&entry).unwrap());
    }

    fn change(&mut self, people: &[(&str, u8, u32, &[&str])]) -> RulesChanged {
        let person = |(name, seed, _, groups): &(&str, u8, u32, &[&str])| Person {
            name: (*name).to_owned(),
            user: format!("user{seed}"),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            keys: vec![private_key(*seed).public_key().to_openssh().unwrap()],
        };
        let roster = Roster::from_people(people.iter().map(person).collect()).unwrap();
        self.members = people
            .iter()
            .map(|(name, _, uid, groups)| Member {
                name: (*name).to_owned(),
                uid: *uid,
                groups: groups.iter().map(|&group| group.to_owned()).collect(),
                keys: roster
                    .by_name(name)
                    .unwrap()
                    .keys()
                    .iter()
                    .map(|key| key.fingerprint().to_owned())
                    .collect(),
            })
            .collect();
        self.keys = people
            .iter()
            .map(|(name, seed, ..)| ((*name).to_owned(), private_key(*seed)))
            .collect();
        let policy =
            b"@id(\"exports\") @review(\"1 of sre\")\npermit (principal, action, resource);\n";
        let rules = json::canonical(&json!({
            "v": 1,
            "members": self.members,
            "allowed_signers": roster.allowed_signers(),
            "configuration": {"policy/exports.cedar": Digest::of(policy)},
        }))
        .unwrap();
        self.in_force = Digest::of(&rules);
        let files = [
            ("rules.json", rules),
            ("policy/exports.cedar", policy.to_vec()),
        ];
        let files = files.map(|(name, bytes)| RulesFile {
            name: name.to_owned(),
            bytes,
        });
        self.rules.insert(self.in_force, files.into());
        RulesChanged {
            rules: self.in_force,
            previous: self.in_force,
            members: self.members.clone(),
            allowed_signers: roster.allowed_signers(),
            break_glass: people
                .iter()
                .map(|(name, ..)| (*name).to_owned())
                .take(1)
                .collect(),
            signing: None,
            via: None,
            at: self.now().wall,
        }
    }

    pub(crate) fn member(&self, name: &str) -> Member {
        let found = self.members.iter().find(|member| member.name == name);
        found.unwrap().clone()
    }

    pub(crate) fn person(&self, name: &str) -> Actor {
        Actor {
            kind: ActorKind::Reviewer,
            id: name.to_owned(),
            uid: Some(self.member(name).uid),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment {
            wall: Timestamp::from_millis(self.wall),
            boot: BootId::new("5d2c4f1e-0000-4000-8000-000000000001"),
            mono_ms: u64::try_from(self.wall % 1_000_000_000).unwrap(),
        }
    }

    pub(crate) fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    fn push_log(&mut self, event: LogEvent) {
        self.push(daemon(), None, Body::Log(event));
    }

    fn push(&mut self, actor: Actor, request: Option<RequestId>, body: Body) {
        let entry = Entry {
            log: ORIGIN.to_owned(),
            seq: self.frontier.size(),
            now: self.now(),
            sync: Sync::Synced,
            actor,
            request,
            separation: Separation::Uid,
            body,
        };
        self.append(entry.to_bytes().unwrap());
    }

    fn append(&mut self, bytes: Vec<u8>) {
        drop(self.frontier.push(leaf_hash(&bytes)).unwrap());
        self.entries.push(bytes);
    }

    /// Signs whatever the entries are now.
    pub(crate) fn note(&self) -> String {
        let mut frontier = Frontier::new();
        for bytes in &self.entries {
            drop(frontier.push(leaf_hash(bytes)).unwrap());
        }
        Checkpoint::new(ORIGIN, frontier.head())
            .unwrap()
            .sign_with(&self.key, self.ending.as_slice())
    }
}

pub(crate) fn daemon() -> Actor {
    Actor {
        kind: ActorKind::Daemon,
        id: "countersignd".to_owned(),
        uid: None,
    }
}

pub(crate) fn agent() -> Actor {
    Actor {
        kind: ActorKind::Agent,
        id: "uid:2001".to_owned(),
        uid: Some(AGENT),
    }
}

fn requirement(ask: Ask<'_>) -> Requirement {
    Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: ask.review.parse().unwrap(),
        }],
        tier: ask.tier,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 3_600,
        grant_s: 300,
        max_run_s: 3_600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    }
}
