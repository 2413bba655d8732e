//! The agents' service. No call here decides anything.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::id::{RequestId, RunSecret, TicketSecret};
use countersign_shared::machine::{RunEnd, RunOutcome, State};
use countersign_shared::wire::pb;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::submit::{self, AtOnce};
use super::wire::agent_service_server::AgentService;
use super::{Desk, encode, execute, status};
use crate::engine::{Command, EngineError, Query, Report, Reporter, Right, Standing, Taker, Use};
use crate::identity::Peer;
use crate::intake::{self, IntakeError};

/// How long after a deadline a waiting caller is told that nothing could be written about it.
const LATE: Duration = Duration::from_secs(3);

/// The agents' service.
#[derive(Debug, Clone)]
pub(super) struct Agents {
    pub(super) desk: Arc<Desk>,
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn submit(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<Response<pb::SubmitResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let at_once = match request.use_at_once {
            Some(at_once) => AtOnce::Agent {
                stays: submit::stays(&peer, at_once.pid)?,
            },
            None => AtOnce::Never,
        };
        let answer = submit::submit(&self.desk, &peer, request, at_once).await?;
        Ok(Response::new(answer.submitted))
    }

    type WaitStream = ReceiverStream<Result<pb::WaitResponse, Status>>;

    async fn wait(
        &self,
        request: Request<pb::WaitRequest>,
    ) -> Result<Response<Self::WaitStream>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let (id, right) = right(&peer, &request.id, &request.ticket)?;
        self.desk.agent_holds(request.known_size);
        let following = self
            .desk
            .ask_for_agent(|reply| Query::Follow(id, right, reply))
            .await?;
        let (sender, receiver) = mpsc::channel(8);
        let desk = Arc::clone(&self.desk);
        tokio::spawn(async move {
            let waiter = following.waiter;
            follow(&desk, following.standing, request.known_size, &sender).await;
            desk.agents.tell(Query::Leave(id, waiter));
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn await_kill(
        &self,
        request: Request<pb::AwaitKillRequest>,
    ) -> Result<Response<pb::AwaitKillResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let (id, right) = right(&peer, &request.id, &request.ticket)?;
        let following = self
            .desk
            .ask_for_agent(|reply| Query::Follow(id, right, reply))
            .await?;
        let (mut sender, receiver) = oneshot::channel();
        let desk = Arc::clone(&self.desk);
        // A task of its own, since a caller that goes away takes this one along.
        tokio::spawn(async move {
            let asked = tokio::select! {
                asked = killed(following.standing) => asked,
                () = sender.closed() => None,
            };
            desk.agents.tell(Query::Leave(id, following.waiter));
            // Who is gone needs no answer.
            sender.send(asked).ok();
        });
        match receiver.await {
            Ok(Some(asked)) => Ok(Response::new(pb::AwaitKillResponse { asked })),
            // The daemon is about to stop, and the run goes on.
            Ok(None) | Err(_) => Err(status::engine(&EngineError::Draining)),
        }
    }

    async fn detach(
        &self,
        request: Request<pb::DetachRequest>,
    ) -> Result<Response<pb::DetachResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let (id, right) = right(&peer, &request.id, &request.ticket)?;
        self.desk
            .ask_for_agent(|reply| Command::Detach(id, right, reply))
            .await?;
        Ok(Response::new(pb::DetachResponse {}))
    }

