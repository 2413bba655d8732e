//! The fields of an action, each with what it accepts.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::Placed;
use super::{ActionError, contents, exec, reserved};
use crate::json::{self, MAX_INTEGER};

/// The kinds that are known; users have kinds of their own as well.
pub const KINDS: [&str; 14] = [
    "access.grant",
    "data.export",
    "exec.run",
    "file.read",
    "file.search",
    "file.write",
    "http.request",
    "infra.apply",
    "key.rotate",
    "mcp.call",
    "model.deploy",
    "policy.change",
    "sql.exec",
    "tool.call",
];

/// How long a kind, the kind of a target and the name of a claim may be, in bytes.
const WORD_BYTES: usize = 64;
/// How long names of targets, paths and classifications may be, in bytes (Linux's `PATH_MAX`).
const NAME_BYTES: usize = 4096;
/// How many bytes one element of `data` may take in RFC 8785 form: the log repeats it in an entry
/// once the action ran, and escapes would let three names outgrow one.
const DATA_BYTES: usize = 16 * 1024;

/// Which of the two forms of an action is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the agent wrote it: with `$secret`.
    Submitted,
    /// As it stands in a document: with `$mask`.
    Masked,
}

/// What is done to data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Looked at by the agent.
    Read,
    /// Added or changed.
    Write,
    /// Removed.
    Delete,
    /// Taken to another place.
    Export,
}

impl Access {
    /// Returns the word that stands in an action.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Export => "export",
        }
    }
}

impl FromStr for Access {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Read, Self::Write, Self::Delete, Self::Export]
            .into_iter()
            .find(|access| access.as_str() == text)
            .ok_or(())
    }
}

/// Checks a whole action.
pub(crate) fn check(value: &Value, form: Form) -> Result<(), ActionError> {
    let fields = Placed::root(value).fields(&[
        "v",
        "kind",
        "target",
        "arguments",
        "changes",
        "data",
        "context",
        "claims",
    ])?;
    let version = fields.required("v")?;
    if version.value.as_u64() != Some(1) {
        return Err(version.bad_value("1, the only version there is"));
    }
    let kind = fields.required("kind")?;
    if !is_kind(kind.short_text(WORD_BYTES)?) {
        return Err(kind.bad_value("words of a-z, 0-9 and `-`, at least two, joined by dots"));
    }
    target(&fields.required("target")?)?;
    let arguments = fields.required("arguments")?;
    if kind.text()? == "exec.run" {
        exec::arguments(&arguments, form)?;
    } else {
        arguments.object()?;
        if let Some(name) = arguments.value.as_object().and_then(dollar) {
            return Err(ActionError::Reserved {
                at: arguments.at.member(name),
            });
        }
        reserved::free(&arguments, form)?;
    }
    if let Some(changes) = fields.optional("changes") {
        changes.elements()?.try_for_each(|item| change(&item))?;
    }
    if let Some(data) = fields.optional("data") {
        data.elements()?.try_for_each(|item| data_use(&item))?;
    }
    if let Some(place) = fields.optional("context") {
        context(&place, form)?;
    }
    if let Some(place) = fields.optional("claims") {
        claims(&place)?;
    }
    Ok(())
}

fn dollar(members: &serde_json::Map<String, Value>) -> Option<&String> {
    members.keys().find(|name| name.starts_with('$'))
}

/// Tells whether a text is words of `a-z`, `0-9` and `-`, at least two, joined by dots.
fn is_kind(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_word)
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn target(placed: &Placed<'_>) -> Result<(), ActionError> {
    let fields = placed.fields(&["kind", "name"])?;
    let kind = fields.required("kind")?;
    if !kind.short_text(WORD_BYTES)?.split('.').all(is_word) {
        return Err(kind.bad_value("words of a-z, 0-9 and `-`, joined by dots"));
    }
    fields.required("name")?.short_text(NAME_BYTES).map(|_| ())
}

/// Checks `{"path","before","after","mode"}`.
fn change(placed: &Placed<'_>) -> Result<(), ActionError> {
    let fields = placed.fields(&["path", "before", "after", "mode"])?;
    fields.required("path")?.short_text(NAME_BYTES)?;
    let mut present = false;
    for name in ["before", "after"] {
        if let Some(side) = fields.required(name)?.null_or() {
            contents::read(side)?;
            present = true;
        }
    }
    if !present {
        return Err(placed.bad_value("a change: `before` and `after` are both null"));
    }
    if let Some(mode) = fields.required("mode")?.null_or() {
        let text = mode.text()?;
        let octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        if !octal || !(3..=6).contains(&text.len()) {
            return Err(mode.bad_value("3 to 6 octal digits, or null"));
        }
    }
    Ok(())
}

/// Checks `{"name","classification","access","records","destination"}`.
fn data_use(placed: &Placed<'_>) -> Result<(), ActionError> {
    let fields = placed.fields(&["name", "classification", "access", "records", "destination"])?;
    fields.required("name")?.short_text(NAME_BYTES)?;
    for name in ["classification", "destination"] {
        if let Some(text) = fields.required(name)?.null_or() {
            text.short_text(NAME_BYTES)?;
        }
    }
    let access = fields.required("access")?;
    if access.text()?.parse::<Access>().is_err() {
        return Err(access.bad_value("`read`, `write`, `delete` or `export`"));
    }
    if let Some(records) = fields.required("records")?.null_or() {
        let count = records.value.as_i64();
        if !count.is_some_and(|count| (0..=MAX_INTEGER).contains(&count)) {
            return Err(records.bad_value("a number of records, or null"));
        }
    }
    let found = json::canonical_value(placed.value)?.len();
    if found > DATA_BYTES {
        return Err(ActionError::Length {
            at: placed.at.clone(),
            limit: DATA_BYTES,
            found,
        });
    }
    Ok(())
}

/// Checks `{"cwd","environment","ticket"}`.
fn context(placed: &Placed<'_>, form: Form) -> Result<(), ActionError> {
    let fields = placed.fields(&["cwd", "environment", "ticket"])?;
    if let Some(cwd) = fields.optional("cwd") {
        cwd.short_text(NAME_BYTES)?;
    }
    if let Some(ticket) = fields.optional("ticket") {
        ticket.short_text(NAME_BYTES)?;
    }
    let Some(environment) = fields.optional("environment") else {
        return Ok(());
    };
    for (name, variable) in environment.object()?.each() {
        if name.is_empty() || name.contains('=') {
            return Err(variable.bad_value("under a name that is not empty and has no `=`"));
        }
        if variable.value.get("base64").is_some() {
            exec::bytes(&variable)?;
        } else {
            reserved::maskable(&variable, form)?;
        }
    }
    Ok(())
}

/// Checks what the agent says about itself: names of its own, strings only.
fn claims(placed: &Placed<'_>) -> Result<(), ActionError> {
    for (name, claim) in placed.object()?.each() {
        let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if name.is_empty() || name.len() > WORD_BYTES || !name.bytes().all(known) {
            return Err(ActionError::Unknown { at: claim.at });
        }
        claim.text()?;
    }
    Ok(())
}
