//! One durable append to the log, beside a bare SQLite transaction that writes rows of the same sizes.
//!
//! An append is the engine's: an entry is written as canonical JSON, hashed, pushed on the tree,
//! stored with the nodes it completes, and the head over it is signed and stored, in one transaction
//! that is on the disk when it returns. The floor stores as many bytes in as many rows, made before.

use std::path::Path;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Actor, ActorKind, Body, Entry, LogEvent, Separation, Sync};
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::Frontier;
use countersign_shared::time::{BootId, Moment};
use countersign_tests::installation::Outcome;
use countersign_tests::measure::{Samples, bar, beside, millis, now};
use countersign_tests::reviewer::wall_time;
use countersignd::store::{LogTail, Store};
use rusqlite::{Connection, params};

const ORIGIN: &str = "countersign/bench";

/// How many appends are measured.
const APPENDS: u64 = 2_000;

/// Appends of one kind in a row; then the other kind has its turn.
const TURN: u64 = 25;

/// Appends before anything is measured.
const WARM: u64 = 200;

fn main() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let mut log = Log::open(&directory.path().join("state.db"))?;
    let mut floor = Floor::open(&directory.path().join("floor.db"))?;
    let (mut appends, mut bare) = (Samples::default(), Samples::default());
    for number in 0..WARM {
        log.append(number)?;
        floor.append(&log.last(number)?, number)?;
    }
    for turn in 0..APPENDS / TURN {
        let first = WARM + turn * TURN;
        for number in first..first + TURN {
            let begun = now();
            log.append(number)?;
            appends.push(begun.elapsed());
        }
        for number in first..first + TURN {
            let row = log.last(number)?;
            let begun = now();
            floor.append(&row, number)?;
            bare.push(begun.elapsed());
        }
    }
    beside(
        "one durable append, hashed and signed",
        &appends,
        "bare transaction of the same row sizes",
        &bare,
    );
    bar(
        "p50 of an append beside a bare transaction",
        millis(appends.percentile(50)) / millis(bare.percentile(50)),
        1.5,
        "x",
    );
    Ok(())
}

/// The log as the engine writes it.
struct Log {
    store: Store,
    read: Connection,
    tail: LogTail,
    key: SignerKey,
}

/// What an append stored.
struct Stored {
    data: Vec<u8>,
    hash: Vec<u8>,
    nodes: Vec<u8>,
    request: Option<Vec<u8>>,
    frontier: Vec<u8>,
    note: String,
}

impl Log {
    fn open(path: &Path) -> Outcome<Self> {
        Ok(Self {
            store: Store::open(path)?,
            read: Connection::open(path)?,
            tail: LogTail::new(ORIGIN.to_owned(), Frontier::new()),
            key: SignerKey::from_seed(ORIGIN, &[7; 32])?,
        })
    }

    fn append(&mut self, number: u64) -> Outcome<()> {
        let entry = Entry {
            log: ORIGIN.to_owned(),
            seq: self.tail.size(),
            now: Moment {
                wall: wall_time(),
                boot: BootId::new("1d1b9bcd-6a6c-4d0f-9c1b-c5b3f3a1e7d2"),
                mono_ms: number,
            },
            sync: Sync::Synced,
            actor: Actor {
                kind: ActorKind::Daemon,
                id: "countersignd".to_owned(),
                uid: None,
            },
            request: Some(RequestId::from_bytes(u128::from(number).to_be_bytes())),
            separation: Separation::Uid,
            // About as long as an entry is in the middle.
            body: Body::Log(LogEvent::RulesRefused {
                problem: "x".repeat(700),
            }),
        };
        self.store.begin()?;
        self.store.savepoint()?;
        self.store.append(&mut self.tail, &entry)?;
        self.store.release()?;
        self.store.commit(&self.tail, &self.key, &[])?;
        Ok(())
    }

    fn last(&self, number: u64) -> Outcome<Stored> {
        let stored = self.read.query_row(
            "SELECT data, leaf_hash, nodes, request, frontier, note
             FROM audit_leaf, audit_head WHERE idx = ?1",
            [i64::try_from(number)?],
            |row| {
                Ok(Stored {
                    data: row.get(0)?,
                    hash: row.get(1)?,
                    nodes: row.get(2)?,
                    request: row.get(3)?,
                    frontier: row.get(4)?,
                    note: row.get(5)?,
                })
            },
        )?;
        Ok(stored)
    }
}

/// The same rows, and nothing that makes them.
struct Floor(Connection);

impl Floor {
    fn open(path: &Path) -> Outcome<Self> {
        let conn = Connection::open(path)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.execute_batch(
            "CREATE TABLE leaf (idx INTEGER PRIMARY KEY, data BLOB, hash BLOB, nodes BLOB,
             request BLOB) STRICT;
             CREATE TABLE head (id INTEGER PRIMARY KEY, size INTEGER, frontier BLOB, note TEXT)
             STRICT;",
        )?;
        Ok(Self(conn))
    }

    fn append(&mut self, row: &Stored, number: u64) -> Outcome<()> {
        let number = i64::try_from(number)?;
        let transaction = self.0.transaction()?;
        transaction
            .prepare_cached("INSERT INTO leaf VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![number, row.data, row.hash, row.nodes, row.request])?;
        transaction
            .prepare_cached("REPLACE INTO head VALUES (1, ?1, ?2, ?3)")?
            .execute(params![number, row.frontier, row.note])?;
        transaction.commit()?;
        Ok(())
    }
}
