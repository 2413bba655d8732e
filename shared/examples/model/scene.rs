//! One request, the daemon and the clocks around it, and what everybody outside the machine knows.
//!
//! The history is kept from what was taken, without asking the machine: who approved, whether
//! somebody denied, when the approval was given, what ran. A step that breaks a rule is blamed.

use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::machine::{
    Event, Executor, PolicyOutcome, Request, RulesChanged, RunEnd, RunOutcome, State, Via,
    Withdrawal,
};
use countersign_shared::statement::Verdict;
use countersign_shared::time::{BootId, Deadline, Moment, Timestamp};

use crate::people::{
    DOCUMENT, GRANT, MAX_RUN, REQUESTER, STALE, TTL, act, decision, received, roster,
};

/// What happened, as everybody outside the machine knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// Who approved with a decision that was taken, one bit each.
    pub(crate) approved_by: u8,
    pub(crate) denied: bool,
    /// The person who broke the glass.
    pub(crate) glass: Option<u8>,
    /// When and on which boot the approval was given, and by what right.
    pub(crate) granted: Option<(u8, u8, Via)>,
    /// When and on which boot the one use was taken.
    pub(crate) taken: Option<(u8, u8)>,
    pub(crate) redemptions: u8,
    pub(crate) runs: u8,
    /// The rules that something that was taken broke.
    pub(crate) broken: Vec<&'static str>,
}

/// The request and everything around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scene {
    pub(crate) request: Request,
    pub(crate) asks: bool,
    pub(crate) truth: u8,
    pub(crate) boot: u8,
    pub(crate) booted_at: u8,
    pub(crate) wall_offset: i8,
    pub(crate) last_wall: i64,
    pub(crate) faults: u8,
    pub(crate) listed: u8,
    /// The executors that were told that they may run, one bit each.
    pub(crate) told: u8,
    pub(crate) past: Past,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Policy(PolicyOutcome),
    Approve(u8),
    ApproveStale(u8),
    Deny(u8),
    Revoke(u8),
    BreakGlass(u8),
    CloseDebt(u8),
    Remove(u8),
    Withdraw,
    Redeem(u8),
    RedeemStale(u8),
    Start(u8),
    Finish(u8),
    NotRun(u8),
    Settle,
    Sweep,
    Tick,
    /// The daemon starts again on the same boot.
    Restart,
    /// The machine starts again.
    Reboot,
    ClockBack,
    ClockForward,
}

const R2: &str = "r2: a deny before redemption wins";
const R3: &str = "r3: an approval rests on distinct people, on policy or on broken glass";
const R4: &str = "r4: the requester approves nothing";
const R5: &str = "r5: only who is listed counts at the approval";
const R7: &str = "r7: nothing is approved after the deadline";
const R8: &str = "r8: there is one redemption and one run";
const R10: &str = "r10: an approval binds to its boot and its time";
const R11: &str = "r11: what the approval rests on counts at redemption";
const R15: &str = "r15: a stale digest does nothing";

impl Scene {
    /// A request that was just received, with these people in the roster.
    pub(crate) fn new(asks: bool, listed: u8) -> Option<Self> {
        let now = Moment {
            wall: Timestamp::from_millis(100_000),
            boot: BootId::new("a"),
            mono_ms: 0,
        };
        let received = received(&now, asks)?;
        let (request, _arm) = Request::receive(&now, RequestId::from_bytes([1; 16]), received);
        Some(Self {
            request,
            asks,
            truth: 0,
            boot: 0,
            booted_at: 0,
            wall_offset: 0,
            last_wall: 100_000,
            faults: 0,
            listed,
            told: 0,
            past: Past {
                approved_by: 0,
                denied: false,
                glass: None,
                granted: None,
                taken: None,
                redemptions: 0,
                runs: 0,
                broken: Vec::new(),
            },
        })
    }

