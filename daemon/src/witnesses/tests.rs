//! What is taken from a witness, and what is not. The engine and the witness are real, but for those
//! that answer what no honest one would.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::thread;

use countersign_shared::log::checkpoint::{self, Checkpoint};
use countersign_shared::log::cosignature;
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::{Hash, TreeHead};
use tokio::runtime::Runtime;

use super::*;
use crate::clock::Clock;
use crate::verify::tests::made::cosigned::{Served, policy, witness};
use crate::verify::tests::made::{ORIGIN, log_key};
use crate::witness::{Book, serve};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn round(at: std::net::SocketAddr) -> Round {
    let place = Place::read(&format!("http://{at}")).unwrap();
    Round::new(witness(1).verifier().clone(), place)
}

/// Starts a real witness and returns where it listens.
fn real(runtime: &Runtime, state: &Path) -> std::net::SocketAddr {
    let logs = vec![log_key().verifier().clone()];
    let book = Book::open(state, witness(1), logs, Clock::machine().unwrap()).unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let at = listener.local_addr().unwrap();
    runtime.spawn(serve(listener, book));
    at
}

/// Starts something that gives each connection the next of these answers.
fn hostile(answers: Vec<String>) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut some = [0; 4096];
            // The body ends with the log's signature line.
            while !seen.ends_with(b"\n") || !seen.windows(3).any(|it| it == "\u{2014}".as_bytes()) {
                let count = stream.read(&mut some).unwrap();
                seen.extend_from_slice(&some[..count]);
            }
            // Whoever has read enough hangs up.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    at
}

fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[test]
fn each_new_head_is_cosigned_once_and_a_daemon_that_starts_anew_asks_the_witness_how_far_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::new(&directory.path().join("state.db"));
    let (runtime, engine) = (runtime(), served.engine());
    let at = real(&runtime, &directory.path().join("witness"));
    let mut calls = round(at);
    let go = |round: &mut Round| runtime.block_on(round.go(&engine)).unwrap();
    let size = served.head().size;
    let (cosigned, cosignature) = go(&mut calls).expect("a new head");
    assert_eq!(cosigned, size);
    let shown = served.head();
    assert_eq!(shown.cosignatures, cosignature.to_line());
    assert_eq!(go(&mut calls), None);
    served.grow();
    assert_eq!(served.head().cosignatures, "");
    assert_eq!(go(&mut calls).unwrap().0, served.head().size);
    served.grow();
    let mut restarted = round(at);
    assert_eq!(go(&mut restarted).unwrap().0, served.head().size);
    // It was not the one that sent the last one, and finds its way.
    served.grow();
    assert_eq!(go(&mut calls).unwrap().0, served.head().size);
    let note = served.head();
    let note = format!("{}{}", note.note, note.cosignatures);
    let head = checkpoint::open(&note, &[log_key().verifier().clone()], ORIGIN).unwrap();
    let (same, _) = cosignature::open(&note, &[witness(1).verifier().clone()], ORIGIN).unwrap();
    assert_eq!(head, same);
}

#[test]
fn nothing_that_a_witness_says_is_kept_without_its_signature_over_this_head() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::new(&directory.path().join("state.db"));
    let (runtime, engine) = (runtime(), served.engine());
    let size = served.head().size;
    let root = Hash::from_bytes([7; 32]);
    let fork = Checkpoint::new(ORIGIN, TreeHead { size, root }).unwrap();
    let of_fork = witness(1).cosign(&fork, 5).unwrap().to_line();
    let others = witness(2).cosign(&fork, 5).unwrap().to_line();
    let (text, number) = ("text/plain", "text/x.tlog.size");
    let behind = http("409 Conflict", number, "0\n");
    for (answers, said) in [
        (
            vec![http("200 OK", text, &of_fork)],
            "is not over this head",
        ),
        (
            vec![http("200 OK", text, &others)],
            "no cosignature of the key",
        ),
        (vec![http("200 OK", text, "")], "no cosignature of the key"),
        // Its signature could be over the note and a line more.
        (
            vec![http("200 OK", text, &format!("x\n\n{of_fork}"))],
            "something else than signature lines",
        ),
        (
            vec![http("200 OK", text, &format!("\n{of_fork}"))],
            "something else than signature lines",
        ),
        (vec![http("200 OK", text, "\u{1b}[2J\n")], "not accepted"),
        (vec![http("409 Conflict", text, "3\n")], "status 409: 3"),
        (
            vec![http("409 Conflict", number, "999\n")],
            "holds a head of 999 entries",
        ),
        (vec![http("409 Conflict", number, "-1\n")], "status 409: -1"),
        (
            vec![behind.clone(), behind.clone(), behind],
            "another head each time",
        ),
        (
            vec![http("403 Forbidden", text, "no\x07\n")],
            "status 403: no",
        ),
        (
            vec![http("422 Unprocessable", text, "fork")],
            "status 422: fork",
        ),
        (
            vec![http("200 OK", text, &"x".repeat(70_000))],
            "longer than 65536",
        ),
        (
            vec!["220 smtp.example\r\n".to_owned()],
            "the conversation with",
        ),
        (vec![String::new()], "the conversation with"),
    ] {
        let mut calls = round(hostile(answers));
        let trouble = runtime.block_on(calls.go(&engine)).unwrap_err().said();
        assert!(trouble.contains(said), "{trouble}");
        assert!(trouble.chars().all(|c| !c.is_control()), "{trouble:?}");
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = gone.local_addr().unwrap();
    drop(gone);
    let trouble = runtime.block_on(round(at).go(&engine)).unwrap_err().said();
    assert!(trouble.contains("cannot connect to 127.0.0.1"), "{trouble}");
    assert_eq!(served.head().cosignatures, "");
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_says_nothing_is_not_waited_for() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let place = Place::read(&format!("http://{at}")).unwrap();
    let error = place.post("old 0\n".to_owned()).await.unwrap_err();
    assert!(error.to_string().contains("within 10 seconds"), "{error}");
}

