//! Pruning: of requests that were over long ago all goes but the hashes of their entries.
//!
//! The row of an entry that is gone has no bytes and names no request. The nodes of the tree beside it
//! stay, and so every root and every proof.

use countersign_shared::id::RequestId;
use countersign_shared::log::pruning::Positions;
use countersign_shared::log::tree::Hash;
use rusqlite::params;

use super::requests::read_id;
use super::{Store, StoreError, index};

/// Returns the hash of an entry that is gone; nothing when its bytes are there.
pub fn pruned(data: &[u8], hash: &[u8]) -> Option<Hash> {
    data.is_empty()
        .then(|| <[u8; 32]>::try_from(hash).ok().map(Hash::from_bytes))
        .flatten()
}

impl Store {
    /// Returns the requests that are over, owe nothing, and whose last entry stands before a position.
    pub fn prunable(&self, before: u64) -> Result<Vec<RequestId>, StoreError> {
        let failed = || StoreError::sql("look for what can be pruned");
        let mut query = self
            .conn
            .prepare_cached(
                "SELECT id FROM request
                 WHERE received_index < ?1 AND open = 0 AND state <> 'indeterminate'
                 AND NOT EXISTS (SELECT 1 FROM debt WHERE debt.request = request.id)
                 AND (SELECT max(idx) FROM audit_leaf WHERE audit_leaf.request = request.id) < ?1
                 ORDER BY received_index",
            )
            .map_err(failed())?;
        let ids = query
            .query_map([index(before)], |row| read_id(row, 0))
            .map_err(failed())?
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        Ok(ids)
    }

    /// Returns the positions of the entries about a request.
    pub fn positions_of(&self, id: RequestId) -> Result<Vec<u64>, StoreError> {
        let mut positions = Vec::new();
        self.each_entry_of(id, |at, _| {
            positions.push(at);
            true
        })?;
        Ok(positions)
    }

    /// Takes away all of a request but the hashes of its entries; returns how many they are.
    pub fn prune(&mut self, id: RequestId) -> Result<u64, StoreError> {
        let failed = || StoreError::sql("prune a request");
        let run = |sql: &str| {
            self.conn
                .prepare_cached(sql)
                .and_then(|mut change| change.execute(params![id.as_bytes()]))
                .map_err(failed())
        };
        run("DELETE FROM document WHERE received_index =
             (SELECT received_index FROM request WHERE id = ?1)")?;
        run("DELETE FROM joined_asking WHERE request = ?1")?;
        if run("DELETE FROM request WHERE id = ?1")? != 1 {
            return Err(StoreError::row("a request to prune is not there"));
        }
        let gone = run("UPDATE audit_leaf SET data = x'', request = NULL WHERE request = ?1")?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// Returns the positions of all entries that are gone.
    pub fn pruned_positions(&self) -> Result<Positions, StoreError> {
        let failed = || StoreError::sql("read what was pruned");
        let mut query = self
            .conn
            .prepare_cached("SELECT idx FROM audit_leaf WHERE length(data) = 0 ORDER BY idx")
            .map_err(failed())?;
        let mut rows = query.query([]).map_err(failed())?;
        let mut positions = Positions::default();
        while let Some(row) = rows.next().map_err(failed())? {
            let at: i64 = row.get(0).map_err(failed())?;
            let at = u64::try_from(at).map_err(|_| StoreError::row("a negative log index"))?;
            positions.add(at);
        }
        Ok(positions)
    }

    /// Writes the database anew, without the room that was left.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.conn
            .execute_batch("VACUUM")
            .map_err(StoreError::sql("give the room back"))
    }
}
