//! What was over long ago goes, after it was handed out; what is left proves all that it proved.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::proof::{verify_consistency, verify_inclusion};
use countersign_shared::log::tree::{Hash, TreeHead, leaf_hash};
use countersign_shared::machine::State;
use countersign_shared::statement::Verdict as Said;
use tempfile::TempDir;

use super::super::erasing::Retention;
use super::super::*;
use super::world::{ORIGIN, World, ana, bo, everyone, settings};
use crate::identity::Operator;
use crate::pruning::{Outlook, PruneError};
use crate::store::StoreError;
use crate::verify::{Report, Trust, verify};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);
const KEPT: NonZeroU16 = NonZeroU16::new(7).unwrap();

/// Rules by which one person may break the glass.
fn rules() -> Rules {
    let mut rules = everyone("1 of anyone");
    rules.list_for_break_glass(&[ana().name]);
    rules
}

/// A world on its twelfth day, and its requests: of the first day one that ran, one that was denied,
/// and one whose review is owed; and one that was denied on the tenth.
struct Old {
    world: World,
    ran: RequestId,
    denied: RequestId,
    owing: RequestId,
    recent: RequestId,
}

fn old() -> Old {
    let mut world = World::with(rules());
    let ran = world.submit("SELECT 1");
    world.approve(ran, &ana());
    world.redeem(ran).unwrap();
    world.report(ran, super::world::ended_well()).unwrap();
    world.advance(SECOND);
    let denied = world.submit("SELECT 2");
    world.decide(denied, &bo(), Said::Deny).unwrap();
    world.advance(SECOND);
    let owing = world.submit("SELECT 3");
    world.break_glass(owing, &ana()).unwrap();
    world.advance(DAY * 10);
    let recent = world.submit("SELECT 4");
    world.decide(recent, &bo(), Said::Deny).unwrap();
    world.advance(SECOND);
    world.advance(DAY * 2);
    Old {
        world,
        ran,
        denied,
        owing,
        recent,
    }
}

fn checked(database: &Path) -> Report {
    checked_with(database, &[]).unwrap()
}

/// Checks a database together with packs that hold what was pruned.
fn checked_with(database: &Path, archives: &[PathBuf]) -> Result<Report, StoreError> {
    let keys = crate::keyring::Keyring::in_memory(ORIGIN, [9; 32]).unwrap();
    let trust = Trust {
        origin: ORIGIN.to_owned(),
        vkey: keys.first().unwrap().clone(),
        heads: Vec::new(),
        policy: None,
        archives: archives.to_vec(),
        mark: Some(database.with_file_name("head")),
    };
    verify(database, &trust, &mut |_, _| {})
}

fn operator() -> Operator {
    Operator {
        uid: 1000,
        user: "operator".to_owned(),
        login_uid: None,
    }
}

/// Prunes as the command does, and starts the world anew.
fn prune(world: World, archive: &str) -> (World, Result<Option<Gone>, PruneError>) {
    let now = world.engine.clock.now();
    let database = world.database();
    let key = world.engine.signers.in_force.verifier().clone();
    let dir: Arc<TempDir> = world.close();
    let (clock, _hand) = Clock::fixed(now.clone());
    let by = operator();
    let archive = dir.path().join(archive);
    let done = Outlook::of(&database, now.wall, KEPT).and_then(|outlook| {
        let plan = outlook.plan;
        plan.map(|plan| plan.carry_out(&database, &key, settings(rules(), clock), &archive, by))
            .transpose()
    });
    (World::open(dir, rules(), now, 700).unwrap(), done)
}

