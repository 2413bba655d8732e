//! Submit: from the message to a request in the store, and to its one use where that is taken at once.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::machine::{PolicyOutcome, Redeemer};
use countersign_shared::mask::Openings;
use countersign_shared::wire::pb;
use tokio::sync::Semaphore;
use tonic::Status;

use super::execute::{self, Running};
use super::{Desk, encode, status};
use crate::broker::BrokerError;
use crate::broker::ask::Prepared;
use crate::broker::run::{self, Ready};
use crate::engine::{Command, Draft, EngineError, Submitted, Taker};
use crate::identity::Peer;
use crate::intake::{Asking, Drafted, IntakeError};

/// How many bytes of an action are read and masked without leaving the connection's task.
const SMALL: usize = 64 << 10;

/// How often a draft is made anew when the rules change under it.
const RULES_TRIES: u32 = 3;

/// How long the new rules may take to arrive here.
const RULES_PAUSE: Duration = Duration::from_millis(20);

/// Who takes the one use with the approval, where nobody has to be asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum AtOnce {
    /// Nobody: it is redeemed by a call of its own.
    Never,
    /// The calling process. It may stay, to be watched.
    Agent {
        /// Whether it does.
        stays: bool,
    },
    /// The daemon, which runs it as a profile says.
    Daemon,
}

/// What came of an asking.
#[derive(Debug)]
pub(super) struct Answer {
    /// What the caller is told.
    pub(super) submitted: pb::SubmitResponse,
    /// The run, when the daemon has begun one.
    pub(super) running: Option<Running>,
}

/// Has an asking stored.
pub(super) async fn submit(
    desk: &Arc<Desk>,
    peer: &Arc<Peer>,
    request: pb::SubmitRequest,
    at_once: AtOnce,
) -> Result<Answer, Status> {
    desk.agent_holds(request.known_size);
    let request = Arc::new(request);
    let mut tries = 0;
    let (asking, own, (submitted, running)) = loop {
        let (asking, drafted) = prepare(desk, peer, &request).await?;
        let Drafted {
            mut draft,
            openings,
            brokered,
        } = drafted;
        // Nothing may fail once the use is taken.
        let own = (draft.id, written(Some(&openings))?);
        // Otherwise what was opened is closed before the draft waits for the engine.
        let ready = match (at_once, brokered) {
            (AtOnce::Daemon, None) => return Err(status::broker(&BrokerError::NotBrokered)),
            (AtOnce::Daemon, Some(brokered)) => ready(desk, peer, &asking, &draft, brokered).await,
            (AtOnce::Never | AtOnce::Agent { .. }, _) => None,
        };
        let stored = match (at_once, ready) {
            (AtOnce::Daemon, Some(ready)) => run_at_once(desk, draft, ready).await,
            (AtOnce::Agent { stays }, _) => {
                draft.use_at_once = Some(Taker::Agent(redeemer(desk, peer, draft.id, stays)));
                let stored = store_used(desk, peer, draft, stays).await;
                stored.map(|stored| (stored, None))
            }
            (AtOnce::Never | AtOnce::Daemon, _) => {
                store(desk, draft).await.map(|stored| (stored, None))
            }
        };
        match stored {
            Ok(stored) => break (asking, own, stored),
            // The rules took force between the draft and the engine; draft anew.
            Err(EngineError::RulesChanged) if tries < RULES_TRIES => {
                tries += 1;
                tokio::time::sleep(RULES_PAUSE).await;
            }
            Err(error) => return Err(status::engine(&error)),
        }
    };
    // A request that was joined or repeated has another id, and so other openings.
    let openings = if own.0 == submitted.id {
        own.1
    } else {
        let openings = asking.openings(submitted.id, &desk.secrets, &submitted.document);
        written(openings.map_err(|error| status::intake(&error))?.as_ref())?
    };
    Ok(Answer {
        submitted: answer(desk, &submitted, openings),
        running,
    })
}

