//! One request of a client's over HTTP, and its answer.

mod carry;
pub(super) mod headers;
mod relay;
mod talks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::watch;

use super::super::answer;
use super::super::call::Call;
use super::super::gate::{Gate, Stop};
use super::super::lines::LONGEST_FROM_CLIENT;
use super::super::message::{self, FromClient, Id, MessageError};
use super::super::strict::{self, StrictError};
use super::door::{Closed, Door};
use super::reply::{self, Parts};
use super::upstream::Upstream;
use talks::{Talk, Talks};

/// How long a client may take for the body of a message.
const BODY: Duration = Duration::from_secs(60);

/// The protocol's code for a header that says something else than the message.
const HEADER_MISMATCH: i32 = -32020;

/// What all exchanges share.
#[derive(Debug)]
pub(super) struct Front {
    gate: Gate,
    door: Door,
    upstream: Upstream,
    talks: Talks,
    /// How many calls are being seen through.
    running: watch::Sender<usize>,
}

impl Front {
    /// Makes the front of a server.
    pub(super) fn new(gate: Gate, door: Door, upstream: Upstream) -> Self {
        Self {
            gate,
            door,
            upstream,
            talks: Talks::default(),
            running: watch::Sender::new(0),
        }
    }

    /// Waits until no call is being seen through, and ends what was started.
    pub(super) async fn finished(&self) {
        // The sender is our own, and there as long as this is.
        drop(self.running.subscribe().wait_for(|count| *count == 0).await);
        self.upstream.end().await;
    }

