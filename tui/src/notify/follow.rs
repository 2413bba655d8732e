//! The daemon, followed for as long as this program runs: what waits, what ends, what is escalated.
//!
//! It reconnects by itself. Heads are verified and kept as a console does it, so whoever is notified
//! witnesses the log as well. Escalations and broken glass are read from the log's new entries: nothing
//! that a list leaves out or a lost connection skips is missed there.

use std::path::PathBuf;
use std::time::Duration;

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::place::Place;
use countersign_client::private::Lasting;
use countersign_client::shown::ShownHead;
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::{Body, Entry};
use countersign_shared::machine::Event;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;
use tokio::sync::mpsc;

use crate::cause::chain;
use crate::client::{Client, ClientError};
use crate::console::model::Row;
use crate::review::caught_up;

/// The longest wait before trying again, in milliseconds.
const LONGEST_PAUSE: u64 = 5_000;
/// How many entries are asked for at once.
const PAGE: u32 = 500;

/// What is heard of the daemon.
#[derive(Debug)]
pub enum Heard {
    /// Everything that is open, at the daemon's wall time.
    Snapshot {
        /// The rows.
        rows: Vec<Row>,
        /// The daemon's wall time.
        now: Timestamp,
    },
    /// A request is new or stands differently.
    Row(Box<Row>),
    /// More eyes were called for.
    Escalated(RequestId),
    /// Somebody approved alone.
    GlassBroken(RequestId),
    /// The log contradicts itself.
    Forked(String),
    /// There is no connection, told once for each reason.
    Lost(String),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error(transparent)]
    Place(#[from] countersign_client::place::PlaceError),
    #[error("the daemon ended the connection")]
    Ended,
    #[error("nobody listens any more")]
    Gone,
}

impl<T> From<mpsc::error::SendError<T>> for FollowError {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self::Gone
    }
}

/// Follows the daemon of a place, in a task of its own.
pub fn follow(place: Place, state_dir: PathBuf) -> mpsc::Receiver<Heard> {
    let (heard, receiver) = mpsc::channel(1_024);
    let follower = Follower {
        place,
        state_dir,
        heads: None,
        known: 0,
        heard,
        read_to: None,
        is_forked: false,
    };
    tokio::spawn(follower.run());
    receiver
}

struct Follower {
    place: Place,
    state_dir: PathBuf,
    heads: Option<Heads>,
    /// How many entries the kept head had when the connection began.
    known: u64,
    heard: mpsc::Sender<Heard>,
    /// How many entries were read; what came before this program is nobody's news.
    read_to: Option<u64>,
    is_forked: bool,
}

impl Follower {
    async fn run(mut self) {
        let mut tries = 0u32;
        let mut said = None;
        loop {
            let Err(error) = self.session(&mut tries, &mut said).await;
            if matches!(error, FollowError::Gone) {
                return;
            }
            let text = chain(&error);
            if said.as_ref() != Some(&text) {
                said = Some(text.clone());
                if self.heard.send(Heard::Lost(text)).await.is_err() {
                    return;
                }
            }
            tries = tries.saturating_add(1);
            let pause = 100u64.saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Serves one connection until it is lost.
    async fn session(
        &mut self,
        tries: &mut u32,
        said: &mut Option<String>,
    ) -> Result<std::convert::Infallible, FollowError> {
        use pb::watch_response::Change;

        let mut client = Client::connect(&self.place).await?;
        self.known = caught_up::<FollowError>(&mut client, self.heads()?).await?;
        let mut changes = client.watch(self.known).await?;
        let mut snapshot = Some(Vec::new());
        loop {
            let change = match changes.message().await {
                Ok(Some(answer)) => answer.change,
                Ok(None) | Err(_) => return Err(FollowError::Ended),
            };
            match change {
                Some(Change::Request(summary)) => {
                    // What cannot be understood is for the console to complain about.
                    let Ok(row) = Row::try_from(summary) else {
                        continue;
                    };
                    match &mut snapshot {
                        Some(rows) => rows.push(row),
                        None => self.heard.send(Heard::Row(Box::new(row))).await?,
                    }
                }
                Some(Change::SnapshotComplete(complete)) => {
                    *tries = 0;
                    *said = None;
                    let now = complete
                        .now
                        .parse()
                        .unwrap_or_else(|_| crate::cli::wall_time());
                    let rows = snapshot.take().unwrap_or_default();
                    self.heard.send(Heard::Snapshot { rows, now }).await?;
                }
                Some(Change::Head(head)) => self.head(&mut client, head).await?,
                Some(Change::Rules(_) | Change::Draining(_)) | None => {}
            }
        }
    }

    fn heads(&mut self) -> Result<&mut Heads, FollowError> {
        let heads = match self.heads.take() {
            Some(heads) => heads,
            None => Heads::open(&self.state_dir, self.place.log_key()?, Lasting::PowerCut)?,
        };
        Ok(self.heads.insert(heads))
    }

    /// Accepts a head, and reads the entries that it is new for.
    async fn head(&mut self, client: &mut Client, head: pb::Head) -> Result<(), FollowError> {
        let known = self.known;
        let heads = self.heads()?;
        let mut accepted = match ShownHead::try_from(head) {
            Ok(head) => heads.accept(&head),
            Err(_) => return Ok(()),
        };
        if accepted
            .as_ref()
            .is_err_and(|error| error.is_behind() && !error.went_back_behind(known))
        {
            // Another program of this user has got elsewhere: the newest is asked for from there.
            let size = heads.last().map_or(0, Checkpoint::size);
            let newest = client.head(size).await?.head.map(ShownHead::try_from);
            let Some(Ok(newest)) = newest else {
                return Ok(());
            };
            accepted = heads.accept(&newest);
        }
        match accepted {
            Ok(()) => {}
            Err(error) if error.is_behind() && !error.went_back_behind(known) => return Ok(()),
            Err(error) if error.is_ours() => return Err(error.into()),
            Err(error) => {
                if !std::mem::replace(&mut self.is_forked, true) {
                    self.heard.send(Heard::Forked(chain(&error))).await?;
                }
                return Ok(());
            }
        }
        let size = heads.last().map_or(0, Checkpoint::size);
        let mut at = *self.read_to.get_or_insert(size);
        while at < size {
            let page = client.read_log(at, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            for bytes in &page {
                at = at.saturating_add(1);
                // What was not read when the connection is lost is read over the next one.
                self.read_to = Some(at);
                let Ok(entry) = Entry::read(bytes) else {
                    continue;
                };
                match (&entry.body, entry.request) {
                    (Body::Request(Event::Escalated { .. }), Some(id)) => {
                        self.heard.send(Heard::Escalated(id)).await?;
                    }
                    (Body::Request(Event::BreakGlass(_)), Some(id)) => {
                        self.heard.send(Heard::GlassBroken(id)).await?;
                    }
                    (Body::Request(_) | Body::Log(_), _) => {}
                }
            }
        }
        Ok(())
    }
}
