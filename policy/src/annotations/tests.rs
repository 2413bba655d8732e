use super::*;

fn permit(pairs: &[(&'static str, &'static str)]) -> Result<Option<Terms>, Vec<AnnotationError>> {
    read(Effect::Permit, &pairs.iter().copied().collect())
}

#[track_caller]
fn wrong(pairs: &[(&'static str, &'static str)], expected: &str) {
    let errors = permit(pairs).unwrap_err();
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(all.iter().any(|error| error.contains(expected)), "{all:?}");
}

#[test]
fn every_annotation_is_read() {
    let terms = permit(&[
        ("id", "x"),
        ("review", "2 of dba and 1 of security"),
        ("tier", "high"),
        ("ttl", "15m"),
        ("grant", "90s"),
        ("max_run", "1h"),
        ("assurance", "passphrase"),
        ("reason", "required"),
        ("run_by", "daemon"),
        ("escalate", "at 50% to oncall"),
        ("advice", "look at the plan"),
        ("because", "it cannot be undone"),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(terms.tier, Some(Tier::High));
    assert_eq!(
        (terms.ttl_s, terms.grant_s, terms.max_run_s),
        (Some(900), Some(90), Some(3600))
    );
    assert_eq!(terms.assurance, Some(Assurance::Passphrase));
    assert!(terms.reason_required && terms.run_by == Some(RunBy::Daemon));
    let called: Vec<String> = terms.escalate.iter().map(ToString::to_string).collect();
    assert_eq!(called, ["at 50% to oncall"]);
    assert!(matches!(terms.ask, Ask::People(review) if review.people() == 3));
}

#[test]
fn a_permit_that_does_not_say_who_is_asked_does_not_load() {
    wrong(&[("id", "x")], "does not say who is asked");
    wrong(&[("review", "Nobody")], "write `N of GROUP`");
    wrong(&[("review", "")], "write `N of GROUP`");
    wrong(&[("review", "0 of sre")], "write `N of GROUP`");
    wrong(&[("review", "nobody and 1 of sre")], "write `N of GROUP`");
}

#[test]
fn nobody_goes_with_tier_low_and_asks_for_nothing() {
    for tier in ["medium", "high", "critical"] {
        wrong(
            &[("review", "nobody"), ("tier", tier)],
            "without anybody to ask",
        );
    }
    wrong(
        &[("review", "nobody"), ("assurance", "pin")],
        "where nobody is asked",
    );
    wrong(
        &[("review", "nobody"), ("self_attest", "allow")],
        "where nobody is asked",
    );
    assert!(permit(&[("review", "nobody"), ("tier", "low"), ("grant", "1m")]).is_ok());
}

#[test]
fn a_value_outside_its_grammar_is_named() {
    for (name, value, expected) in [
        ("tier", "High", "low, medium, high or critical"),
        ("ttl", "0s", "a span of time"),
        ("ttl", "1500ms", "whole seconds"),
        ("grant", "never", "a span of time"),
        ("assurance", "yubikey", "ssh-agent"),
        ("reason", "yes", "the only value is `required`"),
        ("run_by", "me", "`daemon` or `agent`"),
        ("escalate", "at 101% to sre", "1 to 100"),
        ("escalate", "at 50% to SRE", "a group of the roster"),
        ("escalate", "50% to sre", "at N% to GROUP"),
        ("escalate", "at 50% to sre and", "at N% to GROUP"),
        ("self_attest", "yes", "the only value is `allow`"),
        ("advice", "", "one line"),
        ("because", "a\nb", "one line"),
    ] {
        wrong(&[("review", "1 of sre"), (name, value)], expected);
    }
}

#[test]
fn an_annotation_nobody_knows_or_of_the_other_effect_is_refused() {
    wrong(
        &[("reveiw", "1 of sre")],
        "there is no annotation `@reveiw`",
    );
    for name in OF_PERMITS.iter().filter(|name| !OF_FORBIDS.contains(name)) {
        let errors = read(Effect::Forbid, &BTreeMap::from([(*name, "x")])).unwrap_err();
        assert!(
            errors[0].to_string().contains("on a forbid"),
            "{}",
            errors[0]
        );
    }
}

#[test]
fn a_self_attestation_that_could_never_be_is_refused() {
    wrong(
        &[("review", "2 of sre"), ("self_attest", "allow")],
        "more than one seat",
    );
    let critical = [
        ("review", "1 of sre"),
        ("tier", "critical"),
        ("self_attest", "allow"),
    ];
    wrong(&critical, "the tier is critical");
}

#[test]
fn all_mistakes_of_a_policy_are_told() {
    let errors = permit(&[("tier", "x"), ("ttl", "y"), ("zzz", "")]).unwrap_err();
    assert_eq!(errors.len(), 4, "{errors:?}");
}