    /// Answers a request.
    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Parts> {
        if let Err(closed) = self.door.check(request.headers()) {
            let mut response = reply::bare(closed.status());
            if closed == Closed::Unknown {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            }
            return response;
        }
        let path = request.uri().path_and_query().map(PathAndQuery::as_str);
        if path != Some(self.upstream.path()) {
            return reply::bare(StatusCode::NOT_FOUND);
        }
        let (head, body) = request.into_parts();
        let Ok(talk) = self.talks.of(&head.headers) else {
            return refused(
                None,
                answer::INVALID_REQUEST,
                "`Mcp-Session-Id` stands twice",
            );
        };
        if head.method != Method::POST && headers::repeat(&head.headers) {
            let why = "`Mcp-Method`, `Mcp-Name` or a `Mcp-Param` stands where there is no message";
            return refused(None, HEADER_MISMATCH, why);
        }
        match head.method {
            Method::POST => {
                let body = match read_body(&head.headers, body).await {
                    Ok(body) => body,
                    Err(response) => return response,
                };
                self.post(head.headers, body, talk).await
            }
            Method::GET => {
                self.pass(Method::GET, &head.headers, Bytes::new(), &talk)
                    .await
            }
            Method::DELETE => {
                // The client ends its session, and with it what it wanted there.
                talk.open.stop_held(Stop::ClientGone);
                self.pass(Method::DELETE, &head.headers, Bytes::new(), &talk)
                    .await
            }
            _ => reply::bare(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    async fn post(
        self: &Arc<Self>,
        headers: HeaderMap,
        body: Bytes,
        talk: Talk,
    ) -> Response<Parts> {
        let read = strict::message(&body)
            .map_err(MessageError::from)
            .and_then(|members| {
                let method = members.get("method").and_then(|raw| strict::text(raw));
                let message = message::from_client(&members)?;
                Ok((message, method, message::about(&members)))
            });
        let (message, method, about) = match read {
            Ok(read) => read,
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
                return refused(message::guess_id(&body).as_ref(), code, &why);
            }
        };
        let id = match &message {
            FromClient::Call(id, _) | FromClient::Request(id) => Some(id),
            FromClient::Cancelled(_) | FromClient::Other => None,
        };
        let call = match &message {
            FromClient::Call(_, call) => Some(&**call),
            FromClient::Request(_) | FromClient::Cancelled(_) | FromClient::Other => None,
        };
        if !headers::agrees(&headers, "mcp-method", method.as_deref())
            || !headers::agrees(&headers, "mcp-name", about.as_deref())
        {
            let why =
                "not passed on: `Mcp-Method` or `Mcp-Name` says something else than the message";
            return refused(id, HEADER_MISMATCH, why);
        }
        if let Err(why) = self.repeated_agree(&headers, call) {
            return refused(id, HEADER_MISMATCH, &format!("not passed on: {why}"));
        }
        match message {
            FromClient::Call(id, call) => self.call(id, call, headers, body, talk).await,
            FromClient::Cancelled(Some(id)) if self.talks.cancel(&talk, &id) => {
                reply::bare(StatusCode::ACCEPTED)
            }
            FromClient::Request(id) if talk.open.has(&id) => in_use(&id),
            FromClient::Request(_) | FromClient::Cancelled(_) | FromClient::Other => {
                self.pass(Method::POST, &headers, body, &talk).await
            }
        }
    }

    /// Tells whether the headers that repeat arguments say what those arguments are.
    fn repeated_agree(&self, headers: &HeaderMap, call: Option<&Call>) -> Result<(), String> {
        if !headers::repeat_arguments(headers) {
            return Ok(());
        }
        let call = call.ok_or("a `Mcp-Param` stands beside a message that has no arguments")?;
        let repeated = self
            .gate
            .repeated(&call.tool)
            .map_err(|error| crate::failure::chain(&error))?;
        if headers::parameters_agree(headers, &call.arguments, &repeated) {
            return Ok(());
        }
        // The client asks for the list when it reads this code, and then it is known here.
        Err(
            "a `Mcp-Param` says something else than the argument it is for, or which one that is \
             is not known: ask for the list of tools and call again"
                .to_owned(),
        )
    }

    /// Has a call seen through by a task of its own, which goes on when the client hangs up.
    async fn call(
        self: &Arc<Self>,
        id: Id,
        call: Box<Call>,
        headers: HeaderMap,
        body: Bytes,
        talk: Talk,
    ) -> Response<Parts> {
        if self.upstream.is_lost(&headers, call.is_typed) {
            // Before anybody is asked for nothing. The client begins anew.
            let why = "not passed on: there is no such session";
            let said = answer::error(Some(&id), answer::INVALID_REQUEST, why);
            let is_named = headers.contains_key("mcp-session-id");
            let status = if is_named {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::BAD_REQUEST
            };
            return reply::ours(status, &said);
        }
        let Some(stops) = talk.open.hold(&id) else {
            return in_use(&id);
        };
        if !call.is_typed {
            self.talks.keep_loose(&talk);
        }
        let (client, head) = carry::Client::new(&headers, &call);
        let front = Arc::clone(self);
        self.running
            .send_modify(|count| *count = count.saturating_add(1));
        tokio::spawn(async move {
            let carried = carry::Carried {
                id,
                call,
                headers,
                body,
                talk,
            };
            Box::pin(front.carry(carried, stops, client)).await;
            front
                .running
                .send_modify(|count| *count = count.saturating_sub(1));
        });
        head.await
            .unwrap_or_else(|_| reply::bare(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// Reads the body of a message, which must be JSON as it is.
async fn read_body(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Response<Parts>> {
    if !headers::is_plain_json(headers) {
        return Err(reply::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let reading = Limited::new(body, LONGEST_FROM_CLIENT).collect();
    match tokio::time::timeout(BODY, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let why = format!(
                "the message has more bytes than the limit of {LONGEST_FROM_CLIENT}; it was not passed on"
            );
            let said = answer::error(None, answer::INVALID_REQUEST, &why);
            Err(reply::ours(StatusCode::PAYLOAD_TOO_LARGE, &said))
        }
        Ok(Err(_)) => Err(reply::bare(StatusCode::BAD_REQUEST)),
        Err(_) => Err(reply::bare(StatusCode::REQUEST_TIMEOUT)),
    }
}

fn in_use(id: &Id) -> Response<Parts> {
    let why = "not passed on: a call with this id is held or made";
    refused(Some(id), answer::INVALID_REQUEST, why)
}

fn refused(id: Option<&Id>, code: i32, why: &str) -> Response<Parts> {
    reply::ours(StatusCode::BAD_REQUEST, &answer::error(id, code, why))
}
