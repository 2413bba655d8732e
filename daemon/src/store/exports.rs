//! What exports read beside the entries: the note, documents, and the files of rules.

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use rusqlite::{OptionalExtension as _, params};

use super::{Inspection, Store, StoreError};

/// The name under which the bytes are handed out that the digest of rules is of.
const RULES: &str = "rules.json";

impl Inspection {
    /// Returns the store that is held, to read as the daemon reads.
    pub const fn store(&self) -> &Store {
        &self.0
    }
}

impl Store {
    /// Returns the bytes of a request's document, nothing when there are none.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn document(&self, id: RequestId) -> Result<Option<Vec<u8>>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT bytes FROM request JOIN document USING (received_index) WHERE id = ?1",
            )
            .and_then(|mut find| find.query_row([id.as_bytes()], |row| row.get(0)).optional())
            .map_err(StoreError::sql("read a document"))
    }

    /// Returns the files of rules by name, the bytes that their digest is of first; none where the
    /// database keeps no rules, or not these.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn rules_files(&self, rules: Digest) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let failed = || StoreError::sql("read the rules");
        let kept: i64 = self
            .conn
            .query_row(
                "SELECT count(*) FROM sqlite_schema
                 WHERE type = 'table' AND name IN ('rules_blob', 'rules_file', 'rules_text')",
                [],
                |row| row.get(0),
            )
            .map_err(failed())?;
        if kept != 3 {
            return Ok(Vec::new());
        }
        let mut query = self
            .conn
            .prepare_cached(
                "SELECT ?2, bytes FROM rules_blob WHERE digest = ?1
                 UNION ALL
                 SELECT name, CAST(text AS BLOB) FROM rules_file JOIN rules_text USING (sha256)
                 WHERE digest = ?1",
            )
            .map_err(failed())?;
        let files = query
            .query_map(params![rules.as_bytes(), RULES], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(failed())?
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        Ok(files)
    }
}