/// Runs the script of a pack, which knows nothing of this program.
fn verified_by_its_script(pack: &Path) {
    let ran = Command::new("sh")
        .arg(pack.join("verify.sh"))
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn archive(world: &World, name: &str) -> PathBuf {
    world.database().with_file_name(name)
}

fn roots(world: &World) -> Vec<Hash> {
    let size = world.engine.tail.size();
    (0..=size)
        .map(|size| world.engine.store.root_at(size).unwrap())
        .collect()
}

#[test]
fn what_was_over_long_ago_goes_and_every_root_stays() {
    let Old {
        world,
        ran,
        denied,
        owing,
        recent,
    } = old();
    let before = roots(&world);
    let mut positions = Vec::new();
    world
        .engine
        .store
        .each_entry_of(ran, |at, bytes| {
            positions.push((at, bytes.to_vec()));
            true
        })
        .unwrap();
    let (mut world, done) = prune(world, "pack");
    let gone = done.unwrap().unwrap();
    assert_eq!(gone.requests, 2);
    assert!(gone.is_clean);
    assert!(gone.entries > u64::try_from(positions.len()).unwrap());

    let report = checked(&world.database());
    assert!(report.is_good(), "{report}");
    assert_eq!(report.pruned, gone.entries);
    assert_eq!(roots(&world)[..before.len()], before[..]);
    // Whoever has the bytes proves them as before.
    let (frontier, _) = world.engine.store.head().unwrap().unwrap();
    let head = frontier.head();
    let size = head.size;
    for (at, bytes) in &positions {
        assert!(matches!(
            world.engine.store.entry(*at),
            Err(StoreError::Pruned { .. })
        ));
        let proof = world.engine.store.prove_inclusion(*at, size).unwrap();
        verify_inclusion(&leaf_hash(bytes), *at, &head, &proof).unwrap();
    }
    for (size, root) in (0u64..).zip(&before).skip(1) {
        let then = TreeHead { size, root: *root };
        let proof = world.engine.store.prove_consistency(size, head.size);
        verify_consistency(&then, &head, &proof.unwrap()).unwrap();
    }
    // The bytes are in no file of the home.
    for name in ["state.db", "state.db-wal"] {
        let path = world.database().with_file_name(name);
        let bytes = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("SELECT 1") && !text.contains(&ran.to_string()),
            "{name}"
        );
    }
    for id in [ran, denied] {
        let unknown = world
            .ask(|reply| Query::Get(id.to_string(), reply))
            .unwrap_err();
        assert_eq!(unknown.code(), "not-found");
    }
    for id in [owing, recent] {
        assert!(!world.view(id).document.is_empty(), "{id}");
    }
    let id = world.submit("SELECT 5");
    world.approve(id, &bo());
    assert_eq!(world.state(id), State::Approved);
    assert!(checked(&world.database()).is_good());
    verified_by_its_script(&archive(&world, "pack"));
}

#[test]
fn the_next_pruning_goes_on_where_the_last_one_ended() {
    let (world, done) = prune(old().world, "first");
    let first = done.unwrap().unwrap();
    let (mut world, nothing) = prune(world, "none");
    assert_eq!(nothing.unwrap(), None);
    assert!(!archive(&world, "none").exists());
    world.advance(DAY * 8);
    world.submit("SELECT 6");
    let (world, done) = prune(world, "second");
    let second = done.unwrap().unwrap();
    assert!(second.requests > 0);
    let report = checked(&world.database());
    assert!(report.is_good(), "{report}");
    assert_eq!(report.pruned, first.entries + second.entries);
    for name in ["first", "second"] {
        verified_by_its_script(&archive(&world, name));
    }
    // All that is gone is in one pack or the other.
    let kept = |name: &str| std::fs::read_to_string(archive(&world, name).join("entries.jsonl"));
    let (first, second) = (kept("first").unwrap(), kept("second").unwrap());
    let there: std::collections::BTreeSet<Hash> = first
        .lines()
        .chain(second.lines())
        .map(|line| leaf_hash(line.as_bytes()))
        .collect();
    world
        .engine
        .store
        .each_entry::<StoreError>(0, |at, bytes, _| {
            let hash = world.engine.store.leaf(at)?;
            assert!(!bytes.is_empty() || there.contains(&hash), "entry {at}");
            Ok(true)
        })
        .unwrap();
}

