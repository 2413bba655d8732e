//! Writing actions: for the adapters on the agents' side.
//!
//! A builder only arranges; [`ActionBuilder::build`] writes the bytes and reads them back through
//! the schema, so what it returns is accepted by the daemon with the same limits.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use super::{Access, Action, ActionError, Contents, Program};
use crate::json;
use crate::limits::Limits;

/// A string of the kernel's, or one that holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Value);

impl Text {
    /// Takes a string as it is.
    pub fn clear(text: impl Into<String>) -> Self {
        Self(Value::String(text.into()))
    }

    /// Takes bytes, as a string where they are UTF-8.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        match Contents::of(bytes) {
            Contents::Text(text) => Self::clear(text),
            Contents::Bytes(bytes) => Self(json!({ "base64": BASE64.encode(&bytes) })),
        }
    }

    /// Takes a string nobody but the executor shall see.
    pub fn secret(value: impl Into<String>) -> Self {
        Self(json!({ "$secret": value.into() }))
    }

    /// Takes a string with a secret between two clear texts, each of which may be empty.
    pub fn around(before: &str, secret: &str, after: &str) -> Self {
        if before.is_empty() && after.is_empty() {
            return Self::secret(secret);
        }
        let mut parts = Vec::new();
        if !before.is_empty() {
            parts.push(Value::from(before));
        }
        parts.push(json!({ "$secret": secret }));
        if !after.is_empty() {
            parts.push(Value::from(after));
        }
        Self(json!({ "$parts": parts }))
    }

    /// Returns the form that stands in an action.
    pub fn into_value(self) -> Value {
        self.0
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(…)")
    }
}

/// A file that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's path.
    pub path: String,
    /// The contents now, `None` when there is no file.
    pub before: Option<Contents>,
    /// The contents then, `None` when the file is removed.
    pub after: Option<Contents>,
    /// The permissions then, in octal digits, when they change.
    pub mode: Option<String>,
}

/// Data that would be touched, as far as the agent can tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataUse {
    /// The name of the data set or table.
    pub name: String,
    /// What the agent takes it for, such as `pii`.
    pub classification: Option<String>,
    /// What is done to it.
    pub access: Access,
    /// How many records.
    pub records: Option<u64>,
    /// Where they go.
    pub destination: Option<String>,
}

/// Returns the form in which an action carries a number, from its JSON text.
///
/// `None` when the text is no number in the grammar of RFC 8259.
pub fn number(token: &str) -> Option<Value> {
    if !super::reserved::is_number(token) {
        return None;
    }
    // What the strict reader takes, it takes as exactly this number.
    let plain = json::read_canonical(token.as_bytes(), &Limits::default());
    Some(plain.unwrap_or_else(|_| json!({ "$number": token })))
}

/// An action in the making.
#[derive(Clone)]
#[must_use]
pub struct ActionBuilder {
    members: Map<String, Value>,
    context: Map<String, Value>,
    environment: Map<String, Value>,
}

impl ActionBuilder {
    /// Begins an action of any kind, without arguments.
    pub fn new(kind: &str, target_kind: &str, target_name: &str) -> Self {
        let mut members = Map::new();
        members.insert("v".to_owned(), json!(1));
        members.insert("kind".to_owned(), json!(kind));
        let target = json!({ "kind": target_kind, "name": target_name });
        members.insert("target".to_owned(), target);
        members.insert("arguments".to_owned(), json!({}));
        Self {
            members,
            context: Map::new(),
            environment: Map::new(),
        }
    }

    /// Begins an `exec.run`.
    pub fn exec(
        target_kind: &str,
        target_name: &str,
        argv: Vec<Text>,
        program: &Program,
        stdin: Option<&Contents>,
    ) -> Self {
        let argv: Vec<Value> = argv.into_iter().map(Text::into_value).collect();
        Self::new("exec.run", target_kind, target_name)
            .argument("argv", Value::Array(argv))
            .argument("program", program.to_value())
            .argument("stdin", stdin.map_or(Value::Null, Contents::to_value))
    }

    /// Sets one argument.
    pub fn argument(mut self, name: &str, value: Value) -> Self {
        if let Some(arguments) = self
            .members
            .get_mut("arguments")
            .and_then(Value::as_object_mut)
        {
            arguments.insert(name.to_owned(), value);
        }
        self
    }

    /// Sets all arguments.
    pub fn arguments(mut self, arguments: Map<String, Value>) -> Self {
        let arguments = Value::Object(arguments);
        self.members.insert("arguments".to_owned(), arguments);
        self
    }

    /// Adds a file that would change.
    pub fn change(self, change: &Change) -> Self {
        let side = |side: &Option<Contents>| side.as_ref().map(Contents::to_value);
        self.add(
            "changes",
            json!({
                "path": change.path,
                "before": side(&change.before),
                "after": side(&change.after),
                "mode": change.mode,
            }),
        )
    }

    /// Adds data that would be touched.
    pub fn data(self, data: &DataUse) -> Self {
        self.add(
            "data",
            json!({
                "name": data.name,
                "classification": data.classification,
                "access": data.access.as_str(),
                "records": data.records.map(Number::from),
                "destination": data.destination,
            }),
        )
    }

    /// Sets the working directory.
    pub fn cwd(mut self, path: &str) -> Self {
        self.context.insert("cwd".to_owned(), json!(path));
        self
    }

    /// Sets the ticket the agent works on.
    pub fn ticket(mut self, ticket: &str) -> Self {
        self.context.insert("ticket".to_owned(), json!(ticket));
        self
    }

    /// Sets a variable of the environment.
    pub fn environment(mut self, name: &str, value: Text) -> Self {
        self.environment.insert(name.to_owned(), value.into_value());
        self
    }

    /// Sets something the agent says about itself: `agent`, `model`, `session`, `reason`, …
    pub fn claim(mut self, name: &str, text: &str) -> Self {
        let claims = self.members.entry("claims").or_insert_with(|| json!({}));
        if let Some(claims) = claims.as_object_mut() {
            claims.insert(name.to_owned(), json!(text));
        }
        self
    }

    /// Writes the action in RFC 8785 form, if the schema accepts it.
    pub fn build(mut self, limits: &Limits) -> Result<Vec<u8>, ActionError> {
        if !self.environment.is_empty() {
            let environment = Value::Object(self.environment);
            self.context.insert("environment".to_owned(), environment);
        }
        if !self.context.is_empty() {
            let context = Value::Object(self.context);
            self.members.insert("context".to_owned(), context);
        }
        let bytes = json::canonical(&self.members)?;
        Action::read(&bytes, limits)?;
        Ok(bytes)
    }

    fn add(mut self, list: &str, item: Value) -> Self {
        let list = self.members.entry(list).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(item);
        }
        self
    }
}

impl std::fmt::Debug for ActionBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ActionBuilder(…)")
    }
}
