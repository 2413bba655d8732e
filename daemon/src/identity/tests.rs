use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::home::us;

/// Set in a copy of this test program: it connects to the socket named here and stays.
const CONNECT: &str = "COUNTERSIGN_TEST_CONNECT";

/// Not a test of its own: the body of the copies that other tests start.
#[test]
fn a_copy_of_this_program_connects_and_stays() {
    let Some(path) = std::env::var_os(CONNECT) else {
        return;
    };
    let mut stream = UnixStream::connect(path).unwrap();
    let mut byte = [0];
    let _end = io::Read::read(&mut stream, &mut byte);
}

struct Place {
    directory: tempfile::TempDir,
    listener: UnixListener,
}

fn place() -> Place {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    for (path, mode) in [(directory.path(), 0o755), (path.as_path(), 0o777)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    Place {
        directory,
        listener,
    }
}

fn copy_of_us(place: &Place, uid: Option<u32>) -> (Child, UnixStream) {
    let executable = std::env::current_exe().unwrap();
    let mut command = Command::new(&executable);
    if let Some(uid) = uid {
        // Another user may not be able to reach our build directory.
        let copy = place.directory.path().join("copy");
        std::fs::copy(&executable, &copy).unwrap();
        command = Command::new(copy);
        command.uid(uid).gid(uid);
    }
    command
        .args([
            "--exact",
            "identity::tests::a_copy_of_this_program_connects_and_stays",
        ])
        .env(CONNECT, place.directory.path().join("s"))
        .current_dir("/")
        .stdout(Stdio::null());
    let child = loop {
        match command.spawn() {
            // A child that another test has just forked still holds the copy open for writing.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            result => break result.unwrap(),
        }
    };
    let (stream, _) = place.listener.accept().unwrap();
    (child, stream)
}

#[test]
fn the_kernel_names_the_caller() {
    let place = place();
    let (mut child, stream) = copy_of_us(&place, None);
    let peer = Peer::of(&stream).unwrap();
    assert_eq!(peer.uid(), us());
    assert_eq!(peer.pid(), child.id());
    assert!(peer.is_alive());
    let executable = std::env::current_exe().unwrap();
    assert_eq!(
        peer.program().as_deref(),
        Ok(executable.as_os_str().as_encoded_bytes())
    );
    let ancestry = peer.ancestry().clone().unwrap();
    assert_eq!(ancestry.first().unwrap().pid, std::process::id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!peer.is_alive());
}

#[test]
fn the_requester_is_canonical_and_every_piece_of_evidence_is_marked() {
    let place = place();
    let (mut child, stream) = copy_of_us(&place, None);
    let peer = Peer::of(&stream).unwrap();
    let requester = peer.requester();
    drop(stream);
    child.wait().unwrap();
    assert_eq!(requester["uid"], us());
    assert_eq!(requester["evidence"]["cwd"]["computed"], "/");
    for (name, entry) in requester["evidence"].as_object().unwrap() {
        let keys: Vec<_> = entry.as_object().unwrap().keys().collect();
        assert!(
            keys == ["computed"] || keys == ["unknown"],
            "{name}: {keys:?}"
        );
    }
    let text = requester.to_string();
    assert!(
        !text.contains("--exact"),
        "the argument vector may hold secrets"
    );
    assert!(!text.contains('.') || !text.contains("e+"), "{text}");
}

#[test]
fn another_user_is_another_principal() {
    if us() != 0 {
        eprintln!("another_user_is_another_principal skipped: needs root");
        return;
    }
    let place = place();
    let (mut child, stream) = copy_of_us(&place, Some(54_321));
    let peer = Peer::of(&stream).unwrap();
    drop(stream);
    child.wait().unwrap();
    assert_eq!((peer.uid(), peer.gid()), (54_321, 54_321));
    assert_eq!(peer.principal().uid, 54_321);
    assert!(peer.user().is_err(), "no account has this number");
    assert!(peer.launchers().unwrap().contains(&54_321));
    assert!(!peer.launchers().unwrap().contains(&0));
}

#[test]
fn a_caller_that_died_before_it_was_identified_is_refused() {
    let place = place();
    let (mut child, stream) = copy_of_us(&place, None);
    child.kill().unwrap();
    child.wait().unwrap();
    let error = Peer::of(&stream).unwrap_err();
    assert!(matches!(error, PeerError::Gone { .. }), "{error}");
}

#[test]
fn a_caller_that_dies_while_it_is_identified_is_refused() {
    let place = place();
    let (mut child, stream) = copy_of_us(&place, None);
    let credentials = Credentials::of(&stream).unwrap();
    child.kill().unwrap();
    // Dead and not yet reaped: `/proc` still answers for it.
    while credentials.liveness.is_alive() {
        std::thread::yield_now();
    }
    let error = Peer::identify(credentials).unwrap_err();
    assert!(matches!(error, PeerError::Gone { .. }), "{error}");
    child.wait().unwrap();
}

#[test]
fn a_number_used_again_by_another_process_is_refused() {
    let place = place();
    let (mut first, stream) = copy_of_us(&place, None);
    let mut credentials = Credentials::of(&stream).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    // As if the kernel had given the dead caller's number to this live process.
    let (mut second, other) = copy_of_us(&place, None);
    credentials.pid = second.id();
    let error = Peer::identify(credentials).unwrap_err();
    assert!(matches!(error, PeerError::Gone { .. }), "{error}");
    drop(other);
    second.wait().unwrap();
}

#[test]
fn without_the_sockets_pidfd_the_number_must_belong_to_the_user_that_connected() {
    let us_pid = std::process::id();
    Liveness::of_number(us_pid, us())
        .unwrap()
        .confirm(us_pid)
        .unwrap();
    assert!(matches!(
        Liveness::of_number(us_pid, 54_321),
        Err(PeerError::Reused { .. })
    ));
    assert!(matches!(
        Liveness::of_number(1 << 23, us()),
        Err(PeerError::Gone { .. })
    ));
    // Another process's start time is not ours.
    let handle = Liveness::of_number(us_pid, us()).unwrap();
    assert!(matches!(handle.confirm(1), Err(PeerError::Reused { .. })));
}

#[tokio::test]
async fn the_end_of_a_caller_wakes_everybody_who_waits_for_it() {
    let place = place();
    let (mut child, stream) = copy_of_us(&place, None);
    let peer = Peer::of(&stream).unwrap();
    let killed = async {
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let waited = async { tokio::join!(peer.liveness().gone(), peer.liveness().gone(), killed) };
    let (first, second, ()) = tokio::time::timeout(Duration::from_secs(10), waited)
        .await
        .unwrap();
    first.unwrap();
    second.unwrap();
}
