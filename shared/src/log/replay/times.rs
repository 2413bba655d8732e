//! The times of entries: they do not go back without an entry that says so.

use super::{Problem, Replay};
use crate::log::entry::{Body, Entry, LogEvent};
use crate::time::Timestamp;

impl Replay {
    /// Remembers the entry that was pushed on the tree. The time of one that cannot be read, or is gone, is
    /// that of the last one that is known.
    pub(super) fn remember(&mut self, entry: Option<&Entry>) {
        let known = entry.map(|entry| entry.now.wall).or(self.last);
        let time = known.unwrap_or_else(|| Timestamp::from_millis(0));
        self.past.push(self.frontier.root(), time);
    }

    pub(super) fn check_time(&self, entry: &Entry) -> Result<(), Problem> {
        let (Some(last), found) = (self.last, entry.now.wall) else {
            return Ok(());
        };
        match &entry.body {
            Body::Log(LogEvent::ClockJumped {
                last: said, wall, ..
            }) => {
                // Of an entry before it that is gone only the times around it are known.
                let is_gone = self.pruning.positions().last() == entry.seq.checked_sub(1);
                if *said < last || (*said != last && !is_gone) {
                    return Err(Problem::Field { field: "last" });
                }
                if *wall > found {
                    return Err(Problem::Field { field: "wall" });
                }
                Ok(())
            }
            Body::Log(_) | Body::Request(_) if found < last => {
                Err(Problem::TimeWentBack { last, found })
            }
            Body::Log(_) | Body::Request(_) => Ok(()),
        }
    }
}
