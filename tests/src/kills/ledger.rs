//! What the daemon has acknowledged, as the callers wrote it down.
//!
//! An acknowledgement counts from the moment its answer was read. Each one that comes with a proof
//! is checked on the spot; that it also stays true is checked by [`Witness`](super::witness).

use std::collections::BTreeMap;

use countersign_client::shown::Inclusion;
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::proof::verify_inclusion;
use countersign_shared::log::tree::{Hash, leaf_hash};
use countersign_shared::statement::Verdict;
use countersign_shared::wire::pb;

use crate::installation::Outcome;

/// What was acknowledged about one request.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The digest of the document that Submit gave.
    pub digest: Digest,
    /// The statements that were signed about it, whether or not they arrived.
    pub signed: Vec<Vec<u8>>,
    /// The decision that was acknowledged.
    pub decided: Option<Verdict>,
    /// How often a redemption was acknowledged.
    pub redeemed: u32,
    /// How often its side effect took place.
    pub ran: u32,
    /// Whether a report was acknowledged.
    pub reported: bool,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    key: VerifierKey,
    /// What was acknowledged, by request.
    pub requests: BTreeMap<RequestId, Known>,
    /// The entries that were proven to a caller: position and leaf hash.
    pub entries: Vec<(u64, Hash)>,
    /// The heads that were shown to a caller: size and root.
    pub heads: Vec<(u64, Hash)>,
}

impl Ledger {
    /// Makes an empty one for the log that signs with `key`.
    pub(super) const fn new(key: VerifierKey) -> Self {
        Self {
            key,
            requests: BTreeMap::new(),
            entries: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// Writes down that Submit was answered.
    ///
    /// # Errors
    ///
    /// When the answer contradicts an earlier one.
    pub(super) fn submitted(&mut self, answer: &pb::SubmitResponse) -> Outcome<RequestId> {
        let id: RequestId = answer.id.parse()?;
        let digest = Digest::of(&answer.document);
        let known = self.requests.entry(id).or_insert_with(|| Known {
            digest,
            signed: Vec::new(),
            decided: None,
            redeemed: 0,
            ran: 0,
            reported: false,
        });
        if known.digest != digest {
            return Err(format!("{id} has two documents").into());
        }
        let head = answer.head.as_ref().ok_or("an answer without a head")?;
        self.head(&head.note)?;
        Ok(id)
    }

    /// Returns what is known about a request.
    ///
    /// # Errors
    ///
    /// When it was never acknowledged.
    pub(super) fn of(&mut self, id: RequestId) -> Outcome<&mut Known> {
        Ok(self
            .requests
            .get_mut(&id)
            .ok_or_else(|| format!("{id} was never acknowledged"))?)
    }

    /// Checks an entry that an answer proves, and writes it down.
    ///
    /// # Errors
    ///
    /// When it is not proven.
    pub(super) fn proven(&mut self, shown: Option<pb::Inclusion>) -> Outcome<()> {
        let shown: Inclusion = shown.ok_or("an answer without its entry")?.try_into()?;
        let (size, root) = self.head(&shown.head.note)?;
        let leaf = leaf_hash(&shown.entry);
        let head = countersign_shared::log::tree::TreeHead { size, root };
        verify_inclusion(&leaf, shown.index, &head, &shown.proof)?;
        self.entries.push((shown.index, leaf));
        Ok(())
    }

    fn head(&mut self, note: &str) -> Outcome<(u64, Hash)> {
        let keys = std::slice::from_ref(&self.key);
        let head = checkpoint::open(note, keys, self.key.name())?;
        self.heads.push((head.size(), *head.root()));
        Ok((head.size(), *head.root()))
    }
}
