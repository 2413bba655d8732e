//! Who could approve a request: what `doctor` and `explain` say, and when nobody can.
//!
//! The machine decides who may; this only foretells it, from the same words (R3, R4, R5).

use std::collections::BTreeSet;

use countersign_shared::explanation::Approvers;
use countersign_shared::home::Mode;
use countersign_shared::machine::Side;
use countersign_shared::requirement::{Member, Requirement, Tier};

use crate::load::People;

/// Tells who could approve a request under `requirement`, of the people who have keys that are good
/// enough, when `side` stands behind it.
pub fn who_can_approve(requirement: &Requirement, people: &People<'_>, side: &Side) -> Approvers {
    let able: Vec<&Member> = people
        .members
        .iter()
        .filter(|member| people.can_reach(requirement.assurance, member))
        .collect();
    let (behind, free): (Vec<&Member>, Vec<&Member>) =
        able.iter().partition(|member| side.includes(member));
    let seated = |present: &[&Member]| -> BTreeSet<String> {
        let asks = |member: &Member| {
            let mut seats = requirement.reviews.iter().flat_map(|it| it.seats.seats());
            seats.any(|seat| member.belongs_to(&seat.group))
        };
        let all = present.iter().filter(|member| asks(member));
        all.map(|member| member.name.clone()).collect()
    };
    let missing = |present: &[&Member]| -> Vec<String> {
        let mut groups: Vec<String> = requirement
            .reviews
            .iter()
            .flat_map(|review| review.seats.unfilled(present))
            .map(str::to_owned)
            .collect();
        groups.sort();
        groups.dedup();
        groups
    };
    let exempt = people.mode == Mode::User
        && requirement.tier <= Tier::High
        && requirement.asks_one_seat()
        && requirement.self_attest;
    let lacking = missing(&free);
    let alone = !lacking.is_empty() && exempt && missing(&behind).is_empty();
    let counted = if exempt { able } else { free };
    Approvers {
        people: seated(&counted).into_iter().collect(),
        // Whoever may confirm alone is among those who could.
        excluded: if exempt {
            Vec::new()
        } else {
            seated(&behind).into_iter().collect()
        },
        self_attested: alone,
        missing: if alone { Vec::new() } else { lacking },
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::requirement::Assurance;

    use super::*;
    use crate::fixtures::{default_requirement, member, members, people};

    fn side(uid: u32) -> Side {
        Side {
            uid,
            launchers: BTreeSet::new(),
            owner: None,
        }
    }

    fn asking(review: &str) -> Requirement {
        let mut requirement = default_requirement();
        requirement.reviews[0].seats = review.parse().unwrap();
        requirement
    }

    #[test]
    fn who_stands_behind_a_request_is_not_among_those_who_could_approve() {
        let approvers = who_can_approve(
            &asking("1 of sre"),
            &people(Mode::System, &members()),
            &side(2001),
        );
        assert_eq!(approvers.people, ["bo"]);
        assert_eq!(
            approvers.sentence(),
            "bo could approve; ana stands behind the request and may not"
        );
        let approvers = who_can_approve(
            &asking("2 of sre"),
            &people(Mode::System, &members()),
            &side(2001),
        );
        assert!(!approvers.can_satisfy());
        assert!(
            approvers
                .sentence()
                .starts_with("nobody could approve this now")
        );
    }

    #[test]
    fn one_person_confirms_alone_in_user_mode_only() {
        let me = [member("me", 1000, &[])];
        let mut requirement = asking("1 of anyone");
        requirement.self_attest = true;
        let user = who_can_approve(&requirement, &people(Mode::User, &me), &side(1000));
        assert!(user.self_attested && user.can_satisfy());
        let system = who_can_approve(&requirement, &people(Mode::System, &me), &side(1000));
        assert!(!system.can_satisfy());
        requirement.tier = Tier::Critical;
        assert!(
            !who_can_approve(&requirement, &people(Mode::User, &me), &side(1000)).can_satisfy()
        );
    }

    #[test]
    fn who_has_no_key_cannot_approve() {
        let mut members = members();
        members[2].keys.clear();
        let approvers = who_can_approve(
            &asking("1 of data-stewards"),
            &people(Mode::System, &members),
            &side(1),
        );
        assert_eq!(approvers.missing, ["data-stewards"]);
    }

    #[test]
    fn who_has_no_security_key_cannot_prove_a_touch() {
        let members = members();
        let mut requirement = asking("1 of sre");
        requirement.assurance = Assurance::Touch;
        let none = who_can_approve(&requirement, &people(Mode::System, &members), &side(1));
        assert_eq!(none.missing, ["sre"]);
        let touching = BTreeSet::from(["bo".to_owned()]);
        let people = People {
            touching: &touching,
            ..people(Mode::System, &members)
        };
        assert_eq!(
            who_can_approve(&requirement, &people, &side(1)).people,
            ["bo"]
        );
    }
}
