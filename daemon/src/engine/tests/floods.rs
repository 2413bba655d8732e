//! However many agents call, people find their place and are served first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;
use tokio::sync::oneshot;

use super::super::*;
use super::world::{World, bo, cy, everyone, moment, settings};

#[test]
fn a_deny_finds_its_place_in_a_queue_that_agents_have_filled_and_is_served_first() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let deny = world.verdict(id, &bo(), Said::Deny);
    let mut waiting = Vec::new();
    let full = loop {
        let (reply, answer) = oneshot::channel();
        let right = world.right(id);
        match world
            .entrance
            .send(Lane::Agents, Command::Withdraw(id, right, reply))
        {
            Ok(()) => waiting.push(answer),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(full, super::super::queue::NotTaken::Full(_)));
    assert_eq!(waiting.len(), QUEUE.agents);
    let (reply, mut answer) = oneshot::channel();
    world
        .entrance
        .send(Lane::People, Command::Decide(id, deny, reply))
        .unwrap();
    world.drain();
    // Every one of them wanted to take the request back, and came before.
    assert_eq!(answer.try_recv().unwrap().unwrap().state, State::Denied);
    for mut answer in waiting {
        let found = answer.try_recv().unwrap().unwrap_err();
        assert_eq!(found.code(), "denied");
    }
    world.check();
}

#[test]
fn people_are_never_told_that_the_daemon_is_busy_while_agents_flood_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let mut world = World::with(everyone("1 of anyone"));
    let id = world.submit("SELECT 1");
    let right = world.right(id);
    let dir = world.close();
    let (clock, _hand) = Clock::fixed(moment("a", 1, 1));
    let handle = Engine::start(
        &dir.path().join("state.db"),
        settings(everyone("1 of anyone"), clock),
    )
    .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let busy = Arc::new(AtomicU64::new(0));
    let floods: Vec<_> = (0..8 * QUEUE.agents / 4)
        .map(|_| {
            let (agents, right) = (handle.for_agents(), right.clone());
            let (stop, busy) = (Arc::clone(&stop), Arc::clone(&busy));
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut wrong = right.clone();
                    wrong.principal = "uid:1".to_owned();
                    let answer = agents.ask(|reply| Command::Detach(id, wrong, reply)).await;
                    if matches!(answer, Err(EngineError::Busy)) {
                        busy.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            })
        })
        .collect();
    runtime.block_on(async {
        while busy.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..50 {
            let name = cy().name.to_owned();
            let claimed = handle.ask(|reply| Command::Claim(id, name, reply)).await;
            claimed.expect("people are served");
        }
        stop.store(true, Ordering::Relaxed);
        for flood in floods {
            flood.await.unwrap();
        }
        handle.ask(Call::Stop).await.unwrap();
    });
}
