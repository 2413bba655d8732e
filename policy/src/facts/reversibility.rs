//! Whether an action can be undone, as far as its bytes say.

use serde::{Deserialize, Serialize};

/// What it takes to undo an action, from nothing to more than anybody can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversibility {
    /// Nothing changes.
    ReadOnly,
    /// The request holds what it takes to undo it.
    Reversible,
    /// Another system can undo it.
    ExternallyReversible,
    /// Nobody can.
    Irreversible,
}

impl Reversibility {
    /// Returns the word policies compare with.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Reversible => "reversible",
            Self::ExternallyReversible => "externally-reversible",
            Self::Irreversible => "irreversible",
        }
    }
}

/// Returns the class of the kinds that have one whatever their arguments say.
pub(super) fn of_kind(kind: &str) -> Option<Reversibility> {
    match kind {
        // Data that has left and a key that is gone do not come back.
        "data.export" | "key.rotate" => Some(Reversibility::Irreversible),
        "access.grant" | "model.deploy" | "policy.change" => {
            Some(Reversibility::ExternallyReversible)
        }
        _ => None,
    }
}
