//! Pruning the beginning of the log, after it was handed out, as the operator wrote it down in
//! `[retention]`.
//!
//! All goes in one step with the entry that says what is gone. The daemon does not serve meanwhile.

use std::path::Path;

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::LogEvent;
use countersign_shared::log::pruning::Pruned;

use super::boot::{self, BootError, Settings};
use super::{Engine, EngineError, Exit, daemon_actor};
use crate::identity::Operator;

/// What goes, and by whose word.
#[derive(Debug, Clone)]
pub struct Prune {
    /// The requests that go: those whose every entry the pack was found to hold.
    pub requests: Vec<RequestId>,
    /// The smallest position from which on every entry is to stay.
    pub before: u64,
    /// How many days entries are kept by the policy.
    pub kept_days: u16,
    /// The digest of `manifest.sha256` in the evidence pack that holds what goes.
    pub archive: Digest,
    /// Who prunes.
    pub by: Operator,
}

/// What went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// How many requests.
    pub requests: u64,
    /// How many entries.
    pub entries: u64,
    /// Whether it is gone from the journal as well.
    pub is_clean: bool,
}

/// Prunes the log, and gives the room back.
pub(super) fn prune(
    path: &Path,
    settings: Settings,
    order: Prune,
    calls: Exit,
) -> Result<Gone, BootError> {
    let mut engine = boot::resume(path, settings, calls)?.0;
    engine.take_away(order).map_err(BootError::First)
}

impl Engine {
    /// Prunes the log.
    pub(super) fn take_away(&mut self, order: Prune) -> Result<Gone, EngineError> {
        self.store.overwrite_deleted(true)?;
        let mut outcome = Ok((0, 0));
        let durable = self.commit(|engine, batch, scene| {
            outcome = engine.step(batch, scene, |engine, step| {
                let mut entries = 0u64;
                for id in &order.requests {
                    entries = entries.saturating_add(engine.store.prune(*id)?);
                }
                let positions = engine.store.pruned_positions()?;
                let event = LogEvent::Pruned(Box::new(Pruned {
                    before: order.before,
                    kept_days: order.kept_days,
                    entries: positions.count(),
                    positions: positions.digest(),
                    archive: order.archive,
                    uid: order.by.uid,
                    user: order.by.user,
                    login_uid: order.by.login_uid,
                }));
                step.note(&mut engine.store, scene, daemon_actor(), event)?;
                let requests = u64::try_from(order.requests.len()).unwrap_or(u64::MAX);
                Ok((requests, entries))
            });
            Vec::new()
        });
        let (requests, entries) = outcome?;
        if !durable {
            return Err(EngineError::LogUnavailable(None));
        }
        if let Some(mark) = &self.mark {
            mark.sync();
        }
        // What went is overwritten in the file before that gets shorter.
        let emptied = self.store.empty_journal();
        if let Err(error) = self.store.compact() {
            tracing::warn!(%error, "the room of what was pruned is used again, and not given back");
        }
        // It is gone for good, whatever comes now.
        let is_clean = matches!((emptied, self.store.empty_journal()), (Ok(true), Ok(true)));
        Ok(Gone {
            requests,
            entries,
            is_clean,
        })
    }
}
