//! The server's answers, looked at before they are passed on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::super::super::answer;
use super::super::super::lines::LONGEST_FROM_SERVER;
use super::super::super::message::{self, FromServer, MessageError};
use super::super::super::open::Open;
use super::super::super::strict;
use super::super::events::Events;
use super::super::reply::{self, Broken, Parts, Sender};
use super::Front;
use super::headers::only;
use super::talks::Talk;
use crate::telling::warn;

/// How long the end of a call is waited for whose client hung up, or which may still be answered in
/// another stream of the session.
pub(super) const LATE_ANSWER: Duration = Duration::from_secs(600);

/// What form a server's answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Messages, one event each.
    Events,
    /// One message.
    Json,
    /// Something else, or nothing.
    Other,
}

impl Form {
    /// Reads it from the head; `None` when the bytes could be taken for something else.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        if headers.contains_key(CONTENT_ENCODING) {
            return None;
        }
        let kind = match only(headers, CONTENT_TYPE.as_str()) {
            Some(kind) => kind.split(';').next().unwrap_or_default(),
            None if headers.contains_key(CONTENT_TYPE) => return None,
            None => "",
        };
        Some(match kind.trim().to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::Events,
            "application/json" => Self::Json,
            _ => Self::Other,
        })
    }
}

impl Front {
    /// Passes a request on that calls nothing, and its answer.
    pub(super) async fn pass(
        self: &Arc<Self>,
        method: Method,
        headers: &HeaderMap,
        body: Bytes,
        talk: &Talk,
    ) -> Response<Parts> {
        let answered = match self.upstream.connect().await {
            Ok(connection) => connection.send(method, headers, body).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(response) => self.relay(response, Arc::clone(&talk.open)).await,
            Err(error) => unanswered(&crate::failure::chain(&error)),
        }
    }

    /// Passes an answer on as it comes.
    async fn relay(
        self: &Arc<Self>,
        response: Response<Incoming>,
        open: Arc<Open>,
    ) -> Response<Parts> {
        let (head, body) = response.into_parts();
        let Some(form) = Form::of(&head.headers) else {
            return unanswered("its answer is compressed, or of two types");
        };
        if form == Form::Events {
            let (response, sender) = reply::passed(head.status, &head.headers);
            let front = Arc::clone(self);
            tokio::spawn(async move { front.pump(body, &open, &sender, false).await });
            return response;
        }
        let Some(bytes) = whole(body).await else {
            return unanswered("its answer broke off, or is too long");
        };
        // An acknowledgement has a head only, whatever type that names.
        if form == Form::Json && !bytes.is_empty() && !self.on_message(&bytes, &open) {
            return unanswered("its answer cannot be read in one way only");
        }
        // A client that does not look at the type would read an answer that nobody here looked at.
        if form == Form::Other && head.status.is_success() && !bytes.is_empty() {
            return unanswered("its answer is neither JSON nor a stream of events");
        }
        let (mut response, _) = reply::passed(head.status, &head.headers);
        *response.body_mut() = Parts::Whole((!bytes.is_empty()).then_some(bytes));
        response
    }

    /// Passes events on as they come, until either side ends. With `to_the_end` they are looked at for
    /// a while after the client has hung up.
    pub(super) async fn pump(
        &self,
        mut body: Incoming,
        open: &Open,
        to: &Sender,
        to_the_end: bool,
    ) {
        let mut events = Events::new(LONGEST_FROM_SERVER);
        let mut is_read = true;
        loop {
            let late = if is_read { Duration::MAX } else { LATE_ANSWER };
            let frame = tokio::select! {
                () = to.closed(), if is_read => {
                    if !to_the_end {
                        return;
                    }
                    is_read = false;
                    continue;
                }
                frame = tokio::time::timeout(late, body.frame()) => match frame {
                    Ok(frame) => frame,
                    Err(_) => return,
                },
            };
            let bytes = match frame {
                None => return,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => bytes,
                    // Nobody needs trailers.
                    Err(_) => continue,
                },
                Some(Err(_)) => {
                    drop(to.send(Err(Broken)).await);
                    return;
                }
            };
            let complete = match events.feed(&bytes) {
                Ok(complete) => complete,
                Err(error) => {
                    warn(&format!("the server's stream is ended: {error}"));
                    drop(to.send(Err(Broken)).await);
                    return;
                }
            };
            for event in complete {
                let passes = event.data.is_empty() || self.on_message(&event.data, open);
                if passes && is_read && to.send(Ok(event.raw.into())).await.is_err() {
                    if !to_the_end {
                        return;
                    }
                    is_read = false;
                }
            }
        }
    }

    /// Looks at a message of the server's; tells whether it may be passed on.
    pub(super) fn on_message(&self, bytes: &[u8], open: &Open) -> bool {
        let read = strict::message(bytes)
            .map_err(MessageError::from)
            .and_then(|members| message::from_server(&members));
        match read {
            Ok(FromServer::Answer(id, answer)) => {
                self.gate.note(&answer.tools);
                let passes = open.answer(id.as_ref(), *answer);
                if !passes {
                    warn("the server answers a call that it was not sent; it is not passed on");
                }
                passes
            }
            Ok(FromServer::Other) => true,
            Err(error) => {
                warn(&format!(
                    "a message of the server is not passed on: {}",
                    crate::failure::chain(&error)
                ));
                false
            }
        }
    }
}

/// Reads all of a body that is no stream.
pub(super) async fn whole(body: Incoming) -> Option<Bytes> {
    let collected = Limited::new(body, LONGEST_FROM_SERVER).collect().await;
    Some(collected.ok()?.to_bytes())
}

fn unanswered(why: &str) -> Response<Parts> {
    let said = answer::error(None, answer::INTERNAL, why);
    reply::ours(StatusCode::BAD_GATEWAY, &said)
}
