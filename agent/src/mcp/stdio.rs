//! The proxy between a client on our standard streams and a server that we start.
//!
//! Each line is passed on as the bytes that came. Two tasks read, one for each direction, and each
//! call that is held is a task of its own. Whatever ends first, the other side is ended after it, and
//! what is held is taken back.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use super::answer;
use super::call::Call;
use super::gate::{Gate, Stop, Stops};
use super::lines::{self, LONGEST_FROM_CLIENT, LONGEST_FROM_SERVER, Line};
use super::message::{self, FromClient, FromServer, Id, MessageError};
use super::open::Open;
use super::server::Server;
use super::strict::{self, StrictError};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::telling::warn;

/// How often a client hears that its call is still held.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// How long calls that are on their way are waited for when the client has closed its side.
const LAST_ANSWERS: Duration = Duration::from_secs(60);

/// How long what an ended server wrote may take to be passed on: another process may have its output.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How long tasks may take to take back and report, at the end.
const LAST_WORDS: Duration = Duration::from_secs(12);

/// What all tasks share.
struct Proxy {
    gate: Gate,
    open: Open,
    /// Our standard output. Messages are written whole, one at a time.
    client: Mutex<tokio::io::Stdout>,
    server: Server,
    /// The client does not read any more.
    deaf: Notify,
}

/// Stands between the client and the server until either ends.
///
/// # Errors
/// When the server cannot be started.
pub(super) async fn run(gate: Gate, command: &[OsString]) -> Result<u8, Failure> {
    let mut signals =
        Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
    let (server, stdout, mut child) = Server::start(command)?;
    let proxy = Arc::new(Proxy {
        gate,
        open: Open::default(),
        client: Mutex::new(tokio::io::stdout()),
        server,
        deaf: Notify::new(),
    });
    let mut calls = JoinSet::new();
    let mut answers = tokio::spawn(Arc::clone(&proxy).hear_server(BufReader::new(stdout)));
    let end = tokio::select! {
        biased;
        signal = signals.next() => End::Signal(signal),
        () = Arc::clone(&proxy).hear_client(&mut calls) => End::Client,
        () = proxy.deaf.notified() => End::Deaf,
        _ = &mut answers => End::Server,
    };
    let stop = match end {
        End::Client | End::Deaf | End::Signal(_) => Stop::ClientGone,
        End::Server => Stop::ServerGone,
    };
    proxy.open.stop_held(stop);
    proxy.server.hang_up().await;
    if end == End::Client {
        // The server goes on answering what it was sent.
        tokio::select! {
            () = proxy.open.none_sent() => {}
            _ = &mut answers => {}
            () = tokio::time::sleep(LAST_ANSWERS) => {}
            _ = signals.next() => {}
        }
    }
    let status = child.end(matches!(end, End::Signal(_) | End::Deaf)).await;
    // What it wrote before it ended is passed on.
    if !answers.is_finished() {
        drop(tokio::time::timeout(LAST_LINES, &mut answers).await);
        answers.abort();
    }
    let lost = proxy.open.forget_sent();
    if end != End::Deaf {
        // Whoever waits for an answer shall not wait for ever.
        let why = "the server ended before it answered; how the call ended is not known";
        for id in lost {
            proxy
                .to_client(&answer::error(Some(&id), answer::INTERNAL, why))
                .await;
        }
    }
    let finish = async { while calls.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, finish).await.is_err() {
        warn("not everything could be told; it ends by itself");
    }
    Ok(match end {
        End::Signal(signal) => u8::try_from(signal.as_raw().saturating_add(128)).unwrap_or(u8::MAX),
        End::Client | End::Deaf | End::Server => status,
    })
}

/// Which side ended the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Deaf,
    Server,
    Signal(Signal),
}

impl Proxy {
    /// Reads what the client writes, to its end.
    async fn hear_client(self: Arc<Self>, calls: &mut JoinSet<()>) {
        let mut from = BufReader::new(tokio::io::stdin());
        loop {
            match lines::next(&mut from, LONGEST_FROM_CLIENT).await {
                Ok(Line::Whole(line)) => self.on_client(line, calls).await,
                Ok(Line::TooLong { found }) => {
                    let why = format!(
                        "the message has {found} bytes, the limit is {LONGEST_FROM_CLIENT}; it was not passed on"
                    );
                    self.refuse(None, answer::INVALID_REQUEST, &why).await;
                }
                Ok(Line::End { cut_off }) => {
                    if cut_off {
                        warn("the client's last message is cut off; it is not passed on");
                    }
                    return;
                }
                Err(error) => {
                    warn(&format!("the client cannot be read: {error}"));
                    return;
                }
            }
            // Finished calls need not be remembered.
            while calls.try_join_next().is_some() {}
        }
    }

