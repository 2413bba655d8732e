//! Reading what was asked in the past, to judge it under other policies.

use countersign_shared::machine::Request;
use countersign_shared::time::Timestamp;
use rusqlite::params;

use super::{Inspection, StoreError};

/// A request of the past.
#[derive(Debug)]
pub struct Asked {
    /// Everything that happened to it.
    pub request: Request,
    /// The bytes of its document.
    pub document: Vec<u8>,
}

impl Inspection {
    /// Calls `each` with every request that was received at `since` or later, in the order they
    /// came, until it says stop. Rows are read one after the other and none is kept.
    ///
    /// # Errors
    ///
    /// When a row cannot be read: what is left out would not be told from what was never asked.
    pub fn each_asked(
        &self,
        since: Timestamp,
        mut each: impl FnMut(Asked) -> bool,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read the requests");
        let mut query = self
            .connection()
            .prepare(
                "SELECT received_index, machine, bytes
                 FROM request JOIN document USING (received_index)
                 WHERE received_ms >= ?1 ORDER BY received_index",
            )
            .map_err(failed())?;
        let mut rows = query.query(params![since.as_millis()]).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            let machine: String = row.get(1).map_err(failed())?;
            let request = serde_json::from_str(&machine)
                .map_err(|error| StoreError::row(format!("the machine of a request: {error}")))?;
            let document = row.get(2).map_err(failed())?;
            if !each(Asked { request, document }) {
                break;
            }
        }
        Ok(())
    }
}
