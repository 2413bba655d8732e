//! What one connection and one user may cost, and the answer to more: `RESOURCE_EXHAUSTED`, at once.
//!
//! HTTP/2 would rather queue: a call beyond `max_concurrent_streams` waits in the client without a
//! word. So the server announces far more than it serves, and [`LimitCalls`] answers the excess. It
//! also bounds the messages on their way in, in time and in bytes per user, so that a client which
//! stops in the middle of one starves nobody. Between two messages a stream may be silent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, Service, http};
use tonic::transport::Server;
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::layer::util::{Identity, Stack};

use super::budget::{Budget, Share};
use super::framing::Framing;
use super::refusals::Refusals;
use crate::identity::Peer;

/// Streams announced to clients. What matters is refused by [`LimitCalls`], so this is only the
/// point from which a client begins to wait by itself.
const STREAMS: u32 = 100_000;

/// The window of a connection, in bytes. h2 counts small DATA frames against half of it, and drops
/// the connection when a burst of small calls passes that: 16 MiB carry a burst of 50,000.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The window of one call, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;

/// Calls that a client may abort in the life of a connection before it is closed.
const RESETS: usize = 100_000;

/// Silence after which the other side is asked whether it is there, and how long it may take.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The calls whose callers send more than one message, as long as they last.
const STREAMING: [&str; 1] = ["/countersign.v1.AgentService/Execute"];

/// The longest list of headers, in bytes.
const HEADERS: u32 = 16 << 10;

/// How many connections one user may have.
#[derive(Debug, Clone)]
pub struct ConnectionCap(Budget);

impl ConnectionCap {
    /// The default per user and socket.
    pub const DEFAULT: usize = 1024;

    /// Makes a cap of `per_uid` connections for each user.
    pub fn new(per_uid: usize) -> Self {
        Self(Budget::new(per_uid))
    }

    pub(super) fn share(&self, uid: u32) -> Share {
        self.0.share(uid)
    }

    pub(super) fn limit(&self) -> usize {
        self.0.ceiling()
    }
}

impl Default for ConnectionCap {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// What one user's calls may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls at once, waiting ones included.
    pub calls: usize,
    /// Bytes of messages on their way in.
    pub bytes: usize,
    /// How long a message may take to come in.
    pub message_time: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            calls: 20_000,
            bytes: 64 << 20,
            message_time: Duration::from_secs(15),
        }
    }
}

/// Returns a server that survives bursts and stalls, with the limits laid around its services.
pub fn server(limits: CallLimits, refusals: Refusals) -> Server<Stack<LimitCalls, Identity>> {
    Server::builder()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_concurrent_streams(STREAMS)
        .http2_max_local_error_reset_streams(Some(RESETS))
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(HEADERS)
        .layer(LimitCalls::new(limits, refusals))
}

/// The layer that answers what is too much.
#[derive(Debug, Clone)]
pub struct LimitCalls {
    calls: Budget,
    bytes: Budget,
    message_time: Duration,
    refusals: Refusals,
}

impl LimitCalls {
    /// Makes the layer; its clones count together.
    pub fn new(limits: CallLimits, refusals: Refusals) -> Self {
        Self {
            calls: Budget::new(limits.calls),
            bytes: Budget::new(limits.bytes),
            message_time: limits.message_time,
            refusals,
        }
    }

    /// Lets a call in, with the user and the share it holds until it is answered, or says why not.
    fn admit(
        &self,
        request: &mut http::Request<Body>,
    ) -> Result<(u32, Share), (Option<u32>, Status)> {
        let uid = match request.extensions().get::<Arc<Peer>>() {
            Some(peer) => peer.uid(),
            None => return Err((None, Status::internal("the caller is not identified"))),
        };
        let mut call = self.calls.share(uid);
        call.take(1).map_err(|found| {
            let status = too_much("calls-per-user", self.calls.ceiling(), found);
            (Some(uid), status)
        })?;
        let streams = STREAMING.contains(&request.uri().path());
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Intake {
            body,
            framing: streams.then(Framing::default),
            bytes: self.bytes.share(uid),
            limit: self.bytes.ceiling(),
            deadline: Box::pin(tokio::time::sleep(self.message_time)),
            message_time: self.message_time,
        });
        Ok((uid, call))
    }
}

/// The one answer to too much of something.
fn too_much(what: &str, limit: usize, found: usize) -> Status {
    let details = ErrorDetails::with_error_info(
        what,
        "countersign",
        [
            ("field".to_owned(), what.to_owned()),
            ("limit".to_owned(), limit.to_string()),
            ("found".to_owned(), found.to_string()),
        ],
    );
    Status::with_error_details(
        tonic::Code::ResourceExhausted,
        format!("{what}: found {found}, the limit is {limit}, so wait for earlier calls to end"),
        details,
    )
}

impl<S> tower::Layer<S> for LimitCalls {
    type Service = LimitedCalls<S>;

    fn layer(&self, inner: S) -> LimitedCalls<S> {
        LimitedCalls {
            inner,
            limit: self.clone(),
        }
    }
}

/// A service behind [`LimitCalls`].
#[derive(Debug, Clone)]
pub struct LimitedCalls<S> {
    inner: S,
    limit: LimitCalls,
}

impl<S> Service<http::Request<Body>> for LimitedCalls<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let call = match self.limit.admit(&mut request) {
            Ok(call) => call,
            Err((uid, status)) => {
                let response = status.into_http();
                if let Some(uid) = uid {
                    self.limit.refusals.look(uid, &response);
                }
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        let answer = self.inner.call(request);
        let refusals = self.limit.refusals.clone();
        Box::pin(async move {
            let (uid, call) = call;
            let response = answer.await?;
            refusals.look(uid, &response);
            // A stream of answers is a call until its end.
            Ok(response.map(|body| Body::new(Answer { body, _call: call })))
        })
    }
}

/// A message on its way in, or one after the other.
struct Intake {
    body: Body,
    /// Where messages end, when there may be more than one.
    framing: Option<Framing>,
    bytes: Share,
    limit: usize,
    deadline: Pin<Box<Sleep>>,
    message_time: Duration,
}

impl HttpBody for Intake {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            if this.framing.as_ref().is_some_and(Framing::is_between) {
                // The next one may begin whenever it likes.
                return Poll::Pending;
            }
            return match this.deadline.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Status::deadline_exceeded(
                    "the message did not come in time",
                )))),
                Poll::Pending => Poll::Pending,
            };
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(found) = this.bytes.take(data.len())
        {
            return Poll::Ready(Some(Err(too_much(
                "message-bytes-per-user",
                this.limit,
                found,
            ))));
        }
        if let Some(Ok(frame)) = &frame
            && let (Some(framing), Some(data)) = (&mut this.framing, frame.data_ref())
        {
            let was_between = framing.is_between();
            let has_ended = framing.take(data);
            if has_ended {
                this.bytes.give_back();
            }
            if !framing.is_between() && (was_between || has_ended) {
                let next = tokio::time::Instant::now() + this.message_time;
                this.deadline.as_mut().reset(next);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// An answer on its way out, which ends the call when it ends.
struct Answer {
    body: Body,
    _call: Share,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