    async fn on_client(self: &Arc<Self>, line: Vec<u8>, calls: &mut JoinSet<()>) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let read = strict::line(&line)
            .map_err(MessageError::from)
            .and_then(|members| message::from_client(&members));
        match read {
            Ok(FromClient::Call(id, call)) => match self.open.hold(&id) {
                Some(stops) => {
                    let proxy = Arc::clone(self);
                    calls.spawn(async move { proxy.carry(id, &call, stops, line).await });
                }
                None => self.refuse_used(&id).await,
            },
            Ok(FromClient::Cancelled(Some(id))) => {
                if !self.open.stop(&id, Stop::Cancelled) {
                    self.to_server(&line).await;
                }
            }
            Ok(FromClient::Request(id)) if self.open.has(&id) => self.refuse_used(&id).await,
            Ok(FromClient::Request(_) | FromClient::Cancelled(None) | FromClient::Other) => {
                self.to_server(&line).await;
            }
            Err(error) => {
                let code = match &error {
                    MessageError::Strict(StrictError::Json(_)) => answer::PARSE_ERROR,
                    MessageError::Call(_) => answer::INVALID_PARAMS,
                    MessageError::Strict(_)
                    | MessageError::Disguised { .. }
                    | MessageError::Member { .. }
                    | MessageError::Nothing => answer::INVALID_REQUEST,
                };
                let why = format!("not passed on: {}", crate::failure::chain(&error));
                self.refuse(message::guess_id(&line).as_ref(), code, &why)
                    .await;
            }
        }
    }

    /// Sees one call through, from the asking to the report.
    async fn carry(&self, id: Id, call: &Call, stops: Stops, line: Vec<u8>) {
        let passing = self.gate.pass(call, stops);
        tokio::pin!(passing);
        let mut ticks = tokio::time::interval(SIGN_OF_LIFE);
        let mut count = 0_u32;
        let passed = loop {
            tokio::select! {
                passed = &mut passing => break passed,
                _ = ticks.tick() => {
                    if let Some(token) = &call.progress && count > 0 {
                        self.to_client(&answer::progress(token, count)).await;
                    }
                    count = count.saturating_add(1);
                }
            }
        };
        let mut passage = match passed {
            Ok(passage) => passage,
            Err(why) => {
                if self.open.remove(&id) != Some(Stop::Cancelled) {
                    let said = answer::not_called(&id, call.is_typed, &why);
                    self.to_client(&said).await;
                }
                return;
            }
        };
        let sent = self.server.send_call(&line, || self.open.send(&id)).await;
        match sent {
            Ok(heard) => {
                passage.made().await;
                // Without an answer nobody can tell how it ended, and nobody is told.
                if let Ok(answer) = heard.await {
                    passage.ended(&answer).await;
                }
            }
            Err(why) => {
                passage.not_made(why).await;
                if self.open.remove(&id) != Some(Stop::Cancelled) {
                    let why = format!("countersign: not passed on: {why}");
                    let said = answer::not_called(&id, call.is_typed, &why);
                    self.to_client(&said).await;
                }
            }
        }
    }

    /// Reads what the server writes, to its end.
    async fn hear_server(self: Arc<Self>, mut from: BufReader<tokio::process::ChildStdout>) {
        loop {
            match lines::next(&mut from, LONGEST_FROM_SERVER).await {
                Ok(Line::Whole(line)) => self.on_server(&line).await,
                Ok(Line::TooLong { found }) => warn(&format!(
                    "a message of the server has {found} bytes, the limit is {LONGEST_FROM_SERVER}; it is not passed on"
                )),
                Ok(Line::End { cut_off }) => {
                    if cut_off {
                        warn("the server's last message is cut off; it is not passed on");
                    }
                    return;
                }
                Err(error) => {
                    warn(&format!("the server cannot be read: {error}"));
                    return;
                }
            }
        }
    }

    async fn on_server(&self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let read = strict::line(line)
            .map_err(MessageError::from)
            .and_then(|members| message::from_server(&members));
        match read {
            Ok(FromServer::Answer(id, answer)) => {
                // Before the client can call what it reads here.
                self.gate.note(&answer.tools);
                if !self.open.answer(id.as_ref(), *answer) {
                    warn("the server answers a call that it was not sent; it is not passed on");
                    return;
                }
                self.write_client(line).await;
            }
            Ok(FromServer::Other) => self.write_client(line).await,
            Err(error) => {
                warn(&format!(
                    "a message of the server is not passed on: {}",
                    crate::failure::chain(&error)
                ));
                // Whoever waits for an answer shall not wait for ever; how a call ended is not known.
                if let Some(id) = message::guess_answered(line).filter(|id| self.open.lose(id)) {
                    let why = "the server's answer is none that could be passed on";
                    self.to_client(&answer::error(Some(&id), answer::INTERNAL, why))
                        .await;
                }
            }
        }
    }

    async fn refuse_used(&self, id: &Id) {
        let why = "not passed on: a call with this id is held or made";
        self.refuse(Some(id), answer::INVALID_REQUEST, why).await;
    }

    async fn refuse(&self, id: Option<&Id>, code: i32, why: &str) {
        warn(why);
        self.to_client(&answer::error(id, code, why)).await;
    }

    /// Passes a message on as it came. One that calls no tool is nobody's loss when the server is
    /// gone.
    async fn to_server(&self, line: &[u8]) {
        self.server.send(line).await;
    }

    async fn to_client(&self, said: &Value) {
        self.write_client(said.to_string().as_bytes()).await;
    }

    async fn write_client(&self, line: &[u8]) {
        let mut client = self.client.lock().await;
        let written = async {
            client.write_all(line).await?;
            client.write_all(b"\n").await?;
            client.flush().await
        };
        if written.await.is_err() {
            self.deaf.notify_one();
        }
    }
}
