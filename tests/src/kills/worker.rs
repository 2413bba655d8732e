//! An agent that takes one request after another through its life, and takes up where it was after
//! each kill.
//!
//! It redeems twice at once, and performs the side effect only on a redemption that was
//! acknowledged to it. Nothing it does may make an action run twice.

use std::sync::Arc;

use countersign_client::shown;
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::statement::Verdict;
use countersign_shared::wire::pb;
use tonic::Status;

use super::chance::Chance;
use super::scene::{Scene, Task};
use crate::calls::{self, Agent};
use crate::installation::Outcome;

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Submit,
    Wait,
    Redeem,
    Report,
}

impl Stage {
    const fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Wait => "wait",
            Self::Redeem => "redeem",
            Self::Report => "report",
        }
    }
}

/// A request under way.
#[derive(Debug)]
struct Asking {
    action: Vec<u8>,
    submission: [u8; 16],
    attached: bool,
    /// What the reviewer will say; nothing for a request that nobody ever decides.
    fate: Option<Verdict>,
    stage: Stage,
    /// Whether an answer of this stage was lost, so that its effect may have taken place.
    lost: bool,
    held: Option<Held>,
}

/// What Submit gave.
#[derive(Debug, Clone)]
struct Held {
    id: RequestId,
    ticket: String,
    digest: Digest,
}

/// Whether to go on with the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    /// The daemon is gone.
    Gone,
}

/// An agent.
#[derive(Debug)]
pub(super) struct Worker {
    chance: Chance,
    asking: Option<Asking>,
}

impl Worker {
    /// Makes an agent whose requests differ from those of other seeds.
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            asking: None,
        }
    }

    /// Works until the daemon is killed.
    ///
    /// # Errors
    ///
    /// What the daemon did that it must not.
    pub(super) async fn work(
        &mut self,
        who: &str,
        scene: &Arc<Scene>,
        mut agent: Agent,
    ) -> Outcome<()> {
        loop {
            let mut asking = match self.asking.take() {
                Some(asking) => asking,
                None => self.ask(),
            };
            scene.does(who, Some(asking.stage.word()));
            let next = match asking.stage {
                Stage::Submit => self.submit(&mut asking, scene, &mut agent).await,
                Stage::Wait => wait(&mut asking, scene, &mut agent).await,
                Stage::Redeem => redeem(&mut asking, scene, &agent).await,
                Stage::Report => report(&asking, scene, &mut agent).await,
            };
            match next? {
                (Next::GoOn, Some(stage)) => {
                    asking.lost &= stage == asking.stage;
                    asking.stage = stage;
                    self.asking = Some(asking);
                }
                (Next::GoOn, None) => {}
                (Next::Gone, _) => {
                    asking.lost = true;
                    self.asking = Some(asking);
                    return Ok(());
                }
            }
        }
    }

    fn ask(&mut self) -> Asking {
        let chance = &mut self.chance;
        let mut submission = [0; 16];
        let words = [chance.next(), chance.next()];
        for (byte, random) in submission
            .iter_mut()
            .zip(words.iter().flat_map(|it| it.to_be_bytes()))
        {
            *byte = random;
        }
        let fate = match chance.below(16) {
            0 => None,
            1 | 2 => Some(Verdict::Deny),
            _ => Some(Verdict::Approve),
        };
        Asking {
            action: calls::action(chance.next() >> 12),
            submission,
            attached: chance.once_in(2),
            fate,
            stage: Stage::Submit,
            lost: false,
            held: None,
        }
    }

    async fn submit(
        &mut self,
        asking: &mut Asking,
        scene: &Scene,
        agent: &mut Agent,
    ) -> Outcome<(Next, Option<Stage>)> {
        let request = pb::SubmitRequest {
            action: asking.action.clone(),
            submission: asking.submission.to_vec(),
            ask_key: String::new(),
            attached: asking.attached,
            known_size: 0,
            use_at_once: None,
        };
        let answer = match agent.submit(request).await {
            Ok(answer) => answer,
            Err(status) => {
                return gone(scene, &status, || scene.tally().lost_submits += 1);
            }
        };
        let id = scene.ledger().submitted(&answer)?;
        match &asking.held {
            Some(held) if held.id != id => {
                return Err(format!("one submission became {} and {id}", held.id).into());
            }
            Some(_) => {}
            None => {
                scene.tally().requests += 1;
                let digest = Digest::of(&answer.document);
                asking.held = Some(Held {
                    id,
                    ticket: answer.ticket,
                    digest,
                });
                if let Some(verdict) = asking.fate {
                    scene.put(Task {
                        id,
                        verdict,
                        tried: false,
                    });
                }
                if self.chance.once_in(4) {
                    return Ok((Next::GoOn, Some(Stage::Submit)));
                }
            }
        }
        // A request that nobody decides is left alone: it must stay what it is.
        Ok((Next::GoOn, asking.fate.map(|_| Stage::Wait)))
    }
}

