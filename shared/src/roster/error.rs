//! What can be wrong with a roster, and with a signature by someone in it.

use super::KeyError;
use crate::sshsig::SigError;
use crate::time::Timestamp;

/// Why people do not make up a roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// A name cannot be written in `allowed_signers`, or could be taken for another.
    #[error(
        "the name {} is not usable: 1 to {limit} letters, digits and `@ . _ + -`, a letter or digit \
         first, ASCII only",
        quote(name)
    )]
    Name {
        /// The name.
        name: String,
        /// The limit in characters.
        limit: usize,
    },
    /// Two people have one name, or names that differ in capitals only.
    #[error("the names `{first}` and `{second}` are the same, or differ in capitals only")]
    SameName {
        /// The one name.
        first: String,
        /// The other name.
        second: String,
    },
    /// An OS account cannot be one.
    #[error("`{name}` has the OS account {}, which cannot be one", quote(user))]
    User {
        /// The person's name.
        name: String,
        /// The account.
        user: String,
    },
    /// Two people have one OS account.
    #[error(
        "`{first}` and `{second}` have the same OS account `{user}`; a person needs one of their own"
    )]
    SameUser {
        /// The one person's name.
        first: String,
        /// The other person's name.
        second: String,
        /// The account.
        user: String,
    },
    /// A group's name is not usable.
    #[error(
        "`{name}` is in the group {}: a group is 1 to {limit} of `a-z 0-9 -`, not `anyone` or \
         `nobody`",
        quote(group)
    )]
    Group {
        /// The person's name.
        name: String,
        /// The group.
        group: String,
        /// The limit in characters.
        limit: usize,
    },
    /// A key is not usable.
    #[error("the key {index} of `{name}` is not usable")]
    Key {
        /// The person's name.
        name: String,
        /// Which of the person's keys, from 1.
        index: usize,
        /// Why not.
        #[source]
        source: KeyError,
    },
    /// A key stands twice.
    #[error(
        "the key `{fingerprint}` belongs to `{first}` and to `{second}`; a key has one owner and stands once"
    )]
    SameKey {
        /// The key's fingerprint.
        fingerprint: String,
        /// The one owner's name.
        first: String,
        /// The other owner's name.
        second: String,
    },
}

/// Writes text that may hold anything so that it stays on one line.
fn quote(text: &str) -> String {
    format!("`{}`", text.escape_default())
}

/// Why a signature is not one by a person of the roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The roster has no such person.
    #[error("{} is not in the roster", quote(name))]
    Unknown {
        /// The name.
        name: String,
    },
    /// The key is not one of the person's.
    #[error("the key `{fingerprint}` is not one of the keys of `{name}`")]
    NotTheirs {
        /// The person's name.
        name: String,
        /// The key's fingerprint.
        fingerprint: String,
    },
    /// The key's time is over.
    #[error("the key `{fingerprint}` of `{name}` expired at {valid_before}")]
    Expired {
        /// The person's name.
        name: String,
        /// The key's fingerprint.
        fingerprint: String,
        /// When it expired.
        valid_before: Timestamp,
    },
    /// The signature itself is not accepted.
    #[error(transparent)]
    Signature(#[from] SigError),
}
