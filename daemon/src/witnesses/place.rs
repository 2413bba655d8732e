//! Where a witness is reached, and one exchange with it.
//!
//! Each exchange has a connection of its own and an end in time. There is no TLS: what is sent is
//! public and signed, what comes back is checked under the witness's key, so who listens on the way
//! can read and delay, and forge nothing. A witness that only speaks TLS stands behind a forwarder.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long an exchange may take, the connecting included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The path behind a witness's submission prefix.
const ADD: &str = "add-checkpoint";

/// What we call ourselves.
const NAME: &str = concat!("countersignd/", env!("CARGO_PKG_VERSION"));

/// A URL that no witness can be reached at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is of another form.
    #[error("`{url}` is not the address of a witness: expected `http://HOST[:PORT][/PATH]`")]
    Form {
        /// The URL.
        url: String,
    },
    /// It needs TLS.
    #[error(
        "`{url}` needs TLS, which is not spoken here: run a forwarder on this machine, such as \
         stunnel or socat, and name its `http://127.0.0.1:PORT`"
    )]
    Tls {
        /// The URL.
        url: String,
    },
}

/// The exchange came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// Nobody answers there.
    #[error("cannot connect to {at}")]
    Connect {
        /// Where.
        at: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("no answer from {at} within {} seconds", PATIENCE.as_secs())]
    Late {
        /// Where.
        at: String,
    },
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    /// The conversation broke, or was none.
    #[error("the conversation with {at} broke")]
    Http {
        /// Where.
        at: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The answer's body broke off, or is too long.
    #[error("the answer of {at} is longer than {LONGEST} bytes, or broke off")]
    Body {
        /// Where.
        at: String,
    },
}

/// What a witness answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The type of the body; empty when the witness named none that can be read.
    pub(super) kind: String,
    pub(super) body: Bytes,
}

/// Where a witness is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Host and port, to connect to.
    at: String,
    host: HeaderValue,
    path: String,
}

impl Place {
    /// Reads a witness's submission prefix.
    pub(super) fn read(url: &str) -> Result<Self, PlaceError> {
        let wrong = || PlaceError::Form {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                let url = url.to_owned();
                return Err(PlaceError::Tls { url });
            }
            Some(_) | None => return Err(wrong()),
        }
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(wrong());
        }
        let (host, port) = (authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self {
            at: format!("{host}:{port}"),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            path: format!("{}/{ADD}", uri.path().trim_end_matches('/')),
        })
    }

    /// Sends a body and returns the answer to it.
    pub(super) async fn post(&self, body: String) -> Result<Answer, ExchangeError> {
        let late = |_| ExchangeError::Late {
            at: self.at.clone(),
        };
        tokio::time::timeout(PATIENCE, self.exchange(body))
            .await
            .map_err(late)?
    }

    async fn exchange(&self, body: String) -> Result<Answer, ExchangeError> {
        let at = || self.at.clone();
        let broke = |source| ExchangeError::Http { at: at(), source };
        let stream = TcpStream::connect(&*self.at)
            .await
            .map_err(|source| ExchangeError::Connect { at: at(), source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broke)?;
        // Ends when the sender goes, which is with this exchange.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, &self.host)
            .header(USER_AGENT, NAME)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(Bytes::from(body)))
            .map_err(ExchangeError::Request)?;
        let response = sender.send_request(request).await.map_err(broke)?;
        let (head, body) = response.into_parts();
        let kind = head.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let body = Limited::new(body, LONGEST)
            .collect()
            .await
            .map_err(|_| ExchangeError::Body { at: at() })?
            .to_bytes();
        Ok(Answer {
            status: head.status,
            kind: kind.to_owned(),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_prefix_is_one_that_can_be_reached_without_tls() {
        for (url, at, path) in [
            ("http://192.0.2.7:7380", "192.0.2.7:7380", "/add-checkpoint"),
            ("http://w.example/", "w.example:80", "/add-checkpoint"),
            ("http://[::1]:81/a/b/", "[::1]:81", "/a/b/add-checkpoint"),
            ("http://w.example/a", "w.example:80", "/a/add-checkpoint"),
        ] {
            let place = Place::read(url).unwrap();
            assert_eq!((place.at.as_str(), place.path.as_str()), (at, path));
        }
        let error = Place::read("https://w.example/a").unwrap_err();
        assert!(error.to_string().contains("forwarder"), "{error}");
        for url in [
            "",
            "w.example",
            "/a",
            "ftp://w.example",
            "http://u:p@w/",
            "http://w/?x=1",
        ] {
            let error = Place::read(url).unwrap_err();
            assert!(matches!(error, PlaceError::Form { .. }), "{url}: {error}");
        }
    }
}
