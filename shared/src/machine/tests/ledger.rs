//! Judges a record of attempts by the rules as they are written, from the accepted events alone.
//!
//! Nothing here asks the machine why. Seats are tried in every order, people are counted by name,
//! own sides are compared field by field, time is the time that truly passed.

use std::collections::BTreeSet;

use super::world::{Attempt, World};
use crate::machine::{Decision, Event, Mode, State, Via};
use crate::requirement::{Assurance, Member, Tier};
use crate::statement::Verdict;

/// The arrows of the design, as it draws them.
const ARROWS: &str = "
received      refused approved pending
pending       approved denied expired withdrawn superseded invalidated
approved      redeemed denied revoked lapsed withdrawn invalidated
redeemed      running not-run indeterminate
running       succeeded failed killed indeterminate
indeterminate settled
";

/// Returns where a state may lead.
pub(super) fn arrows_out_of(state: State) -> Vec<&'static str> {
    ARROWS
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|words| words.first() == Some(&state.word()))
        .map(|words| words[1..].to_vec())
        .unwrap_or_default()
}

/// Tells whether a person stands behind the request.
pub(super) fn stands_behind(world: &World, member: &Member) -> bool {
    let side = &world.received.side;
    let account = member.uid;
    account == side.uid
        || side.launchers.iter().any(|launcher| *launcher == account)
        || side.owner == Some(member.name.clone())
}

/// Tells whether the request is one that its own side may attest.
pub(super) fn is_attestable(world: &World) -> bool {
    let one_seat = ["1 of anyone", "1 of sre"];
    let setting = &world.setting;
    setting.mode == Mode::User
        && setting.tier != Tier::Critical
        && setting.self_attest
        && setting.reviews.len() == 1
        && one_seat.contains(&setting.reviews[0])
}

/// Tells whether a person with a key is in a roster.
pub(super) fn lists(roster: &[Member], name: &str, key: &str) -> bool {
    roster
        .iter()
        .any(|member| member.name == name && member.keys.contains(key))
}

/// The accepted decisions of a verdict, with their attempts, in order.
pub(super) fn decisions(
    world: &World,
    verdict: Verdict,
) -> impl Iterator<Item = (&Attempt, &Decision)> {
    world
        .accepted()
        .filter_map(move |attempt| match &attempt.event {
            Event::Decided(decision) if decision.verdict == verdict => Some((attempt, &**decision)),
            _ => None,
        })
}

/// Says what is wrong with a decision to approve, by itself and at its time.
pub(super) fn flaw(world: &World, attempt: &Attempt, decision: &Decision) -> Option<&'static str> {
    let setting = &world.setting;
    let own = stands_behind(world, &decision.member);
    let typed = matches!(
        decision.assurance,
        Assurance::Passphrase | Assurance::Touch | Assurance::Pin
    );
    if decision.digest != world.received.digest {
        Some("it names another document")
    } else if decision.display != world.received.display || !setting.displayable {
        Some("the whole was not shown")
    } else if !lists(&attempt.roster, &decision.member.name, &decision.key) {
        Some("person or key is not in the roster")
    } else if own && !(is_attestable(world) && decision.self_attested) {
        Some("it comes from behind the request")
    } else if !own && decision.self_attested {
        Some("it says self-attested and is not")
    } else if own && setting.tier == Tier::High && !typed {
        Some("a self-attested decision at tier high was not typed")
    } else if setting.assurance == Assurance::Passphrase && !typed {
        Some("too little assurance")
    } else if setting.reason_required && decision.reason.is_empty() {
        Some("it does not say why")
    } else {
        None
    }
}

/// Tells whether distinct people fill the seats that a rule's text asks for, by trying all.
fn fill(seats: &[&str], people: &[Member]) -> bool {
    let Some((group, rest)) = seats.split_first() else {
        return true;
    };
    people.iter().any(|person| {
        let others: Vec<Member> = people
            .iter()
            .filter(|other| other.name != person.name)
            .cloned()
            .collect();
        (*group == "anyone" || person.groups.contains(*group)) && fill(rest, &others)
    })
}

/// Tells whether the approvals that were accepted so far satisfy every rule, with this roster.
pub(super) fn enough(world: &World, roster: &[Member]) -> bool {
    let mut people: Vec<Member> = Vec::new();
    for (attempt, decision) in decisions(world, Verdict::Approve) {
        let listed = roster
            .iter()
            .find(|member| member.name == decision.member.name);
        let Some(person) = listed else { continue };
        let counts = person.keys.contains(&decision.key)
            && flaw(world, attempt, decision).is_none()
            && (decision.self_attested || !stands_behind(world, person));
        if counts && people.iter().all(|other| other.name != person.name) {
            people.push(person.clone());
        }
    }
    let rules = &world.setting.reviews;
    !rules.is_empty()
        && !people.is_empty()
        && rules.iter().all(|rule| {
            let seats: Vec<&str> = rule
                .split(" and ")
                .flat_map(|seat| {
                    let (count, group) = seat.split_once(" of ").unwrap();
                    std::iter::repeat_n(group, count.parse().unwrap())
                })
                .collect();
            fill(&seats, &people)
        })
}

/// Returns the right by which the request was approved, if an approval was accepted.
pub(super) fn approval(world: &World) -> Option<(&Attempt, Via)> {
    world.accepted().find_map(|attempt| match attempt.event {
        Event::Approved { via, .. } => Some((attempt, via)),
        _ => None,
    })
}

/// Returns the accepted attempts of one type.
pub(super) fn of_type<'a>(world: &'a World, entry_type: &str) -> Vec<&'a Attempt> {
    world
        .accepted()
        .filter(|attempt| attempt.event.entry_type() == entry_type)
        .collect()
}

/// Tells whether the request's lifetime was over at an attempt: truly, on the boot it came in, and
/// by the wall clock on any.
pub(super) fn lifetime_is_over(world: &World, attempt: &Attempt) -> bool {
    let ttl = u64::from(world.setting.ttl_s) * 1000;
    let wall = attempt.now.wall.as_millis() - world.received_now.wall.as_millis();
    let by_truth = attempt.boot == 0 && attempt.truth >= ttl;
    by_truth || u64::try_from(wall).is_ok_and(|wall| wall >= ttl)
}

/// The names of those who signed something that was accepted and must be listed when it is.
pub(super) fn signer(event: &Event) -> Option<(&str, &str)> {
    match event {
        Event::Decided(decision) => Some((&decision.member.name, &decision.key)),
        Event::Revoked(act)
        | Event::BreakGlass(act)
        | Event::DebtClosed(act)
        | Event::KillRequested(act)
        | Event::Escalated { act: Some(act) }
        | Event::Settled { act: Some(act), .. } => Some((&act.member.name, &act.key)),
        _ => None,
    }
}

/// Every state that a record passed through.
pub(super) fn states(world: &World) -> BTreeSet<State> {
    world
        .accepted()
        .map(|attempt| attempt.after.state())
        .chain([State::Received])
        .collect()
}
