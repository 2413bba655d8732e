//! The strict reader for what passes through: JSON that no two programs read differently.
//!
//! What is passed on is never written anew, so whoever reads it after us reads the same bytes with
//! another parser. Everything that parsers are known to differ in is refused here: names that stand
//! twice, text that is no Unicode, U+0000 where some think that a text ends, nesting that some cannot
//! follow, a carriage return that some take for the end of a message. Numbers are left as they are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use countersign_shared::action;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How deep arrays and objects may be nested.
pub(super) const MAX_DEPTH: usize = 64;

/// The bytes are no message that could be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StrictError {
    /// It is not JSON, or not in one way only.
    #[error("it is not JSON that can be read in one way only: {0}")]
    Json(String),
    /// It has a carriage return inside.
    #[error("it has a carriage return at byte {at}, which some readers take for the end of a line")]
    CarriageReturn {
        /// Where, from 0.
        at: usize,
    },
    /// It is a list.
    #[error("it is a batch; send each message on a line of its own")]
    Batch,
    /// It is neither an object nor a list.
    #[error("it is not an object")]
    NotObject,
}

/// The members of an object, each as it was written.
pub(super) type Members<'b> = BTreeMap<Cow<'b, str>, &'b RawValue>;

/// Reads a message of one line, without the line feed, into its members.
///
/// # Errors
/// When it is no object, or two readers could take it for different things.
pub(super) fn line(bytes: &[u8]) -> Result<Members<'_>, StrictError> {
    // One at the end belongs to the line feed.
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match bytes.iter().position(|byte| *byte == b'\r') {
        Some(at) => Err(StrictError::CarriageReturn { at }),
        None => message(bytes),
    }
}

/// Reads a message whose end does not hang on its bytes.
///
/// # Errors
/// As [`line`].
pub(super) fn message(bytes: &[u8]) -> Result<Members<'_>, StrictError> {
    check(bytes)?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{') => members(bytes),
        Some(b'[') => Err(StrictError::Batch),
        Some(_) | None => Err(StrictError::NotObject),
    }
}

/// Reads the members of a part of a message that was read.
///
/// # Errors
/// When it is no object.
pub(super) fn object(raw: &RawValue) -> Result<Members<'_>, StrictError> {
    if raw.get().starts_with('{') {
        members(raw.get().as_bytes())
    } else {
        Err(StrictError::NotObject)
    }
}

fn members(bytes: &[u8]) -> Result<Members<'_>, StrictError> {
    let named: BTreeMap<Name<'_>, &RawValue> = serde_json::from_slice(bytes).map_err(json)?;
    Ok(named.into_iter().map(|(name, raw)| (name.0, raw)).collect())
}

/// Returns a text, if this is one.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// Returns a part of a message as actions carry it: numbers that RFC 8785 would write otherwise keep
/// their digits.
///
/// # Errors
/// Only for what was not read before.
pub(super) fn carried(raw: &RawValue) -> Result<Value, StrictError> {
    let token = raw.get();
    match token.as_bytes().first() {
        Some(b'{') => {
            let mut carried_members = Map::new();
            for (name, raw) in members(token.as_bytes())? {
                carried_members.insert(name.into_owned(), carried(raw)?);
            }
            Ok(Value::Object(carried_members))
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(token).map_err(json)?;
            elements.into_iter().map(carried).collect()
        }
        Some(b'-' | b'0'..=b'9') => {
            action::number(token).ok_or_else(|| StrictError::Json("a number is none".to_owned()))
        }
        Some(_) | None => serde_json::from_str(token).map_err(json),
    }
}

/// Tells whether a name is another spelling of one of `names`, for a reader that does not look at
/// the case of letters, as that of Go's standard library does not, or leaves out what it cannot see.
pub(super) fn is_disguised(name: &str, names: &[&str]) -> bool {
    let folded = fold(name);
    names
        .iter()
        .any(|known| *known != name && fold(known) == folded)
}

/// Tells whether a text could be taken for `known` by a reader that looks at its letters and digits
/// only, in whatever case.
pub(super) fn is_like(text: &str, known: &str) -> bool {
    let letters =
        |text: &str| -> String { fold(text).chars().filter(|c| c.is_alphanumeric()).collect() };
    text != known && letters(text) == letters(known)
}

/// Folds as Go does: the long s and the sign of kelvin are letters as well. What is neither a letter
/// nor drawn as a mark of its own (blanks, controls, joiners) is left out.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric() || c.is_ascii_punctuation())
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

