//! The rules, one property each, checked after every step of arbitrary lives.

use proptest::prelude::*;

use super::ledger::{
    approval, arrows_out_of, decisions, enough, flaw, is_attestable, lifetime_is_over, lists,
    of_type, signer, stands_behind,
};
use super::lives::{life, play};
use super::world::{Attempt, World};
use crate::machine::{Event, Executor, PolicyOutcome, Refused, State, Via, Withdrawal};
use crate::requirement::RunBy;
use crate::statement::Verdict;
use crate::time::Deadline;

type Checked = Result<(), TestCaseError>;

fn last(world: &World) -> Option<&Attempt> {
    world.attempts.last()
}

fn follows_the_arrows(world: &World) -> Checked {
    let Some(attempt) = last(world) else {
        return Ok(());
    };
    let (before, after) = (attempt.before.state(), attempt.after.state());
    if before != after {
        prop_assert!(
            arrows_out_of(before).contains(&after.word()),
            "{before} to {after}"
        );
    }
    prop_assert_eq!(before.has_ended(), arrows_out_of(before).is_empty());
    if before.has_ended() && attempt.is_accepted() {
        prop_assert_eq!(attempt.event.entry_type(), "debt.closed");
    }
    Ok(())
}

fn deny_wins(world: &World) -> Checked {
    let Some(attempt) = last(world) else {
        return Ok(());
    };
    let Event::Decided(decision) = &attempt.event else {
        if let Some((_, deny)) = decisions(world, Verdict::Deny).next() {
            let denied = world.state() == State::Denied;
            prop_assert!(denied || world.request.owed().is_some(), "after {deny:?}");
        }
        return Ok(());
    };
    if decision.verdict == Verdict::Approve || attempt.before.owed().is_some() {
        return Ok(());
    }
    // What ended by its deadline is not denied any more (R10).
    let good = decision.digest == world.received.digest
        && lists(&attempt.roster, &decision.member.name, &decision.key)
        && attempt.before.due(&attempt.now).is_none();
    match attempt.before.state() {
        State::Pending | State::Approved => {
            prop_assert_eq!(attempt.is_accepted(), good);
            if good {
                let owed = attempt.after.owed().map(Event::entry_type);
                prop_assert_eq!(owed, Some("request.denied"));
            }
        }
        State::Redeemed | State::Running | State::Indeterminate => {
            let at = of_type(world, "request.redeemed")[0].now.wall;
            prop_assert_eq!(&attempt.result, &Err(Refused::TooLate { at }));
        }
        _ => prop_assert!(!attempt.is_accepted()),
    }
    Ok(())
}

fn seats_are_filled_by_distinct_people(world: &World) -> Checked {
    let Some(attempt) = last(world).filter(|attempt| attempt.is_accepted()) else {
        return Ok(());
    };
    match &attempt.event {
        Event::Approved {
            via: Via::Reviewers | Via::SelfAttested,
            ..
        } => {
            prop_assert!(enough(world, &attempt.roster), "approved by too few");
        }
        Event::Approved {
            via: Via::Policy, ..
        } => {
            let asked = &world.setting.reviews;
            prop_assert!(asked.is_empty(), "policy permitted what asks {asked:?}");
        }
        // The other way round: nobody waits for more than is asked.
        Event::Decided(decision) if decision.verdict == Verdict::Approve => {
            let owed = attempt.after.owed().is_some();
            prop_assert_eq!(owed, enough(world, &attempt.roster));
        }
        _ => {}
    }
    Ok(())
}

fn nobody_behind_it_approves_it(world: &World) -> Checked {
    for (attempt, decision) in decisions(world, Verdict::Approve) {
        prop_assert_eq!(flaw(world, attempt, decision), None);
        if stands_behind(world, &decision.member) {
            prop_assert!(is_attestable(world) && decision.self_attested);
        }
    }
    if let Some((_, via @ (Via::Reviewers | Via::SelfAttested))) = approval(world) {
        let all_own = decisions(world, Verdict::Approve)
            .all(|(_, decision)| stands_behind(world, &decision.member));
        prop_assert_eq!(via == Via::SelfAttested, all_own, "{:?}", via);
    }
    for entry_type in ["breakglass.used", "debt.closed"] {
        for attempt in of_type(world, entry_type) {
            if let Event::BreakGlass(act) | Event::DebtClosed(act) = &attempt.event {
                prop_assert!(!stands_behind(world, &act.member), "{entry_type}");
            }
        }
    }
    Ok(())
}

