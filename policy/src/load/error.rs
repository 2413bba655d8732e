//! Why policies do not load: each mistake with the file, the line, the column and the policy.

use std::fmt;

use cedar_policy::ParseErrors;
use miette::Diagnostic as _;

use super::one_line;
use crate::annotations::AnnotationError;
use crate::place::Place;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadError {
    /// Where, if it stands somewhere.
    pub place: Option<Place>,
    /// The policy's id, if it has one.
    pub policy: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(policy) = &self.policy {
            write!(f, "policy `{policy}`: ")?;
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for LoadError {}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not Cedar.
    #[error("{message}{}", hint(help.as_ref()))]
    Syntax {
        /// What Cedar says.
        message: String,
        /// What Cedar suggests.
        help: Option<String>,
    },
    /// The file is too long.
    #[error("the file has {found} bytes, the limit is {limit}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The size in bytes.
        found: usize,
    },
    /// A policy without a name.
    #[error("every policy needs a name: add `@id(\"…\")`, which approvals and the log will cite")]
    NoId,
    /// The name cannot be one.
    #[error(
        "`{}` cannot name a policy: use a-z, 0-9, `-`, `.` and `_`, at most 64, and not `default`",
        id.escape_debug()
    )]
    BadId {
        /// What was written.
        id: String,
    },
    /// Two policies of one name.
    #[error("there is a policy of this name at {first} already")]
    Twice {
        /// Where the first one stands.
        first: Place,
    },
    /// An annotation is wrong.
    #[error(transparent)]
    Annotation(AnnotationError),
    /// A permit that asks nobody believes the agent.
    #[error(
        "a permit that asks nobody cannot rest on `context.stated`: an agent says there what it \
         likes; ask somebody, or use computed facts"
    )]
    RestsOnStated,
    /// A group that nobody is in.
    #[error("nobody of the roster is in the group `{group}`")]
    UnknownGroup {
        /// The group.
        group: String,
    },
    /// There are too few people.
    #[error("`{review}` can never be satisfied: {missing}")]
    Unsatisfiable {
        /// What is asked for.
        review: String,
        /// Who is missing.
        missing: String,
    },
    /// The policy does not fit the schema.
    #[error("{message}{}", hint(help.as_ref()))]
    Validation {
        /// What Cedar says.
        message: String,
        /// What Cedar suggests.
        help: Option<String>,
    },
    /// The declared kinds do not fit the schema.
    #[error("the schema with the declared kinds does not load: {message}")]
    Schema {
        /// What Cedar says.
        message: String,
    },
    /// The policies do not make a set.
    #[error("the policies do not go together: {message}")]
    Set {
        /// What Cedar says.
        message: String,
    },
    /// The catalogue does not fit the schema.
    #[error("the catalogue of targets does not go with the schema: {message}")]
    Entities {
        /// What Cedar says.
        message: String,
    },
    /// The rules cannot be written for their digest.
    #[error("the policies cannot be written for their digest: {message}")]
    Digest {
        /// Why.
        message: String,
    },
}

impl Problem {
    /// Says what Cedar says; `is_next` tells whether it stumbled over the beginning of the next policy.
    pub(super) fn syntax(error: &ParseErrors, is_next: bool) -> Self {
        let help = if is_next {
            Some("a policy ends with `;`, and the one before this does not".to_owned())
        } else {
            error.help().map(|help| one_line(&help.to_string()))
        };
        Self::Syntax {
            message: one_line(&error.to_string()),
            help,
        }
    }

    /// Tells whether this is a lack of people, which new rules may bring and still take force.
    pub const fn is_lack(&self) -> bool {
        matches!(self, Self::UnknownGroup { .. } | Self::Unsatisfiable { .. })
    }
}

impl PartialOrd for Problem {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Problem {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

fn hint(help: Option<&String>) -> String {
    help.map(|help| format!("; {help}")).unwrap_or_default()
}
