//! R10 and R14: wrong clocks, other boots, and what a restart leaves.

use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;

use super::super::*;
use super::Ask;
use super::world::{HOUR, World, ana, bo, ended_well, moment};

#[test]
fn r14_after_a_restart_on_the_same_boot_everything_stands_as_it_did() {
    let mut world = World::new();
    let pending = world.submit("SELECT 1");
    let approved = world.submit("SELECT 2");
    world.approve(approved, &ana());
    let redeemed = world.submit("SELECT 3");
    world.approve(redeemed, &ana());
    world.redeem(redeemed).unwrap();
    let before: Vec<_> = [pending, approved, redeemed]
        .map(|id| world.view(id).request.clone())
        .into();
    let mut world = world.crash_and_start(moment("a", 10, 10));
    world.engine.sweep();
    let after: Vec<_> = [pending, approved, redeemed]
        .map(|id| world.view(id).request.clone())
        .into();
    assert_eq!(before, after);
    world.redeem(approved).unwrap();
    world.approve(pending, &bo());
    assert_eq!(
        world.report(redeemed, ended_well()).unwrap(),
        State::Succeeded
    );
    world.check();
}

#[test]
fn r14_on_another_boot_an_approval_has_lapsed_and_a_run_is_indeterminate() {
    let mut world = World::new();
    let pending = world.submit("SELECT 1");
    let approved = world.submit("SELECT 2");
    world.approve(approved, &ana());
    let redeemed = world.submit("SELECT 3");
    world.approve(redeemed, &ana());
    world.redeem(redeemed).unwrap();
    let mut world = world.crash_and_start(moment("b", 10, 0));
    // Before anything could be written about it, it is refused already.
    assert_eq!(world.redeem(approved).unwrap_err().code(), "lapsed");
    world.engine.sweep();
    assert_eq!(world.state(pending), State::Pending);
    assert_eq!(world.state(approved), State::Lapsed);
    assert_eq!(world.state(redeemed), State::Indeterminate);
    assert_eq!(
        world.report(redeemed, ended_well()).unwrap(),
        State::Settled
    );
    assert_eq!(world.view(redeemed).request.reason(), "reported late");
    world.check();
}

#[test]
fn r14_a_run_without_a_report_becomes_indeterminate_and_a_late_report_settles_it() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    world.redeem(id).unwrap();
    let mut world = world.crash_and_start(moment("a", 1, 1));
    world.advance(Duration::from_secs(598));
    assert_eq!(world.state(id), State::Redeemed);
    // The time is over and nothing is written about it yet: the report is late all the same.
    world.hand.advance(Duration::from_secs(1));
    assert_eq!(world.report(id, ended_well()).unwrap(), State::Settled);
    let types = world.types();
    assert_eq!(
        types[types.len() - 2..],
        ["execution.indeterminate", "execution.settled"]
    );
    world.check();
}

#[test]
fn r14_a_detached_request_stays_detached_over_a_restart() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.attached = true;
    let detached = world.try_submit(&ask).unwrap().id;
    let right = world.right(detached);
    world
        .ask(|reply| Command::Detach(detached, right.clone(), reply))
        .unwrap();
    world
        .ask(|reply| Command::Detach(detached, right, reply))
        .unwrap();
    ask.statement = "SELECT 2".to_owned();
    let attached = world.try_submit(&ask).unwrap().id;
    world.advance(Duration::from_secs(15));
    let mut world = world.crash_and_start(moment("a", 16, 16));
    // The grace begins anew when the daemon starts.
    world.advance(Duration::from_secs(19));
    assert_eq!(world.state(attached), State::Pending);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.state(attached), State::Withdrawn);
    assert_eq!(world.state(detached), State::Pending);
    world.check();
}

#[test]
fn r13_after_a_start_who_asks_alone_withdraws_alone_and_what_is_shared_stays_for_the_others() {
    let mut world = World::new();
    let mut ask = Ask::of("SELECT 1");
    ask.attached = true;
    let alone = world.try_submit(&ask).unwrap().id;
    ask.statement = "SELECT 2".to_owned();
    let shared = world.try_submit(&ask).unwrap().id;
    let size = world.engine.tail.size();
    for _ in 0..2 {
        ask.submission = Some([7; 16]);
        assert!(world.try_submit(&ask).unwrap().joined);
    }
    assert_eq!(world.engine.tail.size(), size, "joining is no entry");
    let mut world = world.crash_and_start(moment("a", 1, 1));
    for (id, left) in [(alone, State::Withdrawn), (shared, State::Pending)] {
        let right = world.right(id);
        let state = world.ask(|reply| Command::Withdraw(id, right, reply));
        assert_eq!(state.unwrap(), left);
    }
    world.check();
}

