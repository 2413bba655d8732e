//! R7: a database that cannot be written, and databases that must not be started on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::home::Layout;
use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;
use rusqlite::Connection;
use tempfile::TempDir;

use super::super::*;
use super::Ask;
use super::world::{EXECUTOR, HOUR, World, ana, bo, cy, ended_well, everyone, moment};
use crate::keyring::Keyring;
use crate::socket::Lock;
use crate::store::StoreError;

/// A world with one request in each state that can still change, and what is asked of it.
struct Scenario {
    world: World,
    pending: RequestId,
    approved: RequestId,
    redeemed: RequestId,
}

fn scenario() -> Scenario {
    let mut world = World::new();
    let pending = world.submit("SELECT 1");
    let approved = world.submit("SELECT 2");
    world.approve(approved, &ana());
    let redeemed = world.submit("SELECT 3");
    world.approve(redeemed, &ana());
    world.redeem(redeemed).unwrap();
    Scenario {
        world,
        pending,
        approved,
        redeemed,
    }
}

impl Scenario {
    /// Makes every call that would change something, and returns its error.
    fn attempt(&mut self) -> Vec<EngineError> {
        let Self {
            world,
            pending,
            approved,
            redeemed,
        } = self;
        let (pending, approved, redeemed) = (*pending, *approved, *redeemed);
        let approve = world.verdict(pending, &ana(), Said::Approve);
        let deny = world.verdict(pending, &bo(), Said::Deny);
        let digest = world.view(approved).request.digest();
        let display = world.view(pending).request.received().display;
        let right = |id| world.right(id);
        let (detach, withdraw) = (right(pending), right(pending));
        let (redeem, report) = (right(approved), right(redeemed));
        let rules = everyone("2 of anyone");
        vec![
            world
                .try_submit(&Ask::of("SELECT 4"))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Decide(pending, approve, reply))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Decide(pending, deny, reply))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Detach(pending, detach, reply))
                .unwrap_err(),
            world
                .ask(|reply| Command::Withdraw(pending, withdraw, reply))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| {
                    Command::Redeem(
                        approved,
                        redeem,
                        Use {
                            digest,
                            by: Taker::Daemon,
                            known_size: 0,
                        },
                        reply,
                    )
                })
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Report(redeemed, report, EXECUTOR, ended_well(), reply))
                .map(|_| ())
                .unwrap_err(),
            world
                .ask(|reply| Command::Open(pending, "bo".to_owned(), display, reply))
                .unwrap_err(),
            world
                .ask(|reply| Command::Claim(pending, "bo".to_owned(), reply))
                .map(|_| ())
                .unwrap_err(),
            world.take(rules).unwrap_err(),
        ]
    }

    fn states(&mut self) -> [State; 3] {
        [self.pending, self.approved, self.redeemed].map(|id| self.world.state(id))
    }
}

const AS_IT_WAS: [State; 3] = [State::Pending, State::Approved, State::Redeemed];

#[test]
fn r7_while_the_database_is_locked_every_caller_is_told_at_once_and_nothing_changes() {
    let mut scenario = scenario();
    let size = scenario.world.engine.tail.size();
    let rules = scenario.world.engine.rules.digest;
    let holder = Connection::open(scenario.world.database()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let clock = Clock::machine().unwrap();
    let began = clock.now().mono_ms;
    let errors = scenario.attempt();
    let took = clock.now().mono_ms - began;
    for error in &errors {
        assert_eq!(error.code(), "log-unavailable");
        assert_eq!(error.to_string(), "not approved: log unavailable");
    }
    assert!(
        took < 400 * u64::try_from(errors.len()).unwrap(),
        "callers waited {took} ms"
    );
    assert_eq!(scenario.states(), AS_IT_WAS);
    assert_eq!(scenario.world.engine.tail.size(), size);
    assert_eq!(scenario.world.engine.rules.digest, rules);
    holder.execute_batch("ROLLBACK").unwrap();
    scenario.world.check();
    scenario.world.redeem(scenario.approved).unwrap();
    scenario.world.approve(scenario.pending, &cy());
    scenario.world.check();
}

/// Lets the database grow by so many pages, and no further.
fn leave_room(world: &World, pages: i64) {
    let conn = world.engine.store.connection();
    let count: i64 = conn
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let limit = count + pages;
    conn.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))
        .unwrap();
}

