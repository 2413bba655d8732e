//! The log as it grows, told to a journal or a syslog daemon: entries each once and in order, and
//! the newest head.
//!
//! Whoever collects those holds the log, or its heads, outside the daemon's reach. Nothing waits for
//! them: each receiver has a thread of its own, which reads what is committed from the database by a
//! connection of its own. The queue *is* the database, so it takes no memory however long a receiver
//! is away, and nothing is lost. A [`cursor`] beside the database says how far the receiver came.
//! The promise is *at least once*: after a crash or a broken connection what was not known to have
//! arrived is sent again.
//!
//! A message "has arrived" when a socket of this machine took it, or when the other machine's kernel
//! acknowledged its bytes. What the program behind it does with them nobody here can know.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::log::tree::TreeHead;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Receiver, Stream};

mod cursor;
mod link;
mod message;
mod pump;
#[cfg(test)]
mod tests;

use pump::Pump;

/// How long the end of the daemon waits for what is still to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A head that is durable, and may be told.
#[derive(Debug, Clone)]
pub struct Released {
    /// Size and root.
    pub head: TreeHead,
    /// The signed note; empty while the log has not begun.
    pub note: Arc<str>,
}

/// How a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// To whom it goes.
    pub to: String,
    /// How many entries have arrived; nothing when entries are not sent.
    pub entries: Option<u64>,
    /// The size of the last head that has arrived; nothing when heads are not sent.
    pub head: Option<u64>,
    /// Why it stands still, if it does.
    pub problem: Option<String>,
}

/// What a stream reads.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The log's origin.
    pub log: String,
    /// The database.
    pub database: PathBuf,
    /// The newest head.
    pub released: watch::Receiver<Released>,
    /// The clocks.
    pub clock: Clock,
}

/// The streams that run.
#[derive(Debug)]
pub struct Streams {
    running: Vec<watch::Receiver<Standing>>,
    stop: watch::Sender<bool>,
}

impl Streams {
    /// Begins to stream. What is wrong with a receiver is told later, and stops nothing.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(wanted: Option<&Stream>, origin: &Origin) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut running = Vec::new();
        let receivers = wanted.map(|stream| stream.receivers.iter().map(move |to| (stream, to)));
        for (stream, receiver) in receivers.into_iter().flatten() {
            let (pump, standing) = Pump::new(receiver, stream, origin.clone(), stopped.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            std::thread::Builder::new()
                .name("stream".to_owned())
                .spawn(move || runtime.block_on(pump.run()))?;
            running.push(standing);
        }
        Ok(Self { running, stop })
    }

    /// Returns how each stream stands. One whose thread is gone stands still.
    pub fn standings(&self) -> Vec<Standing> {
        self.running
            .iter()
            .map(|running| {
                let mut standing = running.borrow().clone();
                if running.has_changed().is_err() {
                    let gone = || "the thread that sends has ended; restart the daemon".to_owned();
                    standing.problem.get_or_insert_with(gone);
                }
                standing
            })
            .collect()
    }

    /// Sends what is left, for a moment, and ends. What then is left is sent after the next start.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let all = async {
            for mut running in self.running.iter().cloned() {
                while running.changed().await.is_ok() {}
            }
        };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("the end of the log is streamed after the next start");
        }
    }
}

/// Returns the file that says how far a receiver came.
fn cursor_of(origin: &Origin, receiver: &Receiver) -> PathBuf {
    origin.database.with_file_name(match receiver {
        Receiver::Journal(_) => "stream-journald",
        Receiver::Syslog(_) | Receiver::Collector(_) => "stream-syslog",
    })
}
