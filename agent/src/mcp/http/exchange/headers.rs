//! What a request's headers say of its message: nothing that the message itself does not say.
//!
//! Some servers, and what stands before them, act upon the headers. The gate reads the message, so the
//! two have to agree.

use data_encoding::BASE64;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::super::super::pins::Repeated;
use super::super::upstream::PARAMETERS;

/// Tells whether a body is JSON in UTF-8 and as it stands.
pub(super) fn is_plain_json(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_ENCODING)
        && only(headers, CONTENT_TYPE.as_str()).is_some_and(is_json)
}

fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

/// Tells whether a header, which need not be there, says the same as the message.
pub(super) fn agrees(headers: &HeaderMap, name: &str, message: Option<&str>) -> bool {
    if !headers.contains_key(name) {
        return true;
    }
    let said = headers.get(name).and_then(decode);
    only(headers, name).is_some() && said.is_some() && said.as_deref() == message
}

/// Tells whether a header repeats an argument.
pub(super) fn repeat_arguments(headers: &HeaderMap) -> bool {
    parameters(headers).next().is_some()
}

/// Tells whether a header repeats anything of a message.
pub(super) fn repeat(headers: &HeaderMap) -> bool {
    repeat_arguments(headers)
        || ["mcp-method", "mcp-name"]
            .iter()
            .any(|name| headers.contains_key(*name))
}

/// Tells whether each header that repeats an argument of a call says what that very argument is. A
/// header that the tool's definition does not have repeats none.
pub(super) fn parameters_agree(
    headers: &HeaderMap,
    arguments: &Value,
    repeated: &Repeated,
) -> bool {
    // An action carries arguments with reserved names as their text.
    let read: Option<Value> = arguments
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    let arguments = read.as_ref().unwrap_or(arguments);
    parameters(headers).all(|name| {
        let said = only(headers, name).and_then(|_| decode(headers.get(name)?));
        let path = name
            .strip_prefix(PARAMETERS)
            .and_then(|name| repeated.get(name));
        let argument = path.and_then(|path| {
            path.iter()
                .try_fold(arguments, |value, name| value.get(name))
        });
        matches!((argument, said), (Some(argument), Some(said)) if is_written(argument, &said))
    })
}

fn parameters(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with(PARAMETERS))
}

/// Tells whether a text, a number or a truth value is written so.
fn is_written(value: &Value, said: &str) -> bool {
    match value {
        Value::Null | Value::Array(_) => false,
        Value::Bool(truth) => said == if *truth { "true" } else { "false" },
        Value::Number(number) => is_number(&number.to_string(), said),
        Value::String(text) => text == said,
        // A number as actions carry it whose digits would not be kept otherwise.
        Value::Object(members) => match members.get("$number") {
            Some(Value::String(number)) if members.len() == 1 => is_number(number, said),
            _ => false,
        },
    }
}