fn decisions_count_once_and_while_listed(world: &World) -> Checked {
    let Some(attempt) = last(world) else {
        return Ok(());
    };
    // A request that is over hears of no change of rules: there the event's word stands alone.
    if attempt.is_accepted()
        && attempt.before.state().is_live()
        && let Some((name, key)) = signer(&attempt.event)
    {
        prop_assert!(
            lists(&attempt.roster, name, key),
            "`{name}` signed and is not listed"
        );
    }
    if let Event::Decided(decision) = &attempt.event
        && decision.verdict == Verdict::Approve
        && attempt.is_accepted()
    {
        let name = &decision.member.name;
        let again = decisions(world, Verdict::Approve)
            .filter(|(earlier, _)| earlier.after.version() < attempt.after.version())
            .any(|(_, earlier)| {
                earlier.member.name == *name && lists(&attempt.roster, name, &earlier.key)
            });
        prop_assert!(!again, "`{name}` approved twice");
    }
    let by_people = matches!(
        approval(world),
        Some((_, Via::Reviewers | Via::SelfAttested))
    );
    if by_people && attempt.is_accepted() && world.state() == State::Approved {
        let owed = world.request.owed().map(Event::entry_type);
        let gone = owed == Some("request.invalidated") || owed == Some("request.denied");
        prop_assert!(
            gone || enough(world, &world.roster),
            "approved by those who left"
        );
    }
    Ok(())
}

fn versions_count_events(world: &World) -> Checked {
    let accepted = u64::try_from(world.accepted().count()).unwrap();
    prop_assert_eq!(world.request.version(), 1 + accepted);
    if let Some(attempt) = last(world).filter(|attempt| !attempt.is_accepted()) {
        prop_assert_eq!(&attempt.before, &attempt.after);
    }
    Ok(())
}

fn deadlines_bind(world: &World) -> Checked {
    let due = world.request.due(&world.now());
    let deadline = world.request.deadline();
    if let Some(due) = &due {
        prop_assert!(deadline.is_some());
        let mut later = world.request.clone();
        if later.owed().is_none() {
            prop_assert!(
                later.apply(&world.now(), due).is_ok(),
                "what is due is possible"
            );
            prop_assert!(later.due(&world.now()).is_none() && later.state() != world.state());
        }
    } else if let Some(deadline) = deadline {
        prop_assert!(
            !deadline.has_passed(&world.now()),
            "nothing is due after the deadline"
        );
    }
    let Some(attempt) = last(world).filter(|attempt| attempt.is_accepted()) else {
        return Ok(());
    };
    match &attempt.event {
        Event::Decided(decision) if decision.verdict == Verdict::Approve => {
            prop_assert!(!lifetime_is_over(world, attempt));
        }
        Event::Decided(_) => prop_assert!(attempt.before.due(&attempt.now).is_none()),
        Event::BreakGlass(_)
        | Event::Escalated { .. }
        | Event::PolicyEvaluated {
            outcome: PolicyOutcome::Permit,
            ..
        } => {
            prop_assert!(!lifetime_is_over(world, attempt));
        }
        Event::Expired {} => prop_assert!(lifetime_is_over(world, attempt)),
        Event::Redeemed { .. } | Event::Started { .. } => {
            prop_assert!(attempt.before.due(&attempt.now).is_none());
        }
        _ => {}
    }
    Ok(())
}

fn the_one_use_is_taken_once(world: &World) -> Checked {
    let redeemed = of_type(world, "request.redeemed");
    prop_assert!(redeemed.len() <= 1);
    prop_assert!(of_type(world, "execution.started").len() <= redeemed.len());
    let Some(attempt) = last(world) else {
        return Ok(());
    };
    let second = matches!(attempt.event, Event::Redeemed { .. }) && !attempt.is_accepted();
    if let Some(first) = redeemed.first()
        && second
        && attempt.before.owed().is_none()
    {
        let at = first.now.wall;
        prop_assert_eq!(&attempt.result, &Err(Refused::AlreadyRedeemed { at }));
    }
    Ok(())
}

