//! Storing an asking: as a request of its own, or as one more waiter of an earlier one (R13), within
//! the limits.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Actor, ActorKind, Body};
use countersign_shared::machine::{Event, PolicyOutcome, Request, State, Via};
use countersign_shared::time::{Deadline, Timestamp};

use super::batch::{Changed, New, Scene, Step};
use super::call::{Draft, Judged, Taker, Use};
use super::{Engine, EngineError, Standing, daemon_actor, live};
use crate::store::Intake;

/// The request that an asking came to.
pub(super) struct Stored {
    pub(super) id: RequestId,
    pub(super) document: Arc<[u8]>,
    pub(super) standing: Standing,
    /// Whether an earlier asking was joined or repeated.
    pub(super) joined: bool,
    /// The entry of the one use, when it was taken at once, and when the run must have ended.
    pub(super) redeemed: Option<(u64, Deadline)>,
}

impl Stored {
    fn earlier(id: RequestId, document: Arc<[u8]>, standing: Standing) -> Self {
        Self {
            id,
            document,
            standing,
            joined: true,
            redeemed: None,
        }
    }
}

impl Engine {
    pub(super) fn submit(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        draft: Draft,
    ) -> Result<Stored, EngineError> {
        if self.draining {
            return Err(EngineError::Draining);
        }
        // The id is made of principal and submission token: whoever has it asked with the same.
        if let Some(row) = self.store.request(draft.id)? {
            if row.intake.sameness != draft.sameness
                || row.request.received().side != draft.received.side
            {
                return Err(EngineError::SubmissionReused { id: draft.id });
            }
            let entry = self
                .store
                .entry_behind(row.request.id(), row.request.state())?;
            let standing = live::standing(&row.request, entry);
            let document = row.document.ok_or(EngineError::Erased { id: draft.id })?;
            return Ok(Stored::earlier(draft.id, document.into(), standing));
        }
        if let Some((id, standing)) = self.joinable(&draft) {
            let document = self.document(id)?.into();
            self.share(id)?;
            return Ok(Stored::earlier(id, document, standing));
        }
        self.check_quotas(scene, &draft)?;
        if draft.received.rules != self.rules.digest {
            return Err(EngineError::RulesChanged);
        }
        let id = draft.id;
        let actor = Actor {
            kind: ActorKind::Agent,
            id: draft.principal.clone(),
            uid: Some(draft.received.side.uid),
        };
        let event = Event::Received(Box::new(draft.received.clone()));
        let received_index = step.tail.size();
        let uid = draft.received.side.uid;
        let (request, effects) = Request::receive(&scene.now, id, draft.received);
        step.append(
            &mut self.store,
            scene,
            actor.clone(),
            Some(id),
            Body::Request(event),
        )?;
        let intake = Intake {
            received_index,
            uid,
            principal: draft.principal,
            sameness: draft.sameness,
            ask_key: draft.ask_key,
            is_held: draft.judged.outcome == PolicyOutcome::Hold,
        };
        let new = New {
            document: Arc::clone(&draft.document),
            card: draft.card,
            intake,
            is_shared: false,
        };
        let changed = Changed {
            request,
            from_version: 0,
            entry: received_index,
            new: Some(new),
            effects,
        };
        step.changed.insert(id, changed);
        let Judged {
            outcome,
            policies,
            because,
        } = draft.judged;
        let evaluated = Event::PolicyEvaluated {
            outcome,
            policies,
            because,
        };
        step.apply(&mut self.store, scene, &daemon_actor(), id, evaluated)?;
        let redeemed = match draft.use_at_once {
            Some(by) => self.use_at_once(step, scene, &actor, id, by)?,
            None => None,
        };
        let standing = step
            .changed
            .get(&id)
            .map(|changed| live::standing(&changed.request, changed.entry))
            .ok_or(EngineError::LogUnavailable(None))?;
        Ok(Stored {
            id,
            document: draft.document,
            standing,
            joined: false,
            redeemed,
        })
    }

