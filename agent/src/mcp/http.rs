//! The proxy over Streamable HTTP: listens on this machine, in front of a server that does as well, or
//! of one that is a command.
//!
//! Bodies pass as the bytes that came, streams event by event. A call that is held has no answer yet;
//! where its client wants signs of life, the answer begins as a stream of events with them, and the
//! server's own answer follows in it. A client that hangs up takes its call back.

mod bridge;
mod door;
mod events;
mod exchange;
mod reply;
mod token;
mod upstream;

use std::convert::Infallible;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::place::state_dir;
use countersign_shared::text::Printable;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::gate::Gate;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::signals::Signals;
use crate::telling::warn;

use door::Door;
use exchange::Front;
use upstream::Upstream;

/// How many connections are served at once.
const MOST_CONNECTIONS: usize = 128;

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// How long what is held may take to be taken back at the end.
const LAST_WORDS: Duration = Duration::from_secs(12);

/// What the listener needs to know.
#[derive(Debug)]
pub(super) struct Options<'o> {
    /// The address to listen on.
    pub(super) listen: SocketAddr,
    /// Whether that may be an address that other machines can reach.
    pub(super) beyond_this_machine: bool,
    /// The server.
    pub(super) server: Behind<'o>,
    /// The server's name.
    pub(super) name: &'o str,
    /// The file with the token that clients have to show, where it is not in the usual place.
    pub(super) token: Option<&'o Path>,
    /// The file with the token that the server has to be shown.
    pub(super) upstream_token: Option<&'o Path>,
}

/// What stands behind the proxy.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind<'o> {
    /// A server at this address.
    Url(&'o str),
    /// A server that this command starts.
    Command(&'o [OsString]),
}

/// Listens until a signal comes.
///
/// # Errors
/// When it cannot listen.
pub(super) async fn run(gate: Gate, options: &Options<'_>) -> Result<u8, Failure> {
    let usage = |error: &dyn std::error::Error| Failure::of(Exit::Usage, "no-proxy", error);
    check_reach(options)?;
    let place = match options.token {
        Some(path) => path.to_path_buf(),
        None => token::usual_place(&state_dir()?, options.name),
    };
    let token = token::read_or_make(&place).map_err(|error| usage(&error))?;
    let upstream = match options.server {
        Behind::Command(command) => Upstream::command(command),
        Behind::Url(url) => {
            let theirs = options.upstream_token.map(token::read).transpose();
            let theirs = theirs.map_err(|error| usage(&error))?;
            Upstream::read(url, theirs.as_deref()).map_err(|error| usage(&error))?
        }
    };
    let mut signals =
        Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
    let cannot_listen = |error: std::io::Error| Failure::of(Exit::Failure, "cannot-listen", &error);
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(cannot_listen)?;
    let at = listener.local_addr().map_err(cannot_listen)?;
    if !at.ip().is_loopback() {
        warn("other machines can reach this address, and the token travels to it in clear");
    }
    output::message(&Printable::from_ours(format!(
        "listening on http://{at}{}; clients show the token in `{}`",
        upstream.path(),
        place.display()
    )));
    let front = Arc::new(Front::new(gate, Door::new(&token, at), upstream));
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    let signal = loop {
        let accepted = tokio::select! {
            biased;
            signal = signals.next() => break signal,
            accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (listener.accept().await, slot)
            } => accepted,
        };
        let (stream, slot) = match accepted {
            (Ok((stream, _)), Ok(slot)) => (stream, slot),
            (Err(error), _) => {
                warn(&format!("a connection was not accepted: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            // The slots are there as long as this is.
            (Ok(_), Err(_)) => continue,
        };
        let front = Arc::clone(&front);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let front = Arc::clone(&front);
                async move { Ok::<_, Infallible>(front.answer(request).await) }
            });
            // A connection that breaks is its client's loss.
            drop(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    };
    // Whoever is gone takes back what it had asked for.
    connections.abort_all();
    if tokio::time::timeout(LAST_WORDS, front.finished())
        .await
        .is_err()
    {
        warn("not everything could be told; it ends by itself");
    }
    Ok(u8::try_from(signal.as_raw().saturating_add(128)).unwrap_or(u8::MAX))
}

/// Refuses an address that more can reach than was said.
fn check_reach(options: &Options<'_>) -> Result<(), Failure> {
    let ip = options.listen.ip();
    let refused = |message: String| Err(Failure::new(Exit::Usage, "no-proxy", message));
    if ip.is_unspecified() {
        return refused(format!(
            "`{}` is no address that a client could name; give one of this machine's own",
            options.listen
        ));
    }
    if !ip.is_loopback() && !options.beyond_this_machine {
        return refused(format!(
            "other machines can reach `{}`, and the token would travel to it in clear; listen on 127.0.0.1, or add `--beyond-this-machine`",
            options.listen
        ));
    }
    Ok(())
}
