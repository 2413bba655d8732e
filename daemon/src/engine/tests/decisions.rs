//! R2, R5, R6, R8, R11, R16 and the change of rules, through the engine and its database.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::limits::Limits;
use countersign_shared::log::entry::Entry;
use countersign_shared::machine::{Refused, State};
use countersign_shared::statement::{ActKind as StatementKind, Verdict as Said};

use super::super::*;
use super::world::{AGENT, EXECUTOR, World, ana, bo, cy, ended_well, everyone, rules};
use super::{Ask, Use, check_inclusion};

#[test]
fn r5_the_same_approval_again_changes_nothing_and_returns_its_own_entry() {
    let mut world = World::with(everyone("2 of anyone"));
    let id = world.submit("SELECT 1");
    let first = world.approve(id, &ana());
    let display = world.view(id).request.received().display;
    world
        .ask(|reply| Command::Open(id, "bo".to_owned(), display, reply))
        .unwrap();
    let size = world.engine.tail.size();
    let again = world.approve(id, &ana());
    assert_eq!(again.state, State::Pending);
    assert_eq!(
        again.recorded.index, first.recorded.index,
        "another entry than the decision's"
    );
    assert_eq!(world.engine.tail.size(), size);
    check_inclusion(&world, &again.recorded);
    world.check();
}

#[test]
fn r5_a_deny_whose_answer_was_lost_is_answered_again_with_its_entry() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let lost = world.verdict(id, &ana(), Said::Deny);
    let again = Box::new(Verdict {
        decision: lost.decision.clone(),
        rules: lost.rules,
        known_size: 1,
    });
    let first = world.ask(|reply| Command::Decide(id, lost, reply)).unwrap();
    let second = world
        .ask(|reply| Command::Decide(id, again, reply))
        .unwrap();
    assert_eq!(first.recorded.index, second.recorded.index);
    let from = [&first, &second].map(|decided| decided.recorded.head.from);
    assert_eq!(
        from,
        [0, 1],
        "the proof begins at the size the caller named"
    );
    assert_eq!(second.state, State::Denied);
    world.check();
}

#[test]
fn r5_approve_then_deny_by_one_person_is_a_deny_and_nothing_follows() {
    let mut world = World::with(everyone("2 of anyone"));
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    let late = world.verdict(id, &bo(), Said::Approve);
    assert_eq!(
        world.decide(id, &ana(), Said::Deny).unwrap().state,
        State::Denied
    );
    let error = world
        .ask(|reply| Command::Decide(id, late, reply))
        .unwrap_err();
    assert_eq!(error.code(), "denied");
    world.check();
}

#[test]
fn r2_a_deny_beats_an_approval_in_the_same_batch_and_comes_too_late_after_redemption() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let approve = world.verdict(id, &ana(), Said::Approve);
    let deny = world.verdict(id, &bo(), Said::Deny);
    let answers = world.batch::<Decided>(vec![
        Box::new(move |reply| Command::Decide(id, approve, reply)),
        Box::new(move |reply| Command::Decide(id, deny, reply)),
    ]);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(world.state(id), State::Denied);
    assert!(world.redeem(id).is_err());

    let id = world.submit("SELECT 2");
    world.approve(id, &ana());
    let deny = world.verdict(id, &bo(), Said::Deny);
    world.redeem(id).unwrap();
    let error = world
        .ask(|reply| Command::Decide(id, deny, reply))
        .unwrap_err();
    assert_eq!(error.code(), "too-late");
    let kill = (StatementKind::Kill, ActKind::Kill);
    assert_eq!(world.act(id, &bo(), kill).unwrap(), State::Redeemed);
    world.check();
}

#[test]
fn r6_a_step_that_fails_rolls_back_alone() {
    let mut world = World::new();
    let mut drafts = Vec::new();
    for at in 0..5 {
        let mut draft = world.draft(&Ask::of(&format!("SELECT {at}")));
        if at == 2 {
            draft.received.rules = Digest::of(b"other rules");
        }
        drafts.push(Box::new(draft));
    }
    let size = world.engine.tail.size();
    let calls = drafts
        .into_iter()
        .map(|draft| Box::new(move |reply| Command::Submit(draft, reply)) as Box<_>)
        .collect();
    let answers = world.batch::<Submitted>(calls);
    let kept: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, true, false, true, true]);
    assert_eq!(world.engine.tail.size(), size + 8);
    world.check();
}

