//! The events of people: opening, claiming, deciding, revoking, breaking the glass; and what a
//! change of rules does to decisions that were made.

use super::{
    Act, Approval, Claim, Decision, Effect, Event, Mode, Phase, Refused, Request, RulesChanged,
    State, Via, follow,
};
use crate::digest::Digest;
use crate::requirement::{Assurance, Member, Tier};
use crate::statement::Verdict;
use crate::time::{Deadline, Moment};

impl Request {
    /// Tells whether a person stands behind the request and so may not approve it (R4).
    pub fn is_own(&self, member: &Member) -> bool {
        self.received.side.includes(member)
    }

    /// Tells whether the requester's side may attest for itself: user mode, tier at most high,
    /// exactly one seat, and allowed by the rules (R4).
    pub fn may_self_attest(&self) -> bool {
        self.received.mode == Mode::User
            && self.received.requirement.tier <= Tier::High
            && self.received.requirement.asks_one_seat()
            && self.received.requirement.self_attest
    }

    /// Says why a person may not approve the request, or nothing.
    pub fn why_not_eligible(&self, member: &Member) -> Option<Refused> {
        let name = member.name.clone();
        if self.is_own(member) && !self.may_self_attest() {
            return Some(Refused::OwnRequest { name });
        }
        let has_seat = self
            .received
            .requirement
            .reviews
            .iter()
            .flat_map(|review| review.seats.seats())
            .any(|seat| member.belongs_to(&seat.group));
        if has_seat {
            None
        } else {
            Some(Refused::NoSeat { name })
        }
    }

    /// Returns the people whose approvals count now (R5).
    pub fn approvers(&self) -> Vec<&Member> {
        self.counting().map(|(_, member)| member).collect()
    }

    /// Returns the approvals that count now, each with its person (R5).
    fn counting(&self) -> impl Iterator<Item = (&Decision, &Member)> {
        self.decisions
            .iter()
            .filter(|decision| decision.verdict == Verdict::Approve)
            .filter_map(|decision| Some((decision, self.standing(decision)?)))
    }

    /// Tells whether the request is approved by nobody but its own side (R4).
    pub fn is_self_attested(&self) -> bool {
        self.approval
            .as_ref()
            .is_some_and(|approval| approval.via == Via::SelfAttested)
    }

    /// Returns what is still missing before the request is approved, or nothing.
    pub fn missing(&self) -> Option<String> {
        match self.state.phase() {
            Phase::Open => self.received.requirement.missing(&self.approvers()),
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => None,
        }
    }

    /// Returns the person of a decision as the roster has them now, if person and key still stand.
    fn standing<'a>(&'a self, decision: &'a Decision) -> Option<&'a Member> {
        let member = match &self.members {
            None => &decision.member,
            Some(members) => members
                .iter()
                .find(|member| member.name == decision.member.name)?,
        };
        let still_allowed = !self.is_own(member) || decision.self_attested;
        (member.keys.contains(&decision.key) && still_allowed).then_some(member)
    }

    fn is_satisfied(&self) -> bool {
        self.received.requirement.is_satisfied_by(&self.approvers())
    }

