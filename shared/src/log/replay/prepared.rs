//! What can be said of an entry without the ones before it: its leaf, its fields, and whether the
//! signature in it fits. That costs the most and needs no order, so that other threads can do it.

use data_encoding::BASE64;

use super::Problem;
use super::signed::{Word, word_in};
use crate::log::entry::{Entry, EntryError};
use crate::log::tree::{Hash, leaf_hash};
use crate::roster::VerifyError;
use crate::sshsig::{Checked, SigError};
use crate::statement::Decision;

/// An entry that was looked at by itself.
#[derive(Debug)]
pub struct Prepared {
    pub(super) leaf: Hash,
    pub(super) entry: Result<Entry, EntryError>,
    /// The signature, where the entry rests on a person's word that can be read.
    pub(super) signature: Option<Result<Checked, SigError>>,
}

impl Prepared {
    /// Looks at the exact bytes of an entry.
    pub fn of(bytes: &[u8]) -> Self {
        let entry = Entry::read(bytes);
        let signature = entry.as_ref().ok().and_then(signature);
        Self {
            leaf: leaf_hash(bytes),
            entry,
            signature,
        }
    }

    /// Tells whether a person's signature is in the entry, and fits by the key in it; whose key that
    /// is, and whether the entry follows, only the replay can tell.
    ///
    /// # Errors
    ///
    /// What is wrong with the entry by itself, on one line.
    pub fn by_itself(&self) -> Result<bool, String> {
        let entry = match &self.entry {
            Err(error) => return Err(Problem::Entry(error.clone()).to_string()),
            Ok(entry) => entry,
        };
        let said = |error| Problem::Signature(VerifyError::Signature(error)).to_string();
        match &self.signature {
            None if rests_on_a_word(entry) => Err(Problem::Base64.to_string()),
            None => Ok(false),
            Some(Err(error)) => Err(said(error.clone())),
            Some(Ok(checked)) => checked.by_its_own_key().map(|_| true).map_err(said),
        }
    }

    /// Returns the entry, where the bytes are one.
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref().ok()
    }

    /// Returns the hash of the leaf.
    pub const fn leaf(&self) -> &Hash {
        &self.leaf
    }
}

fn signature(entry: &Entry) -> Option<Result<Checked, SigError>> {
    let (namespace, statement, sshsig) = match word_in(&entry.body) {
        Word::Decision(it) => (Decision::NAMESPACE, &it.statement_base64, &it.sshsig),
        Word::Act(kind, it) => (kind.namespace(), &it.statement_base64, &it.sshsig),
        Word::None => return None,
    };
    let message = BASE64.decode(statement.as_bytes()).ok()?;
    Some(Checked::of(sshsig, namespace, &message))
}

fn rests_on_a_word(entry: &Entry) -> bool {
    !matches!(word_in(&entry.body), Word::None)
}
