//! Examples, one for each way that was once open.

use std::time::Duration;

use super::people::{Setting, act, decision, document, key, person};
use super::table::{decided, policy, redeemed};
use super::world::World;
use crate::machine::{Event, Executor, Mode, PolicyOutcome, Refused, State, Withdrawal};
use crate::requirement::{Assurance, Tier};
use crate::statement::Verdict;
use crate::time::Deadline;

fn pending(setting: Setting) -> World {
    let mut world = World::new(setting);
    world.take(policy(PolicyOutcome::Hold));
    world
}

#[test]
fn r5_who_left_the_roster_signs_nothing_with_the_rosters_earlier_word() {
    let mut world = pending(Setting::default());
    world.take(world.rules_with(vec![person("cy")]));
    let foreign = Refused::ForeignKey {
        name: "bo".to_owned(),
    };
    for event in [
        decided(Verdict::Approve, "bo"),
        decided(Verdict::Deny, "bo"),
        Event::BreakGlass(Box::new(act(person("bo")))),
        Event::Escalated {
            act: Some(Box::new(act(person("bo")))),
        },
    ] {
        assert_eq!(world.tries(event), Err(foreign.clone()));
    }
}

#[test]
fn r5_a_key_that_left_the_roster_signs_nothing_and_the_other_one_does() {
    let mut world = pending(Setting::default());
    let mut bo = person("bo");
    bo.keys.remove(&key("bo", 0));
    world.take(world.rules_with(vec![bo]));
    assert!(world.tries(decided(Verdict::Approve, "bo")).is_err());
    let mut again = decision(Verdict::Approve, person("bo"));
    again.key = key("bo", 1);
    assert_eq!(world.tries(Event::Decided(Box::new(again))), Ok(()));
}

#[test]
fn r4_who_moved_to_the_requesters_account_approves_nothing_with_the_earlier_word() {
    let mut world = pending(Setting::default());
    let mut bo = person("bo");
    bo.uid = super::people::REQUESTER;
    world.take(world.rules_with(vec![bo]));
    let own = Refused::OwnRequest {
        name: "bo".to_owned(),
    };
    assert_eq!(world.tries(decided(Verdict::Approve, "bo")), Err(own));
}

#[test]
fn r12_glass_is_not_broken_over_what_cannot_be_shown_whole() {
    let mut world = pending(Setting {
        displayable: false,
        ..Setting::default()
    });
    let broken = world.tries(Event::BreakGlass(Box::new(act(person("di")))));
    assert_eq!(broken, Err(Refused::NotShown));
}

#[test]
fn r17_a_broken_glass_ends_with_the_key_that_broke_it() {
    let mut world = pending(Setting::default());
    world.take(Event::BreakGlass(Box::new(act(person("di")))));
    world.take(world.rules_with(vec![person("di"), person("bo")]));
    assert_eq!(world.state(), State::Approved);
    let mut di = person("di");
    di.keys.remove(&key("di", 0));
    world.take(world.rules_with(vec![di, person("bo")]));
    assert_eq!(world.state(), State::Invalidated);
    assert_eq!(world.request.debt(), Some("di"));
}

#[test]
fn r17_the_reason_of_a_broken_glass_is_the_one_that_was_given_for_it() {
    let mut world = pending(Setting {
        reviews: vec!["1 of dba and 1 of sre"],
        ..Setting::default()
    });
    world.take(decided(Verdict::Approve, "bo"));
    world.take(Event::BreakGlass(Box::new(act(person("di")))));
    assert_eq!(world.request.reason(), "because");
}

#[test]
fn r3_policy_alone_does_not_pass_what_asks_for_people() {
    let mut world = World::new(Setting::default());
    let passed = world.tries(policy(PolicyOutcome::Permit));
    assert_eq!(passed, Err(Refused::NotSatisfied));
    world.take(policy(PolicyOutcome::Hold));
}

#[test]
fn r7_policy_permits_nothing_after_the_deadline() {
    let mut world = World::new(Setting {
        reviews: Vec::new(),
        ..Setting::default()
    });
    world.clocks.pass(Duration::from_secs(100));
    let passed = world.tries(policy(PolicyOutcome::Permit));
    assert!(matches!(passed, Err(Refused::DeadlinePassed { .. })));
    world.take(policy(PolicyOutcome::Refuse));
}

#[test]
fn r10_a_run_is_given_no_more_time_than_the_requirement_allows() {
    let mut world = pending(Setting::default());
    world.take(decided(Verdict::Approve, "bo"));
    let allowed = Deadline::after(&world.now(), Duration::from_secs(60));
    world.take(Event::Redeemed {
        executor: Executor::Agent,
        digest: document(),
        until: Deadline::after(&world.now(), Duration::from_secs(3600)),
        by: None,
    });
    let until = world.request.redemption().map(|taken| taken.until.clone());
    assert_eq!(until, Some(allowed));
}

#[test]
fn r7_nothing_starts_after_the_runs_time_or_on_another_boot() {
    let mut world = pending(Setting::default());
    world.take(decided(Verdict::Approve, "bo"));
    world.take(redeemed(&world, Executor::Daemon));
    let start = Event::Started { pid: Some(1) };
    let mut booted = world.clone();
    booted.clocks.reboot();
    assert_eq!(booted.tries(start.clone()), Err(Refused::OtherBoot));
    world.clocks.pass(Duration::from_secs(60));
    let late = world.tries(start);
    assert!(matches!(late, Err(Refused::DeadlinePassed { .. })));
}

#[test]
fn r16_absence_does_not_withdraw_a_request_that_came_with_a_ticket_only() {
    let gone = Event::Withdrawn {
        because: Withdrawal::WaitersGone,
    };
    let mut world = pending(Setting {
        attached: false,
        ..Setting::default()
    });
    assert!(world.tries(gone.clone()).is_err());
    let mut attached = pending(Setting::default());
    assert_eq!(attached.tries(gone), Ok(()));
}

#[test]
fn r3_who_left_a_group_takes_none_of_its_seats_with_the_earlier_word() {
    let mut world = pending(Setting::default());
    let mut bo = person("bo");
    bo.groups.clear();
    world.take(world.rules_with(vec![bo]));
    let no_seat = Refused::NoSeat {
        name: "bo".to_owned(),
    };
    assert_eq!(world.tries(decided(Verdict::Approve, "bo")), Err(no_seat));
}

#[test]
fn r4_attesting_for_oneself_at_tier_high_takes_the_passphrase_typed_or_a_touch() {
    for (tier, assurance, passes) in [
        (Tier::Medium, Assurance::File, true),
        (Tier::High, Assurance::Unlocked, false),
        (Tier::High, Assurance::Passphrase, true),
        (Tier::High, Assurance::Touch, true),
        (Tier::Critical, Assurance::Touch, false),
    ] {
        let mut world = pending(Setting {
            mode: Mode::User,
            self_attest: true,
            tier,
            ..Setting::default()
        });
        let mut own = decision(Verdict::Approve, person("own"));
        own.assurance = assurance;
        own.self_attested = true;
        let taken = world.tries(Event::Decided(Box::new(own)));
        assert_eq!(taken.is_ok(), passes, "{tier} with {assurance:?}");
        assert_eq!(world.request.is_self_attested(), passes);
    }
}
