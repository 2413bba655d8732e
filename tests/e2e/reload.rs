//! What a running daemon makes of the operator's files on SIGHUP, and of runs after a start.

use std::fs;

use countersign_tests::Home;
use countersign_tests::wait::wait_until;
use rustix::process::Signal;

fn entries(home: &Home, entry_type: &str) -> Vec<serde_json::Value> {
    home.person(&["log", "--json"])
        .expect_code(0)
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an entry"))
        .filter(|entry| entry["type"] == entry_type)
        .collect()
}

#[test]
fn a_mistake_in_the_files_is_refused_named_and_recorded_and_changes_nothing() {
    let mut home = Home::new();
    let file = home.path().join("countersign.toml");
    let good = fs::read_to_string(&file).unwrap();
    for (text, named) in [
        (format!("{good}\nlimit = 5\n"), "limit"),
        (
            good.replace("origin = \"", "origin = \"other/"),
            "`origin` changes only with a new start",
        ),
    ] {
        let before = entries(&home, "rules.refused").len();
        fs::write(&file, text).unwrap();
        home.daemon().signal(Signal::HUP);
        wait_until("the entry of the refusal", || {
            entries(&home, "rules.refused").len() > before
        });
        let refused = entries(&home, "rules.refused");
        let problem = refused.last().unwrap()["body"]["problem"].as_str().unwrap();
        assert!(problem.contains(named), "{problem}");
    }
    assert!(entries(&home, "rules.changed").is_empty());
    fs::write(&file, format!("{good}\n[limits]\npending = 500\n")).unwrap();
    home.daemon().signal(Signal::HUP);
    wait_until("the entry of the change", || {
        entries(&home, "rules.changed").len() == 1
    });
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn what_nobody_could_approve_after_a_reload_is_told_by_doctor_until_it_is_mended() {
    let mut home = Home::new();
    let file = home.path().join("countersign.toml");
    let good = fs::read_to_string(&file).unwrap();
    let policies = |home: &Home| {
        let doctor = home.person(&["doctor", "--json"]);
        let findings = doctor.json()["checks"].as_array().unwrap().clone();
        let mut policies = findings.into_iter().filter(|it| it["check"] == "policies");
        policies.next().unwrap()
    };
    assert_eq!(policies(&home)["ok"], true, "{}", policies(&home));
    let table = "[default_requirement]\n";
    let asking = good.replace(table, &format!("{table}review = \"1 of nobodies\"\n"));
    assert_ne!(asking, good);
    fs::write(&file, asking).unwrap();
    home.daemon().signal(Signal::HUP);
    wait_until("doctor says so", || policies(&home)["ok"] == false);
    let says = policies(&home)["message"].to_string();
    assert!(
        says.contains("nobodies") && says.contains("a start of the daemon would be refused"),
        "{says}"
    );
    fs::write(&file, good).unwrap();
    home.daemon().signal(Signal::HUP);
    wait_until("it is mended", || policies(&home)["ok"] == true);
}
