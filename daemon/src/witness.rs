//! A witness: remembers how far logs of other machines had come, and cosigns heads that continue it.
//!
//! It is a program of its own that happens to be in this one: no home, no database, no engine, and
//! nothing that decides about requests. It serves `add-checkpoint` of C2SP `tlog-witness` and its
//! monitors' `GET /<hash of the origin>/checkpoint` over HTTP, to whoever asks: the log's signature
//! is all the authority there is. It is worth something on a machine that the log's operator does
//! not own, and only as long as its state directory is not put back to an older copy.
//!
//! [`key`] is the witness's own key, [`Book`] what it remembers, `answer` what it says over HTTP.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod answer;
mod book;
pub mod key;
#[cfg(test)]
mod tests;

pub use book::{Book, BookError};

/// How many connections are served at once; more wait.
const MOST_CONNECTIONS: usize = 64;

/// How long a client may take for the head of a request, the time between two requests included.
const HEAD: Duration = Duration::from_secs(15);

/// How long a connection lives, so that nobody keeps a place by doing nothing slowly.
const LIFE: Duration = Duration::from_secs(120);

/// How long the last answers may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How long passes after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// When signals cannot be waited for.
pub async fn serve(listener: TcpListener, book: Book) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let book = Arc::new(book);
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (listener.accept().await, slot)
            } => accepted,
        };
        let (stream, slot) = match accepted {
            (Ok((stream, _)), Ok(slot)) => (stream, slot),
            (Err(error), _) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            // The slots are there as long as this is.
            (Ok(_), Err(_)) => continue,
        };
        let book = Arc::clone(&book);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let book = Arc::clone(&book);
                async move { Ok::<_, Infallible>(answer::answer(book, request).await) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            // A connection that breaks, or takes too long, is its client's loss.
            drop(tokio::time::timeout(LIFE, served).await);
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
    // What was cosigned is remembered already; whoever did not hear it asks again.
    let ended = async { while connections.join_next().await.is_some() {} };
    drop(tokio::time::timeout(LAST_ANSWERS, ended).await);
    Ok(())
}
