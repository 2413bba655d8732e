use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::digest::Digest;
use crate::json::Pointer;

fn read(value: &Value) -> Result<Action, ActionError> {
    Action::read(&json::canonical(value).unwrap(), &Limits::default())
}

/// The action of the handbook, with everything in it.
fn full() -> Value {
    json!({
        "v": 1, "kind": "sql.exec", "target": {"kind": "database", "name": "orders"},
        "arguments": {"statement": "DROP TABLE orders_2024", "limit": {"$number": "9007199254740993"}},
        "changes": [{"path": "deploy/api.yaml", "before": {"text": "a\n"}, "after": null, "mode": "0644"}],
        "data": [{"name": "orders", "classification": "pii", "access": "delete", "records": 48211, "destination": null}],
        "context": {"cwd": "/srv/etl", "environment": {"PGHOST": "db", "PGPASSWORD": {"$secret": "hunter2"}}, "ticket": "OPS-1182"},
        "claims": {"agent": "etl-3", "reason": "routine cleanup"},
    })
}

fn exec() -> Value {
    json!({
        "v": 1, "kind": "exec.run", "target": {"kind": "host", "name": "build-1"},
        "arguments": {
            "argv": ["curl", "-u", {"$secret": "abcdef"}, {"base64": "/w=="}],
            "program": {"path": "/usr/bin/curl", "sha256": "ab".repeat(32)},
            "stdin": null,
        },
    })
}

/// Puts `new` at a pointer, or removes what is there.
fn with(mut value: Value, pointer: &str, new: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (value.pointer_mut(parent).unwrap(), new) {
        (Value::Object(members), Some(new)) => {
            members.insert(name.to_owned(), new);
        }
        (Value::Object(members), None) => {
            members.remove(name);
        }
        (Value::Array(elements), Some(new)) => elements[name.parse::<usize>().unwrap()] = new,
        (other, _) => panic!("{other} has no members"),
    }
    value
}

#[test]
fn a_full_action_is_read() {
    let action = read(&full()).unwrap();
    assert_eq!(action.kind(), "sql.exec");
    assert_eq!(action.target_kind(), "database");
    assert_eq!(action.target_name(), "orders");
    assert_eq!(action.claim("reason"), Some("routine cleanup"));
    assert_eq!(
        action.bytes().unwrap().as_slice(),
        json::canonical(&full()).unwrap()
    );
    assert_eq!(format!("{action:?}"), "Action(…)");
    assert!(read(&exec()).is_ok());
}

#[test]
fn every_required_field_is_missed() {
    for (whole, pointers) in [
        (
            full(),
            vec![
                "/v",
                "/kind",
                "/target",
                "/target/kind",
                "/target/name",
                "/arguments",
                "/changes/0/path",
                "/changes/0/before",
                "/changes/0/after",
                "/changes/0/mode",
                "/data/0/name",
                "/data/0/classification",
                "/data/0/access",
                "/data/0/records",
                "/data/0/destination",
            ],
        ),
        (
            exec(),
            vec![
                "/arguments/argv",
                "/arguments/program",
                "/arguments/program/path",
                "/arguments/program/sha256",
                "/arguments/stdin",
            ],
        ),
    ] {
        for pointer in pointers {
            let error = read(&with(whole.clone(), pointer, None)).unwrap_err();
            assert_eq!(
                error,
                ActionError::Missing {
                    at: Pointer::from_text(pointer)
                }
            );
        }
    }
    for optional in ["/changes", "/data", "/context", "/claims", "/context/cwd"] {
        assert!(read(&with(full(), optional, None)).is_ok(), "{optional}");
    }
}

#[test]
fn a_field_that_is_not_ours_is_refused_at_every_level() {
    for pointer in [
        "/sha256",
        "/target/id",
        "/changes/0/diff",
        "/changes/0/sha256",
        "/changes/0/before/sha256",
        "/data/0/sha256",
        "/context/stated",
    ] {
        let error = read(&with(full(), pointer, Some(json!("x")))).unwrap_err();
        assert_eq!(
            error,
            ActionError::Unknown {
                at: Pointer::from_text(pointer)
            }
        );
    }
    for pointer in [
        "/arguments/env",
        "/arguments/program/size",
        "/arguments/argv/3/size",
    ] {
        let error = read(&with(exec(), pointer, Some(json!("x")))).unwrap_err();
        assert_eq!(
            error,
            ActionError::Unknown {
                at: Pointer::from_text(pointer)
            }
        );
    }
}

