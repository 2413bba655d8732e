//! What is known of a request: computed from its bytes and from the kernel, and written down.
//!
//! [`Facts::of`] runs once, at intake, on the masked action. Its result is the object `facts` of
//! the request document, and is all that policy ever sees of a request, so that judging it again
//! later gives the same. A fact is `computed`, `stated` by the agent, or `unknown` with the reason.
//! What the operator's catalogue says of targets is looked up when a request is judged, and not
//! kept here. Nothing here reads a file: what the daemon found out is an argument.

mod contents;
mod exec;
mod files;
mod http;
mod paths;
mod reversibility;
mod sql;
mod stated;
#[cfg(test)]
mod tests;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use countersign_shared::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::kinds::Kinds;

pub use files::paths_of;
pub use paths::normalised;
pub use reversibility::Reversibility;

/// The text of a fact that cannot be known.
pub const UNKNOWN: &str = "unknown";

/// The object is not the facts of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the facts of the request are not of a kind this version knows: {problem}")]
pub struct FactsError {
    /// What is wrong.
    pub problem: String,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A program, as the kernel names it.
    Agent(Agent),
    /// Somebody of the roster.
    Person {
        /// The roster's name.
        name: String,
        /// The OS account.
        user: String,
        /// The account's number.
        uid: u32,
        /// The machine.
        host: String,
        /// The person's groups of the roster.
        groups: BTreeSet<String>,
    },
}

/// A program that asks. `None` is a fact that nobody could read; an empty text is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The OS account.
    pub user: Option<String>,
    /// The account's number.
    pub uid: u32,
    /// The path of the program that asks.
    pub program: Option<String>,
    /// The system unit, empty outside one.
    pub unit: Option<String>,
    /// The container, empty outside one.
    pub container: Option<String>,
    /// The machine.
    pub host: String,
    /// The OS groups.
    pub groups: Option<BTreeSet<String>>,
}

/// What the requester did lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    /// How many of its requests people denied within the last hour.
    pub denials: u32,
    /// How many requests it made within the last hour, this one not counted.
    pub requests: u32,
}

/// What the daemon knows of a request beyond the action.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Who asks.
    pub principal: Principal,
    /// How the kernel named the requester: `pidfd` where it holds the process itself, `pid` where
    /// only its number was seen.
    pub identity: String,
    /// The directory the agent works in, absolute, after every link.
    pub workspace: Option<String>,
    /// The digest of the program an `exec.run` names, in hexadecimal digits, where the daemon
    /// could read it; else why not.
    pub program: Result<String, String>,
    /// Paths of the action, absolute and [`normalised`], and where each leads after every link.
    /// A path that is missing here is one that could not be resolved.
    pub resolved: BTreeMap<String, String>,
    /// When the request was received.
    pub wall: Timestamp,
    /// What is added to UTC for the time of the day, in minutes.
    pub utc_offset_minutes: i32,
    /// What the requester did lately.
    pub recent: Recent,
}

/// The facts of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    kind: String,
    principal: Map<String, Value>,
    computed: Map<String, Value>,
    stated: Map<String, Value>,
    unknown: BTreeMap<String, String>,
}

/// Facts in the making.
#[derive(Debug, Default)]
struct Draft {
    computed: Map<String, Value>,
    unknown: BTreeMap<String, String>,
}

impl Draft {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.computed.insert(name.to_owned(), value.into());
    }

    fn set_all<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        let sorted: BTreeSet<&str> = texts.into_iter().collect();
        self.set(name, sorted.into_iter().collect::<Vec<_>>());
    }

    fn unknown(&mut self, name: &str, why: impl Into<String>) {
        self.unknown.insert(format!("context.{name}"), why.into());
    }
}

impl Facts {
    /// Computes the facts of a masked action. Total: what cannot be computed is a fact as well.
    pub fn of(action: &Value, around: &Surroundings, kinds: &Kinds) -> Self {
        let kind = text(action, "/kind");
        let mut draft = Draft::default();
        draft.set("kind", kind);
        if !kinds.has(kind) {
            draft.unknown("kind", "nobody declared this kind");
        }
        contents::look(action, &mut draft);
        time::look(around.wall, around.utc_offset_minutes, &mut draft);
        draft.set("identity", around.identity.as_str());
        draft.set(
            "recent",
            json!({ "denials": around.recent.denials, "requests": around.recent.requests }),
        );
        let class = match kind {
            "exec.run" => exec::look(action, around, &mut draft),
            "file.read" | "file.search" | "file.write" => files::look(action, around, &mut draft),
            "sql.exec" => {
                // A masked value is a literal's, and holds no quote.
                let statement = action.pointer("/arguments/statement").and_then(seen);
                sql::look(&statement.unwrap_or_default(), &mut draft)
            }
            "http.request" => http::look(action, &mut draft),
            "mcp.call" => named(action, ["server", "tool"], &mut draft),
            "tool.call" => named(action, ["client", "tool"], &mut draft),
            other => reversibility::of_kind(other).or_else(|| kinds.reversibility(other)),
        };
        draft.set("reversibility", class.map_or(UNKNOWN, Reversibility::word));
        if class.is_none() {
            let why = "nothing in the action says whether it can be undone";
            draft.unknown("reversibility", why);
        }
        let principal = principal(&around.principal, &mut draft.unknown);
        Self {
            kind: kind.to_owned(),
            principal,
            computed: draft.computed,
            stated: stated::of(action),
            unknown: draft.unknown,
        }
    }