/// Writes the openings of masks, as the wire has them.
fn written(openings: Option<&Openings>) -> Result<Vec<u8>, Status> {
    let written = openings.map(Openings::to_bytes).transpose();
    let written = written.map_err(|error| status::intake(&IntakeError::Mask(error)))?;
    Ok(written.map_or_else(Vec::new, |written| written.to_vec()))
}

fn answer(desk: &Desk, submitted: &Submitted, openings: Vec<u8>) -> pb::SubmitResponse {
    let id = submitted.id;
    let redeemed = submitted.redeemed.as_ref();
    pb::SubmitResponse {
        id: id.to_string(),
        document: submitted.document.to_vec(),
        ticket: desk.secrets.ticket(id).reveal(),
        openings,
        state: encode::state(submitted.standing.state).into(),
        reason: submitted.standing.reason.clone(),
        expires_at: encode::ends(&submitted.standing),
        joined: submitted.joined,
        head: Some(encode::head(&submitted.head)),
        redeemed: redeemed.map(|(by, until)| encode::redeemed(by, until, &desk.secrets.run(id))),
    }
}

async fn store(desk: &Desk, draft: Draft) -> Result<Submitted, EngineError> {
    desk.agents
        .ask(|reply| Command::Submit(Box::new(draft), reply))
        .await
}

/// Has a draft stored that brings its use along.
async fn store_used(
    desk: &Arc<Desk>,
    peer: &Arc<Peer>,
    draft: Draft,
    stays: bool,
) -> Result<Submitted, EngineError> {
    let (desk, peer) = (Arc::clone(desk), Arc::clone(peer));
    // On a task of its own: a caller that dies before it hears the answer has taken the use all the
    // same, and is watched.
    let storing = tokio::spawn(async move {
        let submitted = store(&desk, draft).await?;
        if stays && submitted.redeemed.is_some() {
            tokio::spawn(watch_executor(desk, peer, submitted.id));
        }
        Ok(submitted)
    });
    storing
        .await
        .unwrap_or(Err(EngineError::LogUnavailable(None)))
}

/// Returns all that the run of a draft takes, where it may begin with the approval: nobody has to be
/// asked, and there is no secret. These are read only when the request stands in the log.
async fn ready(
    desk: &Desk,
    peer: &Peer,
    asking: &Asking,
    draft: &Draft,
    brokered: Prepared,
) -> Option<Ready> {
    if draft.judged.outcome != PolicyOutcome::Permit || brokered.has_secrets() {
        return None;
    }
    let (action, runs) = (asking.action(), desk.runs());
    let ready = Ready::of(brokered, peer.uid(), action, runs, draft.id).await;
    // Who begins the approved request is told why it cannot be run.
    ready
        .inspect_err(|error| tracing::debug!(id = %draft.id, %error, "it is not run at once"))
        .ok()
}

/// Has a draft stored and its use taken, and begins its run.
async fn run_at_once(
    desk: &Arc<Desk>,
    mut draft: Draft,
    ready: Ready,
) -> Result<(Submitted, Option<Running>), EngineError> {
    draft.use_at_once = Some(Taker::Daemon);
    let desk = Arc::clone(desk);
    // On a task of its own: once the use is taken, somebody has to say what became of it.
    let storing = tokio::spawn(async move {
        let id = draft.id;
        match store(&desk, draft).await {
            Ok(mut submitted) => {
                // The run's own news tell of the use.
                let redeemed = submitted.redeemed.take();
                let running = redeemed.map(|redeemed| execute::carry_out(&desk, ready, redeemed));
                Ok((submitted, running))
            }
            Err(error) => {
                run::not_begun(&execute::bench(&desk), id, &error).await;
                drop(ready);
                Err(error)
            }
        }
    });
    storing
        .await
        .unwrap_or(Err(EngineError::LogUnavailable(None)))
}

/// Says who takes the one use of a request.
pub(super) fn redeemer(desk: &Desk, peer: &Peer, id: RequestId, stays: bool) -> Redeemer {
    Redeemer {
        pid: peer.pid(),
        started: peer.started().as_ref().ok().copied(),
        stays,
        run: desk.secrets.run(id).digest(),
    }
}

