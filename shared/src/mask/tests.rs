mod places;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::json;
use crate::limits::Limits;

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nTUlJRXZRSUJBREFOQmdrcWhraUc5dzBC\nQVFFRg==\n-----END PRIVATE KEY-----\n";

fn action(value: &Value) -> Action {
    Action::read(&json::canonical(value).unwrap(), &Limits::default()).unwrap()
}

fn run(action: &Action) -> Result<(Value, Openings), MaskError> {
    let mut salt = 0_u8;
    let salts = || {
        salt += 1;
        [salt; 32]
    };
    mask(
        action,
        salts,
        &MaskKey::from_bytes([7; 32]),
        &RequestId::from_bytes([1; 16]),
    )
}

fn exec(argv: &Value, environment: &Value) -> Value {
    json!({
        "v": 1, "kind": "exec.run", "target": {"kind": "host", "name": "build-1"},
        "arguments": {"argv": argv, "program": {"path": "/bin/x", "sha256": "ab".repeat(32)}, "stdin": null},
        "context": {"environment": environment},
    })
}

fn call(arguments: &Value) -> Value {
    json!({
        "v": 1, "kind": "mcp.call", "target": {"kind": "server", "name": "crm"}, "arguments": arguments,
    })
}

fn secret(value: &str) -> Value {
    json!({ "$secret": value })
}

/// Shows a masked string with each mask as `<class>`.
fn shown(value: &Value) -> String {
    match value.get("$parts").and_then(Value::as_array) {
        None => value.as_str().unwrap_or("?").to_owned(),
        Some(parts) => parts
            .iter()
            .map(|part| match part.pointer("/$mask/class") {
                Some(class) => format!("<{}>", class.as_str().unwrap()),
                None => part.as_str().unwrap().to_owned(),
            })
            .collect(),
    }
}

fn argv(elements: &[Value]) -> Result<Vec<String>, MaskError> {
    let (masked, _) = run(&action(&exec(&json!(elements), &json!({}))))?;
    let elements = masked.pointer("/arguments/argv").and_then(Value::as_array);
    Ok(elements.unwrap().iter().map(shown).collect())
}

fn plain_argv(elements: &[&str]) -> Vec<String> {
    let elements: Vec<Value> = elements.iter().map(|text| json!(text)).collect();
    argv(&elements).unwrap()
}

#[test]
fn a_marked_secret_is_masked_where_a_value_may_stand() {
    for (elements, expected) in [
        (
            vec![json!("x"), json!("--token"), secret("abcdef")],
            "x --token <token>",
        ),
        (
            vec![
                json!("x"),
                json!({"$parts": ["session_token=", {"$secret": "abcdef"}]}),
            ],
            "x session_token=<token>",
        ),
        (
            vec![
                json!("x"),
                json!({"$parts": ["--token=", {"$secret": "abcdef"}]}),
            ],
            "x --token=<token>",
        ),
        (
            vec![
                json!("x"),
                json!("-H"),
                json!({"$parts": ["X-Api-Key: ", {"$secret": "abcdef"}]}),
            ],
            "x -H X-Api-Key: <token>",
        ),
        (
            vec![
                json!("x"),
                json!({"$parts": ["https://u:", {"$secret": "abcdef"}, "@h/p"]}),
            ],
            "x https://u:<token>@h/p",
        ),
        (
            vec![
                json!("x"),
                json!({"$parts": ["https://h/p?a=1&api_key=", {"$secret": "abcdef"}, "&a=1"]}),
            ],
            "x https://h/p?a=1&api_key=<token>&a=1",
        ),
        (
            vec![json!("x"), json!("--key"), secret(PEM)],
            "x --key <pem>",
        ),
        (
            vec![json!("x"), json!("--auth"), secret(JWT)],
            "x --auth <jwt>",
        ),
    ] {
        assert_eq!(argv(&elements).unwrap().join(" "), expected);
    }
}

