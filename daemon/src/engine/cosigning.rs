//! Cosignatures of witnesses: kept beside the log, and shown with the head they belong to.
//!
//! Nothing waits for them and nothing is permitted by them. They come checked, from whoever sent the
//! head; here they only find their place.

use super::batch::{Scene, Step};
use super::{Answer, Command, Engine, EngineError, Reply, writes};
use crate::store::{CosignedHead, Store, StoreError};

/// What a witness wrote below a head.
#[derive(Debug, Clone)]
pub struct Cosigned {
    /// The number of entries of the head.
    pub size: u64,
    /// The head as the log alone signed it.
    pub note: String,
    /// The witness's key, as a vkey.
    pub vkey: String,
    /// The signature line, with its newline.
    pub line: String,
}

/// The signature lines of witnesses for the head of one size.
#[derive(Debug, Default)]
pub(super) struct Lines {
    size: u64,
    lines: String,
}

impl Lines {
    /// Reads the lines for the head of this size.
    pub(super) fn stored(store: &Store, size: u64) -> Result<Self, StoreError> {
        let lines = store.cosignature_lines(size)?;
        Ok(Self { size, lines })
    }

    /// Returns the lines for the head of this size, none for any other.
    pub(super) fn of(&self, size: u64) -> &str {
        if self.size == size { &self.lines } else { "" }
    }
}

impl Engine {
    /// Keeps what a witness wrote.
    pub(super) fn write_cosigned(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        cosigned: &Cosigned,
        reply: Reply<()>,
    ) -> Answer {
        let done = self.step(batch, scene, |engine, _| {
            let Cosigned {
                size,
                note,
                vkey,
                line,
            } = cosigned;
            engine.store.keep_cosignature(*size, note, (vkey, line))?;
            engine.unlogged = true;
            Ok(())
        });
        writes::held(reply, done, |engine, ()| {
            engine.cosignatures = Lines::stored(&engine.store, engine.tail.size())?;
            Ok(())
        })
    }

    /// Returns the largest cosigned head of fewer than `below` entries.
    pub(super) fn cosigned_head(&self, below: u64) -> Result<Option<CosignedHead>, EngineError> {
        Ok(self.store.cosigned_head(below)?)
    }
}

impl Command {
    /// Makes the call that keeps what a witness wrote.
    pub fn cosigned(cosigned: Cosigned) -> impl FnOnce(Reply<()>) -> Self {
        move |reply| Self::Cosigned(Box::new(cosigned), reply)
    }
}
