//! Receipts (C2SP `tlog-proof`): proof, to be kept and checked offline, that an entry is in a log.
//!
//! A receipt holds the entry's index, the hashes that lead from it to the root, and the signed
//! head. It does not hold the entry as something proven: the optional `extra` bytes may carry it
//! along, but nobody has signed them, so [`Receipt::verify`] takes the entry from the caller.
//!
//! Files are called `*.tlog-proof`.

use data_encoding::BASE64;

use super::checkpoint::{self, Checkpoint, CheckpointError, decimal};
use super::note::{self, MAX_NOTE, NoteError, VerifierKey};
use super::proof::{ProofError, verify_inclusion};
use super::tree::{Hash, MAX_SIZE, leaf_hash};

/// The first line of every receipt.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The largest number of hashes a receipt may have: the height of the largest tree.
const MAX_HASHES: usize = 63;

/// The most bytes of `extra`.
pub const MAX_EXTRA: usize = 128 * 1024;

/// The largest receipt that is read, in bytes: the largest note and `extra`, and the lines between.
const MAX_RECEIPT: usize = MAX_NOTE + MAX_EXTRA / 3 * 4 + 8192;

/// A receipt that cannot be read or does not prove anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The receipt is too long.
    #[error("a receipt has at most {MAX_RECEIPT} bytes, and this one has {found}")]
    TooLong {
        /// The number of bytes found.
        found: usize,
    },
    /// The first line is another one.
    #[error("a receipt begins with the line `{HEADER}`")]
    Header,
    /// The extra bytes are too many, or are not written as bytes are.
    #[error("`extra` is followed by 1 to {MAX_EXTRA} bytes in base64, or left out")]
    Extra,
    /// The index is missing or not written as indices are.
    #[error("a receipt has a line `index` with a decimal number without leading zeros")]
    Index,
    /// A line that should be a hash is none.
    #[error("line {line} of the receipt is not 32 bytes in base64")]
    Hash {
        /// The line's number, from 1.
        line: usize,
    },
    /// There are more hashes than any tree is high.
    #[error("a receipt has at most {MAX_HASHES} hashes")]
    TooManyHashes,
    /// There is no blank line with a head below it.
    #[error("the receipt has no blank line with the head of a log below it")]
    NoHead,
    /// The head is not a signed note.
    #[error("the head in the receipt is not a signed note")]
    Note(#[source] NoteError),
    /// The head is not believed.
    #[error("the head in the receipt is not accepted")]
    Checkpoint(#[source] CheckpointError),
    /// The entry is not where the receipt says it is.
    #[error("the receipt does not prove entry {index}")]
    Proof {
        /// The index the receipt names.
        index: u64,
        /// Why not.
        source: ProofError,
    },
}

/// Proof that an entry is in a log, once it is [verified](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    index: u64,
    extra: Option<Vec<u8>>,
    proof: Vec<Hash>,
    checkpoint_note: String,
}

impl Receipt {
    /// Makes a receipt from its parts, which are checked for form only.
    ///
    /// Empty `extra` is the same as none.
    pub fn new(
        index: u64,
        extra: Option<Vec<u8>>,
        proof: Vec<Hash>,
        checkpoint_note: String,
    ) -> Result<Self, ReceiptError> {
        let extra = extra.filter(|bytes| !bytes.is_empty());
        if index > MAX_SIZE {
            return Err(ReceiptError::Index);
        }
        if extra.as_ref().is_some_and(|bytes| bytes.len() > MAX_EXTRA) {
            return Err(ReceiptError::Extra);
        }
        if proof.len() > MAX_HASHES {
            return Err(ReceiptError::TooManyHashes);
        }
        note::parse(&checkpoint_note).map_err(ReceiptError::Note)?;
        Ok(Self {
            index,
            extra,
            proof,
            checkpoint_note,
        })
    }

    /// Returns the entry's index in the log, from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Returns the bytes that came along. Nothing vouches for them.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Returns the hashes from the leaf's sibling up to the root's child.
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// Returns the head as the log signed it.
    pub fn checkpoint_note(&self) -> &str {
        &self.checkpoint_note
    }

    /// Writes the receipt.
    pub fn to_text(&self) -> String {
        let mut lines = vec![HEADER.to_owned()];
        if let Some(extra) = &self.extra {
            lines.push(format!("extra {}", BASE64.encode(extra)));
        }
        lines.push(format!("index {}", self.index));
        lines.extend(self.proof.iter().map(Hash::to_base64));
        format!("{}\n\n{}", lines.join("\n"), self.checkpoint_note)
    }

    /// Reads what [`to_text`](Self::to_text) could have written, byte for byte.
    pub fn read(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > MAX_RECEIPT {
            return Err(ReceiptError::TooLong { found: text.len() });
        }
        let rest = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(ReceiptError::Header)?;
        let (lines, checkpoint_note) = rest.split_once("\n\n").ok_or(ReceiptError::NoHead)?;
        let mut lines = lines.split('\n').zip(2..).peekable();
        let extra = lines
            .next_if(|(line, _)| line.starts_with("extra "))
            .map(|(line, _)| extra_line(line))
            .transpose()?;
        let index = lines
            .next()
            .and_then(|(line, _)| decimal(line.strip_prefix("index ")?))
            .ok_or(ReceiptError::Index)?;
        let proof = lines
            // One hash too many is enough to refuse.
            .take(MAX_HASHES + 1)
            .map(|(text, line)| Hash::from_base64(text).ok_or(ReceiptError::Hash { line }))
            .collect::<Result<_, _>>()?;
        Self::new(index, extra, proof, checkpoint_note.to_owned())
    }

    /// Checks that the entry with the bytes `leaf` is in the log called `origin`, under a head
    /// signed by one of its `keys`, and returns that head.
    ///
    /// A fork is not noticed here: keep the head with a [`HeadKeeper`](super::keeper::HeadKeeper).
    pub fn verify(
        &self,
        leaf: &[u8],
        keys: &[VerifierKey],
        origin: &str,
    ) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = checkpoint::open(&self.checkpoint_note, keys, origin)
            .map_err(ReceiptError::Checkpoint)?;
        verify_inclusion(&leaf_hash(leaf), self.index, checkpoint.head(), &self.proof).map_err(
            |source| ReceiptError::Proof {
                index: self.index,
                source,
            },
        )?;
        Ok(checkpoint)
    }
}

fn extra_line(line: &str) -> Result<Vec<u8>, ReceiptError> {
    line.strip_prefix("extra ")
        .and_then(|base64| BASE64.decode(base64.as_bytes()).ok())
        .filter(|bytes| !bytes.is_empty())
        .ok_or(ReceiptError::Extra)
}

#[cfg(test)]
mod tests;
