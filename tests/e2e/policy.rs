//! Policy, from files to what becomes of a request: with real programs, people and terminals.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use countersign_tests::home::Asked;
use countersign_tests::process::run;
use countersign_tests::programs::{AGENT, PERSON};
use countersign_tests::system::{System, Who};
use countersign_tests::wait::{wait_for, wait_until};
use countersign_tests::{Home, Running, Terminal};
use rustix::process::Signal;
use serde_json::Value;

use crate::asking::{held, request, show};

/// Lets one program run without a person, forbids another, and holds the rest.
const MIXED: &str = r#"
@id("look") @review("nobody")
permit (principal, action == Action::"exec.run", resource)
when { context.program_name == "uname" && context.argument_count < 2 };

@id("no-export") @because("exports go through the data office")
forbid (principal, action == Action::"data.export", resource);

@id("no-sleep") @because("nothing sleeps here")
forbid (principal, action == Action::"exec.run", resource)
when { context.program_name == "sleep" };
"#;

fn log(home: &Home) -> Vec<Value> {
    home.person(&["log", "--json"])
        .expect_code(0)
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an entry"))
        .collect()
}

fn of_type<'e>(entries: &'e [Value], entry_type: &str) -> Vec<&'e Value> {
    let of_type = entries.iter().filter(|it| it["type"] == entry_type);
    of_type.collect()
}

/// Approves the only request in the console of a person, as a person does at tier high.
#[track_caller]
fn approve_in_console(system: &System, who: Who, id: &str, target: &str) {
    let key = system.key(who);
    let arguments = ["--key", key.to_str().expect("a path")];
    let mut console = Terminal::start(&system.command(who, PERSON, &arguments), 120, 40);
    console.wait_for("exec.run");
    console.type_slowly("\r");
    console.wait_for("ARMED");
    for _ in 0..20 {
        if !console.screen().contains("NOT ARMED") {
            break;
        }
        console.type_slowly(" ");
    }
    let screen = console.screen();
    assert!(screen.contains("HIGH"), "{screen}");
    console.type_slowly("A");
    console.wait_for("type the target's name");
    // The sheet begins on Back, so that keys in haste land nowhere.
    console.type_slowly("\t");
    console.type_slowly(target);
    console.type_slowly("A");
    wait_until("the decision is recorded", || {
        let shown = system.person(who, &["show", id, "--json"]).json();
        let decisions = shown["decisions"].as_array().cloned().unwrap_or_default();
        let mut reviewers = decisions.iter().map(|decision| &decision["reviewer"]);
        reviewers.any(|reviewer| reviewer == System::reviewer(who))
    });
    console.type_slowly("qq");
    console.wait();
}