#[test]
fn a_quorum_of_the_past_is_found_again_and_how_a_witness_stands_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::new(&directory.path().join("state.db"));
    let (runtime, engine) = (runtime(), served.engine());
    let at = real(&runtime, &directory.path().join("witness"));
    let gone = hostile(Vec::new());
    let one = witness(1).verifier().to_string();
    let start = |text: &str| {
        let policy = TrustPolicy::read(text.as_bytes()).unwrap();
        let interval = Duration::from_millis(10);
        let keys = [log_key().verifier().clone()];
        let setup = Setup::of(policy, interval, &keys, Path::new("p")).unwrap();
        runtime.block_on(async { Witnesses::start(setup, &engine) })
    };
    let until = |condition: &dyn Fn() -> bool| {
        while !condition() {
            thread::sleep(Duration::from_millis(5));
        }
    };
    let two = witness(2).verifier().to_string();
    let (all, calls) = start(&format!(
        "witness A {one} http://{at}\nwitness B {two} http://{gone}\nquorum A\n"
    ));
    let size = served.head().size;
    until(&|| all.standings()[0].1.size == size && all.standings()[1].1.trouble.is_some());
    until(&|| !all.witnessed_note().is_empty());
    let held = all.witnessed_note();
    drop(calls);
    served.grow();
    let text = format!("witness A {one} http://{gone}\nquorum A\n");
    let (again, calls) = start(&text);
    until(&|| !again.witnessed_note().is_empty());
    assert_eq!(again.witnessed_note(), held);
    assert_eq!(again.standings()[0].1.size, 0);
    drop(calls);
    // Under a policy that asks for more, it is no quorum.
    let (more, calls) = start(&format!(
        "witness A {one} http://{gone}\nwitness B {two}\ngroup both all A B\nquorum both\n"
    ));
    until(&|| more.standings()[0].1.trouble.is_some());
    assert_eq!(more.witnessed_note(), "");
    drop(calls);
}

#[test]
fn a_policy_by_which_no_head_could_be_sent_stops_the_start() {
    let earlier = SignerKey::from_seed(ORIGIN, &[77; 32]).unwrap();
    let keys = [earlier.verifier().clone(), log_key().verifier().clone()];
    let one = witness(1).verifier().to_string();
    let two = countersign_shared::log::note::SignerKey::from_seed("other", &[1; 32]).unwrap();
    let of = |text: &str| {
        let policy = TrustPolicy::read(text.as_bytes()).unwrap();
        Setup::of(
            policy,
            Duration::from_secs(5),
            &keys,
            Path::new("witness.policy"),
        )
    };
    let other = two.verifier();
    for key in &keys {
        of(&format!("log {key}\nwitness A {one} http://w\nquorum A\n")).unwrap();
    }
    for (text, said) in [
        ("quorum none\n".to_owned(), "no witness in `witness.policy`"),
        (format!("witness A {one}\nquorum A\n"), "has a URL"),
        (
            format!("log {other}\nwitness A {one} http://w\nquorum A\n"),
            "does not name this log",
        ),
        (
            format!("witness A {one} https://w\nquorum A\n"),
            "witness `A`: `https://w` needs TLS",
        ),
        (
            format!("witness A {one} w\nquorum A\n"),
            "expected `http://",
        ),
    ] {
        let error = of(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(!policy().asks_nobody());
}
