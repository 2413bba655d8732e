//! `Describe` and `Execute`: what the daemon runs itself, as the wire has it.

use std::collections::BTreeMap;
use std::option;
use std::sync::Arc;

use countersign_shared::action::Action;
use countersign_shared::digest::Digest;
use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use countersign_shared::json;
use countersign_shared::machine::{Refused, Request, State};
use countersign_shared::time::Deadline;
use countersign_shared::wire::pb;
use pb::execute_request::Message as Asked;
use pb::execute_response::Message as Answered;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::adapters::{Chain, Map};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Iter, StreamExt as _};
use tonic::{Status, Streaming};
use zeroize::Zeroizing;

use super::submit::{self, AtOnce};
use super::{Desk, agent, encode, status};
use crate::broker::ask::{Prepared, Wanted as Asking};
use crate::broker::run::{self, Bench, Event, Feed, FromAgent, Ready, Wanted};
use crate::broker::{BrokerError, Stream};
use crate::engine::{EngineError, Inclusion, Query};
use crate::identity::Peer;
use crate::intake;
use crate::rules::Rules;

/// How many pieces of output wait for the agent to take them.
const WAITING: usize = 4;

/// The longest piece of input, in bytes.
const PIECE: usize = 256 << 10;

/// The stream of what an agent is told: what came of its asking, if it asked, and the news of the run.
pub(super) type Told =
    Chain<Iter<option::IntoIter<Answer>>, Map<ReceiverStream<Event>, fn(Event) -> Answer>>;

/// One message of it.
type Answer = Result<pb::ExecuteResponse, Status>;

/// Says what a profile would run. Blocks: the program is read.
pub(super) fn describe(
    rules: &Rules,
    peer: &Peer,
    request: &pb::DescribeRequest,
) -> Result<pb::DescribeResponse, Status> {
    let environment: BTreeMap<String, Zeroizing<Vec<u8>>> = request
        .environment
        .iter()
        .map(|variable| {
            (
                variable.name.clone(),
                Zeroizing::new(variable.value.clone()),
            )
        })
        .collect();
    let asking = Asking {
        profile: &request.profile,
        program: &request.program,
        directory: (!request.directory.is_empty()).then_some(request.directory.as_str()),
        environment,
    };
    let prepared =
        Prepared::of(&rules.profiles, peer, asking).map_err(|error| status::broker(&error))?;
    let run = json::canonical(&prepared.to_value())
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(pb::DescribeResponse { run })
}

/// Runs an approved request, or asks for one and runs it where nobody has to be asked. An error means
/// that this call runs nothing.
pub(super) async fn execute(
    desk: &Arc<Desk>,
    peer: Arc<Peer>,
    mut asked: Streaming<pb::ExecuteRequest>,
) -> Result<Told, Status> {
    let first = asked.message().await?.and_then(|first| first.message);
    let (submitted, running) = match first {
        Some(Asked::Begin(begin)) => (None, Some(begun(desk, &peer, begin).await?)),
        Some(Asked::Ask(request)) => {
            if request.use_at_once.is_some() {
                let problem = "is for what the caller carries out itself";
                return Err(status::malformed("use_at_once", problem));
            }
            let answer = submit::submit(desk, &peer, request, AtOnce::Daemon).await?;
            (Some(answer.submitted), answer.running)
        }
        Some(Asked::Input(_) | Asked::InputEnd(_) | Asked::Signal(_)) | None => {
            return Err(status::malformed("begin", "or `ask` must come first"));
        }
    };
    let told = if let Some(running) = running {
        tokio::spawn(listen(asked, running.input, running.signals));
        running.told
    } else {
        // Nothing runs, and nothing follows.
        mpsc::channel(1).1
    };
    let submitted = submitted.map(|submitted| {
        Ok(pb::ExecuteResponse {
            message: Some(Answered::Asked(submitted)),
        })
    });
    let news = ReceiverStream::new(told).map(answer as fn(Event) -> _);
    Ok(tokio_stream::iter(submitted).chain(news))
}

/// Begins an approved request.
async fn begun(
    desk: &Arc<Desk>,
    peer: &Arc<Peer>,
    begin: pb::ExecuteBegin,
) -> Result<Running, Status> {
    desk.agent_holds(begin.known_size);
    let (id, right) = agent::right(peer, &begin.id, &begin.ticket)?;
    let digest: Digest =
        begin
            .digest
            .parse()
            .map_err(|error: countersign_shared::digest::DigestError| {
                status::malformed("digest", &error.to_string())
            })?;
    // Who has no right to it learns nothing, and has no secret read.
    let follow = right.clone();
    let following = desk
        .ask_for_agent(|reply| Query::Follow(id, follow, reply))
        .await?;
    let seat = Waiting {
        desk: Arc::clone(desk),
        id,
        waiter: Some(following.waiter),
    };
    let action = Zeroizing::new(begin.action);
    let ready = ready(desk, peer, id, &action).await?;
    let wanted = Wanted {
        id,
        right,
        digest,
        known_size: begin.known_size,
    };
    let bench = bench(desk);
    let (running, events, from_agent) = Running::open();
    let (taken, is_taken) = oneshot::channel();
    // On a task of its own: once the use is taken, somebody has to say what became of it, also when
    // this call is given up.
    tokio::spawn(async move {
        run::conduct(bench, ready, wanted, events, from_agent, taken).await;
        drop(seat);
    });
    match is_taken.await {
        Ok(Ok(())) => Ok(running),
        Ok(Err(error)) => Err(status::engine(&error)),
        Err(_) => Err(status::engine(&EngineError::Draining)),
    }
}

