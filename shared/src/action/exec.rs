//! The arguments of `exec.run`: exactly what the kernel will be given, or, under `tool`, what an
//! agent's client makes of the call of a tool, which it carries out itself. Under `profile` stands what
//! the daemon runs it as.

use serde_json::{Value, json};

use super::object::Placed;
use super::schema::Form;
use super::{ActionError, contents, reserved};
use crate::digest::Digest;

/// The program file that an `exec.run` starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The absolute path, after every symbolic link.
    pub path: String,
    /// The digest of the file.
    pub digest: Digest,
}

impl Program {
    /// Returns the form that stands in an action.
    pub fn to_value(&self) -> Value {
        json!({ "path": self.path, "sha256": self.digest.to_hex() })
    }
}

/// How long the names in `tool` may be, in bytes.
const TOOL_BYTES: usize = 256;

/// How long the names in `profile` may be, in bytes.
const PROFILE_BYTES: usize = 64;

/// Checks `{"argv","program":{"path","sha256"},"stdin"}`, and `"tool":{"client","name","input"}` or
/// `"profile":{"name","user","groups","secrets","limits","input","temporary"}` where there is one.
pub(super) fn arguments(placed: &Placed<'_>, form: Form) -> Result<(), ActionError> {
    let fields = placed.fields(&["argv", "program", "stdin", "tool", "profile"])?;
    let argv = fields.required("argv")?;
    let mut count = 0_usize;
    for element in argv.elements()? {
        argument(&element, form, count == 0)?;
        count = count.saturating_add(1);
    }
    if count == 0 {
        return Err(argv.bad_value("a list of at least the program's name"));
    }

    let program = fields.required("program")?.fields(&["path", "sha256"])?;
    let path = program.required("path")?;
    if !path.text()?.starts_with('/') {
        return Err(path.bad_value("an absolute path"));
    }
    let digest = program.required("sha256")?;
    if Digest::from_hex(digest.text()?).is_err() {
        return Err(digest.bad_value("64 lower-case hexadecimal digits"));
    }

    if let Some(tool) = fields.optional("tool") {
        let tool = tool.fields(&["client", "name", "input"])?;
        for name in ["client", "name"] {
            tool.required(name)?.short_text(TOOL_BYTES)?;
        }
        let input = tool.required("input")?;
        input.object()?;
        reserved::free(&input, form)?;
    }

    if let Some(placed) = fields.optional("profile") {
        profile(&placed)?;
    }

    match fields.required("stdin")?.null_or() {
        Some(stdin) => contents::read(stdin).map(|_| ()),
        None => Ok(()),
    }
}

/// Checks what the daemon runs it as. It describes and holds no secret: of each there is the name, and
/// how the program gets it.
fn profile(placed: &Placed<'_>) -> Result<(), ActionError> {
    let known = [
        "name",
        "user",
        "groups",
        "secrets",
        "limits",
        "input",
        "temporary",
    ];
    let fields = placed.fields(&known)?;
    for name in ["name", "user", "input"] {
        fields.required(name)?.short_text(PROFILE_BYTES)?;
    }
    for group in fields.required("groups")?.elements()? {
        group.short_text(PROFILE_BYTES)?;
    }
    for (_, how) in fields.required("secrets")?.object()?.each() {
        how.short_text(PROFILE_BYTES)?;
    }
    for (_, limit) in fields.required("limits")?.object()?.each() {
        if limit.value.as_u64().is_none() {
            return Err(limit.wrong_type("a number"));
        }
    }
    let temporary = fields.required("temporary")?;
    if !temporary.value.is_boolean() {
        return Err(temporary.wrong_type("true or false"));
    }
    Ok(())
}

/// Checks one element of `argv`: a string, a secret, or bytes that are not UTF-8.
fn argument(placed: &Placed<'_>, form: Form, is_name: bool) -> Result<(), ActionError> {
    if placed.value.get("base64").is_some() {
        return bytes(placed);
    }
    if is_name {
        return placed.text().map(|_| ());
    }
    reserved::maskable(placed, form)
}

/// Checks `{"base64"}` for a string of the kernel's that is not UTF-8.
pub(super) fn bytes(placed: &Placed<'_>) -> Result<(), ActionError> {
    let fields = placed.fields(&["base64"])?;
    let bytes = contents::base64(&fields.required("base64")?)?;
    if bytes.contains(&0) {
        return Err(placed.bad_value("without NUL bytes, which end a string of the kernel's"));
    }
    if std::str::from_utf8(&bytes).is_ok() {
        return Err(placed.bad_value("a plain string: these bytes are UTF-8"));
    }
    Ok(())
}