    pub(crate) fn now(&self) -> Moment {
        let wall = (100 + i64::from(self.truth) + i64::from(self.wall_offset)) * 1000;
        Moment {
            wall: Timestamp::from_millis(wall.max(self.last_wall)),
            boot: BootId::new(if self.boot == 0 { "a" } else { "b" }),
            mono_ms: u64::from(self.truth.saturating_sub(self.booted_at)) * 1000,
        }
    }

    /// Applies an event and what it owes as one savepoint, and tells whether it was taken.
    fn take(&mut self, event: &Event) -> bool {
        let now = self.now();
        if self.request.apply(&now, event).is_err() {
            return false;
        }
        self.last_wall = now.wall.as_millis();
        while let Some(owed) = self.request.owed().cloned() {
            if self.request.apply(&now, &owed).is_err() {
                self.blame("what is owed is possible");
                break;
            }
            if let Event::Approved { via, .. } = owed {
                self.granted(via);
            }
        }
        true
    }

    fn blame(&mut self, rule: &'static str) {
        self.past.broken.push(rule);
    }

    pub(crate) fn blame_if(&mut self, wrong: bool, rule: &'static str) {
        if wrong {
            self.blame(rule);
        }
    }

    fn is_late(&self) -> bool {
        let by_wall = self.now().wall.as_millis() >= (100 + i64::from(TTL)) * 1000;
        by_wall || (self.boot == 0 && self.truth >= TTL)
    }

    /// Whether two listed people approved, counted from the past.
    pub(crate) fn has_two(&self) -> bool {
        (self.past.approved_by & self.listed).count_ones() >= 2
    }

    fn granted(&mut self, via: Via) {
        let fits = match via {
            Via::Policy => !self.asks,
            Via::Reviewers => self.asks && self.past.approved_by.count_ones() >= 2,
            Via::BreakGlass => self.past.glass.is_some(),
            Via::SelfAttested => false,
        };
        self.blame_if(!fits, R3);
        self.blame_if(via == Via::Reviewers && !self.has_two(), R5);
        self.blame_if(self.past.denied, R2);
        self.blame_if(self.is_late(), R7);
        self.past.granted = Some((self.truth, self.boot, via));
    }

    fn redeemed(&mut self, executor: u8) {
        self.told |= 1 << executor;
        self.past.redemptions += 1;
        self.blame_if(self.past.redemptions > 1, R8);
        self.blame_if(self.past.denied, R2);
        let Some((at, boot, via)) = self.past.granted else {
            return self.blame(R3);
        };
        self.blame_if(boot != self.boot || self.truth >= at + GRANT, R10);
        let stands = match via {
            Via::Policy => true,
            Via::Reviewers => self.has_two(),
            Via::BreakGlass => {
                let by = self.past.glass;
                by.is_some_and(|number| self.listed & (1 << number) != 0)
            }
            Via::SelfAttested => false,
        };
        self.blame_if(!stands, R11);
        self.past.taken = Some((self.truth, self.boot));
    }

    fn ran(&mut self) {
        self.past.runs += 1;
        self.blame_if(self.past.runs > 1, R8);
        let in_time = self
            .past
            .taken
            .is_some_and(|(at, boot)| boot == self.boot && self.truth < at + MAX_RUN);
        self.blame_if(!in_time, R10);
    }

    fn decide(&mut self, verdict: Verdict, number: u8, stale: bool) -> bool {
        let digest = if stale { STALE } else { DOCUMENT };
        let by_requester = number == REQUESTER;
        let before = self.past.approved_by;
        match verdict {
            Verdict::Approve => self.past.approved_by |= 1 << number,
            Verdict::Deny => {}
        }
        let event = Event::Decided(Box::new(decision(verdict, number, digest)));
        if !self.take(&event) {
            self.past.approved_by = before;
            return false;
        }
        self.blame_if(stale, R15);
        self.blame_if(by_requester && verdict == Verdict::Approve, R4);
        self.past.denied |= verdict == Verdict::Deny;
        true
    }