#[test]
fn r14_after_a_start_on_the_same_boot_what_a_process_runs_is_known_and_watched() {
    let mut world = World::new();
    let [run, finished] = ["SELECT 1", "SELECT 2"].map(|text| {
        let id = world.submit(text);
        world.approve(id, &ana());
        world.redeem(id).unwrap();
        id
    });
    world.report(finished, ended_well()).unwrap();
    world.submit("SELECT 3");
    let by = world.redeemer(run);
    let mut world = world.crash_and_start(moment("a", 1, 1));
    assert_eq!(world.ask(Query::Runs).unwrap(), [(run, by)]);
    world.engine.turn(vec![Command::ExecutorGone(run).into()]);
    assert_eq!(world.state(run), State::Indeterminate);
    assert!(world.ask(Query::Runs).unwrap().is_empty());
    world.check();
    // Another boot has other processes: their numbers say nothing.
    let mut world = World::new();
    let run = world.submit("SELECT 1");
    world.approve(run, &ana());
    world.redeem(run).unwrap();
    let mut world = world.crash_and_start(moment("b", 1, 1));
    assert!(world.ask(Query::Runs).unwrap().is_empty());
}

#[test]
fn r10_a_deny_after_the_deadline_is_too_late_and_the_request_is_called_expired() {
    let mut world = World::new();
    let pending = world.submit("SELECT 1");
    let approved = world.submit("SELECT 2");
    world.approve(approved, &ana());
    world.hand.advance(Duration::from_secs(300));
    let late = world.decide(approved, &bo(), Said::Deny).unwrap_err();
    assert_eq!(late.code(), "deadline-passed");
    world.hand.advance(HOUR);
    let late = world.decide(pending, &bo(), Said::Deny).unwrap_err();
    assert_eq!(late.code(), "deadline-passed");
    world.engine.sweep();
    assert_eq!(world.state(pending), State::Expired);
    assert_eq!(world.state(approved), State::Lapsed);
    world.check();
}

#[test]
fn files_that_were_not_taken_stand_in_the_log_and_change_nothing() {
    let mut world = World::new();
    let rules = world.engine.rules.digest;
    let problem = "countersign.toml:3:1: unknown key".to_owned();
    world
        .ask(|reply| Command::RulesRefused(problem.clone(), reply))
        .unwrap();
    assert_eq!(world.types().last().unwrap(), "rules.refused");
    assert_eq!(world.engine.rules.digest, rules);
    world.check();
}

#[test]
fn rules_that_changed_while_the_daemon_was_down_take_force_at_the_start() {
    let mut world = World::new();
    let approved = world.submit("SELECT 1");
    world.approve(approved, &ana());
    let limits = world.engine.rules.limits.clone();
    let without = super::world::rules(&[bo()], "1 of anyone", &limits);
    let mut world = World::open(world.close(), without, moment("a", 5, 5), 99).unwrap();
    assert_eq!(world.state(approved), State::Invalidated);
    assert_eq!(world.rule_changes().len(), 1);
    world.check();
}

#[test]
fn r10_a_clock_set_back_lengthens_nothing() {
    let mut world = World::new();
    let approved = world.submit("SELECT 1");
    let pending = world.submit("SELECT 2");
    world.approve(approved, &ana());
    world.hand.set(moment("a", -100, 300));
    assert_eq!(
        world.redeem(approved).unwrap_err().code(),
        "deadline-passed"
    );
    world.engine.sweep();
    assert_eq!(world.state(approved), State::Lapsed);
    world.hand.set(moment("a", -100, 3600));
    world.engine.sweep();
    assert_eq!(world.state(pending), State::Expired);
    world.check();
}

