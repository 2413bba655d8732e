//! Answers over HTTP: whole, or as they come.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame};
use serde_json::Value;
use tokio::sync::mpsc;

/// What of an answer's headers is passed on.
const PASSED: [HeaderName; 4] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    HeaderName::from_static("mcp-session-id"),
    http::header::ALLOW,
];

/// How many parts of an answer wait for a client that does not read.
const PARTS: usize = 4;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Parts {
    /// All of it.
    Whole(Option<Bytes>),
    /// As it comes. One that breaks off is an error, so that nobody takes it for whole.
    Coming(mpsc::Receiver<Result<Bytes, Broken>>),
}

/// The answer broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer broke off")]
pub(super) struct Broken;

/// Where the parts of an answer are put.
pub(super) type Sender = mpsc::Sender<Result<Bytes, Broken>>;

impl Body for Parts {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(Frame::data).map(Ok)),
            Self::Coming(parts) => parts
                .poll_recv(context)
                .map(|part| part.map(|part| part.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}

/// A message that is the whole answer.
pub(super) fn json(message: Bytes) -> Response<Parts> {
    let mut response = Response::new(Parts::Whole(Some(message)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// An answer of ours.
pub(super) fn ours(status: StatusCode, said: &Value) -> Response<Parts> {
    let mut response = json(said.to_string().into());
    *response.status_mut() = status;
    response
}

/// An answer without a body.
pub(super) fn bare(status: StatusCode) -> Response<Parts> {
    let mut response = Response::new(Parts::Whole(None));
    *response.status_mut() = status;
    response
}

/// A stream of events of ours, and where they are put.
pub(super) fn stream() -> (Response<Parts>, Sender) {
    let (sender, parts) = mpsc::channel(PARTS);
    let mut response = Response::new(Parts::Coming(parts));
    let events = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, events);
    let fresh = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(CACHE_CONTROL, fresh);
    (response, sender)
}

/// The head of a server's answer, passed on, and where its body is put.
pub(super) fn passed(status: StatusCode, headers: &HeaderMap) -> (Response<Parts>, Sender) {
    let (sender, parts) = mpsc::channel(PARTS);
    let mut response = Response::new(Parts::Coming(parts));
    *response.status_mut() = status;
    for name in PASSED {
        for value in headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    (response, sender)
}
