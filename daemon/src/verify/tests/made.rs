//! A log made by a real engine, with real signatures: what the tampering starts from.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::display;
use countersign_shared::document::{Document, Intake};
use countersign_shared::id::RequestId;
use countersign_shared::limits::Limits;
use countersign_shared::log::note::SignerKey;
use countersign_shared::machine::{Act, Event, Mode, Received, Redeemer, RunEnd, RunOutcome, Side};
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use countersign_shared::roster::{self, Roster};
use countersign_shared::sshsig::{self, Envelope, signed_data};
use countersign_shared::statement::{
    self, ActKind as Kind, Display, LogHead, Nonce, Outcome, Requester, Statement, Subject,
    Verdict as Said,
};
use countersign_shared::time::{BootId, Deadline, Moment, Timestamp};
use ed25519_dalek::Signer as _;
use serde_json::json;
use ssh_key::public::{Ed25519PublicKey, KeyData};
use ssh_key::{Algorithm, PublicKey, Signature};

use crate::clock::{Clock, Hand};
use crate::engine::{
    ActKind, Call, Card, Command, Draft, Emergency, Engine, EngineError, Handle, Judged, NewRules,
    Proposed, Query, Reply, Report, Reporter, Right, RulesWord, Settings, Taker, Use, View, WordOn,
};
use crate::judge::{Bench, Signed};
use crate::keyring::Keyring;
use crate::rules::Rules;

pub(crate) mod cosigned;

pub(crate) const ORIGIN: &str = "countersign/test";
const AGENT: u32 = 50_001;
/// The process that redeems and reports.
const EXECUTOR: Reporter = Reporter {
    run: None,
    pid: 4712,
    started: Some(99),
};
const TICKET: Digest = Digest::from_bytes([8; 32]);

/// The log's key.
pub(crate) fn log_key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
}

/// A person with a key.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(super) name: &'static str,
    uid: u32,
    seed: u8,
}

pub(crate) const ANA: Person = Person {
    name: "ana",
    uid: 60_001,
    seed: 1,
};
pub(crate) const BO: Person = Person {
    name: "bo",
    uid: 60_002,
    seed: 2,
};

/// Somebody with a key of their own who says that they are Ana.
pub(crate) const THIEF: Person = Person {
    name: "ana",
    uid: 60_001,
    seed: 77,
};

impl Person {
    fn secret(self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&[self.seed; 32])
    }

    pub(super) fn public(self) -> PublicKey {
        PublicKey::from(KeyData::Ed25519(Ed25519PublicKey(
            self.secret().verifying_key().to_bytes(),
        )))
    }

    fn sign(self, namespace: &str, message: &[u8]) -> String {
        let raw = self
            .secret()
            .sign(&signed_data(namespace, message).unwrap());
        let signature = Signature::new(Algorithm::Ed25519, raw.to_bytes()).unwrap();
        Envelope::new(&self.public(), namespace, signature)
            .unwrap()
            .to_armored()
            .unwrap()
    }
}

fn rules(people: &[Person]) -> Rules {
    let roster = Roster::from_people(
        people
            .iter()
            .map(|person| roster::Person {
                name: person.name.to_owned(),
                user: person.name.to_owned(),
                groups: vec!["sre".to_owned()],
                keys: vec![person.public().to_openssh().unwrap()],
            })
            .collect(),
    )
    .unwrap();
    let members = people
        .iter()
        .map(|person| Member {
            name: person.name.to_owned(),
            uid: person.uid,
            groups: BTreeSet::from(["sre".to_owned()]),
            keys: BTreeSet::from([sshsig::fingerprint(&person.public())]),
        })
        .collect();
    let requirement = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: "1 of sre".parse().unwrap(),
        }],
        tier: Tier::Medium,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 3600,
        grant_s: 300,
        max_run_s: 600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    let mut rules = Rules::holding_all(
        Mode::System,
        roster,
        members,
        requirement,
        Limits::default(),
    );
    let names: Vec<&str> = people.iter().map(|person| person.name).collect();
    rules.list_for_break_glass(&names);
    rules
}

/// What a console shows of a request.
fn shown(view: &View) -> Display {
    let rendering = display::render(&view.document).unwrap();
    Display {
        sha256: rendering.digest(),
        complete: rendering.complete,
        masked: Vec::new(),
    }
}