#[test]
fn a_mask_never_hides_an_instruction() {
    let parts =
        |before: &str, after: &str| json!({"$parts": [before, {"$secret": "abcdef"}, after]});
    let ends = |before: &str| json!({"$parts": [before, {"$secret": "abcdef"}]});
    for elements in [
        vec![json!("git"), secret("push-f")],
        vec![json!("rm"), json!("-rf"), secret("abcdef")],
        vec![json!("sh"), json!("-c"), secret("reboot")],
        vec![json!("bash"), json!("-lc"), secret("reboot")],
        vec![json!("perl"), json!("--eval"), secret("reboot")],
        vec![json!("sh"), json!("-c"), ends("x --token=")],
        vec![
            json!("env"),
            json!("python3.12"),
            json!("-Bc"),
            secret("reboot"),
        ],
        vec![json!("x"), ends("--eval=")],
        vec![json!("x"), ends("-c=")],
        vec![json!("x"), ends("--path=")],
        vec![json!("x"), json!("--host"), secret("abcdef")],
        vec![json!("x"), json!("--token"), secret("/etc/shadow")],
        vec![json!("x"), json!("--token"), secret("--force")],
        vec![json!("x"), json!("--token"), secret("../secret")],
        // Options and names that say nothing of a secret.
        vec![json!("x"), json!("--context"), secret("prod")],
        vec![json!("x"), json!("--config"), secret("prod")],
        vec![json!("x"), ends("destination=")],
        vec![json!("node"), json!("--print"), secret("reboot")],
        vec![json!("python3"), json!("-u"), secret("script")],
        vec![json!("sudo"), json!("-u"), secret("root")],
        vec![json!("git"), json!("push"), json!("-u"), secret("origin")],
        vec![json!("mkdir"), json!("-p"), secret("abcdef")],
        vec![json!("git"), json!("clean"), ends("-a")],
        vec![json!("x"), json!("-u"), ends("me:")],
        vec![json!("x"), parts("https://api/export?to=", "&a=1")],
        vec![json!("x"), ends("https://api/export?token=a&to=")],
        vec![json!("x"), ends("rm ")],
        vec![json!("x"), ends("rm; token=")],
        vec![json!("x"), parts("--token=", " --force")],
        vec![json!("x"), ends("https://")],
        vec![json!("x"), ends("https://h/")],
        vec![json!("x"), parts("https://u:", "x@h")],
        vec![json!("x"), parts("https://u@h:", "@i")],
        vec![
            json!("x"),
            json!({"$parts": ["a=", {"$secret": "abcdef"}, {"$secret": "ghijkl"}]}),
        ],
    ] {
        let error = argv(&elements).unwrap_err();
        assert_eq!(error.code(), "secret-not-allowed", "{elements:?}: {error}");
    }
    for arguments in [
        json!({"path": secret("abcdef")}),
        json!({"filePath": secret("abcdef")}),
        json!({"hosts": [secret("abcdef")]}),
        json!({"destination": secret("abcdef")}),
        json!({"recipient": secret("abcdef")}),
        json!({"token": {"to": secret("abcdef")}}),
        json!({"url": secret("abcdef")}),
        json!({"command": ends("run ")}),
        json!({"sql": secret("abcdef")}),
        json!({"sql": parts("DROP TABLE ", "")}),
        json!({"sql": ends("SELECT '")}),
        json!({"sql": parts("SELECT 'a' -- '", "'")}),
        json!({"sql": parts("SELECT '", "x'")}),
        json!({"sql": parts("SELECT \"'", "'")}),
    ] {
        // A part that is empty is refused by the schema already.
        let bytes = json::canonical(&call(&arguments)).unwrap();
        if let Ok(action) = Action::read(&bytes, &Limits::default()) {
            let error = run(&action).unwrap_err();
            assert_eq!(error.code(), "secret-not-allowed", "{arguments}: {error}");
        }
    }
    assert!(run(&action(&call(&json!({"sql": parts("SELECT 'a', '", "'")})))).is_ok());
    for name in [
        "PATH",
        "PGHOST",
        "LD_PRELOAD",
        "BASH_ENV",
        "DATABASE_URL",
        "GIT_SSH_COMMAND",
        "HOME",
    ] {
        let environment = json!({ name: secret("abcdef") });
        let error = run(&action(&exec(&json!(["x"]), &environment))).unwrap_err();
        assert_eq!(error.code(), "secret-not-allowed", "{name}");
    }
}

