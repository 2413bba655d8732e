//! Any JSON value as rows: one for each leaf, named by its way from the top.
//!
//! Three shapes are known and shown for what they are: masked strings, bytes that are not UTF-8, and
//! numbers kept as text. Nothing is left out; an empty list or object is a row too.

use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Map, Value};

use super::{Gutter, Look, Writer, line};

/// Writes every leaf of `value`.
pub fn write(writer: &mut Writer<'_>, gutter: Gutter, name: &Printable, value: &Value) {
    match value {
        Value::Null => plain(writer, gutter, name, "null"),
        Value::Bool(true) => plain(writer, gutter, name, "true"),
        Value::Bool(false) => plain(writer, gutter, name, "false"),
        Value::Number(number) => {
            writer.text(gutter, name, &Untrusted::new(number.to_string()));
        }
        Value::String(text) => writer.text(gutter, name, &Untrusted::new(text.clone())),
        Value::Array(items) if items.is_empty() => plain(writer, gutter, name, "[]"),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let name = Printable::concat([name, &Printable::from_ours(format!("[{at}]"))]);
                write(writer, gutter, &name, item);
            }
        }
        Value::Object(fields) if fields.is_empty() => plain(writer, gutter, name, "{}"),
        Value::Object(fields) => object(writer, gutter, name, fields),
    }
}

fn object(writer: &mut Writer<'_>, gutter: Gutter, name: &Printable, fields: &Map<String, Value>) {
    if let Some(Value::Array(parts)) = fields.get("$parts").filter(|_| fields.len() == 1) {
        for part in parts {
            masked_part(writer, gutter, name, part);
        }
        return;
    }
    if let Some(Value::String(token)) = fields.get("$number").filter(|_| fields.len() == 1) {
        writer.text(gutter, name, &Untrusted::new(token.clone()));
        return;
    }
    // What an agent calls so, and is text or has another size, is drawn member by member.
    let is_size = |bytes: &[u8]| {
        let size = fields.get("size").map(Value::as_u64);
        size.is_none_or(|size| size == u64::try_from(bytes.len()).ok())
    };
    if let Some(bytes) = raw_bytes(fields)
        && is_size(&bytes)
        && std::str::from_utf8(&bytes).is_err()
    {
        writer.push(super::Line {
            look: Look::Warning,
            ..line(Gutter::Computed, Printable::ours("not UTF-8:"))
        });
        writer.text(gutter, name, &Untrusted::from_bytes(bytes));
        return;
    }
    for (key, value) in fields {
        let key = Printable::exact(&Untrusted::new(key.clone()));
        let name = if name.is_empty() {
            key
        } else {
            Printable::concat([name, &Printable::ours("."), &key])
        };
        write(writer, gutter, &name, value);
    }
}

/// A piece of a string whose secrets were masked. What a mask hides is told in a row of its own with
/// our gutter, so that no text can look like one.
fn masked_part(writer: &mut Writer<'_>, gutter: Gutter, name: &Printable, part: &Value) {
    let Some(mask) = part.get("$mask") else {
        write(writer, gutter, name, part);
        return;
    };
    let field = |key: &str| match mask.get(key) {
        Some(Value::String(text)) => Printable::exact(&Untrusted::new(text.clone())),
        Some(other) => Printable::exact(&Untrusted::new(other.to_string())),
        None => Printable::ours("?"),
    };
    let text = Printable::concat([
        name,
        &Printable::ours(" has a masked "),
        &field("class"),
        &Printable::ours(" here: "),
        &field("length"),
        &Printable::ours(" bytes, tag "),
        &field("tag"),
    ]);
    writer.push(super::Line {
        look: Look::Warning,
        ..line(Gutter::Computed, text)
    });
}

/// The bytes of `{"base64":…}` with or without a size.
pub fn raw_bytes(fields: &Map<String, Value>) -> Option<Vec<u8>> {
    let known = fields
        .keys()
        .all(|key| matches!(key.as_str(), "base64" | "size"));
    let Some(Value::String(text)) = fields.get("base64").filter(|_| known) else {
        return None;
    };
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}

fn plain(writer: &mut Writer<'_>, gutter: Gutter, name: &Printable, word: &'static str) {
    writer.text(gutter, name, &Untrusted::new(word));
}
