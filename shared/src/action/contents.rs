//! Contents of files and streams: `{"text"}`, or `{"base64","size"}` for what no text can carry.
//!
//! One content has one form, so two documents that differ never mean the same bytes.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::ActionError;
use super::object::Placed;

/// The contents of a file or a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// UTF-8 without NUL.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Contents {
    /// Picks the form for some bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Self::Text(text),
            Ok(text) => Self::Bytes(text.into_bytes()),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    /// Reads contents out of an action or a document that satisfies the schema.
    pub fn read(value: &Value) -> Option<Self> {
        read(&Placed::root(value)).ok()
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Returns the form that stands in an action.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => json!({ "text": text }),
            Self::Bytes(bytes) => json!({ "base64": BASE64.encode(bytes), "size": bytes.len() }),
        }
    }
}

/// Reads contents.
pub(super) fn read(placed: &Placed<'_>) -> Result<Contents, ActionError> {
    let fields = placed.fields(&["text", "base64", "size"])?;
    if let Some(text) = fields.optional("text") {
        if let Some(other) = fields.optional("base64").or(fields.optional("size")) {
            return Err(ActionError::Unknown { at: other.at });
        }
        return text.text().map(|text| Contents::Text(text.to_owned()));
    }
    let bytes = base64(&fields.required("base64")?)?;
    let size = fields.required("size")?;
    let stated = size
        .value
        .as_u64()
        .ok_or_else(|| size.wrong_type("a number of bytes"))?;
    if u64::try_from(bytes.len()) != Ok(stated) {
        return Err(ActionError::Size {
            at: placed.at.clone(),
            stated,
            found: bytes.len(),
        });
    }
    match Contents::of(bytes) {
        Contents::Text(_) => Err(placed.bad_value("`text`: these contents are UTF-8")),
        contents @ Contents::Bytes(_) => Ok(contents),
    }
}

/// Reads base64 (RFC 4648, section 4) with padding, in its one spelling.
pub(super) fn base64(placed: &Placed<'_>) -> Result<Vec<u8>, ActionError> {
    BASE64
        .decode(placed.text()?.as_bytes())
        .map_err(|_| placed.bad_value("base64 with padding (RFC 4648, section 4)"))
}
