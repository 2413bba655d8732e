//! The log's side of the database: appending leaves, and reading what proofs are made of.

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Body, Entry, EntryError, LogEvent};
use countersign_shared::log::proof::{self, ProveError};
use countersign_shared::log::tree::{Frontier, Hash, last_leaf, leaf_hash};
use countersign_shared::machine::State;
use rusqlite::{OptionalExtension as _, params};

use super::{Store, StoreError, index};

mod nodes;

pub(super) use nodes::Nodes;

/// The right-hand edge of the log, as far as the open batch has brought it.
#[derive(Debug, Clone)]
pub struct LogTail {
    origin: String,
    frontier: Frontier,
}

impl LogTail {
    /// Continues a log at a frontier.
    pub fn new(origin: String, frontier: Frontier) -> Self {
        Self { origin, frontier }
    }

    /// Returns the log's origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of entries.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Returns the compact range.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

/// Proofs about one head.
#[derive(Debug, Clone, Default)]
pub struct Proofs {
    /// The consistency proof, leaf to root.
    pub consistency: Vec<Hash>,
    /// The inclusion proof, leaf to root.
    pub inclusion: Vec<Hash>,
}

impl Store {
    /// Appends an entry to the log. The only writer of leaves.
    pub fn append(&mut self, tail: &mut LogTail, entry: &Entry) -> Result<u64, StoreError> {
        let data = entry.to_bytes().map_err(|error: EntryError| {
            StoreError::row(format!("entry {}: {error}", entry.body.entry_type()))
        })?;
        let at = tail.size();
        let hash = leaf_hash(&data);
        let completed = tail
            .frontier
            .push(hash)
            .map_err(|error| StoreError::row(error.to_string()))?;
        let nodes: Vec<u8> = completed
            .iter()
            .filter(|node| node.level > 0)
            .flat_map(|node| *node.hash.as_bytes())
            .collect();
        self.conn
            .prepare_cached(
                "INSERT INTO audit_leaf (idx, data, leaf_hash, nodes, request)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    index(at),
                    data,
                    hash.as_bytes(),
                    nodes,
                    entry.request.as_ref().map(RequestId::as_bytes),
                ])
            })
            .map_err(StoreError::sql("append to the log"))?;
        Ok(at)
    }

    /// Returns the exact bytes of one entry, which are those that were hashed.
    pub fn entry(&self, at: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let found: Option<(Vec<u8>, [u8; 32])> = self
            .conn
            .prepare_cached("SELECT data, leaf_hash FROM audit_leaf WHERE idx = ?1")
            .and_then(|mut find| {
                find.query_row([index(at)], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(StoreError::sql("read the log"))?;
        match found {
            Some((data, _)) if data.is_empty() => Err(StoreError::Pruned { at }),
            Some((data, hash)) if *leaf_hash(&data).as_bytes() != hash => Err(StoreError::row(
                format!("entry {at} is not the one that was hashed"),
            )),
            found => Ok(found.map(|(data, _)| data)),
        }
    }

    /// Returns the hash of one entry as it is stored.
    pub fn leaf(&self, at: u64) -> Result<Hash, StoreError> {
        self.stored_node(0, at)
    }

    /// Calls `each` with index, bytes and stored hash of the entries from `from` on, in order,
    /// until it says stop. One that was pruned has no bytes.
    pub fn each_entry<E: From<StoreError>>(
        &self,
        from: u64,
        mut each: impl FnMut(u64, &[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut query = self
            .conn
            .prepare_cached(
                "SELECT idx, data, leaf_hash FROM audit_leaf WHERE idx >= ?1 ORDER BY idx",
            )
            .map_err(StoreError::sql("read the log"))?;
        let mut rows = query
            .query([index(from)])
            .map_err(StoreError::sql("read the log"))?;
        while let Some(row) = rows.next().map_err(StoreError::sql("read the log"))? {
            let read = || -> rusqlite::Result<(i64, &[u8], &[u8])> {
                Ok((
                    row.get(0)?,
                    row.get_ref(1)?.as_blob()?,
                    row.get_ref(2)?.as_blob()?,
                ))
            };
            let (at, data, hash) = read().map_err(StoreError::sql("read the log"))?;
            let at = u64::try_from(at).map_err(|_| StoreError::row("a negative log index"))?;
            if !each(at, data, hash)? {
                break;
            }
        }
        Ok(())
    }

    /// Calls `each` with index and bytes of every entry about a request, in order, until it says
    /// stop.
    pub fn each_entry_of(
        &self,
        id: RequestId,
        mut each: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut query = self
            .conn
            .prepare_cached("SELECT idx, data FROM audit_leaf WHERE request = ?1 ORDER BY idx")
            .map_err(StoreError::sql("read the log"))?;
        let mut rows = query
            .query([id.as_bytes()])
            .map_err(StoreError::sql("read the log"))?;
        while let Some(row) = rows.next().map_err(StoreError::sql("read the log"))? {
            let read = || -> rusqlite::Result<(i64, &[u8])> {
                Ok((row.get(0)?, row.get_ref(1)?.as_blob()?))
            };
            let (at, data) = read().map_err(StoreError::sql("read the log"))?;
            let at = u64::try_from(at).map_err(|_| StoreError::row("a negative log index"))?;
            if !each(at, data) {
                break;
            }
        }
        Ok(())
    }

    /// Tells whether an entry says which data the action of a request touched.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn has_told_of_data(&self, id: RequestId) -> Result<bool, StoreError> {
        let mut found = Ok(false);
        self.each_entry_of(id, |at, data| {
            found = match Entry::read(data) {
                Ok(entry) => Ok(matches!(entry.body, Body::Log(LogEvent::DataAccessed(_)))),
                Err(error) => Err(StoreError::row(format!("entry {at}: {error}"))),
            };
            matches!(found, Ok(false))
        })?;
        found
    }

    /// Returns the index of the entry that brought a request into the state it is in.
    ///
    /// # Errors
    ///
    /// When the log cannot be read, or holds no such entry.
    pub fn entry_behind(&self, id: RequestId, state: State) -> Result<u64, StoreError> {
        let mut query = self
            .conn
            .prepare_cached("SELECT idx, data FROM audit_leaf WHERE request = ?1 ORDER BY idx DESC")
            .map_err(StoreError::sql("read the log"))?;
        let mut rows = query
            .query([id.as_bytes()])
            .map_err(StoreError::sql("read the log"))?;
        while let Some(row) = rows.next().map_err(StoreError::sql("read the log"))? {
            let read = || -> rusqlite::Result<(i64, &[u8])> {
                Ok((row.get(0)?, row.get_ref(1)?.as_blob()?))
            };
            let (at, data) = read().map_err(StoreError::sql("read the log"))?;
            let entry = Entry::read(data)
                .map_err(|error| StoreError::row(format!("entry {at}: {error}")))?;
            if let Body::Request(event) = entry.body
                && event.leads_to(state)
            {
                return u64::try_from(at).map_err(|_| StoreError::row("a negative log index"));
            }
        }
        Err(StoreError::row(format!(
            "no entry says how {id} became {state}"
        )))
    }

    /// Proves that the log of `size` entries extends the one of `old` entries.
    pub fn prove_consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        proof::prove_consistency(old, size, |level, at| self.node(level, at)).map_err(flatten)
    }

    /// Proves that the log of `size` entries holds the entry at `at`.
    pub fn prove_inclusion(&self, at: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        proof::prove_inclusion(at, size, |level, at| self.node(level, at)).map_err(flatten)
    }

    /// Returns the root of the log's first `size` entries.
    pub fn root_at(&self, size: u64) -> Result<Hash, StoreError> {
        proof::root_at(size, |level, at| self.node(level, at)).map_err(flatten)
    }

    /// Returns a node of the tree.
    fn node(&self, level: u8, at: u64) -> Result<Hash, StoreError> {
        if let Some(hash) = self.nodes.borrow().get(level, at) {
            return Ok(hash);
        }
        let hash = self.stored_node(level, at)?;
        // What is not durable yet may be taken back, and be another one the next time.
        if !self.in_batch() {
            self.nodes.borrow_mut().keep(level, at, hash);
        }
        Ok(hash)
    }

    /// Reads a node of the tree. Inner nodes stand beside the leaf that completes them.
    fn stored_node(&self, level: u8, at: u64) -> Result<Hash, StoreError> {
        let found: Option<Vec<u8>> = if level == 0 {
            self.conn
                .prepare_cached("SELECT leaf_hash FROM audit_leaf WHERE idx = ?1")
                .and_then(|mut find| find.query_row([index(at)], |row| row.get(0)).optional())
        } else {
            self.conn
                .prepare_cached("SELECT substr(nodes, ?2, 32) FROM audit_leaf WHERE idx = ?1")
                .and_then(|mut find| {
                    let begin = i64::from(level - 1) * 32 + 1;
                    find.query_row(params![index(last_leaf(level, at)), begin], |row| {
                        row.get(0)
                    })
                    .optional()
                })
        }
        .map_err(StoreError::sql("read the tree"))?;
        found
            .and_then(|hash| <[u8; 32]>::try_from(hash).ok())
            .map(Hash::from_bytes)
            .ok_or_else(|| StoreError::row(format!("node {at} of level {level} is missing")))
    }
}

fn flatten(error: ProveError<StoreError>) -> StoreError {
    match error {
        ProveError::Node { source, .. } => source,
        ProveError::Impossible(problem) => StoreError::row(problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::log::entry::{Actor, ActorKind, Separation, Sync};
    use countersign_shared::log::note::SignerKey;
    use countersign_shared::time::{BootId, Moment, Timestamp};

    use super::*;

    const ORIGIN: &str = "countersign/test";

    fn entry(at: u64, millis: i64) -> Entry {
        Entry {
            log: ORIGIN.to_owned(),
            seq: at,
            now: Moment {
                wall: Timestamp::from_millis(millis),
                boot: BootId::new("a"),
                mono_ms: 0,
            },
            sync: Sync::Unknown,
            actor: Actor {
                kind: ActorKind::Daemon,
                id: "countersignd".to_owned(),
                uid: None,
            },
            request: None,
            separation: Separation::None,
            body: Body::Log(LogEvent::DaemonStopped {}),
        }
    }

    #[test]
    fn a_node_that_was_taken_back_is_not_proven_with() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("state.db")).unwrap();
        let key = SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap();
        let mut tail = LogTail::new(ORIGIN.to_owned(), Frontier::new());
        store.begin().unwrap();
        store.append(&mut tail, &entry(0, 1)).unwrap();
        store.commit(&tail, &key, &[]).unwrap();

        let mut lost = tail.clone();
        store.begin().unwrap();
        store.append(&mut lost, &entry(1, 2)).unwrap();
        assert_eq!(store.root_at(2).unwrap(), lost.frontier().head().root);
        store.rollback();

        store.begin().unwrap();
        store.append(&mut tail, &entry(1, 3)).unwrap();
        store.commit(&tail, &key, &[]).unwrap();
        let head = tail.frontier().head();
        assert_ne!(head.root, lost.frontier().head().root);
        // Read from the disk, and then from what was kept of that.
        for _ in 0..2 {
            assert_eq!(store.root_at(2).unwrap(), head.root);
            let leaf = store.leaf(1).unwrap();
            let proof = store.prove_inclusion(1, 2).unwrap();
            proof::verify_inclusion(&leaf, 1, &head, &proof).unwrap();
        }
    }
}
