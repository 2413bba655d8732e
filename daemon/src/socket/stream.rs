//! A connection together with who is at its other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use super::budget::Share;
use crate::identity::Peer;

/// The length of the fixed opening of HTTP/2 (RFC 9113, section 3.4), in bytes.
const PREFACE: usize = 24;

/// How long a connection may take to say that it speaks HTTP/2. Later stalls are the business of
/// the keepalive, which only runs from then on.
const PREFACE_TIME: Duration = Duration::from_secs(10);

/// A Unix stream of an identified peer. Handlers find the peer as `Arc<Peer>` among the extensions
/// of the request.
#[derive(Debug)]
pub struct PeerStream {
    stream: UnixStream,
    peer: Arc<Peer>,
    opening: Option<Opening>,
    _share: Share,
}

#[derive(Debug)]
struct Opening {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl PeerStream {
    pub(super) fn new(stream: UnixStream, peer: Peer, share: Share) -> Self {
        Self {
            stream,
            peer: Arc::new(peer),
            opening: Some(Opening {
                missing: PREFACE,
                deadline: Box::pin(tokio::time::sleep(PREFACE_TIME)),
            }),
            _share: share,
        }
    }

    /// Returns who is at the other end.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(opening) = &mut this.opening {
            let read = buffer.filled().len().saturating_sub(before);
            opening.missing = opening.missing.saturating_sub(read);
            if opening.missing == 0 {
                this.opening = None;
            } else if opening.deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
            }
        }
        result
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }
}