#[test]
fn an_archive_that_cannot_be_made_or_is_not_good_leaves_everything() {
    let world = old().world;
    std::fs::create_dir(archive(&world, "there")).unwrap();
    let before = world.engine.tail.size();
    let (world, done) = prune(world, "there");
    assert!(matches!(done, Err(PruneError::Archive { .. })));
    assert_eq!(checked(&world.database()).pruned, 0);
    // A log that is not whole is not handed out.
    world.execute("UPDATE audit_leaf SET data = CAST(data || ' ' AS BLOB) WHERE idx = 3");
    let (world, done) = prune(world, "bad");
    assert!(matches!(
        done,
        Err(PruneError::Export(_) | PruneError::Entry { .. })
    ));
    assert_eq!(world.engine.store.pruned_positions().unwrap().count(), 0);
    assert!(world.engine.tail.size() >= before);
}

#[test]
fn what_is_gone_and_was_not_pruned_is_found() {
    let Old { world, recent, .. } = old();
    let silent = |world: &World| {
        world.execute("UPDATE audit_leaf SET data = x'', request = NULL WHERE idx = 3");
        checked(&world.database()).to_string()
    };
    let said = silent(&world);
    assert!(said.contains("no entry says they were pruned"), "{said}");

    let (world, done) = prune(old().world, "pack");
    done.unwrap().unwrap();
    let database = world.database();
    assert!(checked(&database).is_good());
    let (gone, there): (i64, i64) = rusqlite::Connection::open(&database)
        .unwrap()
        .query_row(
            "SELECT min(idx), (SELECT min(idx) FROM audit_leaf WHERE length(data) > 0 AND idx > 0)
             FROM audit_leaf WHERE length(data) = 0",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    world.execute("CREATE TABLE kept AS SELECT * FROM audit_leaf");
    let restore = "DELETE FROM audit_leaf; INSERT INTO audit_leaf SELECT * FROM kept";
    for (change, said) in [
        // One more.
        (
            format!("UPDATE audit_leaf SET data = x'', request = NULL WHERE idx = {there}"),
            "and they are not the",
        ),
        // The last one of a request that is there.
        (
            "UPDATE audit_leaf SET data = x'', request = NULL WHERE idx =
             (SELECT max(idx) FROM audit_leaf WHERE request IS NOT NULL)"
                .to_owned(),
            "had to come first, in the same step",
        ),
        // The entry that names them.
        (
            "UPDATE audit_leaf SET data = x'' WHERE instr(data, CAST('log.pruned' AS BLOB))"
                .to_owned(),
            "no entry says they were pruned",
        ),
        // Another hash.
        (
            format!("UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE idx = {gone}"),
            "is not the hash of what is below it",
        ),
        // Under a request still.
        (
            format!("UPDATE audit_leaf SET request = zeroblob(16) WHERE idx = {gone}"),
            "under another request than it names",
        ),
        // Something in its place.
        (
            format!("UPDATE audit_leaf SET data = CAST('{{}}' AS BLOB) WHERE idx = {gone}"),
            "do not have the hash",
        ),
    ] {
        world.execute(&change);
        let report = checked(&database).to_string();
        assert!(report.contains(said), "{change}: {report}");
        world.execute(restore);
    }
    world.execute("DROP TABLE kept");
    assert!(checked(&database).is_good(), "{recent}");
}

#[test]
fn the_entry_names_the_pack() {
    let (world, done) = prune(old().world, "pack");
    done.unwrap().unwrap();
    let manifest = std::fs::read(archive(&world, "pack").join("manifest.sha256")).unwrap();
    let mut found = None;
    let mut keys = LogKeys::new(ORIGIN);
    world
        .engine
        .store
        .each_entry::<StoreError>(0, |_, bytes, _| {
            if let Ok(entry) = countersign_shared::log::entry::Entry::read(bytes) {
                keys.take(&entry).unwrap();
                if let countersign_shared::log::entry::Body::Log(LogEvent::Pruned(pruned)) =
                    entry.body
                {
                    found = Some(pruned);
                }
            }
            Ok(true)
        })
        .unwrap();
    let pruned = found.unwrap();
    assert_eq!(
        pruned.archive,
        countersign_shared::digest::Digest::of(&manifest)
    );
    assert_eq!((pruned.kept_days, pruned.uid), (7, 1000));
    assert_eq!(pruned.user, "operator");
}

#[test]
fn what_was_erased_long_after_it_ended_is_whole_in_the_pack_that_its_pruning_names() {
    let mut world = World::with(rules());
    let keep = |world: &mut World| world.engine.retention = Retention::of(Some(DAY * 5));
    let denied = |world: &mut World, text: &str| {
        let id = world.submit(text);
        world.decide(id, &bo(), Said::Deny).unwrap();
        id
    };
    keep(&mut world);
    let first = denied(&mut world, "SELECT 1");
    world.advance(DAY * 4);
    let second = denied(&mut world, "SELECT 2");
    for day in 5..15 {
        world.advance(DAY);
        world.engine.erase();
        if day == 6 {
            world.advance(SECOND);
            denied(&mut world, "SELECT 3");
        }
    }
    // The fourteenth day: the first one was erased on the fifth or sixth, the second one on the tenth.
    let (mut world, done) = prune(world, "one");
    assert_eq!(done.unwrap().unwrap().requests, 1);
    assert!(world.engine.store.request(first).unwrap().is_none());
    let positions = world.engine.store.positions_of(second).unwrap();
    assert!(positions.len() > 3);
    let hashes: Vec<Hash> = positions
        .iter()
        .map(|at| world.engine.store.leaf(*at).unwrap())
        .collect();
    keep(&mut world);
    world.advance(DAY * 8);
    let (world, done) = prune(world, "two");
    assert!(done.unwrap().unwrap().requests >= 1);
    assert!(world.engine.store.request(second).unwrap().is_none());
    verified_by_its_script(&archive(&world, "one"));
    verified_by_its_script(&archive(&world, "two"));
    let two = std::fs::read_to_string(archive(&world, "two").join("entries.jsonl")).unwrap();
    let there: Vec<Hash> = two.lines().map(|line| leaf_hash(line.as_bytes())).collect();
    assert!(hashes.iter().all(|hash| there.contains(hash)));
    let report = checked(&world.database());
    assert!(report.is_good(), "{report}");
}

#[test]
fn what_is_wrong_in_the_database_is_not_put_out_of_sight() {
    let Old { world, denied, .. } = old();
    world.execute(&format!(
        "DELETE FROM document WHERE received_index =
         (SELECT received_index FROM request WHERE hex(id) = '{}')",
        data_encoding::HEXUPPER.encode(denied.as_bytes())
    ));
    let before = checked(&world.database());
    assert!(!before.is_good());
    let (world, done) = prune(world, "pack");
    assert!(matches!(done, Err(PruneError::Damaged { .. })), "{done:?}");
    assert!(!archive(&world, "pack").exists());
    assert_eq!(checked(&world.database()).pruned, 0);
}

#[test]
fn a_log_that_nobody_wrote_to_for_long_is_pruned_all_the_same() {
    let mut world = World::with(rules());
    let id = world.submit("SELECT 1");
    world.decide(id, &bo(), Said::Deny).unwrap();
    world.advance(SECOND);
    let last = world.submit("SELECT 2");
    world.decide(last, &bo(), Said::Deny).unwrap();
    world.advance(DAY * 30);
    let (world, done) = prune(world, "pack");
    // The latest moment stays.
    assert_eq!(done.unwrap().unwrap().requests, 1);
    assert!(world.engine.store.request(last).unwrap().is_some());
    assert!(checked(&world.database()).is_good());
}

#[test]
fn what_was_pruned_is_replayed_from_the_packs_that_hold_it() {
    let Old { world, ran, .. } = old();
    let (mut world, done) = prune(world, "first");
    let first = done.unwrap().unwrap();
    world.advance(DAY * 8);
    world.submit("SELECT 6");
    let (world, done) = prune(world, "second");
    let second = done.unwrap().unwrap();
    let database = world.database();
    let archives = ["first", "second"].map(|name| archive(&world, name));
    let report = checked_with(&database, &archives).unwrap();
    assert!(report.is_good(), "{report}");
    assert_eq!(report.archived, first.entries + second.entries);
    assert_eq!(report.decisions, checked(&database).decisions + 3);
    // Of a part nothing could be said.
    for part in &archives {
        let error = checked_with(&database, std::slice::from_ref(part)).unwrap_err();
        assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
    }
    // A pack that no entry names, and a document that is another one.
    let manifest = archives[0].join("manifest.sha256");
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, b"").unwrap();
    let report = checked_with(&database, &archives).unwrap().to_string();
    assert!(report.contains("the log names no pack"), "{report}");
    std::fs::write(&manifest, whole).unwrap();
    let document = archives[0].join(format!("documents/{ran}.json"));
    std::fs::write(&document, b"{}").unwrap();
    let report = checked_with(&database, &archives).unwrap().to_string();
    assert!(report.contains("its document has the digest"), "{report}");
    std::fs::remove_file(&document).unwrap();
    let report = checked_with(&database, &archives).unwrap().to_string();
    let said = format!("request {ran}: has no document, and no entry says that it was erased");
    assert!(report.contains(&said), "{report}");
}

