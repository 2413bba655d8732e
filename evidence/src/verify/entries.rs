//! The entries of a directory, read in pieces and looked at on all processors.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::thread;

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::replay::Prepared;
use serde::Deserialize;

use super::pipeline::in_order;
use super::{VerifyError, read_text};
use crate::tiles::{WIDTH, entries_path};

/// Where something cannot be read, and what is wrong with it.
pub(super) type Unreadable = (String, String);

/// Some entries, each with its position.
type Piece = Vec<(u64, Vec<u8>)>;

/// Where the bundles are.
const ENTRIES: &str = "tile/entries";

/// How many lines make a piece.
const LINES: usize = 256;

/// Where the entries stand.
#[derive(Debug)]
pub(super) enum Entries<'r> {
    /// In bundles.
    Tiles {
        root: &'r Path,
        size: u64,
        /// The bundles that are there.
        present: BTreeSet<u64>,
    },
    /// In lines.
    Pack {
        root: &'r Path,
        /// How many entries the pack says it holds.
        count: u64,
        vkey: String,
    },
}

#[derive(Deserialize)]
struct PackFile {
    entries: u64,
    vkey: String,
}

/// The one field that says where an entry stands.
#[derive(Deserialize)]
struct Placed {
    seq: u64,
}

impl<'r> Entries<'r> {
    /// Finds out what a directory is.
    pub(super) fn of(root: &'r Path) -> Result<Self, VerifyError> {
        if root.join("entries.jsonl").exists() {
            let text = read_text(root, "pack.json")?;
            let pack: PackFile =
                serde_json::from_str(&text).map_err(|error| VerifyError::Read {
                    name: "pack.json".to_owned(),
                    cause: error.into(),
                })?;
            return Ok(Self::Pack {
                root,
                count: pack.entries,
                vkey: pack.vkey,
            });
        }
        let note = read_text(root, "checkpoint").map_err(|_| VerifyError::Unknown {
            path: root.display().to_string(),
        })?;
        // Only to know how many bundles to look for; the note is opened with its key later.
        let text = note.split_inclusive("\n\n").next().unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        let size = Checkpoint::from_text(text).map_or(0, |head| head.size());
        // What is there is listed: a head that nobody signed may name any size.
        let mut present = BTreeSet::new();
        list(root, Path::new(ENTRIES), size, &mut present).map_err(|cause| VerifyError::Read {
            name: ENTRIES.to_owned(),
            cause,
        })?;
        Ok(Self::Tiles {
            root,
            size,
            present,
        })
    }

    pub(super) const fn is_pack(&self) -> bool {
        matches!(self, Self::Pack { .. })
    }

    /// Tells whether all entries of the log are there.
    pub(super) fn is_whole(&self, size: u64) -> bool {
        match self {
            Self::Tiles { present, .. } => {
                u64::try_from(present.len()).is_ok_and(|there| there == size.div_ceil(WIDTH))
            }
            Self::Pack { count, .. } => *count == size,
        }
    }

    /// Returns the name of the last bundle that is not there, and the position where it begins.
    pub(super) fn without(&self) -> Option<(String, u64)> {
        match self {
            Self::Pack { .. } => None,
            Self::Tiles { size, present, .. } => {
                let mut all = (0..size.div_ceil(WIDTH)).rev();
                let index = all.find(|index| !present.contains(index))?;
                Some((bundle(index, *size).0, index.saturating_mul(WIDTH)))
            }
        }
    }

    /// Returns the key that the directory itself names.
    pub(super) fn named_key(&self) -> Result<VerifierKey, VerifyError> {
        match self {
            Self::Pack { vkey, .. } => vkey.parse().map_err(|_| VerifyError::NoKey),
            Self::Tiles { .. } => Err(VerifyError::NoKey),
        }
    }

    /// Hands the position and the bytes of every entry to `take`, in order, as they stand there.
    pub(super) fn each(&self, take: &mut dyn FnMut(u64, &[u8])) -> Result<(), Unreadable> {
        let mut put = |piece: Piece| {
            for (seq, bytes) in piece {
                take(seq, &bytes);
            }
            true
        };
        match self {
            Self::Tiles {
                root,
                size,
                present,
            } => bundles(root, *size, present, &mut put),
            Self::Pack { root, .. } => lines(root, &mut put),
        }
    }

