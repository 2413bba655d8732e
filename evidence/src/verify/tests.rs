use std::path::PathBuf;

use countersign_shared::log::cosignature::CosignerKey;
use countersign_shared::log::note::SignerKey;
use countersign_shared::machine::{Event, RunOutcome};
use countersign_shared::statement::ActKind;
use tempfile::TempDir;

use super::*;
use crate::fixture::{Ask, Fixture, MIKA, NOOR, ORIGIN};
use crate::pack::{self, Order, Scope};
use crate::sink::Directory;
use crate::source::Period;
use crate::tiles;

struct Made(TempDir);

impl Made {
    fn tiles(log: &Fixture) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let mut sink = Directory::create(&made.path("")).unwrap();
        drop(tiles::write(log, log.verifier(), &mut sink).unwrap());
        made
    }

    fn pack(log: &Fixture, scope: Scope) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let mut sink = Directory::create(&made.path("")).unwrap();
        let made_at = "2026-11-21T09:00:00.000Z".parse().unwrap();
        let order = Order {
            scope,
            made_at,
            software: "test".to_owned(),
        };
        drop(pack::write(log, log.verifier(), &order, &mut sink).unwrap());
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            return self.0.path().join("out");
        }
        self.0.path().join("out").join(name)
    }

    fn report(&self, log: &Fixture) -> Report {
        let trust = Trust {
            key: Some(log.verifier().clone()),
            heads: Vec::new(),
            policy: None,
        };
        verify_directory(&self.path(""), &trust, &mut |_, _| {}).unwrap()
    }

    fn flip(&self, name: &str, at: usize) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        bytes[at] ^= 1;
        fs::write(self.path(name), bytes).unwrap();
    }
}

fn whole() -> Scope {
    Scope::Period(Period::default())
}

/// The story, several times, so that there is more than one bundle, and broken glass.
fn long() -> Fixture {
    let mut log = Fixture::story();
    for _ in 0..70 {
        let id = log.ask(Ask::default());
        log.open(id, MIKA);
        log.act(id, MIKA, ActKind::BreakGlass, Event::BreakGlass);
        log.run(id, RunOutcome::Succeeded);
    }
    log
}

#[test]
fn the_fixture_is_a_log_that_the_replay_accepts() {
    for log in [Fixture::new(), Fixture::story(), long()] {
        for made in [Made::tiles(&log), Made::pack(&log, whole())] {
            let report = made.report(&log);
            assert!(report.is_good(), "{:?}", report.findings);
            assert!(report.replayed);
            assert_eq!(report.entries, log.entries.len() as u64);
            assert_eq!(report.requests, log.machines.len() as u64);
            assert_eq!(report.exit_code(), 0);
        }
    }
    let report = Made::tiles(&Fixture::story()).report(&Fixture::story());
    assert_eq!(report.decisions, 5);
    assert_eq!(
        report.people.iter().map(String::as_str).collect::<Vec<_>>(),
        [MIKA, NOOR]
    );
    assert!(report.witnessed > 20);
}

#[test]
fn a_flipped_byte_anywhere_in_a_bundle_is_found() {
    let log = Fixture::new();
    let size = log.entries.len() as u64;
    let name = tiles::entries_path(0, size);
    let made = Made::tiles(&log);
    let length = fs::read(made.path(&name)).unwrap().len();
    for at in 0..length {
        made.flip(&name, at);
        let report = made.report(&log);
        assert!(!report.is_good(), "byte {at}");
        made.flip(&name, at);
    }
    assert!(made.report(&log).is_good());
}

#[test]
fn a_tile_and_a_head_that_do_not_fit_are_found_with_their_names() {
    let log = long();
    let made = Made::tiles(&log);
    for (name, at, place) in [
        ("tile/0/000", 0, "tile/0/000"),
        ("checkpoint", 50, "checkpoint"),
    ] {
        made.flip(name, at);
        let report = made.report(&log);
        assert_eq!(report.findings[0].place, place, "{:?}", report.findings);
        assert_eq!(report.exit_code(), 9);
        made.flip(name, at);
    }
    fs::remove_file(made.path("tile/entries/000")).unwrap();
    assert_eq!(made.report(&log).findings[0].place, "tile/entries/000");
}

