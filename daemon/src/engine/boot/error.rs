//! Why the engine cannot start, and what to do about it.

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::time::Timestamp;

use super::super::EngineError;
use super::super::mark::MarkError;
use crate::keyring::KeyringError;
use crate::rules::RulesError;
use crate::store::StoreError;

/// The engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The database cannot be used.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The stored head is not what the leaves say, or is not signed by the log's key.
    #[error("the log is damaged: {problem}; run `countersign verify`")]
    Log {
        /// What is wrong.
        problem: String,
    },
    /// A stored document cannot be read.
    #[error("the document of {id} is damaged: {problem}")]
    Document {
        /// The request.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// The log began in another mode.
    #[error(
        "the log began in {began} mode, and countersign.toml says {found}; a mode is for good: make \
         another home"
    )]
    Mode {
        /// The mode of the log.
        began: &'static str,
        /// The mode of the configuration.
        found: &'static str,
    },
    /// The rules in force cannot be put together again.
    #[error(
        "the rules in force, {rules}, cannot be put together again from the database; \
         `countersignd adopt-rules` puts those of the files in force without the reviewers"
    )]
    Rules {
        /// Their digest.
        rules: Digest,
        /// Why not.
        #[source]
        source: Option<RulesError>,
    },
    /// The rules that the operator adopts are in force already, or nobody has to sign them.
    #[error("there is nothing to adopt: {0}")]
    NothingToAdopt(&'static str),
    /// The log is not the one that had been reached.
    #[error(
        "{0}; put the newest database back, or go on from this one with `countersignd adopt-rollback \
         --reason WHY`: it is recorded, what waits or is approved is invalidated, and whoever saw more \
         of the log keeps warning"
    )]
    WentBack(MarkError),
    /// How far the log had come cannot be looked up, or not be written.
    #[error(transparent)]
    Mark(MarkError),
    /// The log's keys are not there, or cannot be put where they belong.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The old key of the log has to sign, and is not there.
    #[error(
        "the log's old key `{key}` signs every head until {until}, and no key file of the home holds it; \
         put `log.key.ending` back, or end that key with `countersignd rotate-log-key --finish \
         --reason WHY`"
    )]
    EndingKey {
        /// The verifier key.
        key: String,
        /// When it ends by itself.
        until: Timestamp,
    },
    /// A rotation is not over.
    #[error(
        "the log's key was changed already, and the old one, `{key}`, signs until {until}; wait for \
         that, or end it with `countersignd rotate-log-key --finish --reason WHY`"
    )]
    Overlapping {
        /// The verifier key that ends.
        key: String,
        /// When.
        until: Timestamp,
    },
    /// No key is ending.
    #[error(
        "the log has one key, and none that could be ended; `countersignd rotate-log-key` makes the next"
    )]
    NothingEnds,
    /// The log has no entry yet.
    #[error("the log has not begun, so there is no key to change: start the daemon once")]
    NotBegun,
    /// There is nothing that was lost.
    #[error("the log is where it was; there is nothing to adopt")]
    NothingLost,
    /// There is nothing that could be gone on from.
    #[error("the database is empty, so there is no log to go on from: put a copy of it back")]
    NothingLeft,
    /// The document of a request cannot be erased.
    #[error("the document of {id} is not erased: {why}")]
    Kept {
        /// The request.
        id: RequestId,
        /// Why not.
        why: String,
    },
    /// What has to stand in the log cannot be written.
    #[error("cannot write to the log")]
    First(#[source] EngineError),
    /// The thread cannot be started.
    #[error("cannot start the engine's thread")]
    Thread(#[source] std::io::Error),
}