/// Tells whether a number is written so: in the same digits, or with a fraction of nothing.
fn is_number(number: &str, said: &str) -> bool {
    let whole = said
        .split_once('.')
        .filter(|(_, fraction)| !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0'))
        .map(|(whole, _)| whole);
    said == number || whole == Some(number)
}

/// Reads a header's text; one that no header can hold is written in Base64.
fn decode(value: &HeaderValue) -> Option<String> {
    let value = value.to_str().ok()?;
    match value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    {
        Some(encoded) => String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// Returns a header that is there once.
pub(in super::super) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_json_in_utf_8_and_nothing_else() {
        for kind in ["application/json", "Application/JSON; charset=UTF-8"] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in [
            "text/plain",
            "application/json; charset=utf-7",
            "application/jsonx",
            "",
        ] {
            assert!(!is_json(kind), "{kind}");
        }
        let mut headers = HeaderMap::new();
        assert!(!is_plain_json(&headers));
        headers.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(is_plain_json(&headers));
        headers.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(!is_plain_json(&headers));
    }

    #[test]
    fn a_header_that_says_something_else_than_the_message_is_seen() {
        let mut headers = HeaderMap::new();
        assert!(agrees(&headers, "mcp-name", Some("drop")));
        headers.append("mcp-name", HeaderValue::from_static("drop"));
        assert!(agrees(&headers, "mcp-name", Some("drop")));
        assert!(!agrees(&headers, "mcp-name", Some("echo")));
        assert!(!agrees(&headers, "mcp-name", None));
        headers.append("mcp-name", HeaderValue::from_static("drop"));
        assert!(!agrees(&headers, "mcp-name", Some("drop")));
        headers.insert("mcp-name", HeaderValue::from_static("=?base64?w6Q=?="));
        assert!(agrees(&headers, "mcp-name", Some("\u{e4}")));
        assert!(!agrees(&headers, "mcp-name", Some("a")));
        headers.insert("mcp-name", HeaderValue::from_static("=?base64?w6Q?="));
        assert!(!agrees(&headers, "mcp-name", Some("\u{e4}")));
    }

    #[test]
    fn a_header_repeats_the_argument_that_it_names_and_no_other() {
        let arguments = json!({
            "database": "staging", "note": "production", "n": 42, "deep": {"on": true},
            "odd": "\u{e4}", "big": {"$number": "9007199254740993"}, "list": ["staging"],
            "nothing": null,
        });
        let repeated: Repeated = [
            ("database", &["database"][..]),
            ("n", &["n"]),
            ("on", &["deep", "on"]),
            ("odd", &["odd"]),
            ("big", &["big"]),
            ("list", &["list"]),
            ("nothing", &["nothing"]),
            ("absent", &["absent"]),
        ]
        .into_iter()
        .map(|(header, path)| {
            let path = path.iter().map(|name| (*name).to_owned()).collect();
            (header.to_owned(), path)
        })
        .collect();
        let agrees = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            parameters_agree(&headers, &arguments, &repeated)
        };
        for (name, value) in [
            ("mcp-param-database", "staging"),
            ("mcp-param-n", "42"),
            ("mcp-param-n", "42.0"),
            ("mcp-param-on", "true"),
            ("mcp-param-odd", "=?base64?w6Q=?="),
            ("mcp-param-big", "9007199254740993"),
        ] {
            assert!(agrees(&[(name, value)]), "{name}: {value}");
        }
        for (name, value) in [
            // What another argument says, or a part of this one.
            ("mcp-param-database", "production"),
            ("mcp-param-list", "staging"),
            // What nothing says, or nobody can read.
            ("mcp-param-n", "43"),
            ("mcp-param-n", "42."),
            ("mcp-param-n", "042"),
            ("mcp-param-on", "false"),
            ("mcp-param-database", ""),
            ("mcp-param-odd", "=?base64?w6Q?="),
            ("mcp-param-big", "9007199254740992"),
            ("mcp-param-nothing", ""),
            ("mcp-param-absent", "staging"),
            // What the definition has no name for.
            ("mcp-param-note", "production"),
            ("mcp-param-", "staging"),
        ] {
            assert!(!agrees(&[(name, value)]), "{name}: {value}");
        }
        assert!(agrees(&[]));
        let said = ("mcp-param-database", "staging");
        assert!(!agrees(&[said, said]));
        let carried = Value::String(json!({"database": "staging", "$x": 1}).to_string());
        let mut headers = HeaderMap::new();
        headers.append(said.0, HeaderValue::from_static(said.1));
        assert!(parameters_agree(&headers, &carried, &repeated));
        assert!(!parameters_agree(&headers, &arguments, &Repeated::new()));
    }

    #[test]
    fn what_repeats_a_message_is_seen_where_there_is_none() {
        let mut headers = HeaderMap::new();
        headers.append("mcp-session-id", HeaderValue::from_static("x"));
        assert!(!repeat(&headers));
        for name in ["mcp-method", "mcp-name", "mcp-param-x"] {
            let mut headers = headers.clone();
            headers.append(name, HeaderValue::from_static("x"));
            assert!(repeat(&headers), "{name}");
        }
    }
}
