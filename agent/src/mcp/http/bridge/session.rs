//! One process of a server, and who waits for what it writes.
//!
//! Answers go to whoever asked. What the server says of its own accord goes to the request whose
//! progress it tells, or else to the stream that the client listens to, or else to the request that
//! was made last; it waits when there is none.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::json;
use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::super::super::lines::{self, LONGEST_FROM_SERVER, Line};
use super::super::super::message::{self, FromServer, Id};
use super::super::super::server::{Process, Server};
use super::super::super::strict::{self, Members};
use super::super::events;
use super::super::reply::{self, Parts};
use crate::clock;
use crate::failure::Failure;
use crate::telling::warn;

/// How many messages wait for somebody who does not read. Then the server waits, too.
const MOST_WAITING: usize = 64;

/// A message of the server's.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// It answers the request.
    Answer(Bytes),
    /// It is something else, and an answer follows.
    Other(Bytes),
}

/// Why the server was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskError {
    /// A request with this id is open.
    InUse,
    /// The server does not listen any more.
    Gone,
}

/// A process and the conversation with it.
pub(super) struct Session {
    server: Server,
    process: tokio::sync::Mutex<Process>,
    state: Mutex<State>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

struct State {
    open: HashMap<Id, Open>,
    /// The stream that the client listens to.
    stream: Option<reply::Sender>,
    /// What nobody could be told yet.
    kept: VecDeque<Bytes>,
    asked: u64,
    last_used: Duration,
    has_ended: bool,
    slot: Option<OwnedSemaphorePermit>,
}

struct Open {
    to: mpsc::Sender<Said>,
    token: Option<String>,
    order: u64,
}

impl Session {
    /// Starts the server.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        command: &[OsString],
        slot: OwnedSemaphorePermit,
    ) -> Result<Arc<Self>, Failure> {
        let (server, stdout, process) = Server::start(command)?;
        let session = Arc::new(Self {
            server,
            process: tokio::sync::Mutex::new(process),
            state: Mutex::new(State {
                open: HashMap::new(),
                stream: None,
                kept: VecDeque::new(),
                asked: 0,
                last_used: clock::boot(),
                has_ended: false,
                slot: Some(slot),
            }),
        });
        tokio::spawn(Arc::clone(&session).hear(BufReader::new(stdout)));
        Ok(session)
    }

    /// Sends a request and returns where its answer will be. When it `is_alone`, the server ends after
    /// it.
    ///
    /// # Errors
    /// When it was not sent.
    pub(super) async fn ask(
        self: &Arc<Self>,
        id: &Id,
        token: Option<String>,
        is_alone: bool,
        line: &[u8],
    ) -> Result<Waiting, AskError> {
        let (to, said) = mpsc::channel(MOST_WAITING);
        let kept = {
            let mut state = self.state();
            if state.has_ended {
                return Err(AskError::Gone);
            }
            if state.open.contains_key(id) {
                return Err(AskError::InUse);
            }
            state.asked = state.asked.saturating_add(1);
            state.last_used = clock::boot();
            let order = state.asked;
            let open = Open {
                to: to.clone(),
                token,
                order,
            };
            state.open.insert(id.clone(), open);
            // While somebody listens they are not kept.
            std::mem::take(&mut state.kept)
        };
        let waiting = Waiting {
            session: Arc::clone(self),
            id: id.clone(),
            is_alone,
            said,
        };
        for bytes in kept {
            drop(to.send(Said::Other(bytes)).await);
        }
        self.tell(line).await?;
        Ok(waiting)
    }

    /// Sends what has no answer.
    ///
    /// # Errors
    /// When the server does not listen any more.
    pub(super) async fn tell(&self, line: &[u8]) -> Result<(), AskError> {
        let sent = self.server.send_call(line, || Ok(())).await;
        sent.map_err(|_| AskError::Gone)
    }

    /// Ends the waiting for an answer that will not come, since the client took the request back.
    pub(super) fn give_up(&self, id: &Id) {
        self.state().open.remove(id);
    }

    /// Lets the client listen; `None` when it does already.
    pub(super) fn listen(&self) -> Option<Response<Parts>> {
        let (response, to) = reply::stream();
        let kept = {
            let mut state = self.state();
            let is_taken = state.stream.as_ref().is_some_and(|to| !to.is_closed());
            if is_taken || state.has_ended {
                return None;
            }
            state.last_used = clock::boot();
            state.stream = Some(to.clone());
            std::mem::take(&mut state.kept)
        };
        if !kept.is_empty() {
            tokio::spawn(async move {
                for bytes in kept {
                    drop(to.send(Ok(events::event(&bytes).into())).await);
                }
            });
        }
        Some(response)
    }

