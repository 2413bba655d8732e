//! The database: the log's leaves and nodes, and one row per request.
//!
//! One connection writes. A batch is one IMMEDIATE transaction; each step in it is a savepoint that
//! can be taken back alone, and nothing is told to anybody before the batch is committed (R6). The
//! store knows rows and hashes; what they mean is the engine's business.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::path::Path;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::Frontier;
use countersign_shared::machine::Request;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

mod audit;
mod backup;
mod cosigned;
mod debts;
mod erase;
mod exports;
mod inspect;
mod past;
mod prune;
mod requests;
mod rotations;
mod rules;
mod schema;

pub use audit::{LogTail, Proofs};
pub use cosigned::{CosignedHead, RawCosigned};
pub use erase::Erasable;
pub use inspect::{Inspection, RawHead, RawLeaf, RawRequest};
pub use past::Asked;
pub use prune::pruned;
pub use rules::KeptRules;

/// How long the start waits for another program that holds the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a batch waits for one. Callers wait with it, and are told at once that nothing can be
/// made durable (R7).
const IMPATIENCE: Duration = Duration::from_millis(50);

/// The database cannot be used, or a row is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("cannot {action}")]
    Sql {
        /// What was being done.
        action: &'static str,
        /// SQLite's word.
        #[source]
        source: rusqlite::Error,
    },
    /// The file cannot be made or opened.
    #[error("cannot open `{}`", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The schema is of a newer program.
    #[error(
        "the database has schema {found} and this program knows {known}; run the newer program"
    )]
    Newer {
        /// The schema that was found.
        found: i64,
        /// The schema this program writes.
        known: i64,
    },
    /// The schema is of an older program, and nobody brought it up.
    #[error(
        "the database has schema {found} and this program reads {known}; start the daemon once, which brings it up"
    )]
    Older {
        /// The schema that was found.
        found: i64,
        /// The schema this program reads.
        known: i64,
    },
    /// The file is damaged.
    #[error("the database is damaged: {problem}; restore a backup, do not delete it")]
    Damaged {
        /// What the check said.
        problem: String,
    },
    /// A row changed under the engine's feet.
    #[error("conflict: {id} is not at version {version}")]
    Conflict {
        /// The request.
        id: RequestId,
        /// The version that was expected.
        version: u64,
    },
    /// An entry was pruned.
    #[error("entry {at} was pruned; the archive that holds it is not here")]
    Pruned {
        /// Its position.
        at: u64,
    },
    /// A step was begun, or a batch ended, without a transaction.
    #[error("the transaction is gone")]
    NoTransaction,
    /// A stored value cannot be read.
    #[error("the database is damaged: {what}")]
    Row {
        /// Which value.
        what: String,
    },
}

impl StoreError {
    fn sql(action: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sql { action, source }
    }

    pub(crate) fn row(what: impl Into<String>) -> Self {
        Self::Row { what: what.into() }
    }
}

/// A request as it is stored.
#[derive(Debug, Clone)]
pub struct Row {
    /// The machine.
    pub request: Request,
    /// The exact bytes of the request document; nothing once it was erased.
    pub document: Option<Vec<u8>>,
    /// What does not change after intake.
    pub intake: Intake,
}

/// What is stored once, at intake, beside machine and document.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The position of `request.received` in the log.
    pub received_index: u64,
    /// The OS user that asks.
    pub uid: u32,
    /// The principal: OS user, and container or unit.
    pub principal: String,
    /// The sameness key (R13).
    pub sameness: [u8; 32],
    /// What ties askings of one tool call together; empty for none.
    pub ask_key: String,
    /// Whether policy held it for people.
    pub is_held: bool,
}

/// The database.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    nodes: RefCell<audit::Nodes>,
}

impl From<Connection> for Store {
    fn from(conn: Connection) -> Self {
        Self {
            conn,
            nodes: RefCell::default(),
        }
    }
}

