//! The server that a call is passed on to over HTTP.
//!
//! Each exchange has a connection of its own, so that closing the one side closes the other. There is
//! no TLS here: the server is on this machine, or behind a program that speaks TLS to it. A server
//! that is a command is reached over the [`Bridge`].

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::bridge::Bridge;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// The path that a server is served at which has none.
const USUAL_PATH: &str = "/mcp";

/// What of a request's headers is passed on. All that the protocol has, and nothing that is ours.
const PASSED: [HeaderName; 8] = [
    ACCEPT,
    CONTENT_TYPE,
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("last-event-id"),
    http::header::USER_AGENT,
];

/// How the headers begin in which clients repeat parameters of a call.
pub(super) const PARAMETERS: &str = "mcp-param-";

/// The server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// The address is none.
    #[error("`{url}` is not the address of a server: expected `http://HOST[:PORT]/PATH`")]
    Url {
        /// The address.
        url: String,
    },
    /// Nobody answers there.
    #[error("the server at `{at}` does not answer")]
    Connect {
        /// Where.
        at: String,
        /// Why not.
        source: io::Error,
    },
    /// The conversation broke.
    #[error("the conversation with the server broke")]
    Http(#[source] hyper::Error),
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
}

/// Where the server is, and what opens it.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    at: Place,
    host: HeaderValue,
    path: Arc<str>,
    /// What the server wants to see, which the agent does not know.
    authorization: Option<HeaderValue>,
}

#[derive(Debug, Clone)]
enum Place {
    Address(Arc<str>),
    Command(Arc<Bridge>),
}

impl Upstream {
    /// Makes the way to a server that is started by this command.
    pub(super) fn command(command: &[OsString]) -> Self {
        Self {
            at: Place::Command(Arc::new(Bridge::new(command))),
            host: HeaderValue::from_static("localhost"),
            path: USUAL_PATH.into(),
            authorization: None,
        }
    }

    /// Reads an address.
    ///
    /// # Errors
    /// When it is none that can be reached without TLS.
    pub(super) fn read(url: &str, token: Option<&str>) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Url {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let authorization = token
            .map(|token| {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()
            .map_err(|_: http::header::InvalidHeaderValue| wrong())?;
        Ok(Self {
            at: Place::Address(
                format!(
                    "{}:{}",
                    authority.host(),
                    authority.port_u16().unwrap_or(80)
                )
                .into(),
            ),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            path: uri
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str)
                .into(),
            authorization,
        })
    }

    /// Returns the path that is served.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Tells whether a call is known to belong to no conversation, though it needs one: nobody need be
    /// asked about it.
    pub(super) fn is_lost(&self, headers: &HeaderMap, says_its_version: bool) -> bool {
        match &self.at {
            Place::Address(_) => false,
            Place::Command(bridge) => bridge.is_lost(headers, says_its_version),
        }
    }

    /// Ends what was started.
    pub(super) async fn end(&self) {
        match &self.at {
            Place::Address(_) => {}
            Place::Command(bridge) => bridge.end().await,
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody answers; nothing was passed on then.
    pub(super) async fn connect(&self) -> Result<Connection<'_>, UpstreamError> {
        match &self.at {
            Place::Command(bridge) => self.speak(bridge.connect()).await,
            Place::Address(at) => {
                let unreachable = |source| UpstreamError::Connect {
                    at: at.to_string(),
                    source,
                };
                let stream = tokio::time::timeout(CONNECT, TcpStream::connect(&**at))
                    .await
                    .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
                    .map_err(unreachable)?;
                self.speak(stream).await
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Connection<'_>, UpstreamError> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Http)?;
        // Ends with the answer's body, or when nobody wants it any more.
        tokio::spawn(connection);
        Ok(Connection {
            upstream: self,
            sender,
        })
    }
}

/// A connection for one request.
#[derive(Debug)]
pub(super) struct Connection<'u> {
    upstream: &'u Upstream,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection<'_> {
    /// Passes a request on, and returns the head of the answer.
    ///
    /// # Errors
    /// When there is no answer; the request may have been heard all the same.
    pub(super) async fn send(
        mut self,
        method: Method,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = Request::builder()
            .method(method)
            .uri(&*self.upstream.path)
            .body(Full::new(body))
            .map_err(UpstreamError::Request)?;
        for (name, value) in headers {
            if PASSED.contains(name) || name.as_str().starts_with(PARAMETERS) {
                request.headers_mut().append(name, value.clone());
            }
        }
        request
            .headers_mut()
            .insert(HOST, self.upstream.host.clone());
        if let Some(authorization) = &self.upstream.authorization {
            request
                .headers_mut()
                .insert(AUTHORIZATION, authorization.clone());
        }
        self.sender
            .send_request(request)
            .await
            .map_err(UpstreamError::Http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_can_be_reached_is_one() {
        let read = |url: &str| Upstream::read(url, None);
        let place = |url: &str| match read(url).unwrap().at {
            Place::Address(at) => at.to_string(),
            Place::Command(_) => panic!("{url} is a command"),
        };
        let url = "http://127.0.0.1:9000/mcp?x=1";
        assert_eq!(place(url), "127.0.0.1:9000");
        assert_eq!(read(url).unwrap().path(), "/mcp?x=1");
        assert_eq!(place("http://localhost"), "localhost:80");
        assert_eq!(place("http://[::1]:81/"), "[::1]:81");
        for url in [
            "https://a/mcp",
            "/mcp",
            "a",
            "",
            "http://u:p@a/",
            "ftp://a/",
        ] {
            assert!(read(url).is_err(), "{url}");
        }
        assert!(Upstream::read("http://a/", Some("x\ny")).is_err());
    }
}
