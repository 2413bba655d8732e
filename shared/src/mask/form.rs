//! Which values can be hidden: those that are nothing but a value.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::Value;

use super::Class;

/// What [`class_of`] accepts, for messages.
pub(super) const EXPECTED: &str =
    "one token of at most 256 bytes (letters, digits and -_.+/=:@%,^), a JWT or a PEM block";

const TOKEN_BYTES: usize = 256;
const JWT_BYTES: usize = 8 * 1024;
const PEM_BYTES: usize = 16 * 1024;

/// Returns what a value is, `None` when it could be more than a value.
pub(super) fn class_of(value: &str) -> Option<Class> {
    if is_jwt(value) {
        Some(Class::Jwt)
    } else if is_token(value) {
        Some(Class::Token)
    } else if is_pem(value) {
        Some(Class::Pem)
    } else {
        None
    }
}

/// Tells whether a value is one word that no shell reads anything into, and no URL.
fn is_token(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= TOKEN_BYTES
        && !value.contains("://")
        && value.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'_' | b'.' | b'+' | b'/' | b'=' | b':' | b'@' | b'%' | b',' | b'^'
                )
        })
}

/// Tells whether a value is a JWS in compact form with a JSON header (RFC 7515, section 7.1).
fn is_jwt(value: &str) -> bool {
    if value.len() > JWT_BYTES {
        return false;
    }
    let mut parts = value
        .split('.')
        .map(|part| BASE64URL_NOPAD.decode(part.as_bytes()));
    let (Some(Ok(header)), Some(Ok(_)), Some(Ok(_)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    serde_json::from_slice::<Value>(&header)
        .is_ok_and(|header| header.get("alg").is_some_and(Value::is_string))
}

/// Tells whether a value is one block of RFC 7468, with base64 between its two lines.
fn is_pem(value: &str) -> bool {
    if value.len() > PEM_BYTES {
        return false;
    }
    let mut lines = value.strip_suffix('\n').unwrap_or(value).split('\n');
    let label = |line: Option<&str>, begin: &str| -> Option<String> {
        let label = line?.strip_prefix(begin)?.strip_suffix("-----")?;
        let known = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' ');
        (!label.is_empty() && label.bytes().all(known)).then(|| label.to_owned())
    };
    let begin = label(lines.next(), "-----BEGIN ");
    let end = label(lines.next_back(), "-----END ");
    if begin.is_none() || begin != end {
        return false;
    }
    let mut body = String::new();
    for line in lines {
        if line.is_empty() || line.len() > 76 {
            return false;
        }
        body.push_str(line);
    }
    BASE64
        .decode(body.as_bytes())
        .is_ok_and(|bytes| !bytes.is_empty())
}
