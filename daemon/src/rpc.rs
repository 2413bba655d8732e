//! The two services over the two sockets. Wire messages end here.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_shared::wire::DESCRIPTORS;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Status};

use crate::broker::Runs;
use crate::clock::Clock;
use crate::engine::{Call, Handle, Query, Reply};
use crate::identity::Peer;
use crate::rules::Rules;
use crate::secrets::Secrets;
use crate::socket::{CallLimits, ConnectionCap, Refusals, Sockets, incoming, server};
use crate::stream::Streams;
use crate::witnesses::Witnesses;

mod agent;
mod encode;
mod execute;
mod explain;
mod online;
mod outlook;
mod output;
mod review;
mod rules;
mod runs;
mod status;
mod submit;
mod usage;
mod watching;

/// The generated service stubs.
mod wire {
    #![expect(
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        unreachable_pub,
        reason = "generated code"
    )]
    include!(concat!(env!("OUT_DIR"), "/countersign.v1.rs"));
}

#[cfg(test)]
pub(crate) use outlook::Outlook;
pub(crate) use runs::watch_again;

use online::Online;
use wire::agent_service_server::AgentServiceServer;
use wire::review_service_server::ReviewServiceServer;

/// The largest message that is read from an agent, in bytes. An action is limited to less; up to
/// here it is answered with that limit's name and the size found.
const FROM_AGENTS: usize = 4 << 20;

/// The largest message to a peer: a document of the largest size, with its frame.
const TO_PEERS: usize = (16 << 20) + (1 << 20);

/// The largest message from a reviewer: a statement and a signature.
const FROM_REVIEWERS: usize = 128 << 10;

/// What both services share.
#[derive(Debug)]
pub(crate) struct Desk {
    engine: Handle,
    /// The agents' way to the engine.
    agents: Handle,
    /// How many agents' requests may be looked into at once, on threads of their own.
    turns: Arc<Semaphore>,
    secrets: Secrets,
    clock: Clock,
    origin: String,
    vkey: String,
    reviewers_online: Online,
    held_by_reviewers: AtomicU64,
    held_by_agents: AtomicU64,
    /// Who is sent heads, if anybody is.
    witnesses: Option<Arc<Witnesses>>,
    /// What the daemon runs.
    runs: Runs,
    /// To whom the log goes as it grows.
    streams: Streams,
    /// What counts uses of data.
    counting: usage::Counting,
    /// Why the operator's files of now are not in force, if they are not.
    refused_rules: RwLock<Option<String>>,
}

impl Desk {
    /// Puts together what both services share.
    pub(crate) fn new(
        engine: Handle,
        secrets: Secrets,
        clock: Clock,
        origin: String,
        vkey: String,
        streams: Streams,
        database: PathBuf,
    ) -> Self {
        Self {
            agents: engine.for_agents(),
            turns: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            )),
            engine,
            secrets,
            clock,
            origin,
            vkey,
            reviewers_online: Online::default(),
            held_by_reviewers: AtomicU64::new(0),
            held_by_agents: AtomicU64::new(0),
            witnesses: None,
            runs: Runs::default(),
            streams,
            counting: usage::Counting::new(database),
            refused_rules: RwLock::default(),
        }
    }

    /// Asks the engine; its no becomes a status.
    async fn ask<T, C: Into<Call>>(&self, call: impl FnOnce(Reply<T>) -> C) -> Result<T, Status> {
        self.engine
            .ask(call)
            .await
            .map_err(|error| status::engine(&error))
    }

    /// Asks the engine for an agent; its no becomes a status.
    async fn ask_for_agent<T, C: Into<Call>>(
        &self,
        call: impl FnOnce(Reply<T>) -> C,
    ) -> Result<T, Status> {
        self.agents
            .ask(call)
            .await
            .map_err(|error| status::engine(&error))
    }

    /// Remembers the size of a head that a reviewer's program says it holds.
    fn reviewer_holds(&self, size: u64) {
        self.held_by_reviewers.fetch_max(size, Ordering::Relaxed);
    }

    /// Remembers the size of a head that an agent's program says it holds.
    fn agent_holds(&self, size: u64) {
        self.held_by_agents.fetch_max(size, Ordering::Relaxed);
    }

    /// Takes note of who is sent heads.
    pub(crate) fn send_heads_to(&mut self, witnesses: Arc<Witnesses>) {
        self.witnesses = Some(witnesses);
    }

    /// Returns what the daemon runs.
    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Returns to whom the log goes as it grows.
    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Returns the way to the engine.
    pub(crate) fn engine(&self) -> &Handle {
        &self.engine
    }

    /// Returns the log's verifier key.
    pub(crate) fn vkey(&self) -> &str {
        &self.vkey
    }

    /// Returns the rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.engine.force().rules
    }

    /// Returns why the operator's files of now are not in force, if they are not.
    fn refused_rules(&self) -> Option<String> {
        let refused = self.refused_rules.read();
        refused.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers why the operator's files were not taken, or that they were.
    pub(crate) fn set_refused_rules(&self, why: Option<String>) {
        *self
            .refused_rules
            .write()
            .unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// The services cannot be set up, or a socket failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The descriptors for reflection cannot be read.
    #[error("cannot describe the services")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// A server ended.
    #[error("a server ended")]
    Transport(#[source] tonic::transport::Error),
}

/// Serves both sockets until `stop` says true, then lets running calls end.
pub(crate) async fn serve(
    desk: Arc<Desk>,
    sockets: Sockets,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let refusals = |engine: &Handle| {
        let engine = engine.clone();
        Refusals::new(move |uid, code| engine.tell(Query::Count { uid, code }))
    };
    let of_agents = refusals(&desk.agents);
    let of_reviewers = refusals(&desk.engine);
    let agents = {
        let (health, reflection) = (
            health::<AgentServiceServer<agent::Agents>>().await,
            reflection()?,
        );
        let service = AgentServiceServer::new(agent::Agents {
            desk: Arc::clone(&desk),
        })
        .max_decoding_message_size(FROM_AGENTS)
        .max_encoding_message_size(TO_PEERS);
        server(CallLimits::default(), of_agents.clone())
            .add_service(service)
            .add_service(health)
            .add_service(reflection)
            .serve_with_incoming_shutdown(
                incoming(sockets.agent, ConnectionCap::default(), of_agents),
                stopped(stop.clone()),
            )
    };
    let reviewers = {
        let (health, reflection) = (
            health::<ReviewServiceServer<review::Reviewers>>().await,
            reflection()?,
        );
        let service = ReviewServiceServer::new(review::Reviewers { desk })
            .max_decoding_message_size(FROM_REVIEWERS)
            .max_encoding_message_size(TO_PEERS);
        server(CallLimits::default(), of_reviewers.clone())
            .add_service(service)
            .add_service(health)
            .add_service(reflection)
            .serve_with_incoming_shutdown(
                incoming(sockets.review, ConnectionCap::default(), of_reviewers),
                stopped(stop),
            )
    };
    tokio::try_join!(agents, reviewers).map_err(ServeError::Transport)?;
    Ok(())
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that whoever could say stop is gone, which is a stop as well.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn health<S: tonic::server::NamedService>()
-> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_serving::<S>().await;
    service
}

fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
    ServeError,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .map_err(ServeError::Reflection)
}

/// Returns who calls, as the kernel said when the connection was accepted.
fn peer<T>(request: &Request<T>) -> Result<Arc<Peer>, Status> {
    request
        .extensions()
        .get::<Arc<Peer>>()
        .cloned()
        .ok_or_else(|| Status::internal("the caller is not identified"))
}