fn json(error: impl fmt::Display) -> StrictError {
    StrictError::Json(error.to_string())
}

/// Walks all of it once and keeps nothing.
fn check(bytes: &[u8]) -> Result<(), StrictError> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    Walk { depth: 0 }
        .deserialize(&mut parser)
        .and_then(|()| parser.end())
        .map_err(json)
}

/// A name, with its escapes resolved.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name<'b>(Cow<'b, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Looks at the next value.
#[derive(Clone, Copy)]
struct Walk {
    depth: usize,
}

impl Walk {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(E::custom(format_args!(
                "it is nested deeper than {MAX_DEPTH}"
            )));
        }
        Ok(Self { depth })
    }
}

/// Refuses a text that ends earlier for a reader that keeps texts as C does.
fn whole<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') {
        return Err(E::custom(
            "a text in it holds U+0000, where some readers end",
        ));
    }
    Ok(())
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        whole(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while access.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen: HashSet<Name<'de>> = HashSet::new();
        while let Some(name) = access.next_key::<Name<'de>>()? {
            whole(&name.0)?;
            if seen.contains(&name) {
                let problem = format!("the name `{}` stands twice in one object", name.0);
                return Err(A::Error::custom(problem));
            }
            seen.insert(name);
            access.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> StrictError {
        line(text.as_bytes()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn what_two_readers_could_take_for_different_messages_is_refused() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"p":{"x":[{"a":1,"a":1}]}}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":1} x"#,
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"a":1e999}"#,
            "{\"a\":\"\t\"}",
            r#"{"a":"b\u0000"}"#,
            r#"{"a\u0000":1}"#,
            "\u{feff}{}",
            r#"{"a":"#,
            "",
        ] {
            let error = refused(text);
            assert!(matches!(error, StrictError::Json(_)), "{text}: {error}");
        }
        assert!(line(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_line_that_some_readers_take_for_two_is_refused() {
        let smuggled = "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":\r{\"id\":1}\r}";
        assert_eq!(refused(smuggled), StrictError::CarriageReturn { at: 39 });
        assert!(line(b"{\"a\":1}\r").is_ok());
    }

    #[test]
    fn only_an_object_is_a_message() {
        assert_eq!(refused("[{\"id\":1}]"), StrictError::Batch);
        assert_eq!(refused(" [] "), StrictError::Batch);
        for text in ["1", "\"a\"", "null"] {
            assert_eq!(refused(text), StrictError::NotObject);
        }
    }

    #[test]
    fn nesting_ends_where_some_reader_would_give_up() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(line(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert!(line(nested(MAX_DEPTH).as_bytes()).is_err());
        assert!(line(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a":9007199254740993,"b":1.50,"c":[1,-0],"d":1e2,"e":1.5}"#;
        let read = message(text.as_bytes()).unwrap();
        let all: Map<String, Value> = read
            .into_iter()
            .map(|(name, raw)| (name.into_owned(), carried(raw).unwrap()))
            .collect();
        assert_eq!(
            Value::Object(all),
            json!({"a": {"$number": "9007199254740993"}, "b": {"$number": "1.50"},
                   "c": [1, {"$number": "-0"}], "d": {"$number": "1e2"}, "e": 1.5})
        );
    }

    #[test]
    fn other_spellings_of_a_name_are_seen() {
        let known = ["method", "params", "task"];
        for name in [
            "Method",
            "METHOD",
            "pARAMS",
            "ta\u{17f}k",
            "tas\u{212a}",
            "task ",
            "\u{200b}task",
            "me\u{ad}thod",
        ] {
            assert!(is_disguised(name, &known), "{name}");
        }
        for name in ["method", "params", "methods", "_method", "x"] {
            assert!(!is_disguised(name, &known), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_read_or_refused(bytes: Vec<u8>) {
            drop(line(&bytes));
        }

        #[test]
        fn whatever_is_accepted_means_the_same_to_a_lenient_reader(text in "[{}\\[\\]\":,a\\\\u0061 \r1]{0,24}") {
            if let Ok(read) = line(text.as_bytes()) {
                let lenient: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(read.len(), lenient.as_object().unwrap().len());
                for (name, raw) in read {
                    prop_assert_eq!(carried(raw).is_ok(), true);
                    prop_assert!(lenient.get(&*name).is_some());
                }
            }
        }
    }
}
