//! What can be wrong with an entry, in words for the person who reads `verify`.

use std::fmt;

use crate::digest::Digest;
use crate::id::RequestId;
use crate::log::entry::EntryError;
use crate::log::keys::KeysError;
use crate::log::pruning::PruningError;
use crate::log::tree::TreeError;
use crate::machine::Refused;
use crate::roster::VerifyError;
use crate::statement::{Mismatch, StatementError};
use crate::time::Timestamp;

/// An entry that does not follow from the ones before it.
#[derive(Debug)]
pub struct Finding {
    /// The entry's position, from 0.
    pub index: u64,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.index, self.problem)?;
        match self.request {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The tree cannot take it.
    #[error("{0}")]
    Tree(TreeError),
    /// The bytes are not an entry.
    #[error("not an entry: {}", in_full(.0))]
    Entry(EntryError),
    /// It stands at another place than it says.
    #[error("says that it is entry {found}")]
    Seq {
        /// The position it names.
        found: u64,
    },
    /// It is of another log.
    #[error("is of another log than `{expected}`")]
    Origin {
        /// This log's origin.
        expected: String,
    },
    /// A log begins with its genesis, and has one only.
    #[error("`{found}` stands where {expected} belongs")]
    Genesis {
        /// The entry type found.
        found: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// The log was never signed with the key that it is checked with.
    #[error(
        "the log never had the key that it is checked with; what was made before a change of the key is \
         checked with the one of then (`--vkey FILE`)"
    )]
    LogKey,
    /// A key of the log does not follow from the one before it.
    #[error("{}", in_full(.0))]
    Keys(KeysError),
    /// Other entries are gone than the log says.
    #[error("{0}")]
    Pruning(PruningError),
    /// The head that two keys signed together is not one of this log.
    #[error("holds a head of {size} entries with another root than the log had")]
    Handover {
        /// The head's size.
        size: u64,
    },
    /// Time goes back without an entry that says so.
    #[error("its time {found} is before {last}, that of the entry before it")]
    TimeWentBack {
        /// The time of the entry before.
        last: Timestamp,
        /// Its time.
        found: Timestamp,
    },
    /// It is about a request and names none, or the reverse.
    #[error("`{entry_type}` {problem}")]
    Subject {
        /// The entry type.
        entry_type: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// Somebody else brought it about than can have.
    #[error("`{entry_type}` cannot be brought about by `{found}`")]
    Actor {
        /// The entry type.
        entry_type: &'static str,
        /// Who is named.
        found: String,
    },
    /// The request was never received.
    #[error("is about a request that was not received before")]
    Unknown,
    /// The request was received before.
    #[error("the request was received before, as entry {at}")]
    Twice {
        /// The earlier entry.
        at: u64,
    },
    /// Another entry had to come first.
    #[error("`{owed}` of {id} had to come first, in the same step")]
    Owed {
        /// What was owed.
        owed: &'static str,
        /// The request.
        id: RequestId,
    },
    /// It was owed, and is of another moment or by somebody else than what it follows from.
    #[error("differs in its {what} from the entry it follows from")]
    Follows {
        /// What differs.
        what: &'static str,
    },
    /// The log ends before what is owed.
    #[error("the log ends, and `{owed}` of {id} had to follow")]
    EndsOwing {
        /// What is owed.
        owed: &'static str,
        /// The request.
        id: RequestId,
    },
    /// The request machine does not take it.
    #[error("the request machine refuses it: {0}")]
    Machine(Refused),
    /// It tells of data, and does not stand behind the entry that says the action ran.
    #[error("does not stand right behind the entry that says the action ran")]
    DidNotRun,
    /// It names other rules than are in force.
    #[error("names the rules {found}, in force are {expected}")]
    Rules {
        /// The rules in force.
        expected: Digest,
        /// The rules it names.
        found: Digest,
    },
    /// It was received in another mode than the log is kept in.
    #[error("names another mode than the log began with")]
    Mode,
    /// In system mode reviewers sign new rules.
    #[error("puts rules in force that not enough reviewers of the moment had signed")]
    Unsigned,
    /// It is said to take only, and does more.
    #[error("takes force as a removal of people or keys, and is none")]
    NoRemoval,
    /// The rules it is about do not wait for what it does.
    #[error("is about the rules {found}, and no such {expected}")]
    NotWaiting {
        /// The rules it names.
        found: Digest,
        /// What there is none of.
        expected: &'static str,
    },
    /// A person signed the same rules before.
    #[error("`{name}` had signed these rules before")]
    SignedTwice {
        /// The person.
        name: String,
    },
    /// The people it puts in force do not make a roster.
    #[error("the roster it puts in force: {problem}")]
    Roster {
        /// What is wrong.
        problem: String,
    },
    /// A field of the event is not what follows.
    #[error("its `{field}` is not what the entry itself implies")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// A statement is not base64.
    #[error("its statement is not base64")]
    Base64,
    /// A statement cannot be read.
    #[error("its statement cannot be read: {0}")]
    Statement(StatementError),
    /// A statement is of another kind than the entry.
    #[error("its statement is of another kind than the entry")]
    Kind,
    /// Somebody broke the glass who may not.
    #[error("`{name}` is not among those who may break the glass")]
    NotListed {
        /// The person.
        name: String,
    },
    /// A signature is not the person's.
    #[error("its signature does not count: {0}")]
    Signature(VerifyError),
    /// A statement does not fit the request or the log.
    #[error("its statement does not fit: {0}")]
    Mismatch(Mismatch),
    /// The person is not as the roster has them.
    #[error("`{name}` stands in it differently than in the roster in force")]
    Member {
        /// The person.
        name: String,
    },
    /// The event says something else than the statement in it.
    #[error("its `{field}` is not what the signed statement says")]
    NotStated {
        /// The field.
        field: &'static str,
    },
    /// It was recorded long after the statement had expired.
    #[error("recorded at {recorded}, and the statement expired at {expired}")]
    KeptBack {
        /// The entry's time.
        recorded: Timestamp,
        /// When it expired.
        expired: Timestamp,
    },
    /// It was recorded at another time than it was handed in.
    #[error("recorded at {recorded}, and said to be handed in at {handed_in}")]
    HandedIn {
        /// The entry's time.
        recorded: Timestamp,
        /// The decision's time.
        handed_in: Timestamp,
    },
}

/// Writes an error with its causes on one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
