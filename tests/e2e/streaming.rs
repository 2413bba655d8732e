//! The log streamed to a syslog daemon: a socket of this test's, by the real daemon.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use countersign_shared::json::canonical;
use countersign_shared::log::checkpoint;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::tree::{Frontier, leaf_hash};
use countersign_tests::Home;
use countersign_tests::wait::wait_until;
use serde_json::Value;

use crate::asking::request;

/// What a syslog daemon got: the entries' exact bytes in order, and the heads.
#[derive(Default)]
struct Collected {
    entries: Vec<Vec<u8>>,
    heads: Vec<(usize, String)>,
}

impl Collected {
    /// Takes what has come. An entry that comes again has to be the one that came.
    fn take(&mut self, socket: &UnixDatagram) {
        let mut buffer = vec![0; 1 << 17];
        while let Ok(length) = socket.recv(&mut buffer) {
            let message = std::str::from_utf8(&buffer[..length]).expect("text");
            assert!(message.is_ascii(), "{message}");
            let (before, text) = message.split_once(" - ").expect("a head and a text");
            assert!(before.contains(" countersignd "), "{before}");
            let value: Value = serde_json::from_str(text).expect("JSON");
            if value["type"] == "head" {
                let note = value["note"].as_str().expect("a note").to_owned();
                self.heads.push((number(&value["size"]), note));
                continue;
            }
            let seq = number(&value["seq"]);
            let bytes = canonical(&value).expect("an entry");
            if let Some(known) = self.entries.get(seq) {
                assert_eq!(*known, bytes);
            } else {
                assert_eq!(seq, self.entries.len(), "an entry was left out");
                self.entries.push(bytes);
            }
        }
    }

    /// Tells whether everything is there up to a head that covers so many entries at least.
    fn covers(&self, least: usize) -> bool {
        self.entries.len() >= least && self.heads.last().is_some_and(|(size, _)| *size >= least)
    }

    /// Compares the entries with every head, as a SIEM's owner would.
    fn check(&self, key: &VerifierKey) {
        for (size, note) in &self.heads {
            let keys = std::slice::from_ref(key);
            let head = checkpoint::open(note, keys, key.name()).expect("a head of this log");
            let mut frontier = Frontier::new();
            for bytes in self.entries.iter().take(*size) {
                frontier.push(leaf_hash(bytes)).expect("room in a tree");
            }
            assert_eq!(*head.head(), frontier.head());
        }
    }
}

fn number(value: &Value) -> usize {
    let number = value.as_u64().expect("a number");
    usize::try_from(number).expect("a small one")
}

fn listen(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a time limit");
    socket
}

/// Returns what `doctor` says of the stream.
fn told(home: &Home) -> (bool, Value) {
    let doctor = home.person(&["doctor", "--json"]).json();
    let checks = doctor["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["check"] == "stream");
    let check = check.expect("a word on the stream");
    (
        check["ok"].as_bool().expect("a verdict"),
        doctor["log"]["streams"][0].clone(),
    )
}

#[test]
fn what_a_syslog_daemon_collects_has_the_roots_of_the_heads_that_come_with_it() {
    let mut home = Home::stopped("");
    let path = home.root().join("log");
    home.configure(&format!("[stream]\nsyslog = \"{}\"\n", path.display()));
    // Nobody listens yet: the daemon serves all the same, and says so.
    home.start();
    let key: VerifierKey = std::fs::read_to_string(home.path().join("log.vkey"))
        .unwrap()
        .trim_end()
        .parse()
        .unwrap();
    let asked = request(&home, "crm");
    home.deny(&asked, "not today \u{202e}").expect_code(0);
    wait_until("that doctor says so", || {
        let (is_well, figures) = told(&home);
        !is_well && figures["flows"] == false && figures["behind"].as_u64() > Some(0)
    });
    let socket = listen(&path);
    let mut collected = Collected::default();
    wait_until("everything so far", || {
        collected.take(&socket);
        collected.covers(5)
    });
    wait_until("that doctor says so", || {
        let (is_well, figures) = told(&home);
        is_well && figures["behind"] == 0
    });
    // A crash: what was sent and not noted comes again, and nothing is left out.
    let said = home.kill().stderr;
    for line in ["stands still", "flows again"] {
        assert_eq!(said.matches(line).count(), 1, "{said}");
    }
    home.start();
    let before = collected.entries.len();
    let again = request(&home, "hr");
    home.deny(&again, "not today").expect_code(0);
    wait_until("what came after the crash", || {
        collected.take(&socket);
        collected.covers(before + 4)
    });
    let said = home.stop();
    assert!(!said.stderr.contains("stands still"), "{said:?}");
    collected.take(&socket);
    let last = String::from_utf8(collected.entries.last().unwrap().clone()).unwrap();
    assert!(last.contains("\"daemon.stopped\""), "{last}");
    collected.check(&key);
}