struct Maker {
    runtime: tokio::runtime::Runtime,
    engine: Handle,
    hand: Hand,
    clock: Clock,
    rules: Arc<Rules>,
    serial: u8,
}

impl Maker {
    fn new(path: &Path) -> Self {
        let rules = rules(&[ANA, BO]);
        let start = Moment {
            wall: Timestamp::from_millis(1_795_294_000_000),
            boot: BootId::new("a"),
            mono_ms: 1_000_000,
        };
        let (clock, hand) = Clock::fixed(start);
        let settings = Settings {
            origin: ORIGIN.to_owned(),
            keys: Keyring::in_memory(ORIGIN, [9; 32]).unwrap(),
            clock: clock.clone(),
            rules: rules.clone(),
            adopt: None,
            accept_clock: None,
            keep_documents: None,
        };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            engine: Engine::start(path, settings).unwrap(),
            hand,
            clock,
            rules: Arc::new(rules),
            serial: 0,
        }
    }

    fn ask<T, C: Into<Call>>(&self, call: impl FnOnce(Reply<T>) -> C) -> T {
        self.try_ask(call).unwrap()
    }

    fn try_ask<T, C: Into<Call>>(
        &self,
        call: impl FnOnce(Reply<T>) -> C,
    ) -> Result<T, EngineError> {
        self.runtime.block_on(self.engine.ask(call))
    }

    fn submit(&mut self) -> RequestId {
        self.hand.advance(Duration::from_secs(1));
        self.serial += 1;
        let id = RequestId::from_bytes([self.serial; 16]);
        let now = self.clock.now();
        let action = json!({
            "v": 1, "kind": "sql.exec",
            "target": {"kind": "database", "name": "orders"},
            "arguments": {"statement": format!("DELETE FROM orders WHERE id = {}", self.serial)},
            "data": [
                {"name": "orders", "classification": "pii", "access": "delete", "records": 1,
                    "destination": null},
            ],
            "claims": {"agent": "etl-3"},
        });
        let (facts, judgement) = self.rules.judge_in_test(&action, now.wall);
        let requirement = judgement.requirement().unwrap().clone();
        let expires = Deadline::after(&now, Duration::from_secs(3600));
        let document = Document::build(Intake {
            id,
            origin: ORIGIN.to_owned(),
            received_at: now.wall,
            expires_at: expires.wall,
            salt: [3; 32],
            requester: json!({"uid": AGENT, "user": "agent", "pid": 4711}),
            requirement: json!(requirement),
            rules: self.rules.digest,
            facts,
            action,
        })
        .unwrap();
        let rendering = display::render(document.bytes()).unwrap();
        let received = Received {
            digest: document.digest(),
            display: rendering.digest(),
            displayable: rendering.complete,
            mode: self.rules.mode,
            side: Side {
                uid: AGENT,
                launchers: BTreeSet::new(),
                owner: None,
            },
            requirement,
            rules: self.rules.digest,
            expires,
            ticket: TICKET,
            attached: false,
        };
        let draft = Draft {
            id,
            card: Card::of(&document),
            document: document.bytes().into(),
            received,
            judged: Judged {
                outcome: judgement.outcome(),
                policies: judgement.policies().to_vec(),
                because: judgement.because(),
            },
            principal: format!("uid:{AGENT}"),
            sameness: [self.serial; 32],
            ask_key: String::new(),
            known_size: 0,
            use_at_once: None,
        };
        self.ask(|reply| Command::Submit(Box::new(draft), reply)).id
    }

    fn right() -> Right {
        Right {
            principal: format!("uid:{AGENT}"),
            ticket: TICKET,
        }
    }

    fn view(&self, id: RequestId) -> Arc<View> {
        self.ask(|reply| Query::Get(id.to_string(), reply))
    }

    fn head(&self) -> LogHead {
        let size = self.ask(|reply| Query::Head(0, reply)).size;
        let root = self.ask(|reply| Query::Root(size, reply)).unwrap();
        LogHead {
            origin: ORIGIN.to_owned(),
            size,
            root: Digest::from_bytes(*root.as_bytes()),
        }
    }

    fn bench(&self, person: Person, statement: &[u8]) -> Bench<'_> {
        let size = crate::judge::head_size(statement).unwrap();
        Bench {
            rules: &self.rules,
            origin: ORIGIN,
            uid: person.uid,
            now: self.clock.now().wall,
            root: self.ask(|reply| Query::Root(size, reply)),
        }
    }

    fn decide(&mut self, id: RequestId, person: Person, verdict: Said) {
        self.hand.advance(Duration::from_secs(1));
        let view = self.view(id);
        let now = self.clock.now().wall;
        let statement = Statement::Decision(statement::Decision {
            request: id,
            digest: view.request.digest(),
            verdict,
            reason: "looked at it".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: Assurance::File,
            self_attested: false,
            requester: Requester {
                uid: AGENT,
                user: "agent".to_owned(),
                unit: None,
                container: None,
            },
            rules: self.rules.digest,
            display: shown(&view),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes([self.serial; 16]),
            log: self.head(),
        });
        let bytes = statement.to_bytes().unwrap();
        let sshsig = person.sign(statement.namespace(), &bytes);
        let signed = Signed {
            statement: &bytes,
            sshsig: &sshsig,
        };
        let verdict = self.bench(person, &bytes).decision(&view, signed).unwrap();
        self.ask(|reply| Command::Decide(id, Box::new(verdict), reply));
    }

    fn act(&mut self, id: RequestId, person: Person, kind: Kind, act: ActKind) {
        let judged = self.signed(id, person, kind);
        self.ask(|reply| Command::Act(id, act, Box::new(judged), reply));
    }

    fn break_glass(&mut self, id: RequestId, person: Person) {
        let emergency = Box::new(Emergency {
            act: self.signed(id, person, Kind::BreakGlass),
            rules: self.rules.digest,
            known_size: 0,
        });
        self.ask(|reply| Command::BreakGlass(id, emergency, reply));
    }

    fn signed(&mut self, id: RequestId, person: Person, kind: Kind) -> Act {
        self.hand.advance(Duration::from_secs(1));
        let view = self.view(id);
        let now = self.clock.now().wall;
        let statement = Statement::Act(statement::Act {
            kind,
            subject: Subject::Request {
                id,
                digest: view.request.digest(),
            },
            outcome: (kind == Kind::Settle).then_some(Outcome::Failed),
            display: (kind == Kind::BreakGlass).then(|| shown(&view)),
            reason: "it must be".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: Assurance::File,
            rules: self.rules.digest,
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes([self.serial; 16]),
            log: self.head(),
        });
        let bytes = statement.to_bytes().unwrap();
        let sshsig = person.sign(kind.namespace(), &bytes);
        let signed = Signed {
            statement: &bytes,
            sshsig: &sshsig,
        };
        self.bench(person, &bytes).act(kind, &view, signed).unwrap()
    }

    fn open(&self, id: RequestId, person: Person) {
        let display = self.view(id).request.received().display;
        self.ask(|reply| Command::Open(id, person.name.to_owned(), display, reply));
        self.ask(|reply| Command::Claim(id, person.name.to_owned(), reply));
    }

    fn redeem(&self, id: RequestId) {
        let digest = self.view(id).request.digest();
        self.ask(|reply| {
            Command::Redeem(
                id,
                Self::right(),
                Use {
                    digest,
                    by: Taker::Agent(Redeemer {
                        pid: EXECUTOR.pid,
                        started: EXECUTOR.started,
                        stays: true,
                        run: Digest::of(b"run secret"),
                    }),
                    known_size: 0,
                },
                reply,
            )
        });
    }

    fn report(&self, id: RequestId, report: Report) {
        self.ask(|reply| Command::Report(id, Self::right(), EXECUTOR, report, reply));
    }

    fn change_rules(&mut self, people: &[Person]) {
        self.hand.advance(Duration::from_secs(1));
        let rules = Arc::new(rules(people));
        let new = NewRules::of(&self.rules, Arc::clone(&rules)).unwrap();
        let force = self.ask(|reply| Command::Rules(Box::new(new), reply));
        if let Some(proposed) = force.proposed {
            self.hand.advance(Duration::from_secs(1));
            let act = self.sign_rules(BO, &proposed);
            let word = Box::new(RulesWord {
                act,
                on: WordOn::Proposal,
                rules: rules.digest,
                under: self.rules.digest,
                known_size: 0,
            });
            assert!(self.ask(|reply| Command::SignRules(word, reply)).in_force);
        }
        self.rules = rules;
    }

    fn sign_rules(&self, person: Person, proposed: &Proposed) -> Act {
        let now = self.clock.now().wall;
        let change = (self.rules.digest, proposed.rules.digest);
        let statement = Statement::Act(statement::Act {
            kind: Kind::Rules,
            subject: Subject::Rules { digest: change.1 },
            outcome: None,
            display: None,
            reason: "read it".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: Assurance::File,
            rules: change.0,
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes([self.serial; 16]),
            log: self.head(),
        });
        let bytes = statement.to_bytes().unwrap();
        let sshsig = person.sign(statement.namespace(), &bytes);
        let signed = Signed {
            statement: &bytes,
            sshsig: &sshsig,
        };
        let bench = self.bench(person, &bytes);
        bench.rules_word(change, proposed.at, signed).unwrap()
    }

    /// Lives through everything that a log of one boot can hold.
    fn live(&mut self, rounds: u8) {
        for _ in 0..rounds {
            let run = self.submit();
            self.open(run, ANA);
            self.decide(run, ANA, Said::Approve);
            self.redeem(run);
            self.report(run, Report::Started { pid: Some(7) });
            let end = RunEnd {
                outcome: RunOutcome::Succeeded,
                exit: Some(0),
                signal: None,
                stdout: None,
                stderr: None,
                duration_ms: Some(12),
            };
            self.report(run, Report::Finished(end));

            let denied = self.submit();
            self.open(denied, BO);
            self.ask(|reply| Command::Release(denied, BO.name.to_owned(), reply));
            self.decide(denied, BO, Said::Deny);

            let revoked = self.submit();
            self.act(revoked, ANA, Kind::Escalate, ActKind::Escalate);
            self.decide(revoked, ANA, Said::Approve);
            self.act(revoked, BO, Kind::Revoke, ActKind::Revoke);

            let lost = self.submit();
            self.decide(lost, ANA, Said::Approve);
            self.redeem(lost);
            self.engine.tell(Command::ExecutorGone(lost));
            self.act(lost, BO, Kind::Settle, ActKind::Settle(Outcome::Failed));

            let urgent = self.submit();
            self.break_glass(urgent, ANA);
            self.act(urgent, BO, Kind::CloseDebt, ActKind::CloseDebt);
            let owing = self.submit();
            self.break_glass(owing, BO);

            let withdrawn = self.submit();
            self.ask(|reply| Command::Withdraw(withdrawn, Self::right(), reply));

            let mismatch = self.submit();
            self.decide(mismatch, BO, Said::Approve);
            self.redeem(mismatch);
            self.report(
                mismatch,
                Report::NotRun {
                    because: "mismatch".to_owned(),
                },
            );
        }
        // Two approvals rest on the person who leaves, and fall with her.
        for _ in 0..2 {
            let fallen = self.submit();
            self.decide(fallen, ANA, Said::Approve);
        }
        let pending = self.submit();
        self.change_rules(&[BO]);
        self.open(pending, BO);
        self.submit();
        self.change_rules(&[ANA, BO]);
        self.change_rules(&[BO]);
        self.change_rules(&[ANA, BO]);
        let late = self.submit();
        self.decide(late, ANA, Said::Deny);
    }
}

/// The bytes of the database, made once.
pub(crate) static DATABASE: LazyLock<Vec<u8>> = LazyLock::new(|| lived(2));

/// The bytes of one with more than 300 entries.
pub(crate) static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| lived(6));

fn lived(rounds: u8) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let mut maker = Maker::new(&path);
    maker.live(rounds);
    maker.ask(Call::Stop);
    stored(&path)
}

/// Returns a database as one file.
fn stored(path: &Path) -> Vec<u8> {
    let copy = path.with_extension("copy");
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    std::fs::read(copy).unwrap()
}

/// A log that an engine is still writing.
pub(crate) fn still_serving(path: &Path) -> impl Drop + use<> {
    struct Serving(Maker);
    impl Drop for Serving {
        fn drop(&mut self) {
            self.0.submit();
            self.0.ask(Call::Stop);
        }
    }
    let mut maker = Maker::new(path);
    let id = maker.submit();
    maker.decide(id, BO, Said::Approve);
    Serving(maker)
}

/// Tells whether an entry records a decision.
pub(crate) fn is_decision(entry: &countersign_shared::log::entry::Entry) -> bool {
    matches!(
        &entry.body,
        countersign_shared::log::entry::Body::Request(Event::Decided(_))
    )
}
