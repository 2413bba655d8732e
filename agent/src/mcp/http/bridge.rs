//! A server that is a command, behind the front as if it spoke Streamable HTTP itself.
//!
//! The front reaches it over connections inside this process, and nobody else does: nothing is checked
//! or held here. A conversation that begins with `initialize` has a process of its own until it ends.
//! A message that belongs to none (2026-07-28) has a process for itself, since two clients could use
//! one id: what a server keeps in memory between such messages is lost.

mod session;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::Semaphore;

use super::super::answer;
use super::super::message::{self, FromClient, Id};
use super::super::strict::{self, Members};
use super::events;
use super::reply::{self, Parts};
use crate::telling::warn;

use session::{Said, Session, Waiting};

/// How many processes of the server there may be at once.
const MOST_PROCESSES: usize = 32;

/// How many bytes of a connection wait to be read.
const BUFFER: usize = 64 * 1024;

/// The header that names a conversation.
const SESSION: &str = "mcp-session-id";

/// What a message of 2026-07-28 has in `_meta`.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The server's command, and the conversations with it.
pub(super) struct Bridge {
    command: Vec<OsString>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    slots: Arc<Semaphore>,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

/// The server ended before it answered: the connection is closed without a word, as it would do.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the server has ended")]
struct Gone;

impl Bridge {
    /// Makes the bridge to a server that is started by this command.
    pub(super) fn new(command: &[OsString]) -> Self {
        Self {
            command: command.to_vec(),
            sessions: Mutex::default(),
            slots: Arc::new(Semaphore::new(MOST_PROCESSES)),
        }
    }

