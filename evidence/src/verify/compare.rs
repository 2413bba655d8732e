//! Files that are there already, held against what they would be written as.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use countersign_shared::log::tree::Hash;

use crate::sink::{Sink, SinkFile};
use crate::tiles::{WIDTH, tile_path};

/// A sink that writes nothing and remembers which files are otherwise.
#[derive(Debug)]
pub(super) struct Comparing {
    root: PathBuf,
    differing: Rc<RefCell<Vec<String>>>,
}

impl Comparing {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            differing: Rc::default(),
        }
    }

    /// Returns the names of the files that are missing or otherwise.
    pub(super) fn differing(&self) -> Vec<String> {
        self.differing.borrow().clone()
    }
}

impl Sink for Comparing {
    fn begin(&mut self, name: &str) -> io::Result<Box<dyn SinkFile>> {
        Ok(Box::new(Compared {
            name: name.to_owned(),
            path: self.root.join(name),
            expected: Vec::new(),
            differing: Rc::clone(&self.differing),
        }))
    }
}

struct Compared {
    name: String,
    path: PathBuf,
    expected: Vec<u8>,
    differing: Rc<RefCell<Vec<String>>>,
}

impl Write for Compared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.expected.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SinkFile for Compared {
    fn close(self: Box<Self>) -> io::Result<()> {
        let same = fs::read(&self.path).is_ok_and(|found| found == self.expected);
        if !same {
            self.differing.borrow_mut().push(self.name.clone());
        }
        Ok(())
    }
}

/// The leaves of a log as its tiles have them; the tile in use is held.
#[derive(Debug)]
pub(super) struct Leaves {
    root: PathBuf,
    size: u64,
    held: Option<(u64, Vec<u8>)>,
}

impl Leaves {
    pub(super) fn new(root: &Path, size: u64) -> Self {
        Self {
            root: root.to_owned(),
            size,
            held: None,
        }
    }

    /// Returns the hash of a leaf, or what is wrong with its tile.
    pub(super) fn get(&mut self, seq: u64) -> Result<Hash, String> {
        if seq >= self.size {
            return Err("the log has no such position".to_owned());
        }
        let tile = seq / WIDTH;
        if self.held.as_ref().is_none_or(|(held, _)| *held != tile) {
            let width = WIDTH.min(self.size.saturating_sub(tile.saturating_mul(WIDTH)));
            let name = tile_path(0, tile, width);
            let bytes = fs::read(self.root.join(&name))
                .map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            self.held = Some((tile, bytes));
        }
        let at = usize::try_from(seq % WIDTH).unwrap_or(usize::MAX);
        self.held
            .as_ref()
            .and_then(|(_, bytes)| bytes.as_chunks::<{ Hash::LEN }>().0.get(at))
            .map(|hash| Hash::from_bytes(*hash))
            .ok_or_else(|| "its tile is too short".to_owned())
    }
}