fn clocks_lengthen_nothing(world: &World) -> Checked {
    let redeemed = of_type(world, "request.redeemed");
    if let (Some((approved, _)), Some(redeemed)) = (approval(world), redeemed.first()) {
        prop_assert_eq!(
            approved.boot,
            redeemed.boot,
            "the approval was of another boot"
        );
        let grant = u64::from(world.setting.grant_s) * 1000;
        prop_assert!(redeemed.truth - approved.truth < grant);
    }
    if let (Some(redeemed), Some(started)) = (
        redeemed.first(),
        of_type(world, "execution.started").first(),
    ) {
        prop_assert_eq!(redeemed.boot, started.boot);
        let max_run = u64::from(world.setting.max_run_s) * 1000;
        prop_assert!(started.truth - redeemed.truth < max_run);
    }
    if let Some((approved, _)) = approval(world)
        && world.state() == State::Approved
        && world.clocks.boot != approved.boot
    {
        prop_assert_eq!(world.request.due(&world.now()), Some(Event::Lapsed {}));
    }
    for (attempt, _) in decisions(world, Verdict::Approve).filter(|(a, _)| a.boot == 0) {
        prop_assert!(attempt.truth < u64::from(world.setting.ttl_s) * 1000);
    }
    Ok(())
}

fn redemption_asks_again(world: &World) -> Checked {
    for attempt in of_type(world, "request.redeemed") {
        let Event::Redeemed { executor, .. } = &attempt.event else {
            continue;
        };
        let daemon_only = world.setting.run_by == RunBy::Daemon;
        prop_assert!(!daemon_only || *executor == Executor::Daemon);
        let longest = Deadline::after(&attempt.now, world.received.requirement.max_run());
        let until = attempt.after.redemption().map(|taken| &taken.until);
        let Some(until) = until else {
            return Err(TestCaseError::fail("redeemed without a redemption"));
        };
        prop_assert!(until.wall <= longest.wall && until.mono_ms <= longest.mono_ms);
        if last(world).is_some_and(|newest| newest.truth == attempt.truth)
            && matches!(
                approval(world),
                Some((_, Via::Reviewers | Via::SelfAttested))
            )
        {
            prop_assert!(enough(world, &attempt.roster));
        }
        if let Some(Event::BreakGlass(act)) = of_type(world, "breakglass.used")
            .first()
            .map(|attempt| &attempt.event)
        {
            let stands = lists(&attempt.roster, &act.member.name, &act.key);
            prop_assert!(stands, "who broke the glass has left the roster");
        }
    }
    Ok(())
}

fn only_what_was_shown_is_approved(world: &World) -> Checked {
    for (_, decision) in decisions(world, Verdict::Approve) {
        prop_assert_eq!(decision.display, world.received.display);
        prop_assert!(world.setting.displayable);
    }
    for attempt in of_type(world, "review.opened") {
        if let Event::Opened { display, .. } = &attempt.event {
            prop_assert_eq!(display, &world.received.display);
        }
    }
    let glass = of_type(world, "breakglass.used");
    prop_assert!(glass.is_empty() || world.setting.displayable);
    Ok(())
}

fn nothing_is_approved_by_default(world: &World) -> Checked {
    let record: Vec<&Attempt> = world.accepted().collect();
    for pair in record.windows(2) {
        let [cause, approved] = pair else { continue };
        let Event::Approved { via, .. } = approved.event else {
            continue;
        };
        let fits = match &cause.event {
            Event::PolicyEvaluated { outcome, .. } => {
                *outcome == PolicyOutcome::Permit && via == Via::Policy
            }
            Event::Decided(decision) => {
                decision.verdict == Verdict::Approve
                    && matches!(via, Via::Reviewers | Via::SelfAttested)
            }
            Event::BreakGlass(_) => via == Via::BreakGlass,
            _ => false,
        };
        prop_assert!(fits, "{:?} after {:?}", via, cause.event);
    }
    let first_is_approval = record
        .first()
        .is_some_and(|first| matches!(first.event, Event::Approved { .. }));
    prop_assert!(!first_is_approval);
    Ok(())
}

fn stale_digests_are_refused(world: &World) -> Checked {
    for attempt in world.accepted() {
        match &attempt.event {
            Event::Decided(decision) => prop_assert_eq!(decision.digest, world.received.digest),
            Event::Redeemed { digest, .. } => prop_assert_eq!(digest, &world.received.digest),
            _ => {}
        }
    }
    Ok(())
}

fn tickets_outlive_absence(world: &World) -> Checked {
    for attempt in of_type(world, "request.withdrawn") {
        if let Event::Withdrawn {
            because: Withdrawal::WaitersGone,
        } = attempt.event
        {
            prop_assert!(world.setting.attached);
        }
    }
    Ok(())
}

