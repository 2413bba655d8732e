//! Accepts connections, identifies who is there, and turns away who has too many.
//!
//! The kernel's word is taken at accept; what may block (`/proc`, the account database) runs beside,
//! so that one slow lookup holds up only its own connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::limits::ConnectionCap;
use super::refusals::Refusals;
use super::stream::PeerStream;
use crate::identity::{Credentials, Peer};

/// How long identifying one caller may take, a directory service included.
const IDENTIFY_TIME: Duration = Duration::from_secs(10);

/// How long accepting pauses when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a turned-away caller gets to read why.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// How many identified connections wait for the server.
const READY: usize = 64;

/// Returns the connections of a listener, each identified. Never ends and never yields an error: a
/// caller that cannot be identified is dropped and logged, one beyond the cap is told so.
pub fn incoming(
    listener: UnixListener,
    cap: ConnectionCap,
    refusals: Refusals,
) -> impl Stream<Item = io::Result<PeerStream>> + Send + Unpin + 'static {
    let (sender, receiver) = mpsc::channel(READY);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = sender.closed() => return,
            };
            match accepted {
                Ok((stream, _)) => admit(stream, &cap, &refusals, &sender),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// Takes the kernel's word at once and leaves the rest to a task of its own.
fn admit(
    stream: UnixStream,
    cap: &ConnectionCap,
    refusals: &Refusals,
    sender: &mpsc::Sender<io::Result<PeerStream>>,
) {
    let credentials = match Credentials::of(&stream) {
        Ok(credentials) => credentials,
        Err(error) => {
            tracing::warn!(%error, "refused a connection");
            return;
        }
    };
    let uid = credentials.uid();
    let mut share = cap.share(uid);
    if let Err(found) = share.take(1) {
        let limit = cap.limit();
        tracing::warn!(uid, limit, found, "refused a connection beyond the limit");
        refusals.count(uid, "too-many-connections");
        tokio::spawn(turn_away(stream, limit));
        return;
    }
    let (sender, refusals) = (sender.clone(), refusals.clone());
    tokio::spawn(async move {
        let identified = tokio::task::spawn_blocking(move || Peer::identify(credentials));
        match tokio::time::timeout(IDENTIFY_TIME, identified).await {
            Ok(Ok(Ok(peer))) => {
                let stream = PeerStream::new(stream, peer, share);
                // The server is gone, and the connection with it.
                let _closed = sender.send(Ok(stream)).await;
            }
            Ok(Ok(Err(error))) => {
                refusals.count(uid, "caller-unknown");
                tracing::warn!(uid, %error, "refused a connection");
            }
            Ok(Err(error)) => tracing::error!(uid, %error, "identifying a caller failed"),
            Err(_) => {
                refusals.count(uid, "caller-unknown");
                tracing::warn!(uid, "refused a connection: identifying it took too long");
            }
        }
    });
}

/// Says in HTTP/2 that there are too many connections; a gRPC client reports `RESOURCE_EXHAUSTED`.
async fn turn_away(mut stream: UnixStream, limit: usize) {
    let farewell = async {
        stream.write_all(&go_away(limit)).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would make the kernel reset the connection under the message.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the caller listened changes nothing.
    let _result = tokio::time::timeout(FAREWELL_TIME, farewell).await;
}

/// An empty SETTINGS frame and a GOAWAY frame with `ENHANCE_YOUR_CALM` (RFC 9113, 6.5 and 6.8).
fn go_away(limit: usize) -> Vec<u8> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 0xb];
    let text = format!("too many connections of this user, the limit is {limit}");
    let length = u32::try_from(text.len().saturating_add(8)).unwrap_or(8);
    let mut bytes = SETTINGS.to_vec();
    bytes.extend(length.to_be_bytes().iter().skip(1));
    bytes.extend([7, 0, 0, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes.extend(ENHANCE_YOUR_CALM);
    bytes.extend(text.as_bytes());
    bytes
}