#[test]
fn a_pack_that_lacks_an_entry_or_a_document_of_what_goes_is_no_archive() {
    let Old { world, ran, .. } = old();
    let now = world.engine.clock.now().wall;
    let plan = Outlook::of(&world.database(), now, KEPT)
        .unwrap()
        .plan
        .unwrap();
    let before = archive(&world, "before.db");
    let store = Store::open_read_only(&world.database()).unwrap();
    store
        .inspect()
        .unwrap()
        .back_up(&before, &mut |_, _| {})
        .unwrap();
    let (world, done) = prune(world, "pack");
    done.unwrap().unwrap();
    let pack = archive(&world, "pack");
    plan.check_contents(&before, &pack).unwrap();
    let entries = pack.join("entries.jsonl");
    let whole = std::fs::read_to_string(&entries).unwrap();
    let lacks_one: String = whole
        .split_inclusive('\n')
        .filter(|line| !(line.contains(&ran.to_string()) && line.contains("request.redeemed")))
        .collect();
    assert_ne!(lacks_one, whole);
    std::fs::write(&entries, lacks_one).unwrap();
    let error = plan.check_contents(&before, &pack).unwrap_err().to_string();
    assert!(error.contains(&format!("of {ran} is not in it")), "{error}");
    std::fs::write(&entries, whole).unwrap();
    std::fs::remove_file(pack.join(format!("documents/{ran}.json"))).unwrap();
    let error = plan.check_contents(&before, &pack).unwrap_err().to_string();
    assert!(
        error.contains(&format!("the document of {ran} is not in it")),
        "{error}"
    );
}

