//! The log as a directory of C2SP `tlog-tiles`: what every other implementation reads.
//!
//! | file | what it is |
//! |---|---|
//! | `checkpoint` | the signed head |
//! | `tile/<L>/<N>` | 256 hashes of level 8·L of the tree, 32 bytes each |
//! | `tile/entries/<N>` | 256 entries, each after its length in two bytes, most significant first |
//!
//! The last tile of a level has fewer, and is called `<N>.p/<W>`. Numbers above 999 are written in
//! parts of three digits, `x001/234`. What is written is held against the head before the head is.
//!
//! Of a log that was pruned there are all hashes, and the bundles that lack nothing; from the place on
//! that its entry `log.pruned` names, they are all there: the minimum index of the specification.

use std::collections::BTreeSet;
use std::io::Write as _;

use countersign_shared::log::checkpoint::{self, Checkpoint};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::pruning::Pruning;
use countersign_shared::log::tree::{Frontier, Hash, leaf_hash};

use crate::export::{ExportError, Exported, follow, same_root};
use crate::record::Record;
use crate::sink::Sink;
use crate::source::{Leaf, Source};

mod path;
#[cfg(test)]
mod tests;

pub use path::{entries_path, tile_path};

/// How many hashes a tile has, and how many entries a bundle.
pub const WIDTH: u64 = 256;

/// The height of a tile: a level of tiles is that of the tree divided by this.
const HEIGHT: u8 = 8;

/// A directory of tiles that grows by entries.
#[expect(missing_debug_implementations, reason = "a sink has none")]
pub struct Tiles<'s> {
    sink: &'s mut dyn Sink,
    /// Whether the entries are written as well.
    bundles: bool,
    frontier: Frontier,
    /// For each level of tiles, the hashes of the tile that is not full yet.
    levels: Vec<Level>,
    bundle: Vec<u8>,
    /// Whether an entry of the bundle is gone.
    is_holed: bool,
    /// The bundles that are not written, because an entry of theirs is gone.
    holed: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Level {
    /// How many tiles are full.
    full: u64,
    hashes: Vec<u8>,
}

impl<'s> Tiles<'s> {
    /// Begins with no entry.
    pub fn new(sink: &'s mut dyn Sink) -> Self {
        Self {
            sink,
            bundles: true,
            frontier: Frontier::new(),
            levels: Vec::new(),
            bundle: Vec::new(),
            is_holed: false,
            holed: BTreeSet::new(),
        }
    }

    /// Begins a directory of hashes only, whose entries are told by other means.
    pub fn hashes_only(sink: &'s mut dyn Sink) -> Self {
        Self {
            bundles: false,
            ..Self::new(sink)
        }
    }

    /// Returns the right edge of the tree over the entries so far.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Appends an entry of which only the hash of the leaf is at hand.
    ///
    /// # Errors
    ///
    /// When a tile that it fills cannot be written.
    pub fn leaf(&mut self, leaf: Hash) -> Result<(), ExportError> {
        for node in self.frontier.push(leaf)? {
            if node.level % HEIGHT == 0 {
                self.hash(usize::from(node.level / HEIGHT), node.hash)?;
            }
        }
        Ok(())
    }

