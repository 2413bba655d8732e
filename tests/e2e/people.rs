//! The people's command line beside deciding: keys that are not enough, receipts, the roster's file,
//! and what `doctor` and `verify` say of the log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::receipt::Receipt;
use countersign_tests::home::make_key;
use countersign_tests::process::run;
use countersign_tests::wait::wait_until;
use countersign_tests::{Home, Running, Terminal};
use serde_json::Value;

use crate::asking::{document, redeem, request, show};

/// An `ssh-agent` that holds the reviewer's key, and the file of the public half alone.
struct Loaded {
    _agent: Running,
    socket: PathBuf,
    public: PathBuf,
}

impl Loaded {
    fn start(home: &Home) -> Self {
        let socket = home.root().join("ssh-agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        let agent = Running::start(&mut command, Stdio::null());
        wait_until("the ssh-agent listens", || socket.exists());
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(home.key()).env("SSH_AUTH_SOCK", &socket);
        run(&mut add).expect_code(0);
        // A name of its own, so that no private half lies beside it.
        let public = home.make_dir("public").join("enrolled.pub");
        fs::copy(home.key().with_extension("pub"), &public).expect("a public key");
        Self {
            _agent: agent,
            socket,
            public,
        }
    }

    fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = home.person_command(arguments);
        command.env("SSH_AUTH_SOCK", &self.socket);
        command.arg("--key").arg(&self.public);
        command
    }
}

#[test]
fn a_key_that_cannot_be_asked_for_a_passphrase_is_refused_before_anything_is_signed() {
    let home = Home::with("tier = \"high\"\n");
    let loaded = Loaded::start(&home);
    let asked = request(&home, "orders");
    let arguments = [
        "approve",
        &asked.id,
        "--digest",
        &asked.digest,
        "--confirm",
        "orders",
    ];
    let refused = run(&mut loaded.command(&home, &arguments)).expect_code(4);
    let says = "this request needs a passphrase typed for it; your key is in an ssh-agent: \
                use --key FILE";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    // Nothing was even printed as if it could be approved.
    assert_eq!(refused.stdout, "");
    let mut console = Terminal::start(&loaded.command(&home, &[]), 100, 30);
    console.wait_for("orders");
    console.type_slowly("\r");
    console.wait_for("this request needs a passphrase typed for it");
    console.type_slowly("A");
    let screen = console.wait_for("nothing decided: your key is in an ssh-agent: use --key FILE");
    assert!(!screen.contains("Passphrase"), "{screen}");
    assert_eq!(show(&home, &asked)["decisions"], Value::Array(Vec::new()));
    // A "no" needs no better key.
    run(&mut loaded.command(&home, &["deny", &asked.id, "--reason", "not now"])).expect_code(0);
}

#[test]
fn a_key_in_an_ssh_agent_decides_where_that_is_enough() {
    let home = Home::new();
    let loaded = Loaded::start(&home);
    let asked = request(&home, "orders");
    let arguments = ["approve", &asked.id, "--digest", &asked.digest];
    run(&mut loaded.command(&home, &arguments)).expect_code(0);
    assert_eq!(
        show(&home, &asked)["decisions"][0]["assurance"],
        "ssh-agent"
    );
}

#[test]
fn a_claim_that_nobody_holds_is_not_said_to_be_released() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let refused = home.person(&["release", &asked.id]).expect_code(6);
    assert!(
        refused.stderr.contains("nothing was released"),
        "{}",
        refused.stderr
    );
    home.person(&["claim", &asked.id]).expect_code(0);
    let released = home.person(&["release", &asked.id]).expect_code(0);
    assert_eq!(released.stdout.trim(), format!("released {}", asked.id));
    home.person(&["release", &asked.id]).expect_code(6);
}