    /// Writes the object `facts` of the request document.
    pub fn to_value(&self) -> Value {
        json!({
            "v": 1,
            "principal": self.principal,
            "computed": self.computed,
            "stated": self.stated,
            "unknown": self.unknown,
        })
    }

    /// Reads the object `facts` of a request document.
    ///
    /// # Errors
    ///
    /// When it is not one. Whether each fact has the type that policies expect is checked where
    /// it is judged.
    pub fn read(value: &Value) -> Result<Self, FactsError> {
        let wrong = |problem: &str| FactsError {
            problem: problem.to_owned(),
        };
        let members = value.as_object().ok_or_else(|| wrong("no object"))?;
        let names = ["v", "principal", "computed", "stated", "unknown"];
        if members.len() != names.len() || !names.iter().all(|name| members.contains_key(*name)) {
            return Err(wrong(
                "the names must be `v`, `principal`, `computed`, `stated` and `unknown`",
            ));
        }
        if value.get("v").and_then(Value::as_u64) != Some(1) {
            return Err(wrong("`v` is not 1"));
        }
        let part = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_object)
                .cloned()
                .ok_or_else(|| wrong(&format!("`{name}` is no object")))
        };
        let unknown = part("unknown")?
            .into_iter()
            .map(|(name, why)| match why {
                Value::String(why) => Ok((name, why)),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_) => Err(wrong("a reason in `unknown` is no text")),
            })
            .collect::<Result<_, _>>()?;
        let computed = part("computed")?;
        let kind = computed
            .get("kind")
            .and_then(Value::as_str)
            .ok_or_else(|| wrong("`computed.kind` is no text"))?
            .to_owned();
        Ok(Self {
            kind,
            principal: part("principal")?,
            computed,
            stated: part("stated")?,
            unknown,
        })
    }

    /// Returns the kind of the action.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns the attributes of the principal, and `type`.
    pub const fn principal(&self) -> &Map<String, Value> {
        &self.principal
    }

    /// Returns what was computed.
    pub const fn computed(&self) -> &Map<String, Value> {
        &self.computed
    }

    /// Returns what the agent says.
    pub const fn stated(&self) -> &Map<String, Value> {
        &self.stated
    }

    /// Returns what is not known, by the path that policies write, and why.
    pub const fn unknown(&self) -> &BTreeMap<String, String> {
        &self.unknown
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        // What is not there counts as found: every flag of ours makes a decision stricter.
        self.computed.get(name).and_then(Value::as_bool) != Some(false)
    }

    pub(crate) fn word(&self, name: &str) -> &str {
        self.computed
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or(UNKNOWN)
    }
}

fn principal(of: &Principal, unknown: &mut BTreeMap<String, String>) -> Map<String, Value> {
    let value = match of {
        Principal::Agent(agent) => {
            let mut known = |name: &str, value: &Option<String>| {
                value.clone().unwrap_or_else(|| {
                    let why = "the kernel did not say".to_owned();
                    unknown.insert(format!("principal.{name}"), why);
                    UNKNOWN.to_owned()
                })
            };
            let user = known("user", &agent.user);
            let program = known("program", &agent.program);
            let unit = known("unit", &agent.unit);
            let container = known("container", &agent.container);
            if agent.groups.is_none() {
                let why = "the account database did not say".to_owned();
                unknown.insert("principal.groups".to_owned(), why);
            }
            json!({
                "type": "Agent",
                "user": user,
                "uid": agent.uid,
                "program": program,
                "unit": unit,
                "container": container,
                "host": agent.host,
                "groups": agent.groups.clone().unwrap_or_default(),
            })
        }
        Principal::Person {
            name,
            user,
            uid,
            host,
            groups,
        } => json!({
            "type": "Person", "name": name, "user": user, "uid": uid, "host": host, "groups": groups,
        }),
    };
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

/// Looks at a call of which nothing is known but whose it is and what it is called.
fn named(action: &Value, names: [&str; 2], draft: &mut Draft) -> Option<Reversibility> {
    for name in names {
        match action
            .pointer(&format!("/arguments/{name}"))
            .and_then(Value::as_str)
        {
            Some(word) if !word.is_empty() => draft.set(name, word),
            Some(_) | None => {
                draft.set(name, UNKNOWN);
                draft.unknown(name, format!("the arguments have no text `{name}`"));
            }
        }
    }
    // A forbid still finds the tool by its name; what it does nobody knows by that name any more.
    if action.pointer("/arguments/definition").is_some() {
        draft.unknown("tool", "the server says something else of it than before");
    }
    None
}

/// Returns the text at a pointer, empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Tells whether a part of a text is masked, so that a policy that looks for something in it may miss it.
fn is_masked(value: &Value) -> bool {
    value.get("$parts").is_some()
}

/// Returns a text as policies see it: a masked part reads `<masked>`, bytes read `base64:…`.
fn seen(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => {
            if let Some(Value::String(bytes)) = members.get("base64") {
                return Some(format!("base64:{bytes}"));
            }
            let parts = members.get("$parts")?.as_array()?;
            Some(
                parts
                    .iter()
                    .map(|part| part.as_str().unwrap_or("<masked>"))
                    .collect(),
            )
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}