    /// Tells whether nothing is open here.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.open.is_empty() && state.stream.as_ref().is_none_or(mpsc::Sender::is_closed)
    }

    /// Returns when it was last spoken to.
    pub(super) fn last_used(&self) -> Duration {
        self.state().last_used
    }

    /// Tells whether the server has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    /// Gives its place to another one, though the process may take a while to end.
    pub(super) fn make_room(&self) {
        self.state().slot = None;
    }

    /// Ends the server as its client would.
    pub(super) async fn end(&self) {
        self.server.hang_up().await;
        self.process.lock().await.end(false).await;
        self.make_room();
    }

    /// Reads what the server writes, to its end.
    async fn hear(self: Arc<Self>, mut from: BufReader<ChildStdout>) {
        loop {
            match lines::next(&mut from, LONGEST_FROM_SERVER).await {
                Ok(Line::Whole(line)) => self.on_line(line).await,
                Ok(Line::TooLong { found }) => warn(&format!(
                    "a message of the server has {found} bytes, the limit is {LONGEST_FROM_SERVER}; it is not passed on"
                )),
                Ok(Line::End { .. }) => break,
                Err(error) => {
                    warn(&format!("the server cannot be read: {error}"));
                    break;
                }
            }
        }
        {
            let mut state = self.state();
            state.has_ended = true;
            state.open.clear();
            state.stream = None;
        }
        // Whoever ended it may be waiting for that already.
        self.end().await;
    }

    async fn on_line(&self, line: Vec<u8>) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let read = match strict::line(&line) {
            Ok(members) => message::from_server(&members)
                .map(|read| (read, progress_token(&members, "progressToken")))
                .map_err(|error| crate::failure::chain(&error)),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok((FromServer::Answer(Some(id), _), _)) => {
                let open = self.state().open.remove(&id);
                match open {
                    // Who asked may be gone.
                    Some(open) => drop(open.to.send(Said::Answer(line.into())).await),
                    None => warn("the server answers what nobody asks any more"),
                }
            }
            Ok((FromServer::Answer(None, _) | FromServer::Other, token)) => {
                self.pass_on(line.into(), token.as_deref()).await;
            }
            Err(why) => warn(&format!("a message of the server is not passed on: {why}")),
        }
    }

    async fn pass_on(&self, bytes: Bytes, token: Option<&str>) {
        enum To {
            Request(mpsc::Sender<Said>),
            Stream(reply::Sender),
        }
        let to = {
            let mut state = self.state();
            if state.stream.as_ref().is_some_and(mpsc::Sender::is_closed) {
                state.stream = None;
            }
            let told = state
                .open
                .values()
                .find(|open| token.is_some() && open.token.as_deref() == token);
            let last = || state.open.values().max_by_key(|open| open.order);
            match (told, &state.stream) {
                (Some(open), _) => Some(To::Request(open.to.clone())),
                (None, Some(stream)) => Some(To::Stream(stream.clone())),
                (None, None) => last().map(|open| To::Request(open.to.clone())),
            }
        };
        match to {
            Some(To::Request(to)) => drop(to.send(Said::Other(bytes)).await),
            Some(To::Stream(to)) => drop(to.send(Ok(events::event(&bytes).into())).await),
            None => {
                let mut state = self.state();
                if state.kept.len() < MOST_WAITING {
                    state.kept.push_back(bytes);
                } else {
                    warn("nobody listens to the server; one of its messages is lost");
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here is left half done when it is given up.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that the server has.
#[derive(Debug)]
pub(super) struct Waiting {
    session: Arc<Session>,
    id: Id,
    is_alone: bool,
    said: mpsc::Receiver<Said>,
}

impl Waiting {
    /// Returns the server's next message; `None` when there will be no answer.
    pub(super) async fn next(&mut self) -> Option<Said> {
        self.said.recv().await
    }

    /// Tells whether there is no answer because the client did not want it any more.
    pub(super) fn was_given_up(&self) -> bool {
        !self.session.has_ended()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let is_open = self.session.state().open.remove(&self.id).is_some();
        if !is_open && !self.is_alone {
            return;
        }
        // One that is open still is not waited for any more: to a stream that is said by closing it, to
        // a process in words.
        let cancelled = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": { "requestId": self.id.to_value(), "reason": "the client hung up" },
        });
        let (session, is_alone) = (Arc::clone(&self.session), self.is_alone);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if is_open {
                // It may have ended.
                let _gone = session.tell(cancelled.to_string().as_bytes()).await;
            }
            if is_alone {
                session.end().await;
            }
        });
    }
}

/// Returns the token of a message of progress, or of a request that wants to hear of some: the text
/// of the member inside `params`, or inside its `_meta`.
pub(super) fn progress_token(members: &Members<'_>, place: &str) -> Option<String> {
    let params = strict::object(members.get("params")?).ok()?;
    if place == "progressToken" {
        return Some(params.get("progressToken")?.get().to_owned());
    }
    let meta = strict::object(params.get("_meta")?).ok()?;
    Some(meta.get("progressToken")?.get().to_owned())
}
