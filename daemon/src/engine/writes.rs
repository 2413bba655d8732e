//! The calls that change state. Each is one step: a step that fails changes nothing.

use std::collections::hash_map::Entry;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Actor, ActorKind};
use countersign_shared::machine::{Event, Refused, Request, State, Withdrawal};
use countersign_shared::time::Deadline;

use super::batch::{Changed, Scene, Step};
use super::call::{Decided, Draft, Emergency, Report, Reporter, Right, Submitted, Use};
use super::{Answer, Command, Engine, EngineError, answer, daemon_actor, executing};
use crate::store::Row;

impl Engine {
    /// Runs the step of one call and returns its answer, to be given once the batch is durable.
    pub(super) fn write(&mut self, batch: &mut Step, scene: &Scene, command: Command) -> Answer {
        match command {
            Command::Submit(draft, reply) => self.write_submit(batch, scene, *draft, reply),
            Command::Detach(id, right, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    let actor = engine.holder(step, id, &right)?;
                    engine.tolerate(step, scene, &actor, id, Event::Detached {})
                });
                held(reply, done, |_, _| Ok(()))
            }
            Command::Withdraw(id, right, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    engine.withdraw(step, scene, id, &right)
                });
                held(reply, done, |_, state| Ok(state))
            }
            Command::Redeem(id, right, taken, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    engine.redeem(step, scene, id, &right, taken)
                });
                held(reply, done, move |engine, (at, until)| {
                    Ok((engine.inclusion(at, taken.known_size)?, until))
                })
            }
            Command::Report(id, right, reporter, report, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    engine.report(step, scene, id, (&right, reporter), report)
                });
                held(reply, done, |_, state| Ok(state))
            }
            Command::ExecutorGone(id) => {
                self.executor_gone(batch, scene, id);
                Box::new(|_, _| ())
            }
            Command::Brokered(id, told, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    engine.brokered(step, scene, id, told)
                });
                held(reply, done, |_, state| Ok(state))
            }
            Command::Decide(id, verdict, reply) => {
                let known = verdict.known_size;
                let done = self.step(batch, scene, |engine, step| {
                    engine.decide(step, scene, id, *verdict)
                });
                held(reply, done, move |engine, done| engine.decided(done, known))
            }
            Command::Open(id, reviewer, display, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    let actor = reviewer_actor(&reviewer, None);
                    let event = Event::Opened { reviewer, display };
                    engine.tolerate(step, scene, &actor, id, event)
                });
                held(reply, done, |_, _| Ok(()))
            }
            Command::Claim(id, reviewer, reply) => {
                self.write_claim(batch, scene, id, reviewer, reply)
            }
            Command::Release(id, reviewer, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    let actor = reviewer_actor(&reviewer, None);
                    engine.tolerate(step, scene, &actor, id, Event::Released { reviewer })
                });
                held(reply, done, |_, _| Ok(()))
            }
            Command::BreakGlass(id, emergency, reply) => {
                self.write_break_glass(batch, scene, id, *emergency, reply)
            }
            Command::Act(id, kind, act, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    engine.act(step, scene, id, kind, act)
                });
                held(reply, done, |_, state| Ok(state))
            }
            Command::Rules(new, reply) => {
                let done = self.step(batch, scene, |engine, step| {
                    engine.take_rules(step, scene, &new)
                });
                held(reply, done, |engine, force| {
                    engine.go_by(force.clone());
                    Ok(force)
                })
            }
            Command::SignRules(word, reply) => {
                let known = word.known_size;
                let done = self.step(batch, scene, |engine, step| {
                    engine.sign_rules(step, scene, *word)
                });
                held(reply, done, move |engine, done| {
                    engine.rules_signed(done, known)
                })
            }
            Command::RulesRefused(problem, reply) => {
                let done = self.note_refused_rules(batch, scene, problem);
                held(reply, done, |_, ()| Ok(()))
            }
            Command::Cosigned(cosigned, reply) => {
                self.write_cosigned(batch, scene, &cosigned, reply)
            }
        }
    }

    /// Runs the step of an asking.
    fn write_submit(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        draft: Draft,
        reply: super::Reply<Submitted>,
    ) -> Answer {
        let known = draft.known_size;
        let done = self.step(batch, scene, |engine, step| {
            engine.submit(step, scene, draft)
        });
        held(reply, done, move |engine, stored| {
            let (head, redeemed) = match stored.redeemed {
                Some((at, until)) => {
                    let by = engine.inclusion(at, known)?;
                    (by.head.clone(), Some((by, until)))
                }
                None => (engine.head(known)?, None),
            };
            Ok(Submitted {
                id: stored.id,
                document: stored.document,
                standing: stored.standing,
                joined: stored.joined,
                head,
                redeemed,
            })
        })
    }

    /// Runs the step of a lease.
    fn write_claim(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        id: RequestId,
        reviewer: String,
        reply: super::Reply<Deadline>,
    ) -> Answer {
        let until = Deadline::after(&scene.now, self.rules.limits.claim_lease);
        let done = self.step(batch, scene, |engine, step| {
            let actor = reviewer_actor(&reviewer, None);
            let event = Event::Claimed {
                reviewer,
                until: until.clone(),
            };
            engine.tolerate(step, scene, &actor, id, event)
        });
        held(reply, done, |_, _| Ok(until))
    }

    /// Runs the step of a broken glass.
    fn write_break_glass(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        id: RequestId,
        emergency: Emergency,
        reply: super::Reply<Decided>,
    ) -> Answer {
        let known = emergency.known_size;
        let by = emergency.act.member.name.clone();
        let done = self.step(batch, scene, |engine, step| {
            engine.break_glass(step, scene, id, emergency)
        });
        held(reply, done, move |engine, done| {
            tracing::warn!(%id, by, "the glass was broken; another person has to review it");
            engine.decided(done, known)
        })
    }

    /// Makes sure that the step holds a copy of the request, and returns it.
    pub(super) fn copy<'a>(
        &mut self,
        step: &'a mut Step,
        id: RequestId,
    ) -> Result<&'a Request, EngineError> {
        if let Entry::Vacant(place) = step.changed.entry(id) {
            let (request, entry) = if let Some(staged) = self.staged.get(&id) {
                (staged.request.clone(), staged.entry)
            } else if let Some(live) = self.live.get(&id) {
                (live.request.clone(), live.entry)
            } else {
                let row = self.row(id)?;
                let entry = self.store.entry_behind(id, row.request.state())?;
                (row.request, entry)
            };
            let from_version = request.version();
            let changed = Changed {
                request,
                from_version,
                entry,
                new: None,
                effects: Vec::new(),
            };
            place.insert(changed);
        }
        step.changed
            .get(&id)
            .map(|changed| &changed.request)
            .ok_or_else(|| EngineError::NotFound { id: id.to_string() })
    }

    pub(super) fn row(&self, id: RequestId) -> Result<Row, EngineError> {
        self.store
            .request(id)?
            .ok_or_else(|| EngineError::NotFound { id: id.to_string() })
    }

    /// Returns the exact bytes of a request's document.
    pub(super) fn document(&self, id: RequestId) -> Result<Vec<u8>, EngineError> {
        self.row(id)?.document.ok_or(EngineError::Erased { id })
    }

    /// Checks the right to a request (R16), copies it, and returns who acts.
    fn holder(
        &mut self,
        step: &mut Step,
        id: RequestId,
        right: &Right,
    ) -> Result<Actor, EngineError> {
        let (principal, uid) = if let Some(live) = self.live.get(&id) {
            (live.intake.principal.clone(), live.intake.uid)
        } else {
            let row = self.row(id)?;
            (row.intake.principal, row.intake.uid)
        };
        let request = self.copy(step, id)?;
        if principal != right.principal || request.received().ticket != right.ticket {
            return Err(EngineError::BadTicket);
        }
        Ok(Actor {
            kind: ActorKind::Agent,
            id: principal,
            uid: Some(uid),
        })
    }

    /// Applies an event whose repetition changes nothing (R5), and returns the state.
    pub(super) fn tolerate(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        actor: &Actor,
        id: RequestId,
        event: Event,
    ) -> Result<State, EngineError> {
        self.copy(step, id)?;
        match step.apply(&mut self.store, scene, actor, id, event) {
            Ok(_) | Err(EngineError::Machine(Refused::Unchanged)) => {}
            Err(error) => return Err(error),
        }
        Ok(self.copy(step, id)?.state())
    }

    pub(super) fn check_clock(&self) -> Result<(), EngineError> {
        match self.clock_behind() {
            Some(behind) => Err(EngineError::ClockBehind {
                behind_s: behind.as_secs(),
            }),
            None => Ok(()),
        }
    }

    /// Takes a request back. An attached one that several askings share stays for the others: it
    /// ends with the last waiter (R13), when the grace is over.
    fn withdraw(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        right: &Right,
    ) -> Result<State, EngineError> {
        let actor = self.holder(step, id, right)?;
        let is_shared = self.live.get(&id).is_some_and(|live| live.is_shared);
        let request = self.copy(step, id)?;
        let state = request.state();
        if is_shared
            && request.received().attached
            && matches!(state, State::Pending | State::Approved)
        {
            return Ok(state);
        }
        let event = Event::Withdrawn {
            because: Withdrawal::Asked,
        };
        self.tolerate(step, scene, &actor, id, event)
    }

    fn redeem(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        right: &Right,
        taken: Use,
    ) -> Result<(u64, Deadline), EngineError> {
        let actor = self.holder(step, id, right)?;
        self.take_use(step, scene, &actor, id, taken)
    }

    /// Takes the one use for whoever has the right to it.
    pub(super) fn take_use(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        actor: &Actor,
        id: RequestId,
        taken: Use,
    ) -> Result<(u64, Deadline), EngineError> {
        self.check_clock()?;
        let max_run = self.copy(step, id)?.requirement().max_run();
        let until = Deadline::after(&scene.now, max_run);
        let (executor, by) = taken.by.executor();
        let event = Event::Redeemed {
            executor,
            digest: taken.digest,
            until: until.clone(),
            by,
        };
        let at = step.apply(&mut self.store, scene, actor, id, event)?;
        Ok((at, until))
    }

    fn report(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        (right, reporter): (&Right, Reporter),
        report: Report,
    ) -> Result<State, EngineError> {
        let actor = self.holder(step, id, right)?;
        // Deadlines bind by time: a report after the run's time is late, written or not.
        if let Some(due) = self.copy(step, id)?.due(&scene.now) {
            step.apply(&mut self.store, scene, &daemon_actor(), id, due)?;
        }
        let request = self.copy(step, id)?;
        executing::check_reporter(request, &reporter, &scene.now)?;
        for event in executing::events_of(report, request.state()) {
            step.apply(&mut self.store, scene, &actor, id, event)?;
        }
        Ok(self.copy(step, id)?.state())
    }
}

/// Holds an answer back until the batch is durable.
pub(super) fn held<T: Send + 'static, R: Send + 'static>(
    reply: super::Reply<R>,
    done: Result<T, EngineError>,
    then: impl FnOnce(&mut Engine, T) -> Result<R, EngineError> + Send + 'static,
) -> Answer {
    Box::new(move |engine, durable| {
        // A no may rest on a step of the same batch that was not made durable either.
        let result = if durable {
            done.and_then(|value| then(engine, value))
        } else {
            Err(EngineError::LogUnavailable(None))
        };
        answer(reply, result);
    })
}

pub(super) fn reviewer_actor(name: &str, uid: Option<u32>) -> Actor {
    Actor {
        kind: ActorKind::Reviewer,
        id: name.to_owned(),
        uid,
    }
}
