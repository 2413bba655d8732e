//! What a log sends to a witness, and what a witness looks at before it cosigns (C2SP
//! `tlog-witness`, `add-checkpoint`).
//!
//! [`Submission`] is the body of the request. [`judge`] is the whole decision, given what the witness
//! remembers; storing the new head, durably and before the cosignature is handed out, is the
//! caller's part, as one step with this one. No HTTP here: [`Refusal::status`] has the numbers.
//!
//! Stricter than the specification in one thing: a head with extension lines is malformed.

use super::checkpoint::{Checkpoint, CheckpointError, decimal};
use super::note::{self, NoteError, VerifierKey};
use super::proof::{ProofError, verify_consistency};
use super::tree::{Hash, TreeHead};

/// The largest number of hashes that a proof may have.
pub const MAX_PROOF: usize = 63;

/// The largest body that is read, in bytes: a proof, and a head with all the signatures that a
/// witness has to accept, of whatever type.
pub const MAX_BODY: usize = 64 * 1024;

/// The media type of the body that says how far a witness is.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// The body of a request that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// It is too long.
    #[error("a request has at most {MAX_BODY} bytes, and this one has {found}")]
    TooLong {
        /// The number of bytes found.
        found: usize,
    },
    /// It is not text.
    #[error("the request is not UTF-8")]
    NotText,
    /// It does not begin with a size.
    #[error("a request begins with a line `old` and a size, decimal without leading zeros")]
    Old,
    /// A line of the proof is no hash.
    #[error("line {line} is not 32 bytes in base64")]
    Hash {
        /// The line, from 1.
        line: usize,
    },
    /// There are too many hashes.
    #[error("a proof has at most {MAX_PROOF} hashes")]
    TooManyHashes,
    /// There is no blank line with a head below it.
    #[error("the request has no blank line with the head of a log below it")]
    NoHead,
    /// What stands below is no head.
    #[error("what is to be cosigned is not the head of a log")]
    Head(#[source] CheckpointError),
    /// The proof begins behind the head.
    #[error("the proof begins at {old} entries, and the head has {size}")]
    Behind {
        /// The size that the proof begins at.
        old: u64,
        /// The size of the head.
        size: u64,
    },
}

/// The head of a log, with proof that it continues one that the witness has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The size of the head that the witness has cosigned last, 0 for none.
    pub old: u64,
    /// The proof from there.
    pub proof: Vec<Hash>,
    /// The head, as the log signed it.
    pub note: String,
}

impl Submission {
    /// Writes the body of the request.
    pub fn to_text(&self) -> String {
        let mut above = vec![format!("old {}", self.old)];
        above.extend(self.proof.iter().map(Hash::to_base64));
        format!("{}\n\n{}", above.join("\n"), self.note)
    }

    /// Reads the body of a request. The head below is not looked at.
    pub fn read(body: &[u8]) -> Result<Self, SubmissionError> {
        if body.len() > MAX_BODY {
            return Err(SubmissionError::TooLong { found: body.len() });
        }
        let text = std::str::from_utf8(body).map_err(|_| SubmissionError::NotText)?;
        let (above, note) = text.split_once("\n\n").ok_or(SubmissionError::NoHead)?;
        let mut lines = above.split('\n').zip(1usize..);
        let old = lines
            .next()
            .and_then(|(line, _)| decimal(line.strip_prefix("old ")?))
            .ok_or(SubmissionError::Old)?;
        let mut proof = Vec::new();
        for (text, line) in lines {
            if proof.len() == MAX_PROOF {
                return Err(SubmissionError::TooManyHashes);
            }
            proof.push(Hash::from_base64(text).ok_or(SubmissionError::Hash { line })?);
        }
        Ok(Self {
            old,
            proof,
            note: note.to_owned(),
        })
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be read.
    #[error(transparent)]
    Malformed(#[from] SubmissionError),
    /// The log is none that the witness watches.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// The head is not signed by the log.
    #[error("the head is not signed by the log's key")]
    Signature(#[source] NoteError),
    /// The witness has cosigned a head of another size last.
    #[error("the last head that was cosigned has {size} entries")]
    Conflict {
        /// Its size.
        size: u64,
    },
    /// The head does not continue the last one.
    #[error("the head is not proven to continue the last one that was cosigned")]
    Proof(#[source] ProofError),
}

impl Refusal {
    /// Returns the status code of HTTP.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Signature(_) => 403,
            Self::UnknownLog => 404,
            Self::Conflict { .. } => 409,
            Self::Proof(_) => 422,
        }
    }
}

/// Looks at the body of a request and returns the head to cosign, and its note with the signatures of the
/// log alone: anybody can send a head, and put other lines below it.
///
/// `logs` are the keys that may sign, each under the origin that is its name. `last` returns the
/// head of a log that was cosigned last, that of the empty tree when none was.
pub fn judge<E: From<Refusal>>(
    body: &[u8],
    logs: &[VerifierKey],
    last: impl FnOnce(&str) -> Result<TreeHead, E>,
) -> Result<(Checkpoint, String), E> {
    let submission = Submission::read(body).map_err(Refusal::Malformed)?;
    let malformed = |error| Refusal::Malformed(SubmissionError::Head(error));
    let text = note::parse(&submission.note)
        .map_err(|error| malformed(error.into()))?
        .text;
    let origin = text.split('\n').next().unwrap_or_default();
    let keys: Vec<VerifierKey> = logs
        .iter()
        .filter(|key| key.name() == origin)
        .cloned()
        .collect();
    if keys.is_empty() {
        return Err(Refusal::UnknownLog.into());
    }
    let note = note::signed_by_known(&submission.note, &keys).map_err(Refusal::Signature)?;
    let head = match Checkpoint::from_text(text) {
        Ok(head) => head,
        Err(CheckpointError::EmptyRoot { found }) => {
            return Err(Refusal::Proof(ProofError::EmptyRoot { root: found }).into());
        }
        Err(error) => return Err(malformed(error).into()),
    };
    let (old, size) = (submission.old, head.size());
    if old > size {
        return Err(Refusal::Malformed(SubmissionError::Behind { old, size }).into());
    }
    let last = last(origin)?;
    if old != last.size {
        return Err(Refusal::Conflict { size: last.size }.into());
    }
    if last.size == size && last.root != *head.root() {
        return Err(Refusal::Conflict { size }.into());
    }
    verify_consistency(&last, head.head(), &submission.proof).map_err(Refusal::Proof)?;
    Ok((head, note))
}

#[cfg(test)]
mod tests;