#[test]
fn r7_with_a_full_disk_nothing_is_approved_and_it_recovers_when_there_is_room() {
    let mut scenario = scenario();
    leave_room(&scenario.world, 0);
    let mut refused = 0;
    // What still fits into the last page is written; from some call on nothing fits.
    for at in 0..200 {
        let mut ask = Ask::of(&format!("SELECT {at} -- {}", "x".repeat(3000)));
        ask.uid += at;
        match scenario.world.try_submit(&ask) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), "log-unavailable");
                refused += 1;
            }
        }
    }
    assert!(refused > 190, "the disk was never full");
    scenario.world.check();
    let size = scenario.world.engine.tail.size();
    let answers: Vec<_> = {
        let world = &mut scenario.world;
        let drafts: Vec<_> = (0..20)
            .map(|at| Ask {
                uid: 1000 + at,
                ..Ask::of(&"y".repeat(3000))
            })
            .map(|ask| Box::new(world.draft(&ask)))
            .collect();
        let calls = drafts
            .into_iter()
            .map(|draft| Box::new(move |reply| Command::Submit(draft, reply)) as Box<_>)
            .collect();
        world.batch::<Submitted>(calls)
    };
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap_err().code() == "log-unavailable")
    );
    assert_eq!(scenario.world.engine.tail.size(), size);
    assert_eq!(scenario.states(), AS_IT_WAS);
    leave_room(&scenario.world, 10_000);
    scenario.world.redeem(scenario.approved).unwrap();
    scenario.world.submit("SELECT 4");
    scenario.world.check();
}

