//! Why an action was refused.

use crate::json::{JsonError, Pointer};

/// The action does not satisfy the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The bytes are not JSON as it is accepted.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field that must be there is not.
    #[error("the field `{at}` is missing")]
    Missing {
        /// The field.
        at: Pointer,
    },
    /// A field that is not part of the format.
    #[error("the field `{at}` is not known here; only `arguments` of your own kinds are free")]
    Unknown {
        /// The field.
        at: Pointer,
    },
    /// A value has the wrong type.
    #[error("`{at}` must be {expected}")]
    Type {
        /// The value.
        at: Pointer,
        /// What is accepted.
        expected: &'static str,
    },
    /// A value has the right type and is not acceptable.
    #[error("`{at}` must be {expected}")]
    Value {
        /// The value.
        at: Pointer,
        /// What is accepted.
        expected: &'static str,
    },
    /// A text or list is too long.
    #[error("`{at}` has {found} bytes or elements, the limit is {limit}")]
    Length {
        /// The value.
        at: Pointer,
        /// The limit.
        limit: usize,
        /// The length.
        found: usize,
    },
    /// A name that begins with `$` and has no meaning there.
    #[error(
        "`{at}` begins with `$`: only `$secret`, `$parts` and `$number` do, alone in their object"
    )]
    Reserved {
        /// The name.
        at: Pointer,
    },
    /// A secret where everything must be readable.
    #[error("`{at}` must be readable: no secret may stand there")]
    Secret {
        /// The place.
        at: Pointer,
    },
    /// The size of base64 contents is not the stated one.
    #[error("the contents at `{at}` have {found} bytes, `size` says {stated}")]
    Size {
        /// The contents.
        at: Pointer,
        /// What `size` says.
        stated: u64,
        /// How many bytes the base64 text stands for.
        found: usize,
    },
}

impl ActionError {
    /// Returns the stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json(error) => error.code(),
            Self::Missing { .. } => "missing-field",
            Self::Unknown { .. } => "unknown-field",
            Self::Type { .. } => "wrong-type",
            Self::Value { .. } => "bad-value",
            Self::Length { .. } => "too-long",
            Self::Reserved { .. } => "reserved-name",
            Self::Secret { .. } => "secret-not-allowed",
            Self::Size { .. } => "size-differs",
        }
    }

    /// Returns the place the error speaks of, if there is one.
    pub const fn field(&self) -> Option<&Pointer> {
        match self {
            Self::Json(error) => error.at(),
            Self::Missing { at }
            | Self::Unknown { at }
            | Self::Type { at, .. }
            | Self::Value { at, .. }
            | Self::Length { at, .. }
            | Self::Reserved { at }
            | Self::Secret { at }
            | Self::Size { at, .. } => Some(at),
        }
    }

    /// Returns the limit that was passed, if this is about one.
    pub const fn limit(&self) -> Option<usize> {
        match self.measured() {
            Some((limit, _)) => Some(limit),
            None => None,
        }
    }

    /// Returns the size that was found, if this is about a limit.
    pub const fn found(&self) -> Option<usize> {
        match self.measured() {
            Some((_, found)) => Some(found),
            None => None,
        }
    }

    const fn measured(&self) -> Option<(usize, usize)> {
        match self {
            Self::Json(error) => error.measured(),
            Self::Length { limit, found, .. } => Some((*limit, *found)),
            Self::Missing { .. }
            | Self::Unknown { .. }
            | Self::Type { .. }
            | Self::Value { .. }
            | Self::Reserved { .. }
            | Self::Secret { .. }
            | Self::Size { .. } => None,
        }
    }
}
