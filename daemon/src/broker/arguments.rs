//! The bytes that stand in an action: of argument vectors, variables and input, secrets included.

use std::collections::BTreeMap;

use countersign_shared::action::Action;
use data_encoding::BASE64;
use serde_json::Value;
use zeroize::Zeroizing;

/// Returns the bytes of a string of the kernel's, in any of the forms that an action has for it.
pub(super) fn bytes(value: &Value) -> Option<Zeroizing<Vec<u8>>> {
    if let Some(text) = value.as_str() {
        return Some(Zeroizing::new(text.as_bytes().to_vec()));
    }
    let members = value.as_object()?;
    let (name, inner) = members.iter().next()?;
    match name.as_str() {
        "base64" => BASE64
            .decode(inner.as_str()?.as_bytes())
            .ok()
            .map(Zeroizing::new),
        "$secret" => bytes(inner),
        "$parts" => {
            let mut whole = Zeroizing::new(Vec::new());
            for part in inner.as_array()? {
                whole.extend_from_slice(&bytes(part)?);
            }
            Some(whole)
        }
        _ => None,
    }
}

/// Returns the argument vector.
pub(super) fn argv(action: &Value) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    let argv = action.pointer("/arguments/argv")?.as_array()?;
    argv.iter().map(bytes).collect()
}

/// Returns the environment.
pub(super) fn environment(action: &Value) -> Option<BTreeMap<String, Zeroizing<Vec<u8>>>> {
    let Some(found) = action.pointer("/context/environment") else {
        return Some(BTreeMap::new());
    };
    let variables = found.as_object()?.iter();
    variables
        .map(|(name, value)| Some((name.clone(), bytes(value)?)))
        .collect()
}

/// The only kind that a profile can run. In the arguments of others, which nobody checks, what looks
/// like a profile is none.
pub(super) const KIND: &str = "exec.run";

/// Returns the name of the profile that an action is to be run as, if it is.
pub(crate) fn profile_of(action: &Action) -> Option<&str> {
    if action.kind() != KIND {
        return None;
    }
    let profile = action.value().pointer("/arguments/profile")?;
    profile.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_string_has_its_bytes() {
        for (value, expected) in [
            (json!("a b"), b"a b".as_slice()),
            (json!({"base64": "/w=="}), b"\xff"),
            (json!({"$secret": "s"}), b"s"),
            (
                json!({"$parts": ["--token=", {"$secret": "s"}]}),
                b"--token=s",
            ),
        ] {
            assert_eq!(bytes(&value).unwrap().as_slice(), expected, "{value}");
        }
        for value in [
            json!(1),
            json!(null),
            json!({"$mask": {}}),
            json!({"base64": "?"}),
        ] {
            assert!(bytes(&value).is_none(), "{value}");
        }
    }
}
