//! Erasing documents: what was asked goes, and its digest stays in the log.
//!
//! Copies and exports that were made before are not reached.

use countersign_shared::id::RequestId;
use countersign_shared::time::Timestamp;

use super::requests::read_id;
use super::{Store, StoreError, index};

/// How many documents that are too young are looked past for older ones behind them.
const LOOKED_PAST: usize = 10_000;

/// A document that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasable {
    /// The request.
    pub id: RequestId,
    /// Where its document is.
    pub received_index: u64,
    /// When it was received.
    pub received_at: Timestamp,
}

impl Store {
    /// Returns the oldest documents of requests that were received before a time and are over: not
    /// open, not to be settled, and nobody owes a review of them.
    pub fn erasable(&self, before: Timestamp, limit: usize) -> Result<Vec<Erasable>, StoreError> {
        let failed = || StoreError::sql("look for documents to erase");
        let mut query = self
            .conn
            .prepare_cached(
                "SELECT id, received_index, received_ms,
                 open = 0 AND state <> 'indeterminate'
                 AND NOT EXISTS (SELECT 1 FROM debt WHERE debt.request = request.id)
                 FROM document JOIN request USING (received_index) ORDER BY received_index",
            )
            .map_err(failed())?;
        let mut rows = query.query([]).map_err(failed())?;
        let mut found = Vec::new();
        let mut young = 0_usize;
        while let Some(row) = rows.next().map_err(failed())? {
            let received_at = Timestamp::from_millis(row.get(2).map_err(failed())?);
            // What comes later was received later, but for what was received before a clock was set back.
            if received_at >= before {
                young = young.saturating_add(1);
                if young > LOOKED_PAST {
                    break;
                }
                continue;
            }
            if found.len() == limit {
                break;
            }
            let received_index: i64 = row.get(1).map_err(failed())?;
            if row.get(3).map_err(failed())? {
                found.push(Erasable {
                    id: read_id(row, 0).map_err(failed())?,
                    received_index: u64::try_from(received_index)
                        .map_err(|_| StoreError::row("a negative log index"))?,
                    received_at,
                });
            }
        }
        Ok(found)
    }

    /// Takes a document away.
    pub fn erase(&mut self, received_index: u64) -> Result<(), StoreError> {
        let gone = self
            .conn
            .prepare_cached("DELETE FROM document WHERE received_index = ?1")
            .and_then(|mut delete| delete.execute([index(received_index)]))
            .map_err(StoreError::sql("erase a document"))?;
        if gone == 1 {
            Ok(())
        } else {
            Err(StoreError::row("a document to erase is not there"))
        }
    }

    /// Says whether what is deleted from now on is overwritten in the file. Always would make every
    /// change of a long row write more.
    pub fn overwrite_deleted(&self, is_wanted: bool) -> Result<(), StoreError> {
        self.conn
            .pragma_update(None, "secure_delete", is_wanted)
            .map_err(StoreError::sql("prepare to erase"))
    }

    /// Brings everything into the file and empties the write-ahead log, which still holds what was
    /// erased. Tells whether it could: not while somebody reads as of an earlier moment.
    pub fn empty_journal(&self) -> Result<bool, StoreError> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            })
            .map(|busy| busy == 0)
            .map_err(StoreError::sql("empty the write-ahead log"))
    }
}
