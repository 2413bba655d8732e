//! What is taken, and that the action changes when, and only when, it changes.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};

use super::*;

fn options(dir: &Path, command: &[&str]) -> RunOptions {
    RunOptions {
        target: Some("build-7".to_owned()),
        target_kind: "host".to_owned(),
        reason: Some("because".to_owned()),
        agent: None,
        environment: Vec::new(),
        cwd: Some(dir.to_path_buf()),
        status_fd: None,
        command: command.iter().map(OsString::from).collect(),
    }
}

/// A directory with a program `tool` in it.
fn dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    fs::write(path.join("tool"), "#!/bin/sh\necho safe\n").unwrap();
    fs::set_permissions(path.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    (dir, path)
}

fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
    let list: Vec<_> = list
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    list.into_iter()
}

fn read(capture: &Capture) -> Value {
    serde_json::from_slice(&capture.action(&Limits::default()).unwrap()).unwrap()
}

#[test]
fn an_action_holds_exactly_what_would_run() {
    let (_dir, path) = dir();
    let mut options = options(&path, &["./tool", "--name", "a b", "$(x)", ""]);
    options.environment = vec!["PGHOST".to_owned()];
    let list = [
        ("PATH", "/bin"),
        ("LC_ALL", "C"),
        ("PGHOST", "db"),
        ("LD_PRELOAD", "/evil.so"),
        ("LCX", "no"),
    ];
    let input = Some(Contents::Text("select 1".to_owned()));
    let action = read(&Capture::take(&options, variables(&list), input).unwrap());
    assert_eq!(action["kind"], "exec.run");
    assert_eq!(action["target"], json!({"kind": "host", "name": "build-7"}));
    assert_eq!(
        action["arguments"]["argv"],
        json!(["./tool", "--name", "a b", "$(x)", ""])
    );
    assert_eq!(
        action["arguments"]["program"]["path"],
        path.join("tool").to_str().unwrap()
    );
    assert_eq!(action["arguments"]["stdin"], json!({"text": "select 1"}));
    assert_eq!(
        action["context"],
        json!({
            "cwd": path.to_str().unwrap(),
            "environment": {"PATH": "/bin", "LC_ALL": "C", "PGHOST": "db"},
        })
    );
    assert_eq!(action["claims"], json!({"reason": "because"}));
}

#[test]
fn arguments_that_are_not_text_are_shown_as_bytes() {
    let (_dir, path) = dir();
    let mut options = options(&path, &["./tool"]);
    options.command.push(OsString::from_vec(vec![b'a', 0xff]));
    let action = read(&Capture::take(&options, variables(&[]), None).unwrap());
    assert_eq!(action["arguments"]["argv"][1], json!({"base64": "Yf8="}));
    assert_eq!(action["arguments"]["stdin"], Value::Null);
}

#[test]
fn a_variable_that_was_named_and_is_not_set_stops_the_asking() {
    let (_dir, path) = dir();
    let mut options = options(&path, &["./tool"]);
    options.environment = vec!["PGHOST".to_owned()];
    let error = Capture::take(&options, variables(&[]), None).unwrap_err();
    assert!(matches!(error, CaptureError::Unset { .. }), "{error}");
}

#[test]
fn the_program_is_searched_for_in_the_path_that_is_shown() {
    let (_dir, path) = dir();
    let list = [("PATH", path.to_str().unwrap())];
    let options = options(Path::new("/"), &["tool"]);
    let capture = Capture::take(&options, variables(&list), None).unwrap();
    assert_eq!(capture.program().path(), path.join("tool"));
    assert_eq!(capture.argv(), ["tool"]);
}

#[test]
fn the_action_is_the_same_as_long_as_nothing_changes() {
    let (_dir, path) = dir();
    let capture = Capture::take(&options(&path, &["./tool"]), variables(&[]), None).unwrap();
    capture.check().unwrap();
    let limits = Limits::default();
    assert_eq!(
        capture.action(&limits).unwrap(),
        capture.action(&limits).unwrap()
    );
}

#[test]
fn a_program_or_directory_that_changed_is_noticed() {
    let (_dir, path) = dir();
    let inner = path.join("inner");
    fs::create_dir(&inner).unwrap();
    let take = || Capture::take(&options(&inner, &["../tool"]), variables(&[]), None).unwrap();
    let capture = take();
    fs::rename(&inner, path.join("old")).unwrap();
    symlink(path.join("old"), &inner).unwrap();
    assert!(matches!(
        capture.check(),
        Err(CaptureError::Directory(DirectoryError::Changed { .. }))
    ));
    fs::remove_file(&inner).unwrap();
    fs::rename(path.join("old"), &inner).unwrap();
    capture.check().unwrap();
    fs::write(path.join("tool"), "#!/bin/sh\necho evil\n").unwrap();
    assert!(matches!(
        capture.check(),
        Err(CaptureError::Program(ProgramError::Changed { .. }))
    ));
}

#[test]
fn an_input_that_makes_the_action_too_large_stops_the_asking() {
    let (_dir, path) = dir();
    let limits = Limits::default();
    let input = Some(Contents::Text("x".repeat(limits.action_bytes)));
    let capture = Capture::take(&options(&path, &["./tool"]), variables(&[]), input).unwrap();
    assert!(matches!(
        capture.action(&limits),
        Err(CaptureError::Action(_))
    ));
}
