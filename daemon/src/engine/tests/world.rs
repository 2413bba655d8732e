//! A world for the engine's tests: a log in a directory of its own, a clock that stands still, and
//! people with real keys. The engine runs without its thread, so a test says which calls share a
//! batch and when time is looked at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::machine::{Redeemer, RunEnd, RunOutcome, State};
use countersign_shared::time::{BootId, Deadline, Moment, Timestamp};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::*;
use crate::clock::Hand;
use crate::keyring::Keyring;
use crate::secrets::Secrets;

mod asking;
mod checking;
mod ruling;
mod signing;

pub(super) use super::people::*;
pub(super) use asking::Ask;
pub(super) use checking::{check_store, entries};

pub(super) const ORIGIN: &str = "countersign/test";
pub(super) const AGENT: u32 = 50_001;
/// The process that redeems and reports, without its run secret.
pub(super) const EXECUTOR: Reporter = Reporter {
    run: None,
    pid: 4712,
    started: Some(99),
};
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// The engine with everything around it.
pub(super) struct World {
    home: PathBuf,
    pub(super) dir: Option<Arc<TempDir>>,
    pub(super) hand: Hand,
    pub(super) secrets: Secrets,
    pub(super) engine: Engine,
    pub(super) entrance: super::super::queue::Entrance,
    serial: u64,
    /// What people say when they sign.
    pub(super) reason: String,
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
        keys: Keyring::in_memory(ORIGIN, [9; 32]).unwrap(),
        clock,
        rules,
        adopt: None,
        accept_clock: None,
        keep_documents: None,
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
        Self::with_settings(home, rules, now, serial, settings)
    }

    fn with_settings(
        home: PathBuf,
        rules: Rules,
        now: Moment,
        serial: u64,
        settings: impl FnOnce(Rules, Clock) -> Settings,
    ) -> Result<Self, BootError> {
        let (clock, hand) = Clock::fixed(now);
        let (entrance, exit) = queue(QUEUE);
        let engine = boot::open(&home.join("state.db"), settings(rules, clock), exit)?;
        let secrets = Secrets::new([5; 32]);
        Ok(Self {
            home,
            dir: None,
            hand,
            secrets,
            engine,
            entrance,
            serial,
            reason: "because".to_owned(),
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

    /// Starts with the keys that lie beside the database.
    pub(super) fn with_key_files(dir: &Arc<TempDir>, now: Moment) -> Result<Self, BootError> {
        let keys = Keyring::read(dir.path(), ORIGIN)?;
        let settings = |rules, clock| Settings {
            keys,
            ..settings(rules, clock)
        };
        let (home, serial) = (dir.path().to_owned(), now.mono_ms);
        let mut world = Self::with_settings(home, everyone("1 of anyone"), now, serial, settings)?;
        world.dir = Some(Arc::clone(dir));
        Ok(world)
    }

    /// Starts as `adopt-rules` does.
    pub(super) fn adopting(
        dir: Arc<TempDir>,
        rules: Rules,
        reason: &str,
        now: Moment,
    ) -> Result<Self, BootError> {
        let settings = |rules, clock| Settings {
            adopt: Some(reason.to_owned()),
            ..settings(rules, clock)
        };
        let home = dir.path().to_owned();
        let mut world = Self::with_settings(home, rules, now, 900, settings)?;
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
    pub(super) fn ask<T, C: Into<Call>>(
        &mut self,
        call: impl FnOnce(Reply<T>) -> C,
    ) -> Result<T, EngineError> {
        let (reply, mut answer) = oneshot::channel();
        self.engine.turn(vec![call(reply).into()]);
        answer.try_recv().unwrap()
    }

    /// Makes calls that share one batch.
    pub(super) fn batch<T>(
        &mut self,
        calls: Vec<Box<dyn FnOnce(Reply<T>) -> Command>>,
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
    pub(super) fn push(&self, call: impl Into<Call>) {
        self.entrance.send(Lane::Agents, call).unwrap();
    }

    /// Serves everything in the queue.
    pub(super) fn drain(&mut self) {
        loop {
            let taken = self.engine.calls.take(Duration::ZERO, BATCH);
            if taken.people.is_empty() && taken.agents.is_empty() {
                return;
            }
            self.engine.turn(taken.people);
            self.engine.turn(taken.agents);
        }
    }

    pub(super) fn right(&self, id: RequestId) -> Right {
        Right {
            principal: format!("uid:{AGENT}"),
            ticket: self.secrets.ticket(id).digest(),
        }
    }

    pub(super) fn view(&mut self, id: RequestId) -> Arc<View> {
        self.ask(|reply| Query::Get(id.to_string(), reply)).unwrap()
    }

    pub(super) fn state(&mut self, id: RequestId) -> State {
        self.view(id).request.state()
    }

    pub(super) fn redeem(&mut self, id: RequestId) -> Result<(Inclusion, Deadline), EngineError> {
        let right = self.right(id);
        let digest = self.view(id).request.digest();
        let by = self.redeemer(id);
        self.ask(|reply| {
            Command::Redeem(
                id,
                right,
                Use {
                    digest,
                    by: Taker::Agent(by),
                    known_size: 0,
                },
                reply,
            )
        })
    }

    pub(super) fn report(&mut self, id: RequestId, report: Report) -> Result<State, EngineError> {
        let run = Some(self.secrets.run(id).digest());
        self.report_as(id, Reporter { run, ..EXECUTOR }, report)
    }

    pub(super) fn report_as(
        &mut self,
        id: RequestId,
        reporter: Reporter,
        report: Report,
    ) -> Result<State, EngineError> {
        let right = self.right(id);
        self.ask(|reply| Command::Report(id, right, reporter, report, reply))
    }

    /// Who takes the one use, as the socket says.
    pub(super) fn redeemer(&self, id: RequestId) -> Redeemer {
        Redeemer {
            pid: EXECUTOR.pid,
            started: EXECUTOR.started,
            stays: true,
            run: self.secrets.run(id).digest(),
        }
    }

    /// Puts other rules in force, as files and signatures do.
    pub(super) fn change_rules(&mut self, rules: Rules) -> Result<(), EngineError> {
        let force = self.take(rules)?;
        if let Some(proposed) = force.proposed {
            let signer = [ana(), bo(), cy()].into_iter().find(|person| {
                force.rules.member(person.name).is_some() && !proposed.gained.contains(person.name)
            });
            let digest = proposed.rules.digest;
            assert!(self.sign_rules(&signer.unwrap(), digest)?.in_force);
        }
        Ok(())
    }
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