#[test]
fn a_value_that_is_not_acceptable_is_named() {
    for (pointer, value, code) in [
        ("/v", json!(2), "bad-value"),
        ("/v", json!("1"), "bad-value"),
        ("/kind", json!("drop"), "bad-value"),
        ("/kind", json!("Sql.exec"), "bad-value"),
        ("/kind", json!("sql..exec"), "bad-value"),
        ("/kind", json!("sql.éxec"), "bad-value"),
        ("/kind", json!("a.".repeat(40) + "a"), "too-long"),
        ("/target", json!("orders"), "wrong-type"),
        ("/target/name", json!(""), "bad-value"),
        ("/target/name", json!("x".repeat(4097)), "too-long"),
        ("/arguments", json!([]), "wrong-type"),
        ("/changes", json!({}), "wrong-type"),
        ("/changes/0/before", json!(null), "bad-value"),
        ("/changes/0/mode", json!("rwx"), "bad-value"),
        ("/changes/0/mode", json!(420), "wrong-type"),
        ("/data/0/access", json!("steal"), "bad-value"),
        ("/data/0/records", json!(-1), "bad-value"),
        ("/data/0/records", json!(1.5), "bad-value"),
        ("/data/0/name", json!("\u{1}".repeat(4096)), "too-long"),
        ("/context/environment", json!({"": "x"}), "bad-value"),
        ("/context/environment", json!({"A=B": "x"}), "bad-value"),
        ("/context/environment/PGHOST", json!(1), "wrong-type"),
        ("/claims/reason", json!({}), "wrong-type"),
        ("/claims/Reason", json!("x"), "unknown-field"),
    ] {
        let error = read(&with(full(), pointer, Some(value.clone()))).unwrap_err();
        assert_eq!(error.code(), code, "{pointer} {value}: {error}");
        let field = error.field().unwrap().as_str();
        assert!(
            field.starts_with(pointer) || pointer.starts_with(field),
            "{field}"
        );
    }
    for (pointer, value, code) in [
        ("/arguments/argv", json!([]), "bad-value"),
        ("/arguments/argv", json!("ls -l"), "wrong-type"),
        ("/arguments/argv/1", json!(1), "wrong-type"),
        ("/arguments/argv/1", json!({"base64": "YWJj"}), "bad-value"),
        ("/arguments/argv/1", json!({"base64": "/wA="}), "bad-value"),
        ("/arguments/argv/1", json!({"base64": "/x=="}), "bad-value"),
        ("/arguments/argv/1", json!({"$number": "1.0"}), "wrong-type"),
        ("/arguments/program/path", json!("curl"), "bad-value"),
        (
            "/arguments/program/sha256",
            json!("AB".repeat(32)),
            "bad-value",
        ),
        ("/arguments/stdin", json!("text"), "wrong-type"),
    ] {
        let error = read(&with(exec(), pointer, Some(value.clone()))).unwrap_err();
        assert_eq!(error.code(), code, "{pointer} {value}: {error}");
    }
}

#[test]
fn a_secret_is_refused_where_everything_must_be_readable() {
    let secret = || json!({"$secret": "abcdef"});
    for pointer in [
        "/v",
        "/kind",
        "/target",
        "/target/kind",
        "/target/name",
        "/arguments",
        "/changes",
        "/changes/0",
        "/changes/0/path",
        "/changes/0/before",
        "/changes/0/before/text",
        "/data",
        "/data/0/name",
        "/data/0/destination",
        "/context",
        "/context/cwd",
        "/context/environment",
        "/context/ticket",
        "/claims",
        "/claims/reason",
    ] {
        let error = read(&with(full(), pointer, Some(secret()))).unwrap_err();
        let expected = if pointer == "/v" {
            "bad-value"
        } else {
            "secret-not-allowed"
        };
        assert_eq!(error.code(), expected, "{pointer}: {error}");
    }
    for pointer in [
        "/arguments/argv",
        "/arguments/argv/0",
        "/arguments/program",
        "/arguments/program/path",
        "/arguments/program/sha256",
        "/arguments/stdin",
    ] {
        let error = read(&with(exec(), pointer, Some(secret()))).unwrap_err();
        assert_eq!(error.code(), "secret-not-allowed", "{pointer}: {error}");
    }
}