#[test]
fn an_entry_that_does_not_follow_is_found_under_a_good_head() {
    let mut log = Fixture::new();
    let id = log.ask(Ask::default());
    log.later(10);
    let body = serde_json::json!({"because": "r"});
    log.raw(
        &crate::fixture::agent(),
        Some(id),
        "execution.not-run",
        &body,
    );
    let report = Made::tiles(&log).report(&log);
    assert_eq!(report.findings[0].place, "entry 4", "{:?}", report.findings);
}

#[test]
fn a_signature_that_does_not_fit_is_found() {
    let mut log = Fixture::story();
    let at = log
        .entries
        .iter()
        .position(|bytes| String::from_utf8_lossy(bytes).contains("\"decision.recorded\""));
    let text = String::from_utf8(log.entries[at.unwrap()].clone()).unwrap();
    let (head, tail) = text.split_once("-----END").unwrap();
    let mut changed = head.to_owned();
    let place = head.len() - 40;
    let letter = if head.as_bytes()[place] == b'A' {
        "B"
    } else {
        "A"
    };
    changed.replace_range(place..=place, letter);
    log.entries[at.unwrap()] = format!("{changed}-----END{tail}").into_bytes();
    for made in [Made::tiles(&log), Made::pack(&log, whole())] {
        let report = made.report(&log);
        assert_eq!(report.findings[0].place, format!("entry {}", at.unwrap()));
        assert!(
            report.findings[0].problem.contains("signature"),
            "{:?}",
            report.findings
        );
    }
}

#[test]
fn a_pack_of_one_request_is_checked_entry_by_entry() {
    let log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    let made = Made::pack(&log, Scope::Request(id));
    let report = made.report(&log);
    assert!(
        report.is_good() && !report.replayed,
        "{:?}",
        report.findings
    );
    assert_eq!(report.decisions, 2);
    // The manifest is signed by nobody, so a document is held against the log.
    let name = format!("documents/{id}.json");
    made.flip(&name, 30);
    let found = made.report(&log).findings;
    assert!(
        found
            .iter()
            .any(|it| it.place == name && it.problem.contains("digest that was received")),
        "{found:?}"
    );
    let made = Made::pack(&log, Scope::Request(id));
    made.flip("entries.jsonl", 60);
    assert!(!made.report(&log).is_good());
}

#[test]
fn a_broken_glass_that_was_kept_back_until_long_after_its_time_is_found() {
    for (millis, is_found) in [(60_000, false), (20 * 60_000, true)] {
        let mut log = Fixture::story();
        let id = log.ask(Ask::default());
        log.open(id, MIKA);
        log.act_kept_back(id, MIKA, ActKind::BreakGlass, Event::BreakGlass, millis);
        let found = Made::tiles(&log).report(&log).findings;
        let kept_back = found
            .iter()
            .any(|it| it.problem.contains("the statement expired at"));
        assert_eq!(kept_back, is_found, "{millis}: {found:?}");
    }
}

#[test]
fn a_head_that_nobody_signed_does_not_say_how_much_is_looked_for() {
    let log = Fixture::story();
    let made = Made::tiles(&log);
    let place = made.path("checkpoint");
    let head = fs::read_to_string(&place).unwrap();
    let size = log.entries.len().to_string();
    let huge = head.replacen(&format!("\n{size}\n"), "\n9223372036854775807\n", 1);
    assert_ne!(head, huge);
    fs::write(place, huge).unwrap();
    let trust = Trust {
        key: Some(log.verifier().clone()),
        heads: Vec::new(),
        policy: None,
    };
    let done = verify_directory(&made.path(""), &trust, &mut |_, _| {});
    assert!(done.is_err() || done.is_ok_and(|report| !report.is_good()));
}

