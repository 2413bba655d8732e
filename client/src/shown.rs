//! Heads, proofs and states as the daemon showed them, not yet checked. A field that is missing or
//! strange is an error that names it; nothing is filled in.

use countersign_shared::log::tree::Hash;
use countersign_shared::machine::State;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;

/// A field of an answer is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field `{field}` is missing or malformed")]
pub struct AnswerError {
    /// The field.
    pub field: &'static str,
}

/// A head as it was shown, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownHead {
    /// The signed note.
    pub note: String,
    /// The consistency proof.
    pub proof: Vec<Hash>,
    /// The size the proof begins at.
    pub from: u64,
    /// The change of the log's key, while two keys sign.
    pub rotation: Option<ShownRotation>,
}

/// The entry that announces the log's next key, and its proof, as they were shown, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRotation {
    /// The position of the entry.
    pub index: u64,
    /// The bytes of the entry.
    pub entry: Vec<u8>,
    /// The inclusion proof, which leads to the head it came with.
    pub proof: Vec<Hash>,
}

/// An entry and its proof as they were shown, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The position of the entry.
    pub index: u64,
    /// The bytes of the entry.
    pub entry: Vec<u8>,
    /// The inclusion proof.
    pub proof: Vec<Hash>,
    /// The head the proof leads to.
    pub head: ShownHead,
}

/// A proof between two sizes of the log as it was shown, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The consistency proof.
    pub proof: Vec<Hash>,
    /// The number of entries that the log is said to have.
    pub size: u64,
}

impl TryFrom<pb::ProveConsistencyResponse> for Consistency {
    type Error = AnswerError;

    fn try_from(message: pb::ProveConsistencyResponse) -> Result<Self, AnswerError> {
        Ok(Self {
            proof: hashes("proof", &message.proof)?,
            size: message.size,
        })
    }
}

impl TryFrom<pb::Inclusion> for Inclusion {
    type Error = AnswerError;

    fn try_from(message: pb::Inclusion) -> Result<Self, AnswerError> {
        let head = message.head.ok_or(AnswerError { field: "head" })?;
        Ok(Self {
            index: message.index,
            entry: message.entry,
            proof: hashes("proof", &message.proof)?,
            head: head.try_into()?,
        })
    }
}

impl TryFrom<pb::Head> for ShownHead {
    type Error = AnswerError;

    fn try_from(message: pb::Head) -> Result<Self, AnswerError> {
        Ok(Self {
            note: message.note,
            proof: hashes("consistency", &message.consistency)?,
            from: message.consistent_from,
            rotation: message.rotation.map(TryInto::try_into).transpose()?,
        })
    }
}

impl TryFrom<pb::KeyRotation> for ShownRotation {
    type Error = AnswerError;

    fn try_from(message: pb::KeyRotation) -> Result<Self, AnswerError> {
        Ok(Self {
            index: message.index,
            entry: message.entry,
            proof: hashes("rotation", &message.proof)?,
        })
    }
}

fn hashes(field: &'static str, proof: &[Vec<u8>]) -> Result<Vec<Hash>, AnswerError> {
    proof
        .iter()
        .map(|hash| <[u8; 32]>::try_from(hash.as_slice()).map(Hash::from_bytes))
        .collect::<Result<_, _>>()
        .map_err(|_| AnswerError { field })
}

/// Reads a time; an empty text is none.
///
/// # Errors
///
/// When the text is neither.
pub fn time(text: &str) -> Result<Option<Timestamp>, AnswerError> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = AnswerError {
        field: "expires_at",
    };
    text.parse().map(Some).map_err(|_| wrong)
}

/// Reads a state. The unspecified one is none.
///
/// # Errors
///
/// When the number is no state.
pub fn state(number: i32) -> Result<State, AnswerError> {
    let wrong = AnswerError { field: "state" };
    Ok(
        match pb::State::try_from(number).map_err(|_| wrong.clone())? {
            pb::State::Unspecified => return Err(wrong),
            pb::State::Received => State::Received,
            pb::State::Refused => State::Refused,
            pb::State::Pending => State::Pending,
            pb::State::Approved => State::Approved,
            pb::State::Denied => State::Denied,
            pb::State::Expired => State::Expired,
            pb::State::Withdrawn => State::Withdrawn,
            pb::State::Superseded => State::Superseded,
            pb::State::Invalidated => State::Invalidated,
            pb::State::Revoked => State::Revoked,
            pb::State::Lapsed => State::Lapsed,
            pb::State::Redeemed => State::Redeemed,
            pb::State::Running => State::Running,
            pb::State::NotRun => State::NotRun,
            pb::State::Indeterminate => State::Indeterminate,
            pb::State::Succeeded => State::Succeeded,
            pb::State::Failed => State::Failed,
            pb::State::Killed => State::Killed,
            pb::State::Settled => State::Settled,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_nobody_sent_is_not_a_state() {
        for number in [0, -1, 20] {
            assert_eq!(state(number).unwrap_err().field, "state", "{number}");
        }
    }

    #[test]
    fn every_state_has_its_number() {
        let states: Vec<_> = (1..=19).map(|number| state(number).unwrap()).collect();
        assert_eq!(states, State::ALL);
    }

    #[test]
    fn a_hash_of_another_length_is_none() {
        let head = pb::Head {
            note: String::new(),
            consistency: vec![vec![0; 31]],
            consistent_from: 1,
            rotation: None,
        };
        assert_eq!(ShownHead::try_from(head).unwrap_err().field, "consistency");
    }
}
