//! Signed notes (C2SP `signed-note`): a text, a blank line, and signatures.
//!
//! Only Ed25519 (type `0x01`) is made and checked here; those of witnesses (type `0x04`) are in
//! [`cosignature`](super::cosignature). Signatures of keys the verifier does not know, of any type,
//! are ignored, as the specification asks. This is stricter than the specification in
//! that a note has no control character but newline, where only those below U+0020 are forbidden:
//! notes reach terminals.
//!
//! [`SignerKey::sign`] makes a note; [`verify`] returns the text only when at least one known key
//! signed it and no known key's signature is wrong.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey};

mod key;

pub use key::{Key, KeyError, VerifierKey, WitnessKey};

/// The largest note that is read, in bytes.
pub const MAX_NOTE: usize = 256 * 1024;

/// The largest number of signatures a note may have.
pub const MAX_SIGNATURES: usize = 100;

/// What every signature line begins with: an em dash and a space.
pub const SIGNATURE_MARK: &str = "\u{2014} ";

/// A note that cannot be made or must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note is too long.
    #[error("a note has at most {MAX_NOTE} bytes, and this one has {found}")]
    TooLong {
        /// The number of bytes found.
        found: usize,
    },
    /// The text is empty or its last line does not end.
    #[error("the text of a note ends with a newline")]
    Unfinished,
    /// There is a control character other than newline.
    #[error("a note has no control character but newline, and byte {at} begins one")]
    Control {
        /// The character's place, in bytes from 0.
        at: usize,
    },
    /// There is no blank line with signature lines after it.
    #[error("the note has no blank line with signatures below it")]
    NoSignatures,
    /// There are too many signature lines.
    #[error("a note has at most {MAX_SIGNATURES} signatures, and this one has {found}")]
    TooManySignatures {
        /// The number found.
        found: usize,
    },
    /// A line below the blank line is not a signature.
    #[error("signature line {line} is not an em dash, a key's name and a signature in base64")]
    SignatureLine {
        /// The line's place below the blank line, from 1.
        line: usize,
    },
    /// Two of the verifier's keys cannot be told apart in a signature line.
    #[error("two different keys are called `{name}` and have one key id")]
    AmbiguousKey {
        /// The name of both.
        name: String,
    },
    /// The signature of a known key is wrong, so nothing in the note is believed.
    #[error("the signature of `{name}` is not over this text")]
    BadSignature {
        /// The key's name.
        name: String,
    },
    /// No known key has signed.
    #[error("none of the {known} known keys has signed the note")]
    Unsigned {
        /// How many keys the verifier knows.
        known: usize,
    },
}

/// The text of a note, and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The signed text, with its last newline.
    pub text: String,
    /// The known keys that signed it: at least one, each once, in the order of the signatures.
    pub by: Vec<VerifierKey>,
}

/// An Ed25519 key that signs notes under a name.
///
/// The secret is wiped when the value is dropped; `Debug` shows the public half.
pub struct SignerKey {
    secret: SigningKey,
    verifier: VerifierKey,
}

impl std::fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignerKey")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

impl SignerKey {
    /// Makes the key called `name` from the 32 secret bytes of RFC 8032 section 5.1.5, which the
    /// caller draws at random and wipes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, secret.verifying_key().as_bytes())?;
        Ok(Self { secret, verifier })
    }

    /// Returns the public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Returns the name the key signs under.
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// Signs `text`, which ends with a newline, and returns the note.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let note = self.seal(text);
        match note.len() {
            0..=MAX_NOTE => Ok(note),
            found => Err(NoteError::TooLong { found }),
        }
    }

    /// Signs a text that is known to be fit for a note.
    pub(super) fn seal(&self, text: &str) -> String {
        format!("{text}\n{}", self.line(text))
    }

    /// Makes the signature line over a text that is known to be fit for a note.
    pub(super) fn line(&self, text: &str) -> String {
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(&self.secret.sign(text.as_bytes()).to_bytes());
        let name = self.name();
        format!("{SIGNATURE_MARK}{name} {}\n", BASE64.encode(&signature))
    }
}

