//! What may happen next, and what has to hold: one requester, some reviewers and executors, a daemon
//! that may crash, and clocks that may lie.

use countersign_shared::machine::{Event, PolicyOutcome, State, Via};
use stateright::{Checker, Expectation, Model, Property};

use crate::people::{REQUESTER, person};
use crate::scene::{Scene, Step};

/// How large a world is searched.
#[derive(Debug)]
pub(crate) struct World {
    /// How many people may approve, at most seven.
    pub(crate) reviewers: u8,
    /// How many try to redeem; the first is the daemon.
    pub(crate) executors: u8,
    /// How many crashes and clock jumps there may be.
    pub(crate) faults: u8,
    /// How much time passes.
    pub(crate) ticks: u8,
}

impl Model for World {
    type State = Scene;
    type Action = Step;

    fn init_states(&self) -> Vec<Scene> {
        let listed = ((1 << self.reviewers) - 1) | (1 << REQUESTER);
        let mut scenes = Vec::new();
        for asks in [true, false] {
            scenes.extend(Scene::new(asks, listed));
        }
        scenes
    }

    fn actions(&self, scene: &Scene, steps: &mut Vec<Step>) {
        steps.extend([
            Step::Policy(PolicyOutcome::Hold),
            Step::Policy(PolicyOutcome::Permit),
            Step::Policy(PolicyOutcome::Refuse),
            Step::Approve(REQUESTER),
            Step::BreakGlass(REQUESTER),
            Step::ApproveStale(0),
            Step::RedeemStale(0),
            Step::Withdraw,
            Step::Settle,
            Step::Sweep,
        ]);
        for number in 0..self.reviewers {
            steps.extend([Step::Approve(number), Step::Deny(number)]);
        }
        // The last reviewer stands for all where people do not differ.
        let last = self.reviewers.saturating_sub(1);
        steps.extend([
            Step::Revoke(last),
            Step::BreakGlass(last),
            Step::CloseDebt(0),
        ]);
        if scene.listed & (1 << last) != 0 {
            steps.push(Step::Remove(last));
        }
        for executor in 0..self.executors {
            steps.push(Step::Redeem(executor));
            if scene.told & (1 << executor) != 0 {
                let run = [
                    Step::Start(executor),
                    Step::Finish(executor),
                    Step::NotRun(executor),
                ];
                steps.extend(run);
            }
        }
        if scene.request.state().has_ended() {
            return;
        }
        if scene.truth < self.ticks {
            steps.push(Step::Tick);
        }
        if scene.faults < self.faults {
            steps.extend([Step::Restart, Step::ClockBack, Step::ClockForward]);
            if scene.boot == 0 {
                steps.push(Step::Reboot);
            }
        }
    }

    fn next_state(&self, before: &Scene, step: Step) -> Option<Scene> {
        let mut scene = before.clone();
        let taken = scene.step(step);
        if before.request.state().has_ended() {
            let stays = scene.is_at(before.request.state());
            scene.blame_if(!stays, "r1: an ended state absorbs");
        }
        taken.then_some(scene)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no rule is broken", |_, scene: &Scene| {
                scene.past.broken.is_empty()
            }),
            Property::always(
                "r5: an approval stands while it can be used",
                |_, scene: &Scene| {
                    let by_people = matches!(scene.past.granted, Some((_, _, Via::Reviewers)));
                    !(by_people && scene.is_at(State::Approved)) || scene.has_two()
                },
            ),
            Property::always("r7: what is over is due", |_, scene: &Scene| {
                let now = scene.now();
                let over = scene
                    .request
                    .deadline()
                    .is_some_and(|deadline| deadline.has_passed(&now));
                !over || scene.request.due(&now).is_some()
            }),
            Property::always(
                "r10: an approval of another boot is over",
                |_, scene: &Scene| {
                    let other =
                        matches!(scene.past.granted, Some((_, boot, _)) if boot != scene.boot);
                    let due = scene.request.due(&scene.now());
                    !(other && scene.is_at(State::Approved)) || due == Some(Event::Lapsed {})
                },
            ),
            Property::always("r8: a run had its redemption", |_, scene: &Scene| {
                scene.past.runs <= scene.past.redemptions
            }),
            Property::always("r2: after a deny nothing follows", |_, scene: &Scene| {
                !scene.past.denied || scene.is_at(State::Denied)
            }),
            Property::always(
                "r17: broken glass leaves a debt to another",
                |_, scene: &Scene| {
                    scene.request.debt().is_none()
                        || scene.request.debt()
                            == scene.past.glass.map(|by| person(by).name).as_deref()
                },
            ),
            Property::sometimes("refused", |_, scene: &Scene| scene.is_at(State::Refused)),
            Property::sometimes("two people approve", |_, scene: &Scene| {
                matches!(scene.past.granted, Some((_, _, Via::Reviewers)))
            }),
            Property::sometimes("policy approves", |_, scene: &Scene| {
                matches!(scene.past.granted, Some((_, _, Via::Policy)))
            }),
            Property::sometimes("the glass is broken", |_, scene: &Scene| {
                matches!(scene.past.granted, Some((_, _, Via::BreakGlass)))
            }),
            Property::sometimes("denied after approval", |_, scene: &Scene| {
                scene.is_at(State::Denied) && scene.past.granted.is_some()
            }),
            Property::sometimes("expired", |_, scene: &Scene| scene.is_at(State::Expired)),
            Property::sometimes("withdrawn", |_, scene: &Scene| {
                scene.is_at(State::Withdrawn)
            }),
            Property::sometimes("invalidated", |_, scene: &Scene| {
                scene.is_at(State::Invalidated)
            }),
            Property::sometimes("revoked", |_, scene: &Scene| scene.is_at(State::Revoked)),
            Property::sometimes("lapsed on another boot", |_, scene: &Scene| {
                scene.is_at(State::Lapsed) && scene.boot > 0
            }),
            Property::sometimes("not run", |_, scene: &Scene| scene.is_at(State::NotRun)),
            Property::sometimes("ran well", |_, scene: &Scene| scene.is_at(State::Succeeded)),
            Property::sometimes("ran well after a restart", |_, scene: &Scene| {
                scene.is_at(State::Succeeded) && scene.faults > 0 && scene.boot == 0
            }),
            Property::sometimes("nobody knows", |_, scene: &Scene| {
                scene.is_at(State::Indeterminate)
            }),
            Property::sometimes("settled", |_, scene: &Scene| scene.is_at(State::Settled)),
            Property::sometimes("a debt is closed", |_, scene: &Scene| {
                scene.past.glass.is_some()
                    && scene.past.granted.is_some()
                    && scene.request.debt().is_none()
            }),
        ]
    }
}

impl World {
    /// Returns what a search found that should not be, and what it did not find that should.
    pub(crate) fn surprises(&self, found: &impl Checker<Self>) -> Vec<String> {
        let mut surprises = Vec::new();
        for property in self.properties() {
            let path = found.discovery(property.name);
            match (property.expectation, path) {
                (Expectation::Always | Expectation::Eventually, Some(path)) => {
                    let steps = path.into_actions();
                    surprises.push(format!("{}: broken by {steps:?}", property.name));
                }
                (Expectation::Sometimes, None) => {
                    surprises.push(format!("{}: never comes about", property.name));
                }
                (Expectation::Always | Expectation::Eventually, None)
                | (Expectation::Sometimes, Some(_)) => {}
            }
        }
        surprises
    }
}
