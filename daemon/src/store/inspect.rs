//! Reading the database as it is, without believing it: for `verify`.
//!
//! An [`Inspection`] holds one read transaction, so all it sees is of one moment, also while the
//! daemon writes. Values come as they are stored; a column of the wrong kind is told, and no reason
//! to stop.

use countersign_shared::id::RequestId;
use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, OptionalExtension as _};

use super::{Store, StoreError};

/// The database at one moment.
#[derive(Debug)]
pub struct Inspection(pub(super) Store);

/// A row of the log, as stored.
#[derive(Debug, Clone, Copy)]
pub struct RawLeaf<'a> {
    /// The position.
    pub index: i64,
    /// The entry's bytes.
    pub data: &'a [u8],
    /// The hash beside it.
    pub hash: &'a [u8],
    /// The inner nodes that it completes, the lowest first, one after another.
    pub nodes: &'a [u8],
    /// The request beside it.
    pub request: Option<&'a [u8]>,
}

/// The row of the log's head, as stored.
#[derive(Debug)]
pub struct RawHead {
    /// The number of entries.
    pub size: i64,
    /// The right edge of the tree.
    pub frontier: Vec<u8>,
    /// The signed note.
    pub note: Vec<u8>,
}

/// The row of a request, as stored.
#[derive(Debug)]
pub struct RawRequest {
    /// The request's id.
    pub id: Vec<u8>,
    /// The state's word.
    pub state: Vec<u8>,
    /// Whether it has not ended.
    pub open: i64,
    /// The machine's version.
    pub version: i64,
    /// The machine.
    pub machine: Vec<u8>,
    /// The document; nothing where there is none.
    pub document: Option<Vec<u8>>,
    /// The position of `request.received`.
    pub received_index: i64,
    /// When it was received.
    pub received_ms: i64,
    /// When it changed last.
    pub changed_ms: i64,
    /// Who asks.
    pub uid: i64,
    /// The principal.
    pub principal: Vec<u8>,
    /// The sameness key.
    pub sameness: Vec<u8>,
    /// Whether policy held it for people.
    pub held: i64,
}

impl StoreError {
    /// Tells whether there was no room to write. A write that fails for want of room in the middle
    /// of a batch takes the transaction along.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sql { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
            ),
            Self::NoTransaction => true,
            Self::Damaged { .. }
            | Self::Row { .. }
            | Self::File { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Conflict { .. }
            | Self::Pruned { .. } => false,
        }
    }

    /// Tells whether the database itself is damaged, rather than out of reach.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Sql { source, .. } => match source.sqlite_error_code() {
                Some(code) => {
                    matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                }
                // Not SQLite's word: a value of another kind than its column.
                None => true,
            },
            Self::Damaged { .. } | Self::Row { .. } => true,
            Self::File { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Conflict { .. }
            | Self::Pruned { .. }
            | Self::NoTransaction => false,
        }
    }
}

impl Store {
    /// Holds the database as it is now, for reading.
    pub fn inspect(self) -> Result<Inspection, StoreError> {
        // The snapshot is taken by the first read, so one is done here.
        self.conn
            .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
            .map_err(StoreError::sql("begin to read the database"))?;
        Ok(Inspection(self))
    }
}

impl Inspection {
    pub(super) const fn connection(&self) -> &rusqlite::Connection {
        &self.0.conn
    }

    /// Lets SQLite check its file; returns what it complains about first.
    pub fn damage(&self) -> Result<Option<String>, StoreError> {
        let verdict: String = self
            .0
            .conn
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(StoreError::sql("check the database"))?;
        Ok((verdict != "ok").then_some(verdict))
    }

