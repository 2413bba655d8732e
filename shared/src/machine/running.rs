//! The events of execution: the one use, and what became of it.

use super::{
    Act, Effect, Event, Executor, Phase, Redeemer, Redemption, Refused, Request, RunEnd, State,
};
use crate::digest::Digest;
use crate::machine::RunOutcome;
use crate::requirement::RunBy;
use crate::statement::Outcome;
use crate::time::{Deadline, Moment};

impl Request {
    pub(super) fn redeemed(
        &mut self,
        now: &Moment,
        event: &Event,
        (executor, by): (Executor, Option<Redeemer>),
        digest: Digest,
        until: &Deadline,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Intake => Err(self.no_arrow(event)),
            Phase::Open => Err(Refused::NotSatisfied),
            Phase::Taken | Phase::Running | Phase::Unknown | Phase::Ended => {
                Err(match &self.redemption {
                    Some(redemption) => Refused::AlreadyRedeemed {
                        at: redemption.at.wall,
                    },
                    None => Refused::AlreadyDecided { state: self.state },
                })
            }
            Phase::Granted => {
                let approval = self.approval.as_ref().ok_or(Refused::NotSatisfied)?;
                if !approval.until.is_on_boot_of(now) {
                    return Err(Refused::OtherBoot);
                }
                if approval.until.has_passed(now) {
                    return Err(Refused::DeadlinePassed {
                        at: approval.until.wall,
                    });
                }
                if digest != self.received.digest {
                    return Err(Refused::StaleDigest);
                }
                match (self.received.requirement.run_by, executor) {
                    (RunBy::Daemon, Executor::Agent) => return Err(Refused::ExecutorNotAllowed),
                    (RunBy::Agent, Executor::Agent | Executor::Daemon)
                    | (RunBy::Daemon, Executor::Daemon) => {}
                }
                if !self.approval_stands() {
                    return Err(Refused::NotSatisfied);
                }
                let until = sooner(
                    until,
                    &Deadline::after(now, self.received.requirement.max_run()),
                );
                self.state = State::Redeemed;
                self.redemption = Some(Redemption {
                    at: now.clone(),
                    executor,
                    by,
                    until: until.clone(),
                    started: None,
                    end: None,
                    settled: None,
                });
                Ok(vec![Effect::Arm(until), Effect::Wake, Effect::Announce])
            }
        }
    }

    pub(super) fn started(&mut self, now: &Moment, event: &Event) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Taken => {
                let redemption = self.redemption.as_mut().ok_or(Refused::NotSatisfied)?;
                if !redemption.until.is_on_boot_of(now) {
                    return Err(Refused::OtherBoot);
                }
                if redemption.until.has_passed(now) {
                    return Err(Refused::DeadlinePassed {
                        at: redemption.until.wall,
                    });
                }
                redemption.started = Some(now.clone());
                self.state = State::Running;
                Ok(vec![Effect::Announce])
            }
            Phase::Intake
            | Phase::Open
            | Phase::Granted
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn finished(&mut self, event: &Event, end: &RunEnd) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Running => {
                let (state, reason) = match end.outcome {
                    RunOutcome::Succeeded => (State::Succeeded, "the run ended well"),
                    RunOutcome::Failed => (State::Failed, "the run ended badly"),
                    RunOutcome::Killed => (State::Killed, "the run was ended"),
                };
                if let Some(redemption) = &mut self.redemption {
                    redemption.end = Some(end.clone());
                }
                Ok(self.end(state, reason))
            }
            Phase::Intake
            | Phase::Open
            | Phase::Granted
            | Phase::Taken
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn not_run(&mut self, event: &Event, because: &str) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Taken => Ok(self.end(State::NotRun, because)),
            Phase::Intake
            | Phase::Open
            | Phase::Granted
            | Phase::Running
            | Phase::Unknown
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }

    pub(super) fn indeterminate(
        &mut self,
        event: &Event,
        because: &str,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Taken | Phase::Running => Ok(self.end(State::Indeterminate, because)),
            Phase::Intake | Phase::Open | Phase::Granted | Phase::Unknown | Phase::Ended => {
                Err(self.no_arrow(event))
            }
        }
    }

    pub(super) fn kill_requested(
        &mut self,
        event: &Event,
        act: &Act,
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Taken | Phase::Running => {
                self.listed(&act.member, &act.key)?;
                if std::mem::replace(&mut self.kill_requested, true) {
                    return Err(Refused::Unchanged);
                }
                Ok(vec![Effect::Kill, Effect::Announce])
            }
            Phase::Intake | Phase::Open | Phase::Granted | Phase::Unknown | Phase::Ended => {
                Err(self.no_arrow(event))
            }
        }
    }

    pub(super) fn settled(
        &mut self,
        event: &Event,
        report: Option<&RunEnd>,
        word: (Option<&Act>, Option<Outcome>),
    ) -> Result<Vec<Effect>, Refused> {
        match self.state.phase() {
            Phase::Unknown => {
                let reason = match (report, word) {
                    (Some(_), (None, None)) => "reported late".to_owned(),
                    (None, (Some(act), Some(outcome))) => {
                        self.listed(&act.member, &act.key)?;
                        let (name, outcome) = (&act.member.name, outcome.word());
                        let colon = if act.reason.is_empty() { "" } else { ": " };
                        format!("{name} says {outcome}{colon}{}", act.reason)
                    }
                    (None, (None, _) | (Some(_), None))
                    | (Some(_), (Some(_), _) | (None, Some(_))) => {
                        return Err(Refused::EmptySettlement);
                    }
                };
                if let Some(redemption) = &mut self.redemption {
                    redemption.end = report.cloned();
                    redemption.settled = word.1;
                }
                Ok(self.end(State::Settled, &reason))
            }
            Phase::Intake
            | Phase::Open
            | Phase::Granted
            | Phase::Taken
            | Phase::Running
            | Phase::Ended => Err(self.no_arrow(event)),
        }
    }
}

/// Returns the sooner of two deadlines by each clock, on the boot of the first: a run may be given
/// less time than the requirement allows, and not more.
fn sooner(given: &Deadline, allowed: &Deadline) -> Deadline {
    Deadline {
        wall: given.wall.min(allowed.wall),
        boot: given.boot.clone(),
        mono_ms: given.mono_ms.min(allowed.mono_ms),
    }
}
