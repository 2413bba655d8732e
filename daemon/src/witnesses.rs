//! Heads sent to witnesses on other machines, and what they write below them.
//!
//! A task for each witness that the policy gives a URL: every so often it takes the newest head, if
//! there is one that the witness has not cosigned, sends it with the proof from the last one that
//! the witness holds (C2SP `tlog-witness`), checks what comes back under the policy's key, and has
//! the engine keep it. Nothing waits for a witness: nobody is answered later, and nothing is
//! permitted or refused because of one. What a witness missed it sees with the next head.
//!
//! [`Setup`] is what the operator wrote, [`Witnesses`] how they stand. Off unless `[witnesses]` says so.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_shared::log::cosignature::Cosignature;
use countersign_shared::log::note::WitnessKey;
use countersign_shared::log::trust_policy::TrustPolicy;
use tokio::task::JoinSet;

use crate::engine::{EngineError, Handle, Query};

mod pause;
mod place;
mod round;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::{Setup, SetupError, read_policy};

use pause::Pause;
use place::Place;
use round::{Round, Trouble};

/// How many kept heads are looked through for one that a quorum has cosigned.
const LOOKED_THROUGH: u32 = 10_000;

/// How a witness stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The number of entries of the last head that it cosigned since the start, 0 for none.
    pub(crate) size: u64,
    /// When, by its own clock, in seconds since 1970.
    pub(crate) time: u64,
    /// Why it did not cosign the last one that was sent, if it did not.
    pub(crate) trouble: Option<String>,
    /// Whether that means that the log went back or shows two histories.
    is_alarm: bool,
}

/// A head that a quorum has cosigned.
#[derive(Debug, Clone, Default)]
struct Witnessed {
    size: u64,
    /// The note with all signature lines.
    note: String,
}

/// The witnesses that heads are sent to, and how they stand.
#[derive(Debug)]
pub(crate) struct Witnesses {
    policy: TrustPolicy,
    standings: Vec<(WitnessKey, RwLock<Standing>)>,
    witnessed: RwLock<Witnessed>,
}

impl Witnesses {
    /// Begins to send heads; ends when the set of tasks is dropped.
    pub(crate) fn start(setup: Setup, engine: &Handle) -> (Arc<Self>, JoinSet<()>) {
        let Setup {
            policy,
            interval,
            places,
        } = setup;
        let standings = places
            .iter()
            .map(|(key, _)| (key.clone(), RwLock::default()))
            .collect();
        let all = Arc::new(Self {
            policy,
            standings,
            witnessed: RwLock::default(),
        });
        let mut tasks = JoinSet::new();
        let (of_past, past) = (Arc::clone(&all), engine.clone());
        tasks.spawn(async move { of_past.take_up(&past).await });
        for (at, (key, place)) in places.into_iter().enumerate() {
            let (all, engine) = (Arc::clone(&all), engine.clone());
            tasks
                .spawn(async move { all.call(at, Round::new(key, place), interval, engine).await });
        }
        (all, tasks)
    }

    /// Returns the witnesses that heads are sent to, and how they stand.
    pub(crate) fn standings(&self) -> Vec<(WitnessKey, Standing)> {
        let read = |(key, standing): &(WitnessKey, RwLock<Standing>)| {
            let standing = standing.read().unwrap_or_else(PoisonError::into_inner);
            (key.clone(), standing.clone())
        };
        self.standings.iter().map(read).collect()
    }

    /// Returns the newest head that a quorum is known to have cosigned; empty for none.
    pub(crate) fn witnessed_note(&self) -> String {
        let witnessed = self.witnessed.read();
        witnessed
            .unwrap_or_else(PoisonError::into_inner)
            .note
            .clone()
    }

    /// Looks for the newest head of the past that a quorum has cosigned.
    async fn take_up(&self, engine: &Handle) {
        let mut below = u64::MAX;
        for _ in 0..LOOKED_THROUGH {
            let found = engine.ask(|reply| Query::CosignedHead(below, reply)).await;
            let head = match found {
                Ok(Some(head)) => head,
                Ok(None) | Err(EngineError::Draining) => return,
                Err(error) => {
                    tracing::warn!("the cosigned heads were not looked through: {error}");
                    return;
                }
            };
            if self.note_quorum(head.size, head.whole()) {
                return;
            }
            below = head.size;
        }
    }

    /// Remembers a head with its cosignatures, if they are a quorum and it is newer.
    fn note_quorum(&self, size: u64, note: String) -> bool {
        let is_quorum = self
            .policy
            .judge(&note)
            .is_ok_and(|standing| standing.is_quorum && !standing.cosignatures.is_empty());
        let mut witnessed = self
            .witnessed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if is_quorum && size >= witnessed.size {
            *witnessed = Witnessed { size, note };
        }
        is_quorum
    }

    /// Sends heads to one witness for ever.
    async fn call(&self, at: usize, mut round: Round, interval: Duration, engine: Handle) {
        let name = round.key().name().to_owned();
        let mut pause = Pause::new(interval);
        loop {
            let done = round.go(&engine).await;
            self.tell(at, &name, done.as_ref());
            match done {
                Ok(cosigned) => {
                    pause.begin_anew();
                    if let Some((size, _)) = cosigned {
                        let after = size.saturating_add(1);
                        let kept = engine.ask(|reply| Query::CosignedHead(after, reply)).await;
                        // Others may have cosigned it before.
                        if let Ok(Some(head)) = kept {
                            self.note_quorum(head.size, head.whole());
                        }
                    }
                }
                Err(Trouble::Engine(EngineError::Draining)) => return,
                Err(_) => pause.lengthen(),
            }
            tokio::time::sleep(pause.next()).await;
        }
    }

    /// Remembers how a witness stands, and tells the journal when that changed.
    fn tell(&self, at: usize, name: &str, done: Result<&Option<(u64, Cosignature)>, &Trouble>) {
        let Some((_, standing)) = self.standings.get(at) else {
            return;
        };
        let mut standing = standing.write().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(cosigned) => {
                if let Some((size, cosignature)) = cosigned {
                    standing.size = *size;
                    standing.time = cosignature.time();
                }
                standing.is_alarm = false;
                if standing.trouble.take().is_some() {
                    tracing::info!(witness = name, "the witness cosigns again");
                }
            }
            Err(trouble) => {
                let said = trouble.said();
                let is_alarm = trouble.is_alarm();
                if is_alarm && !standing.is_alarm {
                    // Whatever stood in the way before: this is not about the way.
                    tracing::error!(witness = name, "the log contradicts a witness: {said}");
                } else if standing.trouble.is_none() {
                    tracing::warn!(witness = name, "heads are not cosigned: {said}");
                }
                standing.is_alarm = is_alarm;
                standing.trouble = Some(said);
            }
        }
    }
}