impl Store {
    /// Opens or creates the database, brings up its schema, and checks that it is whole.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path)?;
        let mut conn = Connection::open(path).map_err(StoreError::sql("open the database"))?;
        prepare(&conn)?;
        let verdict: String = conn
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(StoreError::sql("check the database"))?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { problem: verdict });
        }
        schema::upgrade(&mut conn)?;
        conn.busy_timeout(IMPATIENCE)
            .map_err(StoreError::sql("prepare the database"))?;
        Ok(conn.into())
    }

    /// Tells whether nothing was ever stored.
    pub fn is_blank(&self) -> Result<bool, StoreError> {
        self.conn
            .query_row(
                "SELECT NOT EXISTS (SELECT 1 FROM audit_leaf)
                 AND NOT EXISTS (SELECT 1 FROM request)
                 AND NOT EXISTS (SELECT 1 FROM rules_in_force)",
                [],
                |row| row.get(0),
            )
            .map_err(StoreError::sql("look for a log"))
    }

    /// Tells whether a batch is open. SQLite itself ends one on some errors, such as a full disk.
    pub fn in_batch(&self) -> bool {
        !self.conn.is_autocommit()
    }

    /// Returns the connection, for a test that breaks something.
    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Opens the database for reading only; nothing is created or brought up.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)
            .map_err(StoreError::sql("open the database for reading"))?;
        conn.busy_timeout(PATIENCE)
            .map_err(StoreError::sql("set the busy timeout"))?;
        plan_once(&conn)?;
        let found: i64 = conn
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(StoreError::sql("read the schema's version"))?;
        let known = schema::VERSION;
        match found.cmp(&known) {
            Ordering::Equal => Ok(conn.into()),
            Ordering::Less => Err(StoreError::Older { found, known }),
            Ordering::Greater => Err(StoreError::Newer { found, known }),
        }
    }

    /// Begins a batch.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")
            .map_err(StoreError::sql("begin a batch"))
    }

    /// Begins a step of the batch that can be taken back alone.
    pub fn savepoint(&mut self) -> Result<(), StoreError> {
        // Without a transaction a savepoint would begin one of its own and end it durably.
        if self.conn.is_autocommit() {
            return Err(StoreError::NoTransaction);
        }
        self.run("SAVEPOINT step")
            .map_err(StoreError::sql("begin a step"))
    }

    /// Keeps the step.
    pub fn release(&mut self) -> Result<(), StoreError> {
        self.run("RELEASE step")
            .map_err(StoreError::sql("keep a step"))
    }

    /// Takes the step back. The batch goes on.
    pub fn rollback_step(&mut self) -> Result<(), StoreError> {
        self.conn
            .execute_batch("ROLLBACK TO step; RELEASE step")
            .map_err(StoreError::sql("take a step back"))
    }

    /// Makes the batch durable: the log's head is signed, with its key and those that sign beside it,
    /// and stored in it.
    pub fn commit(
        &mut self,
        tail: &LogTail,
        key: &SignerKey,
        others: &[SignerKey],
    ) -> Result<String, StoreError> {
        if self.conn.is_autocommit() {
            return Err(StoreError::NoTransaction);
        }
        let note = self.put_head(tail, key, others)?;
        self.run("COMMIT")
            .map_err(StoreError::sql("make a batch durable"))?;
        Ok(note)
    }

    /// Takes the whole batch back. An error changes nothing: the transaction is gone either way.
    pub fn rollback(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a batch could not be rolled back");
        }
    }

    /// Runs a statement that is used again and again, so it is parsed once.
    fn run(&self, statement: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    fn put_head(
        &mut self,
        tail: &LogTail,
        key: &SignerKey,
        others: &[SignerKey],
    ) -> Result<String, StoreError> {
        let checkpoint = Checkpoint::new(tail.origin(), tail.frontier().head())
            .map_err(|error| StoreError::row(error.to_string()))?;
        let note = checkpoint.sign_with(key, others);
        self.conn
            .prepare_cached(
                "INSERT INTO audit_head (id, size, frontier, note) VALUES (1, ?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET size = ?1, frontier = ?2, note = ?3",
            )
            .and_then(|mut put| {
                put.execute(params![
                    index(tail.size()),
                    tail.frontier().to_bytes(),
                    note
                ])
            })
            .map_err(StoreError::sql("store the head"))?;
        Ok(note)
    }

    /// Returns the stored head: the frontier and the signed note, or nothing in a new database.
    pub fn head(&self) -> Result<Option<(Frontier, String)>, StoreError> {
        let found: Option<(Vec<u8>, String)> = self
            .conn
            .query_row(
                "SELECT frontier, note FROM audit_head WHERE id = 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(StoreError::sql("read the head"))?;
        found
            .map(|(frontier, note)| {
                let frontier = Frontier::from_bytes(&frontier)
                    .map_err(|error| StoreError::row(format!("the frontier: {error}")))?;
                Ok((frontier, note))
            })
            .transpose()
    }
}

/// Makes an empty file that nobody else reads, if there is none: SQLite would make it for everyone,
/// and gives its journals the same mode.
fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;

    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| StoreError::File {
            path: path.to_path_buf(),
            source,
        })
}

fn prepare(conn: &Connection) -> Result<(), StoreError> {
    let set = |name: &'static str, value: &str| {
        conn.pragma_update(None, name, value)
            .map_err(StoreError::sql("prepare the database"))
    };
    conn.busy_timeout(PATIENCE)
        .map_err(StoreError::sql("prepare the database"))?;
    // WAL keeps readers out of the writer's way; FULL makes each commit survive a power cut.
    set("journal_mode", "WAL")?;
    set("synchronous", "FULL")?;
    set("foreign_keys", "ON")?;
    plan_once(conn)?;
    set("trusted_schema", "OFF")
}

/// Keeps the plan of a statement: else it is planned anew whenever another value is bound to it.
fn plan_once(conn: &Connection) -> Result<(), StoreError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
        .map_err(StoreError::sql("prepare the database"))
}

/// SQLite's integers are signed; sizes and versions never come near the limit.
fn index(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
