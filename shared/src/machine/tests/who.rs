//! Who may do what, and when: everybody with every verb in every state, against the checked-in table
//! `testdata/who.txt`; and who has to have approved before a request is.
//!
//! A person is how they stand to the request and what they are in the roster. A new way to stand
//! behind a request, a new state, event or refusal does not compile here, or fails the test, until
//! the table has it.

use std::fmt::Write as _;

use super::people::{Setting, act, decision, person, rendering};
use super::table::worlds;
use super::world::World;
use crate::machine::{Event, Mode, Refused, Side, State};
use crate::requirement::{Member, Tier};
use crate::statement::{Outcome, Verdict};
use crate::time::Deadline;

/// How a person stands to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Not at all.
    Apart,
    /// It is their OS user that asks.
    Requester,
    /// Their OS user launched what asks.
    Launcher,
    /// The agent is theirs.
    Owner,
}

/// What a person is in the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// In a group that is asked.
    Seated,
    /// In no group that is asked.
    Elsewhere,
    /// Taken out of it since the request came.
    Removed,
    /// In a group that is asked, but the key is not theirs.
    ForeignKey,
}

/// What people do. Each is the event of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Open,
    Claim,
    Release,
    Approve,
    Deny,
    Escalate,
    Revoke,
    Kill,
    BreakGlass,
    CloseDebt,
    Settle,
}

const STANDS: [Stands; 4] = [
    Stands::Apart,
    Stands::Requester,
    Stands::Launcher,
    Stands::Owner,
];

const ROLES: [Role; 4] = [
    Role::Seated,
    Role::Elsewhere,
    Role::Removed,
    Role::ForeignKey,
];

const VERBS: [Verb; 11] = [
    Verb::Open,
    Verb::Claim,
    Verb::Release,
    Verb::Approve,
    Verb::Deny,
    Verb::Escalate,
    Verb::Revoke,
    Verb::Kill,
    Verb::BreakGlass,
    Verb::CloseDebt,
    Verb::Settle,
];

/// Returns the verb of an event; nothing when no person does it. A new event must say here which.
const fn verb_of(event: &Event) -> Option<Verb> {
    match event {
        Event::Opened { .. } => Some(Verb::Open),
        Event::Claimed { .. } => Some(Verb::Claim),
        Event::Released { .. } => Some(Verb::Release),
        Event::Decided(decision) => Some(match decision.verdict {
            Verdict::Approve => Verb::Approve,
            Verdict::Deny => Verb::Deny,
        }),
        Event::Escalated { .. } => Some(Verb::Escalate),
        Event::Revoked(_) => Some(Verb::Revoke),
        Event::KillRequested(_) => Some(Verb::Kill),
        Event::BreakGlass(_) => Some(Verb::BreakGlass),
        Event::DebtClosed(_) => Some(Verb::CloseDebt),
        Event::Settled { .. } => Some(Verb::Settle),
        Event::Received(_)
        | Event::PolicyEvaluated { .. }
        | Event::Refused { .. }
        | Event::Approved { .. }
        | Event::Denied { .. }
        | Event::Expired {}
        | Event::Withdrawn { .. }
        | Event::Superseded { .. }
        | Event::Invalidated { .. }
        | Event::Redeemed { .. }
        | Event::Lapsed {}
        | Event::Started { .. }
        | Event::Finished(_)
        | Event::NotRun { .. }
        | Event::Indeterminate { .. }
        | Event::RulesChanged(_)
        | Event::Detached {} => None,
    }
}

/// Returns the word of a refusal. A new one must say here which.
const fn word(refused: &Refused) -> &'static str {
    match refused {
        Refused::NoArrow { .. } => "-",
        Refused::OwnRequest { .. } => "own",
        Refused::NoSeat { .. } => "seat",
        Refused::ForeignKey { .. } => "key",
        Refused::Unchanged => "same",
        Refused::AlreadyDecided { .. } => "over",
        Refused::AlreadyRedeemed { .. } => "used",
        Refused::TooLate { .. } => "late",
        Refused::NoDebt => "none",
        Refused::OwnDebt { .. } => "mine",
        Refused::ClaimedBy { .. } => "held",
        Refused::Owed { .. } => "owed",
        Refused::DeadlinePassed { .. } => "time",
        Refused::NotYet => "soon",
        Refused::OtherBoot => "boot",
        Refused::StaleDigest => "hash",
        Refused::NotShown => "view",
        Refused::NotOwnRequest { .. } => "else",
        Refused::Assurance { .. } => "weak",
        Refused::ReasonRequired => "why",
        Refused::NotSatisfied => "more",
        Refused::ExecutorNotAllowed => "exec",
        Refused::EmptySettlement => "void",
    }
}

