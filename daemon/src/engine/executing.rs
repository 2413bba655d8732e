//! Who may tell of a run: whoever took the one use, and nobody else (R14, R16).
//!
//! The right to the request is not enough. Everybody whose asking joined it holds the ticket, and
//! one of them must not say of another's run that it never was. What became of a run that nobody
//! can follow any more may be told late by any holder of the ticket; it is then called so. Of a run
//! of the daemon's own nobody else tells, and it ends with the daemon.

use countersign_shared::id::RequestId;
use countersign_shared::machine::{Event, Executor, Phase, Redeemer, Request, State};
use countersign_shared::time::Moment;

use super::batch::{Scene, Step};
use super::call::{Brokered, Report, Reporter};
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

    /// Writes what became of a run of the daemon's own.
    pub(super) fn brokered(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        id: RequestId,
        told: Brokered,
    ) -> Result<State, EngineError> {
        // Deadlines bind by time, for our own runs as well.
        if let Some(due) = self.copy(step, id)?.due(&scene.now) {
            step.apply(&mut self.store, scene, &daemon_actor(), id, due)?;
        }
        let request = self.copy(step, id)?;
        if !is_ours(request) {
            return Err(EngineError::NotTheExecutor);
        }
        if !matches!(request.state().phase(), Phase::Taken | Phase::Running) {
            // Its time was over, and that was written: only a person's word settles it now.
            return Ok(request.state());
        }
        let events = match told {
            Brokered::Told(report) => events_of(report, request.state()),
            Brokered::Lost { because } => vec![Event::Indeterminate { because }],
        };
        for event in events {
            step.apply(&mut self.store, scene, &daemon_actor(), id, event)?;
        }
        Ok(self.copy(step, id)?.state())
    }

    /// Writes at a start that nobody can say how the daemon's own runs ended: they ended with the
    /// daemon that ran them (R14).
    pub(super) fn lose_own_runs(
        &mut self,
        step: &mut Step,
        scene: &Scene,
    ) -> Result<(), EngineError> {
        let is_lost = |request: &Request| {
            matches!(request.state().phase(), Phase::Taken | Phase::Running) && is_ours(request)
        };
        let mut lost: Vec<RequestId> = self
            .live
            .iter()
            .filter_map(|(id, live)| is_lost(&live.request).then_some(*id))
            .collect();
        lost.sort_unstable();
        for id in lost {
            self.copy(step, id)?;
            let because = "the daemon ended while it ran this".to_owned();
            let event = Event::Indeterminate { because };
            step.apply(&mut self.store, scene, &daemon_actor(), id, event)?;
        }
        Ok(())
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

/// Tells whether the daemon itself runs a request.
fn is_ours(request: &Request) -> bool {
    let redemption = request.redemption();
    redemption.is_some_and(|redemption| redemption.executor == Executor::Daemon)
}

/// Returns what a report means for a request that stands like this.
pub(super) fn events_of(report: Report, state: State) -> Vec<Event> {
    match (report, state) {
        (Report::Finished(end), State::Redeemed) => {
            vec![Event::Started { pid: None }, Event::Finished(end)]
        }
        (Report::Finished(end), State::Indeterminate) => {
            vec![Event::Settled {
                report: Some(end),
                act: None,
                outcome: None,
            }]
        }
        (Report::Finished(end), _) => vec![Event::Finished(end)],
        (Report::Started { pid }, _) => vec![Event::Started { pid }],
        (Report::NotRun { because }, _) => vec![Event::NotRun { because }],
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
        // What the daemon ran and lost, no agent has seen either.
        Phase::Unknown if is_ours(request) => Err(EngineError::NotTheExecutor),
        // The machine says what a report means there.
        Phase::Intake | Phase::Open | Phase::Granted | Phase::Unknown | Phase::Ended => Ok(()),
    }
}

/// Tells whether the caller is the very process that took the one use. Without a start time the
/// number alone could be another process's by now.
fn is_same(by: &Redeemer, reporter: &Reporter) -> bool {
    by.pid == reporter.pid && by.started.is_some() && by.started == reporter.started
}
