//! Real receivers: sockets of datagrams and TCP listeners that take, break off, stay away and come
//! back, and a database that grows meanwhile.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use countersign_evidence::line::{Form, Told};
use countersign_shared::log::checkpoint;
use countersign_shared::log::entry::{Actor, ActorKind, Body, Entry, LogEvent, Separation, Sync};
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::{Frontier, leaf_hash};
use countersign_shared::time::{BootId, Moment, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use super::link::{Link, is_too_large};
use super::message::Message;
use super::*;
use crate::store::{LogTail, Store};

const LOG: &str = "countersign/stream";

/// How long something that has to happen may take.
const SOON: Duration = Duration::from_secs(30);

/// How long it is waited for what must not come.
const QUIET: Duration = Duration::from_millis(1500);

/// A log that grows.
struct Growing {
    directory: tempfile::TempDir,
    store: Store,
    tail: LogTail,
    key: SignerKey,
    released: watch::Sender<Released>,
}

impl Growing {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("state.db")).unwrap();
        let frontier = Frontier::new();
        let released = Released {
            head: frontier.head(),
            note: "".into(),
        };
        Self {
            directory,
            store,
            tail: LogTail::new(LOG.to_owned(), frontier),
            key: SignerKey::from_seed(LOG, &[3; 32]).unwrap(),
            released: watch::Sender::new(released),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes entries, durably, and then tells of their head.
    fn grow(&mut self, count: u64) {
        self.store.begin().unwrap();
        for _ in 0..count {
            let seq = self.tail.size();
            let at = Timestamp::from_millis(1_795_294_000_000 + i64::try_from(seq).unwrap());
            let entry = Entry {
                log: LOG.to_owned(),
                seq,
                now: Moment {
                    wall: at,
                    boot: BootId::new("a"),
                    mono_ms: seq,
                },
                sync: Sync::Unknown,
                actor: Actor {
                    kind: ActorKind::Daemon,
                    id: "countersignd".to_owned(),
                    uid: None,
                },
                request: None,
                separation: Separation::None,
                body: Body::Log(LogEvent::DaemonStarted {
                    software: format!("entry {seq} \u{202e}"),
                }),
            };
            self.store.append(&mut self.tail, &entry).unwrap();
        }
        let note = self.store.commit(&self.tail, &self.key, &[]).unwrap();
        self.released.send_replace(Released {
            head: self.tail.frontier().head(),
            note: note.into(),
        });
    }

    fn stream(&self, receiver: Receiver, heads: bool, entries: bool) -> Streams {
        let wanted = Stream {
            receivers: vec![receiver],
            heads,
            entries,
            form: Form::Json,
        };
        let origin = Origin {
            log: LOG.to_owned(),
            database: self.path("state.db"),
            released: self.released.subscribe(),
            clock: Clock::machine().unwrap(),
        };
        Streams::start(Some(&wanted), &origin).unwrap()
    }
}

fn stop(streams: &Streams) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(streams.stop());
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The text of a syslog message.
fn text(message: &[u8]) -> Value {
    let message = std::str::from_utf8(message).unwrap();
    let (before, text) = message.split_once(" - ").unwrap();
    assert!(before.starts_with("<86>1 "), "{before}");
    serde_json::from_str(text).unwrap()
}

/// What one receiver got.
#[derive(Default, Debug)]
struct Got {
    entries: Vec<u64>,
    heads: Vec<u64>,
}

impl Got {
    fn take(&mut self, message: &[u8], log: &Growing) {
        let value = text(message);
        if value["type"] == "head" {
            let keys = [log.key.verifier().clone()];
            let head = checkpoint::open(value["note"].as_str().unwrap(), &keys, LOG).unwrap();
            let size = value["size"].as_u64().unwrap();
            assert_eq!(head.size(), size);
            assert_eq!(log.store.root_at(size).unwrap(), *head.root());
            self.heads.push(size);
        } else {
            let seq = value["seq"].as_u64().unwrap();
            let bytes = countersign_shared::json::canonical(&value).unwrap();
            let stored = log.store.entry(seq).unwrap().unwrap();
            assert_eq!(leaf_hash(&bytes), leaf_hash(&stored));
            self.entries.push(seq);
        }
    }

    fn from(&mut self, socket: &UnixDatagram, log: &Growing) -> bool {
        let mut buffer = [0; 8192];
        match socket.recv(&mut buffer) {
            Ok(length) => {
                self.take(&buffer[..length], log);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes what has come.
    fn all(&mut self, socket: &UnixDatagram, log: &Growing) {
        while self.from(socket, log) {}
    }
}

fn bound(path: &std::path::Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    socket
}

#[test]
fn entries_come_once_and_in_order_and_a_restart_goes_on_behind_them() {
    let mut log = Growing::new();
    let socket = bound(&log.path("log"));
    log.grow(3);
    let streams = log.stream(Receiver::Syslog(log.path("log")), true, true);
    let mut got = Got::default();
    until("the first entries and their head", || {
        got.all(&socket, &log);
        got.heads == [3]
    });
    log.grow(200);
    until("those that came later", || {
        got.all(&socket, &log);
        got.entries.len() == 203
    });
    stop(&streams);
    got.all(&socket, &log);
    assert_eq!(got.heads.last(), Some(&203), "the end is told as well");
    let streams = log.stream(Receiver::Syslog(log.path("log")), true, true);
    log.grow(2);
    until("those of after the restart", || {
        got.all(&socket, &log);
        got.entries.len() == 205 && got.heads.last() == Some(&205)
    });
    assert_eq!(got.entries, (0..205).collect::<Vec<_>>());
    assert!(got.heads.is_sorted(), "{got:?}");
    let standing = &streams.standings()[0];
    until("the standing", || streams.standings()[0].head == Some(205));
    assert_eq!((standing.entries, &standing.problem), (Some(205), &None));
    stop(&streams);
}

#[test]
fn who_is_not_there_gets_everything_later_and_stops_nobody() {
    let mut log = Growing::new();
    log.grow(2);
    let streams = log.stream(Receiver::Syslog(log.path("log")), true, true);
    until("that it is told", || {
        streams.standings()[0].problem.is_some()
    });
    let problem = streams.standings()[0].problem.clone().unwrap();
    assert!(problem.starts_with("it takes nothing: "), "{problem}");
    log.grow(300);
    let socket = bound(&log.path("log"));
    let mut got = Got::default();
    until("everything", || {
        got.all(&socket, &log);
        got.heads.last() == Some(&302)
    });
    assert_eq!(got.entries, (0..302).collect::<Vec<_>>());
    until("that it flows", || streams.standings()[0].problem.is_none());
    // A daemon that listens anew under the same name.
    drop(socket);
    std::fs::remove_file(log.path("log")).unwrap();
    let socket = bound(&log.path("log"));
    log.grow(1);
    until("the entry after that", || {
        got.all(&socket, &log);
        got.entries.last() == Some(&302)
    });
    assert_eq!(got.entries.len(), 303);
    stop(&streams);
}

#[test]
fn who_does_not_read_gets_everything_once_and_in_order_when_it_does() {
    let mut log = Growing::new();
    let socket = bound(&log.path("log"));
    let streams = log.stream(Receiver::Syslog(log.path("log")), false, true);
    for _ in 0..60 {
        log.grow(50);
    }
    let sent = || streams.standings()[0].entries.unwrap();
    until("that the socket is full", || {
        let before = sent();
        std::thread::sleep(Duration::from_millis(200));
        before > 0 && sent() == before
    });
    assert!(sent() < 3000, "the socket holds all of it");
    let mut got = Got::default();
    until("everything", || {
        got.all(&socket, &log);
        got.entries.len() == 3000
    });
    assert_eq!(got.entries, (0..3000).collect::<Vec<_>>());
    assert!(got.heads.is_empty(), "nobody asked for heads");
    stop(&streams);
}

#[test]
fn heads_come_no_faster_than_one_in_a_second_and_the_newest_comes() {
    let mut log = Growing::new();
    let socket = bound(&log.path("log"));
    let streams = log.stream(Receiver::Syslog(log.path("log")), true, false);
    let begun = Instant::now();
    let mut got = Got::default();
    for _ in 0..100 {
        log.grow(1);
        std::thread::sleep(Duration::from_millis(3));
    }
    until("the newest head", || {
        got.all(&socket, &log);
        got.heads.last() == Some(&100)
    });
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(got.heads.len() <= seconds + 2, "{got:?}");
    assert!(got.entries.is_empty(), "nobody asked for entries");
    stop(&streams);
}

/// Takes messages off a connection: their length, a space, and that many bytes.
fn framed(connection: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = Vec::new();
    connection.read_until(b' ', &mut length).ok()?;
    let length = std::str::from_utf8(&length).ok()?.strip_suffix(' ')?;
    let mut message = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut message).ok()?;
    Some(message)
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn accepted(listener: &TcpListener) -> BufReader<TcpStream> {
    let (connection, _) = listener.accept().unwrap();
    connection.set_read_timeout(Some(SOON)).unwrap();
    BufReader::new(connection)
}

#[test]
fn a_connection_that_breaks_loses_nothing_and_repeats_what_was_not_acknowledged() {
    let mut log = Growing::new();
    let (listener, address) = listening();
    log.grow(150);
    let streams = log.stream(Receiver::Collector(address), true, true);
    let mut all = Got::default();
    // Breaks off in the middle of a message, with much unread.
    let mut connection = accepted(&listener);
    for _ in 0..10 {
        all.take(&framed(&mut connection).unwrap(), &log);
    }
    drop(connection);
    let mut connection = accepted(&listener);
    let mut again = Got::default();
    while again.heads.last() != Some(&150) {
        again.take(&framed(&mut connection).unwrap(), &log);
    }
    let first = again.entries[0];
    assert!(first <= 10, "entries up to {first} are lost");
    assert_eq!(again.entries, (first..150).collect::<Vec<_>>());
    // Closed while nothing was on its way: nothing is lost, and nothing repeated.
    until("all of it settled", || {
        streams.standings()[0].head == Some(150)
    });
    drop(connection);
    log.grow(1);
    let mut connection = accepted(&listener);
    let mut last = Got::default();
    while last.heads.is_empty() {
        last.take(&framed(&mut connection).unwrap(), &log);
    }
    assert_eq!(last.entries, [150]);
    stop(&streams);
}

#[test]
fn a_collector_that_refuses_connections_is_tried_again() {
    let mut log = Growing::new();
    let (listener, address) = listening();
    drop(listener);
    log.grow(1);
    let streams = log.stream(Receiver::Collector(address), false, true);
    until("that it is told", || {
        streams.standings()[0].problem.is_some()
    });
    let listener = TcpListener::bind(address).unwrap();
    let mut connection = accepted(&listener);
    assert_eq!(text(&framed(&mut connection).unwrap())["seq"], 0);
    stop(&streams);
}

#[test]
fn a_log_that_is_another_one_is_streamed_from_its_beginning() {
    let mut log = Growing::new();
    let socket = bound(&log.path("log"));
    log.grow(5);
    let receiver = || Receiver::Syslog(log.path("log"));
    let mut got = Got::default();
    let streams = log.stream(receiver(), false, true);
    until("the first five", || {
        got.all(&socket, &log);
        got.entries.len() == 5
    });
    stop(&streams);
    // As it is after an older copy was put back: shorter, and then of other entries.
    let cursor = std::fs::read_to_string(log.path("stream-syslog")).unwrap();
    let ahead = cursor.replace(&format!("{:020}", 5), &format!("{:020}", 9));
    let other = cursor
        .replacen("leaf ", "leaf 0", 1)
        .replacen("\nhead", "X\nhead", 1);
    for changed in [ahead, other] {
        std::fs::write(log.path("stream-syslog"), changed).unwrap();
        let mut again = Got::default();
        let streams = log.stream(receiver(), false, true);
        until("all of it again", || {
            again.all(&socket, &log);
            again.entries.len() == 5
        });
        assert_eq!(again.entries, [0, 1, 2, 3, 4]);
        stop(&streams);
    }
}

#[test]
fn an_entry_that_is_not_the_one_that_was_hashed_is_not_told() {
    let mut log = Growing::new();
    let socket = bound(&log.path("log"));
    log.grow(5);
    rusqlite::Connection::open(log.path("state.db"))
        .unwrap()
        .execute_batch("UPDATE audit_leaf SET data = x'7b7d' WHERE idx = 3")
        .unwrap();
    let streams = log.stream(Receiver::Syslog(log.path("log")), true, true);
    until("that it is told", || {
        streams.standings()[0].problem.is_some()
    });
    let problem = streams.standings()[0].problem.clone().unwrap();
    assert!(problem.starts_with("entry 3 is not"), "{problem}");
    let mut got = Got::default();
    socket.set_read_timeout(Some(QUIET)).unwrap();
    got.all(&socket, &log);
    assert_eq!(got.entries, [0, 1, 2]);
    assert!(got.heads.is_empty(), "a head over it is not told either");
    stop(&streams);
}

#[test]
fn what_was_pruned_is_passed_over_and_nothing_before_it_is_lost() {
    let mut log = Growing::new();
    let (listener, address) = listening();
    log.grow(150);
    rusqlite::Connection::open(log.path("state.db"))
        .unwrap()
        .execute_batch("UPDATE audit_leaf SET data = x'' WHERE idx IN (0, 3, 5, 149)")
        .unwrap();
    let streams = log.stream(Receiver::Collector(address), false, true);
    // Breaks off after one message, with what was pruned among much unread.
    let mut connection = accepted(&listener);
    framed(&mut connection).unwrap();
    drop(connection);
    let mut connection = accepted(&listener);
    let mut got = Got::default();
    while got.entries.last() != Some(&148) {
        got.take(&framed(&mut connection).unwrap(), &log);
    }
    let first = got.entries[0];
    assert!(first <= 2, "entries up to {first} are lost");
    let told = (first..149).filter(|seq| ![3, 5].contains(seq));
    assert_eq!(got.entries, told.collect::<Vec<_>>());
    until("that it is through", || {
        streams.standings()[0].entries == Some(150)
    });
    stop(&streams);
}

/// Longer than any datagram: the kernel doubles what was asked for.
fn long_head() -> Message {
    let note = "x".repeat(17 << 20);
    Message::head(
        Form::Json,
        &Told {
            origin: LOG,
            head: Frontier::new().head(),
            note: &note,
            at: Timestamp::from_millis(0),
        },
    )
}

#[test]
fn what_is_too_large_for_a_datagram_reaches_the_journal_as_a_sealed_file() {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    let message = long_head();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let socket = bound(&path);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut link = Link::open(&Receiver::Journal(path.clone())).await.unwrap();
        link.send(&message, "host").await.unwrap();
    });
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&socket, &mut [], &mut control, RecvFlags::empty()).unwrap();
    let Some(RecvAncillaryMessage::ScmRights(mut files)) = control.drain().next() else {
        panic!("no file came");
    };
    let file = std::fs::File::from(files.next().unwrap());
    let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
    assert!(seals.contains(rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SHRINK));
    let (mut file, mut bytes) = (file, Vec::new());
    std::io::Seek::rewind(&mut file).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, message.journal().unwrap());
    // Syslog's socket has no such way, and says so.
    let refused = runtime.block_on(async {
        let mut link = Link::open(&Receiver::Syslog(path)).await.unwrap();
        link.send(&message, "host").await.unwrap_err()
    });
    assert!(is_too_large(&refused), "{refused}");
    let instead = message.stand_in(7, leaf_hash(b"x")).syslog("host");
    assert!(instead.len() < 1000);
    let instead = String::from_utf8(instead).unwrap();
    assert!(instead.contains("entry 7 (head, "), "{instead}");
    assert!(instead.contains(&leaf_hash(b"x").to_string()), "{instead}");
}
