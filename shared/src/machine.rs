//! The request machine: one value per request, changed only by [`Request::apply`].
//!
//! Pure and deterministic: time is an argument, effects are returned, and the daemon performs them.
//! It knows nothing of sockets, tables or files. Each event is one entry of the log, so replaying
//! the entries gives the same states. An event that obliges another one says so with
//! [`Effect::Follow`]; until that one is applied, nothing else is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::RequestId;
use crate::requirement::{Member, Requirement};
use crate::statement::Outcome;
use crate::time::{Deadline, Moment};

mod deciding;
mod event;
mod glass;
mod refused;
mod running;
mod state;
#[cfg(test)]
mod tests;

pub use event::{
    Act, Decision, Event, Executor, Mode, PolicyOutcome, Received, Redeemer, RulesChanged,
    RulesVia, RunEnd, RunOutcome, Side, Signing, Via, Withdrawal,
};
pub use refused::Refused;
pub use state::{Phase, State};

/// What the daemon has to do after an event, once the event is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Apply this event next, at the same moment and in the same savepoint.
    Follow(Box<Event>),
    /// Look at the request again when this deadline comes.
    Arm(Deadline),
    /// Tell those who wait for the request.
    Wake,
    /// Tell the reviewers.
    Announce,
    /// Tell everyone: the glass was broken.
    Alarm,
    /// End the run.
    Kill,
}

/// By what right, and for how long, a request is approved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// By what right.
    pub via: Via,
    /// When it was given.
    pub at: Moment,
    /// When it ends unused.
    pub until: Deadline,
}

/// The one use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// When it was taken.
    pub at: Moment,
    /// Who runs it.
    pub executor: Executor,
    /// Who took it; nobody when the daemon runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Redeemer>,
    /// When the run must have ended.
    pub until: Deadline,
    /// When the run began, if it did.
    pub started: Option<Moment>,
    /// How it ended, if that is known.
    pub end: Option<RunEnd>,
    /// How it went by a person's word, if it took one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Outcome>,
}

/// A lease that says "I am on it". It carries no authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The person.
    pub reviewer: String,
    /// When the lease ends.
    pub until: Deadline,
}

/// A request with everything that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    id: RequestId,
    state: State,
    version: u64,
    received_at: Moment,
    received: Received,
    decisions: Vec<Decision>,
    /// The people of the roster as of the last change of rules; `None` while the roster of the
    /// time of each decision still stands.
    members: Option<Vec<Member>>,
    opened: BTreeSet<String>,
    claim: Option<Claim>,
    approval: Option<Approval>,
    redemption: Option<Redemption>,
    escalated: bool,
    /// Who broke the glass, until another person closes the debt.
    debt: Option<String>,
    /// The act that broke the glass.
    glass: Option<Box<Act>>,
    kill_requested: bool,
    /// The reason of the present state, as people are told.
    reason: String,
    owed: Option<Box<Event>>,
}

impl Request {
    /// Starts the life of a request. The event is the body of its first entry.
    pub fn receive(now: &Moment, id: RequestId, received: Received) -> (Self, Vec<Effect>) {
        let arm = Effect::Arm(received.expires.clone());
        let request = Self {
            id,
            state: State::Received,
            version: 1,
            received_at: now.clone(),
            received,
            decisions: Vec::new(),
            members: None,
            opened: BTreeSet::new(),
            claim: None,
            approval: None,
            redemption: None,
            escalated: false,
            debt: None,
            glass: None,
            kill_requested: false,
            reason: String::new(),
            owed: None,
        };
        (request, vec![arm])
    }

    /// Applies an event, or says why it is not possible. A refused event changes nothing.
    ///
    /// Returns what has to be done once the event is durable.
    pub fn apply(&mut self, now: &Moment, event: &Event) -> Result<Vec<Effect>, Refused> {
        match &self.owed {
            Some(owed) if **owed != *event => {
                return Err(Refused::Owed {
                    owed: owed.entry_type(),
                });
            }
            None if event.only_follows() => return Err(self.no_arrow(event)),
            Some(_) | None => {}
        }
        let mut next = self.clone();
        next.owed = None;
        let effects = next.step(now, event)?;
        next.version = next.version.saturating_add(1);
        next.owed = effects.iter().find_map(|effect| match effect {
            Effect::Follow(event) => Some(event.clone()),
            Effect::Arm(_) | Effect::Wake | Effect::Announce | Effect::Alarm | Effect::Kill => None,
        });
        *self = next;
        Ok(effects)
    }

