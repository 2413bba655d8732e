//! What is played: steps that are mostly the way a request should go, mixed with everything that
//! should not happen.

use std::time::Duration;

use proptest::prelude::*;

use super::people::{Setting, act, document, everybody, key, other, rendering};
use super::table::{policy, run_end};
use super::world::World;
use crate::id::RequestId;
use crate::machine::{
    Act, Decision, Event, Executor, Mode, PolicyOutcome, RunOutcome, State, Via, Withdrawal,
};
use crate::requirement::{Assurance, Member, RunBy, Tier};
use crate::statement::{Outcome, Verdict};
use crate::time::{Deadline, Timestamp};

/// How a person's act is made, and what is wrong with it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn on its own")]
pub(super) struct Signed {
    who: usize,
    key: u8,
    foreign_key: bool,
    stale_digest: bool,
    stale_display: bool,
    silent: bool,
    wrong_side: bool,
    assurance: Assurance,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The next thing on the way, if the state has one.
    Advance(Signed, u8),
    Approve(Signed),
    Deny(Signed),
    Revoke(Signed),
    BreakGlass(Signed),
    CloseDebt(Signed),
    Kill(Signed),
    Escalate(Option<Signed>),
    Settle(Option<Signed>, bool),
    Redeem {
        daemon: bool,
        stale: bool,
        span_s: u32,
    },
    /// An event without anything to choose, by number.
    Plain(u8),
    /// What time alone brings about.
    Due,
    /// The roster keeps these people; one of them loses the first key, and one moves to the
    /// requester's account.
    Rules {
        keeps: u8,
        rekeyed: usize,
        moved: usize,
    },
    Pass(u32),
    SetWall(i64),
    Reboot(u32),
}

