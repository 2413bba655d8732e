//! What a request's headers say of its message: nothing that the message itself does not say.
//!
//! Some servers, and what stands before them, act upon the headers. The gate reads the message, so the
//! two have to agree.

use data_encoding::BASE64;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

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

/// Tells whether each header that repeats an argument of a call says what one of the arguments is.
pub(super) fn parameters_agree(headers: &HeaderMap, arguments: &Value) -> bool {
    // An action carries arguments with reserved names as their text.
    let read: Option<Value> = arguments
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    let arguments = read.as_ref().unwrap_or(arguments);
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(PARAMETERS))
        .all(|(_, value)| decode(value).is_some_and(|said| is_in(arguments, &said)))
}

/// Tells whether a text, a number or a truth value somewhere in `value` is written so.
fn is_in(value: &Value, said: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => said == if *truth { "true" } else { "false" },
        Value::Number(number) => {
            number.to_string() == said
                || said.parse().ok().is_some_and(|said: f64| {
                    number
                        .as_f64()
                        .is_some_and(|number| number.to_bits() == said.to_bits())
                })
        }
        Value::String(text) => text == said,
        Value::Array(elements) => elements.iter().any(|element| is_in(element, said)),
        Value::Object(members) => members.values().any(|member| is_in(member, said)),
    }
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
    fn a_header_can_repeat_an_argument_and_not_add_one() {
        let arguments = json!({"region": "eu", "n": 42, "deep": {"on": true}, "odd": "\u{e4}"});
        let agrees = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append("mcp-param-x", HeaderValue::from_static(value));
            parameters_agree(&headers, &arguments)
                && parameters_agree(&headers, &Value::String(arguments.to_string()))
        };
        for repeated in ["eu", "42", "42.0", "true", "=?base64?w6Q=?="] {
            assert!(agrees(repeated), "{repeated}");
        }
        for added in ["us", "43", "false", "", "=?base64?w6Q?=", "region"] {
            assert!(!agrees(added), "{added}");
        }
        assert!(parameters_agree(&HeaderMap::new(), &arguments));
    }
}
