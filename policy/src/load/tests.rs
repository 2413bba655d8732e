use super::*;
use crate::fixtures::{load, load_for, member, members};

#[track_caller]
fn wrong(text: &str, expected: &str) {
    let errors = load(text).unwrap_err();
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(
        all.iter().any(|error| error.starts_with(expected)),
        "{all:#?}\nfor\n{text}"
    );
}

#[test]
fn every_mistake_names_file_line_column_and_policy() {
    for (text, expected) in [
        (
            "permit (principal, action, resource)",
            "p.cedar:1:37: unexpected end of input",
        ),
        (
            "@id(\"a\") @review(\"1 of sre\")\npermit (principal, action, resource) whenn { true };",
            "p.cedar:2:38:",
        ),
        (
            "@review(\"1 of sre\")\npermit (principal, action, resource);",
            "p.cedar:1:1: every policy",
        ),
        (
            "@id(\"A b\") @review(\"1 of sre\")\npermit (principal, action, resource);",
            "p.cedar:1:5: policy `A b`: `A b` cannot name a policy",
        ),
        (
            "// x\n@id(\"a\")\n  @reveiw(\"1 of sre\")\npermit (principal, action, resource);",
            "p.cedar:3:11: policy `a`: there is no annotation `@reveiw`",
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource);",
            "p.cedar:1:1: policy `a`: this permit does not say",
        ),
        (
            "@id(\"a\") @tier(\"high\")\nforbid (principal, action, resource);",
            "p.cedar:1:16: policy `a`: `@tier` says nothing on a forbid",
        ),
        (
            "@id(\"a\") @review(\"nobody\") @tier(\"high\")\npermit (principal, action, resource);",
            "p.cedar:1:34: policy `a`: tier high without",
        ),
        (
            "@id(\"a\") @review(\"1 of security\")\npermit (principal, action, resource);",
            "p.cedar:1:18: policy `a`: nobody of the roster is in the group `security`",
        ),
        (
            "@id(\"a\") @review(\"2 of dba\")\npermit (principal, action, resource);",
            "p.cedar:1:18: policy `a`: `2 of dba` can never be satisfied: the roster has too few",
        ),
        (
            "@id(\"a\") @review(\"1 of dba and 2 of sre\")\npermit (principal, action, resource);",
            "p.cedar:1:18: policy `a`: `1 of dba and 2 of sre` can never",
        ),
        (
            "@id(\"a\") @review(\"1 of sre\") @escalate(\"at 50% to oncall\")\n\
             permit (principal, action, resource);",
            "p.cedar:1:18: policy `a`: nobody of the roster is in the group `oncall`",
        ),
        (
            "@id(\"a\") @review(\"nobody\")\npermit (principal, action, resource)\n\
             when { context.stated.agent == \"good\" };",
            "p.cedar:3:16: policy `a`: a permit that asks nobody cannot rest",
        ),
    ] {
        wrong(text, expected);
    }
}

#[test]
fn what_does_not_fit_the_schema_does_not_load() {
    let permit = |scope: &str, condition: &str| {
        format!("@id(\"a\") @review(\"1 of sre\")\npermit ({scope}) when {{ {condition} }};")
    };
    for (scope, condition) in [
        (
            "principal, action, resource",
            "context.statements.contains(\"drop\")",
        ),
        (
            "principal, action == Action::\"sql.exec\", resource",
            "context.statments.isEmpty()",
        ),
        (
            "principal, action == Action::\"sql.drop\", resource",
            "true",
        ),
        ("principal, action, resource", "resource.environment == 1"),
        ("principal, action, resource", "context.masked > \"1\""),
        ("principal == User::\"x\", action, resource", "true"),
        (
            "principal, action, resource",
            "principal.program == \"/bin/sh\"",
        ),
    ] {
        let errors = load(&permit(scope, condition)).unwrap_err();
        assert!(
            errors
                .iter()
                .any(|it| it.place.as_ref().is_some_and(|at| at.line == 2)),
            "{errors:#?}"
        );
    }
    let fits = permit(
        "principal is Agent, action == Action::\"ticket.close\", resource",
        "principal.program == \"/bin/sh\" && context.kind == \"ticket.close\"",
    );
    load(&fits).unwrap();
}

#[test]
fn all_mistakes_of_all_files_are_told() {
    let text = "@id(\"a\") permit (principal, action, resource);\n\
                @id(\"a\") @review(\"x\") permit (principal, action, resource);\n\
                permit (principal;\n\
                @id(\"b\") forbid (principal, action, resource) when { context.nothing };";
    let errors = load(text).unwrap_err();
    let lines: BTreeSet<usize> = errors
        .iter()
        .filter_map(|it| it.place.as_ref())
        .map(|it| it.line)
        .collect();
    assert_eq!(lines, BTreeSet::from([1, 2, 3, 4]), "{errors:#?}");
}