    fn redeem(&mut self, executor: u8, stale: bool) -> bool {
        let until = Deadline::after(&self.now(), Duration::from_secs(u64::from(MAX_RUN)));
        let event = Event::Redeemed {
            executor: if executor == 0 {
                Executor::Daemon
            } else {
                Executor::Agent
            },
            digest: if stale { STALE } else { DOCUMENT },
            until,
            by: None,
        };
        let taken = self.take(&event);
        if taken {
            self.redeemed(executor);
            self.blame_if(stale, R15);
        }
        taken
    }

    fn break_glass(&mut self, number: u8) -> bool {
        self.past.glass = Some(number);
        let taken = self.take(&Event::BreakGlass(Box::new(act(number))));
        self.blame_if(taken && number == REQUESTER, R4);
        taken
    }

    fn remove(&mut self, number: u8) -> bool {
        self.listed &= !(1 << number);
        self.take(&Event::RulesChanged(Box::new(RulesChanged {
            rules: STALE,
            previous: STALE,
            members: roster(self.listed),
            allowed_signers: String::new(),
            break_glass: roster(self.listed)
                .into_iter()
                .map(|member| member.name)
                .collect(),
            signing: None,
            via: None,
            at: Timestamp::from_millis(0),
        })))
    }

    /// What a brokered run was when the daemon ended is what nobody knows.
    fn restart(&mut self) -> bool {
        let by_daemon = self
            .request
            .redemption()
            .is_some_and(|taken| taken.executor == Executor::Daemon);
        let open = matches!(self.request.state(), State::Redeemed | State::Running);
        self.told &= !1;
        if by_daemon && open {
            let because = String::new();
            return self.take(&Event::Indeterminate { because });
        }
        true
    }

    pub(crate) fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Policy(outcome) => self.take(&Event::PolicyEvaluated {
                outcome,
                policies: Vec::new(),
                because: String::new(),
            }),
            Step::Approve(number) => self.decide(Verdict::Approve, number, false),
            Step::ApproveStale(number) => self.decide(Verdict::Approve, number, true),
            Step::Deny(number) => self.decide(Verdict::Deny, number, false),
            Step::Revoke(number) => self.take(&Event::Revoked(Box::new(act(number)))),
            Step::BreakGlass(number) => self.break_glass(number),
            Step::CloseDebt(number) => self.take(&Event::DebtClosed(Box::new(act(number)))),
            Step::Remove(number) => self.remove(number),
            Step::Withdraw => self.take(&Event::Withdrawn {
                because: Withdrawal::Asked,
            }),
            Step::Redeem(executor) => self.redeem(executor, false),
            Step::RedeemStale(executor) => self.redeem(executor, true),
            Step::Start(_) => {
                let taken = self.take(&Event::Started { pid: None });
                if taken {
                    self.ran();
                }
                taken
            }
            Step::Finish(_) => self.take(&Event::Finished(ended())),
            Step::NotRun(_) => {
                let because = String::new();
                self.take(&Event::NotRun { because })
            }
            Step::Settle => self.take(&Event::Settled {
                report: Some(ended()),
                act: None,
                outcome: None,
            }),
            Step::Sweep => {
                let due = self.request.due(&self.now());
                due.is_some_and(|event| self.take(&event))
            }
            Step::Tick => {
                self.truth += 1;
                true
            }
            Step::Restart => {
                self.faults += 1;
                self.restart()
            }
            Step::Reboot => {
                self.faults += 1;
                self.boot += 1;
                self.booted_at = self.truth;
                // An agent may come back with its ticket.
                self.told &= !1;
                true
            }
            Step::ClockBack => {
                self.faults += 1;
                self.wall_offset -= 2;
                true
            }
            Step::ClockForward => {
                self.faults += 1;
                self.wall_offset += 2;
                true
            }
        }
    }

    pub(crate) fn is_at(&self, state: State) -> bool {
        self.request.state() == state
    }
}

fn ended() -> RunEnd {
    RunEnd {
        outcome: RunOutcome::Succeeded,
        exit: None,
        signal: None,
        stdout: None,
        stderr: None,
        duration_ms: None,
    }
}