    fn step(&mut self, now: &Moment, event: &Event) -> Result<Vec<Effect>, Refused> {
        match event {
            Event::Received(_) => Err(self.no_arrow(event)),
            Event::PolicyEvaluated {
                outcome, because, ..
            } => self.policy_evaluated(now, event, *outcome, because),
            Event::Refused { because } => Ok(self.end(State::Refused, because)),
            Event::Opened { reviewer, display } => self.opened(event, reviewer, *display),
            Event::Claimed { reviewer, until } => self.claimed(now, event, reviewer, until),
            Event::Released { reviewer } => self.released(event, reviewer),
            Event::Decided(decision) => self.decided(now, event, decision),
            Event::Approved { via, until } => self.approved(now, event, *via, until),
            Event::Denied { reason, .. } => Ok(self.end(State::Denied, reason)),
            Event::Detached {} => self.detached(event),
            Event::Expired {} => self.expired(now, event),
            Event::Withdrawn { because } => self.withdrawn(event, *because),
            Event::Superseded { by } => self.superseded(event, *by),
            Event::Invalidated { because } => self.invalidated(event, because),
            Event::Redeemed {
                executor,
                digest,
                until,
                by,
            } => self.redeemed(now, event, (*executor, *by), *digest, until),
            Event::Revoked(act) => self.revoked(event, act),
            Event::Lapsed {} => self.lapsed(now, event),
            Event::Escalated { act } => self.escalate(now, event, act.as_deref()),
            Event::BreakGlass(act) => self.break_glass(now, event, act),
            Event::DebtClosed(act) => self.debt_closed(act),
            Event::Started { .. } => self.started(now, event),
            Event::Finished(end) => self.finished(event, end),
            Event::NotRun { because } => self.not_run(event, because),
            Event::Indeterminate { because } => self.indeterminate(event, because),
            Event::KillRequested(act) => self.kill_requested(event, act),
            Event::Settled {
                report,
                act,
                outcome,
            } => self.settled(event, report.as_ref(), (act.as_deref(), *outcome)),
            Event::RulesChanged(rules) => self.rules_changed(event, rules),
        }
    }

    /// Returns the event that time alone brings about now, if there is one.
    ///
    /// The wall time of `now` must not be behind that of the last entry of the log: so a pending
    /// request of another boot is judged by the later of both (R10).
    pub fn due(&self, now: &Moment) -> Option<Event> {
        match self.state.phase() {
            Phase::Open if self.received.expires.has_passed(now) => Some(Event::Expired {}),
            Phase::Granted => {
                let approval = self.approval.as_ref()?;
                let over = approval.until.has_passed(now) || !approval.until.is_on_boot_of(now);
                over.then_some(Event::Lapsed {})
            }
            Phase::Taken | Phase::Running => {
                let redemption = self.redemption.as_ref()?;
                let because = if !redemption.until.is_on_boot_of(now) {
                    "the machine was started again while it ran"
                } else if redemption.until.has_passed(now) {
                    "no report came before the run's time was over"
                } else {
                    return None;
                };
                Some(Event::Indeterminate {
                    because: because.to_owned(),
                })
            }
            Phase::Intake | Phase::Open | Phase::Unknown | Phase::Ended => None,
        }
    }

    /// Tells whether a person asked for the end of the run.
    pub const fn is_to_be_killed(&self) -> bool {
        self.kill_requested
    }

    /// Returns the deadline that ends the present state, if one does.
    pub fn deadline(&self) -> Option<&Deadline> {
        match self.state.phase() {
            Phase::Open => Some(&self.received.expires),
            Phase::Granted => self.approval.as_ref().map(|approval| &approval.until),
            Phase::Taken | Phase::Running => {
                self.redemption.as_ref().map(|redemption| &redemption.until)
            }
            Phase::Intake | Phase::Unknown | Phase::Ended => None,
        }
    }

    /// Returns the request's id.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Returns where the request stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Returns how many events were applied.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Returns when the request was received.
    pub const fn received_at(&self) -> &Moment {
        &self.received_at
    }

    /// Returns the first event.
    pub const fn received(&self) -> &Received {
        &self.received
    }

    /// Returns the digest of the request document.
    pub const fn digest(&self) -> Digest {
        self.received.digest
    }

    /// Returns what must happen before the request may pass.
    pub const fn requirement(&self) -> &Requirement {
        &self.received.requirement
    }