#[test]
fn names_with_a_dollar_sign_stand_alone_and_are_known() {
    for value in [
        json!({"$mask": {}}),
        json!({"$other": 1}),
        json!({"$": 1}),
        json!({"$secret": "abcdef", "x": 1}),
        json!({"$number": "1.0", "$secret": "a"}),
        json!({"a": {"$parts": ["x", {"$mask": {}}]}}),
        json!([{"$parts": ["x", {"$number": "1.0"}]}]),
    ] {
        let error = read(&with(full(), "/arguments/x", Some(value.clone()))).unwrap_err();
        assert_eq!(error.code(), "reserved-name", "{value}: {error}");
    }
    for value in [
        json!({"$secret": 1}),
        json!({"$number": 1}),
        json!({"$number": "1"}),
        json!({"$number": "1.5"}),
        json!({"$number": "1e+21"}),
        json!({"$number": "01"}),
        json!({"$number": "+1"}),
        json!({"$number": "1."}),
        json!({"$number": ".1"}),
        json!({"$number": "1e"}),
        json!({"$number": "Infinity"}),
        json!({"$number": ""}),
        json!({"$number": " 1.0"}),
        json!({"$parts": []}),
        json!({"$parts": ["a"]}),
        json!({"$parts": [{"$secret": "a"}]}),
        json!({"$parts": ["a", "b", {"$secret": "a"}]}),
        json!({"$parts": ["", {"$secret": "a"}]}),
    ] {
        assert!(
            read(&with(full(), "/arguments/x", Some(value.clone()))).is_err(),
            "{value}"
        );
    }
    for value in [
        json!({"$number": "1.0"}),
        json!({"$number": "-0"}),
        json!({"$number": "1e400"}),
        json!({"$parts": ["a", {"$secret": "b"}, {"$secret": "c"}, "d"]}),
        json!({"base64": 1, "text": [null]}),
    ] {
        assert!(
            read(&with(full(), "/arguments/x", Some(value.clone()))).is_ok(),
            "{value}"
        );
    }
    let dollar = with(full(), "/arguments", Some(json!({"$number": "1.0"})));
    assert_eq!(read(&dollar).unwrap_err().code(), "reserved-name");
}

#[test]
fn contents_have_one_form() {
    let change = |contents: Value| read(&with(full(), "/changes/0/before", Some(contents)));
    assert!(change(json!({"base64": "/w==", "size": 1})).is_ok());
    assert!(
        change(json!({"base64": "YQBi", "size": 3})).is_ok(),
        "no text holds a NUL"
    );
    for (contents, code) in [
        (json!({"base64": "YWJj", "size": 3}), "bad-value"),
        (json!({"base64": "", "size": 0}), "bad-value"),
        (json!({"base64": "/w==", "size": 2}), "size-differs"),
        (json!({"base64": "/w", "size": 1}), "bad-value"),
        (json!({"base64": "/x==", "size": 1}), "bad-value"),
        (json!({"base64": "_w==", "size": 1}), "bad-value"),
        (json!({"base64": "/w=="}), "missing-field"),
        (json!({"text": "a", "size": 1}), "unknown-field"),
        (json!({}), "missing-field"),
    ] {
        let error = change(contents.clone()).unwrap_err();
        assert_eq!(error.code(), code, "{contents}: {error}");
    }
}

#[test]
fn claims_do_not_make_another_action() {
    let sameness = |value: &Value| read(value).unwrap().sameness_bytes().unwrap();
    let other = with(full(), "/claims/reason", Some(json!("another")));
    assert_eq!(sameness(&full()), sameness(&other));
    assert_eq!(sameness(&full()), sameness(&with(full(), "/claims", None)));
    let other = with(
        full(),
        "/context/environment/PGPASSWORD/$secret",
        Some(json!("hunter3")),
    );
    assert_ne!(sameness(&full()), sameness(&other));
}

