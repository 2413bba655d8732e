//! One request, checked before anybody looks at it: the document has the digest that the log's
//! first entry about it names, and the log continues every head seen before.

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::shown::{AnswerError, Inclusion};
use countersign_shared::digest::Digest;
use countersign_shared::display::{self, DisplayError, Rendering};
use countersign_shared::document::{Document, DocumentError};
use countersign_shared::log::entry::{Body, Entry, EntryError};
use countersign_shared::machine::Event;
use countersign_shared::wire::pb;

use crate::client::{Client, ClientError};
use crate::console::model::Tier;
use crate::demands::Demands;

/// The request cannot be reviewed.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The daemon did not give it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer cannot be read.
    #[error("the daemon's answer cannot be read")]
    Answer(#[from] AnswerError),
    /// The log did not stand the check.
    #[error("the log is not what it was; decide nothing and tell whoever runs the daemon")]
    Log(#[source] HeadsError),
    /// What is kept of the log here cannot be read or written.
    #[error("nothing can be checked against the log, so nothing is decided")]
    Kept(#[source] HeadsError),
    /// The document is not one.
    #[error("the request document cannot be read")]
    Document(#[source] DocumentError),
    /// The document is not the one that was received.
    #[error("the request document is not the one that the log says was received")]
    OtherDocument,
    /// The entry is not one.
    #[error("the entry `request.received` cannot be read")]
    Entry(#[source] EntryError),
    /// It cannot be shown.
    #[error("the request cannot be shown")]
    Display(#[source] DisplayError),
}

impl ReviewError {
    /// Tells whether the log contradicts itself, so that nothing may be decided any more.
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::Log(_) | Self::OtherDocument | Self::Entry(_) => true,
            Self::Client(_)
            | Self::Answer(_)
            | Self::Kept(_)
            | Self::Document(_)
            | Self::Display(_) => false,
        }
    }
}

impl From<HeadsError> for ReviewError {
    fn from(error: HeadsError) -> Self {
        if error.is_ours() {
            Self::Kept(error)
        } else {
            Self::Log(error)
        }
    }
}

/// Catches up with what other programs of this user were shown, and has it proven to be of one history with
/// what this one was. Returns the size to name in the next call.
///
/// # Errors
///
/// When it cannot be read, asked for, or is not so.
pub async fn caught_up<E>(client: &mut Client, heads: &mut Heads) -> Result<u64, E>
where
    E: From<HeadsError> + From<ClientError>,
{
    let known = heads.catch_up()?;
    match heads.gap() {
        Some(gap) => Ok(heads.bridge(&client.prove_consistency(gap).await?)?),
        None => Ok(known),
    }
}

/// A request, checked and rendered.
#[derive(Debug, Clone)]
pub struct Review {
    /// The answer as it came.
    pub answer: pb::GetResponse,
    /// The document.
    pub document: Document,
    /// What is shown, and signed for.
    pub rendering: Rendering,
}

impl Review {
    /// Loads a request by its id or a prefix, and checks it.
    pub async fn load(
        client: &mut Client,
        heads: &mut Heads,
        id: &str,
    ) -> Result<Self, ReviewError> {
        let known = caught_up::<ReviewError>(client, heads).await?;
        let answer = client.get(id, known).await?;
        Self::check(heads, answer)
    }

    /// Checks an answer.
    pub fn check(heads: &mut Heads, answer: pb::GetResponse) -> Result<Self, ReviewError> {
        let document = Document::read(&answer.document).map_err(ReviewError::Document)?;
        let received = answer
            .received
            .clone()
            .ok_or(AnswerError { field: "received" })?;
        let received = Inclusion::try_from(received)?;
        heads.check(&received, &["request.received"], document.id())?;
        let entry = Entry::read(&received.entry).map_err(ReviewError::Entry)?;
        let rendering = display::render(document.bytes()).map_err(ReviewError::Display)?;
        match &entry.body {
            Body::Request(Event::Received(event))
                if event.digest == document.digest() && event.display == rendering.digest() => {}
            Body::Request(_) | Body::Log(_) => return Err(ReviewError::OtherDocument),
        }
        Ok(Self {
            answer,
            document,
            rendering,
        })
    }

    /// Returns what an approval by this reviewer has to be.
    pub fn demands(&self) -> Demands {
        let listed = self
            .answer
            .summary
            .as_ref()
            .and_then(|summary| Tier::read(&summary.tier));
        Demands::of(
            self.document.value().get("requirement"),
            listed,
            self.answer.self_attests,
        )
    }

    /// Returns the digest that is signed.
    pub fn digest(&self) -> Digest {
        self.document.digest()
    }
}
