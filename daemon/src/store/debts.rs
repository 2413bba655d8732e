//! What people still owe: the review of a broken glass, and word of a run that nobody reported; and
//! which requests several askings share.
//!
//! An index beside the requests, so that nobody looks through all of them. The log says the same.

use countersign_shared::id::RequestId;

use super::requests::read_id;
use super::{Store, StoreError};

impl Store {
    /// Notes that a request owes a review.
    pub fn put_debt(&mut self, id: RequestId) -> Result<(), StoreError> {
        self.conn
            .execute(
                "INSERT INTO debt (request) VALUES (?1) ON CONFLICT DO NOTHING",
                [id.as_bytes()],
            )
            .map(|_| ())
            .map_err(StoreError::sql("note a debt"))
    }

    /// Notes that a request owes no review any more.
    pub fn drop_debt(&mut self, id: RequestId) -> Result<(), StoreError> {
        self.conn
            .execute("DELETE FROM debt WHERE request = ?1", [id.as_bytes()])
            .map(|_| ())
            .map_err(StoreError::sql("close a debt"))
    }

    /// Returns the requests that owe a review, newest first, at most so many.
    pub fn debts(&self, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.ids(
            "SELECT id FROM debt JOIN request ON id = debt.request
             ORDER BY received_ms DESC LIMIT ?1",
            limit,
        )
    }

    /// Returns the runs of which nobody has said how they went, newest first, at most so many.
    pub fn unsettled(&self, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.ids(
            "SELECT id FROM request WHERE state = 'indeterminate'
             ORDER BY received_ms DESC LIMIT ?1",
            limit,
        )
    }

    /// Notes that another asking joined a request. No entry says so: it changes nothing about the
    /// request but who may take it back alone.
    pub fn note_joined(&mut self, id: RequestId) -> Result<(), StoreError> {
        self.conn
            .execute(
                "INSERT INTO joined_asking (request) VALUES (?1) ON CONFLICT DO NOTHING",
                [id.as_bytes()],
            )
            .map(|_| ())
            .map_err(StoreError::sql("note that an asking joined"))
    }

    /// Tells whether another asking joined a request.
    pub fn is_joined(&self, id: RequestId) -> Result<bool, StoreError> {
        self.conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM joined_asking WHERE request = ?1)")
            .and_then(|mut find| find.query_row([id.as_bytes()], |row| row.get(0)))
            .map_err(StoreError::sql("look whether an asking joined"))
    }

    /// Forgets who joined requests that are over.
    pub fn forget_joined(&mut self) -> Result<(), StoreError> {
        self.conn
            .execute(
                "DELETE FROM joined_asking
                 WHERE request NOT IN (SELECT id FROM request WHERE open = 1)",
                [],
            )
            .map(|_| ())
            .map_err(StoreError::sql("forget who joined"))
    }

    fn ids(&self, sql: &str, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        let failed = || StoreError::sql("read what is owed");
        let mut query = self.conn.prepare_cached(sql).map_err(failed())?;
        let ids = query
            .query_map([limit], |row| read_id(row, 0))
            .map_err(failed())?
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        Ok(ids)
    }
}