    /// Appends an entry.
    ///
    /// # Errors
    ///
    /// When a tile that it fills cannot be written, or the entry is longer than 65,535 bytes.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.leaf(leaf_hash(bytes))?;
        if !self.bundles {
            return Ok(());
        }
        let seq = self.frontier.size().saturating_sub(1);
        let problem = crate::record::RecordError::TooLarge { found: bytes.len() };
        let length =
            u16::try_from(bytes.len()).map_err(|_| ExportError::Record { seq, problem })?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(bytes);
        self.end_bundle()
    }

    /// Appends an entry that is gone; the bundle that it is of is not written.
    ///
    /// # Errors
    ///
    /// When a tile that it fills cannot be written.
    pub fn gone(&mut self, leaf: Hash) -> Result<(), ExportError> {
        self.leaf(leaf)?;
        self.is_holed = true;
        self.end_bundle()
    }

    /// Tells whether the entry at a position is in no bundle, because its own lacks another.
    fn is_without(&self, at: u64) -> bool {
        let index = at / WIDTH;
        let is_open = index == self.frontier.size() / WIDTH;
        (is_open && self.is_holed) || self.holed.contains(&index)
    }

    /// Writes the bundle, if the last entry filled it.
    fn end_bundle(&mut self) -> Result<(), ExportError> {
        if !self.frontier.size().is_multiple_of(WIDTH) {
            return Ok(());
        }
        let bundle = std::mem::take(&mut self.bundle);
        if std::mem::take(&mut self.is_holed) {
            self.holed.insert(self.frontier.size() / WIDTH - 1);
            return Ok(());
        }
        let name = entries_path(self.frontier.size() / WIDTH - 1, WIDTH);
        self.put(&name, &bundle)
    }

    fn hash(&mut self, level: usize, hash: Hash) -> Result<(), ExportError> {
        // Levels begin one after another, each with the first node of the one below being full.
        if level == self.levels.len() {
            self.levels.push(Level::default());
        }
        let Some(tile) = self.levels.get_mut(level) else {
            return Ok(());
        };
        tile.hashes.extend_from_slice(hash.as_bytes());
        if width(&tile.hashes) < WIDTH {
            return Ok(());
        }
        let hashes = std::mem::take(&mut tile.hashes);
        let name = tile_path(level, tile.full, WIDTH);
        tile.full = tile.full.saturating_add(1);
        self.put(&name, &hashes)
    }

    /// Writes the tiles that are not full, and the head, which must be over these entries.
    ///
    /// # Errors
    ///
    /// When the head is not the log's or not over these entries, or a file cannot be written.
    pub fn finish(self, note: &str, key: &VerifierKey) -> Result<Exported, ExportError> {
        let head = checkpoint::open(note, std::slice::from_ref(key), key.name())?;
        self.finish_under(note, head)
    }

    /// Writes the tiles that are not full, and a head that was found to be the log's, which must be
    /// over these entries.
    ///
    /// # Errors
    ///
    /// When it is not, or a file cannot be written.
    pub fn finish_under(mut self, note: &str, head: Checkpoint) -> Result<Exported, ExportError> {
        same_root(&head, &self.frontier)?;
        for (level, tile) in std::mem::take(&mut self.levels).into_iter().enumerate() {
            if !tile.hashes.is_empty() {
                let name = tile_path(level, tile.full, width(&tile.hashes));
                self.put(&name, &tile.hashes)?;
            }
        }
        let size = self.frontier.size();
        if !self.bundle.is_empty() && !self.is_holed {
            let name = entries_path(size / WIDTH, size % WIDTH);
            let bundle = std::mem::take(&mut self.bundle);
            self.put(&name, &bundle)?;
        }
        self.put("checkpoint", note.as_bytes())?;
        Ok(Exported {
            head,
            written: size,
            gone: 0,
        })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        put(self.sink, name, bytes)
    }
}

/// Returns how many hashes there are.
fn width(hashes: &[u8]) -> u64 {
    u64::try_from(hashes.len() / Hash::LEN).unwrap_or(u64::MAX)
}

/// Writes a whole file.
pub(crate) fn put(sink: &mut dyn Sink, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let mut write = || {
        let mut file = sink.begin(name)?;
        file.write_all(bytes)?;
        file.close()
    };
    write().map_err(|cause| ExportError::write(name, cause))
}

/// Tells whether an entry says that others were pruned. Of the fields of an entry, whose names are
/// sorted, the type is the last but one.
pub(crate) fn is_pruning(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\"type\":\"log.pruned\",\"v\":1}")
}

/// Writes the whole log up to the source's head.
///
/// # Errors
///
/// As [`ExportError`] says.
pub fn write(
    source: &impl Source,
    key: &VerifierKey,
    sink: &mut dyn Sink,
) -> Result<Exported, ExportError> {
    let note = source.checkpoint()?;
    let head = checkpoint::open(&note, std::slice::from_ref(key), key.name())?;
    let mut tiles = Tiles::new(sink);
    let mut pruning = Pruning::default();
    // Where the log says last that entries were pruned.
    let mut told = None;
    source.entries(0..head.size(), &mut |at, leaf| {
        let expected = tiles.frontier().size();
        if at != expected {
            return Err(ExportError::Order {
                expected,
                found: at,
            });
        }
        match leaf {
            Leaf::Entry(bytes) => {
                if is_pruning(bytes) {
                    let problem = |problem| ExportError::Record { seq: at, problem };
                    follow(&mut pruning, &Record::read(at, bytes).map_err(problem)?)?;
                    told = Some(at);
                }
                tiles.entry(bytes)
            }
            Leaf::Pruned(hash) => {
                pruning.gone(at);
                tiles.gone(hash)
            }
        }
    })?;
    let lacks_word = told.is_some_and(|at| tiles.is_without(at));
    let exported = tiles.finish(&note, key)?;
    pruning.finish()?;
    if lacks_word {
        return Err(ExportError::Untold {
            before: pruning.before(),
        });
    }
    Ok(Exported {
        gone: pruning.positions().count(),
        ..exported
    })
}
