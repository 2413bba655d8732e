//! The rows of requests: what a machine holds, beside what was stored at intake.

use countersign_shared::id::RequestId;
use countersign_shared::machine::Request;
use countersign_shared::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Intake, Row, Store, StoreError, index};

/// The columns of [`Row`] in the order [`read_row`] reads them, and where they are.
const ROWS: &str = "SELECT machine, bytes, received_index, uid, principal, sameness, ask_key, held
    FROM request LEFT JOIN document USING (received_index)";

/// One asking of the past.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Who asked.
    pub uid: u32,
    /// When.
    pub at: Timestamp,
    /// Whether policy held it for people.
    pub is_held: bool,
}

impl Store {
    /// Stores a new request.
    pub fn insert(
        &mut self,
        request: &Request,
        document: &[u8],
        intake: &Intake,
    ) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO request (received_index, id, state, open, version, machine,
                 received_ms, changed_ms, uid, principal, sameness, ask_key, held)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    index(intake.received_index),
                    request.id().as_bytes(),
                    request.state().word(),
                    request.state().is_live(),
                    index(request.version()),
                    machine_text(request)?,
                    request.received_at().wall.as_millis(),
                    intake.uid,
                    intake.principal,
                    intake.sameness,
                    intake.ask_key,
                    intake.is_held,
                ])
            })
            .and_then(|_| {
                self.conn
                    .prepare_cached("INSERT INTO document (received_index, bytes) VALUES (?1, ?2)")
            })
            .and_then(|mut insert| insert.execute(params![index(intake.received_index), document]))
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
                    request.state().is_live(),
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
            .prepare_cached(&format!("{ROWS} WHERE id = ?1"))
            .and_then(|mut find| find.query_row([id.as_bytes()], read_row).optional())
            .map_err(StoreError::sql("read a request"))
    }

    /// Returns when an asking of the same action was denied last, after `since` and not after `until`.
    pub fn denied_between(
        &self,
        sameness: [u8; 32],
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(RequestId, Timestamp)>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT id, changed_ms FROM request
                 WHERE sameness = ?1 AND state = 'denied' AND changed_ms > ?2 AND changed_ms <= ?3
                 ORDER BY changed_ms DESC LIMIT 1",
            )
            .and_then(|mut find| {
                find.query_row(
                    params![sameness, since.as_millis(), until.as_millis()],
                    |row| Ok((read_id(row, 0)?, Timestamp::from_millis(row.get(1)?))),
                )
                .optional()
            })
            .map_err(StoreError::sql("look up a denial"))
    }

    /// Calls `each` with every asking since a time, the latest first.
    pub fn each_since(
        &self,
        since: Timestamp,
        mut each: impl FnMut(Asked),
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read the latest requests");
        let mut query = self
            .conn
            .prepare("SELECT uid, received_ms, held FROM request ORDER BY received_index DESC")
            .map_err(failed())?;
        let rows = query
            .query_map([], |row| {
                Ok(Asked {
                    uid: row.get(0)?,
                    at: Timestamp::from_millis(row.get(1)?),
                    is_held: row.get(2)?,
                })
            })
            .map_err(failed())?;
        for row in rows {
            let asked = row.map_err(failed())?;
            // The times of entries never go back, so all that follow are older.
            if asked.at <= since {
                break;
            }
            each(asked);
        }
        Ok(())
    }

    /// Calls `each` with the user and the time of every denial since a time.
    pub fn each_denied_since(
        &self,
        since: Timestamp,
        mut each: impl FnMut(u32, Timestamp),
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read the latest denials");
        let mut query = self
            .conn
            .prepare(
                "SELECT uid, changed_ms FROM request WHERE state = 'denied' AND changed_ms > ?1",
            )
            .map_err(failed())?;
        let rows = query
            .query_map([since.as_millis()], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(failed())?;
        for row in rows {
            let (uid, at) = row.map_err(failed())?;
            each(uid, Timestamp::from_millis(at));
        }
        Ok(())
    }

    /// Calls `each` with every request that has not ended, oldest first. One at a time: documents
    /// are large.
    pub fn each_open<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut query = self
            .conn
            .prepare(&format!("{ROWS} WHERE open = 1 ORDER BY received_index"))
            .map_err(StoreError::sql("read requests"))?;
        let rows = query
            .query_map([], read_row)
            .map_err(StoreError::sql("read requests"))?;
        for row in rows {
            each(row.map_err(StoreError::sql("read requests"))?)?;
        }
        Ok(())
    }

    /// Calls `each` with the latest requests, newest first: those received before one of them, or from
    /// the last one on. One at a time: documents are large.
    pub fn each_latest(
        &self,
        before: Option<RequestId>,
        limit: u32,
        mut each: impl FnMut(Row),
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read requests");
        let from = match before {
            None => "?1 IS NULL",
            Some(_) => "received_index < (SELECT received_index FROM request WHERE id = ?1)",
        };
        let mut query = self
            .conn
            .prepare_cached(&format!(
                "{ROWS} WHERE {from} ORDER BY received_index DESC LIMIT ?2"
            ))
            .map_err(failed())?;
        let before = before.as_ref().map(RequestId::as_bytes);
        let rows = query
            .query_map(params![before, limit], read_row)
            .map_err(failed())?;
        for row in rows {
            each(row.map_err(failed())?);
        }
        Ok(())
    }

    /// Calls `each` with every request, oldest first.
    pub fn each_request<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut all = self
            .conn
            .prepare(&format!("{ROWS} ORDER BY received_index"))
            .map_err(StoreError::sql("read all requests"))?;
        let rows = all
            .query_map([], read_row)
            .map_err(StoreError::sql("read all requests"))?;
        for row in rows {
            each(row.map_err(StoreError::sql("read a request"))?)?;
        }
        Ok(())
    }

    /// Returns the ids from one to another, both included, at most two.
    pub fn ids_between(
        &self,
        first: RequestId,
        last: RequestId,
    ) -> Result<Vec<RequestId>, StoreError> {
        self.conn
            .prepare_cached("SELECT id FROM request WHERE id BETWEEN ?1 AND ?2 LIMIT 2")
            .and_then(|mut find| {
                find.query_map([first.as_bytes(), last.as_bytes()], |row| read_id(row, 0))?
                    .collect()
            })
            .map_err(StoreError::sql("look up an id"))
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
            is_held: row.get(7)?,
        },
    })
}

pub(super) fn read_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<RequestId> {
    row.get::<_, [u8; 16]>(column).map(RequestId::from_bytes)
}