/// Carries out what the use was taken for with the approval.
pub(super) fn carry_out(desk: &Desk, ready: Ready, redeemed: (Inclusion, Deadline)) -> Running {
    let (running, events, from_agent) = Running::open();
    let bench = bench(desk);
    tokio::spawn(run::carry_out(bench, ready, redeemed, events, from_agent));
    running
}

pub(super) fn bench(desk: &Desk) -> Bench {
    Bench {
        // What became of a run is not to wait behind what agents ask.
        engine: desk.engine.clone(),
        clock: desk.clock.clone(),
    }
}

/// The ways to and from a run. It ends when they are gone.
#[derive(Debug)]
pub(super) struct Running {
    told: mpsc::Receiver<Event>,
    input: mpsc::Sender<Feed>,
    signals: mpsc::Sender<u8>,
}

impl Running {
    /// Makes them, with their other ends.
    fn open() -> (Self, mpsc::Sender<Event>, FromAgent) {
        let (events, told) = mpsc::channel(WAITING);
        let (input, pieces) = mpsc::channel(WAITING);
        let (signals, numbers) = mpsc::channel(WAITING);
        let from_agent = FromAgent {
            input: pieces,
            signals: numbers,
        };
        let running = Self {
            told,
            input,
            signals,
        };
        (running, events, from_agent)
    }
}

/// A waiter's seat, given back when dropped.
struct Waiting {
    desk: Arc<Desk>,
    id: RequestId,
    waiter: Option<countersign_shared::waiters::WaiterId>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.desk.agents.tell(Query::Leave(self.id, waiter));
        }
    }
}

/// Holds what was sent against the document that people signed, and makes the run ready.
async fn ready(
    desk: &Desk,
    peer: &Arc<Peer>,
    id: RequestId,
    action: &[u8],
) -> Result<Ready, Status> {
    let broker = |error: BrokerError| status::broker(&error);
    let view = desk
        .ask_for_agent(|reply| Query::Get(id.to_string(), reply))
        .await?;
    check_approved(&view.request)?;
    let document =
        Document::read(&view.document).map_err(|error| Status::internal(error.to_string()))?;
    let rules = desk.rules();
    let action =
        Action::read(action, &rules.limits).map_err(|error| status::intake(&error.into()))?;
    let is_same = intake::holds(&document, &action, &desk.secrets);
    if !is_same.map_err(|error| status::intake(&error))? {
        return Err(broker(BrokerError::OtherAction));
    }
    if !peer.is_alive() {
        return Err(status::intake(&intake::IntakeError::PeerGone));
    }
    Ready::make(rules, Arc::clone(peer), Arc::new(action), desk.runs(), id)
        .await
        .map_err(broker)
}

/// Refuses what is not approved before anything is read for it. The machine is asked again when the use
/// is taken.
fn check_approved(request: &Request) -> Result<(), Status> {
    let refused = match (request.state(), request.redemption()) {
        (State::Approved, _) => return Ok(()),
        (_, Some(redemption)) => Refused::AlreadyRedeemed {
            at: redemption.at.wall,
        },
        (state, None) if state.is_waiting() => Refused::NotSatisfied,
        (state, None) => Refused::AlreadyDecided { state },
    };
    Err(status::engine(&EngineError::Machine(refused)))
}

/// Passes on what the agent sends, until it sends no more. Input that ends here without its end being
/// said was cut off, whatever the reason, and so is the run.
async fn listen(
    mut asked: Streaming<pb::ExecuteRequest>,
    input: mpsc::Sender<Feed>,
    signals: mpsc::Sender<u8>,
) {
    let mut input = Some(input);
    while let Ok(Some(pb::ExecuteRequest {
        message: Some(message),
    })) = asked.message().await
    {
        match (message, &input) {
            (Asked::Input(piece), _) if piece.len() > PIECE => return,
            (Asked::Input(piece), Some(to)) => {
                if to.send(Feed::Piece(piece)).await.is_err() {
                    input = None;
                }
            }
            (Asked::InputEnd(_), Some(to)) => {
                // A program that wants no more of it does not hear of the end either.
                drop(to.send(Feed::End).await);
                input = None;
            }
            (Asked::Input(_) | Asked::InputEnd(_), None) => {}
            (Asked::Signal(number), _) => match u8::try_from(number) {
                Ok(number) if signals.send(number).await.is_ok() => {}
                Ok(_) | Err(_) => return,
            },
            (Asked::Begin(_) | Asked::Ask(_), _) => return,
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the stream of an answer holds results"
)]
fn answer(event: Event) -> Answer {
    let message = match event {
        Event::Redeemed { by, until } => Answered::Redeemed(pb::ExecuteRedeemed {
            redeemed_by: Some(encode::inclusion(&by)),
            run_until: until.to_string(),
        }),
        Event::Started { pid } => Answered::Started(pb::ExecuteStarted { pid }),
        Event::Output(Stream::Output, bytes) => Answered::Stdout(bytes),
        Event::Output(Stream::Errors, bytes) => Answered::Stderr(bytes),
        Event::Ended {
            state,
            because,
            reason,
            exit,
            signal,
        } => Answered::Ended(pb::ExecuteEnded {
            state: encode::state(state).into(),
            because,
            reason: reason.to_owned(),
            exit,
            signal,
        }),
    };
    Ok(pb::ExecuteResponse {
        message: Some(message),
    })
}
