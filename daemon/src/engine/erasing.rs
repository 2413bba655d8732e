//! Erasing documents whose time is over, as the operator wrote it down in `[retention]`, and one before
//! that, for a reason.
//!
//! Each goes with an entry, in one step. What it was stays bound: its digest is in the log, and the
//! document had 256 random bits in it, so nobody finds out its contents by guessing. Of the action,
//! entries hold the names of data that a run touched, and what people said of it.

use std::path::Path;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Body, ErasedEarly, LogEvent};

use super::boot::{self, BootError, Settings};
use super::submitting::before;
use super::{Engine, EngineError, Exit, daemon_actor};
use crate::store::Erasable;

/// How often the engine looks for documents whose time is over, in milliseconds of boot time.
const PERIOD_MS: u64 = 60 * 60 * 1000;

/// How many documents go at once: people and agents wait for no longer than that takes.
const AT_ONCE: usize = 256;

/// What is erased, and what is still to be done about it.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// How long documents are kept; nothing for ever.
    documents: Option<Duration>,
    /// When to look next, in milliseconds of boot time.
    next_ms: u64,
    /// Whether the last look found more than went at once.
    is_behind: bool,
    /// Whether the write-ahead log may hold what was erased.
    lingers: bool,
}

impl Retention {
    pub(super) fn of(documents: Option<Duration>) -> Self {
        Self {
            documents,
            ..Self::default()
        }
    }

    /// Tells whether there is more to do than to look again in an hour.
    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }
}

/// Erases the document of one request before its time. The daemon does not serve meanwhile.
pub(super) fn early(
    path: &Path,
    settings: Settings,
    id: RequestId,
    by: ErasedEarly,
    calls: Exit,
) -> Result<bool, BootError> {
    let mut engine = boot::resume(path, settings, calls)?.0;
    let place = engine.erasable(id)?;
    engine.erase_one(id, place, by).map_err(BootError::First)
}

impl Engine {
    /// Returns where the document is of a request that is over, as `[retention]` has it.
    fn erasable(&self, id: RequestId) -> Result<u64, BootError> {
        let kept = |why: String| Err(BootError::Kept { id, why });
        let Some(row) = self.store.request(id)? else {
            return kept("there is no such request in this log".to_owned());
        };
        let state = row.request.state();
        if row.document.is_none() {
            return kept("it was erased before".to_owned());
        }
        if !state.has_ended() {
            return kept(format!("the request is {state}; it has to be over"));
        }
        if row.request.debt().is_some() {
            return kept("a review of it is owed; `countersign close-debt` ends that".to_owned());
        }
        Ok(row.intake.received_index)
    }

    /// Erases one document. Tells whether it is gone from the journal as well.
    fn erase_one(
        &mut self,
        id: RequestId,
        place: u64,
        by: ErasedEarly,
    ) -> Result<bool, EngineError> {
        self.store.overwrite_deleted(true)?;
        let mut outcome = Ok(());
        let durable = self.commit(|engine, batch, scene| {
            let event = LogEvent::DocumentErased {
                retained_until: None,
                early: Some(Box::new(by)),
            };
            outcome = engine.step(batch, scene, |engine, step| {
                let body = Body::Log(event);
                step.append(&mut engine.store, scene, daemon_actor(), Some(id), body)?;
                Ok(engine.store.erase(place)?)
            });
            Vec::new()
        });
        outcome?;
        if !durable {
            return Err(EngineError::LogUnavailable(None));
        }
        if let Some(mark) = &self.mark {
            mark.sync();
        }
        Ok(self.store.empty_journal()?)
    }

    /// Erases documents whose time is over, some at once, if it is time to look.
    pub(super) fn erase(&mut self) {
        let Some(kept) = self.retention.documents else {
            return;
        };
        let now = self.now();
        let is_due = self.retention.is_behind || now.mono_ms >= self.retention.next_ms;
        if !is_due || self.reserve.is_spent() {
            return;
        }
        self.retention.is_behind = false;
        self.retention.next_ms = now.mono_ms.saturating_add(PERIOD_MS);
        match self.store.erasable(before(now.wall, kept), AT_ONCE) {
            Ok(due) if due.is_empty() => {}
            Ok(due) => {
                // Of more than go at once the others have to wait for the calls between.
                self.retention.is_behind = self.erase_these(&due, kept) && due.len() == AT_ONCE;
            }
            Err(error) => tracing::warn!(%error, "documents could not be erased"),
        }
        if self.retention.lingers {
            match self.store.empty_journal() {
                Ok(emptied) => self.retention.lingers = !emptied,
                Err(error) => tracing::warn!(%error, "erased documents linger in the journal"),
            }
        }
    }

    /// Erases documents; tells whether all of them are gone.
    fn erase_these(&mut self, due: &[Erasable], kept: Duration) -> bool {
        if let Err(error) = self.store.overwrite_deleted(true) {
            tracing::warn!(%error, "documents could not be erased");
            return false;
        }
        let mut erased = 0usize;
        let durable = self.commit(|engine, batch, scene| {
            for document in due {
                let event = LogEvent::DocumentErased {
                    retained_until: Some(document.received_at.plus(kept)),
                    early: None,
                };
                let done = engine.step(batch, scene, |engine, step| {
                    let (actor, id) = (daemon_actor(), Some(document.id));
                    let body = Body::Log(event);
                    step.append(&mut engine.store, scene, actor, id, body)?;
                    Ok(engine.store.erase(document.received_index)?)
                });
                match done {
                    Ok(()) => erased = erased.saturating_add(1),
                    Err(error) => {
                        tracing::warn!(id = %document.id, %error, "a document was not erased");
                    }
                }
            }
            Vec::new()
        });
        if durable && erased > 0 {
            self.retention.lingers = true;
            tracing::info!(documents = erased, "erased, their time was over");
        }
        if let Err(error) = self.store.overwrite_deleted(false) {
            tracing::warn!(%error, "deleted rows are still overwritten");
        }
        durable && erased == due.len()
    }
}
