//! What the thief of the log's key rewrites is found by heads that others keep, and by what only
//! people can sign.

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::keeper::{Advance, HeadKeeper};
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::proof::prove_consistency;
use countersign_shared::log::tree::{Frontier, Hash, leaf_hash};
use countersign_shared::roster::Roster;
use countersign_shared::sshsig::fingerprint;

use super::*;
use made::{THIEF, is_decision, log_key};

/// The nodes of a tree over entries, which a thief has as well.
fn nodes(entries: &[Vec<u8>]) -> impl Fn(u8, u64) -> Result<Hash, &'static str> {
    let mut all = std::collections::BTreeMap::new();
    let mut edge = Frontier::new();
    for data in entries {
        for node in edge.push(leaf_hash(data)).unwrap() {
            all.insert((node.level, node.index), node.hash);
        }
    }
    move |level, index| all.get(&(level, index)).copied().ok_or("no such node")
}

/// A head as the log's key signed it, kept elsewhere.
pub(super) fn kept(head: TreeHead) -> String {
    Checkpoint::new(ORIGIN, head).unwrap().sign(&log_key())
}

fn signed(entries: &[Vec<u8>], key: &SignerKey) -> String {
    let mut edge = Frontier::new();
    for data in entries {
        edge.push(leaf_hash(data)).unwrap();
    }
    Checkpoint::new(ORIGIN, edge.head()).unwrap().sign(key)
}

#[test]
fn a_rewritten_tail_is_refused_by_a_console_and_found_by_the_head_it_kept() {
    let copy = Copy::new();
    let before = copy.report();
    let honest = copy.entries();
    // Nobody signed anything behind this entry, so that its log is good by itself.
    let at = copy.position(0, |entry| entry.body.entry_type() == "daemon.stopped");
    assert!(u64::try_from(at).unwrap() >= before.witnessed);
    copy.edit(at, |entry| entry["clock"]["mono_ms"] = 1_999_999_999.into());
    let rewritten = copy.report();
    assert!(rewritten.is_good(), "{rewritten}");

    let kept = before.head.unwrap();
    let trust = Trust {
        heads: vec![self::kept(kept)],
        ..trust()
    };
    let report = verify(&copy.path, &trust, &mut |_, _| {}).unwrap();
    let size = kept.size;
    assert!(
        report.to_string().contains(&format!(
            "a head of {size} entries was kept with another root"
        )),
        "{report}"
    );

    // A console that saw the honest log follows neither the same size nor a longer one.
    let key = log_key();
    let mut console = HeadKeeper::new(ORIGIN, key.verifier().clone()).unwrap();
    let first = console.advance(&signed(&honest, &key), &[], 0).unwrap();
    assert_eq!(first, Advance::First);
    let mut forged = copy.entries();
    console
        .advance(&signed(&forged, &key), &[], size)
        .unwrap_err();
    forged.push(forged.last().unwrap().clone());
    let longer = u64::try_from(forged.len()).unwrap();
    let proof = prove_consistency(size, longer, nodes(&forged)).unwrap();
    console
        .advance(&signed(&forged, &key), &proof, size)
        .unwrap_err();
    // It is the history that is refused, not the growth.
    let mut grown = honest;
    grown.push(grown.last().unwrap().clone());
    let proof = prove_consistency(size, longer, nodes(&grown)).unwrap();
    let accepted = console
        .advance(&signed(&grown, &key), &proof, size)
        .unwrap();
    assert!(matches!(accepted, Advance::Grew { .. }), "{accepted:?}");
}