#[test]
fn a_secret_is_one_token_or_a_jwt_or_a_pem_block() {
    let long = "a".repeat(256);
    for good in ["a", "aB3-_.+/=:@%,^", long.as_str(), JWT, PEM] {
        assert!(
            run(&action(&call(&json!({"pin": secret(good)})))).is_ok(),
            "{good}"
        );
    }
    let longer = "a".repeat(257);
    for bad in [
        "",
        "a b",
        "a\n",
        "a\tb",
        "a;b",
        "a|b",
        "a&b",
        "$a",
        "`a`",
        "a>b",
        "(a)",
        "{a}",
        "[a]",
        "a*",
        "a?",
        "!a",
        "#a",
        "~a",
        "a\\",
        "'a'",
        "\"a\"",
        "é",
        "\u{202e}a",
        "https://h",
        longer.as_str(),
        "-----BEGIN X-----\nrm -rf /\n-----END X-----",
        "-----BEGIN X-----\nYQ==\n-----END Y-----",
        "-----BEGIN X-----\nYQ==\n-----END X-----\nrm",
    ] {
        let error = run(&action(&call(&json!({"pin": secret(bad)})))).unwrap_err();
        assert_eq!(error.code(), "secret-form", "{bad}");
    }
}

#[test]
fn secrets_are_found_by_name_and_structure() {
    for (elements, expected) in [
        (
            vec!["x", "--password", "hunter2"],
            "x --password <password>",
        ),
        (vec!["x", "--api-token=hunter2"], "x --api-token=<token>"),
        (vec!["x", "PGPASSWORD=hunter2"], "x PGPASSWORD=<password>"),
        (
            vec!["x", "-H", "Authorization: Bearer abc.def"],
            "x -H Authorization: Bearer <token>",
        ),
        (
            vec!["x", "-H", "Authorization: abc.def"],
            "x -H Authorization: <token>",
        ),
        (
            vec!["x", "https://u:pw@h/?a=b"],
            "x https://u:<password>@h/?a=b",
        ),
        (
            vec!["sh", "-c", "PASSWORD=hunter2"],
            "sh -c PASSWORD=hunter2",
        ),
        (
            vec!["x", "--password-file=/etc/pw"],
            "x --password-file=/etc/pw",
        ),
        (vec!["x", "--token", "/etc/shadow"], "x --token /etc/shadow"),
        (
            vec!["x", "--password", "two words"],
            "x --password two words",
        ),
        (vec!["x", "--password", "--force"], "x --password --force"),
        (vec!["x", "--max-tokens", "5"], "x --max-tokens 5"),
    ] {
        assert_eq!(plain_argv(&elements).join(" "), expected);
    }
    let environment = json!({
        "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "zzzz", "DATABASE_URL": "pg://u:pw1@h/d",
        "MYSQL_PWD": "qqqq", "PGHOST": "db", "PGPASSWORD": "hunter2", "PWD": "/srv", "SSH_KEY_PATH": "/k",
    });
    let (masked, _) = run(&action(&exec(&json!(["x"]), &environment))).unwrap();
    let environment = masked
        .pointer("/context/environment")
        .unwrap()
        .as_object()
        .unwrap();
    let shown: Vec<String> = environment.values().map(shown).collect();
    assert_eq!(
        shown,
        [
            "AKIA",
            "<token>",
            "pg://u:<password>@h/d",
            "<password>",
            "db",
            "<password>",
            "/srv",
            "/k"
        ]
    );
    let arguments = json!({"headers": {"Authorization": "Basic YTpi", "X-Api-Key": "kkkk"}, "a": [{"clientSecret": "ssss"}]});
    let (masked, _) = run(&action(&call(&arguments))).unwrap();
    for (pointer, expected) in [
        ("/arguments/headers/Authorization", "Basic <token>"),
        ("/arguments/headers/X-Api-Key", "<token>"),
        ("/arguments/a/0/clientSecret", "<token>"),
    ] {
        assert_eq!(
            super::tests::shown(masked.pointer(pointer).unwrap()),
            expected
        );
    }
}

