//! One batch of steps: what the open transaction holds, mirrored in memory.
//!
//! Machines change on copies. A step that fails is dropped with its copies; the copies of a whole
//! batch replace the originals only after the commit (R6).

use std::collections::HashMap;
use std::sync::Arc;

use countersign_policy::load::Policies;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Actor, Body, Entry, LogEvent, Separation, Sync};
use countersign_shared::machine::{Effect, Event, Request};
use countersign_shared::time::Moment;

use super::EngineError;
use super::card::Card;
use crate::store::{Intake, LogTail, Store, StoreError};

/// A machine that a step changed.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) request: Request,
    /// The version of the row before the batch's step.
    pub(super) from_version: u64,
    /// The entry that brought its state about.
    pub(super) entry: u64,
    /// Set when the step stored the request.
    pub(super) new: Option<New>,
    /// Whether the state itself changed, so that those who wait are told.
    pub(super) effects: Vec<Effect>,
}

impl Changed {
    /// Puts the change of a later step on top of an earlier one of the same batch.
    pub(super) fn after(mut self, earlier: Self) -> Self {
        let mut effects = earlier.effects;
        effects.append(&mut self.effects);
        Self {
            effects,
            new: self.new.or(earlier.new),
            ..self
        }
    }
}

/// What a new request brings beside its machine.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub(super) document: Arc<[u8]>,
    pub(super) card: Card,
    pub(super) intake: Intake,
    /// Whether another asking joined it within its batch.
    pub(super) is_shared: bool,
}

/// The moment and circumstances that all entries of a step share.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) now: Moment,
    pub(super) sync: Sync,
    pub(super) separation: Separation,
    /// The policies in force, for what the operator says of data.
    pub(super) policies: Arc<Policies>,
}

/// The copies and the log's edge of one step; the edge alone of a batch.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) tail: LogTail,
    pub(super) changed: HashMap<RequestId, Changed>,
}

impl Step {
    pub(super) fn new(tail: LogTail) -> Self {
        Self {
            tail,
            changed: HashMap::new(),
        }
    }

    /// Appends an entry about the log or the daemon.
    pub(super) fn note(
        &mut self,
        store: &mut Store,
        scene: &Scene,
        actor: Actor,
        event: LogEvent,
    ) -> Result<u64, StoreError> {
        self.append(store, scene, actor, None, Body::Log(event))
    }

    /// Appends an entry about a request, or about all of them.
    pub(super) fn append(
        &mut self,
        store: &mut Store,
        scene: &Scene,
        actor: Actor,
        request: Option<RequestId>,
        body: Body,
    ) -> Result<u64, StoreError> {
        let entry = Entry {
            log: self.tail.origin().to_owned(),
            seq: self.tail.size(),
            now: scene.now.clone(),
            sync: scene.sync,
            actor,
            request,
            separation: scene.separation,
            body,
        };
        store.append(&mut self.tail, &entry)
    }

    /// Applies an event, and what must follow it, to the copy of a request; appends an entry each.
    /// Returns the position of the first.
    pub(super) fn apply(
        &mut self,
        store: &mut Store,
        scene: &Scene,
        actor: &Actor,
        id: RequestId,
        event: Event,
    ) -> Result<u64, EngineError> {
        let mut first = None;
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let changed = self
                .changed
                .get_mut(&id)
                .ok_or_else(|| EngineError::NotFound { id: id.to_string() })?;
            let before = changed.request.state();
            let effects = changed.request.apply(&scene.now, &event)?;
            let moved = changed.request.state() != before;
            for effect in effects {
                match effect {
                    Effect::Follow(event) => next = Some(*event),
                    Effect::Arm(_)
                    | Effect::Wake
                    | Effect::Announce
                    | Effect::Alarm
                    | Effect::Kill => changed.effects.push(effect),
                }
            }
            let ran = event.says_it_ran();
            let at = self.append(store, scene, actor.clone(), Some(id), Body::Request(event))?;
            if ran {
                self.tell_of_data(store, scene, id)?;
            }
            if moved && let Some(changed) = self.changed.get_mut(&id) {
                changed.entry = at;
            }
            first.get_or_insert(at);
        }
        first.ok_or(EngineError::LogUnavailable(None))
    }

    /// Applies a change of rules that stands in one entry, at `at`, for all requests.
    pub(super) fn apply_rules(
        &mut self,
        store: &mut Store,
        scene: &Scene,
        actor: &Actor,
        id: RequestId,
        event: &Event,
    ) -> Result<(), EngineError> {
        let changed = self
            .changed
            .get_mut(&id)
            .ok_or_else(|| EngineError::NotFound { id: id.to_string() })?;
        for effect in changed.request.apply(&scene.now, event)? {
            if let Effect::Follow(event) = effect {
                self.apply(store, scene, actor, id, *event)?;
                break;
            }
        }
        Ok(())
    }

    /// Writes the rows of the requests that the step changed.
    pub(super) fn write_rows(&self, store: &mut Store, scene: &Scene) -> Result<(), StoreError> {
        for changed in self.changed.values() {
            match &changed.new {
                Some(new) => store.insert(&changed.request, &new.document, &new.intake)?,
                None if changed.request.version() == changed.from_version => {}
                None => store.update(&changed.request, changed.from_version, scene.now.wall)?,
            }
        }
        Ok(())
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Conflict { id, .. } = error {
            return Self::Conflict { id };
        }
        Self::LogUnavailable(Some(error))
    }
}
