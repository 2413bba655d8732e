//! What a witness adds to the head of a log (C2SP `tlog-cosignature`, Ed25519, `cosignature/v1`).
//!
//! A cosignature says: at this time, this was the largest head of the log that the witness had seen,
//! and it continued all that it had seen before. It is a signature line like that of the log, over
//! other bytes, and holds its time. Cosignatures of type ML-DSA-44 are lines of keys that nobody here
//! knows, and are ignored.
//!
//! Whether enough witnesses have cosigned is for [`trust_policy`](super::trust_policy); that the log
//! itself signed the head, for [`checkpoint`](super::checkpoint).

use ed25519_dalek::{Signature, Signer as _, SigningKey};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::{self, KeyError, NoteError, WitnessKey};

/// The largest time that a cosignature may name, in seconds since 1970.
pub const MAX_TIME: u64 = u64::MAX >> 1;

/// How long the time in a signature line is, in bytes.
const TIME: usize = 8;

/// How long an Ed25519 signature is, in bytes.
const SIGNATURE: usize = 64;

/// A cosignature that cannot be made or must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// What it stands in is no note.
    #[error("the cosigned head is not a signed note")]
    Note(#[from] NoteError),
    /// The cosignature of a known witness is wrong, so nothing in the note is believed.
    #[error("the cosignature of `{name}` is not over this head")]
    Bad {
        /// The witness's name.
        name: String,
    },
    /// Two of the known witnesses cannot be told apart in a signature line.
    #[error("two different witnesses are called `{name}` and have one key id")]
    Ambiguous {
        /// The name of both.
        name: String,
    },
    /// No known witness has cosigned.
    #[error("none of the {known} known witnesses has cosigned the head")]
    Unsigned {
        /// How many witnesses are known.
        known: usize,
    },
    /// What was cosigned is not the head of that log.
    #[error("what was cosigned is not a head of the log")]
    Head(#[source] CheckpointError),
    /// The time is none that a cosignature may name.
    #[error("a cosignature names a time of at most {MAX_TIME} seconds since 1970, not {found}")]
    Time {
        /// The time, in seconds since 1970.
        found: u64,
    },
}

/// A witness's good signature over the head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    by: WitnessKey,
    time: u64,
    signature: Signature,
}

impl Cosignature {
    /// Returns the witness's key.
    pub const fn by(&self) -> &WitnessKey {
        &self.by
    }

    /// Returns when the witness says that it signed, in seconds since 1970.
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// Writes the signature line, with its newline.
    pub fn to_line(&self) -> String {
        let payload = [&self.time.to_be_bytes()[..], &self.signature.to_bytes()].concat();
        note::line_of(&self.by, &payload)
    }

    /// Reads what stands behind the name and id of `by`, and checks that it is over `text`.
    fn read(by: &WitnessKey, payload: &[u8], text: &str) -> Option<Self> {
        let (time, signature) = payload.split_first_chunk::<TIME>()?;
        let time = u64::from_be_bytes(*time);
        let signature = Signature::from_bytes(&<[u8; SIGNATURE]>::try_from(signature).ok()?);
        let is_good = time <= MAX_TIME && by.accepts(message(time, text).as_bytes(), &signature);
        is_good.then(|| Self {
            by: by.clone(),
            time,
            signature,
        })
    }
}

/// The bytes that a witness signs for the text of a head.
fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// The key that a witness cosigns with.
///
/// The secret is wiped when the value is dropped; `Debug` shows the public half. One key serves one
/// witness under one name: what is signed does not hold the name.
pub struct CosignerKey {
    secret: SigningKey,
    verifier: WitnessKey,
}

impl std::fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CosignerKey")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

impl CosignerKey {
    /// Makes the key called `name` from the 32 secret bytes of RFC 8032 section 5.1.5, which the
    /// caller draws at random and wipes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = SigningKey::from_bytes(seed);
        let verifier = WitnessKey::new(name, secret.verifying_key().as_bytes())?;
        Ok(Self { secret, verifier })
    }

    /// Returns the public half.
    pub const fn verifier(&self) -> &WitnessKey {
        &self.verifier
    }

    /// Cosigns a head at a time, in seconds since 1970.
    ///
    /// A witness does so only for a head that continues every one that it has cosigned before.
    pub fn cosign(&self, head: &Checkpoint, time: u64) -> Result<Cosignature, CosignatureError> {
        if time > MAX_TIME {
            return Err(CosignatureError::Time { found: time });
        }
        let message = message(time, &head.to_text());
        Ok(Cosignature {
            by: self.verifier.clone(),
            time,
            signature: self.secret.sign(message.as_bytes()),
        })
    }
}

/// Returns the cosignatures of known witnesses in a note, one for each: that with the latest time.
///
/// Lines of other keys, the log's among them, are ignored. One wrong line of a known witness, and
/// the note is refused whatever the others say. There may be none.
pub fn verify(note: &str, known: &[WitnessKey]) -> Result<Vec<Cosignature>, CosignatureError> {
    let parsed = note::parse(note)?;
    let mut found: Vec<Cosignature> = Vec::new();
    for (at, key) in known.iter().enumerate() {
        let mut twins = known.iter().skip(at.saturating_add(1));
        if twins.any(|twin| twin.name() == key.name() && twin.id() == key.id() && twin != key) {
            let name = key.name().to_owned();
            return Err(CosignatureError::Ambiguous { name });
        }
        let mut latest: Option<Cosignature> = None;
        for payload in parsed.of_key(key) {
            let cosignature =
                Cosignature::read(key, payload, parsed.text).ok_or(CosignatureError::Bad {
                    name: key.name().to_owned(),
                })?;
            latest = latest
                .filter(|earlier| earlier.time > cosignature.time)
                .or(Some(cosignature));
        }
        let is_twice = found.iter().any(|other| other.by == *key);
        found.extend(latest.filter(|_| !is_twice));
    }
    Ok(found)
}

/// Returns the head of the log called `origin` in a note that a known witness has cosigned, with the
/// cosignatures. Whether the log has signed it is not looked at.
pub fn open(
    note: &str,
    known: &[WitnessKey],
    origin: &str,
) -> Result<(Checkpoint, Vec<Cosignature>), CosignatureError> {
    let cosignatures = verify(note, known)?;
    if cosignatures.is_empty() {
        return Err(CosignatureError::Unsigned { known: known.len() });
    }
    let head = Checkpoint::from_text(note::parse(note)?.text).map_err(CosignatureError::Head)?;
    if head.origin() != origin {
        let expected = origin.to_owned();
        return Err(CosignatureError::Head(CheckpointError::OtherLog {
            expected,
        }));
    }
    Ok((head, cosignatures))
}

/// Writes a head without the log's signature, with the cosignatures that stand below it.
pub fn note_of(head: &Checkpoint, cosignatures: &[Cosignature]) -> String {
    let lines: String = cosignatures.iter().map(Cosignature::to_line).collect();
    format!("{}\n{lines}", head.to_text())
}

#[cfg(test)]
mod tests;
