//! Every state with every event, against the checked-in table `testdata/machine.txt`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::people::{Setting, act, decision, document, everybody, other, person, rendering};
use super::world::World;
use crate::id::RequestId;
use crate::machine::{Event, Executor, PolicyOutcome, RunEnd, RunOutcome, State, Via, Withdrawal};
use crate::statement::{Outcome, Verdict};
use crate::time::Deadline;

/// How many kinds of event [`number`] knows.
const KINDS: usize = 27;

/// Numbers the kinds of event. Whoever adds one must number it here, raise [`KINDS`], and say in
/// [`samples`] how it is tried.
fn number(event: &Event) -> usize {
    match event {
        Event::Received(_) => 0,
        Event::PolicyEvaluated { .. } => 1,
        Event::Refused { .. } => 2,
        Event::Opened { .. } => 3,
        Event::Claimed { .. } => 4,
        Event::Released { .. } => 5,
        Event::Decided(_) => 6,
        Event::Approved { .. } => 7,
        Event::Denied { .. } => 8,
        Event::Expired {} => 9,
        Event::Withdrawn { .. } => 10,
        Event::Superseded { .. } => 11,
        Event::Invalidated { .. } => 12,
        Event::Redeemed { .. } => 13,
        Event::Revoked(_) => 14,
        Event::Lapsed {} => 15,
        Event::Escalated { .. } => 16,
        Event::BreakGlass(_) => 17,
        Event::DebtClosed(_) => 18,
        Event::Started { .. } => 19,
        Event::Finished(_) => 20,
        Event::NotRun { .. } => 21,
        Event::Indeterminate { .. } => 22,
        Event::KillRequested(_) => 23,
        Event::Settled { .. } => 24,
        Event::RulesChanged(_) => 25,
        Event::Detached {} => 26,
    }
}

pub(super) fn run_end(outcome: RunOutcome) -> RunEnd {
    RunEnd {
        outcome,
        exit: Some(0),
        signal: None,
        stdout: Some(other()),
        stderr: None,
        duration_ms: Some(12),
    }
}

pub(super) fn policy(outcome: PolicyOutcome) -> Event {
    Event::PolicyEvaluated {
        outcome,
        policies: vec!["exports".to_owned()],
        because: "that is the policy".to_owned(),
    }
}

pub(super) fn decided(verdict: Verdict, name: &str) -> Event {
    Event::Decided(Box::new(decision(verdict, person(name))))
}

pub(super) fn redeemed(world: &World, executor: Executor) -> Event {
    let span = Duration::from_secs(u64::from(world.setting.max_run_s));
    Event::Redeemed {
        executor,
        digest: document(),
        until: Deadline::after(&world.now(), span),
        by: None,
    }
}

fn because() -> String {
    "because".to_owned()
}

/// Every kind of event in the forms that may lead to different states.
fn samples(world: &World) -> Vec<Event> {
    let lease = Deadline::after(&world.now(), Duration::from_secs(5));
    vec![
        Event::Received(Box::new(world.received.clone())),
        policy(PolicyOutcome::Refuse),
        policy(PolicyOutcome::Permit),
        policy(PolicyOutcome::Hold),
        Event::Refused { because: because() },
        Event::Opened {
            reviewer: "bo".to_owned(),
            display: rendering(),
        },
        Event::Claimed {
            reviewer: "bo".to_owned(),
            until: lease.clone(),
        },
        Event::Released {
            reviewer: "ana".to_owned(),
        },
        decided(Verdict::Approve, "bo"),
        decided(Verdict::Deny, "bo"),
        Event::Approved {
            via: Via::Policy,
            until: lease.clone(),
        },
        Event::Approved {
            via: Via::BreakGlass,
            until: lease,
        },
        Event::Denied {
            reviewer: "bo".to_owned(),
            reason: because(),
        },
        Event::Detached {},
        Event::Expired {},
        Event::Withdrawn {
            because: Withdrawal::Asked,
        },
        Event::Withdrawn {
            because: Withdrawal::WaitersGone,
        },
        Event::Superseded {
            by: RequestId::from_bytes([8; 16]),
        },
        Event::Invalidated { because: because() },
        redeemed(world, Executor::Agent),
        redeemed(world, Executor::Daemon),
        Event::Revoked(Box::new(act(person("bo")))),
        Event::Lapsed {},
        Event::Escalated { act: None },
        Event::BreakGlass(Box::new(act(person("bo")))),
        Event::DebtClosed(Box::new(act(person("bo")))),
        Event::Started { pid: Some(1) },
        Event::Finished(run_end(RunOutcome::Succeeded)),
        Event::Finished(run_end(RunOutcome::Failed)),
        Event::Finished(run_end(RunOutcome::Killed)),
        Event::NotRun { because: because() },
        Event::Indeterminate { because: because() },
        Event::KillRequested(Box::new(act(person("bo")))),
        Event::Settled {
            report: Some(run_end(RunOutcome::Failed)),
            act: None,
            outcome: None,
        },
        Event::Settled {
            report: None,
            act: Some(Box::new(act(person("bo")))),
            outcome: Some(Outcome::NotRun),
        },
        world.rules_with(everybody()),
        world.rules_with(vec![person("bo")]),
    ]
}

