//! The exact bytes of entries, one to a line.
//!
//! Canonical JSON has no line feed, so a line is an entry and its SHA-256, after a zero byte, is the
//! entry's leaf.

use std::io::{self, Write};

use crate::export::Format;
use crate::record::Record;

/// Writes lines of exact bytes.
#[derive(Debug)]
pub struct Jsonl<W> {
    out: W,
}

impl<W: Write> Jsonl<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Format for Jsonl<W> {
    fn entry(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.out.write_all(record.bytes)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