#[test]
fn receipts_prove_every_entry_of_a_request_with_the_logs_key_alone() {
    let home = Home::new();
    let other = request(&home, "customers");
    let asked = request(&home, "orders");
    home.approve(&asked).expect_code(0);
    redeem(&home, &asked, &document(&home, &asked)).expect_code(0);
    let directory = home.root().join("receipts");
    let output = directory.to_str().expect("a path in UTF-8");
    home.person(&["receipt", &asked.id, "--output", output])
        .expect_code(0);
    let vkey: VerifierKey = fs::read_to_string(home.path().join("log.vkey"))
        .expect("the log's key")
        .trim()
        .parse()
        .expect("a key");
    let mut types = Vec::new();
    let mut files: Vec<_> = fs::read_dir(&directory)
        .expect("the directory")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    for path in &files {
        let text = fs::read_to_string(path).expect("a receipt");
        let receipt = Receipt::read(&text).expect("a receipt");
        let entry = receipt.extra().expect("the entry comes along").to_vec();
        receipt
            .verify(&entry, std::slice::from_ref(&vkey), vkey.name())
            .expect("it proves the entry");
        let mut damaged = entry.clone();
        damaged[10] ^= 1;
        receipt
            .verify(&damaged, std::slice::from_ref(&vkey), vkey.name())
            .expect_err("it proves no other");
        let entry: Value = serde_json::from_slice(&entry).expect("JSON");
        assert_eq!(entry["request"], asked.id);
        let kind = entry["type"].as_str().expect("a type").to_owned();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let index = receipt.index();
        assert_eq!(name, format!("{}.{index}.{kind}.tlog-proof", asked.id));
        types.push(kind);
    }
    for expected in [
        "request.received",
        "decision.recorded",
        "request.approved",
        "request.redeemed",
    ] {
        assert!(types.iter().any(|kind| kind == expected), "{types:?}");
    }
    // What is there is not written over.
    home.person(&["receipt", &asked.id, "--output", output])
        .expect_code(1);
    let printed = home.person(&["receipt", &other.id]).expect_code(0).stdout;
    let receipts = printed.matches("c2sp.org/tlog-proof@v1\n").count();
    assert!(receipts >= 2, "{printed}");
}

#[test]
fn a_person_who_is_added_decides_after_the_reload_and_one_who_is_removed_does_not() {
    let mut home = Home::new();
    let file = home.path().join("reviewers.toml");
    let text = fs::read_to_string(&file).expect("the roster");
    fs::write(&file, format!("# Ask before you change it.\n\n{text}")).expect("the roster");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("the roster");
    let before = fs::read_to_string(&file).expect("the roster");
    let bo = home.root().join("bo");
    make_key(&bo, "bo");
    let add = |name: &str, key: PathBuf| {
        let mut command = home.person_command(&["reviewer", "add", name, "--user", "daemon"]);
        run(command.args(["--group", "sre"]).arg("--key").arg(key))
    };
    // Nothing that the daemon would refuse is written.
    add("bo b", bo.with_extension("pub")).expect_code(2);
    let private = add("bo", bo.clone()).expect_code(2);
    assert!(
        private.stderr.contains("is a private key"),
        "{}",
        private.stderr
    );
    add("bo", home.key().with_extension("pub")).expect_code(2);
    assert_eq!(fs::read_to_string(&file).expect("the roster"), before);
    let added = add("bo", bo.with_extension("pub")).expect_code(0);
    assert!(added.stderr.contains("kill -HUP"), "{}", added.stderr);
    add("bo", bo.with_extension("pub")).expect_code(2);
    let after = fs::read_to_string(&file).expect("the roster");
    assert!(after.starts_with(&before), "{after}");
    let mode = fs::metadata(&file)
        .expect("the roster")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o640);
    let pid = home.daemon().pid();
    assert!(
        added.stderr.contains(&format!("kill -HUP {pid}")),
        "{}",
        added.stderr
    );
    home.daemon().signal(rustix::process::Signal::HUP);
    wait_until("the roster is in force", || {
        let log = home.person(&["log", "--json"]).expect_code(0).stdout;
        log.contains("rules.changed") && log.contains("\"bo\"")
    });
    let listed = home.person(&["reviewer", "list"]).expect_code(0).stdout;
    assert!(
        listed.contains("bo  account daemon  groups sre  SHA256:"),
        "{listed}"
    );
    home.person(&["reviewer", "remove", "bo"]).expect_code(0);
    assert_eq!(fs::read_to_string(&file).expect("the roster"), before);
    home.person(&["reviewer", "remove", "bo"]).expect_code(2);
}

