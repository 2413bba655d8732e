//! The engine: the one owner of machines, log and database.
//!
//! It runs on a thread of its own and takes [`Call`]s from one queue. What changes state is
//! gathered into a batch: each call is a step of one transaction, and is answered after the commit,
//! or told that the log is unavailable (R6, R7). What only reads is answered from what is
//! committed. Sockets, signatures and documents are not its business: calls arrive checked as far as
//! they can be checked without the state.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Actor, ActorKind, ErasedEarly, LogEvent, Separation};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::machine::State;
use countersign_shared::time::{Moment, Timestamp};
use tokio::sync::{broadcast, watch};

use crate::clock::Clock;
use crate::rules::Rules;
use crate::store::{LogTail, Store};
use crate::stream::Released;

mod accessing;
mod batch;
mod boot;
mod call;
mod card;
mod cosigning;
mod deciding;
mod erasing;
mod error;
mod executing;
mod force;
mod handle;
mod heads;
mod history;
mod index;
mod live;
pub(crate) mod mark;
mod pruning;
mod queue;
mod reads;
mod refusing;
mod reserve;
mod rotating;
mod submitting;
mod sweep;
#[cfg(test)]
mod tests;
mod writes;

pub use boot::{BootError, Settings};
pub use call::{
    ActKind, Brokered, Call, Change, Command, Consistency, Decided, Draft, Emergency, Following,
    Head, Inclusion, Judged, Owed, Query, Reply, Report, Reporter, Right, Snapshot, Standing,
    Submitted, Taker, Use, Verdict, View,
};
pub use card::Card;
pub use cosigning::Cosigned;
pub use error::EngineError;
pub use force::{Adopted, Force, NewRules, Proposed, RulesSigned, RulesWord, WordOn};
pub use handle::Handle;
pub use history::History;
pub use mark::MarkError;
pub use pruning::{Gone, Prune};
pub use rotating::Rotated;

use batch::{Changed, New, Scene, Step};
use index::Index;
use live::Live;
use mark::Mark;
use queue::{Exit, Lane, Room, queue};
use reserve::Reserve;
use rotating::Signers;

/// How many calls may wait for the engine before callers are told that it is busy.
const QUEUE: Room = Room {
    people: 1024,
    agents: 4096,
};

/// How many calls share one commit at most.
const BATCH: usize = 256;

/// How far the wall clock may be behind the log before approvals stop (R10).
const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

/// How many changes a slow follower may be behind before it has to start anew.
const CHANGES: usize = 4096;

/// The engine's state. Only its own thread touches it.
#[derive(Debug)]
pub struct Engine {
    store: Store,
    clock: Clock,
    rules: Arc<Rules>,
    /// The same, and what stands beside them, for whoever asks.
    published: watch::Sender<Force>,
    /// The newest head, for whoever streams the log.
    released: watch::Sender<Released>,
    signers: Signers,
    tail: LogTail,
    note: String,
    /// What witnesses wrote below it.
    cosignatures: cosigning::Lines,
    separation: Separation,
    live: HashMap<RequestId, Live>,
    /// Counts and keys of what is in `live`.
    index: Index,
    /// What each user did lately.
    history: History,
    /// The copies that the open batch has changed so far.
    staged: HashMap<RequestId, Changed>,
    calls: Exit,
    changes: broadcast::Sender<Change>,
    counts: BTreeMap<u32, BTreeMap<&'static str, u64>>,
    counting_since: Option<Moment>,
    next_waiter: u64,
    /// The time of the last entry: entries never go back.
    last: Timestamp,
    draining: bool,
    /// Whether the last batch could not be made durable.
    down: bool,
    /// The last head that the journal was told.
    told: heads::Told,
    /// Whether the open batch wrote something of which no entry tells.
    unlogged: bool,
    /// Room for a "no" on a full disk.
    reserve: Reserve,
    /// How far the log has come, outside the database; nothing while the log is not the one it was.
    mark: Option<Mark>,
    /// How long documents are kept.
    retention: erasing::Retention,
    /// The boot time of the last look at the deadlines, in milliseconds.
    swept_ms: u64,
}