#[test]
fn two_policies_of_one_name_do_not_load() {
    let one = "@id(\"a\") @review(\"1 of sre\") permit (principal, action, resource);\n";
    wrong(
        &one.repeat(2),
        "p.cedar:2:5: policy `a`: there is a policy of this name at p.cedar:1:1",
    );
}

#[test]
fn a_template_is_no_policy() {
    wrong(
        "@id(\"a\") permit (principal == ?principal, action, resource);",
        "p.cedar:1:31: ",
    );
}

#[test]
fn in_user_mode_the_one_person_there_is_must_be_able_to_serve() {
    let me = [member("me", 1000, &["sre"])];
    let requesters = BTreeSet::from([1000]);
    let text = |more: &str| {
        format!("@id(\"a\") @review(\"1 of sre\") {more} permit (principal, action, resource);")
    };
    let load = |text: &str| load_for(text, Mode::User, &me, Some(&requesters), Lack::Refuse);
    let errors = load(&text("")).unwrap_err();
    assert!(
        errors[0]
            .to_string()
            .contains("only the people behind the request"),
        "{errors:?}"
    );
    load(&text("@self_attest(\"allow\")")).unwrap();
}

#[test]
fn a_permit_for_one_requester_does_not_count_the_person_behind_it() {
    let text = "@id(\"a\") @review(\"1 of dba\")\n\
                permit (principal == Person::\"ana\", action, resource);";
    wrong(
        text,
        "p.cedar:1:18: policy `a`: `1 of dba` can never be satisfied: only the people",
    );
    load(&text.replace("ana", "bo")).unwrap();
}

#[test]
fn a_lack_of_people_is_reported_where_it_may_not_refuse() {
    let text = "@id(\"a\") @review(\"1 of gone\") permit (principal, action, resource);";
    let policies = load_for(text, Mode::System, &members(), None, Lack::Report).unwrap();
    assert_eq!(policies.lacks().len(), 1);
    assert!(policies.lacks()[0].problem.is_lack());
}

#[test]
fn the_digest_is_over_every_text_and_over_nothing_that_is_not_one() {
    let text = "@id(\"a\") @review(\"1 of sre\") permit (principal, action, resource);";
    let one = load(text).unwrap().digest();
    assert_eq!(one, load(text).unwrap().digest());
    assert_ne!(one, load(&format!("{text}\n// changed")).unwrap().digest());
}

#[test]
fn every_kind_has_all_that_is_common() {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    for kind in countersign_shared::action::KINDS {
        assert!(
            schema
                .actions()
                .any(|it| it.to_string() == format!("Action::\"{kind}\"")),
            "{kind}"
        );
        let text = format!(
            "@id(\"a\") @review(\"1 of sre\") permit (principal, action == Action::\"{kind}\", resource) \
             when {{ context.kind == \"a\" && context.reversibility == \"a\" && context.findings.isEmpty() \
             && context.hidden_text && context.opaque_contents && context.masked == 0 \
             && context.arguments.isEmpty() && context.data.names.isEmpty() \
             && context.data.classifications.isEmpty() && context.time.hour == 1 \
             && context.recent.denials == 0 && context.identity == \"pidfd\" \
             && context.stated.reason == \"\" }};"
        );
        load(&text).unwrap_or_else(|errors| panic!("{kind}: {errors:#?}"));
    }
}

#[test]
fn a_policy_that_asks_for_a_touch_of_more_people_than_have_a_security_key_does_not_load() {
    // Of the people here, only ana has one, and is in `sre` and `dba`.
    let asks = |review: &str, assurance: &str| {
        load(&format!(
            "@id(\"a\") @review(\"{review}\") @assurance(\"{assurance}\")\npermit(principal, action, resource);"
        ))
    };
    assert!(asks("1 of sre", "touch").is_ok());
    assert!(asks("2 of sre", "passphrase").is_ok());
    for (review, assurance) in [("2 of sre", "touch"), ("1 of data-stewards", "pin")] {
        let errors = asks(review, assurance).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].problem.is_lack());
        let said = errors[0].to_string();
        assert!(said.contains("takes a security key"), "{said}");
    }
}

#[test]
fn a_policy_that_does_not_end_is_named_where_the_next_one_begins() {
    let open = "@id(\"a\") @review(\"nobody\") permit (principal, action, resource)\n";
    for (next, help) in [
        ("@id(\"b\") forbid (principal, action, resource);", true),
        ("forbid (principal, action, resource);", true),
        ("unlesss { false };", false),
    ] {
        let errors = load(&format!("{open}{next}")).unwrap_err();
        let said = errors[0].to_string();
        assert!(said.starts_with("p.cedar:2:"), "{said}");
        let hint = "a policy ends with `;`, and the one before this does not";
        assert_eq!(said.contains(hint), help, "{said}");
    }
}