    /// Takes the one use of a request that nobody has to be asked about. Where it cannot be taken, the
    /// request stays as it is: whoever redeems it is told why.
    fn use_at_once(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        actor: &Actor,
        id: RequestId,
        by: Taker,
    ) -> Result<Option<(u64, Deadline)>, EngineError> {
        let request = self.copy(step, id)?;
        if request.state() != State::Approved {
            return Ok(None);
        }
        let digest = request.digest();
        let taken = Use {
            digest,
            by,
            known_size: 0,
        };
        match self.take_use(step, scene, actor, id, taken) {
            Ok(redeemed) => Ok(Some(redeemed)),
            // A machine that refuses has written nothing.
            Err(EngineError::Machine(_) | EngineError::ClockBehind { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the earlier asking that a draft joins (R13): same principal and action, same ask
    /// key, pending or approved. Whoever joins may redeem, so the same people must stand behind
    /// both (R4). What policy approved without asking anybody is joined only by what an ask key ties to it:
    /// two commands that are run at once are two, and nobody is spared a question.
    fn joinable(&self, draft: &Draft) -> Option<(RequestId, Standing)> {
        let joins = |request: &Request, intake: &Intake| {
            intake.sameness == draft.sameness
                && intake.ask_key == draft.ask_key
                && request.received().attached == draft.received.attached
                && request.received().side == draft.received.side
                && (request.state() == State::Pending
                    || request.state() == State::Approved
                        && (!draft.ask_key.is_empty() || !is_by_policy(request)))
        };
        let committed = self.index.same(&draft.sameness).iter().find_map(|id| {
            let live = self.live.get(id)?;
            let (request, entry) = match self.staged.get(id) {
                Some(staged) => (&staged.request, staged.entry),
                None => (&live.request, live.entry),
            };
            joins(request, &live.intake).then_some((*id, request, entry))
        });
        let (id, request, entry) = committed.or_else(|| {
            self.staged.iter().find_map(|(id, staged)| {
                let new = staged.new.as_ref()?;
                joins(&staged.request, &new.intake).then_some((*id, &staged.request, staged.entry))
            })
        })?;
        Some((id, live::standing(request, entry)))
    }

    /// Remembers that another asking joined, over a start of the daemon as well. If its batch fails,
    /// this errs on the side of those who still wait.
    fn share(&mut self, id: RequestId) -> Result<(), EngineError> {
        let is_shared = if let Some(live) = self.live.get_mut(&id) {
            &mut live.is_shared
        } else if let Some(staged) = self.staged.get_mut(&id)
            && let Some(new) = &mut staged.new
        {
            &mut new.is_shared
        } else {
            return Ok(());
        };
        if !std::mem::replace(is_shared, true) {
            self.store.note_joined(id)?;
            self.unlogged = true;
        }
        Ok(())
    }

    /// Counts who waits for people as the open batch has it: all, and those of a user.
    fn pending(&self, uid: u32) -> (u64, u64) {
        let (mut all, mut mine) = (self.index.pending(), self.index.pending_of(uid));
        for (id, staged) in &self.staged {
            let live = self.live.get(id);
            let intake = live.map(|live| &live.intake);
            let of = intake.or_else(|| staged.new.as_ref().map(|new| &new.intake));
            let is_mine = u64::from(of.is_some_and(|intake| intake.uid == uid));
            if live.is_some_and(|live| live.request.state() == State::Pending) {
                all = all.saturating_sub(1);
                mine = mine.saturating_sub(is_mine);
            }
            if staged.request.state() == State::Pending {
                all = all.saturating_add(1);
                mine = mine.saturating_add(is_mine);
            }
        }
        (all, mine)
    }

    /// Counts what of a user's was held within the last hour, as the open batch has it.
    fn held(&self, uid: u32, now: Timestamp) -> u64 {
        let news = self
            .staged
            .values()
            .filter_map(|staged| staged.new.as_ref());
        let mine = news.filter(|new| new.intake.uid == uid && new.intake.is_held);
        let staged = u64::try_from(mine.count()).unwrap_or(u64::MAX);
        self.history.held(uid, now).saturating_add(staged)
    }

    /// Refuses what was denied just now, and what is over a limit. What policy permits or refuses
    /// alone waits for nobody, so the limits are not about it.
    fn check_quotas(&self, scene: &Scene, draft: &Draft) -> Result<(), EngineError> {
        let limits = &self.rules.limits;
        let since = before(scene.now.wall, limits.deny_cooldown);
        // What was denied in times that were not, before the clock was put right, counts no more.
        let until = scene.now.wall;
        if let Some((id, at)) = self.store.denied_between(draft.sameness, since, until)? {
            let until = at.plus(limits.deny_cooldown);
            return Err(EngineError::Cooldown { id, until });
        }
        if draft.judged.outcome != PolicyOutcome::Hold {
            return Ok(());
        }
        let uid = draft.received.side.uid;
        let (pending, mine) = self.pending(uid);
        over("pending", u64::from(limits.pending), pending)?;
        over("held_per_uid", u64::from(limits.held_per_uid), mine)?;
        over(
            "held_per_uid_and_hour",
            u64::from(limits.held_per_uid_and_hour),
            self.held(uid, scene.now.wall),
        )
    }
}

/// Tells whether policy approved a request without asking anybody.
fn is_by_policy(request: &Request) -> bool {
    request
        .approval()
        .is_some_and(|approval| approval.via == Via::Policy)
}

fn over(limit: &'static str, allowed: u64, present: u64) -> Result<(), EngineError> {
    if present >= allowed {
        Err(EngineError::Limit {
            limit,
            allowed,
            found: present.saturating_add(1),
        })
    } else {
        Ok(())
    }
}

/// Returns the time a span before another.
pub(super) fn before(time: Timestamp, span: Duration) -> Timestamp {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(millis))
}