#[test]
fn what_stands_in_clear_elsewhere_is_no_secret() {
    let both = exec(
        &json!(["x", "abcdef.txt"]),
        &json!({"A_TOKEN": secret("abcdef")}),
    );
    let error = run(&action(&both)).unwrap_err();
    assert_eq!(
        error,
        MaskError::Elsewhere {
            at: Pointer::from_text("/context/environment/A_TOKEN"),
            clear: Pointer::from_text("/arguments/argv/1"),
        }
    );
    let name = call(&json!({"pin": secret("abcdef"), "abcdef": 1}));
    assert_eq!(run(&action(&name)).unwrap_err().code(), "secret-in-clear");

    // Found by name only: shown in both places, and what that uncovers as well.
    let found = exec(
        &json!(["x", "postgres"]),
        &json!({"A_TOKEN": "ostgre", "PGPASSWORD": "postgres", "PGUSER": "me"}),
    );
    let (masked, openings) = run(&action(&found)).unwrap();
    assert_eq!(masked, found);
    assert!(openings.is_empty());
}

#[test]
fn equal_secrets_look_equal_within_one_request_only() {
    let action = action(&call(
        &json!({"a_token": secret("abcdef"), "b_token": secret("abcdef"), "c_token": secret("ghijkl")}),
    ));
    let tag = |masked: &Value, name: &str| {
        let pointer = format!("/arguments/{name}_token/$parts/0/$mask/tag");
        masked
            .pointer(&pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (masked, _) = run(&action).unwrap();
    assert_eq!(tag(&masked, "a"), tag(&masked, "b"));
    assert_ne!(tag(&masked, "a"), tag(&masked, "c"));
    let key = MaskKey::from_bytes([7; 32]);
    let (other, _) = mask(&action, || [1; 32], &key, &RequestId::from_bytes([2; 16])).unwrap();
    assert_ne!(tag(&masked, "a"), tag(&other, "a"));
    assert_eq!(format!("{key:?}"), "MaskKey(…)");
}

#[test]
fn too_many_secrets_are_refused() {
    let many = |count: usize| {
        let list: Vec<Value> = (0..count)
            .map(|index| secret(&format!("a{index}")))
            .collect();
        run(&action(&call(&json!({ "pin": list }))))
    };
    assert!(many(MAX_MASKS).is_ok());
    assert_eq!(many(MAX_MASKS + 1).unwrap_err().measured(), Some((64, 65)));
}

#[test]
fn openings_must_fit_exactly() {
    let value = exec(
        &json!(["x", {"$parts": ["--a-token=", {"$secret": "abcdef"}]}]),
        &json!({"B_TOKEN": secret("ghijkl")}),
    );
    let (masked, openings) = run(&action(&value)).unwrap();
    let bytes = openings.to_bytes().unwrap();
    assert_eq!(Openings::read(&bytes).unwrap(), openings);
    assert_eq!(format!("{openings:?}"), "Openings(2 of them)");
    let restored = reveal(&masked, &openings).unwrap();
    assert_eq!(
        restored,
        exec(
            &json!(["x", "--a-token=abcdef"]),
            &json!({"B_TOKEN": "ghijkl"})
        )
    );

    let change = |from: &str, to: &str| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(from));
        Openings::read(text.replacen(from, to, 1).as_bytes())
            .and_then(|openings| reveal(&masked, &openings))
    };
    for (from, to, code) in [
        ("abcdef", "abcdeg", "opening-differs"),
        ("\"salt\":\"01", "\"salt\":\"02", "opening-differs"),
        ("\"part\":1", "\"part\":0", "mask-not-opened"),
        ("/argv/1", "/argv/0", "mask-not-opened"),
        ("\"v\":1", "\"v\":2", "bad-openings"),
        ("\"salt\":\"01", "\"salt\":\"", "bad-openings"),
    ] {
        assert_eq!(change(from, to).unwrap_err().code(), code, "{from} {to}");
    }
    let none = Openings::new(Vec::new());
    assert_eq!(
        reveal(&masked, &none).unwrap_err().code(),
        "mask-not-opened"
    );
    assert_eq!(
        reveal(&restored, &openings).unwrap_err().code(),
        "opening-not-used"
    );
}

