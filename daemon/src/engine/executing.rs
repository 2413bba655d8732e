//! Who may tell of a run: whoever took the one use, and nobody else (R14, R16).
//!
//! The right to the request is not enough. Everybody whose asking joined it holds the ticket, and
//! one of them must not say of another's run that it never was. What became of a run that nobody
//! can follow any more may be told late by any holder of the ticket; it is then called so.

use countersign_shared::id::RequestId;
use countersign_shared::machine::{Event, Phase, Redeemer, Request};
use countersign_shared::time::Moment;

use super::batch::{Scene, Step};
use super::call::Reporter;
use super::{Engine, EngineError, daemon_actor};

impl Engine {
    /// Writes that nobody can follow a run any more, unless it was told of before.
    pub(super) fn executor_gone(&mut self, batch: &mut Step, scene: &Scene, id: RequestId) {
        let done = self.step(batch, scene, |engine, step| {
            engine.copy(step, id)?;
            let because = "the process that ran it is gone and reported nothing";
            let event = Event::Indeterminate {
                because: because.to_owned(),
            };
            step.apply(&mut engine.store, scene, &daemon_actor(), id, event)
        });
        if let Err(error) = done {
            tracing::debug!(%id, %error, "the executor had reported before it went");
        }
    }

    /// Returns what is run by a process that said it stays, so that a start watches it again.
    pub(super) fn runs(&self) -> Vec<(RequestId, Redeemer)> {
        let boot = self.now().boot;
        self.live
            .iter()
            .filter_map(|(id, live)| {
                let redemption = live.request.redemption()?;
                let by = redemption.by.filter(|by| by.stays)?;
                (redemption.at.boot == boot).then_some((*id, by))
            })
            .collect()
    }
}

/// Refuses a report from somebody who did not take the one use.
pub(super) fn check_reporter(
    request: &Request,
    reporter: &Reporter,
    now: &Moment,
) -> Result<(), EngineError> {
    match request.state().phase() {
        Phase::Taken | Phase::Running => {
            let redemption = request.redemption().ok_or(EngineError::NotTheExecutor)?;
            let by = redemption.by.as_ref().ok_or(EngineError::NotTheExecutor)?;
            let holds_secret = reporter.run == Some(by.run);
            // Process numbers and start times begin anew with each boot.
            let same_boot = redemption.at.boot == now.boot;
            if holds_secret || (reporter.run.is_none() && same_boot && is_same(by, reporter)) {
                Ok(())
            } else {
                Err(EngineError::NotTheExecutor)
            }
        }
        // The machine says what a report means there.
        Phase::Intake | Phase::Open | Phase::Granted | Phase::Unknown | Phase::Ended => Ok(()),
    }
}

/// Tells whether the caller is the very process that took the one use. Without a start time the
/// number alone could be another process's by now.
fn is_same(by: &Redeemer, reporter: &Reporter) -> bool {
    by.pid == reporter.pid && by.started.is_some() && by.started == reporter.started
}
