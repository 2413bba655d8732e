//! A call of a tool, as its message says.
//!
//! Whatever a server could act upon is taken up, so that it can be shown. Left out are only the parts
//! of `_meta` that the protocol and known clients fill in about themselves.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::message::{is_plain, undisguised};
use super::strict::{self, Members, StrictError};

/// What the protocol and clients say about themselves in `_meta`. A server that acts upon these is
/// not seen through here.
const OWN_META: [&str; 17] = [
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "traceparent",
    "tracestate",
    "baggage",
    "claudecode/toolUseId",
    "callId",
    "itemId",
    "threadId",
    "sessionId",
    "windowId",
    "turnId",
    "x-codex-turn-metadata",
    "io.modelcontextprotocol/related-task",
];

/// The longest name that ties the askings of one call together, in bytes.
const LONGEST_USE: usize = 256;

/// What the name of a tool has besides letters and digits. The protocol asks for such names; in any
/// other, what policy and people read need not be what the server takes it for.
const TOOL_MARKS: &str = "_./-";

/// The call cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// A part is not what it has to be.
    #[error("`{name}` is not {expected}")]
    Member {
        /// The part.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A name is written like one that has a meaning.
    #[error("{0}")]
    Disguised(String),
    /// It cannot be read in one way only.
    #[error(transparent)]
    Strict(#[from] StrictError),
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The tool.
    pub(super) tool: String,
    /// What it is given: an object, or its text where an action could not carry it.
    pub(super) arguments: Value,
    /// What else the message says, by where it stands.
    pub(super) more: Map<String, Value>,
    /// The client's name for this use of a tool, where it gives one.
    pub(super) use_id: Option<String>,
    /// Where the client wants to hear that it goes on, as it was written.
    pub(super) progress: Option<Box<RawValue>>,
    /// Whether answers say of what type they are (2026-07-28 and later).
    pub(super) is_typed: bool,
    /// The client, as it calls itself, and its conversation.
    pub(super) claims: Vec<(&'static str, String)>,
}

impl Call {
    /// Reads the message of a call.
    ///
    /// # Errors
    /// When not all of it can be shown.
    pub(super) fn read(message: &Members<'_>) -> Result<Self, CallError> {
        let params = message.get("params").ok_or(CallError::Member {
            name: "params",
            expected: "there",
        })?;
        let params = strict::object(params).map_err(|_| CallError::Member {
            name: "params",
            expected: "an object",
        })?;
        undisguised(&params, &["name", "arguments", "_meta"])
            .map_err(|error| CallError::Disguised(error.to_string()))?;
        let tool = params
            .get("name")
            .and_then(|raw| strict::text(raw))
            .filter(|name| is_plain(name, TOOL_MARKS))
            .ok_or(CallError::Member {
                name: "name",
                expected: "the name of a tool: letters, digits, `_`, `.`, `/` and `-` of ASCII",
            })?;
        let arguments = match params.get("arguments") {
            None => Value::Object(Map::new()),
            Some(raw) if raw.get().starts_with('{') => shown(raw)?,
            Some(_) => {
                return Err(CallError::Member {
                    name: "arguments",
                    expected: "an object",
                });
            }
        };
        let meta = match params.get("_meta") {
            None => Members::new(),
            Some(raw) => strict::object(raw).map_err(|_| CallError::Member {
                name: "_meta",
                expected: "an object",
            })?,
        };
        let mut more = Map::new();
        for (place, members, known) in [
            (
                "message",
                message,
                &["jsonrpc", "id", "method", "params"][..],
            ),
            ("params", &params, &["name", "arguments", "_meta"]),
            ("meta", &meta, &OWN_META),
        ] {
            let rest = rest(members, known)?;
            if !rest.is_empty() {
                more.insert(place.to_owned(), Value::Object(rest));
            }
        }
        Ok(Self {
            tool,
            arguments,
            more,
            use_id: ["claudecode/toolUseId", "callId"]
                .iter()
                .find_map(|name| strict::text(meta.get(*name)?))
                .filter(|id| !id.is_empty() && id.len() <= LONGEST_USE),
            progress: meta
                .get("progressToken")
                .filter(|raw| {
                    raw.get()
                        .starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
                })
                .map(|raw| (*raw).to_owned()),
            is_typed: meta.contains_key("io.modelcontextprotocol/protocolVersion"),
            claims: claims(&meta),
        })
    }
}

/// Returns the members that nothing else speaks of.
fn rest(members: &Members<'_>, known: &[&str]) -> Result<Map<String, Value>, CallError> {
    let known: BTreeSet<&str> = known.iter().copied().collect();
    members
        .iter()
        .filter(|(name, _)| !known.contains(&***name))
        .map(|(name, raw)| Ok((name.to_string(), shown(raw)?)))
        .collect()
}

/// Returns a part as an action carries it. Names that begin with `$` have a meaning in actions, so
/// what has some is carried as the text that it is.
fn shown(raw: &RawValue) -> Result<Value, CallError> {
    let value = strict::carried(raw)?;
    let plain: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    Ok(if has_reserved(&plain) {
        Value::String(raw.get().to_owned())
    } else {
        value
    })
}

fn has_reserved(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(has_reserved),
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| name.starts_with('$') || has_reserved(member)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn claims(meta: &Members<'_>) -> Vec<(&'static str, String)> {
    let mut claims = Vec::new();
    let mut claim = |name: &'static str, part: &str, inside: &str| {
        let text = meta
            .get(part)
            .and_then(|raw| strict::object(raw).ok())
            .and_then(|members| strict::text(members.get(inside)?));
        claims.extend(text.map(|text| (name, text)));
    };
    claim("agent", "io.modelcontextprotocol/clientInfo", "name");
    claim("session", "x-codex-turn-metadata", "session_id");
    claim("model", "x-codex-turn-metadata", "model");
    claims
}

#[cfg(test)]
mod tests;