#[test]
fn the_check_takes_the_action_with_and_without_marks() {
    let with_marks = exec(&json!(["x", "--token", secret("abcdef")]), &json!({}));
    let plain = exec(&json!(["x", "--token", "abcdef"]), &json!({}));
    let (masked, openings) = run(&action(&with_marks)).unwrap();
    let check = |value: &Value| check(&json::canonical(value).unwrap(), &masked, &openings);
    assert_eq!(check(&with_marks), Ok(()));
    assert_eq!(check(&plain), Ok(()));
    for (other, at) in [
        (
            exec(&json!(["x", "--token", "abcdeg"]), &json!({})),
            "/arguments/argv/2",
        ),
        (
            exec(&json!(["x", "--token"]), &json!({})),
            "/arguments/argv",
        ),
        (
            exec(&json!(["x", "--token", "abcdef"]), &json!({"A": "b"})),
            "/context/environment/A",
        ),
    ] {
        assert_eq!(
            check(&other),
            Err(MaskError::Differs {
                at: Pointer::from_text(at)
            })
        );
    }
}

#[test]
fn a_masked_document_can_be_masked_no_further() {
    let value = exec(&json!(["x", "--token", "abcdef"]), &json!({}));
    let (masked, _) = run(&action(&value)).unwrap();
    let bytes = json::canonical(&masked).unwrap();
    assert_eq!(
        Action::read(&bytes, &Limits::default()).unwrap_err().code(),
        "reserved-name"
    );
    assert!(crate::action::check(&masked, crate::action::Form::Masked).is_ok());
    assert!(crate::action::check(&value, crate::action::Form::Masked).is_ok());
    assert!(
        crate::action::check(
            &exec(&json!(["x", secret("abcdef")]), &json!({})),
            crate::action::Form::Masked
        )
        .is_err()
    );
}

/// An action with secrets, marked or not, in several places; some of them are equal.
fn with_secrets() -> impl Strategy<Value = (Value, Vec<String>)> {
    prop::collection::vec("[g-zG-Z]{6,20}", 4).prop_flat_map(|values| {
        (
            prop::collection::vec(0..4_usize, 6),
            "[ -~]{0,12}",
            Just(values),
        )
            .prop_map(|(picks, reason, values)| {
                let pick = |index: usize| values[picks[index]].clone();
                let action = json!({
                    "v": 1, "kind": "exec.run", "target": {"kind": "host", "name": "b"},
                    "arguments": {
                        "argv": [
                            "x", "--token", secret(&pick(0)), format!("--password={}", pick(1)),
                            format!("https://u:{}@h/", pick(2)),
                            {"$parts": ["--k-token=", {"$secret": pick(3)}]},
                        ],
                        "program": {"path": "/x", "sha256": "ab".repeat(32)}, "stdin": null,
                    },
                    "context": {"environment": {"A_TOKEN": secret(&pick(4)), "B_SECRET": pick(5)}},
                    "claims": {"reason": reason},
                });
                (
                    action,
                    picks.iter().map(|pick| values[*pick].clone()).collect(),
                )
            })
    })
}

proptest! {
    #[test]
    fn no_masked_value_survives_and_openings_restore_it((value, values) in with_secrets()) {
        let action = action(&value);
        if let Ok((masked, openings)) = run(&action) {
            let bytes = json::canonical(&masked).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(openings.len(), 6);
            for value in &values {
                prop_assert!(!text.contains(value.as_str()), "{} in {}", value, text);
            }
            let restored = reveal(&masked, &openings).unwrap();
            let raw = action.bytes().unwrap();
            prop_assert_eq!(check(&raw, &masked, &openings), Ok(()));
            let again = json::canonical(&restored).unwrap();
            prop_assert_eq!(check(&again, &masked, &openings), Ok(()));
            prop_assert_eq!(run(&action).unwrap().0, masked);
        }
    }

    #[test]
    fn whatever_is_asked_is_masked_or_refused_without_a_panic(
        arguments in prop::collection::btree_map("[a-z_]{1,12}|password|url|sql|token", crate::json::tests::any_value(), 0..5),
    ) {
        let bytes = json::canonical(&call(&json!(arguments))).unwrap();
        if let Ok(action) = Action::read(&bytes, &Limits::default())
            && let Ok((masked, openings)) = run(&action)
        {
            prop_assert_eq!(check(&bytes, &masked, &openings), Ok(()));
        }
    }
}