/// A signature line that has the right form.
struct SignatureLine<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// A note that has the right form; no signature in it is checked.
pub(super) struct Parsed<'a> {
    pub(super) text: &'a str,
    signatures: Vec<SignatureLine<'a>>,
}

impl Parsed<'_> {
    /// Returns what stands behind a key's name and id, in the order of the lines.
    pub(super) fn of_key<const TYPE: u8>(&self, key: &Key<TYPE>) -> impl Iterator<Item = &[u8]> {
        self.signatures
            .iter()
            .filter(|line| line.name == key.name() && line.id == *key.id())
            .map(|line| line.signature.as_slice())
    }
}

/// Writes a signature line, with its newline.
pub(super) fn line_of<const TYPE: u8>(key: &Key<TYPE>, signature: &[u8]) -> String {
    let bytes = [key.id().as_slice(), signature].concat();
    let name = key.name();
    format!("{SIGNATURE_MARK}{name} {}\n", BASE64.encode(&bytes))
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() && *c != '\n')
    {
        Some((at, _)) => Err(NoteError::Control { at }),
        None => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Unfinished);
    }
    check_characters(text)
}

fn signature_line(line: &str) -> Option<SignatureLine<'_>> {
    let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    let bytes = BASE64.decode(base64.as_bytes()).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    if !key::is_name(name) || signature.is_empty() {
        return None;
    }
    Some(SignatureLine {
        name,
        id: *id,
        signature: signature.to_vec(),
    })
}

/// Takes a note apart without believing it.
pub(super) fn parse(note: &str) -> Result<Parsed<'_>, NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::TooLong { found: note.len() });
    }
    check_characters(note)?;
    // The text may hold blank lines; the signatures cannot, so the last one divides.
    let (text, lines) = note
        .rsplit_once("\n\n")
        .and_then(|(text, lines)| {
            let text = note.get(..=text.len())?;
            Some((text, lines.strip_suffix('\n')?))
        })
        .ok_or(NoteError::NoSignatures)?;
    let found = lines.split('\n').count();
    if found > MAX_SIGNATURES {
        return Err(NoteError::TooManySignatures { found });
    }
    let signatures = lines
        .split('\n')
        .zip(1..)
        .map(|(text, line)| signature_line(text).ok_or(NoteError::SignatureLine { line }))
        .collect::<Result<_, _>>()?;
    Ok(Parsed { text, signatures })
}

/// Checks a note against the keys the caller knows and returns what it says.
///
/// Signatures of other keys are ignored. One wrong signature of a known key, and the note is
/// refused whatever the others say.
pub fn verify(note: &str, known: &[VerifierKey]) -> Result<Verified, NoteError> {
    let parsed = parse(note)?;
    let mut by: Vec<VerifierKey> = Vec::new();
    for line in &parsed.signatures {
        let mut keys = known
            .iter()
            .filter(|key| key.name() == line.name && *key.id() == line.id);
        let Some(key) = keys.next() else { continue };
        if keys.any(|other| other != key) {
            let name = key.name().to_owned();
            return Err(NoteError::AmbiguousKey { name });
        }
        let good = Signature::from_slice(&line.signature)
            .is_ok_and(|signature| key.accepts(parsed.text.as_bytes(), &signature));
        if !good {
            let name = key.name().to_owned();
            return Err(NoteError::BadSignature { name });
        }
        if !by.contains(key) {
            by.push(key.clone());
        }
    }
    if by.is_empty() {
        return Err(NoteError::Unsigned { known: known.len() });
    }
    Ok(Verified {
        text: parsed.text.to_owned(),
        by,
    })
}

/// Writes a note anew with the signatures of known keys alone: what others put below it is not kept.
///
/// # Errors
///
/// As [`verify`].
pub fn signed_by_known(note: &str, known: &[VerifierKey]) -> Result<String, NoteError> {
    let verified = verify(note, known)?;
    let parsed = parse(note)?;
    let mut kept = format!("{}\n", parsed.text);
    for key in &verified.by {
        // Each of them was checked.
        if let Some(signature) = parsed.of_key(key).next() {
            kept.push_str(&line_of(key, signature));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
