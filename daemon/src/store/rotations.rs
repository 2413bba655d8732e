//! Where in the log its keys changed, so that a start need not read all of it to know its keys. What
//! was changed is in the entries alone.

use rusqlite::params;

use super::{Store, StoreError, index};

impl Store {
    /// Notes that the entry at a position announces the log's next key.
    pub(crate) fn begin_rotation(&mut self, entry: u64) -> Result<(), StoreError> {
        self.conn
            .execute(
                "INSERT INTO log_rotation (entry, retired) VALUES (?1, NULL)",
                [index(entry)],
            )
            .map(drop)
            .map_err(StoreError::sql("note a change of the log's key"))
    }

    /// Notes that the entry at a position ends the key before the last one announced.
    pub(crate) fn end_rotation(&mut self, retired: u64) -> Result<(), StoreError> {
        self.conn
            .execute(
                "UPDATE log_rotation SET retired = ?1
                 WHERE entry = (SELECT max(entry) FROM log_rotation) AND retired IS NULL",
                params![index(retired)],
            )
            .map_err(StoreError::sql("note the end of a key of the log"))
            .and_then(|changed| match changed {
                1 => Ok(()),
                _ => Err(StoreError::row("no key of the log is noted as ending")),
            })
    }

    /// Returns the positions of the entries that announced the log's keys, in order, each with that of
    /// the entry that ended the key before it.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn rotations(&self) -> Result<Vec<(u64, Option<u64>)>, StoreError> {
        let failed = || StoreError::sql("read where the log's keys changed");
        let mut query = self
            .conn
            .prepare("SELECT entry, retired FROM log_rotation ORDER BY entry")
            .map_err(failed())?;
        let rows: Vec<(i64, Option<i64>)> = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(failed())?;
        let place = |at: i64| {
            u64::try_from(at).map_err(|_| StoreError::row("a key changed at a negative position"))
        };
        rows.into_iter()
            .map(|(entry, retired)| Ok((place(entry)?, retired.map(place).transpose()?)))
            .collect()
    }
}
