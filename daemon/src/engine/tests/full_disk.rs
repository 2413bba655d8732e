//! R7 on a file system that is really full: small, in memory, and filled by somebody else.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::statement::{ActKind as StatementKind, Verdict as Said};
use tempfile::TempDir;

use super::super::*;
use super::world::{Ask, HOUR, World, ana, bo, cy, ended_well, everyone, moment};

/// A file system of a few megabytes, unmounted at the end of the test.
struct Disk {
    dir: TempDir,
}

impl Disk {
    /// Mounts one, which only root can.
    fn mount() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: mounting a file system needs root");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let done = process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m,mode=700", "countersign-test"])
            .arg(dir.path())
            .status()
            .unwrap();
        assert!(done.success(), "no file system for the test");
        Some(Self { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn other_file(&self) -> PathBuf {
        self.path().join("somebody-elses")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.other_file())
            .unwrap();
        for size in [64 << 10, 4096, 1] {
            let block = vec![1; size];
            loop {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.other_file()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(
            process::Command::new("umount")
                .arg("-l")
                .arg(self.path())
                .status(),
        );
    }
}

#[test]
fn r7_on_a_full_disk_every_no_is_written_and_nothing_is_permitted_until_there_is_room() {
    let Some(disk) = Disk::mount() else { return };
    let mut rules = everyone("1 of anyone");
    rules.list_for_break_glass(&["ana"]);
    let home = disk.path().to_owned();
    let mut world = World::at(home.clone(), rules.clone(), moment("a", 0, 0), 0).unwrap();
    let reserve = home.join("reserve");
    assert!(reserve.exists());
    let [denied, withdrawn, pending, expires] =
        ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT 4"].map(|text| world.submit(text));
    let approved = |world: &mut World, text: &str| {
        let id = world.submit(text);
        world.approve(id, &ana());
        id
    };
    let [revoked, unused, redeemed, lost] =
        ["SELECT 5", "SELECT 6", "SELECT 7", "SELECT 8"].map(|text| approved(&mut world, text));
    world.redeem(redeemed).unwrap();
    world.redeem(lost).unwrap();
    let approve = world.verdict(pending, &cy(), Said::Approve);
    let deny = world.verdict(denied, &bo(), Said::Deny);

    disk.fill();
    let size = world.engine.tail.size();
    let refused = [
        world
            .try_submit(&Ask::of("SELECT 9"))
            .map(|_| ())
            .unwrap_err(),
        world
            .ask(|reply| Command::Decide(pending, approve, reply))
            .map(|_| ())
            .unwrap_err(),
        world.break_glass(pending, &ana()).map(|_| ()).unwrap_err(),
        world.redeem(unused).map(|_| ()).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.to_string(), "not approved: log unavailable");
    }
    assert_eq!(world.engine.tail.size(), size);
    assert!(!reserve.exists(), "the reserve was not released");

    let done = world
        .ask(|reply| Command::Decide(denied, deny, reply))
        .unwrap();
    assert_eq!(done.state, State::Denied);
    let right = world.right(withdrawn);
    let done = world.ask(|reply| Command::Withdraw(withdrawn, right, reply));
    assert_eq!(done.unwrap(), State::Withdrawn);
    let revoke = (StatementKind::Revoke, ActKind::Revoke);
    assert_eq!(world.act(revoked, &bo(), revoke).unwrap(), State::Revoked);
    let kill = (StatementKind::Kill, ActKind::Kill);
    assert_eq!(world.act(redeemed, &bo(), kill).unwrap(), State::Redeemed);
    assert_eq!(
        world.report(redeemed, ended_well()).unwrap(),
        State::Succeeded
    );
    world.engine.turn(vec![Command::ExecutorGone(lost).into()]);
    assert_eq!(world.state(lost), State::Indeterminate);
    // The disk stays as full, and a start on it goes on the same way.
    drop(world);
    let mut world = World::at(home, rules, moment("a", 10, 10), 1000).unwrap();
    assert_eq!(world.redeem(unused).unwrap_err().code(), "log-unavailable");
    world.advance(HOUR + Duration::from_secs(10));
    assert_eq!(world.state(expires), State::Expired);
    assert_eq!(world.state(unused), State::Lapsed);
    world.check();

    disk.make_room();
    let id = world.submit("SELECT 10");
    assert!(reserve.exists(), "the reserve was not made anew");
    assert_eq!(world.approve(id, &ana()).state, State::Approved);
    world.redeem(id).unwrap();
    world.check();
}

#[test]
fn r7_hundreds_of_denies_fit_into_the_reserve() {
    let Some(disk) = Disk::mount() else { return };
    let limits = countersign_shared::limits::Limits {
        held_per_uid: 10_000,
        held_per_uid_and_hour: 10_000,
        ..Default::default()
    };
    let rules = super::world::rules(&[ana(), bo(), cy()], "1 of anyone", &limits);
    let mut world = World::at(disk.path().to_owned(), rules, moment("a", 0, 0), 0).unwrap();
    let ids: Vec<_> = (0..300)
        .map(|at| world.submit(&format!("SELECT {at}")))
        .collect();
    let denies: Vec<_> = ids
        .iter()
        .map(|id| (*id, world.verdict(*id, &bo(), Said::Deny)))
        .collect();
    disk.fill();
    for (id, deny) in denies {
        let done = world.ask(|reply| Command::Decide(id, deny, reply)).unwrap();
        assert_eq!(done.state, State::Denied);
    }
    world.check();
}