#[test]
fn documents_and_files_that_are_not_as_they_were_are_found() {
    let log = Fixture::story();
    let made = Made::pack(&log, whole());
    let name = format!("documents/{}.json", log.documents.keys().next().unwrap());
    made.flip(&name, 30);
    let places: Vec<String> = made
        .report(&log)
        .findings
        .iter()
        .map(|it| it.place.clone())
        .collect();
    assert_eq!(places, [name.clone(), name]);
}

#[test]
fn heads_that_were_kept_are_compared_with_whole_and_partial_logs() {
    let log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    let mut frontier = countersign_shared::log::tree::Frontier::new();
    for bytes in &log.entries[..9] {
        drop(
            frontier
                .push(countersign_shared::log::tree::leaf_hash(bytes))
                .unwrap(),
        );
    }
    let signed = |head: TreeHead| Checkpoint::new(ORIGIN, head).unwrap().sign(&log.key);
    let head = frontier.head();
    let good = signed(head);
    let other = signed(TreeHead { size: 8, ..head });
    let newer = signed(TreeHead {
        size: 1_000,
        ..head
    });
    for made in [Made::tiles(&log), Made::pack(&log, Scope::Request(id))] {
        let with = |head: &String| {
            let trust = Trust {
                key: Some(log.verifier().clone()),
                heads: vec![head.clone()],
                policy: None,
            };
            verify_directory(&made.path(""), &trust, &mut |_, _| {}).unwrap()
        };
        assert!(with(&good).is_good());
        assert_eq!(with(&other).findings[0].place, "head");
        assert!(with(&newer).findings[0].problem.contains("here are fewer"));
    }
}

/// The key of the fixture's log before any rotation.
fn first() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

/// A log that has changed its key twice: the second rotation is not over.
fn rotated() -> Fixture {
    let mut log = Fixture::story();
    log.rotate(8);
    log.later(1_000);
    log.ask(crate::fixture::Ask::default());
    log.retire(Some("it was stolen"));
    log.later(1_000);
    log.rotate(9);
    log
}

fn checked(made: &Made, key: &SignerKey, heads: Vec<String>) -> Report {
    let key = Some(key.verifier().clone());
    verify_directory(
        &made.path(""),
        &Trust {
            key,
            heads,
            policy: None,
        },
        &mut |_, _| {},
    )
    .unwrap()
}

#[test]
fn a_log_that_changed_its_key_is_good_under_each_of_its_keys_and_no_other() {
    let log = rotated();
    let id = *log.documents.keys().next().unwrap();
    let early = log.note_of(9, &[&first()]);
    for made in [
        Made::tiles(&log),
        Made::pack(&log, whole()),
        Made::pack(&log, Scope::Request(id)),
    ] {
        for seed in [7, 8, 9] {
            let key = SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap();
            let report = checked(&made, &key, vec![early.clone()]);
            assert!(report.is_good(), "{seed}: {:?}", report.findings);
            assert!(report.witnessed >= 9);
        }
        let other = SignerKey::from_seed(ORIGIN, &[6; 32]).unwrap();
        let report = checked(&made, &other, Vec::new());
        assert_eq!(report.findings[0].place, "entry 0");
    }
}

#[test]
fn a_head_that_the_keys_of_its_size_did_not_sign_is_found() {
    let log = rotated();
    let size = log.entries.len();
    let old = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    for made in [Made::tiles(&log), Made::pack(&log, whole())] {
        for (signers, said) in [
            (vec![&log.key], "is not signed by"),
            (vec![&old], "is not signed by"),
            (vec![&log.key, &old, &first()], "did not sign the log then"),
        ] {
            fs::write(made.path("checkpoint"), log.note_of(size, &signers)).unwrap();
            let report = checked(&made, &first(), Vec::new());
            let found = &report.findings[0];
            assert_eq!(found.place, "checkpoint");
            assert!(found.problem.contains(said), "{found:?}");
        }
        // A retired key signs a head of after its end, wherever that was kept.
        fs::write(made.path("checkpoint"), log.note()).unwrap();
        let late = log.note_of(size, &[&first()]);
        let report = checked(&made, &first(), vec![late]);
        assert!(
            report.findings.iter().any(|it| it.place == "head"),
            "{:?}",
            report.findings
        );
    }
}