fn broken_glass_leaves_a_debt(world: &World) -> Checked {
    let Some(glass) = of_type(world, "breakglass.used").first().copied() else {
        prop_assert_eq!(world.request.debt(), None);
        prop_assert!(!matches!(approval(world), Some((_, Via::BreakGlass))));
        return Ok(());
    };
    let Event::BreakGlass(act) = &glass.event else {
        return Ok(());
    };
    prop_assert_eq!(glass.before.state(), State::Pending);
    prop_assert!(!act.reason.trim().is_empty());
    let closed = of_type(world, "debt.closed");
    prop_assert!(closed.len() <= 1);
    if let Some(Event::DebtClosed(closing)) = closed.first().map(|attempt| &attempt.event) {
        prop_assert_ne!(&closing.member.name, &act.member.name);
        prop_assert_eq!(world.request.debt(), None);
    } else {
        prop_assert_eq!(world.request.debt(), Some(act.member.name.as_str()));
    }
    if world.state() == State::Approved && world.request.owed().is_none() {
        prop_assert_eq!(world.request.reason(), act.reason.as_str());
    }
    Ok(())
}

proptest! {
    #[test]
    fn r1_states_without_an_arrow_out_absorb(life in life()) {
        play(&life, follows_the_arrows)?;
    }

    #[test]
    fn r2_deny_beats_approve_until_redemption(life in life()) {
        play(&life, deny_wins)?;
    }

    #[test]
    fn r3_seats_are_filled_by_distinct_people_or_nothing_is_approved(life in life()) {
        play(&life, seats_are_filled_by_distinct_people)?;
    }

    #[test]
    fn r4_nobody_behind_the_request_approves_it(life in life()) {
        play(&life, nobody_behind_it_approves_it)?;
    }

    #[test]
    fn r5_a_decision_counts_once_and_while_person_and_key_are_listed(life in life()) {
        play(&life, decisions_count_once_and_while_listed)?;
    }

    #[test]
    fn r6_versions_count_events_and_a_refused_event_changes_nothing(life in life()) {
        play(&life, versions_count_events)?;
    }

    #[test]
    fn r7_deadlines_bind_though_nothing_was_written(life in life()) {
        play(&life, deadlines_bind)?;
    }

    #[test]
    fn r8_redemption_happens_once(life in life()) {
        play(&life, the_one_use_is_taken_once)?;
    }

    #[test]
    fn r10_no_clock_lengthens_an_approval_and_no_approval_survives_a_boot(life in life()) {
        play(&life, clocks_lengthen_nothing)?;
    }

    #[test]
    fn r11_redemption_asks_again_whether_the_approval_stands(life in life()) {
        play(&life, redemption_asks_again)?;
    }

    #[test]
    fn r12_only_what_was_shown_whole_is_approved(life in life()) {
        play(&life, only_what_was_shown_is_approved)?;
    }

    #[test]
    fn r14_nothing_is_approved_by_default(life in life()) {
        play(&life, nothing_is_approved_by_default)?;
    }

    #[test]
    fn r15_a_stale_digest_decides_and_redeems_nothing(life in life()) {
        play(&life, stale_digests_are_refused)?;
    }

    #[test]
    fn r16_a_ticketed_request_is_not_withdrawn_by_absence(life in life()) {
        play(&life, tickets_outlive_absence)?;
    }

    #[test]
    fn r17_break_glass_leaves_a_debt_that_another_person_closes(life in life()) {
        play(&life, broken_glass_leaves_a_debt)?;
    }

    #[test]
    fn every_rule_holds_after_every_step(life in life()) {
        play(&life, |world| {
            for rule in RULES {
                rule(world)?;
            }
            Ok(())
        })?;
    }
}

const RULES: [fn(&World) -> Checked; 15] = [
    follows_the_arrows,
    deny_wins,
    seats_are_filled_by_distinct_people,
    nobody_behind_it_approves_it,
    decisions_count_once_and_while_listed,
    versions_count_events,
    deadlines_bind,
    the_one_use_is_taken_once,
    clocks_lengthen_nothing,
    redemption_asks_again,
    only_what_was_shown_is_approved,
    nothing_is_approved_by_default,
    stale_digests_are_refused,
    tickets_outlive_absence,
    broken_glass_leaves_a_debt,
];