    async fn withdraw(
        &self,
        request: Request<pb::WithdrawRequest>,
    ) -> Result<Response<pb::WithdrawResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let (id, right) = right(&peer, &request.id, &request.ticket)?;
        let state = self
            .desk
            .ask_for_agent(|reply| Command::Withdraw(id, right, reply))
            .await?;
        Ok(Response::new(pb::WithdrawResponse {
            state: encode::state(state).into(),
        }))
    }

    async fn redeem(
        &self,
        request: Request<pb::RedeemRequest>,
    ) -> Result<Response<pb::RedeemResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let (id, right) = right(&peer, &request.id, &request.ticket)?;
        let digest: Digest =
            request
                .digest
                .parse()
                .map_err(|error: countersign_shared::digest::DigestError| {
                    status::malformed("digest", &error.to_string())
                })?;
        let stays = submit::stays(&peer, request.pid)?;
        if !peer.is_alive() {
            return Err(status::intake(&IntakeError::PeerGone));
        }
        self.desk.agent_holds(request.known_size);
        let taken = Use {
            digest,
            by: Taker::Agent(submit::redeemer(&self.desk, &peer, id, stays)),
            known_size: request.known_size,
        };
        let desk = Arc::clone(&self.desk);
        // On a task of its own: a caller that dies before it hears the answer has taken the use all the
        // same, and is watched.
        let redeeming = tokio::spawn(async move {
            let redeemed = desk
                .ask_for_agent(|reply| Command::Redeem(id, right, taken, reply))
                .await?;
            if stays {
                tokio::spawn(submit::watch_executor(desk, peer, id));
            }
            Ok::<_, Status>(redeemed)
        });
        let (inclusion, until) = redeeming
            .await
            .map_err(|_| Status::internal("nobody can say whether the use was taken"))??;
        let run = self.desk.secrets.run(id);
        Ok(Response::new(encode::redeemed(&inclusion, &until, &run)))
    }

    async fn report(
        &self,
        request: Request<pb::ReportRequest>,
    ) -> Result<Response<pb::ReportResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let (id, right) = right(&peer, &request.id, &request.ticket)?;
        let reporter = reporter(&peer, &request.run)?;
        let report = read_report(&request.report)?;
        let state = self
            .desk
            .ask_for_agent(|reply| Command::Report(id, right, reporter, report, reply))
            .await?;
        Ok(Response::new(pb::ReportResponse {
            state: encode::state(state).into(),
        }))
    }

    async fn prove_consistency(
        &self,
        request: Request<pb::ProveConsistencyRequest>,
    ) -> Result<Response<pb::ProveConsistencyResponse>, Status> {
        let pb::ProveConsistencyRequest { from, to } = request.into_inner();
        let proven = self
            .desk
            .ask_for_agent(|reply| Query::Consistency(from, to, reply))
            .await?;
        Ok(Response::new(encode::consistency(&proven)))
    }

    async fn describe(
        &self,
        request: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        let peer = super::peer(&request)?;
        let rules = self.desk.rules();
        let request = request.into_inner();
        submit::apart(&self.desk.turns, move || {
            execute::describe(&rules, &peer, &request)
        })
        .await?
        .map(Response::new)
    }

    type ExecuteStream = execute::Told;

    async fn execute(
        &self,
        request: Request<Streaming<pb::ExecuteRequest>>,
    ) -> Result<Response<Self::ExecuteStream>, Status> {
        let peer = super::peer(&request)?;
        execute::execute(&self.desk, peer, request.into_inner())
            .await
            .map(Response::new)
    }
}

/// Waits until somebody asks for the end of a run; false when the request is over, and nothing when
/// the engine is.
async fn killed(mut standing: tokio::sync::watch::Receiver<Standing>) -> Option<bool> {
    loop {
        let (asked, state) = {
            let now = standing.borrow_and_update();
            (now.kill_requested, now.state)
        };
        if asked || !state.is_live() {
            return Some(asked);
        }
        standing.changed().await.ok()?;
    }
}

