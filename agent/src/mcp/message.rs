//! What a message is, as far as anybody here has to know: whether it calls a tool, takes a call back,
//! or answers one. Everything else passes as it is.
//!
//! A message that could be a call to somebody who reads it more loosely is an error, and is not
//! passed on.

use countersign_shared::digest::Digest;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::{Call, CallError};
use super::strict::{self, Members, StrictError};

/// The names of a message of JSON-RPC 2.0.
const NAMES: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The method that calls a tool.
pub(super) const CALL: &str = "tools/call";

/// Which request a message is, or answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Id {
    /// A number: the protocol has integers only.
    Number(i64),
    /// A text.
    Text(String),
}

impl Id {
    /// Reads an id, if this is one.
    fn read(raw: &RawValue) -> Option<Self> {
        if let Some(text) = strict::text(raw) {
            return Some(Self::Text(text));
        }
        raw.get().parse().ok().map(Self::Number)
    }

    /// Returns the id as it stands in a message of ours.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

/// The bytes cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    /// They cannot be read in one way only.
    #[error(transparent)]
    Strict(#[from] StrictError),
    /// A name is written like one that has a meaning.
    #[error("the name `{name}` could be taken for another one")]
    Disguised {
        /// The name.
        name: String,
    },
    /// The message has a member that is not what it has to be.
    #[error("its `{name}` is not {expected}")]
    Member {
        /// The member.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// It is neither a request, nor a notification, nor an answer.
    #[error("it is neither a request nor an answer")]
    Nothing,
    /// It calls a tool, and cannot be read.
    #[error("the call of a tool cannot be read")]
    Call(#[source] CallError),
}

/// A message of the client's.
#[derive(Debug)]
pub(super) enum FromClient {
    /// It calls a tool.
    Call(Id, Box<Call>),
    /// It takes back a request.
    Cancelled(Option<Id>),
    /// Any other request.
    Request(Id),
    /// A notification, or an answer to the server.
    Other,
}

/// A message of the server's.
#[derive(Debug)]
pub(super) enum FromServer {
    /// It answers a request.
    Answer(Option<Id>, Box<Answer>),
    /// A request or a notification.
    Other,
}

/// What a server answered, as far as it is looked at.
#[derive(Debug)]
pub(super) struct Answer {
    /// What it comes to for a call of a tool.
    pub(super) end: End,
    /// The digest of the `result` as it was written; of the `error` when there is none.
    pub(super) digest: Digest,
    /// The definitions of tools in it, each as it was written.
    pub(super) tools: Vec<Box<RawValue>>,
}

/// What an answer says about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was carried out.
    Succeeded,
    /// It failed, as the server says.
    Failed,
    /// It goes on without us: how it ends is not seen here.
    GoesOn,
}

/// Reads a message of the client's.
///
/// # Errors
/// When it must not be passed on.
pub(super) fn from_client(members: &Members<'_>) -> Result<FromClient, MessageError> {
    let method = envelope(members)?;
    let id = match members.get("id") {
        None => None,
        Some(raw) => Some(Id::read(raw).ok_or(MessageError::Member {
            name: "id",
            expected: "a text or an integer",
        })?),
    };
    match (method.as_deref(), id) {
        (Some(CALL), Some(id)) => {
            let call = Call::read(members).map_err(MessageError::Call)?;
            Ok(FromClient::Call(id, Box::new(call)))
        }
        (Some(CALL), None) => Err(MessageError::Member {
            name: "id",
            expected: "there, and a call without one has no answer",
        }),
        (Some("notifications/cancelled"), None) => {
            let params = members.get("params").map(|raw| strict::object(raw));
            let request = params
                .transpose()?
                .and_then(|params| Id::read(params.get("requestId")?));
            Ok(FromClient::Cancelled(request))
        }
        (Some(_), Some(id)) => Ok(FromClient::Request(id)),
        (Some(_), None) => Ok(FromClient::Other),
        (None, Some(_)) if is_answer(members) => Ok(FromClient::Other),
        (None, _) => Err(MessageError::Nothing),
    }
}

/// Reads a message of the server's.
///
/// # Errors
/// When it must not be passed on.
pub(super) fn from_server(members: &Members<'_>) -> Result<FromServer, MessageError> {
    if envelope(members)?.is_some() {
        return Ok(FromServer::Other);
    }
    if !is_answer(members) {
        return Err(MessageError::Nothing);
    }
    let id = members.get("id").and_then(|raw| Id::read(raw));
    let answer = match (members.get("result"), members.get("error")) {
        (Some(result), _) => answer(result)?,
        (None, error) => Answer {
            end: End::Failed,
            digest: Digest::of(error.map_or("", |raw| raw.get()).as_bytes()),
            tools: Vec::new(),
        },
    };
    Ok(FromServer::Answer(id, Box::new(answer)))
}

/// Returns what a message is about, by the one name that the protocol has for it: a tool, a prompt, a
/// resource or a task.
pub(super) fn about(members: &Members<'_>) -> Option<String> {
    let method = strict::text(members.get("method")?)?;
    let params = strict::object(members.get("params")?).ok()?;
    let named = |name: &str| strict::text(params.get(name)?);
    match method.as_str() {
        CALL | "prompts/get" => named("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => named("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => named("taskId"),
        // Of two names, nobody could tell which one is meant.
        _ => match (named("name"), named("uri")) {
            (Some(name), None) | (None, Some(name)) => Some(name),
            (Some(_), Some(_)) | (None, None) => None,
        },
    }
}

/// Returns the id that an error about unreadable bytes should name, as far as it can be guessed.
pub(super) fn guess_id(bytes: &[u8]) -> Option<Id> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    match value.get("id")? {
        Value::String(text) => Some(Id::Text(text.clone())),
        Value::Number(number) => number.as_i64().map(Id::Number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the id of the request that unreadable bytes of the server's would answer, as far as it can be
/// guessed.
pub(super) fn guess_answered(bytes: &[u8]) -> Option<Id> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let is_answer = value.get("method").is_none()
        && (value.get("result").is_some() || value.get("error").is_some());
    is_answer.then(|| guess_id(bytes)).flatten()
}

/// Checks what all messages have in common, and returns the method.
fn envelope(members: &Members<'_>) -> Result<Option<String>, MessageError> {
    undisguised(members, &NAMES)?;
    if members
        .get("jsonrpc")
        .and_then(|raw| strict::text(raw))
        .as_deref()
        != Some("2.0")
    {
        return Err(MessageError::Member {
            name: "jsonrpc",
            expected: "`2.0`",
        });
    }
    let Some(method) = members.get("method") else {
        return Ok(None);
    };
    if is_answer(members) {
        return Err(MessageError::Nothing);
    }
    let wrong = |expected| MessageError::Member {
        name: "method",
        expected,
    };
    let method = strict::text(method).ok_or(wrong("a text"))?;
    if !is_plain(&method, "_/.$-") {
        return Err(wrong(
            "made of letters, digits, `_`, `/`, `.`, `$` and `-` of ASCII",
        ));
    }
    // Somebody who trims, folds or routes as on paths would call a tool nobody was asked about.
    if strict::is_like(&method, CALL) {
        return Err(wrong("`tools/call`, and could be taken for it"));
    }
    Ok(Some(method))
}

/// Tells whether a name has nothing but letters and digits of ASCII and these marks: every reader
/// takes it for the same, and whoever is shown it reads what it is.
pub(super) fn is_plain(name: &str, marks: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

/// Refuses names that a loose reader takes for one of `names`.
pub(super) fn undisguised(members: &Members<'_>, names: &[&str]) -> Result<(), MessageError> {
    match members
        .keys()
        .find(|name| strict::is_disguised(name, names))
    {
        Some(name) => Err(MessageError::Disguised {
            name: name.to_string(),
        }),
        None => Ok(()),
    }
}

fn is_answer(members: &Members<'_>) -> bool {
    members.contains_key("result") || members.contains_key("error")
}

fn answer(result: &RawValue) -> Result<Answer, MessageError> {
    let digest = Digest::of(result.get().as_bytes());
    let Ok(members) = strict::object(result) else {
        return Ok(Answer {
            end: End::Failed,
            digest,
            tools: Vec::new(),
        });
    };
    undisguised(&members, &["tools", "isError", "resultType", "task"])?;
    let is_error = members
        .get("isError")
        .is_some_and(|raw| raw.get() == "true");
    let goes_on = members.contains_key("task")
        || members
            .get("resultType")
            .and_then(|raw| strict::text(raw))
            .is_some_and(|kind| kind == "task");
    let end = if is_error {
        End::Failed
    } else if goes_on {
        End::GoesOn
    } else {
        End::Succeeded
    };
    let tools = members
        .get("tools")
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    Ok(Answer { end, digest, tools })
}

#[cfg(test)]
mod tests;
