use proptest::prelude::*;
use serde_json::json;

use super::*;

fn strict(text: &str) -> Result<Value, JsonError> {
    read(text.as_bytes(), &Limits::default())
}

fn exact(text: &str) -> Result<Value, JsonError> {
    read_canonical(text.as_bytes(), &Limits::default())
}

fn pointer(text: &str) -> Pointer {
    Pointer::from_text(text)
}

#[test]
fn a_name_twice_is_refused_at_any_depth_and_in_any_spelling() {
    for (text, at) in [
        (r#"{"a":1,"a":1}"#, "/a"),
        (r#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#, "/b/c/0/d"),
        (r#"{"a":1,"\u0061":2}"#, "/a"),
        (r#"{"😀":1,"\ud83d\ude00":2}"#, "/😀"),
        (r#"{"a/b~":{"":1,"":2}}"#, "/a~1b~0/"),
    ] {
        let expected = JsonError::Duplicate { at: pointer(at) };
        assert_eq!(strict(text), Err(expected), "{text}");
    }
    // Two normal forms of one character are two names.
    assert!(strict("{\"\u{e9}\":1,\"e\u{301}\":2}").is_ok());
}

#[test]
fn depth_64_is_read_and_depth_65_is_not() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(exact(&nested(64)).is_ok());
    let error = strict(&nested(65)).unwrap_err();
    assert_eq!(error.measured(), Some((64, 65)));
    assert_eq!(error.at(), Some(&pointer(&"/0".repeat(64))));
    assert!(strict(&nested(500_000)).is_err());
    assert!(strict(&"[".repeat(500_000)).is_err());
    assert!(strict(&"{\"a\":".repeat(200_000)).is_err());
}

#[test]
fn nul_is_refused_in_strings_and_in_names() {
    for (text, at) in [
        (r#"{"a":["x\u0000"]}"#, "/a/0"),
        (r#"{"a\u0000":1}"#, "/a\0"),
    ] {
        assert_eq!(strict(text), Err(JsonError::Nul { at: pointer(at) }));
    }
}

#[test]
fn what_is_not_json_or_not_utf_8_is_refused() {
    for bytes in [
        b"".as_slice(),
        b"{",
        b"{} {}",
        b"{}x",
        b"[1,]",
        b"{\"a\":1,}",
        b"{a:1}",
        b"'a'",
        b"nul",
        b"NaN",
        b"Infinity",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"1e",
        b"1e400",
        b"\"\t\"",
        b"\"\\x\"",
        b"\"\\ud800\"",
        b"\"\\ud800\\u0041\"",
        b"\"\\udc00\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xff\"",
        b"\"\xc0\xaf\"",
        b"\xef\xbb\xbf{}",
        b"// x\n1",
    ] {
        let read = read(bytes, &Limits::default());
        assert!(matches!(read, Err(JsonError::Syntax { .. })), "{bytes:?}");
    }
    let error = strict(r#"{"a":[1,"\ud800"]}"#).unwrap_err();
    assert_eq!(error.at(), Some(&pointer("/a/1")));
}

#[test]
fn each_limit_names_itself_and_the_size_found() {
    let limits = Limits {
        action_bytes: 40,
        lines: 3,
        line_bytes: 5,
        ..Limits::default()
    };
    let read = |text: &str| super::read(text.as_bytes(), &limits);
    assert_eq!(
        read(&format!("\"{}\"", "a".repeat(40)))
            .unwrap_err()
            .measured(),
        Some((40, 42))
    );
    assert!(read(r#"{"a":"1\n2\n3","b":"4","c":"5"}"#).is_ok());
    assert_eq!(
        read(r#"{"a":"1\n2","b":["3\n4"]}"#),
        Err(JsonError::Lines {
            at: pointer("/b/0"),
            limit: 3,
            found: 4
        })
    );
    assert_eq!(
        read(r#"["1\n123456"]"#),
        Err(JsonError::Line {
            at: pointer("/0"),
            limit: 5,
            found: 6
        })
    );
    assert_eq!(
        read(r#"{"éé":"ééé"}"#).unwrap_err().measured(),
        Some((5, 6)),
        "bytes, not characters"
    );
}

#[test]
fn long_names_cannot_multiply_the_work() {
    let nested = |bytes: usize| format!(r#"{{"a":{{"{}":0}}}}"#, "b".repeat(bytes));
    assert!(strict(&nested(4093)).is_ok());
    let error = strict(&nested(4094)).unwrap_err();
    assert_eq!(error.measured(), Some((4096, 4097)));
    assert_eq!(error.code(), "names-too-long");
}

#[test]
fn numbers_are_written_as_in_rfc_8785_appendix_b() {
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let number = f64::from_bits(bits);
        assert_eq!(canonical(&number).unwrap(), text.as_bytes(), "{bits:x}");
        assert!(exact(text).is_ok(), "{text}");
    }
}

#[test]
fn names_are_sorted_by_utf_16_as_in_rfc_8785_section_3() {
    let value = json!({
        "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis",
    });
    let text = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
        \"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\
        \"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(canonical(&value).unwrap(), text.as_bytes());
    assert_eq!(exact(text), Ok(value));

    let example = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    let value = strict(example).unwrap();
    assert_eq!(canonical(&value).unwrap(), expected.as_bytes());
}

#[test]
fn a_number_in_another_form_is_named_by_its_pointer() {
    for token in [
        "1.0",
        "1E3",
        "1e3",
        "-0",
        "0.0",
        "1e21",
        "9007199254740993",
        "18446744073709551615",
        "9223372036854775808",
        "-9223372036854775808",
        "100000000000000000000000",
        "333333333.33333329",
        "0.10",
        "1e-400",
    ] {
        let text = format!(r#"{{"a":["x",{{"b":{token}}}]}}"#);
        let expected = JsonError::Number {
            at: pointer("/a/1/b"),
        };
        assert_eq!(exact(&text), Err(expected), "{token}");
    }
    assert!(
        strict("9007199254740993").is_err(),
        "read as another number"
    );
    for token in [
        "1100000000000000100",
        "-1100000000000000100",
        "1.5",
        "0",
        "-1",
        "1e+21",
        "9007199254740992",
        "1e-7",
        "0.5",
    ] {
        assert!(exact(token).is_ok(), "{token}");
    }
}

#[test]
fn other_differences_are_named_by_their_byte() {
    for (text, offset, at) in [
        (r#"{"a": 1}"#, 5, "/a"),
        (" 1", 0, ""),
        ("1\n", 1, ""),
        (r#"{"b":1,"a":2}"#, 2, "/b"),
        (r#"["\u0041"]"#, 2, "/0"),
        (r#"["\/"]"#, 2, "/0"),
        (r#"[[],["a" ]]"#, 8, "/1/0"),
    ] {
        let at = pointer(at);
        assert_eq!(
            exact(text),
            Err(JsonError::NotCanonical { offset, at }),
            "{text}"
        );
    }
}

#[test]
fn an_integer_that_is_no_double_is_not_written() {
    let error = canonical(&json!({"a": [9_007_199_254_740_993_u64]})).unwrap_err();
    assert_eq!(
        error,
        JsonError::Number {
            at: pointer("/a/0")
        }
    );
    assert!(canonical(&json!(i64::MIN)).is_ok());
}

#[test]
fn documents_of_our_own_hold_integers_only() {
    assert_eq!(
        integers_only(&json!({"a": [1, -1, MAX_INTEGER, -MAX_INTEGER]})),
        Ok(())
    );
    for value in [
        json!(1.5),
        json!(1.0),
        json!(MAX_INTEGER + 1),
        json!(u64::MAX),
    ] {
        let error = integers_only(&json!({ "a": value })).unwrap_err();
        assert_eq!(error, JsonError::NotInteger { at: pointer("/a") });
    }
}

#[test]
fn a_pointer_in_a_message_cannot_hide_anything() {
    let error = strict("{\"a`\\u001b[2J\u{202e}\":\"\\u0000\"}").unwrap_err();
    assert_eq!(
        error.to_string(),
        r"the text at `/a\u{60}\u{1b}[2J\u{202e}` contains a NUL character; send such contents as base64"
    );
    let long = pointer(&"é".repeat(500)).to_string();
    assert!(long.ends_with('…') && long.len() < 2_000);
}

/// Text that is likely to be nearly JSON.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\"a\""),
        Just("\"b\""),
        Just("\"\\u0061\""),
        Just("\"\\ud83d\\ude00\""),
        Just("1"),
        Just("-0"),
        Just("1e21"),
        Just("1e+21"),
        Just("0.5"),
        Just("9007199254740993"),
        Just("null"),
        Just("true"),
        Just(" "),
        Just("\"\\n\""),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Any JSON value whose numbers are doubles.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[^\0]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,4}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = read_canonical(&bytes, &Limits::default()) {
            prop_assert_eq!(canonical(&value).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_accepted_is_written_the_same(bytes in nearly_json()) {
        let limits = Limits::default();
        if let Ok(value) = read_canonical(&bytes, &limits) {
            prop_assert_eq!(canonical(&value).unwrap(), bytes);
        } else if let Ok(value) = read(&bytes, &limits) {
            prop_assert_ne!(canonical(&value).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_written_is_accepted(value in any_value()) {
        let bytes = canonical(&value).unwrap();
        let again = read_canonical(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(canonical(&again).unwrap(), bytes);
    }
}

proptest! {
    #[test]
    fn the_plain_writer_and_the_canonical_one_agree_where_it_is_used(value in any_value()) {
        prop_assert_eq!(write_value(&value), write(&value));
    }

    #[test]
    fn a_member_that_is_left_out_leaves_the_rest(mut value in any_value(), name in "[ab\u{e9}]?") {
        let written = canonical_without(&value, &name);
        if let Some(members) = value.as_object_mut() {
            members.remove(&name);
        }
        prop_assert_eq!(written, canonical_value(&value));
    }

    #[test]
    fn what_is_written_is_returned_as_a_reader_has_it(value in any_value(), depth in 1_usize..8) {
        let bounds = Bounds { depth, ..Bounds::of_own(1 << 20) };
        let read = canonical_value(&value)
            .and_then(|bytes| Ok((read_canonical_within(&bytes, &bounds)?, bytes)));
        prop_assert_eq!(write_within(value, &bounds), read);
    }
}
