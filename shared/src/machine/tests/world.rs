//! A world around one request: true time, clocks that lie, a roster, and the record of every
//! attempt. It knows the daemon's duties (the wall time of `now` never runs behind the last entry)
//! and nothing of the machine's reasons.

use std::time::Duration;

use super::people::{Setting, everybody};
use crate::digest::Digest;
use crate::id::RequestId;
use crate::machine::{Event, Received, Refused, Request, RulesChanged, State};
use crate::requirement::Member;
use crate::time::{BootId, Moment, Timestamp};

/// The clocks of a machine, and the time that truly passed.
#[derive(Debug, Clone)]
pub(super) struct Clocks {
    /// Milliseconds that truly passed since the world began.
    pub(super) truth: u64,
    /// How far the wall clock is off.
    pub(super) offset: i64,
    pub(super) boot: u64,
    pub(super) booted_at: u64,
    /// The wall time of the last entry.
    pub(super) last: i64,
}

impl Clocks {
    pub(super) fn now(&self) -> Moment {
        let wall = 1_000_000_000 + i64::try_from(self.truth).unwrap() + self.offset;
        Moment {
            wall: Timestamp::from_millis(wall.max(self.last)),
            boot: BootId::new(&format!("boot{}", self.boot)),
            mono_ms: 1000 + self.truth - self.booted_at,
        }
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.truth += u64::try_from(span.as_millis()).unwrap();
    }

    pub(super) fn reboot(&mut self) {
        self.boot += 1;
        self.booted_at = self.truth;
    }
}

/// One event that was offered, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) now: Moment,
    pub(super) truth: u64,
    pub(super) boot: u64,
    pub(super) event: Event,
    pub(super) before: Request,
    pub(super) after: Request,
    pub(super) result: Result<(), Refused>,
    /// The people in the roster after the event.
    pub(super) roster: Vec<Member>,
}

impl Attempt {
    pub(super) fn is_accepted(&self) -> bool {
        self.result.is_ok()
    }
}

/// One request and everything around it.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) setting: Setting,
    pub(super) clocks: Clocks,
    pub(super) request: Request,
    pub(super) roster: Vec<Member>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) received: Received,
    pub(super) received_now: Moment,
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let clocks = Clocks {
            truth: 0,
            offset: 0,
            boot: 0,
            booted_at: 0,
            last: 0,
        };
        let now = clocks.now();
        let received = setting.received(&now);
        let id = RequestId::from_bytes([7; 16]);
        let (request, effects) = Request::receive(&now, id, received.clone());
        assert_eq!(effects.len(), 1);
        Self {
            setting,
            clocks,
            request,
            roster: everybody(),
            attempts: Vec::new(),
            received,
            received_now: now,
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clocks.now()
    }

    pub(super) fn state(&self) -> State {
        self.request.state()
    }

    /// Offers an event and records what became of it.
    pub(super) fn offer(&mut self, event: Event) -> Result<(), Refused> {
        let now = self.now();
        let before = self.request.clone();
        let result = self.request.apply(&now, &event).map(|_| ());
        if result.is_ok() {
            self.clocks.last = now.wall.as_millis();
        }
        if let Event::RulesChanged(rules) = &event
            && (result.is_ok() || !before.state().is_live())
        {
            self.roster.clone_from(&rules.members);
        }
        self.attempts.push(Attempt {
            now,
            truth: self.clocks.truth,
            boot: self.clocks.boot,
            event,
            before,
            after: self.request.clone(),
            result: result.clone(),
            roster: self.roster.clone(),
        });
        result
    }

    /// Applies what is owed, as the daemon does in the same savepoint.
    pub(super) fn settle(&mut self) {
        while let Some(owed) = self.request.owed().cloned() {
            self.offer(owed).unwrap();
        }
    }

    /// Offers an event that must be taken, and what it owes.
    #[track_caller]
    pub(super) fn take(&mut self, event: Event) {
        self.offer(event).unwrap();
        self.settle();
    }

    /// Offers an event and what it owes, whether or not it is taken.
    pub(super) fn tries(&mut self, event: Event) -> Result<(), Refused> {
        let result = self.offer(event);
        self.settle();
        result
    }

    pub(super) fn rules_with(&self, members: Vec<Member>) -> Event {
        Event::RulesChanged(Box::new(RulesChanged {
            rules: Digest::from_bytes([9; 32]),
            previous: Digest::from_bytes([4; 32]),
            allowed_signers: String::new(),
            break_glass: members.iter().map(|member| member.name.clone()).collect(),
            members,
            signing: None,
            via: None,
            at: self.now().wall,
        }))
    }

    pub(super) fn accepted(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| attempt.is_accepted())
    }
}
