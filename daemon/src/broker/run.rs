//! One run: from what it takes, over the one use, to its end in the log.
//!
//! Everything that can fail without cost is done before the use is taken; what fails between the use and
//! the exec is written as "not run"; what nobody can tell is indeterminate. Somebody always tells.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use countersign_program::sealed::{self, Purpose};
use countersign_shared::action::{Action, Contents};
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::machine::{RunEnd, RunOutcome, State};
use countersign_shared::time::{Deadline, Timestamp};
use data_encoding::HEXLOWER;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::ask::{self, Prepared};
use super::child::{self, InputFrom, Started};
use super::job::{Job, Resource, Told};
use super::masker::Patterns;
use super::runs::{Runs, Seat, Stream, Why};
use super::secrets::{self, Secret};
use super::{BrokerError, arguments, during};
use crate::clock::Clock;
use crate::config::{Delivery, Input};
use crate::engine::{Brokered, Command, EngineError, Handle, Inclusion, Report, Right, Taker, Use};
use crate::identity::Peer;
use crate::rules::Rules;

/// How long the way to the exec may take.
const STARTING: Duration = Duration::from_secs(10);

/// The pause before a report is repeated that could not be written.
const PAUSE: Duration = Duration::from_millis(200);

/// The words for an end that nobody brought about.
const CHANGED: &str = "changed";
const NOT_STARTED: &str = "not-started";
const LOST: &str = "lost";

/// What is told while something runs.
#[derive(Debug)]
pub(crate) enum Event {
    /// The one use is taken; nothing ran yet.
    Redeemed {
        /// The entry that says so.
        by: Box<Inclusion>,
        /// When the run must have ended.
        until: Timestamp,
    },
    /// The program runs.
    Started {
        /// Its process.
        pid: u32,
    },
    /// It wrote something.
    Output(Stream, Vec<u8>),
    /// It is over; nothing follows.
    Ended {
        /// Where the request stands.
        state: State,
        /// Why, when it did not end by itself.
        because: String,
        /// A word for why.
        reason: &'static str,
        /// The exit code.
        exit: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// What comes for standard input.
#[derive(Debug)]
pub(crate) enum Feed {
    /// More of it.
    Piece(Vec<u8>),
    /// Its end, by the agent's word.
    End,
}

/// What the agent sends meanwhile. An input whose sender is gone before the end was cut off.
#[derive(Debug)]
pub(crate) struct FromAgent {
    /// More of standard input.
    pub(crate) input: mpsc::Receiver<Feed>,
    /// Signals.
    pub(crate) signals: mpsc::Receiver<u8>,
}

/// What a run is carried out with.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The way to the engine.
    pub(crate) engine: Handle,
    /// The clocks.
    pub(crate) clock: Clock,
}

/// The use that is to be taken.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The request.
    pub(crate) id: RequestId,
    /// What proves the right to it.
    pub(crate) right: Right,
    /// The digest of its document.
    pub(crate) digest: Digest,
    /// The size of the head that the caller kept.
    pub(crate) known_size: u64,
}

/// A run with all that it takes, before its use is.
#[derive(Debug)]
pub(crate) struct Ready {
    prepared: Arc<Prepared>,
    argv: Vec<Zeroizing<Vec<u8>>>,
    input: Option<Contents>,
    secrets: Vec<Secret>,
    patterns: Patterns,
    seat: Seat,
}

impl Ready {
    /// Opens and reads what an action takes, and compares it with the action (R9).
    pub(crate) async fn make(
        rules: Arc<Rules>,
        peer: Arc<Peer>,
        action: Arc<Action>,
        runs: &Runs,
        id: RequestId,
    ) -> Result<Self, BrokerError> {
        let seat = runs.sit(id, peer.uid())?;
        let looked_at = Arc::clone(&action);
        let prepared =
            apart(move || Prepared::of_action(&rules.profiles, &peer, looked_at.value()));
        let prepared = prepared.await.ok_or(BrokerError::OtherAction)??;
        Self::fill(seat, prepared, &action).await
    }

    /// Reads what an action takes beside what was opened for it, and compared with it, already.
    pub(crate) async fn of(
        prepared: Prepared,
        uid: u32,
        action: &Action,
        runs: &Runs,
        id: RequestId,
    ) -> Result<Self, BrokerError> {
        Self::fill(runs.sit(id, uid)?, prepared, action).await
    }

