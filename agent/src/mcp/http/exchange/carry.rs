//! One call over HTTP, from the asking to the report.

use std::time::Duration;

use bytes::Bytes;
use countersign_shared::digest::Digest;
use http::header::ACCEPT;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::oneshot;

use super::super::super::answer;
use super::super::super::call::Call;
use super::super::super::gate::{Passage, Stop, Stops};
use super::super::super::message::{Answer, End, Id};
use super::super::events;
use super::super::reply::{self, Parts, Sender};
use super::super::upstream::UpstreamError;
use super::Front;
use super::relay::{Form, LATE_ANSWER, whole};
use super::talks::Talk;

/// How often a client hears that its call is still held.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A call with all that is passed on.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) id: Id,
    pub(super) call: Box<Call>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) talk: Talk,
}

/// The client's side of a call.
#[derive(Debug)]
pub(super) struct Client {
    side: Side,
    /// Whether it reads signs of life.
    wants_signs: bool,
}

#[derive(Debug)]
enum Side {
    /// It waits for an answer.
    Waiting(oneshot::Sender<Response<Parts>>),
    /// It reads a stream of ours.
    Reading(Sender),
    /// It has been answered, or is gone.
    Done,
}

impl Client {
    /// Makes the client's side, and where the head of the answer will be.
    pub(super) fn new(
        headers: &HeaderMap,
        call: &Call,
    ) -> (Self, oneshot::Receiver<Response<Parts>>) {
        let (sender, head) = oneshot::channel();
        let reads_events = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .any(|accept| accept.to_ascii_lowercase().contains("text/event-stream"));
        let client = Self {
            side: Side::Waiting(sender),
            wants_signs: reads_events && call.progress.is_some(),
        };
        (client, head)
    }

    /// Waits until the client has hung up.
    async fn gone(&mut self) {
        match &mut self.side {
            Side::Waiting(sender) => sender.closed().await,
            Side::Reading(sender) => sender.closed().await,
            Side::Done => std::future::pending().await,
        }
    }

    /// Tells whether the client has hung up. One that was answered is not asked any more.
    fn is_gone(&self) -> bool {
        match &self.side {
            Side::Waiting(sender) => sender.is_closed(),
            Side::Reading(sender) => sender.is_closed(),
            Side::Done => false,
        }
    }

    /// Returns where the parts of the server's answer are put, whose head it has.
    fn reads(&mut self, status: StatusCode, headers: &HeaderMap) -> Sender {
        match std::mem::replace(&mut self.side, Side::Done) {
            Side::Waiting(waiting) => {
                let (response, sender) = reply::passed(status, headers);
                // Nobody reads the parts when it has hung up.
                drop(waiting.send(response));
                sender
            }
            Side::Reading(sender) => sender,
            Side::Done => reply::stream().1,
        }
    }

    /// Sends one event, and begins the stream with the first. One that does not read them misses some.
    fn sign(&mut self, said: &Value) {
        if let Side::Waiting(_) = &self.side
            && let Side::Waiting(head) = std::mem::replace(&mut self.side, Side::Done)
        {
            let (response, sender) = reply::stream();
            if head.send(response).is_ok() {
                self.side = Side::Reading(sender);
            }
        }
        if let Side::Reading(sender) = &self.side {
            let event = events::event(said.to_string().as_bytes());
            drop(sender.try_send(Ok(event.into())));
        }
    }

    /// Sends an answer of ours, which is the last that the client hears.
    async fn answer(&mut self, status: StatusCode, said: &Value) {
        match std::mem::replace(&mut self.side, Side::Done) {
            Side::Waiting(head) => drop(head.send(reply::ours(status, said))),
            Side::Reading(sender) => {
                let event = events::event(said.to_string().as_bytes());
                drop(sender.send(Ok(event.into())).await);
            }
            Side::Done => {}
        }
    }
}

