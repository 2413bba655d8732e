//! What a witness says over HTTP: two paths, bodies of limited size, and the statuses of C2SP
//! `tlog-witness`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_shared::log::witness::{MAX_BODY, Refusal, SIZE_TYPE};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};

use super::book::{Book, NotCosigned};

/// Where heads are sent.
const ADD: &str = "/add-checkpoint";

/// How the path of a log's last head ends.
const CHECKPOINT: &str = "/checkpoint";

/// How long a client may take to send a body.
const BODY: Duration = Duration::from_secs(15);

/// The type of an answer's body.
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers a request.
pub(super) async fn answer<B>(book: Arc<Book>, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == ADD {
        if head.method != Method::POST {
            return not_allowed("POST");
        }
        return match read(body).await {
            Ok(bytes) => add(book, bytes).await,
            Err(status) => say(status, "the request cannot be read\n"),
        };
    }
    let origin = path
        .strip_suffix(CHECKPOINT)
        .and_then(|path| path.strip_prefix('/'));
    match origin {
        Some(_) if head.method != Method::GET => not_allowed("GET"),
        Some(origin) => match book.checkpoint(origin) {
            Some(note) => say(StatusCode::OK, note),
            None => say(StatusCode::NOT_FOUND, "no head of that log was cosigned\n"),
        },
        None => say(StatusCode::NOT_FOUND, "there is nothing here\n"),
    }
}

/// Reads a body that may not be longer than a head and a proof are.
async fn read<B>(body: B) -> Result<Bytes, StatusCode>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(BODY, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn add(book: Arc<Book>, body: Bytes) -> Response<Full<Bytes>> {
    let taken = tokio::task::spawn_blocking(move || book.take(&body)).await;
    match taken {
        Ok(Ok(cosignature)) => say(StatusCode::OK, cosignature.to_line()),
        Ok(Err(NotCosigned::Refused(refusal))) => refused(&refusal),
        Ok(Err(error @ (NotCosigned::Time(_) | NotCosigned::NotKept(_)))) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            tracing::error!("{error}: {cause}; nothing was cosigned");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            say(status, format!("{error}\n"))
        }
        Err(_) => say(StatusCode::INTERNAL_SERVER_ERROR, "not cosigned\n"),
    }
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refusal {
        Refusal::Conflict { size } => {
            let mut response = say(status, format!("{size}\n"));
            let kind = HeaderValue::from_static(SIZE_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Refusal::Proof(problem) => {
            // The log's key signed it, so it may be proof of what the log does.
            tracing::error!(%problem, "a log showed a head that does not continue the last one");
            say(status, format!("{refusal}\n"))
        }
        Refusal::Malformed(_) | Refusal::UnknownLog | Refusal::Signature(_) => {
            say(status, format!("{refusal}\n"))
        }
    }
}

fn not_allowed(method: &'static str) -> Response<Full<Bytes>> {
    let mut response = say(StatusCode::METHOD_NOT_ALLOWED, "another method\n");
    let method = HeaderValue::from_static(method);
    response.headers_mut().insert(ALLOW, method);
    response
}

fn say(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(TEXT);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
