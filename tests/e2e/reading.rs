//! The log as people read it: lines that say what happened, the ones that are asked for, and on as
//! it grows.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use countersign_tests::Home;
use countersign_tests::wait::wait_until;

use crate::asking::request;

/// A command in the background whose output goes somewhere; it ends with the test.
struct Following(Child);

impl Following {
    fn start(command: &mut Command, output: impl Into<Stdio>) -> Self {
        let child = command.stdin(Stdio::null()).stdout(output).spawn();
        Self(child.expect("to start"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn read(home: &Home, arguments: &[&str]) -> Vec<String> {
    let ran = home.person(&[&["log"], arguments].concat()).expect_code(0);
    ran.stdout.lines().map(str::to_owned).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

#[test]
fn the_log_is_read_by_request_person_type_and_time() {
    let home = Home::new();
    let denied = request(&home, "crm");
    home.deny(&denied, "not in the change window")
        .expect_code(0);
    let approved = request(&home, "hr");
    home.approve(&approved).expect_code(0);

    let all = read(&home, &[]);
    let of_one = read(&home, &["--request", &approved.id]);
    assert!(of_one.len() > 2 && of_one.len() < all.len(), "{of_one:#?}");
    assert!(of_one.iter().all(|line| line.contains(&approved.id)));
    let decisions = read(&home, &["--type", "decision.recorded"]);
    assert_eq!(decisions.len(), 2, "{decisions:#?}");
    assert!(
        decisions[0].contains("deny (file): not in the change window"),
        "{decisions:#?}"
    );
    let by_type = read(&home, &["--type", "daemon."]);
    assert!(
        by_type.iter().all(|line| line.contains("daemon.started")),
        "{by_type:#?}"
    );
    let person = countersign_tests::home::REVIEWER;
    let by_person = read(&home, &["--reviewer", person, "--type", "decision."]);
    assert_eq!(by_person, decisions);
    assert_eq!(read(&home, &["--reviewer", "nobody"]), Vec::<String>::new());
    let principal = format!("uid:{}", rustix::process::getuid().as_raw());
    let asked = read(&home, &["--agent", &principal]);
    assert_eq!(
        asked.len(),
        read(&home, &["--request", "req_"]).len(),
        "{asked:#?}"
    );
    assert_eq!(read(&home, &["--agent", "uid:1"]), Vec::<String>::new());
    assert_eq!(
        read(&home, &["--since", "2100-01-01"]),
        Vec::<String>::new()
    );
    assert_eq!(
        read(&home, &["--until", "2100-01-01", "--from", "3"]),
        all[3..]
    );
    home.person(&["log", "--since", "yesterday"]).expect_code(2);

    // Exact bytes, whatever people wrote, and in ASCII where they could reach a terminal.
    let odd = request(&home, "orders");
    home.deny(&odd, "später").expect_code(0);
    let decisions = ["--type", "decision.recorded", "--request", &odd.id];
    let raw = read(&home, &[&decisions[..], &["--raw"]].concat());
    assert!(raw[0].contains("später"), "{raw:?}");
    let json = read(&home, &[&decisions[..], &["--json"]].concat());
    assert!(json[0].contains("sp\\u00e4ter"), "{json:?}");
}

#[test]
fn the_log_is_followed_as_it_grows_until_nobody_reads() {
    let home = Home::new();
    let path = home.root().join("followed");
    let output = File::create(&path).expect("a file");
    let mut command = home.person_command(&["log", "--follow", "--type", "request.received"]);
    let _following = Following::start(&mut command, output);
    let first = request(&home, "crm");
    wait_until("the first request is told", || {
        text(&path).contains(&first.id)
    });
    let second = request(&home, "hr");
    wait_until("the second request is told", || {
        text(&path).contains(&second.id)
    });
    assert_eq!(text(&path).lines().count(), 2, "{}", text(&path));

    let mut unread = Following::start(
        &mut home.person_command(&["log", "--follow", "--json"]),
        Stdio::piped(),
    );
    drop(unread.0.stdout.take());
    wait_until("the command ends when nobody reads", || {
        unread.0.try_wait().expect("our own child").is_some()
    });
}
