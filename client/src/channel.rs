//! One checked connection to the daemon, as a gRPC channel.
//!
//! A channel is one connection and does not come back by itself: a second one would not have been
//! checked. Whoever wants to go on makes another.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};

use crate::peer::{self, ConnectError};
use crate::place::Place;

/// How long the two ends may take to agree on HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Connects to one of the daemon's sockets, after a look at who listens.
///
/// # Errors
///
/// When nobody listens, or somebody who must not.
pub async fn connect(place: &Place, socket: &Path) -> Result<Channel, ConnectError> {
    let lost = |source: io::Error| ConnectError::Unreachable {
        socket: socket.to_path_buf(),
        source,
    };
    let stream = peer::connect(place, socket)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(lost)?;
    let slot = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_| {
        let stream = slot.lock().ok().and_then(|mut slot| slot.take());
        async move {
            stream
                .map(TokioIo::new)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
        }
    });
    // The windows keep a burst of small messages from being taken for an attack.
    Endpoint::from_static("http://countersign")
        .initial_connection_window_size(64 << 20)
        .http2_max_local_error_reset_streams(None)
        .connect_timeout(HANDSHAKE)
        .connect_with_connector(connector)
        .await
        .map_err(|error| lost(io::Error::other(error)))
}
