//! Break-glass: a listed person approves alone, and leaves a debt that another person closes (R17).

use super::{Act, Effect, Event, Phase, Refused, Request, RulesChanged, Via, follow};
use crate::time::{Deadline, Moment};

impl Request {
    pub(super) fn break_glass(
        &mut self,
        now: &Moment,
        event: &Event,
        act: &Act,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Open => {
                if self.received.expires.has_passed(now) {
                    return Err(Refused::DeadlinePassed {
                        at: self.received.expires.wall,
                    });
                }
                self.check_other_side(act)?;
                // What nobody could look at whole is approvable by nobody, in an emergency too.
                if !self.received.displayable {
                    return Err(Refused::NotShown);
                }
                if act.reason.trim().is_empty() {
                    return Err(Refused::ReasonRequired);
                }
                self.debt = Some(act.member.name.clone());
                self.glass = Some(Box::new(act.clone()));
                let until = Deadline::after(now, self.received.requirement.grant());
                let approved = Event::Approved {
                    via: Via::BreakGlass,
                    until,
                };
                Ok(vec![follow(approved), Effect::Alarm])
            }
            Phase::Intake
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    /// Closes a debt in any state: the review comes after the fact, and no state changes.
    pub(super) fn debt_closed(&mut self, act: &Act) -> Result<Vec<Effect>, Refused> {
        self.listed(&act.member, &act.key)?;
        let by = self.debt.clone().ok_or(Refused::NoDebt)?;
        if by == act.member.name {
            return Err(Refused::OwnDebt { by });
        }
        self.check_other_side(act)?;
        self.debt = None;
        Ok(vec![Effect::Announce])
    }

    /// Tells whether who broke the glass is still in the roster, with that key, and does not stand
    /// behind the request.
    pub(super) fn glass_stands(&self) -> bool {
        self.glass
            .as_ref()
            .is_some_and(|act| self.check_other_side(act).is_ok())
    }

    /// Tells whether who broke the glass may still do so; true when nobody did.
    pub(super) fn glass_is_listed(&self, rules: &RulesChanged) -> bool {
        let by_glass = self
            .approval
            .as_ref()
            .is_some_and(|approval| approval.via == Via::BreakGlass);
        !by_glass
            || self
                .glass
                .as_ref()
                .is_some_and(|act| rules.break_glass.contains(&act.member.name))
    }

    fn check_other_side(&self, act: &Act) -> Result<(), Refused> {
        let listed = self.listed(&act.member, &act.key)?;
        if self.is_own(&act.member) || self.is_own(listed) {
            return Err(Refused::OwnRequest {
                name: act.member.name.clone(),
            });
        }
        Ok(())
    }
}
