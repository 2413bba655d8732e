//! What people bring about: decisions and other signed acts about requests.

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Body, Entry};
use countersign_shared::machine::{Act, Event, Refused, State};
use countersign_shared::statement;

use super::batch::{Scene, Step};
use super::call::{ActKind, Decided, Emergency, Verdict};
use super::writes::reviewer_actor;
use super::{Engine, EngineError};

impl Engine {
    pub(super) fn decide(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        verdict: Verdict,
    ) -> Result<(RequestId, u64, State, Option<String>), EngineError> {
        let decision = verdict.decision;
        match decision.verdict {
            statement::Verdict::Approve => {
                self.check_clock()?;
                if verdict.rules != self.rules.digest {
                    return Err(EngineError::RulesChanged);
                }
            }
            statement::Verdict::Deny => {}
        }
        let actor = reviewer_actor(&decision.member.name, Some(decision.member.uid));
        let request = self.copy(step, id)?;
        let (name, verdict) = (decision.member.name.clone(), decision.verdict);
        let earlier = request
            .decisions()
            .iter()
            .find(|earlier| earlier.member.name == name && earlier.verdict == verdict);
        let is_repeated = earlier.is_some();
        // A call whose answer was lost comes again with the same statement.
        let is_the_same =
            earlier.is_some_and(|earlier| earlier.statement_base64 == decision.statement_base64);
        let event = Event::Decided(Box::new(decision));
        let at = match step.apply(&mut self.store, scene, &actor, id, event) {
            Ok(at) => at,
            // The same decision again changes nothing and is no error (R5).
            Err(EngineError::Machine(Refused::Unchanged)) if is_repeated => {
                self.recorded(id, &name, verdict)?
            }
            Err(EngineError::Machine(
                Refused::AlreadyDecided { .. } | Refused::AlreadyRedeemed { .. },
            )) if is_the_same => self.recorded(id, &name, verdict)?,
            Err(error) => return Err(error),
        };
        let request = self.copy(step, id)?;
        Ok((id, at, request.state(), request.missing()))
    }

    /// Returns the position of the entry that records a person's decision.
    fn recorded(
        &self,
        id: RequestId,
        name: &str,
        verdict: statement::Verdict,
    ) -> Result<u64, EngineError> {
        let mut found = None;
        self.store.each_entry_of(id, |at, data| {
            if let Ok(entry) = Entry::read(data)
                && let Body::Request(Event::Decided(decision)) = entry.body
                && decision.member.name == name
                && decision.verdict == verdict
            {
                found = Some(at);
            }
            found.is_none()
        })?;
        found.ok_or(EngineError::LogUnavailable(None))
    }

    pub(super) fn decided(
        &mut self,
        (_, at, state, missing): (RequestId, u64, State, Option<String>),
        known: u64,
    ) -> Result<Decided, EngineError> {
        let recorded = self.inclusion(at, known)?;
        Ok(Decided {
            state,
            recorded,
            missing,
            at: self.last,
        })
    }

    pub(super) fn act(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        kind: ActKind,
        act: Box<Act>,
    ) -> Result<State, EngineError> {
        let actor = reviewer_actor(&act.member.name, Some(act.member.uid));
        let event = match kind {
            ActKind::Escalate => Event::Escalated { act: Some(act) },
            ActKind::Revoke => Event::Revoked(act),
            ActKind::Kill => Event::KillRequested(act),
            ActKind::Settle(outcome) => Event::Settled {
                report: None,
                act: Some(act),
                outcome: Some(outcome),
            },
            ActKind::CloseDebt => {
                self.store.drop_debt(id)?;
                Event::DebtClosed(act)
            }
        };
        self.tolerate(step, scene, &actor, id, event)
    }

    /// Approves alone: a listed person, who is not of the requester's side and says why (R17).
    pub(super) fn break_glass(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        emergency: Emergency,
    ) -> Result<(RequestId, u64, State, Option<String>), EngineError> {
        let Emergency { act, rules, .. } = emergency;
        self.check_clock()?;
        if rules != self.rules.digest {
            return Err(EngineError::RulesChanged);
        }
        let name = &act.member.name;
        if !self.rules.break_glass.contains(name) {
            return Err(EngineError::NotListed { name: name.clone() });
        }
        let actor = reviewer_actor(name, Some(act.member.uid));
        self.copy(step, id)?;
        self.store.put_debt(id)?;
        let event = Event::BreakGlass(Box::new(act));
        let at = step.apply(&mut self.store, scene, &actor, id, event)?;
        let state = self.copy(step, id)?.state();
        Ok((id, at, state, None))
    }
}