    /// Calls `each` with every entry in order, until it says stop.
    pub fn each_leaf(
        &self,
        mut each: impl FnMut(RawLeaf<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read the log");
        let mut query = self
            .0
            .conn
            .prepare("SELECT idx, data, leaf_hash, nodes, request FROM audit_leaf ORDER BY idx")
            .map_err(failed())?;
        let mut rows = query.query([]).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            let read = || -> rusqlite::Result<RawLeaf<'_>> {
                Ok(RawLeaf {
                    index: row.get(0)?,
                    data: bytes(row.get_ref(1)?),
                    hash: bytes(row.get_ref(2)?),
                    nodes: bytes(row.get_ref(3)?),
                    request: match row.get_ref(4)? {
                        ValueRef::Null => None,
                        value @ (ValueRef::Integer(_)
                        | ValueRef::Real(_)
                        | ValueRef::Text(_)
                        | ValueRef::Blob(_)) => Some(bytes(value)),
                    },
                })
            };
            if !each(read().map_err(failed())?)? {
                break;
            }
        }
        Ok(())
    }

    /// Returns how many documents belong to no request.
    pub fn stray_documents(&self) -> Result<u64, StoreError> {
        self.0
            .conn
            .query_row(
                "SELECT count(*) FROM document
                 WHERE received_index NOT IN (SELECT received_index FROM request)",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(StoreError::sql("read the documents"))
    }

    /// Returns the stored head.
    pub fn head(&self) -> Result<Option<RawHead>, StoreError> {
        self.0
            .conn
            .query_row(
                "SELECT size, frontier, note FROM audit_head WHERE id = 1",
                [],
                |row| {
                    Ok(RawHead {
                        size: row.get(0)?,
                        frontier: owned(row, 1)?,
                        note: owned(row, 2)?,
                    })
                },
            )
            .optional()
            .map_err(StoreError::sql("read the head"))
    }

    /// Returns the stored digest of the rules in force.
    pub fn rules(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0
            .conn
            .query_row(
                "SELECT digest FROM rules_in_force WHERE id = 1",
                [],
                |row| owned(row, 0),
            )
            .optional()
            .map_err(StoreError::sql("read which rules are in force"))
    }

    /// Returns the ids that are noted to owe a review, as they are stored.
    pub fn debts(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let failed = || StoreError::sql("read the debts");
        let mut query = self
            .0
            .conn
            .prepare("SELECT request FROM debt ORDER BY request")
            .map_err(failed())?;
        let ids = query
            .query_map([], |row| owned(row, 0))
            .map_err(failed())?
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        Ok(ids)
    }

    /// Returns the row of a request.
    pub fn request(&self, id: RequestId) -> Result<Option<RawRequest>, StoreError> {
        self.0
            .conn
            .prepare_cached(
                "SELECT id, state, open, version, machine, bytes, received_index, received_ms,
                 changed_ms, uid, principal, sameness, held
                 FROM request LEFT JOIN document USING (received_index) WHERE id = ?1",
            )
            .and_then(|mut find| {
                find.query_row([id.as_bytes()], |row| {
                    Ok(RawRequest {
                        id: owned(row, 0)?,
                        state: owned(row, 1)?,
                        open: row.get(2)?,
                        version: row.get(3)?,
                        machine: owned(row, 4)?,
                        document: match row.get_ref(5)? {
                            ValueRef::Null => None,
                            value @ (ValueRef::Integer(_)
                            | ValueRef::Real(_)
                            | ValueRef::Text(_)
                            | ValueRef::Blob(_)) => Some(bytes(value).to_vec()),
                        },
                        received_index: row.get(6)?,
                        received_ms: row.get(7)?,
                        changed_ms: row.get(8)?,
                        uid: row.get(9)?,
                        principal: owned(row, 10)?,
                        sameness: owned(row, 11)?,
                        held: row.get(12)?,
                    })
                })
                .optional()
            })
            .map_err(StoreError::sql("read the requests"))
    }

    /// Calls `each` with the id, as it is stored, of every request that no row of the log is about.
    pub fn each_request_without_entries(
        &self,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read the requests");
        let mut query = self
            .0
            .conn
            .prepare(
                "SELECT id FROM request WHERE NOT EXISTS
                 (SELECT 1 FROM audit_leaf WHERE audit_leaf.request = request.id) ORDER BY id",
            )
            .map_err(failed())?;
        let mut rows = query.query([]).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            each(bytes(row.get_ref(0).map_err(failed())?));
        }
        Ok(())
    }

    /// Returns the position behind the last row of the log.
    pub fn end(&self) -> Result<i64, StoreError> {
        self.0
            .conn
            .query_row("SELECT max(idx) FROM audit_leaf", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .map(|last| last.map_or(0, |last| last.saturating_add(1)))
            .map_err(StoreError::sql("read the log"))
    }
}

/// Returns the bytes of a text or blob; other kinds have none.
fn bytes(value: ValueRef<'_>) -> &[u8] {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => &[],
    }
}

fn owned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    row.get_ref(column).map(|value| bytes(value).to_vec())
}
