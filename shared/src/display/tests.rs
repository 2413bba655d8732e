use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::text::{Untrusted, read_exact};

fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).unwrap()
}

fn rendered(value: &Value) -> Rendering {
    render(&canonical(value)).unwrap()
}

/// A value that is being read from a rendering.
enum Node {
    Leaf(Value),
    Inner(BTreeMap<String, Self>),
}

impl Node {
    fn into_value(self) -> Value {
        let children = match self {
            Self::Leaf(value) => return value,
            Self::Inner(children) => children,
        };
        let indices = (0..children.len()).map(|index| index.to_string());
        let mut items: BTreeMap<String, Value> = children
            .into_iter()
            .map(|(token, node)| (token, node.into_value()))
            .collect();
        if indices.clone().all(|index| items.contains_key(&index)) {
            return indices.map(|index| items.remove(&index).unwrap()).collect();
        }
        let name = |token: String| {
            let name = String::from_utf8(read_exact(&token).unwrap()).unwrap();
            name.replace("~1", "/").replace("~0", "~")
        };
        Value::Object(
            items
                .into_iter()
                .map(|(token, value)| (name(token), value))
                .collect(),
        )
    }
}

/// Reads a rendering back, knowing only what the module's page says.
fn read_back(text: &str) -> Value {
    let mut root = Node::Inner(BTreeMap::new());
    let body = text.strip_prefix("countersign display v1\n").unwrap();
    for line in body.strip_suffix('\n').unwrap().split('\n') {
        let (pointer, value) = line.split_once(' ').unwrap();
        let value = match value.strip_prefix('"') {
            Some(rest) => {
                let text = read_exact(rest.strip_suffix('"').unwrap()).unwrap();
                Value::String(String::from_utf8(text).unwrap())
            }
            None => serde_json::from_str(value).unwrap(),
        };
        let mut at = &mut root;
        for token in pointer.split('/').skip(1) {
            let Node::Inner(children) = at else {
                panic!("{line}")
            };
            at = children
                .entry(token.to_owned())
                .or_insert(Node::Inner(BTreeMap::new()));
        }
        *at = Node::Leaf(value);
    }
    root.into_value()
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,4}",
        "[0-2]",
        "[ /~\"<>U+0x.\u{0}\n\u{202e}é\u{e000}\u{1f980}]{0,6}",
        any::<String>(),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        name().prop_map(Value::from),
        prop::sample::select(vec!["1", "null", "{}", "\" \"", "x\"\n/y \"z", " ", "\\\""])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_can_be_read_back_from_its_rendering(value in document()) {
        prop_assert_eq!(read_back(&rendered(&value).text), value);
    }

    #[test]
    fn two_documents_have_two_renderings(a in document(), b in document()) {
        prop_assert_eq!(a == b, rendered(&a).text == rendered(&b).text);
    }

    #[test]
    fn a_rendering_is_made_of_its_lines_and_of_nothing_that_acts(value in document()) {
        let rendering = rendered(&value);
        let mut text = format!("{HEADER}\n");
        for line in &rendering.lines {
            prop_assert!(!line.pointer.as_str().contains(' '));
            text.extend([line.pointer.as_str(), " ", line.value.as_str(), "\n"]);
        }
        prop_assert_eq!(&text, &rendering.text);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        prop_assert_eq!(rendered(&value).digest(), rendering.digest());
    }
}

#[test]
fn the_example_has_the_rendering_that_was_published() {
    // Something of every kind. These files never change: a new format has a new name.
    let rendering = render(include_bytes!("../../testdata/display-v1.json")).unwrap();
    assert_eq!(
        rendering.text,
        include_str!("../../testdata/display-v1.txt")
    );
    assert!(rendering.complete);
    assert!(rendering.contents_not_shown);
    let masked: Vec<_> = rendering.masked.iter().map(Printable::as_str).collect();
    assert_eq!(masked, ["/action/arguments/argv/1"]);
    assert!(rendering.findings.is_hostile());
    assert_eq!(rendering.findings.hidden_text(), None);
    assert_eq!(
        rendering.claims_findings.hidden_text(),
        Some(Untrusted::new("A"))
    );
}

#[test]
fn a_string_is_never_taken_for_another_value() {
    let texts = [
        json!("1"),
        json!(1),
        json!("null"),
        json!(null),
        json!("{}"),
        json!({}),
        json!("[]"),
        json!([]),
    ];
    let renderings: Vec<_> = texts.iter().map(|value| rendered(value).text).collect();
    for (index, text) in renderings.iter().enumerate() {
        assert!(!renderings[..index].contains(text), "{text}");
    }
}

#[test]
fn a_list_and_an_object_with_numbers_for_names_differ() {
    assert_eq!(rendered(&json!([1])).text, format!("{HEADER}\n/0 1\n"));
    assert_eq!(
        rendered(&json!({"0": 1})).text,
        format!("{HEADER}\n/<U+0030> 1\n")
    );
    assert_eq!(
        rendered(&json!({"8080": 1})).text,
        format!("{HEADER}\n/8080 1\n")
    );
}

#[test]
fn a_document_that_is_not_canonical_is_refused() {
    for document in [
        r#"{"a":1,"a":1}"#,
        r#"{"b":1,"a":1}"#,
        r#"{"a": 1}"#,
        r#"{"a":1.0}"#,
        r#"{"a":"\u0041"}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":1e2}"#,
        r#"{"a":1}"#.trim_end_matches('}'),
        "",
        "{} {}",
    ] {
        assert!(render(document.as_bytes()).is_err(), "{document}");
    }
    assert!(matches!(
        render(b"{\"a\":\"\xff\"}"),
        Err(DisplayError::Json(_))
    ));
}

#[test]
fn a_form_that_is_not_known_is_not_complete() {
    for value in [
        json!({"$secret": "x"}),
        json!({"$parts": []}),
        json!({"$parts": ["a", 1]}),
        json!({"$parts": ["a"]}),
        json!({"$mask": {"class": "token"}}),
        json!({"$number": "1 "}),
        json!({"$number": "x"}),
        json!({"a": {"$what": 1, "b": 2}}),
        json!({"base64": "?"}),
        json!({"base64": "/w==", "size": 2}),
    ] {
        assert!(!rendered(&value).complete, "{value}");
    }
    let other = rendered(&json!({"base64": "/w==", "name": "a.png"}));
    assert!(other.complete && !other.contents_not_shown);
    assert!(rendered(&json!({"$number": "-1.50e10"})).complete);
}

#[test]
fn a_document_that_repeats_a_long_name_too_often_is_refused() {
    let document = json!({"\0".repeat(20_000): vec![0; 1_000]});
    assert!(matches!(
        render(&canonical(&document)),
        Err(DisplayError::TooLong { .. })
    ));
}