#[test]
fn doctor_tells_separation_the_signed_head_and_the_tail_behind_it() {
    let home = Home::new();
    let asked = request(&home, "orders");
    let doctor = || {
        // The key has no passphrase, which is bad; it is not what this is about.
        let ran = home.person(&["doctor", "--json"]).expect_code(1);
        ran.json()
    };
    let log = doctor()["log"].clone();
    assert_eq!(log["separation"], "none");
    assert_eq!(log["held_elsewhere"], 0);
    assert_eq!(log["tail"], log["size"]);
    home.approve(&asked).expect_code(0);
    let report = doctor();
    let (held, tail) = (&report["log"]["held_elsewhere"], &report["log"]["tail"]);
    assert!(held.as_u64().expect("a size") > 0, "{report}");
    assert!(tail.as_u64() < report["log"]["size"].as_u64(), "{report}");
    let says = report["checks"].to_string();
    assert!(
        says.contains(&format!("signed with the decision on {}", asked.id)),
        "{says}"
    );
    let verified = home.person(&["verify", "--json"]).expect_code(0).json();
    assert_eq!(&verified["witnessed"], held, "{verified}");
    // It looks at the key that is named.
    let named = home.person(&["doctor"]).expect_code(1).stdout;
    assert!(
        named.contains(home.key().to_str().expect("a path in UTF-8")),
        "{named}"
    );
}

#[test]
fn verify_takes_a_database_and_heads_that_were_kept_elsewhere() {
    let home = Home::new();
    request(&home, "orders");
    let copy = home.root().join("older.db");
    let older = copy.to_str().expect("a path in UTF-8").to_owned();
    rusqlite::Connection::open(home.path().join("state.db"))
        .and_then(|database| database.execute("VACUUM INTO ?1", [&older]))
        .expect("a copy");
    let asked = request(&home, "customers");
    home.approve(&asked).expect_code(0);
    let heads = home.root().join("state").join("heads");
    let kept = fs::read_dir(heads)
        .expect("heads")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_none())
        .expect("a kept head");
    let kept = kept.to_str().expect("a path in UTF-8");
    home.person(&["verify", "--head", kept]).expect_code(0);
    home.person(&["verify", &older]).expect_code(0);
    // A database that was set back is whole in itself, and shorter than the head that was kept.
    home.person(&["verify", &older, "--head", kept])
        .expect_code(9);
}

#[test]
fn what_nobody_could_follow_to_its_end_has_a_list_of_its_own() {
    let home = Home::with("max_run = \"1s\"\n");
    let lost = request(&home, "orders");
    home.approve(&lost).expect_code(0);
    redeem(&home, &lost, &document(&home, &lost)).expect_code(0);
    home.wait_until_state(&lost.id, "indeterminate");
    let asked = request(&home, "customers");
    let live = home.person(&["list"]).expect_code(0);
    assert!(live.stdout.contains(&asked.id), "{}", live.stdout);
    assert!(!live.stdout.contains(&lost.id), "{}", live.stdout);
    assert!(
        live.stderr.contains("of 1 request nobody knows"),
        "{}",
        live.stderr
    );
    let others = home
        .person(&["list", "--indeterminate"])
        .expect_code(0)
        .stdout;
    assert!(
        others.contains(&lost.id) && !others.contains(&asked.id),
        "{others}"
    );
    let settle = |id: &str, outcome: &str| {
        let why = "the table is still there";
        home.person(&["settle", id, "--outcome", outcome, "--reason", why])
    };
    settle(&lost.id, "perhaps").expect_code(2);
    let early = settle(&asked.id, "failed").expect_code(6);
    assert!(
        early.stderr.contains("nothing was signed"),
        "{}",
        early.stderr
    );
    settle(&lost.id, "not-run").expect_code(0);
    assert_eq!(home.look(&lost.id).state, "settled");
    let others = home
        .person(&["list", "--indeterminate"])
        .expect_code(0)
        .stdout;
    assert_eq!(others, "");
    settle(&lost.id, "not-run").expect_code(6);
    home.person(&["verify"]).expect_code(0);
}
