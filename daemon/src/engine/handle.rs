//! The way to the engine's thread, for everybody who has a call for it.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::log::note::VerifierKey;
use tokio::sync::{oneshot, watch};

use super::queue::{Entrance, Lane, NotTaken};
use super::{Call, EngineError, Force, History, Reply};
use crate::stream::Released;

/// How long a message that must arrive waits for a place in the queue.
const PAUSE: Duration = Duration::from_millis(20);

/// The way to the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) calls: Arc<Entrance>,
    pub(super) lane: Lane,
    pub(super) history: History,
    pub(super) force: watch::Receiver<Force>,
    pub(super) released: watch::Receiver<Released>,
    pub(super) key: VerifierKey,
    pub(super) keys: Arc<[VerifierKey]>,
    /// Closed when the engine's thread is gone.
    pub(super) alive: watch::Receiver<()>,
}

impl Handle {
    /// Returns what each user did lately, as far as it is committed.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns the rules in force and what stands beside them, as far as it is committed.
    pub fn force(&self) -> Force {
        self.force.borrow().clone()
    }

    /// Returns the newest head that is durable, and a way to wait for the next one.
    pub fn released(&self) -> watch::Receiver<Released> {
        self.released.clone()
    }

    /// Returns the log's key in force, which is the same for as long as the engine runs.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Returns all keys that the log has had, the one in force last.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Returns the agents' way: however full it is, people's calls find their place.
    #[must_use]
    pub fn for_agents(&self) -> Self {
        Self {
            lane: Lane::Agents,
            ..self.clone()
        }
    }

    /// Sends a call that has an answer, and waits for it.
    pub async fn ask<T, C: Into<Call>>(
        &self,
        call: impl FnOnce(Reply<T>) -> C,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.calls
            .send(self.lane, call(reply))
            .map_err(|error| match error {
                NotTaken::Full(_) => EngineError::Busy,
                NotTaken::Closed => EngineError::Draining,
            })?;
        answer.await.unwrap_or(Err(EngineError::Draining))
    }

    /// Waits until the engine has ended, in good order or not. Without it nothing is permitted, and
    /// nothing is served: whoever runs the daemon is to end it.
    pub async fn ended(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    /// Sends a call that has no answer. When the engine is too busy, the call is dropped.
    pub fn tell(&self, call: impl Into<Call>) {
        if self.calls.send(self.lane, call).is_err() {
            tracing::debug!("the engine is busy; a message without an answer was dropped");
        }
    }

    /// Sends a message that must arrive, however long there is no place for it.
    pub async fn insist(&self, call: impl Into<Call>) {
        let mut next = Some(call.into());
        while let Some(call) = next.take() {
            if let Err(NotTaken::Full(call)) = self.calls.send(Lane::People, call) {
                tokio::time::sleep(PAUSE).await;
                next = Some(*call);
            }
        }
    }
}
