//! The rules that were ever in force, as they were written down: the bytes that the digest is of,
//! and the texts that they name. Only ever added to. What they mean is not known here.

use std::collections::BTreeMap;

use countersign_shared::digest::Digest;
use rusqlite::{OptionalExtension as _, params};

use super::{Inspection, Store, StoreError, index};

/// Rules as they are written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptRules {
    /// The canonical JSON. Its SHA-256 is the digest of the rules.
    pub bytes: Vec<u8>,
    /// The files it names, by name; in it stands the SHA-256 of each.
    pub files: BTreeMap<String, String>,
}

impl Store {
    /// Returns the digest of the rules in force, or nothing in a new database.
    pub fn rules(&self) -> Result<Option<Digest>, StoreError> {
        self.conn
            .query_row(
                "SELECT digest FROM rules_in_force WHERE id = 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map(|found: Option<[u8; 32]>| found.map(Digest::from_bytes))
            .map_err(StoreError::sql("read which rules are in force"))
    }

    /// Stores the rules that are in force from now on.
    pub fn put_rules(&mut self, kept: &KeptRules) -> Result<(), StoreError> {
        let digest = Digest::of(&kept.bytes);
        let failed = || StoreError::sql("store the rules");
        self.conn
            .execute(
                "INSERT INTO rules_blob (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![digest.as_bytes(), kept.bytes],
            )
            .map_err(failed())?;
        for (name, text) in &kept.files {
            let sha256 = Digest::of(text.as_bytes());
            self.conn
                .execute(
                    "INSERT INTO rules_text (sha256, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![sha256.as_bytes(), text],
                )
                .map_err(failed())?;
            self.conn
                .execute(
                    "INSERT INTO rules_file (digest, name, sha256) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO NOTHING",
                    params![digest.as_bytes(), name, sha256.as_bytes()],
                )
                .map_err(failed())?;
        }
        self.conn
            .execute(
                "INSERT INTO rules_in_force (id, digest) VALUES (1, ?1)
                 ON CONFLICT (id) DO UPDATE SET digest = ?1",
                [digest.as_bytes()],
            )
            .map(|_| ())
            .map_err(failed())
    }

    /// Notes at which entry rules were adopted that no reviewer has acknowledged: the first one of several.
    pub fn put_adopted(&mut self, at: u64) -> Result<(), StoreError> {
        self.conn
            .execute(
                "INSERT INTO rules_adopted (id, entry) VALUES (1, ?1)
                 ON CONFLICT (id) DO NOTHING",
                [index(at)],
            )
            .map(|_| ())
            .map_err(StoreError::sql("note an adoption of rules"))
    }

    /// Notes that a reviewer acknowledged the adoption.
    pub fn drop_adopted(&mut self) -> Result<(), StoreError> {
        self.conn
            .execute("DELETE FROM rules_adopted", [])
            .map(|_| ())
            .map_err(StoreError::sql("note that an adoption was acknowledged"))
    }

    /// Returns at which entry rules were adopted that no reviewer has acknowledged.
    pub fn adopted(&self) -> Result<Option<u64>, StoreError> {
        let found: Option<i64> = self
            .conn
            .query_row("SELECT entry FROM rules_adopted", [], |row| row.get(0))
            .optional()
            .map_err(StoreError::sql("look for an adoption of rules"))?;
        found
            .map(|at| u64::try_from(at).map_err(|_| StoreError::row("a negative log index")))
            .transpose()
    }

    /// Returns rules that are or were in force; nothing when they were not kept.
    ///
    /// # Errors
    /// When the database cannot be read. Whether the bytes have the digest is for the caller to see.
    pub fn kept_rules(&self, digest: Digest) -> Result<Option<KeptRules>, StoreError> {
        let failed = || StoreError::sql("read the rules");
        let bytes = self
            .conn
            .query_row(
                "SELECT bytes FROM rules_blob WHERE digest = ?1",
                [digest.as_bytes()],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed())?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let mut query = self
            .conn
            .prepare(
                "SELECT name, text FROM rules_file JOIN rules_text USING (sha256)
                 WHERE digest = ?1",
            )
            .map_err(failed())?;
        let files = query
            .query_map([digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(failed())?
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        Ok(Some(KeptRules { bytes, files }))
    }
}

impl Inspection {
    /// Returns the noted adoption, as [`Store::adopted`] does.
    ///
    /// # Errors
    /// When the database cannot be read, or holds a value of another kind.
    pub fn adopted(&self) -> Result<Option<u64>, StoreError> {
        self.store().adopted()
    }

    /// Returns rules by their digest, as [`Store::kept_rules`] does.
    ///
    /// # Errors
    /// When the database cannot be read, or holds a value of another kind.
    pub fn kept_rules(&self, digest: Digest) -> Result<Option<KeptRules>, StoreError> {
        self.store().kept_rules(digest)
    }

    /// Returns how many stored rules and texts nothing points at, by the digests that were ever in
    /// force.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn stray_rules(&self, known: usize) -> Result<u64, StoreError> {
        let count: i64 = self
            .store()
            .conn
            .query_row(
                "SELECT (SELECT count(*) FROM rules_blob)
                 + (SELECT count(*) FROM rules_text
                    WHERE sha256 NOT IN (SELECT sha256 FROM rules_file))
                 + (SELECT count(*) FROM rules_file
                    WHERE digest NOT IN (SELECT digest FROM rules_blob))",
                [],
                |row| row.get(0),
            )
            .map_err(StoreError::sql("count the rules"))?;
        let known = u64::try_from(known).unwrap_or(u64::MAX);
        Ok(u64::try_from(count).unwrap_or(0).saturating_sub(known))
    }
}