#[test]
fn a_roster_exchanged_with_the_stolen_log_key_is_found_at_the_first_decision() {
    let copy = Copy::new();
    let other = Roster::from_people(vec![countersign_shared::roster::Person {
        name: THIEF.name.to_owned(),
        user: THIEF.name.to_owned(),
        groups: vec!["sre".to_owned()],
        keys: vec![THIEF.public().to_openssh().unwrap()],
    }])
    .unwrap();
    let line = other.allowed_signers();
    copy.edit(0, |entry| {
        let rules = &mut entry["body"]["rules"];
        let signers = rules["allowed_signers"].as_str().unwrap();
        let kept = signers.lines().filter(|line| !line.starts_with(ANA.name));
        let lines: Vec<&str> = line.lines().chain(kept).collect();
        rules["allowed_signers"] = format!("{}\n", lines.join("\n")).into();
        for member in rules["members"].as_array_mut().unwrap() {
            if member["name"] == ANA.name {
                member["keys"][0] = fingerprint(&THIEF.public()).into();
            }
        }
    });
    // The new roster is one that could have been; it is not the one that Ana signed under. Nor is
    // it that of the rules that were kept, but those lie beside the log and could be exchanged too.
    let found = copy.findings();
    assert!(
        !found.iter().any(|finding| {
            finding.starts_with("entry 0:") && !finding.contains("than its rules")
        }),
        "{found:#?}"
    );
    let decided = copy.position(0, |entry| is_decision(entry) && entry.actor.id == ANA.name);
    let place = format!("entry {decided}: ");
    assert!(
        found.iter().any(|finding| finding.starts_with(&place)),
        "{found:#?}"
    );
}

/// An entry behind the last one which says that a document was erased.
fn erasure(entries: &[Vec<u8>], id: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut entry: Value = serde_json::from_slice(entries.last().unwrap()).unwrap();
    entry["seq"] = entries.len().into();
    entry["type"] = "document.erased".into();
    entry["request"] = id.into();
    entry["body"] = serde_json::json!({"retained_until": "2020-01-01T00:00:00.000Z"});
    edit(&mut entry);
    json::canonical(&entry).unwrap()
}

#[test]
fn an_erasure_that_the_daemon_would_not_have_done_is_found() {
    let ids = |state: &str| -> Vec<String> {
        let copy = Copy::new();
        let mut query = copy
            .conn
            .prepare("SELECT id FROM request WHERE state = ?1")
            .unwrap();
        let rows = query.query_map([state], |row| row.get(0)).unwrap();
        rows.map(|id| countersign_shared::id::RequestId::from_bytes(id.unwrap()).to_string())
            .collect()
    };
    let (denied, pending) = (&ids("denied")[0], &ids("pending")[0]);
    let found = |entries: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let copy = Copy::new();
        let mut all = copy.entries();
        entries(&mut all);
        copy.resign(&all);
        copy.execute(
            "DELETE FROM document WHERE received_index IN
             (SELECT received_index FROM request WHERE state IN ('denied', 'pending'))",
        );
        copy.findings().join("\n")
    };
    let once = |id: &str, edit: fn(&mut Value)| {
        found(&move |all: &mut Vec<Vec<u8>>| all.push(erasure(all, id, edit)))
    };
    let is_told = |found: &str| found.contains(&format!("request {denied}: has no document"));
    let nothing = once(pending, |_| {});
    assert!(is_told(&nothing), "{nothing}");
    assert!(
        nothing.contains("`document.erased` is about a request that is not over"),
        "{nothing}"
    );
    let honest = once(denied, |_| {});
    assert!(
        !is_told(&honest) && !honest.contains("`document.erased`"),
        "{honest}"
    );
    for (edit, problem) in [
        (
            (|entry| {
                entry["body"]["retained_until"] = "2100-01-01T00:00:00.000Z".into();
            }) as fn(&mut Value),
            "its `retained_until` is not what",
        ),
        (
            |entry| entry["actor"]["kind"] = "agent".into(),
            "cannot be brought about by",
        ),
        (
            |entry| {
                let other = countersign_shared::id::RequestId::from_bytes([0xee; 16]);
                entry["request"] = other.to_string().into();
            },
            "was not received before",
        ),
    ] {
        let found = once(denied, edit);
        assert!(is_told(&found) && found.contains(problem), "{found}");
    }
    let twice = found(&|all: &mut Vec<Vec<u8>>| {
        for _ in 0..2 {
            all.push(erasure(all, denied, |_| {}));
        }
    });
    assert!(twice.contains("was erased before"), "{twice}");
}
