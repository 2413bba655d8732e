//! The file that says which logs are believed, which witnesses, and how many of them have to have
//! cosigned a head (C2SP `tlog-policy`).
//!
//! ```text
//! log <vkey> [url]
//! witness NAME <vkey> [url]
//! group NAME all|any|<k> MEMBER…
//! quorum NAME|none
//! ```
//!
//! A file is read whole or not at all: a line that means nothing to us could be what the operator
//! meant. [`TrustPolicy::judge`] looks at cosignatures only; [`TrustPolicy::satisfied`] at the log's
//! signature as well. What the URLs are good for is the caller's business.

use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::cosignature::{self, Cosignature, CosignatureError};
use super::note::{self, NoteError, VerifierKey, WitnessKey};

mod read;

pub use read::{PolicyError, Problem};

/// The longest file that is read, in bytes.
pub const MAX_POLICY: usize = 64 * 1024;

/// How many witnesses a policy may name: a head holds their lines beside those of the log.
pub const MAX_WITNESSES: usize = 64;

/// A log that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its key, whose name is the log's origin.
    pub key: VerifierKey,
    /// Where it is reached, as written.
    pub url: Option<String>,
}

/// A witness that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// What the file calls it; means nothing outside of it.
    pub name: Box<[u8]>,
    /// Its key.
    pub key: WitnessKey,
    /// Where it is reached, as written.
    pub url: Option<String>,
}

/// What a quorum can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// The witness with this place among the witnesses.
    Witness(usize),
    /// At least so many of the nodes with these places, all of which come before.
    Group { least: usize, of: Vec<usize> },
}

/// Who is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    nodes: Vec<Node>,
    /// The place of the node that has to have cosigned; nothing for `none`.
    quorum: Option<usize>,
}

/// What the cosignatures of a head amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Standing {
    /// The good ones of known witnesses, one for each.
    pub cosignatures: Vec<Cosignature>,
    /// Whether they are enough.
    pub is_quorum: bool,
}

/// A head that the policy does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsatisfied {
    /// It is not the head of a log that the policy believes.
    #[error("the head is not one that a log of the policy has signed")]
    Log(#[source] CheckpointError),
    /// A cosignature in it is wrong.
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    /// Too few witnesses have cosigned.
    #[error("the head has {found} cosignatures of {known} witnesses, which is no quorum")]
    Quorum {
        /// How many witnesses cosigned.
        found: usize,
        /// How many the policy knows.
        known: usize,
    },
}

impl TrustPolicy {
    /// Reads a policy file.
    pub fn read(bytes: &[u8]) -> Result<Self, PolicyError> {
        read::policy(bytes)
    }

    /// Returns the logs, in the order of the file.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Returns the witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Tells whether heads count without any cosignature (`quorum none`).
    pub const fn asks_nobody(&self) -> bool {
        self.quorum.is_none()
    }

    /// Returns the keys of all witnesses.
    pub fn keys(&self) -> Vec<WitnessKey> {
        let keys = self.witnesses.iter().map(|witness| witness.key.clone());
        keys.collect()
    }

    /// Tells whether these witnesses are enough.
    pub fn is_quorum<'k>(&self, cosigned: impl IntoIterator<Item = &'k WitnessKey>) -> bool {
        let cosigned: Vec<&WitnessKey> = cosigned.into_iter().collect();
        // A group names nodes that come before it, so each is known when it is asked for.
        let mut holds: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let is_held = match node {
                Node::Witness(at) => self
                    .witnesses
                    .get(*at)
                    .is_some_and(|witness| cosigned.contains(&&witness.key)),
                Node::Group { least, of } => {
                    let members = of.iter().filter(|at| holds.get(**at) == Some(&true));
                    members.count() >= *least
                }
            };
            holds.push(is_held);
        }
        match self.quorum {
            None => true,
            Some(at) => holds.get(at) == Some(&true),
        }
    }

    /// Looks at the cosignatures of a head. The log's own signature is not looked at, nor whether
    /// the head is one.
    pub fn judge(&self, note: &str) -> Result<Standing, CosignatureError> {
        let cosignatures = cosignature::verify(note, &self.keys())?;
        let is_quorum = self.is_quorum(cosignatures.iter().map(Cosignature::by));
        Ok(Standing {
            cosignatures,
            is_quorum,
        })
    }

    /// Returns the head in a note that a log of the policy has signed and a quorum has cosigned.
    pub fn satisfied(&self, note: &str) -> Result<Checkpoint, Unsatisfied> {
        let head = self.of_log(note).map_err(Unsatisfied::Log)?;
        let standing = self.judge(note)?;
        if standing.is_quorum {
            return Ok(head);
        }
        Err(Unsatisfied::Quorum {
            found: standing.cosignatures.len(),
            known: self.witnesses.len(),
        })
    }

    /// Opens a note with the keys of the log that it says it is of.
    fn of_log(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let origin = note::parse(note)?
            .text
            .split('\n')
            .next()
            .unwrap_or_default();
        let keys: Vec<VerifierKey> = self
            .logs
            .iter()
            .filter(|log| log.key.name() == origin)
            .map(|log| log.key.clone())
            .collect();
        if keys.is_empty() {
            return Err(CheckpointError::Note(NoteError::Unsigned { known: 0 }));
        }
        checkpoint::open(note, &keys, origin)
    }
}

#[cfg(test)]
mod tests;