/// Tells a waiting caller each standing until no decision can change it any more.
async fn follow(
    desk: &Desk,
    mut standing: tokio::sync::watch::Receiver<Standing>,
    known: u64,
    to: &mpsc::Sender<Result<pb::WaitResponse, Status>>,
) {
    let mut online = desk.reviewers_online.subscribe();
    loop {
        let now = standing.borrow_and_update().clone();
        let last = !matches!(now.state, State::Received | State::Pending);
        let decided_by = if last {
            match desk
                .agents
                .ask(|reply| Query::Prove(now.entry, known, reply))
                .await
            {
                Ok(inclusion) => Some(encode::inclusion(&inclusion)),
                Err(error) => {
                    drop(to.send(Err(status::engine(&error))).await);
                    return;
                }
            }
        } else {
            None
        };
        let response = pb::WaitResponse {
            state: encode::state(now.state).into(),
            reason: now.reason.clone(),
            reviewers_online: *online.borrow_and_update(),
            expires_at: encode::ends(&now),
            decided_by,
        };
        if to.send(Ok(response)).await.is_err() || last {
            return;
        }
        // Deadlines bind by time, whether or not the expiry could be written (R7).
        let left = now
            .ends
            .as_ref()
            .map_or(Duration::MAX, |end| end.left(&desk.clock.now()));
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return },
            changed = online.changed() => if changed.is_err() { return },
            () = to.closed() => return,
            () = tokio::time::sleep(left.saturating_add(LATE)) => {
                let unavailable = EngineError::LogUnavailable(None);
                drop(to.send(Err(status::engine(&unavailable))).await);
                return;
            }
        }
    }
}

pub(super) fn right(peer: &Peer, id: &str, ticket: &str) -> Result<(RequestId, Right), Status> {
    let id: RequestId = id
        .parse()
        .map_err(|error: countersign_shared::id::IdError| {
            status::malformed("id", &error.to_string())
        })?;
    let ticket: TicketSecret =
        ticket
            .parse()
            .map_err(|error: countersign_shared::id::IdError| {
                status::malformed("ticket", &error.to_string())
            })?;
    let right = Right {
        principal: intake::principal(peer),
        ticket: ticket.digest(),
    };
    Ok((id, right))
}

/// Returns what shows that a caller took the one use: the run secret, or being the same process.
fn reporter(peer: &Peer, run: &str) -> Result<Reporter, Status> {
    let run = if run.is_empty() {
        None
    } else {
        let secret: RunSecret = run
            .parse()
            .map_err(|error: countersign_shared::id::IdError| {
                status::malformed("run", &error.to_string())
            })?;
        Some(secret.digest())
    };
    Ok(Reporter {
        run,
        pid: peer.pid(),
        started: peer.started().as_ref().ok().copied(),
    })
}

/// A report as it travels.
#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
enum ReportFields {
    Started { pid: Option<u32> },
    Succeeded(EndFields),
    Failed(EndFields),
    Killed(EndFields),
    NotRun { because: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndFields {
    exit: Option<i32>,
    signal: Option<i32>,
    stdout: Option<Digest>,
    stderr: Option<Digest>,
    duration_ms: Option<u64>,
}

impl EndFields {
    fn end(self, outcome: RunOutcome) -> Report {
        let Self {
            exit,
            signal,
            stdout,
            stderr,
            duration_ms,
        } = self;
        Report::Finished(RunEnd {
            outcome,
            exit,
            signal,
            stdout,
            stderr,
            duration_ms,
        })
    }
}

/// The longest reason for not running, in bytes.
const MAX_BECAUSE: usize = 2000;

fn read_report(bytes: &[u8]) -> Result<Report, Status> {
    let limits = countersign_shared::limits::Limits::default();
    let value = countersign_shared::json::read_canonical(bytes, &limits)
        .map_err(|error| status::malformed("report", &error.to_string()))?;
    let fields: ReportFields = serde_json::from_value(value)
        .map_err(|error| status::malformed("report", &error.to_string()))?;
    Ok(match fields {
        ReportFields::Started { pid } => Report::Started { pid },
        ReportFields::Succeeded(end) => end.end(RunOutcome::Succeeded),
        ReportFields::Failed(end) => end.end(RunOutcome::Failed),
        ReportFields::Killed(end) => end.end(RunOutcome::Killed),
        ReportFields::NotRun { because } if because.len() > MAX_BECAUSE => {
            return Err(status::malformed(
                "report",
                "`because` is longer than 2000 bytes",
            ));
        }
        ReportFields::NotRun { because } => Report::NotRun { because },
    })
}
