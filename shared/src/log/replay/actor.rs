//! Who can have brought an event about.

use super::Problem;
use crate::log::entry::{Actor, ActorKind, Entry};
use crate::machine::{Act, Event, Executor, Withdrawal};
use crate::requirement::Member;

/// Tells whether an actor can have brought an event about; `agent` is the one that asked.
///
/// What only ever follows another event is by that one's actor, which is checked where it follows.
fn fits(event: &Event, actor: &Actor, agent: &Actor) -> bool {
    let daemon = actor.kind == ActorKind::Daemon;
    let holder = actor == agent;
    match event {
        Event::Received(received) => {
            actor.kind == ActorKind::Agent && actor.uid == Some(received.side.uid)
        }
        Event::Decided(decision) => is(actor, &decision.member),
        Event::Revoked(act)
        | Event::KillRequested(act)
        | Event::DebtClosed(act)
        | Event::BreakGlass(act) => signed(actor, act),
        Event::Escalated { act } => act.as_ref().map_or(daemon, |act| signed(actor, act)),
        Event::Settled { act, .. } => act.as_ref().map_or(holder, |act| signed(actor, act)),
        Event::Opened { reviewer, .. }
        | Event::Claimed { reviewer, .. }
        | Event::Released { reviewer } => {
            actor.kind == ActorKind::Reviewer && actor.id == *reviewer
        }
        Event::Detached {}
        | Event::Withdrawn {
            because: Withdrawal::Asked,
        }
        | Event::Redeemed {
            executor: Executor::Agent,
            ..
        } => holder,
        Event::Redeemed {
            executor: Executor::Daemon,
            ..
        }
        | Event::Started { .. }
        | Event::Finished(_)
        | Event::NotRun { .. } => holder || daemon,
        Event::PolicyEvaluated { .. }
        | Event::Expired {}
        | Event::Lapsed {}
        | Event::Indeterminate { .. }
        | Event::Invalidated { .. }
        | Event::Withdrawn {
            because: Withdrawal::WaitersGone,
        }
        | Event::RulesChanged(_) => daemon,
        Event::Refused { .. }
        | Event::Approved { .. }
        | Event::Denied { .. }
        | Event::Superseded { .. } => true,
    }
}

/// Tells whether the actor is the person whose signed word it is.
pub(super) fn signed(actor: &Actor, act: &Act) -> bool {
    is(actor, &act.member)
}

fn is(actor: &Actor, member: &Member) -> bool {
    actor.kind == ActorKind::Reviewer && actor.id == member.name && actor.uid == Some(member.uid)
}

/// Refuses an event that the actor of its entry cannot have brought about.
pub(super) fn check_actor(entry: &Entry, event: &Event, agent: &Actor) -> Result<(), Problem> {
    if fits(event, &entry.actor, agent) {
        Ok(())
    } else {
        Err(not_by(entry, event.entry_type()))
    }
}

/// Refuses an entry that is not the daemon's own.
pub(super) fn check_daemon(entry: &Entry, entry_type: &'static str) -> Result<(), Problem> {
    if entry.actor.kind == ActorKind::Daemon {
        Ok(())
    } else {
        Err(not_by(entry, entry_type))
    }
}

/// Says that an entry is by somebody who cannot have written it.
pub(super) fn not_by(entry: &Entry, entry_type: &'static str) -> Problem {
    Problem::Actor {
        entry_type,
        found: entry.actor.id.escape_default().to_string(),
    }
}