/// Makes a draft. Reading and rendering a large action takes milliseconds, and looking at files
/// may take as long as their disk likes; other callers of this thread would wait for that, so it
/// is done on a thread of its own.
async fn prepare(
    desk: &Arc<Desk>,
    peer: &Arc<Peer>,
    request: &Arc<pb::SubmitRequest>,
) -> Result<(Asking, Drafted), Status> {
    let rules = desk.rules();
    let read = {
        let rules = Arc::clone(&rules);
        move |request: &pb::SubmitRequest| Asking::read(request, &rules)
    };
    let (at, peer, request) = (Arc::clone(desk), Arc::clone(peer), Arc::clone(request));
    let draft = move |asking: Asking| {
        let now = at.clock.now();
        let recent = at.engine.history().recent(peer.uid(), now.wall);
        let drafted = asking.draft(&peer, &rules, &at.secrets, &at.origin, &now, recent)?;
        Ok::<_, IntakeError>((asking, drafted))
    };
    let prepared = if request.action.len() <= SMALL {
        match read(&request) {
            Ok(asking) if asking.looks_at_files() => {
                apart(&desk.turns, move || draft(asking)).await?
            }
            Ok(asking) => draft(asking),
            Err(error) => Err(error),
        }
    } else {
        apart(&desk.turns, move || read(&request).and_then(draft)).await?
    };
    prepared.map_err(|error| status::intake(&error))
}

/// Runs what blocks on a thread of its own, of which agents have as many as there are processors:
/// the others are for whoever else comes.
pub(super) async fn apart<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let unread = || Status::internal("the request could not be read");
    let turn = Arc::clone(turns).acquire_owned().await;
    let turn = turn.map_err(|_| unread())?;
    let work = move || {
        let done = work();
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| unread())
}

/// Tells whether the calling process says that it carries the action out itself.
pub(super) fn stays(peer: &Peer, pid: u32) -> Result<bool, Status> {
    if pid == 0 || pid == peer.pid() {
        return Ok(pid != 0);
    }
    Err(status::malformed("pid", "must be 0 or the calling process"))
}

/// Waits for the end of the process that runs it, and tells the engine.
pub(super) async fn watch_executor(desk: Arc<Desk>, peer: Arc<Peer>, id: RequestId) {
    if let Err(error) = peer.liveness().gone().await {
        tracing::warn!(%id, %error, "the executing process cannot be watched");
        return;
    }
    desk.engine.insist(Command::ExecutorGone(id)).await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    #[tokio::test]
    async fn no_more_is_looked_into_at_once_than_there_are_turns() {
        let turns = Arc::new(Semaphore::new(2));
        let (begun, mut has_begun) = tokio::sync::mpsc::channel(3);
        let (end, is_to_end) = mpsc::channel();
        let is_to_end = Arc::new(Mutex::new(is_to_end));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (turns, begun, is_to_end) =
                (Arc::clone(&turns), begun.clone(), Arc::clone(&is_to_end));
            all.spawn(async move {
                let work = move || {
                    begun.blocking_send(()).unwrap();
                    is_to_end.lock().unwrap().recv().unwrap();
                };
                apart(&turns, work).await
            });
        }
        for _ in 0..2 {
            has_begun.recv().await.unwrap();
        }
        assert_eq!(turns.available_permits(), 0);
        assert!(has_begun.try_recv().is_err());
        for _ in 0..3 {
            end.send(()).unwrap();
        }
        has_begun.recv().await.unwrap();
        assert!(all.join_all().await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_its_turn_to_nobody_while_its_work_goes_on() {
        let turns = Arc::new(Semaphore::new(1));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, is_to_end) = mpsc::channel();
        let taken = Arc::clone(&turns);
        let caller = tokio::spawn(async move {
            apart(&taken, move || {
                begun.send(()).unwrap();
                is_to_end.recv().unwrap();
            })
            .await
        });
        has_begun.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(turns.available_permits(), 0);
        end.send(()).unwrap();
        let turn = turns.acquire().await;
        assert!(turn.is_ok());
    }
}