#[test]
fn r7_deadlines_bind_though_the_expiry_could_not_be_written() {
    let mut scenario = scenario();
    let pending = scenario.pending;
    let holder = Connection::open(scenario.world.database()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    scenario.world.advance(HOUR);
    assert_eq!(scenario.states(), AS_IT_WAS);
    holder.execute_batch("ROLLBACK").unwrap();
    // Nobody has swept since: the guards of the machine bind by time alone.
    let late = scenario
        .world
        .decide(pending, &cy(), Said::Approve)
        .unwrap_err();
    assert_eq!(late.code(), "deadline-passed");
    assert_eq!(
        scenario.world.redeem(scenario.approved).unwrap_err().code(),
        "deadline-passed"
    );
    scenario.world.engine.sweep();
    assert_eq!(
        scenario.states(),
        [State::Expired, State::Lapsed, State::Indeterminate]
    );
    scenario.world.check();
}

#[test]
fn r7_what_was_counted_outlives_a_log_that_could_not_be_written() {
    let mut world = World::new();
    world.engine.turn(vec![
        Query::Count {
            uid: 7,
            code: "malformed",
        }
        .into(),
    ]);
    let holder = Connection::open(world.database()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    world.advance(Duration::from_secs(60));
    holder.execute_batch("ROLLBACK").unwrap();
    world.advance(Duration::from_secs(1));
    assert_eq!(world.types().last().unwrap(), "event.refused");
    world.advance(Duration::from_secs(61));
    assert_eq!(
        world
            .types()
            .iter()
            .filter(|kind| *kind == "event.refused")
            .count(),
        1
    );
}

#[test]
fn r7_a_no_that_rests_on_a_step_which_was_lost_is_not_given() {
    let mut scenario = scenario();
    let id = scenario.approved;
    let digest = scenario.world.view(id).request.digest();
    let right = scenario.world.right(id);
    let mut answers = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..2 {
        let (reply, answer) = tokio::sync::oneshot::channel();
        calls.push(Command::Redeem(
            id,
            right.clone(),
            Use {
                digest,
                by: Taker::Daemon,
                known_size: 0,
            },
            reply,
        ));
        answers.push(answer);
    }
    let engine = &mut scenario.world.engine;
    engine.commit(|engine, batch, scene| {
        let answers = calls
            .into_iter()
            .map(|call| engine.write(batch, scene, call))
            .collect();
        engine.store.rollback();
        answers
    });
    for mut answer in answers {
        assert_eq!(
            answer.try_recv().unwrap().unwrap_err().code(),
            "log-unavailable"
        );
    }
    assert_eq!(scenario.states(), AS_IT_WAS);
    scenario.world.redeem(id).unwrap();
    scenario.world.check();
}

fn start(dir: &Arc<TempDir>) -> Result<World, BootError> {
    World::open(
        Arc::clone(dir),
        everyone("1 of anyone"),
        moment("a", 9, 9),
        77,
    )
}

/// Makes a log, breaks it with SQL, and returns what the next start says.
fn start_after(sql: &str) -> BootError {
    let mut scenario = scenario();
    scenario.world.submit("SELECT 5");
    let dir = scenario.world.close();
    let conn = Connection::open(dir.path().join("state.db")).unwrap();
    conn.execute_batch(sql).unwrap();
    drop(conn);
    start(&dir)
        .err()
        .unwrap_or_else(|| panic!("started on a log that was broken by {sql}"))
}

#[test]
fn a_log_that_was_tampered_with_is_not_started_on() {
    for sql in [
        "UPDATE audit_head SET note = replace(note, 'A', 'B')",
        "UPDATE audit_head SET note = ''",
        "UPDATE audit_head SET frontier = x'00'",
        "UPDATE audit_head SET frontier = zeroblob(length(frontier))",
        "DELETE FROM audit_head",
        "DELETE FROM audit_head; DELETE FROM audit_leaf",
        "DELETE FROM audit_leaf WHERE idx = (SELECT max(idx) FROM audit_leaf)",
        "UPDATE audit_leaf SET nodes = substr(nodes, 33)
         WHERE length(nodes) = (SELECT max(length(nodes)) FROM audit_leaf)",
        "UPDATE audit_leaf SET nodes = zeroblob(length(nodes))",
        "INSERT INTO audit_leaf SELECT idx + 1, data, leaf_hash, nodes, request FROM audit_leaf
         ORDER BY idx DESC LIMIT 1",
        "UPDATE audit_leaf SET data = CAST(replace(data, 'SELECT', 'DELETE') || ' ' AS BLOB)
         WHERE idx = (SELECT max(idx) FROM audit_leaf)",
    ] {
        let error = start_after(sql);
        assert!(
            matches!(error, BootError::Log { .. } | BootError::Store(_)),
            "{sql} gave {error:?}"
        );
    }
}

#[test]
fn a_request_whose_document_or_row_was_tampered_with_is_not_started_on() {
    for sql in [
        "UPDATE document SET bytes = x'7b7d'",
        "UPDATE document SET bytes = CAST(replace(bytes, 'SELECT 1', 'SELECT 2') AS BLOB)",
        "UPDATE request SET machine = '{}'",
        "UPDATE request SET machine = replace(machine, '\"state\":\"pending\"', '\"state\":\"?\"')",
    ] {
        let error = start_after(sql);
        assert!(
            matches!(error, BootError::Document { .. } | BootError::Store(_)),
            "{sql} gave {error:?}"
        );
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let error = start_after("PRAGMA user_version = 1000");
    assert!(
        matches!(
            error,
            BootError::Store(StoreError::Newer { found: 1000, .. })
        ),
        "{error:?}"
    );
}

#[test]
fn a_log_of_another_key_or_origin_is_refused() {
    let dir = World::new().close();
    let path = dir.path().join("state.db");
    let (_entrance, receiver) = queue(QUEUE);
    let (clock, _hand) = Clock::fixed(moment("a", 1, 1));
    let mut settings = super::world::settings(everyone("1 of anyone"), clock);
    settings.keys = Keyring::in_memory(super::world::ORIGIN, [8; 32]).unwrap();
    let error = boot::open(&path, settings, receiver).unwrap_err();
    assert!(matches!(error, BootError::Keys(_)), "{error:?}");
}

fn overwrite(path: &Path, at: usize, with: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.len().min(at + 64);
    bytes[at..end].fill(with);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_refused() {
    for at in [0, 4096, 8192] {
        let dir = scenario().world.close();
        let path = dir.path().join("state.db");
        overwrite(&path, at, 0xa5);
        let error = start(&dir).err().unwrap();
        assert!(matches!(error, BootError::Store(_)), "{error:?}");
    }
}

#[test]
fn a_second_daemon_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::at(dir.path()).unwrap();
    let first = Lock::take(&layout).unwrap();
    assert!(Lock::take(&layout).is_err());
    drop(first);
    Lock::take(&layout).unwrap();
}
