//! The head of a log as the text of a signed note (C2SP `tlog-checkpoint`).
//!
//! Three lines: the log's origin, the number of entries in decimal, the root in base64. Extension
//! lines, which the specification advises against, are refused: nobody would check them. Whether
//! one head continues another is for [`keeper`](super::keeper).

use super::note::{self, NoteError, SignerKey, VerifierKey};
use super::tree::{Hash, MAX_SIZE, TreeHead, empty_root};

/// The longest origin, in bytes.
pub const MAX_ORIGIN: usize = 255;

/// A checkpoint that cannot be made or must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is malformed or not signed by a known key.
    #[error("the head of the log is not signed as it should be")]
    Note(#[from] NoteError),
    /// The origin cannot stand in a line.
    #[error("an origin is 1 to {MAX_ORIGIN} bytes without control characters")]
    Origin,
    /// The text is not origin, size and root on three lines.
    #[error("a checkpoint has three lines: origin, size and root")]
    Lines,
    /// The size is not written as sizes are.
    #[error("the size of a checkpoint is decimal without leading zeros, at most {MAX_SIZE}")]
    Size,
    /// The root is not written as roots are.
    #[error("the root of a checkpoint is 32 bytes in base64")]
    Root,
    /// A log without entries has another root than SHA-256 of nothing.
    #[error("a log without entries has the root `{}`, not `{found}`", empty_root())]
    EmptyRoot {
        /// The root found.
        found: Hash,
    },
    /// It is the head of another log.
    #[error("the head is of another log than `{expected}`")]
    OtherLog {
        /// The origin that was asked for.
        expected: String,
    },
}

/// Reads a number in its one decimal spelling.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let zero_padded = text.len() > 1 && text.starts_with('0');
    if !plain || zero_padded {
        return None;
    }
    text.parse().ok().filter(|number| *number <= MAX_SIZE)
}

/// Which log, how many entries, and the root over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
}

impl Checkpoint {
    /// Makes a checkpoint of the log called `origin`.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, CheckpointError> {
        if !(1..=MAX_ORIGIN).contains(&origin.len()) || origin.chars().any(char::is_control) {
            return Err(CheckpointError::Origin);
        }
        if head.size > MAX_SIZE {
            return Err(CheckpointError::Size);
        }
        if head.size == 0 && head.root != empty_root() {
            return Err(CheckpointError::EmptyRoot { found: head.root });
        }
        Ok(Self {
            origin: origin.to_owned(),
            head,
        })
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of entries.
    pub const fn size(&self) -> u64 {
        self.head.size
    }

    /// Returns the root over the entries.
    pub const fn root(&self) -> &Hash {
        &self.head.root
    }

    /// Returns size and root as proofs take them.
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Writes the three lines.
    pub fn to_text(&self) -> String {
        let (origin, size) = (&self.origin, self.head.size);
        format!("{origin}\n{size}\n{}\n", self.head.root.to_base64())
    }

    /// Reads three lines that [`to_text`](Self::to_text) could have written.
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Lines)?
            .split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root).ok_or(CheckpointError::Root)?;
        Self::new(origin, TreeHead { size, root })
    }

    /// Signs the checkpoint and returns the note.
    ///
    /// A log must never sign two checkpoints of which neither continues the other.
    pub fn sign(&self, key: &SignerKey) -> String {
        // What `new` accepts has no control character, so it is the text of a note.
        key.seal(&self.to_text())
    }

    /// Signs the checkpoint with each of a log's keys, the one in force first, and returns the note.
    pub fn sign_with(&self, key: &SignerKey, others: &[SignerKey]) -> String {
        let text = self.to_text();
        let mut note = key.seal(&text);
        for other in others {
            note.push_str(&other.line(&text));
        }
        note
    }
}

/// Checks the note against the keys that may sign for `origin` and returns the checkpoint in it.
pub fn open(note: &str, keys: &[VerifierKey], origin: &str) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = Checkpoint::from_text(&note::verify(note, keys)?.text)?;
    if checkpoint.origin != origin {
        return Err(CheckpointError::OtherLog {
            expected: origin.to_owned(),
        });
    }
    Ok(checkpoint)
}

/// Reads what a note says without asking who signed it: to know what it is that has to be checked.
pub fn unverified(note: &str) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_text(note::parse(note)?.text)
}

#[cfg(test)]
mod tests;
