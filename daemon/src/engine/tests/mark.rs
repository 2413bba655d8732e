//! The high-water mark: a database that was restored from a copy is not gone on from unseen.

use std::path::PathBuf;

use countersign_shared::log::entry::Body;
use countersign_shared::machine::State;

use super::super::*;
use super::Ask;
use super::world::{World, ana, entries, everyone, moment, settings};

fn backup(world: &World) -> PathBuf {
    let copy = world.database().with_file_name("yesterday.db");
    rusqlite::Connection::open(world.database())
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    copy
}

/// Puts the copy in the database's place; returns what is left of the world.
fn restore(world: World, copy: &PathBuf) -> (Arc<tempfile::TempDir>, PathBuf) {
    let database = world.database();
    let dir = world.close();
    for journal in ["state.db-wal", "state.db-shm"] {
        drop(std::fs::remove_file(database.with_file_name(journal)));
    }
    std::fs::copy(copy, &database).unwrap();
    (dir, database)
}

fn start(dir: &Arc<tempfile::TempDir>) -> Result<World, BootError> {
    World::open(
        Arc::clone(dir),
        everyone("1 of anyone"),
        moment("a", 60, 60),
        9,
    )
}

fn adopt(database: &std::path::Path) -> Result<String, BootError> {
    let (clock, _hand) = Clock::fixed(moment("a", 50, 50));
    let settings = settings(everyone("1 of anyone"), clock);
    Engine::adopt_rollback(database, settings, "the disk died".to_owned())
}

#[test]
fn r8_yesterdays_database_is_not_started_and_its_approvals_are_not_used_again() {
    let mut world = World::new();
    let used = world.submit("SELECT 1");
    world.approve(used, &ana());
    let waiting = world.submit("SELECT 2");
    let copy = backup(&world);
    world.redeem(used).unwrap();
    let reached = world.engine.tail.size();
    let (dir, database) = restore(world, &copy);

    for _ in 0..2 {
        let refused = start(&dir).map(drop).unwrap_err();
        assert!(matches!(refused, BootError::WentBack(_)), "{refused}");
        let said = refused.to_string();
        assert!(
            said.contains(&format!("it had {reached} entries")),
            "{said}"
        );
        assert!(
            said.contains("countersignd adopt-rollback --reason"),
            "{said}"
        );
    }

    let lost = adopt(&database).unwrap();
    assert!(lost.contains("the log went back"), "{lost}");
    let mut world = start(&dir).unwrap();
    for id in [used, waiting] {
        assert_eq!(world.state(id), State::Invalidated);
        assert_eq!(
            world.view(id).request.reason(),
            "the database was restored from an older copy"
        );
    }
    world.redeem(used).unwrap_err();
    let adopted: Vec<_> = entries(&world.engine.store)
        .into_iter()
        .filter_map(|entry| match entry.body {
            Body::Log(LogEvent::RollbackAdopted { size, reason, .. }) => Some((size, reason)),
            Body::Log(_) | Body::Request(_) => None,
        })
        .collect();
    assert_eq!(adopted, [(Some(reached), "the disk died".to_owned())]);
    // It goes on as any other.
    let fresh = world.submit("SELECT 3");
    world.approve(fresh, &ana());
    world.redeem(fresh).unwrap();
    world.check();
    let world = world.crash_and_start(moment("a", 70, 70));
    drop(world);
}

#[test]
fn a_restored_database_that_has_grown_past_the_mark_is_another_log() {
    let mut world = World::new();
    let copy = backup(&world);
    world.submit("SELECT 1");
    let mark = std::fs::read(mark::beside(&world.database())).unwrap();
    let (dir, database) = restore(world, &copy);
    adopt(&database).unwrap();
    let mut world = start(&dir).unwrap();
    for number in 0..5 {
        world.submit(&format!("SELECT 1{number}"));
    }
    let dir = world.close();
    std::fs::write(mark::beside(&database), mark).unwrap();
    let refused = start(&dir).map(drop).unwrap_err().to_string();
    assert!(refused.contains("now has others"), "{refused}");
}

#[test]
fn without_its_mark_or_with_a_foreign_one_a_log_is_not_started() {
    let world = World::new();
    let database = world.database();
    let path = mark::beside(&database);
    let dir = world.close();
    std::fs::write(&path, "a head of something else").unwrap();
    let refused = start(&dir).map(drop).unwrap_err().to_string();
    assert!(refused.contains("holds no head of this log"), "{refused}");
    std::fs::remove_file(&path).unwrap();
    let refused = start(&dir).map(drop).unwrap_err().to_string();
    assert!(refused.contains("there is a log and no"), "{refused}");
    adopt(&database).unwrap();
    drop(start(&dir).unwrap());
}

#[test]
fn only_what_was_lost_can_be_adopted() {
    let mut world = World::new();
    let id = world.submit("SELECT 1");
    let database = world.database();
    let dir = world.close();
    let refused = adopt(&database).unwrap_err();
    assert!(matches!(refused, BootError::NothingLost), "{refused}");
    let mut world = start(&dir).unwrap();
    assert_eq!(world.state(id), State::Pending);
    let dir = world.close();
    // A database that is gone is no older log.
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        drop(std::fs::remove_file(database.with_file_name(file)));
    }
    let refused = start(&dir).map(drop).unwrap_err().to_string();
    assert!(refused.contains("and now has 0"), "{refused}");
    let refused = adopt(&database).unwrap_err();
    assert!(matches!(refused, BootError::NothingLeft), "{refused}");
}

#[test]
fn the_mark_is_never_ahead_of_what_is_durable() {
    let mut world = World::new();
    let keys = world.engine.signers.keys.clone();
    let path = mark::beside(&world.database());
    let reached = || match mark::read(&path, &keys) {
        Ok(mark::Reached::Head(head)) => head,
        other => panic!("{other:?}"),
    };
    assert_eq!(reached(), world.engine.tail.frontier().head());
    world.submit("SELECT 1");
    assert_eq!(reached(), world.engine.tail.frontier().head());
    // Of a batch that fails nothing is reached.
    world.execute(
        "CREATE TRIGGER fail BEFORE INSERT ON request BEGIN SELECT RAISE(FAIL, 'no'); END",
    );
    let before = reached();
    world.try_submit(&Ask::of("SELECT 2")).unwrap_err();
    assert_eq!(reached(), before);
}