impl Front {
    /// Sees a call through.
    pub(super) async fn carry(&self, carried: Carried, stops: Stops, mut client: Client) {
        let Carried { id, call, .. } = &carried;
        let open = &carried.talk.open;
        let passing = self.gate.pass(call, stops);
        tokio::pin!(passing);
        let mut ticks = tokio::time::interval(SIGN_OF_LIFE);
        let mut count = 0_u32;
        let passed = loop {
            tokio::select! {
                passed = &mut passing => break passed,
                () = client.gone() => {
                    client.side = Side::Done;
                    open.stop(id, Stop::Cancelled);
                }
                _ = ticks.tick() => {
                    if let Some(token) = call.progress.as_ref().filter(|_| client.wants_signs && count > 0) {
                        client.sign(&answer::progress(token, count));
                    }
                    count = count.saturating_add(1);
                }
            }
        };
        let refused = |why: &str| answer::not_called(id, call.is_typed, why);
        let passage = match passed {
            Ok(passage) => passage,
            Err(why) => {
                open.remove(id);
                // A client that took it back does not wait for it, and each exchange has an end.
                client.answer(StatusCode::OK, &refused(&why)).await;
                return;
            }
        };
        let connection = match self.upstream.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                let why = crate::failure::chain(&error);
                passage.not_made(&why).await;
                open.remove(id);
                let said = refused(&format!("countersign: not passed on: {why}"));
                client.answer(StatusCode::OK, &said).await;
                return;
            }
        };
        if client.is_gone() {
            open.stop(id, Stop::Cancelled);
        }
        let heard = match open.send(id) {
            Ok(heard) => heard,
            Err(why) => {
                passage.not_made(why).await;
                open.remove(id);
                let said = refused(&format!("countersign: not passed on: {why}"));
                client.answer(StatusCode::OK, &said).await;
                return;
            }
        };
        let mut passage = passage;
        passage.made().await;
        let (headers, body) = (&carried.headers, carried.body.clone());
        let answering = connection.send(Method::POST, headers, body);
        let answered = tokio::select! {
            answered = answering => answered,
            // Since 2026-07-28 a call that was sent is taken back by hanging up. Before, it goes on.
            () = client.gone(), if call.is_typed => {
                open.remove(id);
                return;
            }
        };
        self.hear(answered, &carried, client, passage, heard).await;
        open.remove(id);
    }

    /// Passes the server's answer on, and reports what it says.
    async fn hear(
        &self,
        answered: Result<Response<Incoming>, UpstreamError>,
        carried: &Carried,
        mut client: Client,
        passage: Passage<'_>,
        heard: oneshot::Receiver<Answer>,
    ) {
        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                // Nobody can tell whether the call was made, and nobody is told.
                let why = format!(
                    "whether the call was made is not known: {}",
                    crate::failure::chain(&error)
                );
                let said = answer::error(Some(&carried.id), answer::INTERNAL, &why);
                client.answer(StatusCode::BAD_GATEWAY, &said).await;
                return;
            }
        };
        let (parts, body) = response.into_parts();
        let form = Form::of(&parts.headers);
        if form == Some(Form::Events) {
            let sender = client.reads(parts.status, &parts.headers);
            let to_the_end = !carried.call.is_typed;
            self.pump(body, &carried.talk.open, &sender, to_the_end)
                .await;
            drop(sender);
            self.report(passage, heard, carried.talk.has_session).await;
            return;
        }
        let bytes = whole(body).await;
        let said = match (form, &bytes) {
            (Some(Form::Json), Some(bytes)) if self.on_message(bytes, &carried.talk.open) => None,
            (Some(Form::Other), Some(_)) if !parts.status.is_success() => None,
            _ => Some(answer::error(
                Some(&carried.id),
                answer::INTERNAL,
                "the server's answer is none that could be passed on",
            )),
        };
        if !parts.status.is_success()
            && let Some(bytes) = &bytes
        {
            // It has no message with an answer, or one without the id.
            let refusal = Answer {
                end: End::Failed,
                digest: Digest::of(bytes),
                tools: Vec::new(),
            };
            carried.talk.open.answer(Some(&carried.id), refusal);
        }
        match (said, std::mem::replace(&mut client.side, Side::Done), bytes) {
            (None, Side::Waiting(waiting), Some(bytes)) => {
                let (mut response, _) = reply::passed(parts.status, &parts.headers);
                *response.body_mut() = Parts::Whole((!bytes.is_empty()).then_some(bytes));
                drop(waiting.send(response));
            }
            (None, Side::Reading(sender), Some(bytes)) => {
                let event = if form == Some(Form::Json) {
                    events::event(&bytes)
                } else {
                    let why = format!("the server answers with {}", parts.status);
                    let said = answer::error(Some(&carried.id), answer::INTERNAL, &why);
                    events::event(said.to_string().as_bytes())
                };
                drop(sender.send(Ok(event.into())).await);
            }
            (said, side, _) => {
                client.side = side;
                if let Some(said) = said {
                    client.answer(StatusCode::BAD_GATEWAY, &said).await;
                }
            }
        }
        self.report(passage, heard, carried.talk.has_session).await;
    }

    /// Reports how the call ended, once an answer was seen; in a session it may come in another
    /// stream.
    async fn report(
        &self,
        passage: Passage<'_>,
        mut heard: oneshot::Receiver<Answer>,
        has_session: bool,
    ) {
        let answer = match heard.try_recv() {
            Ok(answer) => Some(answer),
            Err(_) if has_session => tokio::time::timeout(LATE_ANSWER, heard)
                .await
                .ok()
                .and_then(Result::ok),
            Err(_) => None,
        };
        if let Some(answer) = answer {
            passage.ended(&answer).await;
        }
    }
}
