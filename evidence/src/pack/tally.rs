//! A sink that remembers the digest of every file, for the manifest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;

use countersign_shared::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::export::ExportError;
use crate::sink::{Sink, SinkFile};

type Digests = Rc<RefCell<BTreeMap<String, Digest>>>;

/// Passes files on, and remembers their digests.
pub(super) struct Tally<'s> {
    sink: &'s mut dyn Sink,
    digests: Digests,
}

impl<'s> Tally<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink) -> Self {
        Self {
            sink,
            digests: Digests::default(),
        }
    }

    /// Writes `manifest.sha256`, in the form of `sha256sum`.
    pub(super) fn finish(self) -> Result<(), ExportError> {
        const NAME: &str = "manifest.sha256";
        let write = |sink: &mut dyn Sink| {
            let mut file = sink.begin(NAME)?;
            for (name, digest) in self.digests.borrow().iter() {
                writeln!(file, "{}  {name}", digest.to_hex())?;
            }
            file.close()
        };
        write(self.sink).map_err(|cause| ExportError::write(NAME, cause))
    }
}

impl Sink for Tally<'_> {
    fn begin(&mut self, name: &str) -> io::Result<Box<dyn SinkFile>> {
        Ok(Box::new(Hashed {
            name: name.to_owned(),
            file: self.sink.begin(name)?,
            hasher: Sha256::new(),
            digests: Rc::clone(&self.digests),
        }))
    }
}

struct Hashed {
    name: String,
    file: Box<dyn SinkFile>,
    hasher: Sha256,
    digests: Digests,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SinkFile for Hashed {
    fn close(self: Box<Self>) -> io::Result<()> {
        let Self {
            name,
            file,
            hasher,
            digests,
        } = *self;
        file.close()?;
        let digest = Digest::from_bytes(hasher.finalize().into());
        digests.borrow_mut().insert(name, digest);
        Ok(())
    }
}
