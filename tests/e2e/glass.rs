//! Breaking the glass: approved alone in an emergency, seen by everybody, and owed until another
//! person has reviewed it.

use std::fs;
use std::io::Write as _;

use countersign_tests::home::{Asked, REVIEWER};
use countersign_tests::programs::PERSON;
use countersign_tests::system::{System, Who};
use countersign_tests::{Home, Terminal};
use serde_json::Value;

const RULES: &str = "\n[default_requirement]\nreview = \"1 of dba and 1 of sre\"\ntier = \"high\"\n\
                     assurance = \"file\"\n[break_glass]\npeople = [\"mika@example.org\"]\n";

/// Two reviewers with a seat each, of whom one may break the glass.
fn two_seats(test: &str) -> Option<System> {
    let Some(mut system) = System::make() else {
        // Past the harness, which shows nothing of a test that passes.
        writeln!(std::io::stderr(), "skipped: needs root: {test}").expect("to write");
        return None;
    };
    let append = |name: &str, text: &str| {
        let path = system.path().join(name);
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(path)
            .expect("a file");
        file.write_all(text.as_bytes()).expect("to write");
    };
    append("countersign.toml", RULES);
    let roster = system.path().join("reviewers.toml");
    let people = fs::read_to_string(&roster).expect("the roster");
    let key = fs::read_to_string(system.key(Who::Noor).with_extension("pub")).expect("a key");
    let (name, key) = (system.name(Who::Noor), key.trim());
    let noor = format!(
        "\n[[reviewer]]\nname = \"noor\"\nuser = \"{name}\"\ngroups = [\"dba\"]\nkeys = [\"{key}\"]\n"
    );
    let people = if people.contains("groups = []") {
        people.replace("groups = []", "groups = [\"sre\"]")
    } else {
        people.replacen("keys", "groups = [\"sre\"]\nkeys", 1)
    };
    fs::write(&roster, format!("{people}{noor}")).expect("the roster");
    system.start();
    Some(system)
}

fn request(system: &System) -> Asked {
    let arguments = [
        "request",
        "--kind",
        "data.export",
        "--target",
        "orders",
        "--json",
    ];
    Asked::read(&system.agent(Who::Bot, &arguments).expect_code(0).json())
}

fn debts(system: &System) -> Vec<Value> {
    let owed = system
        .person(Who::Noor, &["debts", "--json"])
        .expect_code(0)
        .json();
    owed["debts"].as_array().expect("a list").clone()
}

#[test]
fn broken_glass_alarms_everybody_and_is_owed_until_another_person_reviewed_it() {
    let Some(system) =
        two_seats("broken_glass_alarms_everybody_and_is_owed_until_another_person_reviewed_it")
    else {
        return;
    };
    let asked = request(&system);
    let shown = system
        .person(Who::Mika, &["show", &asked.id])
        .expect_code(0)
        .stdout;
    assert!(shown.contains("waits for 1 of dba and 1 of sre"), "{shown}");
    assert!(shown.contains("could still approve: "), "{shown}");

    let mut open = system.command(Who::Noor, PERSON, &[]);
    open.arg("--key").arg(system.key(Who::Noor));
    let mut console = Terminal::start(&open, 110, 30);
    console.wait_for("orders");

    let glass = |who, more: &[&str]| {
        let mut line = vec!["break-glass", &asked.id, "--digest", &asked.digest];
        line.extend(["--reason", "the replica is filling up"]);
        line.extend(more);
        system.person(who, &line)
    };
    glass(Who::Noor, &["--confirm", "orders"]).expect_code(4);
    glass(Who::Mika, &["--confirm", "customers"]).expect_code(2);
    // Without a terminal nobody can be asked for the target's name.
    glass(Who::Mika, &[]).expect_code(2);
    let stale = system.person(
        Who::Mika,
        &[
            "break-glass",
            &asked.id,
            "--digest",
            "0123456789abcdef",
            "--reason",
            "x",
        ],
    );
    stale.expect_code(6);
    assert!(debts(&system).is_empty());
    let done = glass(Who::Mika, &["--confirm", "orders"]).expect_code(0);
    for words in [
        "Everybody who reviews is told",
        "leaves a debt",
        "waits for: 1 of dba",
    ] {
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
    assert!(done.stdout.contains(&asked.id), "all of it was printed");
    let kept = system
        .own(Who::Mika)
        .join("state/decisions")
        .join(format!("{}.break-glass.tlog-proof", asked.id));
    assert!(kept.exists(), "{}", kept.display());

    console.wait_for(&format!("THE GLASS WAS BROKEN by {REVIEWER}"));
    let owed = debts(&system);
    assert_eq!(owed[0]["id"], asked.id.as_str());
    assert_eq!(owed[0]["owed_by"], REVIEWER);
    let listed = system.person(Who::Noor, &["list"]).expect_code(0).stdout;
    assert!(listed.contains("break-glass"), "{listed}");
    let unwell = system.person(Who::Noor, &["doctor"]).expect_code(1).stdout;
    assert!(unwell.contains("bad  debts"), "{unwell}");
    let close = ["close-debt", &asked.id, "--reason", "as it should be"];
    system.person(Who::Mika, &close).expect_code(4);

    console.type_slowly("o");
    console.wait_for("glass broken by");
    console.type_slowly("\r");
    console.wait_for("C closes the review");
    console.type_slowly("   ");
    console.wait_that("it is armed", |screen| {
        screen.contains("ARMED") && !screen.contains("NOT ARMED")
    });
    console.type_slowly("C");
    console.wait_for("CLOSE THE REVIEW");
    console.type_slowly("the disk was full\r");
    console.wait_for("is recorded");
    console.wait_for("Nobody owes anything");
    assert!(debts(&system).is_empty());
    system.person(Who::Noor, &close).expect_code(6);
    let log = system.person(Who::Noor, &["log"]).expect_code(0).stdout;
    assert!(log.contains("debt.closed"), "{log}");
}

#[test]
fn a_request_that_nobody_is_left_for_is_named_by_doctor() {
    // The only reviewer stands behind it, and nobody confirms their own at tier critical.
    let home = Home::with("tier = \"critical\"\n");
    let asked = crate::asking::request(&home, "orders");
    let unwell = home.person(&["doctor"]).expect_code(1).stdout;
    assert!(
        unwell.contains(&format!("nobody could approve {}", asked.id)),
        "{unwell}"
    );
}