/// Leads a request into a state, by the glass that ana broke where it gets that far, so that every
/// later state is reached with a debt.
pub(super) fn worlds(setting: &Setting, state: State) -> World {
    let mut world = World::new(setting.clone());
    if state == State::Received {
        return world;
    }
    if state == State::Refused {
        world.take(policy(PolicyOutcome::Refuse));
        return world;
    }
    world.take(policy(PolicyOutcome::Hold));
    let last = match state {
        State::Received | State::Refused | State::Pending => None,
        State::Denied => Some(decided(Verdict::Deny, "bo")),
        State::Expired => {
            world.clocks.pass(Duration::from_secs(1000));
            Some(Event::Expired {})
        }
        State::Withdrawn => Some(Event::Withdrawn {
            because: Withdrawal::Asked,
        }),
        State::Superseded => Some(Event::Superseded {
            by: RequestId::from_bytes([8; 16]),
        }),
        State::Invalidated => Some(Event::Invalidated { because: because() }),
        State::Approved
        | State::Revoked
        | State::Lapsed
        | State::Redeemed
        | State::Running
        | State::NotRun
        | State::Indeterminate
        | State::Succeeded
        | State::Failed
        | State::Killed
        | State::Settled => Some(Event::BreakGlass(Box::new(act(person("ana"))))),
    };
    if let Some(last) = last {
        world.take(last);
    }
    match state {
        State::Revoked => world.take(Event::Revoked(Box::new(act(person("cy"))))),
        State::Lapsed => {
            world.clocks.pass(Duration::from_secs(1000));
            world.take(Event::Lapsed {});
        }
        State::Redeemed
        | State::Running
        | State::NotRun
        | State::Indeterminate
        | State::Succeeded
        | State::Failed
        | State::Killed
        | State::Settled => run(&mut world, state),
        State::Received
        | State::Refused
        | State::Pending
        | State::Approved
        | State::Denied
        | State::Expired
        | State::Withdrawn
        | State::Superseded
        | State::Invalidated => {}
    }
    assert_eq!(world.state(), state);
    world
}

fn run(world: &mut World, state: State) {
    world.take(redeemed(world, Executor::Daemon));
    if state == State::Redeemed {
        return;
    }
    if state == State::NotRun {
        return world.take(Event::NotRun { because: because() });
    }
    world.take(Event::Started { pid: None });
    let end = match state {
        State::Succeeded => Some(RunOutcome::Succeeded),
        State::Failed => Some(RunOutcome::Failed),
        State::Killed => Some(RunOutcome::Killed),
        _ => None,
    };
    if let Some(outcome) = end {
        world.take(Event::Finished(run_end(outcome)));
    } else if state != State::Running {
        world.take(Event::Indeterminate { because: because() });
        if state == State::Settled {
            world.take(Event::Settled {
                report: Some(run_end(RunOutcome::Failed)),
                act: None,
                outcome: None,
            });
        }
    }
}

/// The word of a refusal: the variant's name.
fn word(refused: &crate::machine::Refused) -> String {
    let text = format!("{refused:?}");
    text.split([' ', '{']).next().unwrap().to_owned()
}

/// What becomes of an event in a state: each form of it, in time and when every deadline is over.
fn cell(state: State, kind: usize) -> String {
    let asked = Setting::default();
    let unasked = Setting {
        reviews: Vec::new(),
        ..Setting::default()
    };
    let (mut to, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for setting in [asked, unasked] {
        for late in [false, true] {
            let mut start = worlds(&setting, state);
            if late {
                start.clocks.pass(Duration::from_secs(10_000));
            }
            for event in samples(&start) {
                if number(&event) != kind {
                    continue;
                }
                let mut world = start.clone();
                match world.tries(event) {
                    Ok(()) => to.insert(world.state()),
                    Err(why) => refused.insert(word(&why)),
                };
            }
        }
    }
    if to.is_empty() && refused.len() == 1 && refused.contains("NoArrow") {
        return "-".to_owned();
    }
    let to: Vec<&str> = to.into_iter().map(State::word).collect();
    let refused: Vec<String> = refused.into_iter().collect();
    match (to.is_empty(), refused.is_empty()) {
        (_, true) => to.join(" "),
        (true, false) => format!("! {}", refused.join(" ")),
        (false, false) => format!("{} ! {}", to.join(" "), refused.join(" ")),
    }
}

#[test]
fn every_state_takes_every_event_as_the_table_says() {
    let names: Vec<&str> = {
        let all = samples(&World::new(Setting::default()));
        let mut names = vec![None; KINDS];
        for event in &all {
            names[number(event)] = Some(event.entry_type());
        }
        names
            .into_iter()
            .map(|name| name.expect("an event that no sample tries"))
            .collect()
    };
    let mut table = String::from(
        "# What becomes of each event in each state, with the events it owes.\n\
         # `-`: the state has no such arrow. Words: the states it may lead to. After `!`: why it\n\
         # may be refused. Tried with and without reviewers asked, in time and late.\n",
    );
    for state in State::ALL {
        writeln!(table, "\n{state}").unwrap();
        for (kind, name) in names.iter().enumerate() {
            writeln!(table, "  {name:<26}{}", cell(state, kind)).unwrap();
        }
    }
    let written = include_str!("../../../testdata/machine.txt");
    assert!(
        table == written,
        "the table of the machine is now:\n{table}"
    );
}

#[test]
fn every_state_has_one_word() {
    let words: BTreeSet<&str> = State::ALL.into_iter().map(State::word).collect();
    assert_eq!(words.len(), State::ALL.len());
    for state in State::ALL {
        assert_eq!(State::from_word(state.word()), Some(state));
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(json, format!("\"{state}\""));
    }
    assert_eq!(State::from_word("Approved"), None);
}
