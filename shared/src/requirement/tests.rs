use proptest::prelude::*;

use super::*;

fn member(name: &str, groups: &[&str]) -> Member {
    Member {
        name: name.to_owned(),
        uid: 1,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        keys: BTreeSet::new(),
    }
}

#[test]
fn a_review_rule_is_read_and_written() {
    let review: Review = "2 of sre and  1 of dba".parse().unwrap();
    assert_eq!(review.to_string(), "1 of dba and 2 of sre");
    assert_eq!(review.people(), 3);
}

#[test]
fn a_rule_that_asks_for_nothing_does_not_load() {
    for text in [
        "",
        "0 of sre",
        "17 of sre",
        "-1 of sre",
        "sre",
        "1 sre",
        "1 of",
        "1 of SRE",
        "1 of sre and",
        "1 of sre or 1 of dba",
        "1 of sre and 1 of sre",
        "+1 of sre",
    ] {
        assert!(text.parse::<Review>().is_err(), "`{text}` was read");
    }
}

#[test]
fn one_person_in_both_groups_fills_one_seat() {
    let review: Review = "1 of dba and 1 of sre".parse().unwrap();
    let both = member("ana", &["dba", "sre"]);
    let sre = member("bo", &["sre"]);
    assert!(!review.is_filled_by(&[&both]));
    assert!(!review.is_filled_by(&[&both, &both]));
    assert!(review.is_filled_by(&[&both, &sre]));
    assert!(review.is_filled_by(&[&sre, &both]));
}

#[test]
fn a_requirement_without_reviews_is_not_satisfied_by_people() {
    let requirement = Requirement {
        reviews: Vec::new(),
        tier: Tier::Low,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 1,
        grant_s: 1,
        max_run_s: 1,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    assert!(!requirement.is_satisfied_by(&[]));
    assert!(!requirement.is_satisfied_by(&[&member("ana", &[])]));
}

fn asking(review: &str, tier: Tier) -> Requirement {
    Requirement {
        reviews: vec![RequiredReview {
            policy: review.replace(' ', "-"),
            seats: review.parse().unwrap(),
        }],
        tier,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 600,
        grant_s: 60,
        max_run_s: 60,
        run_by: RunBy::Agent,
        self_attest: true,
        advice: Vec::new(),
        why: vec![format!("tier {tier}")],
        escalate: Vec::new(),
    }
}

#[test]
fn what_joins_two_requirements_covers_both_and_takes_the_stricter_of_each() {
    let one = asking("1 of sre", Tier::High);
    let other = Requirement {
        ttl_s: 30,
        self_attest: false,
        run_by: RunBy::Daemon,
        reason_required: true,
        ..asking("1 of dba", Tier::Low)
    };
    let both = one.join(&other);
    assert!(both.covers(&one) && both.covers(&other));
    assert!(!one.covers(&other) && !other.covers(&one));
    assert_eq!(
        (both.reviews.len(), both.tier, both.ttl_s),
        (2, Tier::High, 30)
    );
    assert!(!both.self_attest && both.reason_required && both.run_by == RunBy::Daemon);
}

#[test]
fn another_reason_or_another_escalation_is_no_other_obligation() {
    let one = asking("1 of sre", Tier::High);
    let mut other = one.clone();
    other.why = vec!["another word for it".to_owned()];
    other.escalate = vec!["at 50% to sre".parse().unwrap()];
    other.reviews[0].policy = "renamed".to_owned();
    assert!(one.covers(&other));
    other.advice = vec!["look at the plan".to_owned()];
    assert!(!one.covers(&other));
}

/// Tries every assignment of people to seats.
fn some_assignment_fills(seats: &[&str], people: &[&Member]) -> bool {
    let Some((seat, rest)) = seats.split_first() else {
        return true;
    };
    people.iter().enumerate().any(|(index, person)| {
        let others: Vec<&Member> = people
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, person)| *person)
            .collect();
        person.belongs_to(seat) && some_assignment_fills(rest, &others)
    })
}

proptest! {
    #[test]
    fn r3_seats_are_filled_exactly_when_some_assignment_of_distinct_people_fills_them(
        counts in prop::collection::vec(0u32..3, 3),
        groups in prop::collection::vec(prop::collection::vec(any::<bool>(), 3), 0..5),
    ) {
        let names = ["a", "b", ANYONE];
        let text: Vec<String> = counts.iter().zip(names)
            .filter(|(count, _)| **count > 0)
            .map(|(count, group)| format!("{count} of {group}")).collect();
        prop_assume!(!text.is_empty());
        let review: Review = text.join(" and ").parse().unwrap();
        let people: Vec<Member> = groups.iter().enumerate().map(|(index, flags)| {
            let of: Vec<&str> = names.iter().zip(flags)
                .filter(|(name, flag)| **flag && **name != ANYONE)
                .map(|(name, _)| *name).collect();
            member(&format!("p{index}"), &of)
        }).collect();
        let people: Vec<&Member> = people.iter().collect();
        let seats: Vec<&str> = review.seats().iter()
            .flat_map(|seat| std::iter::repeat_n(seat.group.as_str(), seat.count as usize))
            .collect();
        prop_assert_eq!(review.is_filled_by(&people), some_assignment_fills(&seats, &people));
    }
}
