//! Permits that ask for people there are not, or who may not serve.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PrincipalConstraint};
use countersign_shared::home::Mode;
use countersign_shared::requirement::{ANYONE, Assurance, Escalation, Member, Review};

use super::{LoadError, Loading, People, Problem, Sources};
use crate::annotations::{Ask, Terms};
use crate::place::Place;

impl Loading {
    /// Finds permits that ask for people there are not.
    pub(super) fn lacks(&self, sources: &Sources<'_>) -> Vec<LoadError> {
        let mut lacks = Vec::new();
        for policy in &self.policies {
            let id = policy.id().to_string();
            let Some(terms) = self.rules.get(&id).and_then(|rule| rule.terms.as_ref()) else {
                continue;
            };
            let place = self
                .sources
                .get(&id)
                .map(|(file, text, at)| Place::of(file, text, *at));
            let mut lack = |problem: Problem| {
                lacks.push(LoadError {
                    place: place.clone(),
                    policy: Some(id.clone()),
                    problem,
                });
            };
            let asked = match &terms.ask {
                Ask::Nobody => Vec::new(),
                Ask::People(review) => review.seats().iter().map(|seat| &seat.group).collect(),
            };
            let called = terms.escalate.iter().map(Escalation::to);
            let asked = asked.into_iter().map(String::as_str);
            let mut groups: Vec<&str> = asked.chain(called).collect();
            groups.sort_unstable();
            groups.dedup();
            let unknown: Vec<&&str> = groups
                .iter()
                .filter(|group| !has_group(sources.people.members, group))
                .collect();
            for group in &unknown {
                lack(Problem::UnknownGroup {
                    group: (**group).to_owned(),
                });
            }
            let assurance = terms.assurance.unwrap_or(sources.default.assurance);
            let assurance = assurance.max(sources.default.assurance);
            if let Ask::People(review) = &terms.ask
                && unknown.is_empty()
                && let Some(missing) = unsatisfiable(review, terms, policy, &sources.people)
                    .or_else(|| out_of_reach(review, assurance, &sources.people))
            {
                lack(Problem::Unsatisfiable {
                    review: review.to_string(),
                    missing,
                });
            }
        }
        lacks
    }
}

fn has_group(members: &[Member], group: &str) -> bool {
    group == ANYONE || members.iter().any(|member| member.groups.contains(group))
}

/// Tells why a review can be satisfied for none of the requesters that could meet the policy.
fn unsatisfiable(
    review: &Review,
    terms: &Terms,
    policy: &Policy,
    people: &People<'_>,
) -> Option<String> {
    let everyone: Vec<&Member> = people.members.iter().collect();
    let missing = |present: &[&Member]| {
        let unfilled = review.unfilled(present);
        (!unfilled.is_empty()).then(|| unfilled.join(" and "))
    };
    if let Some(missing) = missing(&everyone) {
        return Some(format!("the roster has too few people for {missing}"));
    }
    // Who asks may not approve, so the people behind the only possible requesters do not count.
    let only = match policy.principal_constraint() {
        PrincipalConstraint::Eq(uid) => uid_of(&uid.to_string(), people.members),
        PrincipalConstraint::Any
        | PrincipalConstraint::In(_)
        | PrincipalConstraint::Is(_)
        | PrincipalConstraint::IsIn(..) => None,
    };
    let requesters: Option<BTreeSet<u32>> = match (only, people.requesters) {
        (Some(uid), _) => Some(BTreeSet::from([uid])),
        (None, Some(all)) => Some(all.clone()),
        (None, None) => None,
    };
    let requesters = requesters?;
    let exempt = people.mode == Mode::User && terms.self_attest && review.people() == 1;
    let somebody = requesters.iter().any(|uid| {
        let rest: Vec<&Member> = everyone
            .iter()
            .copied()
            .filter(|member| exempt || member.uid != *uid)
            .collect();
        missing(&rest).is_none()
    });
    (!somebody).then(|| {
        "only the people behind the request are left, and they may not approve it; in user mode \
         `@self_attest(\"allow\")` lets one person confirm"
            .to_owned()
    })
}

/// Tells why too few people could decide with that assurance.
fn out_of_reach(review: &Review, assurance: Assurance, people: &People<'_>) -> Option<String> {
    if assurance < Assurance::Touch {
        return None;
    }
    let able: Vec<&Member> = people
        .members
        .iter()
        .filter(|member| people.can_reach(assurance, member))
        .collect();
    let unfilled = review.unfilled(&able);
    (!unfilled.is_empty()).then(|| {
        format!(
            "`{assurance}` takes a security key (`sk-…`), which too few people in the roster have for {}",
            unfilled.join(" and ")
        )
    })
}

/// Returns the account behind a principal a scope names.
fn uid_of(entity: &str, members: &[Member]) -> Option<u32> {
    let (kind, quoted) = entity.split_once("::")?;
    let name = quoted.trim_matches('"');
    match kind {
        "Person" => members
            .iter()
            .find(|member| member.name == name)
            .map(|member| member.uid),
        "Agent" => name.strip_prefix("uid:")?.split(' ').next()?.parse().ok(),
        _ => None,
    }
}