fn signed() -> impl Strategy<Value = Signed> {
    let rarely = || prop::bool::weighted(0.06);
    (
        // Those who may approve are the more frequent ones.
        prop_oneof![4 => 0usize..3, 1 => 3usize..7],
        0u8..2,
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        prop_oneof![
            6 => Just(Assurance::Touch),
            1 => Just(Assurance::Passphrase),
            1 => Just(Assurance::Unlocked),
            1 => Just(Assurance::File),
        ],
    )
        .prop_map(
            |(
                who,
                key,
                foreign_key,
                stale_digest,
                stale_display,
                silent,
                wrong_side,
                assurance,
            )| {
                Signed {
                    who,
                    key,
                    foreign_key,
                    stale_digest,
                    stale_display,
                    silent,
                    wrong_side,
                    assurance,
                }
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (signed(), 0u8..32).prop_map(|(signed, pick)| Step::Advance(signed, pick)),
        6 => signed().prop_map(Step::Approve),
        1 => signed().prop_map(Step::Deny),
        1 => signed().prop_map(Step::Revoke),
        1 => signed().prop_map(Step::BreakGlass),
        3 => signed().prop_map(Step::CloseDebt),
        1 => signed().prop_map(Step::Kill),
        1 => prop::option::of(signed()).prop_map(Step::Escalate),
        1 => (prop::option::of(signed()), any::<bool>())
            .prop_map(|(signed, report)| Step::Settle(signed, report)),
        3 => (any::<bool>(), prop::bool::weighted(0.1), 0u32..80)
            .prop_map(|(daemon, stale, span_s)| Step::Redeem { daemon, stale, span_s }),
        5 => (0u8..20).prop_map(Step::Plain),
        3 => Just(Step::Due),
        2 => (any::<u8>(), 0usize..28, 0usize..28)
            .prop_map(|(keeps, rekeyed, moved)| Step::Rules { keeps, rekeyed, moved }),
        5 => prop_oneof![6 => 0u32..4_000, 2 => 4_000u32..70_000, 1 => 70_000u32..200_000]
            .prop_map(Step::Pass),
        2 => (-200_000i64..200_000).prop_map(Step::SetWall),
        1 => (0u32..100_000).prop_map(Step::Reboot),
    ]
}

prop_compose! {
    fn setting()(
        mode in prop_oneof![Just(Mode::User), Just(Mode::System)],
        tier in prop_oneof![
            Just(Tier::Low), Just(Tier::Medium), Just(Tier::High), Just(Tier::Critical)
        ],
        assurance in prop_oneof![3 => Just(Assurance::File), 1 => Just(Assurance::Passphrase)],
        reason_required: bool,
        self_attest: bool,
        run_by in prop_oneof![Just(RunBy::Agent), Just(RunBy::Daemon)],
        displayable in prop::bool::weighted(0.93),
        attached: bool,
        reviews in prop_oneof![
            1 => Just(vec![]),
            3 => Just(vec!["1 of anyone"]),
            2 => Just(vec!["1 of sre"]),
            2 => Just(vec!["1 of dba and 1 of sre"]),
            1 => Just(vec!["2 of sre"]),
            1 => Just(vec!["3 of anyone"]),
            1 => Just(vec!["1 of dba", "1 of sre"]),
            1 => Just(vec!["1 of anyone and 1 of dba", "2 of anyone"]),
        ],
        ttl_s in prop_oneof![1 => 0u32..5, 5 => 20u32..120],
        grant_s in prop_oneof![1 => 0u32..5, 5 => 10u32..60],
        max_run_s in prop_oneof![1 => 0u32..5, 5 => 10u32..60],
    ) -> Setting {
        Setting {
            mode, tier, assurance, reason_required, self_attest, run_by, displayable, attached,
            reviews, ttl_s, grant_s, max_run_s,
        }
    }
}

/// A life to be played: each step, and whether what is owed is applied at once.
pub(super) type Life = (Setting, Vec<(Step, bool)>);

pub(super) fn life() -> impl Strategy<Value = Life> {
    (
        setting(),
        prop::collection::vec((step(), prop::bool::weighted(0.9)), 1..50),
    )
}

/// Plays a life and calls `check` after every step.
pub(super) fn play(
    (setting, steps): &Life,
    check: impl Fn(&World) -> Result<(), TestCaseError>,
) -> Result<World, TestCaseError> {
    let mut world = World::new(setting.clone());
    check(&world)?;
    for (step, promptly) in steps {
        // Refusals are judged by `check`, from the record.
        if let Some(event) = concrete(&mut world, step)
            && world.offer(event).is_ok()
            && *promptly
        {
            while let Some(owed) = world.request.owed().cloned() {
                check(&world)?;
                let settled = world.offer(owed);
                prop_assert_eq!(settled, Ok(()), "an owed event must be possible");
            }
        }
        check(&world)?;
    }
    Ok(world)
}

fn member(world: &World, signed: &Signed) -> Member {
    let all = everybody();
    let who = &all[signed.who % all.len()];
    // Somebody who is no longer in the roster tries with what the roster said before.
    let listed = world.roster.iter().find(|member| member.name == who.name);
    listed.unwrap_or(who).clone()
}

fn act_of(world: &World, signed: &Signed) -> Act {
    let member = member(world, signed);
    let mut act = act(member);
    act.key = key_of(&act.member, signed);
    if signed.silent {
        " ".clone_into(&mut act.reason);
    }
    act
}

fn key_of(member: &Member, signed: &Signed) -> String {
    let owner = if signed.foreign_key {
        "mallory"
    } else {
        &member.name
    };
    key(owner, signed.key)
}

fn decision_of(world: &World, signed: &Signed, verdict: Verdict) -> Event {
    let member = member(world, signed);
    let own = world.received.side.uid == member.uid
        || world.received.side.launchers.contains(&member.uid)
        || world.received.side.owner.as_deref() == Some(&member.name);
    Event::Decided(Box::new(Decision {
        at: Timestamp::from_millis(0),
        verdict,
        key: key_of(&member, signed),
        member,
        assurance: signed.assurance,
        self_attested: own != signed.wrong_side,
        reason: if signed.silent { "" } else { "looked at it" }.to_owned(),
        digest: if signed.stale_digest {
            other()
        } else {
            document()
        },
        display: if signed.stale_display {
            other()
        } else {
            rendering()
        },
        statement_base64: "e30=".to_owned(),
        sshsig: "signature".to_owned(),
    }))
}

fn redeem(world: &World, daemon: bool, stale: bool, span_s: u32) -> Event {
    Event::Redeemed {
        by: None,
        executor: if daemon {
            Executor::Daemon
        } else {
            Executor::Agent
        },
        digest: if stale { other() } else { document() },
        until: Deadline::after(&world.now(), Duration::from_secs(u64::from(span_s))),
    }
}

fn outcome(pick: u8) -> RunOutcome {
    match pick % 3 {
        0 => RunOutcome::Succeeded,
        1 => RunOutcome::Failed,
        _ => RunOutcome::Killed,
    }
}

fn because() -> String {
    "because".to_owned()
}

fn concrete(world: &mut World, step: &Step) -> Option<Event> {
    match step {
        Step::Advance(signed, pick) => advance(world, signed, *pick),
        Step::Approve(signed) => Some(decision_of(world, signed, Verdict::Approve)),
        Step::Deny(signed) => Some(decision_of(world, signed, Verdict::Deny)),
        Step::Revoke(signed) => Some(Event::Revoked(Box::new(act_of(world, signed)))),
        Step::BreakGlass(signed) => Some(Event::BreakGlass(Box::new(act_of(world, signed)))),
        Step::CloseDebt(signed) => Some(Event::DebtClosed(Box::new(act_of(world, signed)))),
        Step::Kill(signed) => Some(Event::KillRequested(Box::new(act_of(world, signed)))),
        Step::Escalate(signed) => Some(Event::Escalated {
            act: signed
                .as_ref()
                .map(|signed| Box::new(act_of(world, signed))),
        }),
        Step::Settle(signed, report) => Some(Event::Settled {
            report: report.then(|| run_end(RunOutcome::Failed)),
            act: signed
                .as_ref()
                .map(|signed| Box::new(act_of(world, signed))),
            outcome: signed.as_ref().map(|_| Outcome::Failed),
        }),
        Step::Redeem {
            daemon,
            stale,
            span_s,
        } => Some(redeem(world, *daemon, *stale, *span_s)),
        Step::Plain(number) => Some(plain(world, *number)),
        Step::Due => world.request.due(&world.now()),
        Step::Rules {
            keeps,
            rekeyed,
            moved,
        } => Some(rules(world, *keeps, *rekeyed, *moved)),
        Step::Pass(span) => {
            world.clocks.pass(Duration::from_millis(u64::from(*span)));
            None
        }
        Step::SetWall(offset) => {
            world.clocks.offset = *offset;
            None
        }
        Step::Reboot(span) => {
            world.clocks.pass(Duration::from_millis(u64::from(*span)));
            world.clocks.reboot();
            None
        }
    }
}

fn advance(world: &World, signed: &Signed, pick: u8) -> Option<Event> {
    if let Some(owed) = world.request.owed() {
        return Some(owed.clone());
    }
    match world.state() {
        State::Received => Some(policy(match pick {
            0 => PolicyOutcome::Refuse,
            _ if world.setting.reviews.is_empty() => PolicyOutcome::Permit,
            _ => PolicyOutcome::Hold,
        })),
        State::Pending if pick == 0 => Some(Event::BreakGlass(Box::new(act_of(world, signed)))),
        State::Pending => Some(decision_of(world, signed, Verdict::Approve)),
        State::Approved => {
            let daemon = world.setting.run_by == RunBy::Daemon || pick.is_multiple_of(2);
            let max = world.setting.max_run_s;
            Some(redeem(world, daemon, false, max))
        }
        State::Redeemed => Some(match pick {
            0 | 1 => Event::NotRun { because: because() },
            2 => Event::Indeterminate { because: because() },
            _ => Event::Started { pid: Some(7) },
        }),
        State::Running if pick < 6 => Some(Event::Indeterminate { because: because() }),
        State::Running => Some(Event::Finished(run_end(outcome(pick)))),
        State::Indeterminate => Some(Event::Settled {
            report: Some(run_end(outcome(pick))),
            act: None,
            outcome: None,
        }),
        State::Refused
        | State::Denied
        | State::Expired
        | State::Withdrawn
        | State::Superseded
        | State::Invalidated
        | State::Revoked
        | State::Lapsed
        | State::NotRun
        | State::Succeeded
        | State::Failed
        | State::Killed
        | State::Settled => None,
    }
}

fn plain(world: &World, number: u8) -> Event {
    let soon = Deadline::after(&world.now(), Duration::from_secs(5));
    let reviewer = "ana".to_owned();
    match number {
        0 => Event::Received(Box::new(world.received.clone())),
        1 => policy(PolicyOutcome::Permit),
        2 => policy(PolicyOutcome::Hold),
        3 => Event::Refused { because: because() },
        4 => Event::Opened {
            reviewer,
            display: rendering(),
        },
        5 => Event::Opened {
            reviewer,
            display: other(),
        },
        6 => Event::Claimed {
            reviewer,
            until: soon,
        },
        7 => Event::Claimed {
            reviewer: "bo".to_owned(),
            until: soon,
        },
        8 => Event::Released { reviewer },
        9 => Event::Approved {
            via: Via::Reviewers,
            until: soon,
        },
        10 => Event::Approved {
            via: Via::Policy,
            until: soon,
        },
        11 => Event::Denied {
            reviewer,
            reason: because(),
        },
        12 => Event::Expired {},
        13 => Event::Lapsed {},
        14 => Event::Withdrawn {
            because: Withdrawal::WaitersGone,
        },
        15 => Event::Superseded {
            by: RequestId::from_bytes([8; 16]),
        },
        16 => Event::Started { pid: None },
        17 => Event::Finished(run_end(RunOutcome::Succeeded)),
        18 => Event::NotRun { because: because() },
        _ => Event::Indeterminate { because: because() },
    }
}

fn rules(world: &World, keeps: u8, rekeyed: usize, moved: usize) -> Event {
    let members = everybody()
        .into_iter()
        .enumerate()
        .filter(|(index, _)| keeps & (1 << index) != 0)
        .map(|(index, mut member)| {
            if index == rekeyed {
                member.keys.remove(&key(&member.name, 0));
            }
            if index == moved {
                member.uid = world.received.side.uid;
            }
            member
        })
        .collect();
    world.rules_with(members)
}
