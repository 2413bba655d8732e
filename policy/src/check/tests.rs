use super::*;
use crate::fixtures::load;

fn findings(text: &str) -> Vec<String> {
    load(text)
        .unwrap()
        .findings()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[track_caller]
fn odd(text: &str, expected: &str) {
    let all = findings(text);
    assert!(all.iter().any(|it| it.contains(expected)), "{all:#?}");
}

#[test]
fn policies_with_nothing_odd_have_no_findings() {
    let text = "@id(\"a\") @review(\"nobody\") permit (principal, action == Action::\"file.read\", resource) when { context.inside_workspace };\n\
                @id(\"b\") @because(\"no\") forbid (principal, action, resource) when { resource.environment == \"prod\" };";
    assert_eq!(findings(text), Vec::<String>::new());
}

#[test]
fn a_policy_that_never_matches_is_found() {
    odd(
        "@id(\"a\") @review(\"1 of sre\") permit (principal, action, resource) when { false && context.masked == 1 };",
        "p.cedar:1:1: policy `a`: policy is impossible",
    );
    odd(
        "@id(\"a\") @review(\"1 of sre\") permit (principal, action, resource in Target::\"cluster/nowhere\");",
        "`cluster/nowhere` is not in the catalogue",
    );
}

#[test]
fn a_group_of_kinds_that_is_taken_for_a_kind_is_said_once_and_how_to_write_it() {
    let text = "@id(\"a\") @review(\"nobody\") permit (principal, action == Action::\"reading\", resource);";
    let group = "Action::\"reading\"";
    assert_eq!(
        findings(text),
        [format!(
            "p.cedar:1:1: policy `a`: it never matches: `{group}` is a group of kinds; write `action in {group}`"
        )]
    );
}

#[test]
fn a_permit_that_lets_any_program_run_unasked_is_found() {
    let permit = |ask: &str, action: &str, condition: &str| {
        format!(
            "@id(\"a\") @review(\"{ask}\") permit (principal, {action}, resource) when {{ {condition} }};"
        )
    };
    let run = "action == Action::\"exec.run\"";
    let inside = "context.inside_workspace";
    let expected = "policy `a`: it asks nobody, whatever the program is: a shell";
    odd(&permit("nobody", run, inside), expected);
    odd(
        &permit("nobody", "action", "resource.kind == \"profile\""),
        expected,
    );
    for (ask, action, condition) in [
        ("1 of sre", run, inside),
        ("nobody", "action == Action::\"file.read\"", inside),
        (
            "nobody",
            run,
            "context.inside_workspace && !context.interpreter",
        ),
        ("nobody", run, "context.program_name == \"make\""),
    ] {
        let all = findings(&permit(ask, action, condition));
        assert!(!all.iter().any(|it| it.contains(expected)), "{all:#?}");
    }
}

#[test]
fn a_policy_that_another_one_hides_is_found() {
    let narrow = "@id(\"n\") @review(\"nobody\") permit (principal, action == Action::\"file.read\", resource) when { context.inside_workspace };\n";
    odd(
        &format!(
            "{narrow}@id(\"f\") @because(\"x\") forbid (principal, action in Action::\"reading\", resource);"
        ),
        "policy `n`: it is hidden: policy `f` forbids all of it",
    );
    odd(
        &format!("{narrow}@id(\"p\") @review(\"1 of sre\") permit (principal, action, resource);"),
        "policy `n`: it is hidden: policy `p` asks people about all of it",
    );
    odd(
        "@id(\"x\") @review(\"1 of sre\") permit (principal, action, resource in Target::\"database/orders\");\n\
         @id(\"y\") @review(\"1 of sre\") permit (principal, action, resource in Target::\"cluster/eu-1\");",
        "policy `x`: policy `y` says the same of more",
    );
    let other = format!(
        "{narrow}@id(\"f\") @because(\"x\") forbid (principal, action in Action::\"writing\", resource);"
    );
    assert_eq!(findings(&other), Vec::<String>::new());
}

#[test]
fn what_has_no_effect_is_found() {
    odd(
        "@id(\"a\") @review(\"1 of sre\") @tier(\"low\") permit (principal, action, resource);",
        "its tier is below that of the default requirement",
    );
    odd(
        "@id(\"a\") @review(\"1 of sre\") @run_by(\"daemon\") permit (principal, action == Action::\"file.write\", resource);",
        "the daemon cannot run `file.write`",
    );
    odd(
        "@id(\"a\") forbid (principal, action, resource);",
        "add `@because",
    );
}

#[test]
fn a_check_that_fails_tells_the_errors_and_nothing_else() {
    let errors = load("permit (principal, action, resource);").unwrap_err();
    let checked = Checked {
        errors,
        findings: Vec::new(),
        policies: 0,
    };
    let text = checked.to_string();
    assert!(
        text.starts_with("error: p.cedar:1:1: every policy"),
        "{text}"
    );
    assert!(
        text.ends_with("the policies do not load: 2 errors"),
        "{text}"
    );
}