/// An answer that is held back until the batch is durable.
type Answer = Box<dyn FnOnce(&mut Engine, bool) + Send>;

impl Engine {
    /// Opens the database, checks it against the log's key and the rules, and starts the thread.
    ///
    /// # Errors
    ///
    /// When the database is damaged, of a newer program, or of another log.
    pub fn start(path: &Path, settings: Settings) -> Result<Handle, BootError> {
        let (entrance, exit) = queue(QUEUE);
        // A panic drops it as well.
        let (here, alive) = watch::channel(());
        let engine = boot::open(path, settings, exit)?;
        let history = engine.history.clone();
        let force = engine.published.subscribe();
        let released = engine.released.subscribe();
        let key = engine.signers.in_force.verifier().clone();
        let spans = engine.signers.keys.spans().iter();
        let keys = spans.map(|span| span.key.clone()).collect();
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                engine.run();
                drop(here);
            })
            .map_err(BootError::Thread)?;
        Ok(Handle {
            calls: Arc::new(entrance),
            lane: Lane::People,
            history,
            force,
            released,
            key,
            keys,
            alive,
        })
    }

    /// Goes on from a database that is older than the log had been, for a reason that is recorded.
    /// Whatever waits or is approved there is invalidated. Returns what was lost, in words.
    ///
    /// # Errors
    ///
    /// When nothing was lost, or the database cannot be used at all.
    pub fn adopt_rollback(
        path: &Path,
        settings: Settings,
        reason: String,
    ) -> Result<String, BootError> {
        let (_, exit) = queue(QUEUE);
        boot::adopt(path, settings, reason, exit)
    }

    /// Erases the document of a request that is over before its time, which stands in the log. Tells
    /// whether its bytes are gone from the database's journal as well; not while somebody reads.
    ///
    /// # Errors
    ///
    /// When the request is not over, or the database cannot be used at all.
    pub fn erase_early(
        path: &Path,
        settings: Settings,
        id: RequestId,
        by: ErasedEarly,
    ) -> Result<bool, BootError> {
        let (_, exit) = queue(QUEUE);
        erasing::early(path, settings, id, by, exit)
    }

    /// Prunes the log, which has to have been handed out before.
    ///
    /// # Errors
    ///
    /// When the database cannot be used; then everything is there.
    pub fn prune(path: &Path, settings: Settings, order: Prune) -> Result<Gone, BootError> {
        let (_, exit) = queue(QUEUE);
        pruning::prune(path, settings, order, exit)
    }

    /// Makes the log's next key and signs with both for `overlap`, for a reason that is recorded.
    ///
    /// # Errors
    ///
    /// When an earlier rotation is not over, or the log cannot be used.
    pub fn rotate(
        path: &Path,
        settings: Settings,
        overlap: Duration,
        reason: String,
    ) -> Result<Rotated, BootError> {
        rotating::rotate(path, settings, overlap, reason)
    }

    /// Ends the log's old key before its time, for a reason that is recorded. Returns it.
    ///
    /// # Errors
    ///
    /// When there is none, or the log cannot be used.
    pub fn end_old_key(
        path: &Path,
        settings: Settings,
        reason: String,
    ) -> Result<VerifierKey, BootError> {
        rotating::finish(path, settings, reason)
    }

    fn run(mut self) {
        loop {
            let taken = self.calls.take(self.nap(), BATCH);
            // Each lane has a commit of its own: what agents send cannot take a deny down with it.
            for calls in [taken.people, taken.agents] {
                if let Some(reply) = self.turn(calls) {
                    self.stop(reply);
                    return;
                }
            }
            if taken.ended {
                return;
            }
            if self.sweep_is_due() {
                self.sweep();
            }
            self.erase();
            self.retire_when_over();
            self.tell_head(false);
        }
    }

    /// Serves calls that waited together. Returns the reply of a stop among them; what comes behind
    /// it is not served.
    fn turn(&mut self, calls: Vec<Call>) -> Option<Reply<()>> {
        let mut batches = Vec::new();
        let mut commands = Vec::new();
        let mut queries = Vec::new();
        let mut stop = None;
        for call in calls {
            match call {
                Call::Command(command) if command.may_change_rules() => {
                    // What stands behind a change of rules is judged by the new ones, and they are in
                    // force only once they are durable.
                    batches.push(std::mem::take(&mut commands));
                    batches.push(vec![command]);
                }
                Call::Command(command) => commands.push(command),
                Call::Query(query) => queries.push(query),
                Call::Stop(reply) => {
                    stop = Some(reply);
                    break;
                }
            }
        }
        batches.push(commands);
        if batches.iter().any(|batch| !batch.is_empty()) && self.reserve.is_spent() {
            // The room that is left is for what takes permission away.
            for batch in &mut batches {
                let (noes, others) = std::mem::take(batch)
                    .into_iter()
                    .partition(Command::is_a_no);
                *batch = noes;
                Vec::into_iter(others).for_each(Command::refuse);
            }
        }
        for commands in batches.into_iter().filter(|batch| !batch.is_empty()) {
            self.commit(|engine, batch, scene| {
                commands
                    .into_iter()
                    .map(|command| engine.write(batch, scene, command))
                    .collect()
            });
        }
        for query in queries {
            self.read(query);
        }
        stop
    }

    /// Runs steps in one transaction and gives their answers once it is durable.
    fn commit(&mut self, steps: impl FnOnce(&mut Self, &mut Step, &Scene) -> Vec<Answer>) -> bool {
        let scene = self.scene();
        let mut batch = Step::new(self.tail.clone());
        let begun = self.store.begin();
        // Without a transaction every step is refused by the store.
        let answers = steps(self, &mut batch, &scene);
        let written = begun.and_then(|()| {
            let nothing = !std::mem::take(&mut self.unlogged)
                && batch.tail.size() == self.tail.size()
                && self.store.in_batch();
            if nothing {
                // Every event is an entry: without one there is nothing to make durable.
                return Ok(None);
            }
            let (key, others) = (&self.signers.in_force, self.signers.others());
            self.store.commit(&batch.tail, key, others).map(Some)
        });
        let durable = match written {
            Ok(Some(note)) => {
                if let Some(mark) = &mut self.mark {
                    mark.advance(&note);
                }
                self.note = note;
                self.last = self.last.max(scene.now.wall);
                if std::mem::take(&mut self.down) {
                    tracing::warn!("the log is available again");
                }
                self.install(batch);
                true
            }
            Ok(None) => {
                self.store.rollback();
                self.staged.clear();
                true
            }
            Err(error) => {
                if error.is_full() {
                    self.reserve.release();
                }
                if !std::mem::replace(&mut self.down, true) {
                    tracing::error!(error = %Chain(&error), "the log is unavailable");
                }
                self.store.rollback();
                self.staged.clear();
                false
            }
        };
        for answer in answers {
            answer(self, durable);
        }
        durable
    }

    /// Runs one step of a batch in its savepoint: kept whole, or taken back whole.
    fn step<T>(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        step: impl FnOnce(&mut Self, &mut Step) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.store.savepoint()?;
        let mut attempt = Step::new(batch.tail.clone());
        let done = step(self, &mut attempt).and_then(|value| {
            attempt.write_rows(&mut self.store, scene)?;
            Ok(value)
        });
        match done {
            Ok(value) => {
                if let Err(error) = self.store.release() {
                    self.store.rollback();
                    return Err(error.into());
                }
                batch.tail = attempt.tail;
                for (id, changed) in attempt.changed {
                    match self.staged.remove(&id) {
                        Some(earlier) => self.staged.insert(id, changed.after(earlier)),
                        None => self.staged.insert(id, changed),
                    };
                }
                Ok(value)
            }
            Err(error) => {
                if let Err(broken) = self.store.rollback_step() {
                    // What cannot be taken back alone is taken back with the whole batch, whose
                    // commit then fails.
                    self.store.rollback();
                    return Err(broken.into());
                }
                Err(error)
            }
        }
    }

    /// Replaces the originals by the copies of a durable batch, and tells those who follow.
    fn install(&mut self, batch: Step) {
        self.tail = batch.tail;
        for (id, changed) in std::mem::take(&mut self.staged) {
            if let Some(live) = self.live.get(&id) {
                self.index.forget(id, live);
            }
            if let Some(New {
                card,
                intake,
                is_shared,
                ..
            }) = changed.new
            {
                let grace = self.rules.limits.disconnect_grace;
                let now = self.now();
                let asked_at = changed.request.received_at().wall;
                self.history
                    .note_asked(intake.uid, asked_at, intake.is_held);
                let mut live = Live::new(changed.request, changed.entry, card, intake, &now, grace);
                live.is_shared = is_shared;
                self.live.insert(id, live);
            } else if let Some(live) = self.live.get_mut(&id) {
                live.request = changed.request;
                live.entry = changed.entry;
                if !live.request.received().attached {
                    live.waiters.detach();
                }
            } else {
                // It is over, and a person said something about it: nobody waits for it any more.
                self.announce_row(id);
                continue;
            }
            let Some(live) = self.live.get(&id) else {
                continue;
            };
            live.publish();
            let view = Arc::new(live.view());
            if live.request.state() == State::Denied {
                self.history.note_denied(live.intake.uid, self.last);
            }
            if live.request.state().is_live() {
                self.index.learn(id, live);
            } else {
                self.live.remove(&id);
            }
            self.announce(Change::Request(view));
        }
        self.announce(Change::Head);
        self.released.send_replace(self.release());
    }

    /// Returns the head as it is told to receivers of the log.
    fn release(&self) -> Released {
        Released {
            head: self.tail.frontier().head(),
            note: self.note.as_str().into(),
        }
    }

    fn announce(&self, change: Change) {
        // An error means that nobody follows.
        drop(self.changes.send(change));
    }

    /// Tells those who follow how a request stands that is over.
    fn announce_row(&self, id: RequestId) {
        match self.row(id) {
            Ok(row) => self.announce(Change::Request(Arc::new(View {
                document: Arc::default(),
                ..reads::view_of(row)
            }))),
            Err(error) => tracing::warn!(%id, %error, "a change could not be told"),
        }
    }

    fn stop(mut self, reply: Reply<()>) {
        self.draining = true;
        self.announce(Change::Draining);
        self.commit(|engine, batch, scene| {
            engine.write_counts(batch, scene);
            let stopped = engine.step(batch, scene, |engine, step| {
                let event = LogEvent::DaemonStopped {};
                Ok(step.note(&mut engine.store, scene, daemon_actor(), event)?)
            });
            vec![Box::new(move |_, durable| {
                let durable = stopped.and(if durable {
                    Ok(())
                } else {
                    Err(EngineError::LogUnavailable(None))
                });
                answer(reply, durable);
            })]
        });
        if let Some(mark) = &self.mark {
            mark.sync();
        }
        self.tell_head(true);
    }

    /// Reads the clocks. The wall time is never behind the last entry.
    fn now(&self) -> Moment {
        let mut now = self.clock.now();
        now.wall = now.wall.max(self.last);
        now
    }

    /// Returns how far the wall clock is behind the log, if that is too far (R10).
    fn clock_behind(&self) -> Option<Duration> {
        let behind = self.last.since(self.clock.now().wall);
        (behind > CLOCK_TOLERANCE).then_some(behind)
    }

    fn scene(&self) -> Scene {
        Scene {
            now: self.now(),
            sync: self.clock.sync(),
            separation: self.separation,
            policies: Arc::clone(&self.rules.policies),
        }
    }
}

/// Gives an answer. Whoever asked may have gone away; then nobody misses it.
fn answer<T>(reply: Reply<T>, with: Result<T, EngineError>) {
    drop(reply.send(with));
}

fn daemon_actor() -> Actor {
    Actor {
        kind: ActorKind::Daemon,
        id: "countersignd".to_owned(),
        uid: None,
    }
}

/// An error with its causes, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
