//! Actions put together from options, and what is said about those that cannot be.

use clap::Parser as _;
use serde_json::Value;

use super::*;
use crate::cli::{Arguments, Command};

fn options(line: &[&str]) -> Box<RequestOptions> {
    let line = ["countersign-agent", "request"].iter().chain(line);
    let Command::Request(options) = Arguments::try_parse_from(line).unwrap().command else {
        panic!("not a request")
    };
    options
}

fn build(line: &[&str]) -> Result<Value, Failure> {
    let bytes = from_options(&options(line), &Limits::default())?;
    Ok(serde_json::from_slice(&bytes).unwrap())
}

fn write(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_action_says_everything_the_options_say() {
    let dir = tempfile::tempdir().unwrap();
    let old = write(&dir, "old", b"a: 1\n");
    let new = write(&dir, "new", b"a: 2\n");
    let token = write(&dir, "token", b"abc123\n");
    let action = build(&[
        "--kind",
        "infra.apply",
        "--target",
        "prod",
        "--argument",
        "plan=blue",
        "--argument",
        "count:=3",
        "--secret",
        &format!("token=@{token}"),
        "--change",
        &format!("{old}={new}"),
        "--change",
        &format!("{old}="),
        "--change",
        &format!("{}/fresh={new}", dir.path().display()),
        "--data",
        "orders,access=read,records=7",
        "--reason",
        "because",
        "--agent",
        "etl-3",
    ])
    .unwrap();
    assert_eq!(action["kind"], "infra.apply");
    assert_eq!(
        action["target"],
        json!({"kind": "environment", "name": "prod"})
    );
    assert_eq!(
        action["arguments"],
        json!({"plan": "blue", "count": 3, "token": {"$secret": "abc123"}})
    );
    let (one, two) = (json!({"text": "a: 1\n"}), json!({"text": "a: 2\n"}));
    let sides: Vec<_> = action["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["before"].clone(), change["after"].clone()))
        .collect();
    assert_eq!(
        sides,
        [
            (one.clone(), two.clone()),
            (one, Value::Null),
            (Value::Null, two)
        ]
    );
    assert_eq!(action["data"][0]["records"], 7);
    assert_eq!(
        action["claims"],
        json!({"agent": "etl-3", "reason": "because"})
    );
    assert!(action["context"]["cwd"].as_str().unwrap().starts_with('/'));
}

#[test]
fn a_file_that_is_too_large_is_refused_and_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let limit = Limits::default().action_bytes;
    let large = write(&dir, "large", &vec![b'x'; limit + 1]);
    let failure = build(&[
        "--kind",
        "file.write",
        "--target",
        "x",
        "--change",
        &format!("/nonexistent={large}"),
    ])
    .unwrap_err();
    assert_eq!(&*failure.code, "too-large");
    assert_eq!(failure.limit, u64::try_from(limit).ok());
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_an_absent_one() {
    let dir = tempfile::tempdir().unwrap();
    let new = write(&dir, "new", b"x");
    let path = dir.path().display();
    // A directory can be opened, and cannot be read as a file.
    let failure = build(&[
        "--kind",
        "file.write",
        "--target",
        "x",
        "--change",
        &format!("{path}={new}"),
    ])
    .unwrap_err();
    assert_eq!(&*failure.code, "cannot-read");
    let failure = build(&[
        "--kind",
        "file.write",
        "--target",
        "x",
        "--change",
        &format!("a={path}/absent"),
    ])
    .unwrap_err();
    assert_eq!(&*failure.code, "cannot-read");
}

#[test]
fn a_secret_that_is_not_there_stops_the_asking() {
    let failure = build(&[
        "--kind",
        "key.rotate",
        "--target",
        "x",
        "--secret",
        "t=env:COUNTERSIGN_NO_SUCH_VARIABLE",
    ])
    .unwrap_err();
    assert_eq!((&*failure.code, failure.exit), ("no-secret", Exit::Usage));
}

#[test]
fn an_action_that_the_schema_refuses_names_the_field() {
    let failure = build(&["--kind", "Drop", "--target", "x"]).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.field.as_deref(), Some("/kind"));
}

#[test]
fn a_document_may_be_written_in_any_form_but_means_one_thing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let path = write(
        &dir,
        "action",
        br#"{ "v": 1, "target": {"name":"x", "kind":"tool"}, "kind": "mcp.call", "arguments": {} }"#,
    );
    assert_eq!(
        from_file(Path::new(&path), &limits).unwrap(),
        br#"{"arguments":{},"kind":"mcp.call","target":{"kind":"tool","name":"x"},"v":1}"#
    );
    let path = write(&dir, "twice", br#"{"v":1,"v":1}"#);
    let failure: Failure = from_file(Path::new(&path), &limits).unwrap_err().into();
    assert_eq!(&*failure.code, "duplicate-name");
}

#[test]
fn a_reason_cannot_act_on_the_terminal_of_who_asked() {
    let reason = Untrusted::new("no\u{1b}]0;owned\u{7}\nerror: approved");
    let failure = not_approved(State::Denied, &reason);
    assert!(
        !failure.message.contains(['\u{1b}', '\u{7}', '\n']),
        "{}",
        failure.message
    );
    assert_eq!(failure.exit, Exit::Denied);
    assert_eq!(&*failure.code, "denied");
}
