//! One checked connection to the daemon, as a gRPC channel.
//!
//! A channel is one connection and does not come back by itself: a second one would not have been
//! checked. Whoever wants to go on makes another.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::peer::{self, ConnectError};
use crate::place::Place;

/// How long a daemon may leave those that want to connect in its queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether the queue has room.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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
    let stream = queue(place, socket).await?;
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
        .connect_with_connector(connector)
        .await
        .map_err(|error| lost(io::Error::other(error)))
}

/// Connects, and waits for room where too many others want to.
async fn queue(place: &Place, socket: &Path) -> Result<UnixStream, ConnectError> {
    let last = Instant::now() + PATIENCE;
    loop {
        match peer::connect(place, socket) {
            Err(error) if error.is_full() && Instant::now() < last => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            done => return done,
        }
    }
}
