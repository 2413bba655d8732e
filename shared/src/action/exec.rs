//! The arguments of `exec.run`: exactly what the kernel will be given, or, under `tool`, what an
//! agent's client makes of the call of a tool, which it carries out itself.

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

/// Checks `{"argv","program":{"path","sha256"},"stdin"}`, and `"tool":{"client","name","input"}`
/// where there is one.
pub(super) fn arguments(placed: &Placed<'_>, form: Form) -> Result<(), ActionError> {
    let fields = placed.fields(&["argv", "program", "stdin", "tool"])?;
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

    match fields.required("stdin")?.null_or() {
        Some(stdin) => contents::read(stdin).map(|_| ()),
        None => Ok(()),
    }
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
