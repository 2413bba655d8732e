//! `kill -9` of the daemon at random moments over the life of requests.
//!
//! Several agents take requests through their lives and a reviewer decides, while the daemon is
//! killed again and again, at boot as well. After each restart the whole log is read with a tree of
//! its own and held against every acknowledgement that any caller ever got: nothing acknowledged is
//! lost, nothing runs twice, nothing is approved by itself, and every head that was ever shown is
//! still in the log. Power cuts are another matter: the disk's promises are not tested here.

mod chance;
mod ledger;
mod scene;
mod witness;
mod worker;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use countersign::client::{Client, ClientError};
use countersign_client::refusal::Failure;
use tokio::task::JoinSet;

pub use scene::Tally;

use crate::calls::Agent;
use crate::installation::{Installation, Outcome};
use crate::reviewer::Reviewer;
use chance::Chance;
use ledger::Ledger;
use scene::{Scene, Task};
use witness::Witness;
use worker::Worker;

/// How many agents work at once.
const AGENTS: u64 = 6;

/// How many kills one home sees; then a new one begins, so that reading logs stays cheap.
const PER_HOME: u64 = 200;

/// After how many kills the whole database is verified by the daemon's own program.
const PER_VERIFY: u64 = 20;

/// The longest time between being ready and being killed, in microseconds.
const LIFE: u64 = 80_000;

/// The longest time between being started and being killed at boot, in microseconds.
const BOOT: u64 = 60_000;

/// How the one who decides is called.
const REVIEWER: &str = "reviewer";

/// How long the callers may take to notice a kill.
const NOTICE: Duration = Duration::from_secs(20);

/// No limit but the kills.
const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 1000000
pending = 1000000
disconnect_grace = \"30m\"
";

/// Kills the daemon `kills` times and returns what was counted.
///
/// # Errors
///
/// What did not hold, with the seed that led to it.
pub async fn run(kills: u64, seed: u64) -> Outcome<Tally> {
    let mut sum = Tally::default();
    let mut home = 0u64;
    while sum.kills < kills {
        let share = kills.saturating_sub(sum.kills).min(PER_HOME);
        let seed = seed.wrapping_add(home);
        let tally = in_one_home(share, seed)
            .await
            .map_err(|error| format!("seed {seed}, {share} kills: {error}"))?;
        sum.kills += tally.kills;
        sum.requests += tally.requests;
        sum.entries += tally.entries;
        sum.runs += tally.runs;
        sum.lost_submits += tally.lost_submits;
        sum.lost_waits += tally.lost_waits;
        sum.lost_decisions += tally.lost_decisions;
        sum.lost_redemptions += tally.lost_redemptions;
        sum.spent_unheard += tally.spent_unheard;
        sum.lost_reports += tally.lost_reports;
        home = home.saturating_add(1);
    }
    Ok(sum)
}

async fn in_one_home(kills: u64, seed: u64) -> Outcome<Tally> {
    let mut chance = Chance::new(seed);
    let (mut installation, signer) = Installation::make(SETTINGS)?;
    let place = installation.place()?;
    let key = place.log_key()?;
    let ran = installation.home.root().join("ran");
    fs::create_dir(&ran)?;
    let scene = Arc::new(Scene::new(Ledger::new(key.clone()), ran));
    let mut witness = Witness::new(key);
    let mut reviewer = Reviewer::new(&installation, signer)?;
    let mut workers: Vec<Worker> = (0..AGENTS).map(|_| Worker::new(chance.next())).collect();
    for kill in 1..=kills {
        installation.start()?;
        if chance.once_in(8) {
            tokio::time::sleep(Duration::from_micros(chance.below(BOOT))).await;
            installation.kill()?;
        } else {
            let mut client = installation.ready().await?;
            let ledger = scene.ledger().clone();
            witness.check(&mut client, &ledger).await?;
            let agent = Agent::connect(&place).await?;
            let mut calls = JoinSet::new();
            for (at, mut worker) in workers.drain(..).enumerate() {
                let (scene, agent) = (Arc::clone(&scene), agent.clone());
                calls.spawn(async move {
                    let who = format!("agent {at}");
                    let done = worker.work(&who, &scene, agent).await;
                    scene.does(&who, None);
                    (done, Some(worker), None)
                });
            }
            let desk = Arc::clone(&scene);
            calls.spawn(async move {
                let done = decide(&mut reviewer, &desk, &mut client).await;
                desk.does(REVIEWER, None);
                (done, None, Some(reviewer))
            });
            tokio::time::sleep(Duration::from_micros(chance.below(LIFE))).await;
            scene.set_dying(true);
            installation.kill()?;
            // A reviewer who waits for work learns of the kill this way.
            scene.bell.notify_one();
            let joined = tokio::time::timeout(NOTICE, calls.join_all())
                .await
                .map_err(|_| format!("a call outlived the daemon: {}", scene.doing()))?;
            scene.set_dying(false);
            let mut back = None;
            for (done, worker, reviewer) in joined {
                done?;
                workers.extend(worker);
                back = back.or(reviewer);
            }
            reviewer = back.ok_or("the reviewer is gone")?;
        }
        scene.tally().kills += 1;
        if kill % PER_VERIFY == 0 {
            verify(&mut installation.command())?;
        }
    }
    installation.start()?;
    let mut client = installation.ready().await?;
    let ledger = scene.ledger().clone();
    witness.check(&mut client, &ledger).await?;
    installation.kill()?;
    verify(&mut installation.command())?;
    let mut tally = *scene.tally();
    tally.entries = u64::try_from(witness.size())?;
    Ok(tally)
}

/// Decides what is put before the reviewer until the daemon is killed.
async fn decide(reviewer: &mut Reviewer, scene: &Scene, client: &mut Client) -> Outcome<()> {
    while !scene.is_dying() {
        let Some(task) = scene.take() else {
            scene.does(REVIEWER, Some("nothing"));
            scene.bell.notified().await;
            continue;
        };
        let id = task.id;
        scene.does(REVIEWER, Some("sign"));
        let (_, signed) = match reviewer.sign(client, &id.to_string(), task.verdict).await {
            Ok(signed) => signed,
            Err(_) if scene.is_dying() => {
                scene.put(task);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        scene.ledger().of(id)?.signed.push(signed.statement.clone());
        scene.does(REVIEWER, Some("decide"));
        match client.decide(id, signed, 0).await {
            Ok(answer) => {
                let mut ledger = scene.ledger();
                ledger.proven(answer.recorded)?;
                ledger.of(id)?.decided = Some(task.verdict);
            }
            // The first try arrived, then, and the request went on.
            Err(ClientError::Failure(Failure::Refused(_))) if task.tried => {
                scene.ledger().of(id)?.decided = Some(task.verdict);
            }
            Err(_) if scene.is_dying() => {
                scene.tally().lost_decisions += 1;
                scene.put(Task {
                    tried: true,
                    ..task
                });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Has the daemon's own program verify the database, as it lies there after a kill.
fn verify(command: &mut Command) -> Outcome<()> {
    let output = command.arg("verify").output()?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    Err(format!("the database does not verify: {}", said.concat()).into())
}
