//! The engine's one queue, in two lanes: people's calls, and agents'.
//!
//! Both are bounded, each by itself, and people's calls are served first. So however many agents
//! call, a deny finds its place and waits for no more than the batch that is being written.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Call;

/// Whose call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A reviewer's, or the daemon's own.
    People,
    /// An agent's.
    Agents,
}

/// Why a call was not taken. The call comes back, so that whoever sent it may try again.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The lane is full.
    Full(Box<Call>),
    /// Nobody serves the queue any more.
    Closed,
}

/// How many calls each lane holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) people: usize,
    pub(super) agents: usize,
}

#[derive(Debug, Default)]
struct Lanes {
    people: VecDeque<Call>,
    agents: VecDeque<Call>,
    /// Nobody can send any more.
    ended: bool,
    /// Nobody serves any more.
    gone: bool,
}

#[derive(Debug)]
struct Shared {
    lanes: Mutex<Lanes>,
    came: Condvar,
    room: Room,
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that calls are put in. Dropping it ends the queue.
#[derive(Debug)]
pub(super) struct Entrance(Arc<Shared>);

/// The end that calls are served from.
#[derive(Debug)]
pub(super) struct Exit(Arc<Shared>);

/// Makes a queue.
pub(super) fn queue(room: Room) -> (Entrance, Exit) {
    let shared = Arc::new(Shared {
        lanes: Mutex::default(),
        came: Condvar::new(),
        room,
    });
    (Entrance(Arc::clone(&shared)), Exit(shared))
}

impl Entrance {
    /// Puts a call into its lane, or says at once that it cannot.
    pub(super) fn send(&self, lane: Lane, call: impl Into<Call>) -> Result<(), NotTaken> {
        let mut lanes = self.0.lanes();
        if lanes.gone {
            return Err(NotTaken::Closed);
        }
        let (waiting, room) = match lane {
            Lane::People => (&mut lanes.people, self.0.room.people),
            Lane::Agents => (&mut lanes.agents, self.0.room.agents),
        };
        if waiting.len() >= room {
            return Err(NotTaken::Full(Box::new(call.into())));
        }
        waiting.push_back(call.into());
        drop(lanes);
        self.0.came.notify_one();
        Ok(())
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.lanes().ended = true;
        self.0.came.notify_one();
    }
}

/// What waited.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// People's calls, in the order they came.
    pub(super) people: Vec<Call>,
    /// Agents' calls, in the order they came.
    pub(super) agents: Vec<Call>,
    /// Whether the queue has ended and is empty.
    pub(super) ended: bool,
}

impl Exit {
    /// Waits for a call, no longer than `nap`, and takes at most `most` of each lane.
    pub(super) fn take(&self, nap: Duration, most: usize) -> Taken {
        let is_empty =
            |lanes: &mut Lanes| lanes.people.is_empty() && lanes.agents.is_empty() && !lanes.ended;
        let (mut lanes, _) = self
            .0
            .came
            .wait_timeout_while(self.0.lanes(), nap, is_empty)
            .unwrap_or_else(PoisonError::into_inner);
        let some = |waiting: &mut VecDeque<Call>| {
            let count = waiting.len().min(most);
            waiting.drain(..count).collect()
        };
        Taken {
            people: some(&mut lanes.people),
            agents: some(&mut lanes.agents),
            ended: lanes.ended && lanes.people.is_empty() && lanes.agents.is_empty(),
        }
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        let mut lanes = self.0.lanes();
        lanes.gone = true;
        // Whoever waits for an answer hears at once that there will be none.
        let left = (
            std::mem::take(&mut lanes.people),
            std::mem::take(&mut lanes.agents),
        );
        drop(lanes);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Query;
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn count(uid: u32) -> Call {
        let code = "malformed";
        Query::Count { uid, code }.into()
    }

    fn uids(calls: &[Call]) -> Vec<u32> {
        calls
            .iter()
            .map(|call| {
                let Call::Query(Query::Count { uid, .. }) = call else {
                    panic!("another call than the ones sent");
                };
                *uid
            })
            .collect()
    }

    #[test]
    fn a_full_lane_of_agents_leaves_room_for_people_who_are_served_first() {
        let (entrance, exit) = queue(Room {
            people: 2,
            agents: 3,
        });
        for uid in 0..3 {
            entrance.send(Lane::Agents, count(uid)).unwrap();
        }
        match entrance.send(Lane::Agents, count(3)).unwrap_err() {
            NotTaken::Full(call) => assert_eq!(uids(&[*call]), [3]),
            NotTaken::Closed => panic!("it is served"),
        }
        entrance.send(Lane::People, count(100)).unwrap();
        entrance.send(Lane::People, count(101)).unwrap();
        assert!(matches!(
            entrance.send(Lane::People, count(102)),
            Err(NotTaken::Full(_))
        ));
        let taken = exit.take(AT_ONCE, 2);
        assert_eq!(uids(&taken.people), [100, 101]);
        assert_eq!(uids(&taken.agents), [0, 1]);
        assert!(!taken.ended);
        assert_eq!(uids(&exit.take(AT_ONCE, 2).agents), [2]);
    }

    #[test]
    fn an_ended_queue_is_served_to_its_end_and_one_that_nobody_serves_takes_nothing() {
        let (entrance, exit) = queue(Room {
            people: 2,
            agents: 2,
        });
        entrance.send(Lane::Agents, count(1)).unwrap();
        entrance.send(Lane::Agents, count(2)).unwrap();
        drop(entrance);
        assert!(!exit.take(AT_ONCE, 1).ended);
        let last = exit.take(AT_ONCE, 1);
        assert_eq!((uids(&last.agents), last.ended), (vec![2], true));

        let (entrance, exit) = queue(Room {
            people: 2,
            agents: 2,
        });
        drop(exit);
        assert!(matches!(
            entrance.send(Lane::People, count(1)),
            Err(NotTaken::Closed)
        ));
    }

    #[test]
    fn whoever_serves_is_woken_by_a_call_of_another_thread() {
        let (entrance, exit) = queue(Room {
            people: 2,
            agents: 2,
        });
        let sender = std::thread::spawn(move || {
            entrance.send(Lane::Agents, count(7)).unwrap();
            entrance
        });
        let taken = exit.take(Duration::from_secs(60), 2);
        assert_eq!(uids(&taken.agents), [7]);
        drop(sender.join().unwrap());
        assert!(exit.take(Duration::from_secs(60), 2).ended);
    }
}
