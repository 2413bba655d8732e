//! What a pending request still waits for, and who could fill that: foretold for people, from the
//! same words the request machine decides by (R3, R4, R5). Nothing here permits anything.

use countersign_shared::machine::{Request, State};
use countersign_shared::requirement::Member;

/// How a request could still be approved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outlook {
    /// The seats that are still empty, such as `1 of dba and 1 of sre`; empty when none is, or when
    /// the request is not pending.
    pub(crate) waits_for: String,
    /// Those in the roster whose approval would fill one of them, sorted by name.
    pub(crate) could_approve: Vec<String>,
    /// The groups of those seats that nobody is left for, even if everybody who may approves.
    pub(crate) nobody_for: Vec<String>,
}

impl Outlook {
    /// Looks at a request under the people of today.
    pub(crate) fn of(request: &Request, members: &[Member]) -> Self {
        if request.state() != State::Pending {
            return Self::default();
        }
        let present = request.approvers();
        let empty = |people: &[&Member]| empty_seats(request, people);
        let left = empty(&present);
        let has_approved = |member: &Member| present.iter().any(|it| it.name == member.name);
        let free: Vec<&Member> = members
            .iter()
            .filter(|member| !member.keys.is_empty() && !has_approved(member))
            .filter(|member| request.why_not_eligible(member).is_none())
            .collect();
        let with = |more: &[&Member]| empty(&[present.as_slice(), more].concat());
        let mut could_approve: Vec<String> = free
            .iter()
            .filter(|member| with(&[member]).len() < left.len())
            .map(|member| member.name.clone())
            .collect();
        could_approve.sort();
        let mut nobody_for: Vec<String> = with(&free).into_iter().map(|(_, group)| group).collect();
        nobody_for.sort();
        nobody_for.dedup();
        Self {
            waits_for: in_words(&left),
            could_approve,
            nobody_for,
        }
    }
}

/// The seats that these people leave empty, each with the number of the review that asks for it.
fn empty_seats(request: &Request, people: &[&Member]) -> Vec<(usize, String)> {
    let reviews = request.requirement().reviews.iter().enumerate();
    reviews
        .flat_map(|(at, review)| {
            let groups = review.seats.unfilled(people);
            groups.into_iter().map(move |group| (at, group.to_owned()))
        })
        .collect()
}

/// One approval may serve several reviews, so of each group the review that lacks most counts.
fn in_words(empty: &[(usize, String)]) -> String {
    let mut most = std::collections::BTreeMap::<&str, usize>::new();
    for (at, group) in empty {
        let count = empty.iter().filter(|it| it.0 == *at && it.1 == *group);
        let most = most.entry(group).or_default();
        *most = (*most).max(count.count());
    }
    let parts: Vec<String> = most
        .iter()
        .map(|(group, count)| format!("{count} of {group}"))
        .collect();
    parts.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn one_approval_that_serves_two_reviews_is_asked_for_once() {
        let empty = |seats: &[(usize, &str)]| {
            let seats: Vec<_> = seats
                .iter()
                .map(|(at, group)| (*at, (*group).to_owned()))
                .collect();
            in_words(&seats)
        };
        assert_eq!(empty(&[]), "");
        assert_eq!(
            empty(&[(0, "dba"), (1, "dba"), (1, "dba"), (1, "sre")]),
            "2 of dba and 1 of sre"
        );
    }
}
