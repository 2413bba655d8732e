//! One document erased before its time, by the real program.

use countersign_tests::process::run;
use countersign_tests::programs::DAEMON;
use countersign_tests::{Home, Ran};

use crate::asking::request;

fn erase(home: &Home, id: &str, reason: &str) -> Ran {
    run(home.command(DAEMON).args(["erase", id, "--reason", reason]))
}

#[test]
fn a_document_that_was_erased_is_told_of_by_every_command_that_would_show_it() {
    let mut home = Home::new();
    let asked = request(&home, "crm");
    let other = request(&home, "hr");
    home.deny(&asked, "there is a password in it")
        .expect_code(0);
    // While the daemon serves it is the owner of the database.
    let refused = erase(&home, &asked.id, "a password").expect_code(1);
    assert!(!refused.stderr.is_empty());
    home.stop();
    let refused = erase(&home, &other.id, "a password").expect_code(1);
    assert!(refused.stderr.contains("it has to be over"), "{refused:?}");
    let refused = erase(&home, &asked.id, "two\nlines").expect_code(2);
    assert!(refused.stderr.contains("one line"), "{refused:?}");
    erase(&home, &asked.id[..12], "a password").expect_code(2);
    let done = erase(&home, &asked.id, "a password").expect_code(0);
    assert!(done.stdout.contains("is erased"), "{done:?}");
    home.start();
    let gone = home.person(&["show", &asked.id]);
    assert_ne!(gone.code, 0);
    assert!(gone.stderr.contains("was erased"), "{gone:?}");
    let log = home.person(&["log", "--request", &asked.id]).expect_code(0);
    assert!(
        log.stdout.contains("before its time: a password"),
        "{log:?}"
    );
    home.person(&["show", &other.id]).expect_code(0);
    home.stop();
    let verified = home.person(&["verify"]).expect_code(0);
    assert!(
        verified
            .stdout
            .contains("1 document was erased before its time"),
        "{verified:?}"
    );
    let pack = home.root().join("pack");
    home.person(&["export", "evidence", "--output", pack.to_str().unwrap()])
        .expect_code(0);
    let checked = std::process::Command::new("sh")
        .arg(pack.join("verify.sh"))
        .output()
        .expect("sh");
    assert!(checked.status.success(), "{checked:?}");
    let report = std::fs::read_to_string(pack.join("report.html")).unwrap();
    assert!(report.contains("Documents erased before their time"));
    assert!(report.contains("a password"));
}