#[test]
fn a_change_of_key_that_the_old_key_never_signed_is_found() {
    let mut log = Fixture::story();
    let honest = log.entries.len();
    log.rotate(8);
    // Somebody who has the database and no key announces one of their own, and ends the true one.
    log.ending = Some(SignerKey::from_seed(ORIGIN, &[5; 32]).unwrap());
    log.retire(Some("gone"));
    let text = String::from_utf8(log.entries.last().unwrap().clone()).unwrap();
    let forged = SignerKey::from_seed(ORIGIN, &[5; 32]).unwrap();
    let text = text.replace(
        &forged.verifier().to_string(),
        &first().verifier().to_string(),
    );
    *log.entries.last_mut().unwrap() = text.into_bytes();
    let made = Made::tiles(&Fixture::story());
    // No export of ours would be made of it.
    let bundle: Vec<u8> = log
        .entries
        .iter()
        .flat_map(|entry| {
            let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
            [length.as_slice(), entry].concat()
        })
        .collect();
    let size = log.entries.len();
    fs::write(made.path(&format!("tile/entries/000.p/{size}")), bundle).unwrap();
    fs::write(made.path("checkpoint"), log.note()).unwrap();
    let report = checked(&made, &first(), Vec::new());
    assert!(!report.is_good());
    let all = format!("{:?}", report.findings);
    assert!(all.contains("is not signed by"), "{all}");
    assert!(honest < size);
}

#[test]
fn what_is_neither_tiles_nor_a_pack_cannot_be_checked() {
    let empty = tempfile::tempdir().unwrap();
    let trust = Trust::default();
    let error = verify_directory(empty.path(), &trust, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, VerifyError::Unknown { .. }), "{error}");
    let tiles = Made::tiles(&Fixture::new());
    let error = verify_directory(&tiles.path(""), &trust, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, VerifyError::NoKey), "{error}");
    let pack = Made::pack(&Fixture::new(), whole());
    assert!(
        verify_directory(&pack.path(""), &trust, &mut |_, _| {})
            .unwrap()
            .is_good()
    );
}

#[test]
fn a_head_that_a_quorum_cosigned_is_held_and_a_bent_cosignature_is_found() {
    let log = Fixture::story();
    let made = Made::tiles(&log);
    let note = fs::read_to_string(made.path("checkpoint")).unwrap();
    let head = countersign_shared::log::checkpoint::open(
        &note,
        &[log.verifier().clone()],
        log.verifier().name(),
    )
    .unwrap();
    let [one, two] = [1, 2].map(|seed| CosignerKey::from_seed("w.example", &[seed; 32]).unwrap());
    let text = format!(
        "witness A {}\nwitness B {}\ngroup all all A B\nquorum all\n",
        one.verifier(),
        two.verifier()
    );
    let trust = Trust {
        key: Some(log.verifier().clone()),
        heads: Vec::new(),
        policy: Some(TrustPolicy::read(text.as_bytes()).unwrap()),
    };
    let report = |lines: &[String]| {
        fs::write(made.path("checkpoint"), format!("{note}{}", lines.concat())).unwrap();
        verify_directory(&made.path(""), &trust, &mut |_, _| {}).unwrap()
    };
    let [first, second] = [&one, &two].map(|key| key.cosign(&head, 5).unwrap().to_line());
    let alone = report(std::slice::from_ref(&first));
    assert!(alone.is_good(), "{alone}");
    assert_eq!(alone.quorum, Some(0));
    let both = report(&[first.clone(), second]);
    assert!(both.is_good(), "{both}");
    assert_eq!(both.quorum, Some(head.size()));
    assert_eq!(both.witnessed, head.size());
    let of_a_fork = Checkpoint::new(
        head.origin(),
        TreeHead {
            size: head.size(),
            root: countersign_shared::log::tree::leaf_hash(b"x"),
        },
    );
    let wrong = two.cosign(&of_a_fork.unwrap(), 5).unwrap().to_line();
    let found = report(&[first, wrong]);
    assert!(!found.is_good());
    assert_eq!(found.findings[0].place, "checkpoint");
}
