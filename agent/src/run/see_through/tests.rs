//! What is looked at between the approval and the start (R9).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::cli::RunOptions;

fn capture(dir: &Path, text: &str, argument: &str) -> Capture {
    fs::write(dir.join("tool"), text).unwrap();
    fs::set_permissions(dir.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let options = RunOptions {
        target: Some("build-7".to_owned()),
        target_kind: "host".to_owned(),
        reason: None,
        agent: None,
        environment: Vec::new(),
        cwd: Some(dir.to_path_buf()),
        status_fd: None,
        command: ["./tool", argument].map(OsString::from).to_vec(),
    };
    Capture::take(&options, std::iter::empty(), None).unwrap()
}

/// A request about `capture` whose document holds `documented`.
fn asked(capture: &Capture, documented: &Capture) -> Asked {
    let limits = Limits::default();
    crate::asked::tests::asked(
        capture.action(&limits).unwrap(),
        &documented.action(&limits).unwrap(),
    )
}

async fn look(asked: &Asked, capture: &Capture) -> Result<(), Failure> {
    let mut signals = Signals::catch().unwrap();
    compare(asked, capture, &Limits::default(), &mut signals).await
}

#[tokio::test(flavor = "current_thread")]
async fn what_did_not_change_may_start() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path(), "#!/bin/sh\n", "one");
    look(&asked(&capture, &capture), &capture).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_program_that_changed_after_the_approval_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path(), "#!/bin/sh\necho safe\n", "one");
    let asked = asked(&capture, &capture);
    fs::write(dir.path().join("tool"), "#!/bin/sh\necho evil\n").unwrap();
    let failure = look(&asked, &capture).await.unwrap_err();
    assert_eq!((&*failure.code, failure.exit.for_run()), ("changed", 120));
}

#[tokio::test(flavor = "current_thread")]
async fn another_command_than_the_one_asked_for_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let one = capture(dir.path(), "#!/bin/sh\n", "one");
    let other = capture(dir.path(), "#!/bin/sh\n", "other");
    let failure = look(&asked(&one, &one), &other).await.unwrap_err();
    assert_eq!(&*failure.code, "changed");
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_signed_document_does_not_hold_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let one = capture(dir.path(), "#!/bin/sh\n", "one");
    let other = capture(dir.path(), "#!/bin/sh\n", "other");
    let failure = look(&asked(&one, &other), &one).await.unwrap_err();
    assert_eq!(
        (&*failure.code, failure.exit),
        ("document-differs", Exit::Verification)
    );
}

#[test]
fn the_exit_code_is_the_programs_own() {
    let end = |exit, signal| Finished {
        outcome: Finished::word(exit),
        exit,
        signal,
        stdout: None,
        stderr: None,
        duration: None,
    };
    assert_eq!(code(&end(Some(0), None)), 0);
    assert_eq!(code(&end(Some(120), None)), 120);
    assert_eq!(code(&end(None, Some(15))), 143);
    assert_eq!(code(&end(None, None)), 125);
}