#[test]
fn r6_a_step_that_fails_after_it_has_appended_leaves_no_trace() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    world.redeem(id).unwrap();
    // Foreign hands move the row on: the step appends, and its row is then refused.
    world.execute("UPDATE request SET version = version + 1");
    let size = world.engine.tail.size();
    let right = world.right(id);
    let other = Box::new(world.draft(&Ask::of("SELECT 2")));
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    let report = Command::Report(id, right, EXECUTOR, ended_well(), reply);
    let (reply, mut submitted) = tokio::sync::oneshot::channel();
    world.engine.commit(|engine, batch, scene| {
        vec![
            engine.write(batch, scene, report),
            engine.write(batch, scene, Command::Submit(other, reply)),
        ]
    });
    let error = answer.try_recv().unwrap().unwrap_err();
    assert!(matches!(error, EngineError::Conflict { .. }), "{error}");
    assert_eq!(error.code(), "conflict");
    let other = submitted.try_recv().unwrap().unwrap();
    assert_eq!(world.state(other.id), State::Pending);
    assert_eq!(
        world.engine.tail.size(),
        size + 2,
        "the failed step left entries"
    );
    let live = &world.engine.live[&id];
    assert_eq!(
        live.request.state(),
        State::Redeemed,
        "memory ran ahead of the row"
    );
}

#[test]
fn r6_two_changes_of_one_request_in_one_batch_build_on_each_other() {
    let mut world = World::with(everyone("2 of anyone"));
    let id = world.submit("SELECT 1");
    let first = world.verdict(id, &ana(), Said::Approve);
    let second = world.verdict(id, &bo(), Said::Approve);
    let answers = world.batch::<Decided>(vec![
        Box::new(move |reply| Command::Decide(id, first, reply)),
        Box::new(move |reply| Command::Decide(id, second, reply)),
    ]);
    let states: Vec<State> = answers
        .into_iter()
        .map(|answer| answer.unwrap().state)
        .collect();
    assert_eq!(states, [State::Pending, State::Approved]);
    world.check();
}

#[test]
fn a_batch_that_changes_nothing_writes_nothing() {
    let mut world = World::new();
    let note = world.engine.note.clone();
    let changes = world.engine.changes.subscribe();
    world.advance(Duration::from_secs(5));
    let id = world.submit("SELECT 1");
    let after = world.engine.note.clone();
    assert_ne!(note, after);
    let seen = changes.len();
    let mut right = world.right(id);
    right.ticket = Digest::of(b"guessed");
    for _ in 0..3 {
        let right = right.clone();
        world.hand.advance(Duration::from_secs(1));
        let error = world
            .ask(|reply| Command::Withdraw(id, right, reply))
            .unwrap_err();
        assert_eq!(error.code(), "bad-ticket");
    }
    assert_eq!(
        changes.len(),
        seen,
        "a refused call was announced as a change of the log"
    );
    assert_eq!(world.engine.last, world.last_wall());
}

#[test]
fn r8_one_of_64_concurrent_redeems_wins() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    let digest = world.view(id).request.digest();
    let right = world.right(id);
    let calls = (0..64)
        .map(|_| {
            let right = right.clone();
            Box::new(move |reply| {
                Command::Redeem(
                    id,
                    right,
                    Use {
                        digest,
                        by: Taker::Daemon,
                        known_size: 0,
                    },
                    reply,
                )
            }) as Box<_>
        })
        .collect();
    let answers = world.batch::<(Inclusion, _)>(calls);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for error in answers.into_iter().filter_map(Result::err) {
        assert!(
            matches!(error, EngineError::Machine(Refused::AlreadyRedeemed { .. })),
            "{error}"
        );
    }
    assert_eq!(
        world
            .types()
            .iter()
            .filter(|kind| *kind == "request.redeemed")
            .count(),
        1
    );
    world.check();
}

