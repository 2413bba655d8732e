//! A world for the engine's tests: a log in a directory of its own, a clock that stands still, and
//! people with real keys. The engine runs without its thread, so a test says which calls share a
//! batch and when time is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use countersign_shared::action::Action;
use countersign_shared::digest::Digest;
use countersign_shared::display;
use countersign_shared::document::{Document, Intake};
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint;
use countersign_shared::log::entry::{Body, Entry, Separation};
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::{Frontier, leaf_hash};
use countersign_shared::machine::{
    Event, Executor, Received, Request, RunEnd, RunOutcome, Side, State,
};
use countersign_shared::statement::{
    self, ActKind as StatementKind, Decision, Display, LogHead, Nonce, Requester, Statement,
    Subject, Verdict as Said,
};
use countersign_shared::time::{BootId, Deadline, Moment, Timestamp};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::*;
use crate::clock::Hand;
use crate::judge::{Bench, JudgeError, Signed};
use crate::secrets::Secrets;
use crate::store::StoreError;

pub(super) use super::people::*;

pub(super) const ORIGIN: &str = "countersign/test";
pub(super) const AGENT: u32 = 50_001;
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What an agent asks for.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) uid: u32,
    pub(super) launchers: BTreeSet<u32>,
    pub(super) statement: String,
    pub(super) tool_call: String,
    pub(super) attached: bool,
    pub(super) submission: Option<[u8; 16]>,
    pub(super) known_size: u64,
}

impl Ask {
    pub(super) fn of(statement: &str) -> Self {
        Self {
            uid: AGENT,
            launchers: BTreeSet::new(),
            statement: statement.to_owned(),
            tool_call: String::new(),
            attached: false,
            submission: None,
            known_size: 0,
        }
    }

    pub(super) fn principal(&self) -> String {
        format!("uid:{}", self.uid)
    }
}

/// The engine with everything around it.
pub(super) struct World {
    home: PathBuf,
    pub(super) dir: Option<Arc<TempDir>>,
    pub(super) hand: Hand,
    pub(super) secrets: Secrets,
    pub(super) engine: Engine,
    sender: SyncSender<Call>,
    serial: u64,
}

pub(super) fn moment(boot: &str, wall_s: i64, mono_s: u64) -> Moment {
    Moment {
        wall: Timestamp::from_millis(1_795_294_000_000 + wall_s * 1000),
        boot: BootId::new(boot),
        mono_ms: 1_000_000 + mono_s * 1000,
    }
}

