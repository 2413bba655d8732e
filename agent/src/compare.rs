//! The request document against the action that was asked for.
//!
//! People sign the document; the executor has the action. Here the two are held against each other,
//! the openings of every mask included, so that what runs is what was shown (R9). Nothing here
//! knows whether the request was approved.

use countersign_shared::digest::Digest;
use countersign_shared::document::{Document, DocumentError};
use countersign_shared::id::RequestId;
use countersign_shared::json::{self, Bounds, JsonError};
use countersign_shared::mask::{self, MaskError, Openings};
use serde_json::Value;

use crate::client::Submitted;
use crate::tickets::Ticket;

/// Openings of no mask.
const NO_OPENINGS: &[u8] = br#"{"openings":[],"v":1}"#;

/// The document is not about what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// It cannot be read.
    #[error("the request document cannot be read")]
    Document(#[source] DocumentError),
    /// It is the document of another request, or of another log.
    #[error("the request document is of another {what}")]
    Other {
        /// What differs.
        what: &'static str,
    },
    /// The action in it is another one.
    #[error("the request document does not hold the action")]
    Action(#[source] MaskError),
    /// The action itself cannot be read.
    #[error("the action cannot be read")]
    Asked(#[source] JsonError),
}

/// A document that was found to hold an action, and what it takes to find that again.
#[derive(Debug)]
pub struct Agreed {
    document: Document,
    openings: Openings,
    joined: bool,
}

impl Agreed {
    /// Checks that the document of `submitted` holds `action`, under the log `origin`.
    ///
    /// # Errors
    /// When anything differs.
    pub fn check(submitted: &Submitted, action: &[u8], origin: &str) -> Result<Self, CompareError> {
        let document = Document::read(&submitted.document).map_err(CompareError::Document)?;
        is_same("request", &document.id(), &submitted.id)?;
        is_same("digest", &document.digest(), &submitted.digest)?;
        is_same("log", &document.origin(), &origin)?;
        // Who joins an earlier asking may get no openings; a document with masks is refused then.
        let openings = match submitted.openings.as_slice() {
            [] => NO_OPENINGS,
            openings => openings,
        };
        let agreed = Self {
            document,
            openings: Openings::read(openings).map_err(CompareError::Action)?,
            joined: submitted.joined,
        };
        agreed.holds(action)?;
        Ok(agreed)
    }

    /// Checks the same for a document that was kept with its ticket, when the action is asked for
    /// again. Claims may differ, as for who joins.
    ///
    /// # Errors
    /// When anything differs.
    pub(crate) fn again(
        ticket: &Ticket,
        document: &[u8],
        openings: &[u8],
        action: &[u8],
        origin: &str,
    ) -> Result<Self, CompareError> {
        let document = Document::read(document).map_err(CompareError::Document)?;
        is_same("request", &document.id(), &ticket.claim.id)?;
        is_same("digest", &document.digest(), &ticket.digest)?;
        is_same("log", &document.origin(), &origin)?;
        let openings = match openings {
            [] => NO_OPENINGS,
            openings => openings,
        };
        let agreed = Self {
            document,
            openings: Openings::read(openings).map_err(CompareError::Action)?,
            joined: true,
        };
        agreed.holds(action)?;
        Ok(agreed)
    }

    /// Returns the request.
    pub const fn id(&self) -> RequestId {
        self.document.id()
    }

    /// Returns the digest that people sign.
    pub const fn digest(&self) -> Digest {
        self.document.digest()
    }

    /// Checks that the document holds `action`.
    ///
    /// # Errors
    /// When it holds another one.
    pub fn holds(&self, action: &[u8]) -> Result<(), CompareError> {
        if !self.joined {
            return mask::check(action, self.document.action(), &self.openings)
                .map_err(CompareError::Action);
        }
        // Who joins an earlier asking of the same action may claim other things about himself, and
        // claims are never executed.
        let mine = self.with_their_claims(action)?;
        mask::check(&mine, self.document.action(), &self.openings).map_err(CompareError::Action)
    }

    fn with_their_claims(&self, action: &[u8]) -> Result<Vec<u8>, CompareError> {
        let bounds = Bounds::of_own(Document::MAX_BYTES);
        let mut mine = json::read_canonical_within(action, &bounds).map_err(CompareError::Asked)?;
        let theirs =
            mask::reveal(self.document.action(), &self.openings).map_err(CompareError::Action)?;
        if let Value::Object(members) = &mut mine {
            members.remove("claims");
            if let Some(claims) = theirs.get("claims") {
                members.insert("claims".to_owned(), claims.clone());
            }
        }
        json::canonical(&mine).map_err(CompareError::Asked)
    }
}

fn is_same<T: PartialEq>(what: &'static str, found: &T, expected: &T) -> Result<(), CompareError> {
    if found == expected {
        Ok(())
    } else {
        Err(CompareError::Other { what })
    }
}

#[cfg(test)]
pub(crate) mod tests;