    /// Returns a connection for one request.
    pub(super) fn connect(self: &Arc<Self>) -> DuplexStream {
        let (near, far) = tokio::io::duplex(BUFFER);
        let bridge = Arc::clone(self);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let bridge = Arc::clone(&bridge);
                async move { bridge.answer(request).await }
            });
            // A connection that breaks is noticed at its other end.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(far), service)
                    .await,
            );
        });
        near
    }

    /// Tells whether a call belongs to no conversation that is there, though it needs one.
    pub(super) fn is_lost(&self, headers: &HeaderMap, says_its_version: bool) -> bool {
        match headers.get(SESSION) {
            Some(name) => self.session(name).is_none(),
            None => !says_its_version,
        }
    }

    /// Ends all conversations.
    pub(super) async fn end(&self) {
        let all: Vec<_> = self
            .sessions()
            .drain()
            .map(|(_, session)| session)
            .collect();
        let mut ends = tokio::task::JoinSet::new();
        for session in all {
            ends.spawn(async move { session.end().await });
        }
        while ends.join_next().await.is_some() {}
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Parts>, Gone> {
        let (head, body) = request.into_parts();
        let named = head.headers.get(SESSION);
        let session = named.and_then(|name| self.session(name));
        if named.is_some() && session.is_none() {
            return Ok(refused(
                StatusCode::NOT_FOUND,
                None,
                "there is no such session",
            ));
        }
        match (head.method, session) {
            (Method::POST, session) => {
                let body = body.collect().await.map_err(|_| Gone)?.to_bytes();
                self.post(session, &body).await
            }
            (Method::GET, Some(session)) => Ok(session.listen().unwrap_or_else(|| {
                refused(
                    StatusCode::CONFLICT,
                    None,
                    "the session has a stream already",
                )
            })),
            (Method::DELETE, Some(session)) => {
                self.forget(&session);
                tokio::spawn(async move { session.end().await });
                Ok(reply::bare(StatusCode::NO_CONTENT))
            }
            _ => Ok(reply::bare(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }

    async fn post(
        self: &Arc<Self>,
        session: Option<Arc<Session>>,
        body: &[u8],
    ) -> Result<Response<Parts>, Gone> {
        let read = strict::message(body).map_err(|error| error.to_string());
        let read = read.and_then(|members| {
            let message = message::from_client(&members).map_err(|error| error.to_string())?;
            Ok((message, members))
        });
        let (message, members) = match read {
            Ok(read) => read,
            Err(why) => return Ok(refused(StatusCode::BAD_REQUEST, None, &why)),
        };
        let line = on_one_line(body);
        let id = match message {
            FromClient::Call(id, _) | FromClient::Request(id) => id,
            FromClient::Cancelled(_) | FromClient::Other => {
                let Some(session) = session else {
                    return Ok(refused(StatusCode::BAD_REQUEST, None, NO_SESSION));
                };
                session.tell(&line).await.map_err(|_| Gone)?;
                if let FromClient::Cancelled(Some(id)) = &message {
                    session.give_up(id);
                }
                return Ok(reply::bare(StatusCode::ACCEPTED));
            }
        };
        let method = members.get("method").and_then(|raw| strict::text(raw));
        let begins = method.as_deref() == Some("initialize");
        let alone = method.as_deref() == Some("server/discover") || says_its_version(&members);
        let (session, name, is_alone) = match session {
            Some(session) => (session, None, false),
            None if begins || alone => match self.start() {
                Ok((session, name)) => (session, begins.then_some(name), !begins),
                Err(why) => {
                    warn(&why);
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    return Ok(refused(status, Some(&id), &why));
                }
            },
            None => return Ok(refused(StatusCode::BAD_REQUEST, Some(&id), NO_SESSION)),
        };
        let token = session::progress_token(&members, "_meta");
        let waiting = match session.ask(&id, token, is_alone, &line).await {
            Ok(waiting) => waiting,
            Err(session::AskError::InUse) => {
                let why = "a request with this id is open";
                return Ok(refused(StatusCode::BAD_REQUEST, Some(&id), why));
            }
            Err(session::AskError::Gone) => {
                self.forget(&session);
                return Err(Gone);
            }
        };
        answer_with(waiting, name.as_deref()).await
    }

    /// Starts the server for a new conversation, and makes up its name.
    fn start(&self) -> Result<(Arc<Session>, String), String> {
        if self.slots.available_permits() == 0 {
            self.end_one_that_is_idle();
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            format!("{MOST_PROCESSES} conversations with the server are open already")
        })?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| format!("no name can be made up: {error}"))?;
        let session = Session::start(&self.command, slot).map_err(|failure| failure.message)?;
        let name = HEXLOWER.encode(&random);
        let mut sessions = self.sessions();
        sessions.retain(|_, session| !session.has_ended());
        sessions.insert(name.clone(), Arc::clone(&session));
        drop(sessions);
        Ok((session, name))
    }

    /// Makes room: ends the conversation that has been silent for longest, if nothing is open in it.
    fn end_one_that_is_idle(&self) {
        let idle = {
            let sessions = self.sessions();
            let silent = sessions.values().filter(|session| session.is_idle());
            silent
                .min_by_key(|session| session.last_used())
                .map(Arc::clone)
        };
        if let Some(session) = idle {
            self.forget(&session);
            session.make_room();
            tokio::spawn(async move { session.end().await });
        }
    }

    fn session(&self, name: &HeaderValue) -> Option<Arc<Session>> {
        let name = name.to_str().ok()?;
        let mut sessions = self.sessions();
        let session = sessions.get(name)?;
        if session.has_ended() {
            sessions.remove(name);
            return None;
        }
        Some(Arc::clone(session))
    }

    fn forget(&self, session: &Arc<Session>) {
        self.sessions()
            .retain(|_, kept| !Arc::ptr_eq(kept, session));
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        // Nothing here is left half done when it is given up.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers with the message that the server sends, or with a stream when it sends others first.
async fn answer_with(mut waiting: Waiting, name: Option<&str>) -> Result<Response<Parts>, Gone> {
    let mut response = match waiting.next().await {
        // As the protocol wants it: the client took it back, and has no answer.
        None if waiting.was_given_up() => reply::stream().0,
        None => return Err(Gone),
        Some(Said::Answer(bytes)) => reply::json(bytes),
        Some(first @ Said::Other(_)) => {
            let (response, to) = reply::stream();
            tokio::spawn(stream(waiting, first, to));
            response
        }
    };
    if let Some(name) = name.and_then(|name| HeaderValue::from_str(name).ok()) {
        response.headers_mut().insert(SESSION, name);
    }
    Ok(response)
}

/// Passes messages on until the answer, or until nobody reads them.
async fn stream(mut waiting: Waiting, first: Said, to: reply::Sender) {
    let mut next = Some(first);
    while let Some(said) = next {
        let (Said::Other(bytes) | Said::Answer(bytes)) = &said;
        let event = events::event(bytes);
        if to.send(Ok(event.into())).await.is_err() || matches!(said, Said::Answer(_)) {
            return;
        }
        next = tokio::select! {
            () = to.closed() => return,
            next = waiting.next() => next,
        };
    }
    if !waiting.was_given_up() {
        drop(to.send(Err(reply::Broken)).await);
    }
}

const NO_SESSION: &str = "the message belongs to no session; begin with `initialize`";

/// Tells whether a message carries all that a server has to know, so that it needs no conversation.
fn says_its_version(members: &Members<'_>) -> bool {
    let meta = members
        .get("params")
        .and_then(|params| strict::object(params).ok())
        .and_then(|params| strict::object(params.get("_meta")?).ok());
    meta.is_some_and(|meta| meta.contains_key(VERSION))
}

/// Puts a message on one line. In JSON that was read strictly a line can only end between tokens.
fn on_one_line(body: &[u8]) -> Vec<u8> {
    let space = |byte: &u8| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    };
    body.iter().map(space).collect()
}

fn refused(status: StatusCode, id: Option<&Id>, why: &str) -> Response<Parts> {
    reply::ours(status, &answer::error(id, answer::INVALID_REQUEST, why))
}
