//! Watches the processes that run what was approved: one that ends without a report leaves a run of
//! which nobody can say how it went (R14).

use std::sync::Arc;

use countersign_shared::id::RequestId;
use countersign_shared::machine::Redeemer;

use super::Desk;
use crate::engine::{Command, EngineError, Query};
use crate::identity::Liveness;

/// Watches again whatever ran when the daemon stopped.
pub(crate) async fn watch_again(desk: &Arc<Desk>) -> Result<(), EngineError> {
    for (id, by) in desk.engine.ask(Query::Runs).await? {
        tokio::spawn(watch_one(Arc::clone(desk), id, by));
    }
    Ok(())
}

async fn watch_one(desk: Arc<Desk>, id: RequestId, by: Redeemer) {
    // Without its start time the number could be anybody's; then only the time is watched.
    let Some(started) = by.started else { return };
    let gone = match Liveness::again(by.pid, started) {
        Ok(None) => Ok(()),
        Ok(Some(process)) => process.gone().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match gone {
        Ok(()) => desk.engine.insist(Command::ExecutorGone(id)).await,
        Err(error) => tracing::warn!(%id, error, "the executing process cannot be watched"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a process started, in clock ticks since boot (`proc_pid_stat(5)`, field 22).
    fn started(pid: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(19).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn a_process_seen_before_is_watched_to_its_end_and_no_other_in_its_place() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (pid, ticks) = (child.id(), started(child.id()));
        let process = Liveness::again(pid, ticks).unwrap().unwrap();
        assert!(process.is_alive());
        assert!(Liveness::again(pid, ticks + 1).unwrap().is_none());
        drop(child.stdin.take());
        process.gone().await.unwrap();
        child.wait().unwrap();
        assert!(Liveness::again(pid, ticks).unwrap().is_none());
    }
}