#[test]
fn a_built_action_is_the_one_that_is_read() {
    let limits = Limits::default();
    let bytes = ActionBuilder::new("sql.exec", "database", "orders")
        .argument("statement", json!("DROP TABLE orders_2024"))
        .argument("limit", number("9007199254740993").unwrap())
        .change(&Change {
            path: "deploy/api.yaml".to_owned(),
            before: Some(Contents::of(b"a\n".to_vec())),
            after: None,
            mode: Some("0644".to_owned()),
        })
        .data(&DataUse {
            name: "orders".to_owned(),
            classification: Some("pii".to_owned()),
            access: Access::Delete,
            records: Some(48211),
            destination: None,
        })
        .cwd("/srv/etl")
        .environment("PGHOST", Text::clear("db"))
        .environment("PGPASSWORD", Text::secret("hunter2"))
        .ticket("OPS-1182")
        .claim("agent", "etl-3")
        .claim("reason", "routine cleanup")
        .build(&limits)
        .unwrap();
    assert_eq!(bytes, json::canonical(&full()).unwrap());

    let argv = vec![
        Text::clear("curl"),
        Text::clear("-u"),
        Text::secret("abcdef"),
        Text::from_bytes(vec![0xff]),
    ];
    let program = Program {
        path: "/usr/bin/curl".to_owned(),
        digest: Digest::from_hex(&"ab".repeat(32)).unwrap(),
    };
    let bytes = ActionBuilder::exec("host", "build-1", argv, &program, None).build(&limits);
    assert_eq!(bytes.unwrap(), json::canonical(&exec()).unwrap());

    let error = ActionBuilder::new("drop", "database", "x")
        .build(&limits)
        .unwrap_err();
    assert_eq!(error.code(), "bad-value");
}

#[test]
fn numbers_keep_their_text() {
    for (token, value) in [
        ("1", json!(1)),
        ("1.5", json!(1.5)),
        ("1.0", json!({"$number": "1.0"})),
        ("1e21", json!({"$number": "1e21"})),
        (
            "18446744073709551615",
            json!({"$number": "18446744073709551615"}),
        ),
    ] {
        assert_eq!(number(token), Some(value), "{token}");
    }
    assert_eq!(number("0x10"), None);
    assert_eq!(number("\"a\""), None);
}

proptest! {
    #[test]
    fn contents_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let contents = Contents::of(bytes.clone());
        prop_assert_eq!(contents.as_bytes(), bytes);
        prop_assert_eq!(Contents::read(&contents.to_value()), Some(contents));
    }

    #[test]
    fn any_change_to_an_action_is_judged_without_a_panic(
        pointer in prop::sample::select(vec!["/kind", "/target", "/arguments", "/changes/0/before",
            "/changes/0", "/data/0", "/context", "/claims", "/arguments/x", "/context/environment"]),
        value in crate::json::tests::any_value(),
    ) {
        let changed = with(full(), pointer, Some(value));
        let bytes = json::canonical(&changed).unwrap();
        if let Ok(action) = Action::read(&bytes, &Limits::default()) {
            prop_assert_eq!(action.bytes().unwrap().to_vec(), bytes);
        }
    }
}

#[test]
fn a_command_may_say_which_tool_of_a_client_runs_it() {
    let tool = json!({"client": "claude", "name": "Bash", "input": {"timeout": 120_000}});
    let whole = with(exec(), "/arguments/tool", Some(tool));
    read(&whole).unwrap();
    for (pointer, new) in [
        ("/arguments/tool/client", None),
        ("/arguments/tool/client", Some(json!(""))),
        ("/arguments/tool/name", Some(json!(7))),
        ("/arguments/tool/input", None),
        ("/arguments/tool/input", Some(json!("x"))),
        ("/arguments/tool/input", Some(json!({"$x": 1}))),
        ("/arguments/tool/more", Some(json!("x"))),
    ] {
        assert!(
            read(&with(whole.clone(), pointer, new)).is_err(),
            "{pointer}"
        );
    }
}

#[test]
fn a_profile_is_described_whole_and_holds_no_secret() {
    let profile = json!({
        "name": "deploy", "user": "deploy", "groups": ["docker"],
        "secrets": {"TOKEN": "environment"}, "limits": {"output": 5},
        "input": "shown", "temporary": true,
    });
    let whole = with(exec(), "/arguments/profile", Some(profile.clone()));
    assert!(read(&whole).is_ok());
    for name in profile.as_object().unwrap().keys() {
        let pointer = format!("/arguments/profile/{name}");
        assert!(
            read(&with(whole.clone(), &pointer, None)).is_err(),
            "{name}"
        );
    }
    for (pointer, value) in [
        ("/arguments/profile/shell", json!(true)),
        ("/arguments/profile/user", json!({"$secret": "hunter2"})),
        (
            "/arguments/profile/secrets/TOKEN",
            json!({"$secret": "hunter2"}),
        ),
        ("/arguments/profile/secrets", json!(["TOKEN"])),
        ("/arguments/profile/limits/output", json!("much")),
        ("/arguments/profile/limits/output", json!(-1)),
        ("/arguments/profile/temporary", json!("yes")),
        ("/arguments/profile/groups/0", json!("")),
    ] {
        let error = read(&with(whole.clone(), pointer, Some(value)));
        assert!(error.is_err(), "{pointer}");
    }
}