    /// Returns all decisions, in the order they were recorded.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Returns the lease on the request.
    pub const fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// Returns the approval, if one was given.
    pub const fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }

    /// Returns the redemption, if the one use was taken.
    pub const fn redemption(&self) -> Option<&Redemption> {
        self.redemption.as_ref()
    }

    /// Returns the reason of the present state, empty when there is none.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the event that must follow before any other.
    pub fn owed(&self) -> Option<&Event> {
        self.owed.as_deref()
    }

    /// Tells whether somebody called for more eyes.
    pub const fn is_escalated(&self) -> bool {
        self.escalated
    }

    /// Returns who broke the glass, while nobody has reviewed it.
    pub fn debt(&self) -> Option<&str> {
        self.debt.as_deref()
    }

    fn no_arrow(&self, event: &Event) -> Refused {
        Refused::NoArrow {
            state: self.state,
            event: event.entry_type(),
        }
    }

    fn policy_evaluated(
        &mut self,
        now: &Moment,
        event: &Event,
        outcome: PolicyOutcome,
        because: &str,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Intake => Ok(match outcome {
                PolicyOutcome::Refuse => {
                    vec![follow(Event::Refused {
                        because: because.to_owned(),
                    })]
                }
                PolicyOutcome::Permit => {
                    // What asks for people is never passed by policy alone.
                    if !self.received.requirement.reviews.is_empty() {
                        return Err(Refused::NotSatisfied);
                    }
                    if self.received.expires.has_passed(now) {
                        return Err(Refused::DeadlinePassed {
                            at: self.received.expires.wall,
                        });
                    }
                    let until = Deadline::after(now, self.received.requirement.grant());
                    vec![follow(Event::Approved {
                        via: Via::Policy,
                        until,
                    })]
                }
                PolicyOutcome::Hold => {
                    self.state = State::Pending;
                    vec![Effect::Announce]
                }
            }),
            Phase::Open
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    fn detached(&mut self, event: &Event) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open | Phase::Granted => {
                if !std::mem::replace(&mut self.received.attached, false) {
                    return Err(Refused::Unchanged);
                }
                Ok(Vec::new())
            }
            Phase::Intake | Phase::Taken | Phase::Running | Phase::Unknown | Phase::Ended => {
                Err(self.no_arrow(event))
            }
        }
    }

    fn expired(&mut self, now: &Moment, event: &Event) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open if self.received.expires.has_passed(now) => {
                Ok(self.end(State::Expired, "nobody decided in time"))
            }
            Phase::Open => Err(Refused::NotYet),
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    fn lapsed(&mut self, now: &Moment, event: &Event) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Granted => match self.due(now) {
                Some(Event::Lapsed {}) => {
                    Ok(self.end(State::Lapsed, "the approval was not used in time"))
                }
                Some(_) | None => Err(Refused::NotYet),
            },
            Phase::Intake
            | Phase::Open
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    fn withdrawn(&mut self, event: &Event, because: Withdrawal) -> Result<Vec<Effect>, Refused> {
        // Only a request that came attached ends with its last waiter (R16).
        if because == Withdrawal::WaitersGone && !self.received.attached {
            return Err(self.no_arrow(event));
        }
        match self.state.phase() {
            Phase::Open | Phase::Granted => Ok(self.end(
                State::Withdrawn,
                match because {
                    Withdrawal::Asked => "the requester took it back",
                    Withdrawal::WaitersGone => "the requester went away",
                },
            )),
            Phase::Intake | Phase::Taken | Phase::Running | Phase::Unknown | Phase::Ended => {
                Err(self.no_arrow(event))
            }
        }
    }

    fn superseded(
        &mut self,
        event: &Event,
        by: crate::id::RequestId,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open => Ok(self.end(State::Superseded, &format!("{by} took its place"))),
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    fn invalidated(&mut self, event: &Event, because: &str) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open | Phase::Granted => Ok(self.end(State::Invalidated, because)),
            Phase::Intake | Phase::Taken | Phase::Running | Phase::Unknown | Phase::Ended => {
                Err(self.no_arrow(event))
            }
        }
    }

    fn end(&mut self, state: State, because: &str) -> Vec<Effect> {
        self.state = state;
        self.claim = None;
        because.clone_into(&mut self.reason);
        vec![Effect::Wake, Effect::Announce]
    }
}

fn follow(event: Event) -> Effect {
    Effect::Follow(Box::new(event))
}