    async fn fill(seat: Seat, prepared: Prepared, action: &Action) -> Result<Self, BrokerError> {
        let argv = arguments::argv(action.value()).ok_or(BrokerError::OtherAction)?;
        let input = ask::input_of(action.value())?;
        let secrets = secrets::read_all(&prepared.profile).await?;
        let looked_for = secrets
            .iter()
            .map(|secret| (secret.variable.as_str(), secret.value.as_slice()));
        let patterns = Patterns::of(looked_for).map_err(|error| BrokerError::Secret {
            name: String::new(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            prepared: Arc::new(prepared),
            argv,
            input,
            secrets,
            patterns,
            seat,
        })
    }

    /// Writes the job.
    fn job(&self) -> Job {
        let (profile, prepared) = (&self.prepared.profile, &self.prepared);
        let mut job = Job::new(&self.argv);
        for (name, value) in &prepared.environment {
            job.set(name, value);
        }
        if profile.written.temporary {
            let path = temporary(self.seat.id());
            job.set("TMPDIR", path.as_bytes());
            job.temporary = Some(path);
        }
        for secret in &self.secrets {
            match (secret.delivery, &job.temporary) {
                (Delivery::File, Some(temporary)) => {
                    let path = format!("{temporary}/{}", secret.variable);
                    job.set(&secret.variable, path.as_bytes());
                    job.add_file(&secret.variable, &secret.value);
                }
                (Delivery::Environment | Delivery::File, _) => {
                    job.set(&secret.variable, &secret.value);
                }
            }
        }
        job.identity.clone_from(&profile.identity);
        job.is_script = prepared.program.is_script();
        let limits = &profile.written.limits;
        let all = [
            (Resource::Cpu, limits.cpu.map(|span| span.as_secs())),
            (Resource::Memory, limits.memory),
            (Resource::Filesize, limits.file_size),
            (Resource::Files, limits.files),
            (Resource::Processes, limits.processes),
        ];
        job.limits = all
            .into_iter()
            .filter_map(|(resource, limit)| Some((resource, limit?)))
            .collect();
        job
    }

    /// Starts the program. An error means that nothing ran.
    fn start(&self) -> Result<Started, String> {
        let told = |error: std::io::Error| format!("it could not be started: {error}");
        let input = match (&self.input, self.prepared.profile.written.input) {
            (_, Input::Streamed) => InputFrom::Pipe,
            (None, Input::Shown) => InputFrom::Nothing,
            (Some(contents), Input::Shown) => {
                let mut bytes = contents.as_bytes();
                InputFrom::File(sealed::copy(Purpose::Input, &mut bytes).map_err(told)?)
            }
        };
        let (program, directory) = (
            self.prepared.program.file(),
            self.prepared.directory.opened(),
        );
        let wardens = self.seat.wardens();
        child::start(
            wardens,
            &self.job(),
            input,
            program.as_fd(),
            directory.as_fd(),
        )
        .map_err(told)
    }
}

/// Returns where the temporary directory of a run is: a name that nobody can foresee.
fn temporary(id: RequestId) -> String {
    let mut random = [0; 16];
    // Without random numbers the id will do, which is no secret but was made of one.
    if getrandom::fill(&mut random).is_err() {
        random.copy_from_slice(id.as_bytes());
    }
    format!("/tmp/countersign-{}", HEXLOWER.encode(&random))
}

/// Takes the use and carries it out. `taken` is told whether it was; from then on `events` tells.
pub(crate) async fn conduct(
    bench: Bench,
    ready: Ready,
    wanted: Wanted,
    events: mpsc::Sender<Event>,
    from_agent: FromAgent,
    taken: oneshot::Sender<Result<(), EngineError>>,
) {
    let Wanted {
        id,
        right,
        digest,
        known_size,
    } = wanted;
    let one = Use {
        digest,
        by: Taker::Daemon,
        known_size,
    };
    let redeemed = bench
        .engine
        .ask(|reply| Command::Redeem(id, right, one, reply))
        .await;
    let (by, until) = match redeemed {
        Ok(redeemed) => redeemed,
        Err(error) => {
            not_begun(&bench, id, &error).await;
            drop(taken.send(Err(error)));
            return;
        }
    };
    drop(taken.send(Ok(())));
    carry_out(bench, ready, (by, until), events, from_agent).await;
}

/// Tells of a use that may be taken although the answer was an error: what cannot be read after the
/// commit looks like what could not be written. Call it while the seat is held: nobody else runs it.
pub(crate) async fn not_begun(bench: &Bench, id: RequestId, error: &EngineError) {
    if !matches!(error, EngineError::LogUnavailable(_)) {
        return;
    }
    let not_run = Brokered::Told(Report::NotRun {
        because: "the daemon could not go on after the use was taken".to_owned(),
    });
    let told = bench
        .engine
        .ask(|reply| Command::Brokered(id, not_run, reply))
        .await;
    if let Err(error) = told {
        tracing::debug!(%id, %error, "no use was taken, or its end is found by its time");
    }
}

/// Carries out what the use was taken for; `events` tells.
pub(crate) async fn carry_out(
    bench: Bench,
    ready: Ready,
    (by, until): (Inclusion, Deadline),
    events: mpsc::Sender<Event>,
    from_agent: FromAgent,
) {
    let id = ready.seat.id();
    let redeemed = Event::Redeemed {
        by: Box::new(by),
        until: until.wall,
    };
    drop(events.send(redeemed).await);
    let ended = match begin(&ready, &events).await {
        Begun::Runs(started, pid) => {
            drop(events.send(Event::Started { pid }).await);
            let during = during::During {
                bench: &bench,
                id,
                pid,
                until: &until,
                events: &events,
                limits: &ready.prepared.profile.written.limits,
                patterns: &ready.patterns,
            };
            during
                .stay(ready.seat.watched(), *started, from_agent)
                .await
        }
        Begun::NotRun(reason, because) => Ended::NotRun(reason, because),
        Begun::Lost => Ended::Lost("the process that started it is gone"),
    };
    let event = tell(&bench, id, &until, ended).await;
    let wardens = Arc::clone(ready.seat.wardens());
    // An agent that takes nothing keeps neither the seat nor the secrets.
    drop(ready);
    drop(events.send(event).await);
    // It stops the thread that does it for a while, and nobody waits for it.
    tokio::task::spawn_blocking(move || wardens.prepare());
}

/// How far it came.
enum Begun {
    /// The program runs.
    Runs(Box<Started>, u32),
    /// Nothing ran: a word for why, and why.
    NotRun(&'static str, String),
    /// Nobody can say.
    Lost,
}

/// Looks once more, and starts the program (R9).
async fn begin(ready: &Ready, events: &mpsc::Sender<Event>) -> Begun {
    let prepared = Arc::clone(&ready.prepared);
    match apart(move || prepared.check()).await {
        Some(Ok(())) => {}
        Some(Err(because)) => return Begun::NotRun(CHANGED, because),
        None => return Begun::NotRun(CHANGED, "it could not be looked at again".to_owned()),
    }
    if let Some(why) = ready.seat.ended() {
        return Begun::NotRun(why.word(), why.words().to_owned());
    }
    if events.is_closed() {
        let why = Why::AgentGone;
        return Begun::NotRun(why.word(), why.words().to_owned());
    }
    let mut started = match ready.start() {
        Ok(started) => started,
        Err(because) => return Begun::NotRun(NOT_STARTED, because),
    };
    match tokio::time::timeout(STARTING, started.news.next()).await {
        Ok(Some(Told::Started { pid })) => Begun::Runs(Box::new(started), pid),
        Ok(Some(Told::NotStarted { because })) => {
            Begun::NotRun(NOT_STARTED, format!("it could not be started: {because}"))
        }
        Ok(Some(Told::Ended { .. } | Told::Cleared) | None) | Err(_) => Begun::Lost,
    }
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nothing ran: a word for why, and why.
    NotRun(&'static str, String),
    /// Nobody can say what ran.
    Lost(&'static str),
    /// The program ended, by itself or not: then why.
    Over(Box<RunEnd>, Option<Why>),
}

/// Writes how it ended, and returns what the agent is told.
async fn tell(bench: &Bench, id: RequestId, until: &Deadline, ended: Ended) -> Event {
    let (told, reason, because, (exit, signal)) = match ended {
        Ended::NotRun(reason, because) => {
            let report = Report::NotRun {
                because: because.clone(),
            };
            (Brokered::Told(report), reason, because, (None, None))
        }
        Ended::Lost(because) => {
            let because = because.to_owned();
            let lost = Brokered::Lost {
                because: because.clone(),
            };
            (lost, LOST, because, (None, None))
        }
        Ended::Over(end, why) => {
            let ends = (end.exit, end.signal);
            let (reason, because) = why.map_or(("", ""), |why| (why.word(), why.words()));
            let told = Brokered::Told(Report::Finished(*end));
            (told, reason, because.to_owned(), ends)
        }
    };
    let state = report(bench, id, until, told).await;
    Event::Ended {
        state: state.unwrap_or(State::Indeterminate),
        because,
        reason,
        exit,
        signal,
    }
}

/// Writes what became of a run; as long as nothing can be written, it is tried again until the run's
/// time is over, which makes it indeterminate.
pub(super) async fn report(
    bench: &Bench,
    id: RequestId,
    until: &Deadline,
    told: Brokered,
) -> Option<State> {
    loop {
        let again = told.clone();
        let asked = bench
            .engine
            .ask(|reply| Command::Brokered(id, again, reply))
            .await;
        match asked {
            Ok(state) => return Some(state),
            Err(EngineError::LogUnavailable(_) | EngineError::Busy)
                if !until.left(&bench.clock.now()).is_zero() =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%id, "the end of a run was not recorded: {error}");
                return None;
            }
        }
    }
}

/// Returns what is known of an end.
pub(super) fn outcome(exit: Option<i32>, was_ended: bool) -> RunOutcome {
    match exit {
        _ if was_ended => RunOutcome::Killed,
        Some(0) => RunOutcome::Succeeded,
        Some(_) => RunOutcome::Failed,
        None => RunOutcome::Killed,
    }
}

/// Runs what blocks on a thread of its own; nothing when that failed.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
