//! Real programs, run by their descriptors.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use countersign_shared::action::Contents;
use rustix::process::Signal;

use super::*;
use crate::cli::RunOptions;

fn capture(dir: &Path, command: &[&str], input: Option<&str>) -> Capture {
    let options = RunOptions {
        target: None,
        target_kind: "host".to_owned(),
        reason: None,
        agent: None,
        environment: Vec::new(),
        cwd: Some(dir.to_path_buf()),
        status_fd: None,
        command: command.iter().map(OsString::from).collect(),
    };
    let variables = [("PATH", "/usr/bin:/bin"), ("LANG", "C"), ("SECRET", "x")]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let input = input.map(|text| Contents::Text(text.to_owned()));
    Capture::take(&options, variables.into_iter(), input).unwrap()
}

/// A script's descriptor stays open across an exec, that of another test as well: one runs at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn run(capture: &Capture) -> Finished {
    let _turn = TURN.lock().await;
    let mut signals = Signals::catch().unwrap();
    start(capture)
        .unwrap()
        .finish(&mut signals, std::future::pending())
        .await
        .unwrap()
}

fn script(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_program_gets_what_was_shown_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let text =
        r#"{ printf '%s|' "$0" "$@"; cat; echo "|$PWD|$LANG|$SECRET"; ls /proc/self/fd; } >out"#;
    let capture = capture(&path, &["sh", "-c", text, "name", "a b", ""], Some("input"));
    let end = run(&capture).await;
    assert_eq!(
        (end.outcome, end.exit, end.signal),
        ("succeeded", Some(0), None)
    );
    assert_eq!(end.stdout, Some(Digest::of(b"")));
    let out = fs::read_to_string(path.join("out")).unwrap();
    let (line, descriptors) = out.split_once('\n').unwrap();
    assert_eq!(line, format!("name|a b||input|{}|C|", path.display()));
    // `ls` itself has the directory open as 3.
    let descriptors: Vec<_> = descriptors.split_whitespace().collect();
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_script_runs_from_the_descriptor_that_was_hashed() {
    let dir = tempfile::tempdir().unwrap();
    script(
        dir.path(),
        "tool",
        "#!/bin/sh\necho approved >out\nexit 3\n",
    );
    let capture = capture(dir.path(), &["./tool"], None);
    // Another file takes the name after everything was looked at.
    script(dir.path(), "other", "#!/bin/sh\necho swapped >out\n");
    fs::rename(dir.path().join("other"), dir.path().join("tool")).unwrap();
    let end = run(&capture).await;
    assert_eq!((end.outcome, end.exit), ("failed", Some(3)));
    assert_eq!(
        fs::read_to_string(dir.path().join("out")).unwrap(),
        "approved\n"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_script_rewritten_in_place_after_the_last_look_runs_as_it_was_approved() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "tool", "#!/bin/sh\necho approved >out\n");
    let capture = capture(dir.path(), &["./tool"], None);
    capture.check().unwrap();
    script(dir.path(), "tool", "#!/bin/sh\necho rewritten >out\n");
    run(&capture).await;
    assert_eq!(
        fs::read_to_string(dir.path().join("out")).unwrap(),
        "approved\n"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn an_interpreter_that_reads_lazily_never_sees_what_was_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    // The shell reads on where it was, in the file by now longer by a line.
    let text = "#!/bin/sh\necho approved >>out\nprintf 'echo added >>out\\n' >>tool\n";
    script(dir.path(), "tool", text);
    let capture = capture(dir.path(), &["./tool"], None);
    run(&capture).await;
    let added = fs::read_to_string(dir.path().join("tool")).unwrap();
    assert!(added.ends_with("echo added >>out\n"), "{added}");
    assert_eq!(
        fs::read_to_string(dir.path().join("out")).unwrap(),
        "approved\n"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_script_is_given_the_name_of_its_copy_and_its_own_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let text = "#!/bin/sh\nprintf '%s|' \"$0\" \"$@\" >out\n";
    script(dir.path(), "tool", text);
    run(&capture(dir.path(), &["./tool", "a b", ""], None)).await;
    let out = fs::read_to_string(dir.path().join("out")).unwrap();
    let (name, arguments) = out.split_once('|').unwrap();
    assert!(name.starts_with("/proc/self/fd/"), "{name}");
    assert_eq!(arguments, "a b||");
}

#[tokio::test(flavor = "current_thread")]
async fn the_directory_is_the_opened_one_whatever_has_its_name_now() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let capture = capture(&inner, &["touch", "here"], None);
    fs::rename(&inner, dir.path().join("old")).unwrap();
    fs::create_dir(&inner).unwrap();
    run(&capture).await;
    assert!(dir.path().join("old/here").exists());
    assert!(!inner.join("here").exists());
}

#[tokio::test(flavor = "current_thread")]
async fn a_program_that_a_signal_ended_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let end = run(&capture(dir.path(), &["sh", "-c", "kill -9 $$"], None)).await;
    assert_eq!(
        (end.outcome, end.exit, end.signal),
        ("killed", None, Some(Signal::KILL.as_raw()))
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_process_left_behind_does_not_hold_us() {
    let dir = tempfile::tempdir().unwrap();
    let end = run(&capture(
        dir.path(),
        &["sh", "-c", "sleep 60 & exit 0"],
        None,
    ))
    .await;
    assert_eq!(end.exit, Some(0));
    assert_eq!(end.stdout, None);
    assert!(
        end.duration < Some(Duration::from_secs(2)),
        "{:?}",
        end.duration
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_file_that_is_no_program_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "tool", "no program\n");
    let error = start(&capture(dir.path(), &["./tool"], None)).unwrap_err();
    assert_eq!(error.exit(), 126);
}
