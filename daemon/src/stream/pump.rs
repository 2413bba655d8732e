//! One receiver's thread: reads what is committed, sends it, and remembers how far it came.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use countersign_evidence::line::Told;
use countersign_evidence::record::{Record, RecordError};
use countersign_shared::log::tree::{Hash, leaf_hash};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::cursor::{At, Cursor};
use super::link::{Link, is_too_large};
use super::message::Message;
use super::{Origin, Released, Standing, cursor_of};
use crate::config::{Receiver, Stream};
use crate::store::{Store, StoreError, pruned};

/// How many entries are read at once.
const PAGE: usize = 64;

/// How many bytes of entries are read at once.
const PAGE_BYTES: usize = 512 << 10;

/// How long lies between two heads at least.
const BETWEEN_HEADS: Duration = Duration::from_secs(1);

/// How long to wait after a failure: the first time, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Nothing more can be sent for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum PumpError {
    /// The database cannot be read.
    #[error("the log cannot be read")]
    Database(#[from] StoreError),
    /// An entry that the head covers is not there, or another one.
    #[error("entry {seq} is not the one that was hashed; run `countersign verify`")]
    Entry {
        /// Its position.
        seq: u64,
    },
    /// An entry cannot be read.
    #[error("entry {seq} cannot be told")]
    Record {
        /// Its position.
        seq: u64,
        /// Why.
        #[source]
        problem: RecordError,
    },
    /// The receiver is not there, or takes nothing.
    #[error("it takes nothing")]
    Receiver(#[source] io::Error),
    /// How far it came cannot be kept.
    #[error("`{}` cannot be written, which says how far it came", path.display())]
    Cursor {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An entry as it was read.
struct Leaf {
    seq: u64,
    bytes: Vec<u8>,
    hash: Hash,
}

/// What sends to one receiver.
#[derive(Debug)]
pub(super) struct Pump {
    receiver: Receiver,
    wanted: Stream,
    origin: Origin,
    stopped: watch::Receiver<bool>,
    standing: watch::Sender<Standing>,
    host: String,
    store: Option<Store>,
    cursor: Option<Cursor>,
    link: Option<Link>,
    /// When the last head was sent.
    head_at: Option<Instant>,
}

impl Pump {
    /// Makes what sends, and a view of how it stands.
    pub(super) fn new(
        receiver: &Receiver,
        wanted: &Stream,
        origin: Origin,
        stopped: watch::Receiver<bool>,
    ) -> (Self, watch::Receiver<Standing>) {
        let (standing, view) = watch::channel(Standing {
            to: receiver.to_string(),
            entries: wanted.entries.then_some(0),
            head: wanted.heads.then_some(0),
            problem: None,
        });
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let pump = Self {
            receiver: receiver.clone(),
            wanted: wanted.clone(),
            origin,
            stopped,
            standing,
            host,
            store: None,
            cursor: None,
            link: None,
            head_at: None,
        };
        (pump, view)
    }

    /// Sends until the daemon ends.
    pub(super) async fn run(mut self) {
        let (first, longest) = WAIT;
        let mut wait = first;
        loop {
            let is_last = *self.stopped.borrow_and_update();
            match self.catch_up(is_last).await {
                Ok(head_due) => {
                    self.flows();
                    wait = first;
                    if is_last || !self.rest(head_due).await {
                        break;
                    }
                }
                Err(error) => {
                    self.link = None;
                    self.stands_still(&error);
                    if is_last || !self.wait(wait).await {
                        break;
                    }
                    wait = wait.saturating_mul(2).min(longest);
                }
            }
        }
        if let Some(cursor) = &self.cursor
            && let Err(error) = cursor.sync()
        {
            tracing::warn!(%error, "after a power cut now, some messages are streamed again");
        }
    }

    /// Waits before the next try. Tells whether there is one.
    async fn wait(&mut self, span: Duration) -> bool {
        tokio::select! {
            () = sleep(span) => true,
            stopped = self.stopped.changed() => stopped.is_ok(),
        }
    }

    /// Waits for something to send. Tells whether the daemon goes on.
    async fn rest(&mut self, head_due: Option<Instant>) -> bool {
        let due = async {
            match head_due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.origin.released.changed() => changed.is_ok(),
            () = due => true,
            stopped = self.stopped.changed() => stopped.is_ok(),
        }
    }

    /// Sends everything up to the newest head, and that head when it is time for one. Returns when it
    /// will be, if it is not.
    async fn catch_up(&mut self, is_last: bool) -> Result<Option<Instant>, PumpError> {
        let released = self.origin.released.borrow_and_update().clone();
        self.open(released.head.size)?;
        if self.wanted.entries {
            while self.at().entries < released.head.size {
                self.page(released.head.size).await?;
            }
        }
        if !self.wanted.heads || released.head.size <= self.at().head {
            return Ok(None);
        }
        let due = self
            .head_at
            .and_then(|last| last.checked_add(BETWEEN_HEADS));
        if let Some(due) = due.filter(|due| !is_last && Instant::now() < *due) {
            return Ok(Some(due));
        }
        self.head(&released).await?;
        Ok(None)
    }

    /// Opens what is not open: the database, and the file that says how far the receiver came. What
    /// that names has to be in the log.
    fn open(&mut self, size: u64) -> Result<(), PumpError> {
        if self.store.is_none() {
            self.store = Some(Store::open_read_only(&self.origin.database)?);
        }
        if self.cursor.is_some() {
            return Ok(());
        }
        let path = cursor_of(&self.origin, &self.receiver);
        let failed = |source| PumpError::Cursor {
            path: path.clone(),
            source,
        };
        let to = self.receiver.to_string();
        let mut cursor = Cursor::open(&path, &self.origin.log, &to).map_err(failed)?;
        let at = cursor.at();
        let is_of_this_log = at.head <= size && self.leaf_before(at.entries)? == at.leaf;
        if !is_of_this_log {
            tracing::warn!(
                to,
                entries = at.entries,
                "the log is not the one that was streamed; it is streamed from its beginning"
            );
            cursor.put(At::BEGINNING).map_err(failed)?;
        }
        self.cursor = Some(cursor);
        self.tell_how_far();
        Ok(())
    }

    /// Returns the leaf before a position; nothing where there is none.
    fn leaf_before(&self, position: u64) -> Result<Option<Hash>, PumpError> {
        let (Some(at), Some(store)) = (position.checked_sub(1), &self.store) else {
            return Ok(None);
        };
        match store.entry(at) {
            Err(StoreError::Pruned { .. }) => store.leaf(at).map(Some),
            found => Ok(found?.map(|bytes| leaf_hash(&bytes))),
        }
        .map_err(PumpError::from)
    }

    /// Sends some entries.
    async fn page(&mut self, end: u64) -> Result<(), PumpError> {
        let leaves = self.read(end)?;
        let head = self.at().head;
        let mut arrived = None;
        let mut gone = 0u64;
        for leaf in leaves {
            if leaf.bytes.is_empty() {
                gone = gone.saturating_add(1);
            } else {
                self.entry(&leaf).await?;
            }
            let at = At {
                entries: leaf.seq.saturating_add(1),
                leaf: Some(leaf.hash),
                head,
            };
            if self.link.as_ref().is_some_and(Link::settles) {
                arrived = Some(at);
            } else {
                self.keep(at)?;
            }
        }
        if gone > 0 {
            tracing::warn!(gone, "entries were pruned before they were streamed");
        }
        if let Some(at) = arrived {
            self.settle().await?;
            self.keep(at)?;
        }
        Ok(())
    }

    /// Sends an entry, or what stands in for one that is too large.
    async fn entry(&mut self, leaf: &Leaf) -> Result<(), PumpError> {
        let seq = leaf.seq;
        let record =
            Record::read(seq, &leaf.bytes).map_err(|problem| PumpError::Record { seq, problem })?;
        let message = Message::entry(self.wanted.form, &record).map_err(PumpError::Receiver)?;
        match self.send(&message).await {
            Err(PumpError::Receiver(error)) if is_too_large(&error) => {
                self.send(&message.stand_in(seq, leaf.hash)).await
            }
            sent => sent,
        }
    }

    /// Reads some entries from where the receiver is.
    fn read(&self, end: u64) -> Result<Vec<Leaf>, PumpError> {
        let from = self.at().entries;
        let (mut leaves, mut bytes) = (Vec::new(), 0usize);
        let mut damaged = None;
        if let Some(store) = &self.store {
            store.each_entry::<StoreError>(from, |seq, data, stored| {
                if seq >= end || leaves.len() == PAGE || bytes >= PAGE_BYTES {
                    return Ok(false);
                }
                let hash = pruned(data, stored).unwrap_or_else(|| leaf_hash(data));
                let due = from.saturating_add(u64::try_from(leaves.len()).unwrap_or(u64::MAX));
                if seq != due || hash.as_bytes() != stored {
                    damaged = Some(due);
                    return Ok(false);
                }
                bytes = bytes.saturating_add(data.len());
                leaves.push(Leaf {
                    seq,
                    bytes: data.to_vec(),
                    hash,
                });
                Ok(true)
            })?;
        }
        match damaged {
            // What stands before it is told.
            Some(seq) if leaves.is_empty() => Err(PumpError::Entry { seq }),
            None if leaves.is_empty() => Err(PumpError::Entry { seq: from }),
            Some(_) | None => Ok(leaves),
        }
    }

    /// Sends a head.
    async fn head(&mut self, released: &Released) -> Result<(), PumpError> {
        let told = Told {
            origin: &self.origin.log,
            head: released.head,
            note: &released.note,
            at: self.origin.clock.now().wall,
        };
        let message = Message::head(self.wanted.form, &told);
        self.send(&message).await?;
        self.settle().await?;
        self.head_at = Some(Instant::now());
        let at = self.at();
        self.keep(At {
            head: released.head.size,
            ..at
        })
    }

    async fn send(&mut self, message: &Message) -> Result<(), PumpError> {
        if let Some(link) = &mut self.link {
            match link.send(message, &self.host).await {
                // A daemon that was started anew listens on another socket of the same name. What a
                // connection had taken may be gone with it, so it begins where it was settled.
                Err(error) if !link.settles() && !is_too_large(&error) => {}
                sent => return sent.map_err(PumpError::Receiver),
            }
        }
        let link = Link::open(&self.receiver)
            .await
            .map_err(PumpError::Receiver)?;
        let sent = self.link.insert(link).send(message, &self.host).await;
        sent.map_err(PumpError::Receiver)
    }

    async fn settle(&mut self) -> Result<(), PumpError> {
        match &mut self.link {
            Some(link) => link.settle().await.map_err(PumpError::Receiver),
            None => Ok(()),
        }
    }

    fn at(&self) -> At {
        self.cursor.as_ref().map_or(At::BEGINNING, Cursor::at)
    }

    fn keep(&mut self, at: At) -> Result<(), PumpError> {
        if let Some(cursor) = &mut self.cursor {
            let path = cursor_of(&self.origin, &self.receiver);
            cursor
                .put(at)
                .map_err(|source| PumpError::Cursor { path, source })?;
        }
        self.tell_how_far();
        Ok(())
    }

    fn tell_how_far(&self) {
        let at = self.at();
        self.standing.send_modify(|standing| {
            standing.entries = standing.entries.map(|_| at.entries);
            standing.head = standing.head.map(|_| at.head);
        });
    }

    /// Says that it flows again, if it stood still.
    fn flows(&self) {
        self.standing.send_if_modified(|standing| {
            let back = standing.problem.take().is_some();
            if back {
                tracing::info!(to = standing.to, "the stream of the log flows again");
            }
            back
        });
    }

    /// Says once why it stands still.
    fn stands_still(&self, error: &PumpError) {
        let why = crate::engine::Chain(error).to_string();
        self.standing.send_if_modified(|standing| {
            let is_new = standing.problem.is_none();
            if is_new {
                tracing::warn!(
                    to = standing.to,
                    error = why,
                    "the stream of the log stands still; what is not sent now is sent later"
                );
            }
            standing.problem = Some(why);
            true
        });
    }
}