#[test]
fn r8_one_of_64_redeems_from_as_many_threads_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    let digest = world.view(id).request.digest();
    let right = world.right(id);
    let rules = (*world.engine.rules).clone();
    let path = dir.path().join("state.db");
    for name in ["state.db", "state.db-wal", "head"] {
        std::fs::copy(
            world.database().with_file_name(name),
            path.with_file_name(name),
        )
        .unwrap();
    }
    drop(world);
    let (clock, _hand) = Clock::fixed(super::world::moment("a", 1, 1));
    let handle = Engine::start(&path, super::world::settings(rules, clock)).unwrap();
    let threads: Vec<_> = (0..64)
        .map(|_| {
            let (handle, right) = (handle.clone(), right.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                let call = |reply| {
                    Command::Redeem(
                        id,
                        right,
                        Use {
                            digest,
                            by: Taker::Daemon,
                            known_size: 0,
                        },
                        reply,
                    )
                };
                runtime.block_on(handle.ask(call)).is_ok()
            })
        })
        .collect();
    let won = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .filter(|won| *won)
        .count();
    assert_eq!(won, 1);
}

#[test]
fn r11_a_redemption_names_the_digest_and_the_executor_that_were_approved() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    let right = world.right(id);
    let other = Digest::of(b"another document");
    let error = world
        .ask(|reply| {
            Command::Redeem(
                id,
                right,
                Use {
                    digest: other,
                    by: Taker::Daemon,
                    known_size: 0,
                },
                reply,
            )
        })
        .unwrap_err();
    assert_eq!(error.code(), "stale-digest");

    let mut by_daemon = everyone("1 of anyone");
    by_daemon.change_default(|default| {
        default.run_by = countersign_shared::requirement::RunBy::Daemon;
    });
    let mut world = World::with(by_daemon);
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    assert_eq!(world.redeem(id).unwrap_err().code(), "executor-not-allowed");
    world.check();
}

#[test]
fn r16_a_wrong_ticket_or_another_principal_moves_nothing() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    let digest = world.view(id).request.digest();
    let good = world.right(id);
    let wrong = [
        Right {
            ticket: Digest::of(b"guessed"),
            ..good.clone()
        },
        Right {
            principal: format!("uid:{AGENT} in etl.service"),
            ..good.clone()
        },
        Right {
            principal: "uid:50002".to_owned(),
            ..good
        },
    ];
    for right in wrong {
        let [follow, detach, withdraw, redeem, report] = std::array::from_fn(|_| right.clone());
        let errors = [
            world
                .ask(|reply| Query::Follow(id, follow, reply))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Detach(id, detach, reply))
                .unwrap_err(),
            world
                .ask(|reply| Command::Withdraw(id, withdraw, reply))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| {
                    Command::Redeem(
                        id,
                        redeem,
                        Use {
                            digest,
                            by: Taker::Daemon,
                            known_size: 0,
                        },
                        reply,
                    )
                })
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Report(id, report, EXECUTOR, ended_well(), reply))
                .map(|_| ())
                .unwrap_err(),
        ];
        assert!(
            errors.iter().all(|error| error.code() == "bad-ticket"),
            "{errors:?}"
        );
    }
    assert_eq!(world.state(id), State::Approved);
    world.check();
}

#[test]
fn a_removed_key_invalidates_the_approval_it_gave_and_leaves_pending_requests() {
    let mut world = World::new();
    let approved = world.submit("SELECT 1");
    world.approve(approved, &ana());
    let by_bo = world.submit("SELECT 2");
    world.approve(by_bo, &bo());
    let pending = world.submit("SELECT 3");
    let by_ana = world.verdict(pending, &ana(), Said::Approve);
    let limits = world.engine.rules.limits.clone();
    world
        .change_rules(rules(&[bo(), cy()], "1 of anyone", &limits))
        .unwrap();
    assert_eq!(world.state(approved), State::Invalidated);
    assert_eq!(world.state(by_bo), State::Approved);
    assert_eq!(world.state(pending), State::Pending);
    let error = world
        .ask(|reply| Command::Decide(pending, by_ana, reply))
        .unwrap_err();
    assert_eq!(error.code(), "rules-changed");
    assert!(world.redeem(approved).is_err());
    world.redeem(by_bo).unwrap();
    world.approve(pending, &cy());
    world.check();
}

