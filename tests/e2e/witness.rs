//! A witness on the loopback: a process of its own that a real daemon sends its heads to.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use countersign_shared::digest::Digest;
use countersign_tests::process::run;
use countersign_tests::programs::DAEMON;
use countersign_tests::wait::{PATIENCE, wait_until};
use countersign_tests::{Home, Ran};
use serde_json::Value;

use crate::asking::{document, redeem, request};
use crate::exporting::verify_by_script;

/// What the witness is called.
const NAME: &str = "w.example/one";

/// A running witness.
struct Witness {
    child: Child,
    vkey: String,
    /// Address and port.
    at: String,
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Witness {
    /// Starts the witness of this test at an address, which says which port it took.
    #[track_caller]
    fn start(home: &Home, listen: &str) -> Self {
        let log = fs::read_to_string(home.path().join("log.vkey")).expect("the log's key");
        let (key, state) = (home.root().join("witness.key"), home.root().join("witness"));
        let mut command = home.command(DAEMON);
        command
            .args(["witness", "--name", NAME, "--listen", listen])
            .args(["--log", log.trim()])
            .arg("--key")
            .arg(key)
            .arg("--state")
            .arg(state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the witness starts");
        let mut said = BufReader::new(child.stdout.take().expect("an output"));
        let mut next = |prefix: &str| {
            let mut line = String::new();
            said.read_line(&mut line).expect("a line");
            let rest = line.trim_end().strip_prefix(prefix);
            rest.unwrap_or_else(|| panic!("`{line}`")).to_owned()
        };
        let (vkey, at) = (next("vkey "), next("listening on http://"));
        Self { child, vkey, at }
    }

    /// Sends a request and returns status and body.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.at).expect("the witness listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (at, length) = (&self.at, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {length}\r\n"
        );
        write!(stream, "{head}\r\n{body}").expect("to send");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Returns the last head that it cosigned, with both signatures.
    #[track_caller]
    fn checkpoint(&self, home: &Home) -> String {
        let config = fs::read_to_string(home.path().join("countersign.toml")).expect("a file");
        let config: toml::Table = config.parse().expect("TOML");
        let origin = config["origin"].as_str().expect("an origin");
        let hash = Digest::of(origin.as_bytes()).to_hex();
        let (status, note) = self.ask("GET", &format!("/{hash}/checkpoint"), "");
        assert_eq!(status, 200, "{note}");
        note
    }
}

/// A home whose daemon sends its heads to a witness, each second.
fn watched() -> (Home, Witness) {
    let mut home =
        Home::stopped("[witnesses]\npolicy = \"witness.policy\"\ninterval_seconds = 1\n");
    let witness = Witness::start(&home, "127.0.0.1:0");
    let log = fs::read_to_string(home.path().join("log.vkey")).expect("the log's key");
    let (log, vkey, at) = (log.trim(), &witness.vkey, &witness.at);
    let policy = format!("log {log}\nwitness W {vkey} http://{at}/\nquorum W\n");
    fs::write(home.path().join("witness.policy"), policy).expect("to write");
    home.start();
    (home, witness)
}

fn doctor(home: &Home) -> Value {
    home.person(&["doctor", "--json"]).json()
}

/// What doctor says about the witness, and whether that is well.
fn stands(said: &Value) -> (bool, String) {
    let checks = said["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["check"] == "witness");
    let found = found.unwrap_or_else(|| panic!("{said}"));
    let message = found["message"].as_str().expect("a message");
    (found["ok"] == true, message.to_owned())
}

/// Waits until the witness has cosigned all of the log; returns the log's size.
#[track_caller]
fn wait_until_cosigned(home: &Home) -> u64 {
    wait_until("the head is cosigned", || {
        let log = &doctor(home)["log"];
        log["quorum"].is_u64() && log["quorum"] == log["size"]
    });
    doctor(home)["log"]["size"].as_u64().expect("a size")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn verify(home: &Home, more: &[&str]) -> Ran {
    run(home.command(DAEMON).arg("verify").args(more))
}

#[test]
fn a_head_is_cosigned_and_the_cosignature_goes_wherever_the_head_is_handed_out() {
    let (home, witness) = watched();
    let asked = request(&home, "crm");
    home.approve(&asked).expect_code(0);
    let size = wait_until_cosigned(&home);
    let said = doctor(&home);
    let (is_well, message) = stands(&said);
    assert!(is_well && message.contains(NAME), "{message}");
    assert_eq!(said["log"]["held_elsewhere"], size);
    assert_eq!(said["log"]["tail"], 0);

    let line = format!("\n\u{2014} {NAME} ");
    let receipts = home.root().join("receipts");
    home.person(&["receipt", &asked.id, "--output", text(&receipts)])
        .expect_code(0);
    for file in fs::read_dir(&receipts).expect("receipts") {
        let receipt = fs::read_to_string(file.expect("a file").path()).expect("a receipt");
        assert!(receipt.contains(&line), "{receipt}");
    }
    let policy = home.path().join("witness.policy");
    for format in ["tiles", "evidence"] {
        let output = home.root().join(format);
        let path = text(&output);
        run(&mut home.person_command(&["export", format, "--output", path])).expect_code(0);
        let file = output.join("checkpoint");
        let note = fs::read_to_string(&file).expect("a head");
        assert!(note.contains(&line), "{note}");
        assert_eq!(note, witness.checkpoint(&home));
        for more in [&[path][..], &[path, "--policy", text(&policy)]] {
            let found = verify(&home, more).expect_code(0).stdout;
            assert!(
                found.contains("a quorum of witnesses cosigned the head"),
                "{found}"
            );
        }
        if format == "evidence" {
            verify_by_script(&home, &output).expect_code(0);
        }
        // The line of another time: the key is known, and the signature is over something else.
        let (above, payload) = note.rsplit_once(' ').expect("a line");
        let mut payload = data_encoding::BASE64
            .decode(payload.trim_end().as_bytes())
            .expect("base64");
        payload[11] ^= 1;
        let bent = data_encoding::BASE64.encode(&payload);
        fs::write(&file, format!("{above} {bent}\n")).expect("to write");
        let found = verify(&home, &[path]).expect_code(9).stdout;
        assert!(
            found.contains("checkpoint: ") && found.contains(NAME),
            "{found}"
        );
    }
    let found = verify(&home, &[]).expect_code(0).stdout;
    let said = format!("a quorum of witnesses cosigned the head of {size}");
    assert!(found.contains(&said), "{found}");
    assert!(found.contains("unwitnessed tail: none"), "{found}");
    assert_eq!(verify(&home, &["--json"]).json()["quorum"], size);
}

#[test]
fn a_witness_does_not_cosign_the_fork_that_a_copied_home_makes() {
    let (mut home, witness) = watched();
    let before = wait_until_cosigned(&home);
    home.stop();
    let copies = ["state.db", "head"].map(|name| (home.path().join(name), home.root().join(name)));
    let [(_, database), (mark, mark_copy)] = &copies;
    run(home
        .command(DAEMON)
        .args(["backup", "--output", text(database)]))
    .expect_code(0);
    fs::copy(mark, mark_copy).expect("a copy");
    home.start();
    let used = request(&home, "crm");
    home.approve(&used).expect_code(0);
    redeem(&home, &used, &document(&home, &used)).expect_code(0);
    let size = wait_until_cosigned(&home);
    assert!(size > before);
    let honest = home.root().join("honest");
    fs::write(&honest, witness.checkpoint(&home)).expect("to write");
    home.stop();
    for journal in ["state.db-wal", "state.db-shm"] {
        drop(fs::remove_file(home.path().join(journal)));
    }
    // Whoever owns the files puts the mark back as well, so the daemon itself notices nothing.
    for (place, copy) in &copies {
        fs::copy(copy, place).expect("to put back");
    }
    fs::remove_dir_all(home.root().join("state")).expect("what clients keep");
    home.start();
    wait_until("the witness is ahead", || {
        stands(&doctor(&home)).1.contains("the log went back")
    });
    // Other requests than before, until the fork is longer than what the witness saw.
    for target in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        request(&home, target);
    }
    assert!(doctor(&home)["log"]["size"].as_u64() > Some(size));
    wait_until("the fork is refused", || {
        stands(&doctor(&home)).1.contains("refuses with status 422")
    });
    assert!(!stands(&doctor(&home)).0);
    let kept = fs::read_to_string(&honest).expect("a head");
    assert_eq!(witness.checkpoint(&home), kept);
    let log = &doctor(&home)["log"];
    assert!(log["quorum"].as_u64() < Some(size), "{log}");
    // The head that the witness shows to everybody convicts the fork.
    let found = verify(&home, &["--head", text(&honest)])
        .expect_code(9)
        .stdout;
    assert!(found.contains("was kept with another root"), "{found}");
}

#[test]
fn a_witness_that_is_down_stops_nothing_and_remembers_when_it_is_back() {
    let (mut home, witness) = watched();
    let before = wait_until_cosigned(&home);
    let at = witness.at.clone();
    drop(witness);
    let asked = request(&home, "crm");
    home.approve(&asked).expect_code(0);
    redeem(&home, &asked, &document(&home, &asked)).expect_code(0);
    wait_until("doctor says so", || !stands(&doctor(&home)).0);
    let said = home.person(&["doctor"]).expect_code(1).stdout;
    assert!(
        said.contains("bad  witness: ") && said.contains("cannot connect"),
        "{said}"
    );
    assert_eq!(doctor(&home)["log"]["quorum"], before);

    let witness = Witness::start(&home, &at);
    let size = wait_until_cosigned(&home);
    assert!(size > before && stands(&doctor(&home)).0);
    // What is sent from an older head, or as if it were the first, is told how far the witness is.
    let note = witness.checkpoint(&home);
    for old in [0, before] {
        let body = format!("old {old}\n\n{note}");
        let (status, said) = witness.ask("POST", "/add-checkpoint", &body);
        assert_eq!((status, said), (409, format!("{size}\n")));
    }
    // Neither does a daemon that starts anew know how far it is.
    drop(witness);
    let journal = home.stop().stderr;
    for line in ["heads are not cosigned", "cosigns again"] {
        assert_eq!(journal.matches(line).count(), 1, "{journal}");
    }
    let _witness = Witness::start(&home, &at);
    home.start();
    assert!(wait_until_cosigned(&home) > size);
    let journal = home.stop().stderr;
    assert!(!journal.contains("heads are not cosigned"), "{journal}");
}