    /// Hands every entry to `take`, in order, after it was looked at; `take` says whether to go on.
    pub(super) fn prepared(
        &self,
        take: &mut dyn FnMut(u64, Prepared) -> bool,
    ) -> Result<(), Unreadable> {
        let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let look = |piece: Piece| -> Vec<(u64, Prepared)> {
            let look = |(seq, bytes): (u64, Vec<u8>)| (seq, Prepared::of(&bytes));
            piece.into_iter().map(look).collect()
        };
        let mut take = |piece: Vec<(u64, Prepared)>| {
            piece.into_iter().all(|(seq, prepared)| take(seq, prepared))
        };
        let read = |put: &mut dyn FnMut(Piece) -> bool| match self {
            Self::Tiles {
                root,
                size,
                present,
            } => bundles(root, *size, present, put),
            Self::Pack { root, .. } => lines(root, put),
        };
        in_order(workers, read, look, &mut take).unwrap_or_else(|| {
            Err((
                "entries".to_owned(),
                "could not be read to their end".to_owned(),
            ))
        })
    }
}

/// Collects the bundles of a log of `size` entries below a directory, by their names.
fn list(root: &Path, below: &Path, size: u64, present: &mut BTreeSet<u64>) -> io::Result<()> {
    let names = match fs::read_dir(root.join(below)) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in names {
        let entry = entry?;
        let path = below.join(entry.file_name());
        // A link to a directory is none: it could lead in circles.
        if entry.file_type()?.is_dir() {
            list(root, &path, size, present)?;
        } else if let Some(index) = index_of(&path)
            && index < size.div_ceil(WIDTH)
            && Path::new(&bundle(index, size).0) == path
        {
            present.insert(index);
        }
    }
    Ok(())
}

/// Reads the number out of a name such as `tile/entries/x001/234.p/5` (C2SP tlog-tiles).
fn index_of(path: &Path) -> Option<u64> {
    let name = path.to_str()?.strip_prefix(ENTRIES)?;
    let name = name.split_once(".p/").map_or(name, |(name, _)| name);
    let mut index = 0_u64;
    for digits in name.split('/').filter(|part| !part.is_empty()) {
        let part: u64 = digits.strip_prefix('x').unwrap_or(digits).parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(part)?;
    }
    Some(index)
}

/// Returns the name of a bundle, and how many entries it has.
fn bundle(index: u64, size: u64) -> (String, u64) {
    let width = WIDTH.min(size.saturating_sub(index.saturating_mul(WIDTH)));
    (entries_path(index, width), width)
}

fn bundles(
    root: &Path,
    size: u64,
    present: &BTreeSet<u64>,
    put: &mut dyn FnMut(Piece) -> bool,
) -> Result<(), Unreadable> {
    for index in present.iter().copied() {
        let first = index.saturating_mul(WIDTH);
        let (name, width) = bundle(index, size);
        let wrong = |problem: &str| (name.clone(), problem.to_owned());
        let bytes = fs::read(root.join(&name)).map_err(|error| wrong(&error.to_string()))?;
        let mut rest = bytes.as_slice();
        let mut piece = Piece::new();
        for seq in first..first.saturating_add(width) {
            let entry = rest.split_first_chunk::<2>().and_then(|(length, after)| {
                after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
            });
            let (entry, after) = entry.ok_or_else(|| wrong("is cut off"))?;
            piece.push((seq, entry.to_vec()));
            rest = after;
        }
        if !rest.is_empty() {
            return Err(wrong("has more than its entries"));
        }
        if !put(piece) {
            return Ok(());
        }
    }
    Ok(())
}

fn lines(root: &Path, put: &mut dyn FnMut(Piece) -> bool) -> Result<(), Unreadable> {
    const NAME: &str = "entries.jsonl";
    let wrong = |problem: String| (NAME.to_owned(), problem);
    let file = File::open(root.join(NAME)).map_err(|error| wrong(error.to_string()))?;
    let mut piece = Piece::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let placed: Placed = serde_json::from_slice(&line)
            .map_err(|error| wrong(format!("has a line that is no entry: {error}")))?;
        piece.push((placed.seq, line));
        if piece.len() == LINES && !put(std::mem::take(&mut piece)) {
            return Ok(());
        }
    }
    if !piece.is_empty() {
        put(piece);
    }
    Ok(())
}