/// Returns the person of that kind. Every way to stand behind a request is one of [`Stands`].
fn member(stands: Stands, role: Role, side: &Side) -> Member {
    let Side {
        uid,
        launchers,
        owner,
    } = side;
    let mut member = person(match stands {
        Stands::Apart => "bo",
        Stands::Requester => "own",
        Stands::Launcher => "lia",
        Stands::Owner => "oda",
    });
    let ways = [
        member.uid == *uid,
        launchers.contains(&member.uid),
        owner.as_ref() == Some(&member.name),
    ];
    let expected = [Stands::Requester, Stands::Launcher, Stands::Owner].map(|it| it == stands);
    assert_eq!(ways, expected, "{stands:?}");
    if role == Role::Elsewhere {
        member.groups.clear();
    }
    member
}

fn event(verb: Verb, by: &Member, role: Role, own: bool, world: &World) -> Event {
    let key = |key: &mut String| {
        if role == Role::ForeignKey {
            "SHA256:thief/0".clone_into(key);
        }
    };
    let acted = || {
        let mut act = act(by.clone());
        key(&mut act.key);
        Box::new(act)
    };
    let decided = |verdict| {
        let mut decision = decision(verdict, by.clone());
        key(&mut decision.key);
        decision.self_attested = own && verdict == Verdict::Approve;
        Event::Decided(Box::new(decision))
    };
    let reviewer = by.name.clone();
    match verb {
        Verb::Open => Event::Opened {
            reviewer,
            display: rendering(),
        },
        Verb::Claim => Event::Claimed {
            reviewer,
            until: Deadline::after(&world.now(), std::time::Duration::from_secs(5)),
        },
        Verb::Release => Event::Released { reviewer },
        Verb::Approve => decided(Verdict::Approve),
        Verb::Deny => decided(Verdict::Deny),
        Verb::Escalate => Event::Escalated { act: Some(acted()) },
        Verb::Revoke => Event::Revoked(acted()),
        Verb::Kill => Event::KillRequested(acted()),
        Verb::BreakGlass => Event::BreakGlass(acted()),
        Verb::CloseDebt => Event::DebtClosed(acted()),
        Verb::Settle => Event::Settled {
            report: None,
            act: Some(acted()),
            outcome: Some(Outcome::Failed),
        },
    }
}

/// What becomes of one verb of one person in one state.
fn cell(setting: &Setting, state: State, verb: Verb, stands: Stands, role: Role) -> &'static str {
    let mut world = worlds(setting, state);
    let by = member(stands, role, &world.received.side);
    if role == Role::Removed {
        let left = world.roster.iter().filter(|it| it.name != by.name);
        let left = left.cloned().collect();
        // What is over hears of no change.
        let _over = world.tries(world.rules_with(left));
        assert_eq!(world.state(), state, "removing {} moved it", by.name);
    }
    let own = setting.mode == Mode::User && stands != Stands::Apart;
    let event = event(verb, &by, role, own, &world);
    assert_eq!(verb_of(&event), Some(verb));
    match world.tries(event) {
        Ok(()) => "yes",
        Err(refused) => word(&refused),
    }
}

