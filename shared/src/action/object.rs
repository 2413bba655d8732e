//! A JSON value together with its place, for checks that name what they refuse.

use serde_json::{Map, Value};

use super::ActionError;
use crate::json::Pointer;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Placed<'v> {
    pub(super) at: Pointer,
    pub(super) value: &'v Value,
}

impl<'v> Placed<'v> {
    pub(super) const fn root(value: &'v Value) -> Self {
        Self {
            at: Pointer::root(),
            value,
        }
    }

    pub(super) fn wrong_type(&self, expected: &'static str) -> ActionError {
        // A secret in a readable place deserves to be named as what it is.
        if self.value.as_object().is_some_and(|members| {
            members.contains_key("$secret") || members.contains_key("$parts")
        }) {
            return ActionError::Secret {
                at: self.at.clone(),
            };
        }
        ActionError::Type {
            at: self.at.clone(),
            expected,
        }
    }

    pub(super) fn bad_value(&self, expected: &'static str) -> ActionError {
        ActionError::Value {
            at: self.at.clone(),
            expected,
        }
    }

    /// Takes the value as an object that has no other fields than these.
    pub(super) fn fields(&self, known: &[&str]) -> Result<Fields<'v>, ActionError> {
        let fields = self.object()?;
        match fields
            .members
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            Some(name) => Err(ActionError::Unknown {
                at: self.at.member(name),
            }),
            None => Ok(fields),
        }
    }

    /// Takes the value as an object of any fields.
    pub(super) fn object(&self) -> Result<Fields<'v>, ActionError> {
        match self.value.as_object() {
            Some(members)
                if !members.contains_key("$secret") && !members.contains_key("$parts") =>
            {
                Ok(Fields {
                    at: self.at.clone(),
                    members,
                })
            }
            Some(_) | None => Err(self.wrong_type("an object")),
        }
    }

    pub(super) fn elements(&self) -> Result<impl Iterator<Item = Self>, ActionError> {
        let elements = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong_type("an array"))?;
        let at = self.at.clone();
        Ok(elements
            .iter()
            .enumerate()
            .map(move |(index, value)| Placed {
                at: at.element(index),
                value,
            }))
    }

    pub(super) fn text(&self) -> Result<&'v str, ActionError> {
        self.value
            .as_str()
            .ok_or_else(|| self.wrong_type("a string"))
    }

    /// Takes the value as a string of 1 to `limit` bytes.
    pub(super) fn short_text(&self, limit: usize) -> Result<&'v str, ActionError> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(self.bad_value("a string that is not empty"));
        }
        if text.len() > limit {
            return Err(ActionError::Length {
                at: self.at.clone(),
                limit,
                found: text.len(),
            });
        }
        Ok(text)
    }

    pub(super) fn null_or(&self) -> Option<&Self> {
        (!self.value.is_null()).then_some(self)
    }
}

/// An object and where it stands.
pub(super) struct Fields<'v> {
    pub(super) at: Pointer,
    pub(super) members: &'v Map<String, Value>,
}

impl<'v> Fields<'v> {
    pub(super) fn optional(&self, name: &str) -> Option<Placed<'v>> {
        self.members.get(name).map(|value| Placed {
            at: self.at.member(name),
            value,
        })
    }

    pub(super) fn required(&self, name: &str) -> Result<Placed<'v>, ActionError> {
        self.optional(name).ok_or_else(|| ActionError::Missing {
            at: self.at.member(name),
        })
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&'v str, Placed<'v>)> {
        self.members.iter().map(|(name, value)| {
            let at = self.at.member(name);
            (name.as_str(), Placed { at, value })
        })
    }
}
