//! The members of an object, taken out one by one; what is left is what nobody knew.

use serde_json::{Map, Value};

/// A field is missing, or of another type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field `{name}` {problem}")]
pub(in crate::hook) struct FieldError {
    name: String,
    problem: &'static str,
}

/// An object whose members are taken out.
#[derive(Debug)]
pub(in crate::hook) struct Fields {
    members: Map<String, Value>,
    /// The names down to it, with a dot behind.
    at: String,
}

impl Fields {
    /// Takes an object; `at` is how errors name it.
    pub(in crate::hook) fn new(members: Map<String, Value>, at: &str) -> Self {
        Self {
            members,
            at: at.to_owned(),
        }
    }

    /// Returns what was not taken.
    pub(in crate::hook) fn into_rest(self) -> Map<String, Value> {
        self.members
    }

    /// Takes a text.
    pub(in crate::hook) fn text(&mut self, name: &str) -> Result<String, FieldError> {
        self.optional_text(name)?
            .ok_or_else(|| self.error(name, "is missing"))
    }

    /// Takes a text that may be absent or null.
    pub(in crate::hook) fn optional_text(
        &mut self,
        name: &str,
    ) -> Result<Option<String>, FieldError> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "is not a text")),
        }
    }

    /// Takes a text that has several names, of which one is there. Of two, nobody could tell which one
    /// the tool goes by.
    pub(in crate::hook) fn text_of(&mut self, names: &[&str]) -> Result<String, FieldError> {
        match self.one_of(names)? {
            Some(name) => self.text(name),
            None => Err(self.error(names.first().copied().unwrap_or_default(), "is missing")),
        }
    }

    /// Returns which of several names of one thing is there.
    pub(in crate::hook) fn one_of<'n>(
        &self,
        names: &[&'n str],
    ) -> Result<Option<&'n str>, FieldError> {
        let mut there = names
            .iter()
            .filter(|name| self.members.contains_key(**name));
        match (there.next(), there.next()) {
            (first, None) => Ok(first.copied()),
            (_, Some(second)) => Err(self.error(second, "is given with another name at once")),
        }
    }

    /// Returns the first name that is there and not among these.
    pub(in crate::hook) fn other_than(&self, known: &[&str]) -> Option<&str> {
        let mut names = self.members.keys().map(String::as_str);
        names.find(|name| !known.contains(name))
    }

    /// Refuses what is there besides these names.
    pub(in crate::hook) fn only(&self, known: &[&str]) -> Result<(), FieldError> {
        match self.other_than(known) {
            Some(name) => Err(self.error(name, "is none that is known of this tool")),
            None => Ok(()),
        }
    }

    /// Refuses these names.
    pub(in crate::hook) fn without(&self, names: &[&str]) -> Result<(), FieldError> {
        match names.iter().find(|name| self.members.contains_key(**name)) {
            Some(name) => Err(self.error(name, "is none that is known of this tool")),
            None => Ok(()),
        }
    }

    /// Takes a truth value that may be absent or null.
    pub(in crate::hook) fn optional_flag(
        &mut self,
        name: &str,
    ) -> Result<Option<bool>, FieldError> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.error(name, "is neither true nor false")),
        }
    }

    /// Takes a number of things that may be absent or null.
    pub(in crate::hook) fn optional_number(
        &mut self,
        name: &str,
    ) -> Result<Option<u64>, FieldError> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| self.error(name, "is not a whole number")),
        }
    }

    /// Takes an object.
    pub(in crate::hook) fn object(&mut self, name: &str) -> Result<Self, FieldError> {
        self.optional_object(name)?
            .ok_or_else(|| self.error(name, "is missing"))
    }

    /// Takes an object that may be absent or null.
    pub(in crate::hook) fn optional_object(
        &mut self,
        name: &str,
    ) -> Result<Option<Self>, FieldError> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self {
                members,
                at: format!("{}{name}.", self.at),
            })),
            Some(_) => Err(self.error(name, "is not an object")),
        }
    }

    /// Takes a list of objects.
    pub(in crate::hook) fn objects(&mut self, name: &str) -> Result<Vec<Self>, FieldError> {
        let Some(Value::Array(elements)) = self.members.remove(name) else {
            return Err(self.error(name, "is not a list"));
        };
        let mut objects = Vec::new();
        for (index, element) in elements.into_iter().enumerate() {
            let Value::Object(members) = element else {
                return Err(self.error(name, "holds something that is not an object"));
            };
            let at = format!("{}{name}.{index}.", self.at);
            objects.push(Self { members, at });
        }
        Ok(objects)
    }

    /// Looks at a text that may be absent or null without taking it.
    pub(in crate::hook) fn look_text(&self, name: &str) -> Result<Option<&str>, FieldError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "is not a text")),
        }
    }

    /// Looks at a text that has to be there without taking it.
    pub(in crate::hook) fn text_at(&self, name: &str) -> Result<&str, FieldError> {
        self.look_text(name)?
            .ok_or_else(|| self.error(name, "is missing"))
    }

    /// Looks at a text without taking it, whatever else may be there.
    pub(in crate::hook) fn peek_text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// Tells whether an object inside says that something is so.
    pub(in crate::hook) fn flag_inside(&self, name: &str, flag: &str) -> bool {
        let inner = self.members.get(name).and_then(|inner| inner.get(flag));
        inner.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Tells whether an object inside has a member that is not null.
    pub(in crate::hook) fn has_inside(&self, name: &str, member: &str) -> bool {
        let inner = self.members.get(name).and_then(|inner| inner.get(member));
        inner.is_some_and(|member| !member.is_null())
    }

    fn error(&self, name: &str, problem: &'static str) -> FieldError {
        FieldError {
            name: format!("{}{name}", self.at),
            problem,
        }
    }
}
