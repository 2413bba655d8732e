//! Packs of a log that changed its key.

use countersign_shared::log::note::SignerKey;

use super::*;
use crate::fixture::ORIGIN;

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

/// A log with one rotation that is over, and one that is not.
fn rotated() -> Fixture {
    let mut log = Fixture::story();
    log.rotate(8);
    log.later(1_000);
    log.ask(Ask::default());
    log.later(90_000_000);
    log.retire(None);
    log.later(1_000);
    log.rotate(9);
    log
}

fn file(made: &Made, name: &str, text: &str) -> String {
    let path = made.parent.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_script_follows_the_keys_from_any_of_them_to_the_last() {
    let log = rotated();
    let made = Made::of(&log, whole());
    made.is_good();
    for seed in [7, 8, 9] {
        let vkey = file(&made, "vkey", &key(seed).verifier().to_string());
        let verdict = made.verify(&["--vkey", &vkey]);
        assert_eq!(verdict.code, 0, "{seed}: {}", verdict.text);
    }
    let other = file(&made, "vkey", &key(6).verifier().to_string());
    let verdict = made.verify(&["--vkey", &other]);
    assert_eq!(verdict.code, 9, "{}", verdict.text);
    assert!(
        verdict.text.contains("never signed with the key"),
        "{}",
        verdict.text
    );
    let policy = made.text("trust-policy");
    assert_eq!(policy.matches("\nlog ").count(), 3, "{policy}");
    assert!(policy.starts_with("# signs heads of 0 to "), "{policy}");
}

#[test]
fn a_pack_of_the_time_before_holds_the_changes_of_key_after_it() {
    let log = rotated();
    let time = |at: usize| Record::read(at as u64, &log.entries[at]).unwrap().time;
    let period = Period {
        from: None,
        until: Some(time(12)),
    };
    let made = Made::of(&log, Scope::Period(period));
    made.is_good();
    let id = *log.documents.keys().next().unwrap();
    Made::of(&log, Scope::Request(id)).is_good();
}

#[test]
fn heads_are_held_to_the_keys_of_their_time() {
    let log = rotated();
    let made = Made::of(&log, whole());
    let size = log.entries.len();
    let early = file(&made, "early", &log.note_of(9, &[&key(7)]));
    assert_eq!(made.verify(&["--head", &early]).code, 0);
    let late = file(&made, "late", &log.note_of(size, &[&key(7)]));
    let verdict = made.verify(&["--head", &late]);
    assert_eq!(verdict.code, 9, "{}", verdict.text);
    assert!(
        verdict.text.contains("is not signed by a key that signed"),
        "{}",
        verdict.text
    );
    for signers in [vec![key(9)], vec![key(8)], vec![key(9), key(8), key(7)]] {
        let signers: Vec<&SignerKey> = signers.iter().collect();
        fs::write(made.path("checkpoint"), log.note_of(size, &signers)).unwrap();
        made.renew_manifest();
        made.is_refused("of ");
    }
}

#[test]
fn a_policy_that_names_other_keys_is_found() {
    let made = Made::of(&rotated(), whole());
    made.change("trust-policy", |text| {
        text.replacen("# signs heads of 0 to ", "# signs heads of 0 to 1", 1)
    });
    made.is_refused("trust-policy: is not what the entries say");
}

#[test]
fn a_handover_that_only_the_next_key_signed_makes_no_pack() {
    let mut log = Fixture::story();
    log.rotate(8);
    log.ending = Some(key(5));
    log.retire(Some("gone"));
    let text = String::from_utf8(log.entries.pop().unwrap()).unwrap();
    let stolen = text.replace(
        &key(5).verifier().to_string(),
        &key(7).verifier().to_string(),
    );
    log.entries.push(stolen.into_bytes());
    let parent = tempfile::tempdir().unwrap();
    let mut sink = Directory::create(&parent.path().join("pack")).unwrap();
    let order = Order {
        scope: whole(),
        made_at: "2026-11-21T09:00:00.000Z".parse().unwrap(),
        software: "countersign 0.1.0".to_owned(),
    };
    let error = write(&log, log.verifier(), &order, &mut sink).unwrap_err();
    assert!(matches!(error, ExportError::Keys(_)), "{error}");
}