#[test]
fn an_entry_that_was_hidden_by_a_pruning_of_ones_own_is_in_no_pack() {
    let mut world = old().world;
    let id = world.submit("SELECT 7");
    world.decide(id, &bo(), Said::Deny).unwrap();
    world.advance(SECOND);
    world.submit("SELECT 8");
    // Whoever holds the key of the log and the clock says that an honest pruning took the deny.
    world.advance(DAY * 40);
    let at = world.engine.store.positions_of(id).unwrap();
    let (decided, denied) = (at[at.len() - 2], at[at.len() - 1]);
    world.execute(&format!(
        "UPDATE audit_leaf SET data = x'', request = NULL WHERE idx IN ({decided}, {denied});
         DELETE FROM request WHERE id = (SELECT request FROM audit_leaf WHERE idx = {})",
        at[0]
    ));
    let order = Prune {
        requests: Vec::new(),
        before: denied + 1,
        kept_days: 1,
        archive: countersign_shared::digest::Digest::of(b"nothing"),
        by: operator(),
    };
    world.engine.take_away(order).unwrap();
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("manifest.sha256"), b"nothing").unwrap();
    std::fs::write(empty.path().join("entries.jsonl"), b"").unwrap();
    let error = checked_with(&world.database(), &[empty.path().to_owned()]).unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
}