    pub(super) fn opened(
        &mut self,
        event: &Event,
        reviewer: &str,
        display: Digest,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open | Phase::Granted => {
                if display != self.received.display {
                    return Err(Refused::NotShown);
                }
                if !self.opened.insert(reviewer.to_owned()) {
                    return Err(Refused::Unchanged);
                }
                Ok(Vec::new())
            }
            Phase::Intake | Phase::Taken | Phase::Running | Phase::Unknown | Phase::Ended => {
                Err(self.no_arrow(event))
            }
        }
    }

    pub(super) fn claimed(
        &mut self,
        now: &Moment,
        event: &Event,
        reviewer: &str,
        until: &Deadline,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open => {
                if let Some(claim) = &self.claim
                    && claim.reviewer != reviewer
                    && !claim.until.has_passed(now)
                {
                    return Err(Refused::ClaimedBy {
                        by: claim.reviewer.clone(),
                    });
                }
                self.claim = Some(Claim {
                    reviewer: reviewer.to_owned(),
                    until: until.clone(),
                });
                Ok(vec![Effect::Announce])
            }
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn released(
        &mut self,
        event: &Event,
        reviewer: &str,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open => match &self.claim {
                Some(claim) if claim.reviewer == reviewer => {
                    self.claim = None;
                    Ok(vec![Effect::Announce])
                }
                Some(_) | None => Err(Refused::Unchanged),
            },
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn decided(
        &mut self,
        now: &Moment,
        event: &Event,
        decision: &Decision,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Intake => Err(self.no_arrow(event)),
            Phase::Open => match decision.verdict {
                Verdict::Approve => self.approve(now, decision),
                Verdict::Deny => {
                    self.check_deadline(now)?;
                    self.deny(decision)
                }
            },
            Phase::Granted => match decision.verdict {
                Verdict::Approve if self.has_approval_of(&decision.member.name) => {
                    Err(Refused::Unchanged)
                }
                Verdict::Approve => Err(Refused::AlreadyDecided { state: self.state }),
                Verdict::Deny => {
                    self.check_deadline(now)?;
                    self.deny(decision)
                }
            },
            Phase::Taken | Phase::Running | Phase::Unknown => match decision.verdict {
                Verdict::Approve => Err(self.already_decided()),
                Verdict::Deny => match &self.redemption {
                    Some(redemption) => Err(Refused::TooLate {
                        at: redemption.at.wall,
                    }),
                    None => Err(self.already_decided()),
                },
            },
            Phase::Ended => Err(self.already_decided()),
        }
    }

    fn approve(&mut self, now: &Moment, decision: &Decision) -> Result<Vec<Effect>, Refused> {
        let requirement = &self.received.requirement;
        let name = || decision.member.name.clone();
        if self.received.expires.has_passed(now) {
            return Err(Refused::DeadlinePassed {
                at: self.received.expires.wall,
            });
        }
        let listed = self.check_digest_and_key(decision)?;
        if decision.display != self.received.display || !self.received.displayable {
            return Err(Refused::NotShown);
        }
        if self.is_own(&decision.member) || self.is_own(listed) {
            if !self.may_self_attest() || !decision.self_attested {
                return Err(Refused::OwnRequest { name: name() });
            }
            if requirement.tier == Tier::High && decision.assurance < Assurance::Passphrase {
                return Err(Refused::Assurance {
                    needed: Assurance::Passphrase,
                    found: decision.assurance,
                });
            }
        } else if decision.self_attested {
            return Err(Refused::NotOwnRequest { name: name() });
        }
        if decision.assurance < requirement.assurance {
            return Err(Refused::Assurance {
                needed: requirement.assurance,
                found: decision.assurance,
            });
        }
        if requirement.reason_required && decision.reason.trim().is_empty() {
            return Err(Refused::ReasonRequired);
        }
        for member in [&decision.member, listed] {
            if let Some(refused) = self.why_not_eligible(member) {
                return Err(refused);
            }
        }
        if self.has_approval_of(&decision.member.name) {
            return Err(Refused::Unchanged);
        }
        let until = Deadline::after(now, requirement.grant());
        self.decisions.push(decision.clone());
        if self.is_satisfied() {
            let only_own = self.counting().all(|(decision, _)| decision.self_attested);
            let via = if only_own {
                Via::SelfAttested
            } else {
                Via::Reviewers
            };
            Ok(vec![follow(Event::Approved { via, until })])
        } else {
            Ok(vec![Effect::Announce])
        }
    }

    /// Refuses a deny of what ended by its deadline: timed out and denied are different words,
    /// whether or not the expiry was written (R10).
    fn check_deadline(&self, now: &Moment) -> Result<(), Refused> {
        match self.deadline() {
            Some(deadline) if self.due(now).is_some() => {
                Err(Refused::DeadlinePassed { at: deadline.wall })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn deny(&mut self, decision: &Decision) -> Result<Vec<Effect>, Refused> {
        self.check_digest_and_key(decision)?;
        self.decisions.push(decision.clone());
        Ok(vec![follow(Event::Denied {
            reviewer: decision.member.name.clone(),
            reason: decision.reason.clone(),
        })])
    }

    fn check_digest_and_key<'a>(&'a self, decision: &'a Decision) -> Result<&'a Member, Refused> {
        if decision.digest != self.received.digest {
            return Err(Refused::StaleDigest);
        }
        self.listed(&decision.member, &decision.key)
    }

    /// Returns the person as the roster has them now, if the key that signed is theirs (R5).
    ///
    /// An event brings the roster's word of its own moment. Once the rules have changed, the
    /// roster of that change has to list person and key as well. A request that is over hears of
    /// no further change, so there the event's word stands alone.
    pub(super) fn listed<'a>(
        &'a self,
        member: &'a Member,
        key: &str,
    ) -> Result<&'a Member, Refused> {
        let listed = match &self.members {
            Some(members) if self.state.is_live() => {
                members.iter().find(|other| other.name == member.name)
            }
            Some(_) | None => Some(member),
        };
        listed
            .filter(|listed| listed.keys.contains(key) && member.keys.contains(key))
            .ok_or_else(|| Refused::ForeignKey {
                name: member.name.clone(),
            })
    }

    fn has_approval_of(&self, name: &str) -> bool {
        self.decisions.iter().any(|decision| {
            decision.member.name == name
                && decision.verdict == Verdict::Approve
                && self.standing(decision).is_some()
        })
    }

    fn already_decided(&self) -> Refused {
        match &self.redemption {
            Some(redemption) => Refused::AlreadyRedeemed {
                at: redemption.at.wall,
            },
            None => Refused::AlreadyDecided { state: self.state },
        }
    }

    pub(super) fn approved(
        &mut self,
        now: &Moment,
        event: &Event,
        via: Via,
        until: &Deadline,
    ) -> Result<Vec<Effect>, Refused> {
        let allowed = match (self.state.phase(), via) {
            (Phase::Intake, Via::Policy) | (Phase::Open, Via::BreakGlass) => true,
            (Phase::Open, Via::Reviewers | Via::SelfAttested) => self.is_satisfied(),
            (Phase::Intake, Via::Reviewers | Via::SelfAttested | Via::BreakGlass)
            | (Phase::Open, Via::Policy)
            | (
                Phase::Granted | Phase::Taken | Phase::Running | Phase::Unknown | Phase::Ended,
                Via::Policy | Via::Reviewers | Via::SelfAttested | Via::BreakGlass,
            ) => return Err(self.no_arrow(event)),
        };
        if !allowed {
            return Err(Refused::NotSatisfied);
        }
        self.state = State::Approved;
        self.claim = None;
        self.reason = match via {
            Via::Policy => "policy asks nobody".to_owned(),
            Via::BreakGlass => self
                .glass
                .as_ref()
                .map_or_else(String::new, |act| act.reason.clone()),
            Via::Reviewers | Via::SelfAttested => self
                .decisions
                .last()
                .map_or_else(String::new, |decision| decision.reason.clone()),
        };
        self.approval = Some(Approval {
            via,
            at: now.clone(),
            until: until.clone(),
        });
        Ok(vec![
            Effect::Arm(until.clone()),
            Effect::Wake,
            Effect::Announce,
        ])
    }

    pub(super) fn revoked(&mut self, event: &Event, act: &Act) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Granted => {
                self.listed(&act.member, &act.key)?;
                Ok(self.end(State::Revoked, &act.reason))
            }
            Phase::Taken | Phase::Running | Phase::Unknown => match &self.redemption {
                Some(redemption) => Err(Refused::TooLate {
                    at: redemption.at.wall,
                }),
                None => Err(self.no_arrow(event)),
            },
            Phase::Intake | Phase::Open | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn escalate(
        &mut self,
        now: &Moment,
        event: &Event,
        act: Option<&Act>,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open => {
                if self.received.expires.has_passed(now) {
                    return Err(Refused::DeadlinePassed {
                        at: self.received.expires.wall,
                    });
                }
                if let Some(act) = act {
                    self.listed(&act.member, &act.key)?;
                }
                if std::mem::replace(&mut self.escalated, true) {
                    return Err(Refused::Unchanged);
                }
                Ok(vec![Effect::Announce])
            }
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn rules_changed(
        &mut self,
        event: &Event,
        rules: &RulesChanged,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Unknown | Phase::Ended => Err(self.no_arrow(event)),
            Phase::Intake | Phase::Open | Phase::Taken | Phase::Running => {
                self.members = Some(rules.members.clone());
                Ok(Vec::new())
            }
            Phase::Granted => {
                self.members = Some(rules.members.clone());
                if !self.approval_stands() || !self.glass_is_listed(rules) {
                    let because = "a decision it rests on no longer counts".to_owned();
                    return Ok(vec![follow(Event::Invalidated { because })]);
                }
                Ok(Vec::new())
            }
        }
    }
}

impl Request {
    /// Tells whether the approval still rests on decisions, or an act, that count (R11).
    pub(super) fn approval_stands(&self) -> bool {
        match self.approval.as_ref().map(|approval| approval.via) {
            Some(Via::Policy) => true,
            Some(Via::BreakGlass) => self.glass_stands(),
            Some(Via::Reviewers | Via::SelfAttested) => self.is_satisfied(),
            None => false,
        }
    }
}
