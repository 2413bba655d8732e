//! The action: what an agent asks for, in the one form that is accepted.
//!
//! [`Action::read`] is the only way in. It takes RFC 8785 bytes, knows every field that is ours and
//! refuses all others; what a user's own kind puts into `arguments` is free. Nothing here judges
//! whether the action is wise, and no file is looked at: whether a program or a file is what the
//! action says is the executor's to check. Adapters write actions with [`ActionBuilder`].
//!
//! In `arguments` and in the environment three objects have a meaning of their own, and every
//! other name that begins with `$` is refused:
//!
//! | object | stands for |
//! |---|---|
//! | `{"$secret":"…"}` | a string that is masked before anybody sees it |
//! | `{"$parts":["…",{"$secret":"…"}]}` | a string of which parts are masked |
//! | `{"$number":"…"}` | a number that RFC 8785 cannot carry, such as a 64-bit integer |

mod build;
mod contents;
mod error;
mod exec;
mod object;
mod reserved;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use crate::json;
use crate::limits::Limits;

pub use build::{ActionBuilder, Change, DataUse, Text, number};
pub use contents::Contents;
pub use error::ActionError;
pub use exec::Program;
pub use schema::{Access, KINDS};

pub(crate) use schema::{Form, check};

/// A submitted action that satisfies the schema, its secrets included.
///
/// Its `Debug` shows nothing of it, and its strings are wiped when it is dropped.
#[derive(Clone, PartialEq)]
pub struct Action {
    value: Value,
}

impl Action {
    /// Reads a submitted action.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ActionError> {
        let action = Self {
            value: json::read_canonical(bytes, limits)?,
        };
        check(&action.value, Form::Submitted)?;
        Ok(action)
    }

    /// Returns the whole action, secrets included.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the kind, a dotted verb such as `exec.run`.
    pub fn kind(&self) -> &str {
        text_at(&self.value, "/kind")
    }

    /// Returns the kind of the target, such as `database`.
    pub fn target_kind(&self) -> &str {
        text_at(&self.value, "/target/kind")
    }

    /// Returns the name of the target, as the agent wrote it.
    pub fn target_name(&self) -> &str {
        text_at(&self.value, "/target/name")
    }

    /// Returns what the agent says about itself under `name`, such as `agent` or `reason`.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.value.get("claims")?.get(name)?.as_str()
    }

    /// Returns the action in RFC 8785 form, secrets included.
    pub fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, ActionError> {
        Ok(Zeroizing::new(json::canonical_value(&self.value)?))
    }

    /// Returns what makes two askings the same action: all of it but the `claims` (R13).
    ///
    /// Secrets are part of it, so it only ever goes into a keyed hash.
    pub fn sameness_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ActionError> {
        Ok(Zeroizing::new(json::canonical_without(
            &self.value,
            "claims",
        )?))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Action(…)")
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        wipe(&mut self.value);
    }
}

/// Returns the string at a pointer that the schema has found to be one.
pub(crate) fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Overwrites every string of a value; names are kept.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(elements) => elements.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the one member of an object that has one.
pub(crate) fn only_member(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut members = members.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Some((name, value)),
        _ => None,
    }
}
