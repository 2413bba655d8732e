//! Domain values as wire messages.

use std::collections::BTreeSet;

use countersign_shared::id::RunSecret;
use countersign_shared::log::note::WitnessKey;
use countersign_shared::log::tree::Hash;
use countersign_shared::machine::{Executor, Request, State, Via};
use countersign_shared::requirement::Escalation;
use countersign_shared::statement::{Outcome, Verdict};
use countersign_shared::time::Deadline;
use countersign_shared::wire::pb;
use data_encoding::BASE64;
use serde_json::json;

use crate::engine::{Consistency, Head, Inclusion, Standing, View};
use crate::stream;
use crate::witnesses::{self, Witnesses};

pub(super) fn state(state: State) -> pb::State {
    match state {
        State::Received => pb::State::Received,
        State::Refused => pb::State::Refused,
        State::Pending => pb::State::Pending,
        State::Approved => pb::State::Approved,
        State::Denied => pb::State::Denied,
        State::Expired => pb::State::Expired,
        State::Withdrawn => pb::State::Withdrawn,
        State::Superseded => pb::State::Superseded,
        State::Invalidated => pb::State::Invalidated,
        State::Revoked => pb::State::Revoked,
        State::Lapsed => pb::State::Lapsed,
        State::Redeemed => pb::State::Redeemed,
        State::Running => pb::State::Running,
        State::NotRun => pb::State::NotRun,
        State::Indeterminate => pb::State::Indeterminate,
        State::Succeeded => pb::State::Succeeded,
        State::Failed => pb::State::Failed,
        State::Killed => pb::State::Killed,
        State::Settled => pb::State::Settled,
    }
}

/// How a stream of the log stands.
pub(super) fn stream(standing: stream::Standing) -> pb::StreamStanding {
    pb::StreamStanding {
        to: standing.to,
        entries: standing.entries,
        head: standing.head,
        problem: standing.problem.unwrap_or_default(),
    }
}

pub(super) fn head(head: &Head) -> pb::Head {
    pb::Head {
        note: format!("{}{}", head.note, head.cosignatures),
        consistency: hashes(&head.consistency),
        consistent_from: head.from,
        rotation: head.rotation.as_ref().map(|rotation| pb::KeyRotation {
            index: rotation.index,
            entry: rotation.entry.clone(),
            proof: hashes(&rotation.proof),
        }),
    }
}

pub(super) fn witnesses(witnesses: &Witnesses) -> Vec<pb::Witness> {
    let one = |(key, standing): (WitnessKey, witnesses::Standing)| pb::Witness {
        vkey: key.to_string(),
        size: standing.size,
        time: standing.time,
        trouble: standing.trouble.unwrap_or_default(),
    };
    witnesses.standings().into_iter().map(one).collect()
}

pub(super) fn inclusion(inclusion: &Inclusion) -> pb::Inclusion {
    pb::Inclusion {
        index: inclusion.index,
        entry: inclusion.entry.clone(),
        proof: hashes(&inclusion.proof),
        head: Some(head(&inclusion.head)),
    }
}

pub(super) fn consistency(consistency: &Consistency) -> pb::ProveConsistencyResponse {
    pb::ProveConsistencyResponse {
        proof: hashes(&consistency.proof),
        size: consistency.size,
    }
}

pub(super) fn redeemed(by: &Inclusion, until: &Deadline, run: &RunSecret) -> pb::RedeemResponse {
    pb::RedeemResponse {
        redeemed_by: Some(inclusion(by)),
        run_until: until.wall.to_string(),
        run: run.reveal(),
    }
}

fn hashes(hashes: &[Hash]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect()
}

/// Returns when a standing ends by itself, empty when it does not.
pub(super) fn ends(standing: &Standing) -> String {
    standing
        .ends
        .as_ref()
        .map_or_else(String::new, |deadline| deadline.wall.to_string())
}

pub(super) fn summary(view: &View) -> pb::Summary {
    let request = &view.request;
    let card = &view.card;
    pb::Summary {
        id: request.id().to_string(),
        state: state(request.state()).into(),
        digest: request.digest().to_string(),
        tier: request.requirement().tier.word().to_owned(),
        kind: card.kind.clone(),
        target: card.target.clone(),
        target_kind: card.target_kind.clone(),
        agent: card.agent.clone(),
        requester: Some(pb::Requester {
            uid: card.uid,
            user: card.user.clone(),
            pid: card.pid,
            program: card.program.clone(),
            unit: card.unit.clone(),
            container: card.container.clone(),
        }),
        received_at: request.received_at().wall.to_string(),
        expires_at: request
            .deadline()
            .unwrap_or(&request.received().expires)
            .wall
            .to_string(),
        claimed_by: request
            .claim()
            .map_or_else(String::new, |claim| claim.reviewer.clone()),
        self_attested: request.is_self_attested(),
        reason: request.reason().to_owned(),
        waiter_present: view.waiter_present,
        break_glass: request
            .approval()
            .is_some_and(|approval| approval.via == Via::BreakGlass),
        owed_by: request.debt().unwrap_or_default().to_owned(),
        escalated: request.is_escalated(),
        escalate_to: called(request),
    }
}

/// Returns the groups that a request calls when nobody decides, each once.
fn called(request: &Request) -> Vec<String> {
    let called = request.requirement().escalate.iter().map(Escalation::to);
    let groups: BTreeSet<&str> = called.collect();
    groups.into_iter().map(str::to_owned).collect()
}

pub(super) fn decisions(request: &Request) -> Vec<pb::Decision> {
    request
        .decisions()
        .iter()
        .map(|decision| pb::Decision {
            decision: match decision.verdict {
                Verdict::Approve => "approve".to_owned(),
                Verdict::Deny => "deny".to_owned(),
            },
            reviewer: decision.member.name.clone(),
            assurance: decision.assurance.to_string(),
            self_attested: decision.self_attested,
            reason: decision.reason.clone(),
            time: decision.at.to_string(),
            statement: BASE64
                .decode(decision.statement_base64.as_bytes())
                .unwrap_or_default(),
            sshsig: decision.sshsig.clone(),
        })
        .collect()
}

/// Returns the execution as canonical JSON, nothing when there is none.
pub(super) fn execution(request: &Request) -> Vec<u8> {
    let Some(redemption) = request.redemption() else {
        return Vec::new();
    };
    let end = redemption.end.as_ref();
    let value = json!({
        "executor": match redemption.executor {
            Executor::Agent => "agent",
            Executor::Daemon => "daemon",
        },
        "state": request.state().word(),
        "exit": end.and_then(|end| end.exit),
        "signal": end.and_then(|end| end.signal),
        "stdout_sha256": end.and_then(|end| end.stdout),
        "stderr_sha256": end.and_then(|end| end.stderr),
        "started_at": redemption.started.as_ref().map(|started| started.wall),
        "duration_ms": end.and_then(|end| end.duration_ms),
        "settled": redemption.settled.map(Outcome::word),
    });
    countersign_shared::json::canonical(&value).unwrap_or_default()
}
