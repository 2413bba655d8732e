//! What people bring about: decisions, other signed acts, and a change of the rules.

use countersign_policy::rejudge::Standing as Rejudged;
use countersign_shared::digest::Digest;
use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::machine::{Act, Event, Refused, State};
use countersign_shared::requirement::Requirement;
use countersign_shared::statement;

use super::batch::{Scene, Step};
use super::call::{ActKind, Decided, Emergency, Verdict};
use super::writes::reviewer_actor;
use super::{Engine, EngineError, daemon_actor};
use crate::rules::Rules;

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
        tracing::warn!(%id, by = actor.id, "the glass was broken; another person has to review it");
        Ok((id, at, state, None))
    }

    /// Writes that the operator's files were read and not taken.
    pub(super) fn note_refused_rules(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        problem: String,
    ) -> Result<(), EngineError> {
        self.step(batch, scene, |engine, step| {
            let event = LogEvent::RulesRefused { problem };
            step.note(&mut engine.store, scene, daemon_actor(), event)?;
            Ok(())
        })
    }

    /// Judges a request anew, under other rules, by the facts that stand in its document.
    fn rejudge(
        &self,
        rules: &Rules,
        id: RequestId,
        requirement: &Requirement,
    ) -> Result<Rejudged, EngineError> {
        let document = self.row(id)?.document;
        Ok(match Document::read(&document) {
            Ok(document) => {
                rules
                    .policies
                    .rejudge(requirement, document.facts(), document.action())
            }
            Err(error) => Rejudged::Invalidated {
                because: format!("its document cannot be read under the new rules: {error}"),
                joined: None,
            },
        })
    }

    /// Puts other rules in force: one entry, applied to every request that has not ended.
    pub(super) fn replace_rules(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        rules: &Rules,
        previous: Digest,
    ) -> Result<(), EngineError> {
        let change = rules.change(previous, scene.now.wall);
        let event = Event::RulesChanged(Box::new(change));
        let body = Body::Request(event.clone());
        step.append(&mut self.store, scene, daemon_actor(), None, body)?;
        self.store.put_rules(&rules.kept)?;
        // A change of rules has a batch of its own, so what is open is what is committed.
        let ids: Vec<RequestId> = self.live.keys().copied().collect();
        for id in ids {
            self.copy(step, id)?;
            step.apply_rules(&mut self.store, scene, &daemon_actor(), id, &event)?;
            let request = self.copy(step, id)?;
            if !matches!(request.state(), State::Pending | State::Approved) {
                continue;
            }
            let requirement = request.requirement().clone();
            if let Rejudged::Invalidated { because, .. } = self.rejudge(rules, id, &requirement)? {
                let event = Event::Invalidated { because };
                step.apply(&mut self.store, scene, &daemon_actor(), id, event)?;
            }
        }
        Ok(())
    }
}