#[test]
fn two_people_of_two_groups_approve_at_tier_high_in_their_consoles_and_it_runs_once() {
    let Some(mut system) = System::make() else {
        let name = "two_people_of_two_groups_approve_at_tier_high_in_their_consoles";
        writeln!(std::io::stderr(), "skipped: needs root: {name}").expect("to write");
        return;
    };
    system.enroll(&[(Who::Mika, "dba"), (Who::Noor, "sre")]);
    system.write_policy(
        "@id(\"maintenance\") @review(\"1 of dba and 1 of sre\") @tier(\"high\")\n\
         @because(\"it changes production\")\n\
         permit (principal, action == Action::\"exec.run\", resource);\n",
    );
    system.start();
    let marker = system.own(Who::Bot).join("ran");
    let script = format!("echo ran >> {}", marker.display());
    let arguments = ["run", "--target", "db1", "--", "sh", "-c", &script];
    let agent = Running::start(
        &mut system.command(Who::Bot, AGENT, &arguments),
        Stdio::null(),
    );
    let list = || {
        let listed = system
            .person(Who::Mika, &["list", "--all", "--json"])
            .expect_code(0)
            .json();
        listed["requests"].as_array().cloned().expect("a list")
    };
    let asked = wait_for("the request is held", || list().first().map(Asked::read));
    assert_eq!(list()[0]["tier"], "high");
    let who = system
        .person(Who::Mika, &["policy", "explain", &asked.id])
        .expect_code(0)
        .stdout;
    let people = format!(
        "{}, {} could approve",
        System::reviewer(Who::Mika),
        System::reviewer(Who::Noor)
    );
    assert!(who.contains(&people), "{who}");

    approve_in_console(&system, Who::Mika, &asked.id, "db1");
    // The same person does not fill the other seat as well, whatever they try.
    let digest = ["--digest", &asked.digest, "--confirm", "db1"];
    let again = [&["approve", &asked.id][..], &digest].concat();
    system.person(Who::Mika, &again).expect_code(0);
    assert_eq!(list()[0]["state"], "pending");
    assert!(!marker.exists());
    let who = system
        .person(Who::Mika, &["policy", "explain", &asked.id])
        .expect_code(0)
        .stdout;
    assert!(who.contains("it still waits for sre"), "{who}");

    approve_in_console(&system, Who::Noor, &asked.id, "db1");
    agent.wait().expect_code(0);
    assert_eq!(fs::read_to_string(&marker).unwrap(), "ran\n");
    wait_until("the run is over", || list()[0]["state"] == "succeeded");
    let shown = system
        .person(Who::Noor, &["show", &asked.id, "--json"])
        .expect_code(0)
        .json();
    let names: Vec<&str> = shown["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| decision["reviewer"].as_str().unwrap())
        .collect();
    let both = [Who::Mika, Who::Noor].map(System::reviewer);
    assert_eq!(names, both);
    let entries = system
        .person(Who::Mika, &["log", "--json"])
        .expect_code(0)
        .stdout;
    assert_eq!(entries.matches("\"type\":\"request.redeemed\"").count(), 1);
    assert_eq!(entries.matches("\"type\":\"request.approved\"").count(), 1);
}

#[test]
fn what_policy_forbids_is_refused_with_its_reason_and_stands_in_the_log() {
    let home = Home::with_policy("", MIXED);
    let refused = home.agent(&["run", "--", "sleep", "1"]).expect_code(120);
    assert!(
        refused.stderr.contains("nothing sleeps here"),
        "{refused:?}"
    );
    let asked = Asked::read(&home.list()[0]);
    assert_eq!(asked.state, "refused");
    let entries = log(&home);
    let evaluated = of_type(&entries, "policy.evaluated");
    assert_eq!(evaluated.len(), 1);
    let body = evaluated[0]["body"].to_string();
    assert!(body.contains("no-sleep"), "{body}");
    assert_eq!(of_type(&entries, "request.refused").len(), 1);
    // Nobody can approve it, and who asks why is told.
    home.approve(&asked).expect_code(6);
    let why = home
        .person(&["policy", "explain", &asked.id])
        .expect_code(0)
        .stdout;
    assert!(why.starts_with("refused: nothing sleeps here\n"), "{why}");
    assert!(
        why.contains("policy `no-sleep` at policy/test.cedar:"),
        "{why}"
    );
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn what_policy_lets_pass_asks_nobody_and_runs_at_once() {
    let home = Home::with_policy("", MIXED);
    let ran = home.agent(&["run", "--", "uname"]).expect_code(0);
    assert_eq!(ran.stdout.trim(), "Linux");
    let asked = Asked::read(&home.list()[0]);
    assert_eq!(asked.state, "succeeded");
    let entries = log(&home);
    let approved = of_type(&entries, "request.approved");
    assert_eq!(approved.len(), 1);
    assert_eq!(approved[0]["body"]["via"], "policy", "{approved:?}");
    assert!(of_type(&entries, "decision.recorded").is_empty());
    let why = home
        .person(&["policy", "explain", &asked.id, "--json"])
        .expect_code(0)
        .json();
    assert_eq!(why["judgement"]["says"], "nobody");
    assert_eq!(why["spoke"][0]["policy"], "look");
    assert_eq!(why["state"], "succeeded");
    // A form of the same command that the policy does not name is held.
    let (agent, held) = held(&home, &["--", "uname", "-a", "-s"]);
    home.deny(&held, "not now").expect_code(0);
    agent.wait().expect_code(120);
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn new_rules_that_ask_for_more_end_what_waits_and_both_sides_read_why() {
    let policy = |tier: &str| {
        format!(
            "@id(\"run\") @review(\"1 of anyone\") @tier(\"{tier}\") @self_attest(\"allow\")\n\
             permit (principal, action == Action::\"exec.run\", resource);\n"
        )
    };
    let mut home = Home::with_policy("", &policy("medium"));
    let (agent, asked) = held(&home, &["--", "true"]);
    // The same rules again, written otherwise: nothing happens to it.
    home.write_policy(&format!("// the same\n{}", policy("medium")));
    home.daemon().signal(Signal::HUP);
    wait_until("the first change", || {
        of_type(&log(&home), "rules.changed").len() == 1
    });
    assert_eq!(home.look(&asked.id).state, "pending");
    home.write_policy(&policy("high"));
    home.daemon().signal(Signal::HUP);
    let ended = agent.wait().expect_code(120);
    let why = "tier high instead of medium";
    assert!(ended.stderr.contains(why), "{ended:?}");
    assert_eq!(home.look(&asked.id).state, "invalidated");
    let shown = show(&home, &asked);
    assert!(shown["request"]["reason"].as_str().unwrap().contains(why));
    let entries = log(&home);
    let invalidated = of_type(&entries, "request.invalidated");
    assert!(invalidated[0]["body"].to_string().contains(why));
    home.person(&["verify"]).expect_code(0);
}

#[test]
fn policies_are_checked_tested_and_held_against_the_past_before_they_take_force() {
    let home = Home::with_policy("", "");
    request(&home, "orders");
    let next = home.make_dir("next");
    fs::write(next.join("next.cedar"), MIXED).unwrap();
    fs::write(
        next.join("next.test.toml"),
        "[[case]]\nname = \"no exports\"\n\
         request = { kind = \"data.export\", target = \"bucket/x\" }\n\
         expect = { outcome = \"refused\", because = \"data office\" }\n",
    )
    .unwrap();
    let next = format!("--policy={}", next.display());
    let policy = |arguments: &[&str]| {
        let mut command = home.person_command(&["policy"]);
        run(command.args(arguments))
    };
    let checked = policy(&["check", &next]).expect_code(0);
    assert!(checked.stdout.contains("3 policies load"), "{checked:?}");
    let tested = policy(&["test", &next]).expect_code(0);
    assert_eq!(tested.stdout, "1 passed, 0 failed\n");
    let replayed = policy(&["replay", &next, "--json"]).expect_code(0).json();
    assert_eq!(replayed["requests"], 1, "{replayed}");
    assert_eq!(replayed["changes"][0]["becomes"], "refused", "{replayed}");
    let later = policy(&["replay", &next, "--since=2200-01-01", "--json"]);
    assert_eq!(later.expect_code(0).json()["requests"], 0);
    // Nothing of it took force.
    assert!(of_type(&log(&home), "rules.changed").is_empty());

    fs::write(
        home.path().join("policy/wrong.cedar"),
        "@id(\"a\")\npermit (principal, action, resource);\n",
    )
    .unwrap();
    let wrong = policy(&["check"]).expect_code(1);
    let place = "error: policy/wrong.cedar:1:1: policy `a`";
    assert!(wrong.stdout.starts_with(place), "{wrong:?}");
    policy(&["replay"]).expect_code(1);
    policy(&["test"]).expect_code(1);
}
