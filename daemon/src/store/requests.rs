//! The rows of requests: what a machine holds, beside what was stored at intake.

use countersign_shared::id::RequestId;
use countersign_shared::machine::Request;
use countersign_shared::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Intake, Row, Store, StoreError, index};

/// The columns of [`Row`], in the order [`read_row`] reads them.
const COLUMNS: &str =
    "machine, document, received_index, uid, principal, sameness, ask_key, submission";

impl Store {
    /// Stores a new request.
    pub fn insert(&mut self, row: &Row) -> Result<(), StoreError> {
        let request = &row.request;
        let received_ms = request.received_at().wall.as_millis();
        self.conn
            .prepare_cached(
                "INSERT INTO request (id, state, open, version, machine, document, received_index,
                 received_ms, changed_ms, uid, principal, sameness, ask_key, submission)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    request.id().as_bytes(),
                    request.state().word(),
                    !request.state().has_ended(),
                    index(request.version()),
                    machine_text(request)?,
                    row.document,
                    index(row.intake.received_index),
                    received_ms,
                    row.intake.uid,
                    row.intake.principal,
                    row.intake.sameness,
                    row.intake.ask_key,
                    row.intake.submission,
                ])
            })
            .map(|_| ())
            .map_err(StoreError::sql("store a request"))
    }

    /// Stores a request's new state, if its row is still at `from_version`.
    pub fn update(
        &mut self,
        request: &Request,
        from_version: u64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let changed = self
            .conn
            .prepare_cached(
                "UPDATE request SET state = ?1, open = ?2, version = ?3, machine = ?4,
                 changed_ms = ?5 WHERE id = ?6 AND version = ?7",
            )
            .and_then(|mut update| {
                update.execute(params![
                    request.state().word(),
                    !request.state().has_ended(),
                    index(request.version()),
                    machine_text(request)?,
                    at.as_millis(),
                    request.id().as_bytes(),
                    index(from_version),
                ])
            })
            .map_err(StoreError::sql("store a request's new state"))?;
        if changed == 1 {
            Ok(())
        } else {
            Err(StoreError::Conflict {
                id: request.id(),
                version: from_version,
            })
        }
    }

    /// Returns one request.
    pub fn request(&self, id: RequestId) -> Result<Option<Row>, StoreError> {
        self.conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM request WHERE id = ?1"))
            .and_then(|mut find| find.query_row([id.as_bytes()], read_row).optional())
            .map_err(StoreError::sql("read a request"))
    }

    /// Returns the request of a repeated Submit.
    pub fn by_submission(
        &self,
        principal: &str,
        submission: [u8; 16],
    ) -> Result<Option<Row>, StoreError> {
        self.conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM request WHERE principal = ?1 AND submission = ?2"
            ))
            .and_then(|mut find| {
                find.query_row(params![principal, submission], read_row)
                    .optional()
            })
            .map_err(StoreError::sql("look up a submission"))
    }

    /// Returns when an asking of the same action was denied last, after `since`.
    pub fn denied_since(
        &self,
        sameness: [u8; 32],
        since: Timestamp,
    ) -> Result<Option<(RequestId, Timestamp)>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT id, changed_ms FROM request
                 WHERE sameness = ?1 AND state = 'denied' AND changed_ms > ?2
                 ORDER BY changed_ms DESC LIMIT 1",
            )
            .and_then(|mut find| {
                find.query_row(params![sameness, since.as_millis()], |row| {
                    Ok((read_id(row, 0)?, Timestamp::from_millis(row.get(1)?)))
                })
                .optional()
            })
            .map_err(StoreError::sql("look up a denial"))
    }

    /// Counts what a user asked for since a time, as far as people were asked.
    pub fn held_since(&self, uid: u32, since: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM request WHERE uid = ?1 AND received_ms > ?2")
            .and_then(|mut count| {
                count.query_row(params![uid, since.as_millis()], |row| row.get(0))
            })
            .map_err(StoreError::sql("count a user's requests"))?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Calls `each` with every request that has not ended, oldest first. One at a time: documents
    /// are large.
    pub fn each_open<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut query = self
            .conn
            .prepare(&format!(
                "SELECT {COLUMNS} FROM request WHERE open = 1 ORDER BY received_ms"
            ))
            .map_err(StoreError::sql("read requests"))?;
        let rows = query
            .query_map([], read_row)
            .map_err(StoreError::sql("read requests"))?;
        for row in rows {
            each(row.map_err(StoreError::sql("read requests"))?)?;
        }
        Ok(())
    }

    /// Calls `each` with the latest requests, newest first. One at a time: documents are large.
    pub fn each_latest(&self, limit: u32, mut each: impl FnMut(Row)) -> Result<(), StoreError> {
        let mut query = self
            .conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM request ORDER BY received_ms DESC LIMIT ?1"
            ))
            .map_err(StoreError::sql("read requests"))?;
        let rows = query
            .query_map([limit], read_row)
            .map_err(StoreError::sql("read requests"))?;
        for row in rows {
            each(row.map_err(StoreError::sql("read requests"))?);
        }
        Ok(())
    }

    /// Calls `each` with every request, in the order of ids.
    pub fn each_request<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut all = self
            .conn
            .prepare(&format!("SELECT {COLUMNS} FROM request ORDER BY id"))
            .map_err(StoreError::sql("read all requests"))?;
        let rows = all
            .query_map([], read_row)
            .map_err(StoreError::sql("read all requests"))?;
        for row in rows {
            each(row.map_err(StoreError::sql("read a request"))?)?;
        }
        Ok(())
    }

    /// Returns the ids that begin with a prefix of their text form, at most two.
    pub fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<RequestId>, StoreError> {
        let mut found = Vec::new();
        let mut all = self
            .conn
            .prepare_cached("SELECT id FROM request ORDER BY received_ms DESC")
            .map_err(StoreError::sql("look up an id"))?;
        let ids = all
            .query_map([], |row| read_id(row, 0))
            .map_err(StoreError::sql("look up an id"))?;
        for id in ids {
            let id = id.map_err(StoreError::sql("look up an id"))?;
            if id.to_string().starts_with(prefix) {
                found.push(id);
                if found.len() == 2 {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn machine_text(request: &Request) -> rusqlite::Result<String> {
    serde_json::to_string(request)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let machine: String = row.get(0)?;
    let request = serde_json::from_str(&machine).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Row {
        request,
        document: row.get(1)?,
        intake: Intake {
            received_index: u64::try_from(row.get::<_, i64>(2)?)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(2, 0))?,
            uid: row.get(3)?,
            principal: row.get(4)?,
            sameness: row.get(5)?,
            ask_key: row.get(6)?,
            submission: row.get(7)?,
        },
    })
}

fn read_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<RequestId> {
    row.get::<_, [u8; 16]>(column).map(RequestId::from_bytes)
}