#[test]
fn r10_a_clock_set_forward_ends_what_it_passes() {
    let mut world = World::new();
    let approved = world.submit("SELECT 1");
    world.approve(approved, &ana());
    world.hand.set(moment("a", 301, 1));
    assert!(world.redeem(approved).is_err());
    world.engine.sweep();
    assert_eq!(world.state(approved), State::Lapsed);
    world.check();
}

#[test]
fn r10_on_another_boot_a_pending_request_is_judged_by_the_later_of_wall_time_and_log() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.hand.set(moment("a", 3590, 3590));
    world.submit("SELECT 2");
    let mut world = world.crash_and_start(moment("b", 3500, 0));
    world.engine.sweep();
    assert_eq!(world.state(id), State::Pending);
    world.hand.set(moment("b", 3601, 101));
    world.engine.sweep();
    assert_eq!(world.state(id), State::Expired);
    world.check();
}

#[test]
fn r10_a_clock_behind_the_log_stops_approvals_and_redemptions_and_no_denies() {
    let mut world = World::new();
    let approved = world.submit("SELECT 1");
    world.approve(approved, &ana());
    let pending = world.submit("SELECT 2");
    world.hand.set(moment("a", -120, 1));
    world.redeem(approved).unwrap();
    let approved = pending;
    world.approve(approved, &ana());
    let pending = world.submit("SELECT 3");
    world.hand.set(moment("a", -121, 1));
    assert_eq!(world.redeem(approved).unwrap_err().code(), "clock-behind");
    let error = world.decide(pending, &bo(), Said::Approve).unwrap_err();
    assert_eq!(error.code(), "clock-behind");
    assert_eq!(
        world.decide(pending, &bo(), Said::Deny).unwrap().state,
        State::Denied
    );
    assert_eq!(
        world.decide(approved, &bo(), Said::Deny).unwrap().state,
        State::Denied
    );
    world.check();
}

#[test]
fn r10_a_clock_behind_the_log_is_accepted_by_a_person_and_recorded() {
    let mut world = World::new();
    world.hand.set(moment("a", 3600, 3600));
    let id = world.submit("SELECT 1");
    let rules = (*world.engine.rules).clone();
    let mut world = World::open(world.close(), rules.clone(), moment("b", 0, 0), 50).unwrap();
    assert_eq!(
        world.decide(id, &ana(), Said::Approve).unwrap_err().code(),
        "clock-behind"
    );
    let dir = world.close();
    let (clock, hand) = Clock::fixed(moment("b", 5, 5));
    let mut settings = super::world::settings(rules, clock);
    settings.accept_clock = Some("the battery was empty".to_owned());
    let (_entrance, receiver) = queue(QUEUE);
    let mut engine = boot::open(&dir.path().join("state.db"), settings, receiver).unwrap();
    assert!(engine.clock_behind().is_none());
    hand.advance(HOUR);
    engine.sweep();
    super::world::check_store(&engine.store);
    let types: Vec<_> = super::world::entries(&engine.store)
        .iter()
        .map(|entry| entry.body.entry_type())
        .collect();
    assert!(types.contains(&"clock.jumped"));
}

#[test]
fn r13_a_deny_of_a_time_that_was_not_is_no_reason_when_the_clock_was_put_right() {
    let mut world = World::new();
    world.hand.set(moment("a", 3600, 3600));
    let id = world.submit("SELECT 1");
    world.decide(id, &ana(), Said::Deny).unwrap();
    let rules = (*world.engine.rules).clone();
    let dir = world.close();
    let (clock, _hand) = Clock::fixed(moment("b", 5, 5));
    let mut settings = super::world::settings(rules.clone(), clock);
    settings.accept_clock = Some("the clock was wrong".to_owned());
    let (entrance, receiver) = queue(QUEUE);
    drop(boot::open(&dir.path().join("state.db"), settings, receiver).unwrap());
    drop(entrance);
    let mut world = World::open(dir, rules, moment("b", 10, 10), 50).unwrap();
    let again = world.submit("SELECT 1");
    world.decide(again, &ana(), Said::Deny).unwrap();
    let error = world.try_submit(&Ask::of("SELECT 1")).unwrap_err();
    assert!(
        matches!(error, EngineError::Cooldown { id, .. } if id == again),
        "{error}"
    );
    world.check();
}
