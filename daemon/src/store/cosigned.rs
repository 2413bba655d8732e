//! Heads that witnesses have cosigned, beside the log: by size, with the log's own note and a line
//! for each witness. No entry speaks of them: each line is a signature that speaks for itself.

use rusqlite::{OptionalExtension as _, params};

use super::{Inspection, Store, StoreError, index};

/// A head that was sent to witnesses, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignedHead {
    /// The number of entries.
    pub size: u64,
    /// The note as the log alone signed it.
    pub note: String,
    /// The keys of witnesses as vkeys, each with its signature line.
    pub cosignatures: Vec<(String, String)>,
}

impl CosignedHead {
    /// Returns the note with all signature lines.
    pub fn whole(&self) -> String {
        let lines = self.cosignatures.iter().map(|(_, line)| line.as_str());
        [self.note.as_str()].into_iter().chain(lines).collect()
    }
}

/// A row of a cosigned head, as stored.
#[derive(Debug)]
pub struct RawCosigned {
    /// The number of entries.
    pub size: i64,
    /// The log's note; nothing for a cosignature without a head.
    pub note: Option<String>,
    /// The witness's key and line; nothing for a head without any.
    pub cosignature: Option<(String, String)>,
}

impl Store {
    /// Keeps what a witness, by its vkey, wrote below the head of `size` entries.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn keep_cosignature(
        &mut self,
        size: u64,
        note: &str,
        (vkey, line): (&str, &str),
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sql("keep a cosignature");
        self.conn
            .prepare_cached(
                "INSERT INTO cosigned_head (size, note) VALUES (?1, ?2)
                 ON CONFLICT (size) DO NOTHING",
            )
            .and_then(|mut put| put.execute(params![index(size), note]))
            .map_err(failed())?;
        self.conn
            .prepare_cached(
                "INSERT INTO cosignature (size, vkey, line) VALUES (?1, ?2, ?3)
                 ON CONFLICT (size, vkey) DO UPDATE SET line = ?3",
            )
            .and_then(|mut put| put.execute(params![index(size), vkey, line]))
            .map_err(failed())?;
        Ok(())
    }

    /// Returns the signature lines of witnesses for the head of `size` entries, one after another.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn cosignature_lines(&self, size: u64) -> Result<String, StoreError> {
        let found = self.cosigned(size)?;
        Ok(found.into_iter().map(|(_, line)| line).collect())
    }

    /// Returns the largest head of fewer than `below` entries that a witness has cosigned.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn cosigned_head(&self, below: u64) -> Result<Option<CosignedHead>, StoreError> {
        let found: Option<(i64, String)> = self
            .conn
            .prepare_cached(
                "SELECT size, note FROM cosigned_head WHERE size < ?1 ORDER BY size DESC LIMIT 1",
            )
            .and_then(|mut find| {
                find.query_row([index(below)], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(StoreError::sql("read the cosigned heads"))?;
        let Some((size, note)) = found else {
            return Ok(None);
        };
        let size = u64::try_from(size).map_err(|_| StoreError::row("a negative size"))?;
        Ok(Some(CosignedHead {
            size,
            note,
            cosignatures: self.cosigned(size)?,
        }))
    }

    fn cosigned(&self, size: u64) -> Result<Vec<(String, String)>, StoreError> {
        let failed = || StoreError::sql("read the cosignatures");
        let mut query = self
            .conn
            .prepare_cached("SELECT vkey, line FROM cosignature WHERE size = ?1 ORDER BY vkey")
            .map_err(failed())?;
        let found = query
            .query_map([index(size)], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(failed())?
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        Ok(found)
    }
}

impl Inspection {
    /// Calls `each` with every cosigned head and every cosignature, the smallest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn each_cosigned(&self, mut each: impl FnMut(RawCosigned)) -> Result<(), StoreError> {
        let failed = || StoreError::sql("read the cosignatures");
        let mut query = self
            .connection()
            .prepare(
                "SELECT size, note, vkey, line
                 FROM cosigned_head FULL JOIN cosignature USING (size) ORDER BY size",
            )
            .map_err(failed())?;
        let mut rows = query.query([]).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            let read = || -> rusqlite::Result<RawCosigned> {
                let (vkey, line): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
                Ok(RawCosigned {
                    size: row.get(0)?,
                    note: row.get(1)?,
                    cosignature: vkey.zip(line),
                })
            };
            each(read().map_err(failed())?);
        }
        Ok(())
    }
}