pub(super) fn settings(rules: Rules, clock: Clock) -> Settings {
    Settings {
        origin: ORIGIN.to_owned(),
        key: SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap(),
        clock,
        rules,
        separation: Separation::Uid,
        accept_clock: None,
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(everyone("1 of anyone"))
    }

    pub(super) fn with(rules: Rules) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self::open(dir, rules, moment("a", 0, 0), 0).unwrap()
    }

    /// Opens a world in a directory that somebody else looks after.
    pub(super) fn at(
        home: PathBuf,
        rules: Rules,
        now: Moment,
        serial: u64,
    ) -> Result<Self, BootError> {
        let (clock, hand) = Clock::fixed(now);
        let (sender, receiver) = sync_channel(QUEUE);
        let engine = boot::open(&home.join("state.db"), settings(rules, clock), receiver)?;
        let secrets = Secrets::new([5; 32]);
        Ok(Self {
            home,
            dir: None,
            hand,
            secrets,
            engine,
            sender,
            serial,
        })
    }

    pub(super) fn open(
        dir: Arc<TempDir>,
        rules: Rules,
        now: Moment,
        serial: u64,
    ) -> Result<Self, BootError> {
        let mut world = Self::at(dir.path().to_owned(), rules, now, serial)?;
        world.dir = Some(dir);
        Ok(world)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.home.join("state.db")
    }

    /// Runs SQL as foreign hands would.
    pub(super) fn execute(&self, sql: &str) {
        rusqlite::Connection::open(self.database())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    /// Closes the database, and returns what is left of the world: the directory.
    pub(super) fn close(self) -> Arc<TempDir> {
        self.dir.unwrap()
    }

    /// Drops the engine as a crash would, and starts another one on what is on the disk.
    pub(super) fn crash_and_start(self, now: Moment) -> Self {
        let rules = (*self.engine.rules).clone();
        let serial = self.serial;
        Self::open(self.close(), rules, now, serial).unwrap()
    }

    pub(super) fn advance(&mut self, span: Duration) {
        self.hand.advance(span);
        self.engine.sweep();
    }

    /// Makes one call, in a batch of its own.
    pub(super) fn ask<T>(&mut self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, EngineError> {
        let (reply, mut answer) = oneshot::channel();
        self.engine.turn(call(reply));
        answer.try_recv().unwrap()
    }

    /// Makes calls that share one batch.
    pub(super) fn batch<T>(
        &mut self,
        calls: Vec<Box<dyn FnOnce(Reply<T>) -> Call>>,
    ) -> Vec<Result<T, EngineError>> {
        let mut answers = Vec::new();
        for call in calls {
            let (reply, answer) = oneshot::channel();
            self.push(call(reply));
            answers.push(answer);
        }
        self.drain();
        answers
            .iter_mut()
            .map(|answer| answer.try_recv().unwrap())
            .collect()
    }

    /// Puts a call into the queue.
    pub(super) fn push(&self, call: Call) {
        self.sender.try_send(call).unwrap();
    }

    /// Serves everything in the queue.
    pub(super) fn drain(&mut self) {
        while let Ok(first) = self.engine.calls.try_recv() {
            self.engine.turn(first);
        }
    }

    pub(super) fn draft(&mut self, ask: &Ask) -> Draft {
        self.serial += 1;
        let submission = ask.submission.unwrap_or_else(|| {
            let mut serial = [0xff; 16];
            serial[..8].copy_from_slice(&self.serial.to_be_bytes());
            serial
        });
        let id = self.secrets.request_id(&ask.principal(), submission);
        let action = json!({
            "v": 1, "kind": "sql.exec",
            "target": {"kind": "database", "name": "orders"},
            "arguments": {"statement": ask.statement},
        });
        let submitted = countersign_shared::json::canonical(&action).unwrap();
        let rules = Arc::clone(&self.engine.rules);
        Action::read(&submitted, &rules.limits).unwrap();
        let now = self.engine.clock.now();
        let requirement = rules.default_requirement.clone();
        let expires = Deadline::after(&now, Duration::from_secs(requirement.ttl_s.into()));
        let document = Document::build(Intake {
            id,
            origin: ORIGIN.to_owned(),
            received_at: now.wall,
            expires_at: expires.wall,
            salt: [3; 32],
            requester: json!({"uid": ask.uid, "user": "agent", "pid": 4711}),
            requirement: json!(requirement),
            rules: rules.digest,
            facts: json!({}),
            action,
        })
        .unwrap();
        let rendering = display::render(document.bytes()).unwrap();
        let received = Received {
            digest: document.digest(),
            display: rendering.digest(),
            displayable: rendering.complete,
            mode: rules.mode,
            side: Side {
                uid: ask.uid,
                launchers: ask.launchers.clone(),
                owner: None,
            },
            requirement,
            rules: rules.digest,
            expires,
            ticket: self.secrets.ticket(id).digest(),
            attached: ask.attached,
        };
        Draft {
            id,
            card: Card::of(&document),
            document: document.bytes().into(),
            received,
            sameness: self.secrets.sameness(&ask.principal(), &submitted),
            principal: ask.principal(),
            ask_key: ask.tool_call.clone(),
            known_size: ask.known_size,
        }
    }

    pub(super) fn try_submit(&mut self, ask: &Ask) -> Result<Submitted, EngineError> {
        let draft = Box::new(self.draft(ask));
        self.ask(|reply| Call::Submit(draft, reply))
    }

    pub(super) fn submit(&mut self, statement: &str) -> RequestId {
        self.try_submit(&Ask::of(statement)).unwrap().id
    }

    pub(super) fn right(&self, id: RequestId) -> Right {
        Right {
            principal: format!("uid:{AGENT}"),
            ticket: self.secrets.ticket(id).digest(),
        }
    }

    pub(super) fn view(&mut self, id: RequestId) -> Arc<View> {
        self.ask(|reply| Call::Get(id.to_string(), reply)).unwrap()
    }

    pub(super) fn state(&mut self, id: RequestId) -> State {
        self.view(id).request.state()
    }

    fn log_head(&self) -> LogHead {
        let head = self.engine.tail.frontier().head();
        LogHead {
            origin: ORIGIN.to_owned(),
            size: head.size,
            root: Digest::from_bytes(*head.root.as_bytes()),
        }
    }

    /// Signs a decision as a console would, and checks it as the socket does.
    pub(super) fn verdict(&mut self, id: RequestId, person: &Person, said: Said) -> Box<Verdict> {
        let decision = self.statement(id, person, said);
        Box::new(self.judge(id, person, person, decision).unwrap())
    }

    /// Returns what a console would have the person sign.
    pub(super) fn statement(&mut self, id: RequestId, person: &Person, said: Said) -> Decision {
        let view = self.view(id);
        let rendering = display::render(&view.document).unwrap();
        let now = self.engine.now().wall;
        self.serial += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.serial.to_be_bytes());
        Decision {
            request: id,
            digest: view.request.digest(),
            verdict: said,
            reason: "because".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: statement::Assurance::File,
            self_attested: false,
            requester: Requester {
                uid: view.card.uid,
                user: view.card.user.clone(),
                unit: None,
                container: None,
            },
            rules: self.engine.rules.digest,
            display: Display {
                sha256: rendering.digest(),
                complete: rendering.complete,
                masked: Vec::new(),
            },
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes(nonce),
            log: self.log_head(),
        }
    }

    /// Signs a decision with one person's key and hands it in from another's account.
    pub(super) fn judge(
        &mut self,
        id: RequestId,
        caller: &Person,
        signer: &Person,
        decision: Decision,
    ) -> Result<Verdict, JudgeError> {
        let bytes = Statement::Decision(decision).to_bytes().unwrap();
        let sshsig = signer.sign(Decision::NAMESPACE, &bytes);
        self.judge_bytes(id, caller, &bytes, &sshsig)
    }

    /// Hands in a statement and a signature as they are.
    pub(super) fn judge_bytes(
        &mut self,
        id: RequestId,
        caller: &Person,
        statement: &[u8],
        sshsig: &str,
    ) -> Result<Verdict, JudgeError> {
        let view = self.view(id);
        let rules = Arc::clone(&self.engine.rules);
        let bench = self.bench(&rules, caller, statement);
        bench.decision(&view, Signed { statement, sshsig })
    }

    fn bench<'a>(&mut self, rules: &'a Rules, person: &Person, statement: &[u8]) -> Bench<'a> {
        let size = crate::judge::head_size(statement).unwrap();
        let root = self.ask(|reply| Call::Root(size, reply)).unwrap();
        let now = self.engine.now().wall;
        Bench {
            rules,
            origin: ORIGIN,
            uid: person.uid,
            now,
            root,
        }
    }

    pub(super) fn decide(
        &mut self,
        id: RequestId,
        person: &Person,
        said: Said,
    ) -> Result<Decided, EngineError> {
        let verdict = self.verdict(id, person, said);
        self.ask(|reply| Call::Decide(id, verdict, reply))
    }

    pub(super) fn approve(&mut self, id: RequestId, person: &Person) -> Decided {
        self.decide(id, person, Said::Approve).unwrap()
    }

    pub(super) fn act(
        &mut self,
        id: RequestId,
        person: &Person,
        (named, kind): (StatementKind, ActKind),
    ) -> Result<State, EngineError> {
        let view = self.view(id);
        let now = self.engine.now().wall;
        let outcome = (named == StatementKind::Settle).then_some(statement::Outcome::Succeeded);
        let statement = Statement::Act(statement::Act {
            kind: named,
            subject: Subject::Request {
                id,
                digest: view.request.digest(),
            },
            outcome,
            reason: "because".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: statement::Assurance::File,
            rules: self.engine.rules.digest,
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes([1; 16]),
            log: self.log_head(),
        });
        let bytes = statement.to_bytes().unwrap();
        let sshsig = person.sign(named.namespace(), &bytes);
        let rules = Arc::clone(&self.engine.rules);
        let bench = self.bench(&rules, person, &bytes);
        let signed = Signed {
            statement: &bytes,
            sshsig: &sshsig,
        };
        let act = Box::new(bench.act(named, &view, signed).unwrap());
        self.ask(|reply| Call::Act(id, kind, act, reply))
    }

    pub(super) fn redeem(&mut self, id: RequestId) -> Result<(Inclusion, Deadline), EngineError> {
        let right = self.right(id);
        let digest = self.view(id).request.digest();
        self.ask(|reply| {
            Call::Redeem(
                id,
                right,
                Use {
                    digest,
                    executor: Executor::Agent,
                    known_size: 0,
                },
                reply,
            )
        })
    }

    pub(super) fn report(&mut self, id: RequestId, report: Report) -> Result<State, EngineError> {
        let right = self.right(id);
        self.ask(|reply| Call::Report(id, right, report, reply))
    }

    pub(super) fn change_rules(&mut self, rules: Rules) -> Result<(), EngineError> {
        self.ask(|reply| Call::Rules(Arc::new(rules), reply))
    }

    /// Returns the type of every entry.
    pub(super) fn types(&self) -> Vec<String> {
        entries(&self.engine.store)
            .iter()
            .map(|entry| entry.body.entry_type().to_owned())
            .collect()
    }

    /// Returns the digests before and after of every change of rules in the log.
    pub(super) fn rule_changes(&self) -> Vec<(Digest, Digest)> {
        entries(&self.engine.store)
            .into_iter()
            .filter_map(|entry| match entry.body {
                Body::Request(Event::RulesChanged(change)) => Some((change.previous, change.rules)),
                Body::Request(_) | Body::Log(_) => None,
            })
            .collect()
    }

    /// Returns the time of the last entry.
    pub(super) fn last_wall(&self) -> Timestamp {
        entries(&self.engine.store).last().unwrap().now.wall
    }

    /// Checks memory, rows and log against each other.
    pub(super) fn check(&self) {
        check_store(&self.engine.store);
        assert!(self.engine.staged.is_empty(), "a copy outlived its batch");
        let (frontier, note) = self.engine.store.head().unwrap().unwrap();
        assert_eq!(frontier.head(), self.engine.tail.frontier().head());
        assert_eq!(note, self.engine.note);
        let mut open = 0;
        self.engine
            .store
            .each_request::<StoreError>(|row| {
                let live = self.engine.live.get(&row.request.id());
                assert_eq!(live.is_some(), !row.request.state().has_ended());
                if let Some(live) = live {
                    open += 1;
                    assert_eq!(live.request, row.request, "memory and row differ");
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(open, self.engine.live.len());
    }
}

pub(super) fn entries(store: &Store) -> Vec<Entry> {
    let mut entries = Vec::new();
    store
        .each_entry::<StoreError>(0, |at, data, hash| {
            assert_eq!(
                leaf_hash(data).as_bytes(),
                hash,
                "entry {at} has another hash"
            );
            let entry = Entry::read(data).unwrap();
            assert_eq!(entry.seq, at);
            entries.push(entry);
            Ok(true)
        })
        .unwrap();
    entries
}

/// Checks a log that nobody writes now: hashes, head, order of time, and that replaying the entries
/// through the machine gives exactly the rows.
pub(super) fn check_store(store: &Store) {
    let entries = entries(store);
    let mut frontier = Frontier::new();
    let mut machines: BTreeMap<[u8; 16], Request> = BTreeMap::new();
    let mut last = Timestamp::from_millis(0);
    for entry in &entries {
        frontier
            .push(leaf_hash(&entry.to_bytes().unwrap()))
            .unwrap();
        if entry.body.entry_type() != "clock.jumped" {
            assert!(
                entry.now.wall >= last,
                "entry {} goes back in time",
                entry.seq
            );
        }
        last = entry.now.wall;
        match (&entry.body, entry.request) {
            (Body::Request(Event::Received(received)), Some(id)) => {
                let (request, _) = Request::receive(&entry.now, id, (**received).clone());
                assert!(machines.insert(*id.as_bytes(), request).is_none());
            }
            (Body::Request(event), Some(id)) => {
                let machine = machines.get_mut(id.as_bytes()).unwrap();
                drop(machine.apply(&entry.now, event).unwrap());
            }
            (Body::Request(event), None) => {
                for machine in machines.values_mut().filter(|it| !it.state().has_ended()) {
                    drop(machine.apply(&entry.now, event).unwrap());
                }
            }
            (Body::Log(_), request) => assert_eq!(request, None),
        }
    }
    let (stored, note) = store.head().unwrap().unwrap();
    assert_eq!(stored.head(), frontier.head());
    let keys = [SignerKey::from_seed(ORIGIN, &[9; 32])
        .unwrap()
        .verifier()
        .clone()];
    let head = checkpoint::open(&note, &keys, ORIGIN).unwrap();
    assert_eq!(*head.head(), frontier.head());
    let mut rows = 0;
    store
        .each_request::<StoreError>(|row| {
            rows += 1;
            let machine = machines.get(row.request.id().as_bytes());
            assert_eq!(machine, Some(&row.request), "row and log differ");
            assert!(row.request.owed().is_none());
            Ok(())
        })
        .unwrap();
    assert_eq!(rows, machines.len());
}

pub(super) fn ended_well() -> Report {
    Report::Finished(RunEnd {
        outcome: RunOutcome::Succeeded,
        exit: Some(0),
        signal: None,
        stdout: None,
        stderr: None,
        duration_ms: Some(12),
    })
}
