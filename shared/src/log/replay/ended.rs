//! Letting go of requests that ended, so that a replay holds those that are alive and not the log.

use super::{Life, Replay};
use crate::id::RequestId;

impl Replay {
    /// Takes out the requests that nothing can change any more, in the order of their ids; not those
    /// of which an entry did not follow, or the next one may tell.
    ///
    /// Call it now and then: it looks at every request that is held. What is taken out is missing in
    /// [`Replayed::requests`](super::Replayed::requests). An entry about it later on is found, as one
    /// about a request that was never received, or that was received twice.
    pub fn take_ended(&mut self) -> Vec<Life> {
        let ended: Vec<RequestId> = self
            .lives
            .iter()
            .filter(|(id, life)| {
                let told = self.ran.as_ref().is_none_or(|(ran, _)| ran != *id);
                !life.broken && told && life.is_over() && !self.owing.contains_key(*id)
            })
            .map(|(id, _)| *id)
            .collect();
        let mut lives = Vec::with_capacity(ended.len());
        for id in ended {
            if let Some(life) = self.lives.remove(&id) {
                self.gone.insert(id, life.received_index);
                lives.push(life);
            }
        }
        lives
    }
}
