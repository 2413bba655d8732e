use super::*;
use crate::fixtures::load;

const POLICIES: &str = "@id(\"reads\") @review(\"nobody\") permit (principal, action in [Action::\"file.read\"], resource) when { context.inside_workspace };
@id(\"drops\") @review(\"1 of dba and 1 of sre\") @tier(\"high\") permit (principal, action == Action::\"sql.exec\", resource) when { context.statements.contains(\"drop\") };
@id(\"no\") @because(\"never on mondays\") forbid (principal, action, resource) when { context.time.weekday == \"monday\" };";

const CASES: &str = r#"
[around]
workspace = "/w"

[[case]]
name = "a file of the workspace"
request = { kind = "file.read", target = "file/a", arguments = { path = "src/a" } }
expect = { outcome = "nobody", policies = ["reads"] }

[[case]]
name = "a link out of it"
request = { kind = "file.read", target = "file/a", arguments = { path = "src/a" } }
around = { resolved = { "/w/src/a" = "/etc/shadow" } }
expect = { outcome = "held", seats = ["1 of anyone"], tier = "medium" }

[[case]]
name = "a table"
request = { kind = "sql.exec", target = "database/scratch", arguments = { statement = "DROP TABLE t" } }
expect = { outcome = "held", seats = ["1 of sre and 1 of dba"], tier = "high", why = "cannot be undone" }

[[case]]
name = "on a monday"
request = { kind = "exec.run", target = "host/x", command = ["/bin/ls"] }
around = { time = "2026-11-23T10:00:00.000Z" }
expect = { outcome = "refused", because = "mondays" }
"#;

#[test]
fn cases_pass_and_a_failing_one_shows_what_differs() {
    let policies = load(POLICIES).unwrap();
    let cases = parse("cases.toml", CASES).unwrap();
    let tested = run(&policies, &cases);
    assert_eq!(tested.to_string(), "4 passed, 0 failed");
    let wrong = CASES
        .replace("\"nobody\"", "\"held\"")
        .replace("\"1 of sre and 1 of dba\"", "\"2 of sre\"");
    let cases = parse("cases.toml", &wrong).unwrap();
    assert_eq!(
        run(&policies, &cases).to_string(),
        "cases.toml:5:1: a file of the workspace\n\
         \x20 outcome    - held\n\
         \x20            + nobody\n\
         \x20 spoke: reads\n\
         cases.toml:16:1: a table\n\
         \x20 seats      - 2 of sre\n\
         \x20            + 1 of dba and 1 of sre\n\
         \x20 spoke: drops\n\
         2 passed, 2 failed"
    );
}

#[test]
fn a_case_that_is_none_is_refused_with_its_place() {
    for (text, expected) in [
        ("[[case]]\nname = \"x\"\n", "c:1:1: missing field"),
        (
            "[[case]]\nname = \"x\"\nrequest = {}\nexpect = { outcome = \"held\" }",
            "c:3:11: a request needs a `kind`",
        ),
        (
            "[[case]]\nname = \"x\"\nrequest = { kind = \"a.b\", target = \"x\" }\nexpect = { outcome = \"held\" }",
            "c:3:11: a request needs a `target`",
        ),
        (
            "[[case]]\nname = \"x\"\nrequest = { kind = \"a.b\", target = \"x/y\" }\nexpect = { outcome = \"ok\" }",
            "c:4:10: an `outcome`",
        ),
        (
            "[[case]]\nname = \"x\"\nrequest = { kind = \"a.b\", target = \"x/y\" }\nexpect = { outcome = \"held\", tiers = 1 }",
            "c:4:30: unknown field `tiers`",
        ),
    ] {
        let errors = parse("c", text).unwrap_err();
        assert!(errors[0].to_string().starts_with(expected), "{}", errors[0]);
    }
}

#[test]
fn an_error_of_a_policy_fails_a_case_that_expects_the_refusal() {
    let text = "@id(\"f\") forbid (principal, action, resource) when { context.masked - 9223372036854775807 - 2 < 0 };";
    let case = "[[case]]\nname = \"x\"\nrequest = { kind = \"a.b\", target = \"x/y\" }\nexpect = { outcome = \"refused\" }";
    let tested = run(&load(text).unwrap(), &parse("c", case).unwrap());
    assert_eq!(tested.failed(), 1);
    assert_eq!(tested.verdicts[0].differences[0].what, "error");
}