fn held(asking: &Asking) -> Outcome<Held> {
    Ok(asking.held.clone().ok_or("a request without a ticket")?)
}

/// Reads the status of a call that is never refused.
fn gone(scene: &Scene, status: &Status, count: impl FnOnce()) -> Outcome<(Next, Option<Stage>)> {
    if let Some(code) = scene.refusal(status)? {
        return Err(format!("refused: {code}").into());
    }
    count();
    Ok((Next::Gone, None))
}

async fn wait(
    asking: &mut Asking,
    scene: &Scene,
    agent: &mut Agent,
) -> Outcome<(Next, Option<Stage>)> {
    let Held { id, ticket, .. } = held(asking)?;
    let lost = || scene.tally().lost_waits += 1;
    let request = pb::WaitRequest {
        id: id.to_string(),
        ticket,
        known_size: 0,
    };
    let mut standings = match agent.wait(request).await {
        Ok(standings) => standings,
        Err(status) => return gone(scene, &status, lost),
    };
    loop {
        let standing = match standings.message().await {
            Ok(Some(standing)) => standing,
            Ok(None) if scene.is_dying() => {
                lost();
                return Ok((Next::Gone, None));
            }
            Ok(None) => return Err(format!("{id} was waited for and never decided").into()),
            Err(status) => return gone(scene, &status, lost),
        };
        let state = shown::state(standing.state)?;
        if state == State::Pending {
            continue;
        }
        scene.ledger().proven(standing.decided_by)?;
        return match (state, asking.fate) {
            (State::Approved, Some(Verdict::Approve)) => Ok((Next::GoOn, Some(Stage::Redeem))),
            (State::Denied, Some(Verdict::Deny)) => Ok((Next::GoOn, None)),
            (state, fate) => Err(format!("{id} is {state:?} and was to be {fate:?}").into()),
        };
    }
}

async fn redeem(
    asking: &mut Asking,
    scene: &Scene,
    agent: &Agent,
) -> Outcome<(Next, Option<Stage>)> {
    let Held { id, ticket, digest } = held(asking)?;
    let request = pb::RedeemRequest {
        id: id.to_string(),
        ticket,
        digest: digest.to_string(),
        pid: 0,
        known_size: 0,
    };
    let (mut one, mut two) = (agent.clone(), agent.clone());
    let answers = tokio::join!(one.redeem(request.clone()), two.redeem(request));
    let (mut taken, mut lost) = (false, false);
    for answer in [answers.0, answers.1] {
        match answer {
            Ok(answer) => {
                let mut ledger = scene.ledger();
                ledger.proven(answer.redeemed_by)?;
                let known = ledger.of(id)?;
                known.redeemed = known.redeemed.saturating_add(1);
                if taken {
                    return Err(format!("{id} was redeemed twice").into());
                }
                taken = true;
            }
            Err(status) => match scene.refusal(&status)?.as_deref() {
                None => lost = true,
                Some("already-redeemed") => {}
                Some(code) => return Err(format!("{id} cannot be redeemed: {code}").into()),
            },
        }
    }
    if taken {
        scene.run(id)?;
        return Ok((Next::GoOn, Some(Stage::Report)));
    }
    if lost {
        scene.tally().lost_redemptions += 1;
        return Ok((Next::Gone, None));
    }
    if !asking.lost {
        return Err(format!("{id} was redeemed by nobody").into());
    }
    // The use was taken and nobody heard of it: the action never runs.
    scene.tally().spent_unheard += 1;
    Ok((Next::GoOn, None))
}

async fn report(
    asking: &Asking,
    scene: &Scene,
    agent: &mut Agent,
) -> Outcome<(Next, Option<Stage>)> {
    let Held { id, ticket, .. } = held(asking)?;
    let request = pb::ReportRequest {
        // The very process that redeemed needs no run secret.
        run: String::new(),
        id: id.to_string(),
        ticket,
        report: br#"{"exit":0,"outcome":"succeeded"}"#.to_vec(),
    };
    match agent.report(request).await {
        Ok(_) => {}
        Err(status) => match scene.refusal(&status)? {
            None => {
                scene.tally().lost_reports += 1;
                return Ok((Next::Gone, None));
            }
            // The first one arrived, then; the log must hold it.
            Some(_) if asking.lost => {}
            Some(code) => return Err(format!("{id} cannot be reported: {code}").into()),
        },
    }
    scene.ledger().of(id)?.reported = true;
    Ok((Next::GoOn, None))
}