#[test]
fn a_stricter_default_requirement_ends_what_was_asked_under_the_weaker_one() {
    let mut world = World::new();
    let pending = world.submit("SELECT 1");
    let approved = world.submit("SELECT 2");
    world.approve(approved, &ana());
    world.change_rules(everyone("2 of anyone")).unwrap();
    assert_eq!(world.state(pending), State::Invalidated);
    assert_eq!(world.state(approved), State::Invalidated);
    world.change_rules(everyone("1 of anyone")).unwrap();
    let weaker = world.submit("SELECT 3");
    assert_eq!(world.state(weaker), State::Pending);
    world.check();
}

#[test]
fn calls_behind_a_change_of_rules_are_judged_by_the_new_ones() {
    let mut world = World::new();
    let old = world.engine.rules.digest;
    let draft = Box::new(world.draft(&Ask::of("SELECT 1")));
    let limits = world.engine.rules.limits.clone();
    let second = Arc::new(rules(&[bo(), cy()], "1 of anyone", &limits));
    let third = Arc::new(rules(&[cy()], "1 of anyone", &limits));
    let (digest_2, digest_3) = (second.digest, third.digest);
    let (reply, mut submitted) = tokio::sync::oneshot::channel();
    let mut answers = Vec::new();
    let mut base = Arc::clone(&world.engine.rules);
    for rules in [second, third] {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let new = NewRules::of(&base, Arc::clone(&rules)).unwrap();
        world.push(Command::Rules(Box::new(new), reply));
        base = rules;
        answers.push(answer);
    }
    world.push(Command::Submit(draft, reply));
    world.drain();
    assert!(
        answers
            .iter_mut()
            .all(|answer| answer.try_recv().unwrap().is_ok())
    );
    let error = submitted.try_recv().unwrap().unwrap_err();
    assert!(matches!(error, EngineError::RulesChanged), "{error}");
    assert_eq!(
        world.rule_changes(),
        [(old, digest_2), (digest_2, digest_3)]
    );
    assert_eq!(world.engine.rules.digest, digest_3);
    world.check();
}

#[test]
fn r11_with_the_last_reviewer_gone_an_old_key_approves_nothing_and_nothing_stays_approved() {
    let mut world = World::new();
    let pending = world.submit("SELECT 1");
    let approved = world.submit("SELECT 2");
    world.approve(approved, &ana());
    let judged_before = world.verdict(pending, &bo(), Said::Approve);
    let nobody = rules(&[], "1 of anyone", &Limits::default());
    world.change_rules(nobody).unwrap();
    assert_eq!(world.state(approved), State::Invalidated);
    assert_eq!(world.redeem(approved).unwrap_err().code(), "invalidated");
    let error = world
        .ask(|reply| Command::Decide(pending, judged_before, reply))
        .unwrap_err();
    assert_eq!(error.code(), "rules-changed");
    let anew = world.statement(pending, &bo(), Said::Approve);
    let error = world.judge(pending, &bo(), &bo(), anew).unwrap_err();
    assert_eq!(error.code(), "not-in-roster");
    assert_eq!(world.state(pending), State::Pending);
    world.check();
}

#[test]
fn whoever_waits_is_proven_the_approval_whatever_was_written_about_the_request_since() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    let display = world.view(id).request.received().display;
    world
        .ask(|reply| Command::Open(id, "bo".to_owned(), display, reply))
        .unwrap();
    assert_eq!(world.types().last().unwrap(), "review.opened");
    let now = world.engine.now();
    let mut world = {
        assert_eq!(proven_to_a_waiter(&mut world, id), "request.approved");
        world.crash_and_start(now)
    };
    assert_eq!(proven_to_a_waiter(&mut world, id), "request.approved");
    world.redeem(id).unwrap();
    world.report(id, ended_well()).unwrap();
    assert_eq!(proven_to_a_waiter(&mut world, id), "execution.finished");
    world.check();
}

/// Returns the type of the entry that comes with the standing of a request.
fn proven_to_a_waiter(world: &mut World, id: RequestId) -> &'static str {
    let right = world.right(id);
    let following = world.ask(|reply| Query::Follow(id, right, reply)).unwrap();
    let at = following.standing.borrow().entry;
    let proven = world.ask(|reply| Query::Prove(at, 0, reply)).unwrap();
    check_inclusion(world, &proven);
    Entry::read(&proven.entry).unwrap().body.entry_type()
}