fn who() -> String {
    let mut table = String::from(
        "# Who may do what, and when: everybody with every verb in every state.\n\
         #\n\
         # A person stands apart from the request, or behind it: as its requester, as who launched\n\
         # it, or as the owner of the agent. In the roster the person is in a group that is asked\n\
         # (`in`), in none that is (`out`), removed since (`gone`), or signs with a key that is not\n\
         # theirs (`key`). Every request that got beyond pending got there because ana broke the\n\
         # glass, and owes a review. To open, claim and release carries no authority: who may\n\
         # connect is looked at before. What is over hears of nobody's removal; whoever asks then\n\
         # is looked at by the daemon.\n\
         #\n\
         # yes: taken   -: no such arrow   own: stands behind the request   seat: in no group asked\n\
         # key: not a key of the person's   same: changes nothing   over: decided already\n\
         # used: the one use is taken   late: too late   none: no debt\n",
    );
    let system = Setting::default();
    let user = Setting {
        mode: Mode::User,
        self_attest: true,
        tier: Tier::High,
        ..Setting::default()
    };
    for (name, setting) in [
        ("system mode, 1 of sre", &system),
        ("user mode, 1 of sre, who may attest for themselves", &user),
    ] {
        writeln!(table, "\n## {name}\n").unwrap();
        let heads = ["apart", "requester", "launcher", "owner"];
        let mut line = format!("{:<14}", "");
        for head in heads {
            write!(line, "{head:<22}").unwrap();
        }
        writeln!(table, "{}", line.trim_end()).unwrap();
        let roles = "in   out  gone key    ".repeat(4);
        writeln!(table, "{:<14}{}", "", roles.trim_end()).unwrap();
        for state in State::ALL {
            writeln!(table, "{state}").unwrap();
            for verb in VERBS {
                let mut line = format!("  {:<12}", format!("{verb:?}").to_lowercase());
                for stands in STANDS {
                    for role in ROLES {
                        let cell = cell(setting, state, verb, stands, role);
                        write!(line, "{cell:<5}").unwrap();
                    }
                    line.push_str("  ");
                }
                writeln!(table, "{}", line.trim_end()).unwrap();
            }
        }
    }
    table
}

/// Which of these people have to have approved before a request is approved.
fn quorum() -> String {
    let people = ["ana", "bo", "cy", "di"];
    let mut table = String::from(
        "\n## Enough\n\
         #\n\
         # ana is in dba and sre, bo in sre, cy in dba, di in no group. Each approves once, and once\n\
         # more with the other key.\n\n",
    );
    for reviews in [
        vec!["1 of anyone"],
        vec!["2 of anyone"],
        vec!["1 of sre"],
        vec!["1 of dba and 1 of sre"],
        vec!["2 of dba and 1 of sre"],
        vec!["1 of dba", "1 of sre"],
        vec!["2 of anyone", "1 of sre"],
    ] {
        writeln!(table, "{}", reviews.join(", and ")).unwrap();
        for chosen in 0..1_u8 << people.len() {
            let setting = Setting {
                reviews: reviews.clone(),
                ..Setting::default()
            };
            let mut world = worlds(&setting, State::Pending);
            let mut names = Vec::new();
            for (index, name) in people.iter().enumerate() {
                if chosen & (1 << index) == 0 {
                    continue;
                }
                names.push(*name);
                for number in [0, 1] {
                    let mut decision = decision(Verdict::Approve, person(name));
                    decision.key = super::people::key(name, number);
                    let _taken = world.tries(Event::Decided(Box::new(decision)));
                }
            }
            let missing = world
                .request
                .missing()
                .map_or(String::new(), |missing| format!(": {missing}"));
            let line = format!("  {:<14}{}{missing}", names.join(" "), world.state());
            writeln!(table, "{}", line.trim_end()).unwrap();
        }
    }
    table
}

#[test]
fn everybody_may_do_with_every_request_what_the_table_says_and_no_more() {
    let table = format!("{}{}", who(), quorum());
    let written = include_str!("../../../testdata/who.txt");
    assert!(table == written, "the table is now:\n{table}");
}

#[test]
fn nobody_behind_a_request_and_nobody_without_a_seat_or_key_approves_anything_in_the_table() {
    let system = Setting::default();
    for state in State::ALL {
        for verb in [Verb::Approve, Verb::BreakGlass] {
            for stands in STANDS {
                for role in ROLES {
                    let cell = cell(&system, state, verb, stands, role);
                    // Who breaks the glass needs no seat.
                    let may = state == State::Pending
                        && stands == Stands::Apart
                        && (role == Role::Seated
                            || (verb == Verb::BreakGlass && role == Role::Elsewhere));
                    assert_eq!(cell == "yes", may, "{state} {verb:?} {stands:?} {role:?}");
                }
            }
        }
    }
}
