use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::time::Duration;

use countersign_shared::home::Layout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::StreamExt as _;

use super::*;

struct Place {
    _directory: tempfile::TempDir,
    home: Home,
    lock: Lock,
}

fn place(mode: Mode) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("h");
    fs::create_dir(&path).unwrap();
    let bits = if mode == Mode::System { 0o711 } else { 0o700 };
    for (path, bits) in [(directory.path(), 0o755), (path.as_path(), bits)] {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
    }
    fs::create_dir(path.join("policy")).unwrap();
    let layout = Layout::at(&path).unwrap();
    Place {
        lock: Lock::take(&layout).unwrap(),
        home: Home::open(layout, mode).unwrap(),
        _directory: directory,
    }
}

/// What was dropped may live on for a moment in a child that another test has just forked.
fn eventually<T, E: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    for _ in 0..10_000 {
        if let Ok(value) = attempt() {
            return value;
        }
        std::thread::yield_now();
    }
    attempt().unwrap()
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn in_user_mode_only_the_user_reaches_the_sockets() {
    let place = place(Mode::User);
    let _sockets = Sockets::bind(&place.home, None, &place.lock).unwrap();
    let layout = place.home.layout();
    assert_eq!(mode_of(layout.run_dir()), 0o700);
    assert_eq!(mode_of(&layout.agent_socket()), 0o600);
    assert_eq!(mode_of(&layout.review_socket()), 0o600);
}

#[tokio::test]
async fn in_system_mode_each_socket_belongs_to_its_group() {
    if us() != 0 {
        eprintln!("in_system_mode_each_socket_belongs_to_its_group skipped: needs root");
        return;
    }
    let place = place(Mode::System);
    let groups = SocketGroups {
        agents: 54_321,
        reviewers: 54_322,
    };
    let _sockets = Sockets::bind(&place.home, Some(groups), &place.lock).unwrap();
    let layout = place.home.layout();
    assert_eq!(mode_of(layout.run_dir()), 0o711);
    for (path, group) in [
        (layout.agent_socket(), 54_321),
        (layout.review_socket(), 54_322),
    ] {
        assert_eq!(mode_of(&path), 0o660);
        assert_eq!(fs::symlink_metadata(&path).unwrap().gid(), group);
    }
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let place = place(Mode::User);
    let first = Sockets::bind(&place.home, None, &place.lock).unwrap();
    let error = Sockets::bind(&place.home, None, &place.lock).unwrap_err();
    assert!(matches!(error, SocketError::InUse(_)), "{error}");
    drop(first);
    eventually(|| Sockets::bind(&place.home, None, &place.lock));
}

#[tokio::test]
async fn what_is_no_socket_of_ours_is_left_alone_and_refused() {
    let place = place(Mode::User);
    let path = place.home.layout().agent_socket();
    drop(eventually(|| Sockets::bind(&place.home, None, &place.lock)));
    if us() == 0 {
        chown(&path, Some(54_321), None).unwrap();
        let error = Sockets::bind(&place.home, None, &place.lock).unwrap_err();
        assert!(
            matches!(error, SocketError::Foreign { owner: 54_321, .. }),
            "{error}"
        );
    } else {
        eprintln!("what_is_no_socket_of_ours_is_left_alone_and_refused: foreign part needs root");
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"precious").unwrap();
    let error = Sockets::bind(&place.home, None, &place.lock).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_linked_or_open_directory_of_sockets_is_refused() {
    let place = place(Mode::User);
    let run = place.home.layout().run_dir();
    let elsewhere = run.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, run).unwrap();
    let error = Sockets::bind(&place.home, None, &place.lock).unwrap_err();
    assert!(
        matches!(error, SocketError::Directory(HomeError::Symlink(_))),
        "{error}"
    );
    fs::remove_file(run).unwrap();
    fs::create_dir(run).unwrap();
    fs::set_permissions(run, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Sockets::bind(&place.home, None, &place.lock).unwrap_err();
    assert!(
        matches!(error, SocketError::Directory(HomeError::TooOpen { .. })),
        "{error}"
    );
}

#[test]
fn a_second_daemon_is_refused_until_the_first_is_gone() {
    let place = place(Mode::User);
    let layout = place.home.layout().clone();
    assert!(matches!(Lock::take(&layout), Err(LockError::Held(_))));
    drop(place.lock);
    eventually(|| Lock::take(&layout));
}

#[test]
fn the_descriptor_limit_is_raised_to_the_hard_one() {
    let limit = raise_descriptor_limit().unwrap();
    assert_eq!(getrlimit(Resource::Nofile).current, limit);
}

async fn connect(path: &Path) -> tokio::net::UnixStream {
    tokio::net::UnixStream::connect(path).await.unwrap()
}

#[tokio::test]
async fn connections_arrive_identified_and_the_one_too_many_is_told_so() {
    let place = place(Mode::User);
    let sockets = Sockets::bind(&place.home, None, &place.lock).unwrap();
    let path = place.home.layout().agent_socket();
    let mut stream = incoming(
        sockets.agent,
        ConnectionCap::new(1),
        Refusals::new(|_, _| ()),
    );
    let _client = connect(&path).await;
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.peer().uid(), us());
    assert_eq!(first.peer().pid(), std::process::id());

    let mut turned_away = connect(&path).await;
    turned_away
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    turned_away.shutdown().await.unwrap();
    let mut answer = Vec::new();
    turned_away.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).ends_with("the limit is 1"));

    // Room again once the first is gone.
    drop(first);
    let _client = connect(&path).await;
    stream.next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_says_what_it_speaks_is_ended() {
    let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
    let peer = crate::identity::Peer::of(&ours).unwrap();
    let share = ConnectionCap::new(1).share(us());
    let mut stream = PeerStream::new(ours, peer, share);
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_u8()).await;
    assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop(theirs);
}
