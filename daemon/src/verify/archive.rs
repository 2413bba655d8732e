//! What was pruned, read from the packs that it was handed out in, so that it is replayed with all else.
//!
//! Nothing of a pack is believed: what it says stands at a position has to have the hash that stands
//! there in the log's tree.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::MAX_ENTRY;
use countersign_shared::log::replay::Life;
use countersign_shared::log::tree::{Hash, leaf_hash};
use serde::Deserialize;

use super::report::{Place, Report};
use super::{Trust, document};
use crate::store::StoreError;

/// The file of a pack that holds the entries.
const ENTRIES: &str = "entries.jsonl";

/// The longest document that is looked at, in bytes: more than any that is accepted.
const MAX_DOCUMENT: u64 = 16 << 20;

/// The longest manifest that is looked at, in bytes.
const MAX_MANIFEST: u64 = 1 << 30;

/// Packs, read from their beginnings to their ends.
#[derive(Debug)]
pub(super) struct Archives(Vec<Archive>);

#[derive(Debug)]
struct Archive {
    root: PathBuf,
    lines: BufReader<File>,
    /// The next entry, with its position.
    next: Option<(u64, Vec<u8>)>,
    manifest: Digest,
}

/// The one field that says where an entry stands.
#[derive(Deserialize)]
struct Placed {
    seq: u64,
}

impl Archives {
    /// Opens packs.
    pub(super) fn open(roots: &[PathBuf]) -> io::Result<Self> {
        let archives = roots.iter().map(|root| Archive::open(root));
        archives.collect::<io::Result<_>>().map(Self)
    }

    /// Returns the entry at a position that has this hash; nothing when there are no packs. Positions
    /// are asked for in order.
    ///
    /// # Errors
    ///
    /// When it is in none of the packs: of a request, all or nothing has to be there.
    pub(super) fn entry(
        &mut self,
        position: u64,
        hash: &Hash,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = None;
        for archive in &mut self.0 {
            let entry = archive.entry(position).map_err(|source| StoreError::File {
                path: archive.root.join(ENTRIES),
                source,
            })?;
            found = found.or(entry.filter(|bytes| leaf_hash(bytes) == *hash));
        }
        if found.is_none() && !self.0.is_empty() {
            return Err(StoreError::Pruned { at: position });
        }
        Ok(found)
    }

    /// Returns where the packs are, and the digests of their manifests.
    pub(super) fn manifests(&self) -> Vec<(PathBuf, Digest)> {
        let manifests = self.0.iter();
        manifests
            .map(|archive| (archive.root.clone(), archive.manifest))
            .collect()
    }
}

impl Archive {
    fn open(root: &Path) -> io::Result<Self> {
        let mut manifest = Vec::new();
        let file = File::open(root.join("manifest.sha256"))?;
        file.take(MAX_MANIFEST).read_to_end(&mut manifest)?;
        let mut archive = Self {
            root: root.to_owned(),
            lines: BufReader::new(File::open(root.join(ENTRIES))?),
            next: None,
            manifest: Digest::of(&manifest),
        };
        archive.advance()?;
        Ok(archive)
    }

    fn advance(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        let most = u64::try_from(MAX_ENTRY)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut lines = self.lines.by_ref().take(most);
        lines.read_until(b'\n', &mut line)?;
        let end = line.pop();
        self.next = match end {
            None => None,
            Some(b'\n') => {
                let placed: Placed = serde_json::from_slice(&line)?;
                Some((placed.seq, line))
            }
            Some(_) => return Err(io::Error::other("a line is longer than entries are")),
        };
        Ok(())
    }

    fn entry(&mut self, position: u64) -> io::Result<Option<Vec<u8>>> {
        while let Some((seq, bytes)) = &mut self.next {
            match (*seq).cmp(&position) {
                std::cmp::Ordering::Less => self.advance()?,
                std::cmp::Ordering::Equal => return Ok(Some(std::mem::take(bytes))),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }
}

/// The requests that were pruned, as far as their entries were read from packs.
#[derive(Debug, Default)]
pub(super) struct Archived {
    /// There is nothing of them in the tables.
    requests: BTreeSet<RequestId>,
    entries: u64,
}

impl Archived {
    /// Takes an entry that was read from a pack.
    pub(super) fn take(&mut self, request: Option<RequestId>) {
        self.entries = self.entries.saturating_add(1);
        self.requests.extend(request);
    }

    /// Returns how many entries there were.
    pub(super) const fn entries(&self) -> u64 {
        self.entries
    }

    /// Checks the requests that were pruned, and returns the others. Of those that have no document,
    /// which only the end of the log explains, the ids are added to `without`.
    pub(super) fn part(
        &mut self,
        lives: Vec<Life>,
        trust: &Trust,
        without: &mut Vec<RequestId>,
        report: &mut Report,
    ) -> Vec<Life> {
        let (gone, there): (Vec<_>, Vec<_>) = lives
            .into_iter()
            .partition(|life| self.requests.contains(&life.request.id()));
        for life in &gone {
            let id = life.request.id();
            self.requests.remove(&id);
            if !life.broken && !life.is_over() {
                let state = life.request.state();
                report.found(Place::Request(id), format!("was pruned, and is {state}"));
            }
            if !document(life, trust, report) {
                without.push(id);
            }
        }
        there
    }
}

/// Compares the document of a request that was pruned, in each pack that has it, with what the log says
/// was received. Tells whether one has it.
fn document(life: &Life, trust: &Trust, report: &mut Report) -> bool {
    let id = life.request.id();
    let mut is_there = false;
    for root in &trust.archives {
        let mut bytes = Vec::new();
        let read = File::open(root.join(format!("documents/{id}.json")))
            .and_then(|file| file.take(MAX_DOCUMENT).read_to_end(&mut bytes));
        match read {
            Ok(_) => document::check(life, &bytes, &trust.origin, report),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => report.found(
                Place::Request(id),
                format!(
                    "its document in `{}` cannot be read: {error}",
                    root.display()
                ),
            ),
        }
        is_there = true;
    }
    is_there
}
