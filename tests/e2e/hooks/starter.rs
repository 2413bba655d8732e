//! What the policy one begins with makes of the calls of a client.

use std::fs;

use countersign_tests::Home;
use serde_json::{Value, json};

use super::{Call, Heard, answer, denied, start};
use crate::asking::show;

fn call(home: &Home, tool: &str, input: &Value) -> Value {
    let mut payload = Call::new("claude", "").before(home);
    payload["tool_name"] = json!(tool);
    payload["tool_input"] = input.clone();
    payload
}

#[test]
fn with_the_policy_one_begins_with_work_in_the_workspace_asks_nobody() {
    let mut home = Home::begun();
    home.start();
    let file = home.root().join("notes.md");
    fs::write(&file, "one\n").unwrap();
    for (tool, input) in [
        ("Read", json!({"file_path": file})),
        ("Grep", json!({"pattern": "one"})),
        ("TodoWrite", json!({"todos": []})),
        (
            "Edit",
            json!({"file_path": file, "old_string": "one", "new_string": "two"}),
        ),
    ] {
        let hook = start(&home, "claude", &[], &call(&home, tool, &input));
        assert_eq!(answer("claude", hook), Heard::Allowed, "{tool}");
    }
    for asked in home.list() {
        assert_eq!(asked["state"], "redeemed", "{asked}");
    }
    assert_eq!(home.list().len(), 4);
    let log = home.person(&["log", "--json"]).expect_code(0).stdout;
    assert!(!log.contains("decision.recorded"), "{log}");
}

#[test]
fn with_the_policy_one_begins_with_what_leads_out_or_destroys_waits_for_a_person() {
    for (tool, input, tier, why) in [
        (
            "Bash",
            json!({"command": "rm -rf build"}),
            "high",
            "nobody has a copy",
        ),
        (
            "Bash",
            json!({"command": "make"}),
            "medium",
            "whatever its user can",
        ),
        (
            "Read",
            json!({"file_path": "/etc/hostname"}),
            "medium",
            "outside the workspace",
        ),
        (
            "Grep",
            json!({"pattern": "x", "path": "/etc"}),
            "medium",
            "outside the workspace",
        ),
        (
            "Grep",
            json!({"pattern": "TOKEN", "glob": "**/.env*"}),
            "high",
            "a secret",
        ),
        (
            "Write",
            json!({"file_path": ".git/hooks/pre-commit", "content": "x"}),
            "medium",
            "run without asking",
        ),
    ] {
        // Who is denied three times within the hour is asked about everything, at tier high.
        let mut home = Home::begun();
        home.start();
        let hook = start(&home, "claude", &[], &call(&home, tool, &input));
        let asked = home.wait_for_state("pending");
        let shown = show(&home, &asked);
        assert_eq!(shown["requirement"]["tier"], tier, "{tool} {input}");
        let said = shown["requirement"]["why"].to_string();
        assert!(said.contains(why), "{tool} {input}: {said}");
        home.deny(&asked, "not now").expect_code(0);
        assert!(denied("claude", hook).contains("not now"), "{tool}");
    }
}

#[test]
fn with_the_policy_one_begins_with_the_rules_are_out_of_reach() {
    let mut home = Home::begun();
    home.start();
    let input = json!({"file_path": "/etc/countersign/policy/a.cedar", "content": "x"});
    let hook = start(&home, "claude", &[], &call(&home, "Write", &input));
    let reason = denied("claude", hook);
    assert!(reason.contains("the rules it works under"), "{reason}");
    assert_eq!(home.list()[0]["state"], "refused");
}
