//! A log without a person: what follows, and what does not. Signed decisions are replayed by the
//! tests of the daemon, which has an engine to make them.

use super::*;
use crate::log::checkpoint::Checkpoint;
use crate::log::entry::{ActorKind, Separation, Sync};
use crate::log::note::SignerKey;
use crate::log::pruning::{Positions, Pruned};
use crate::log::tree::leaf_hash;
use crate::machine::RulesVia;
use crate::time::BootId;

const ORIGIN: &str = "countersign/test";

fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

fn daemon() -> Actor {
    Actor {
        kind: ActorKind::Daemon,
        id: "countersignd".to_owned(),
        uid: None,
    }
}

fn entry(seq: u64, wall: i64, event: LogEvent) -> Entry {
    Entry {
        log: ORIGIN.to_owned(),
        seq,
        now: Moment {
            wall: Timestamp::from_millis(wall),
            boot: BootId::new("a"),
            mono_ms: 1,
        },
        sync: Sync::Unknown,
        actor: daemon(),
        request: None,
        separation: Separation::None,
        body: Body::Log(event),
    }
}

fn genesis() -> Entry {
    let rules = RulesChanged {
        rules: Digest::of(b"rules"),
        previous: Digest::of(b"rules"),
        members: Vec::new(),
        allowed_signers: String::new(),
        break_glass: std::collections::BTreeSet::new(),
        signing: None,
        via: None,
        at: Timestamp::from_millis(1000),
    };
    let event = LogEvent::Genesis {
        vkey: key().verifier().to_string(),
        software: "test".to_owned(),
        mode: Mode::User,
        rules: Box::new(rules),
    };
    entry(0, 1000, event)
}

fn in_system_mode() -> Entry {
    let mut entry = genesis();
    if let Body::Log(LogEvent::Genesis { mode, .. }) = &mut entry.body {
        *mode = Mode::System;
    }
    entry
}

/// A change of rules that takes and gives nobody anything, by some right.
fn changed(seq: u64, via: Option<RulesVia>) -> Entry {
    let mut entry = started(seq, 1000);
    entry.body = Body::Request(Event::RulesChanged(Box::new(RulesChanged {
        rules: Digest::of(b"other rules"),
        previous: Digest::of(b"rules"),
        members: Vec::new(),
        allowed_signers: String::new(),
        break_glass: std::collections::BTreeSet::new(),
        signing: None,
        via,
        at: Timestamp::from_millis(1000),
    })));
    entry
}

fn proposed(seq: u64, previous: &[u8]) -> Entry {
    let event = LogEvent::RulesProposed {
        rules: Digest::of(b"other rules"),
        previous: Digest::of(previous),
    };
    entry(seq, 1000, event)
}

fn withdrawn(seq: u64, rules: &[u8]) -> Entry {
    let rules = Digest::of(rules);
    entry(seq, 1000, LogEvent::RulesWithdrawn { rules })
}

fn started(seq: u64, wall: i64) -> Entry {
    entry(
        seq,
        wall,
        LogEvent::DaemonStarted {
            software: "test".to_owned(),
        },
    )
}

/// Replays entries and returns what was found, each as it is shown.
fn findings(entries: &[Entry]) -> Vec<String> {
    let mut replay = Replay::new(ORIGIN, key().verifier());
    let mut found = Vec::new();
    for (index, entry) in (0u64..).zip(entries) {
        let bytes = entry.to_bytes().unwrap();
        if let Err(finding) = replay.entry(index, &bytes) {
            found.push(finding.to_string());
        }
    }
    found.extend(replay.finish().owed.iter().map(ToString::to_string));
    found
}

#[test]
fn a_log_that_follows_has_no_findings() {
    let jumped = LogEvent::ClockJumped {
        last: Timestamp::from_millis(2000),
        wall: Timestamp::from_millis(500),
        reason: "the clock was wrong".to_owned(),
    };
    let log = [
        genesis(),
        started(1, 2000),
        entry(2, 500, jumped),
        started(3, 600),
    ];
    assert_eq!(findings(&log), Vec::<String>::new());
}

#[test]
fn the_root_of_every_size_is_kept() {
    let mut replay = Replay::new(ORIGIN, key().verifier());
    let mut frontier = Frontier::new();
    for (index, entry) in (0u64..).zip([genesis(), started(1, 1000), started(2, 1000)]) {
        let bytes = entry.to_bytes().unwrap();
        replay.entry(index, &bytes).unwrap();
        let completed = frontier.push(leaf_hash(&bytes)).unwrap();
        assert_eq!(replay.completed(), completed);
        assert_eq!(replay.root_at(index + 1), Some(frontier.root()));
    }
    let replayed = replay.finish();
    assert_eq!(replayed.head, frontier.head());
    assert_eq!(replayed.root_at(4), None);
}

#[test]
fn an_entry_that_does_not_follow_is_named_with_its_place() {
    let mut other_log = started(1, 1000);
    other_log.log = "countersign/other".to_owned();
    let mut by_agent = started(1, 1000);
    by_agent.actor.kind = ActorKind::Agent;
    let mut about_request = started(1, 1000);
    about_request.request = Some(RequestId::from_bytes([1; 16]));
    let mut second = genesis();
    second.seq = 1;
    let false_jump = LogEvent::ClockJumped {
        last: Timestamp::from_millis(999),
        wall: Timestamp::from_millis(500),
        reason: String::new(),
    };
    for (entry, expected) in [
        (started(2, 1000), "entry 1: says that it is entry 2"),
        (
            other_log,
            "entry 1: is of another log than `countersign/test`",
        ),
        (
            by_agent,
            "entry 1: `daemon.started` cannot be brought about by `countersignd`",
        ),
        (
            about_request,
            "entry 1: `daemon.started` is about no request (req_04081040g2081040g2081040g2)",
        ),
        (
            second,
            "entry 1: `log.genesis` stands where no second genesis belongs",
        ),
        (
            started(1, 999),
            "entry 1: its time 1970-01-01T00:00:00.999Z is before 1970-01-01T00:00:01.000Z, that \
             of the entry before it",
        ),
        (
            entry(1, 1000, false_jump),
            "entry 1: its `last` is not what the entry itself implies",
        ),
    ] {
        let found = findings(&[genesis(), entry]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].split(" (req_").next(),
            expected.split(" (req_").next()
        );
    }
}

#[test]
fn rules_take_force_by_the_right_that_the_mode_knows() {
    let signatures = || Some(RulesVia::Signatures {});
    let adoption = || {
        let reason = "all keys are lost".to_owned();
        Some(RulesVia::Adoption { reason })
    };
    let unsigned =
        "entry 1: puts rules in force that not enough reviewers of the moment had signed";
    let none: [&str; 0] = [];
    assert_eq!(findings(&[genesis(), changed(1, None)]), none);
    assert_eq!(
        findings(&[genesis(), changed(1, adoption())]),
        ["entry 1: its `via` is not what the entry itself implies"]
    );
    for via in [None, signatures()] {
        let log = [in_system_mode(), changed(1, via)];
        assert_eq!(findings(&log), [unsigned]);
    }
    let log = [
        in_system_mode(),
        proposed(1, b"rules"),
        changed(2, signatures()),
    ];
    assert_eq!(findings(&log), [unsigned.replace('1', "2")]);
    assert_eq!(findings(&[in_system_mode(), changed(1, adoption())]), none);
    let removal = Some(RulesVia::Removal {});
    assert_eq!(findings(&[in_system_mode(), changed(1, removal)]), none);
}

#[test]
fn only_what_is_proposed_is_withdrawn() {
    let log = [
        in_system_mode(),
        proposed(1, b"rules"),
        withdrawn(2, b"other rules"),
    ];
    assert_eq!(findings(&log), Vec::<String>::new());
    let nothing = |index: u64| format!("entry {index}: is about the rules ");
    for (log, at) in [
        (vec![in_system_mode(), withdrawn(1, b"other rules")], 1),
        (
            vec![
                in_system_mode(),
                proposed(1, b"rules"),
                withdrawn(2, b"rules"),
            ],
            2,
        ),
        (
            vec![
                in_system_mode(),
                proposed(1, b"rules"),
                withdrawn(2, b"other rules"),
                withdrawn(3, b"other rules"),
            ],
            3,
        ),
    ] {
        let found = findings(&log);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&nothing(at)), "{found:?}");
    }
    let found = findings(&[in_system_mode(), proposed(1, b"others")]);
    assert!(found[0].contains("names the rules"), "{found:?}");
    assert_eq!(findings(&[genesis(), proposed(1, b"rules")]).len(), 1);
}

#[test]
fn a_log_begins_with_the_genesis_of_its_key() {
    assert_eq!(
        findings(&[started(0, 1000)]),
        ["entry 0: `daemon.started` stands where the log's genesis belongs"]
    );
    let mut foreign = genesis();
    if let Body::Log(LogEvent::Genesis { vkey, .. }) = &mut foreign.body {
        *vkey = SignerKey::from_seed(ORIGIN, &[8; 32])
            .unwrap()
            .verifier()
            .to_string();
    }
    assert_eq!(
        findings(&[foreign]),
        [
            "entry 0: the log never had the key that it is checked with; what was made before a change of \
          the key is checked with the one of then (`--vkey FILE`)"
        ]
    );
}

#[test]
fn bytes_that_are_no_entry_are_found() {
    let mut replay = Replay::new(ORIGIN, key().verifier());
    let finding = replay.entry(0, b"{}").unwrap_err();
    assert!(
        finding.to_string().starts_with("entry 0: not an entry: "),
        "{finding}"
    );
}

/// The key's successor, and a log of its announcement, one entry, and the end of the first key,
/// whose head is over `root` if one is given.
fn rotation(root: Option<Hash>) -> Vec<Entry> {
    let next = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let rotated = LogEvent::KeyRotated {
        old: key().verifier().to_string(),
        new: next.verifier().to_string(),
        until: Timestamp::from_millis(1500),
        reason: "yearly".to_owned(),
    };
    let mut log = vec![genesis(), entry(1, 1000, rotated), started(2, 1000)];
    let mut frontier = Frontier::new();
    for entry in &log {
        drop(
            frontier
                .push(leaf_hash(&entry.to_bytes().unwrap()))
                .unwrap(),
        );
    }
    let head = TreeHead {
        root: root.unwrap_or(frontier.root()),
        size: 3,
    };
    let note = Checkpoint::new(ORIGIN, head).unwrap();
    let retired = LogEvent::KeyRetired {
        vkey: key().verifier().to_string(),
        head: note.sign_with(&next, &[key()]),
        reason: None,
    };
    log.push(entry(3, 2000, retired));
    log
}

#[test]
fn a_log_is_followed_from_one_key_to_the_next() {
    let log = rotation(None);
    assert_eq!(findings(&log), Vec::<String>::new());
    let next = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let mut replay = Replay::new(ORIGIN, next.verifier());
    for (index, entry) in (0u64..).zip(&log) {
        replay.entry(index, &entry.to_bytes().unwrap()).unwrap();
    }
    let replayed = replay.finish();
    assert!(replayed.owed.is_empty(), "the newest key will do as well");
    assert_eq!(replayed.keys.current(), Some(next.verifier()));
}

#[test]
fn a_handover_that_the_log_never_had_is_found() {
    let other = Some(Hash::from_bytes([9; 32]));
    assert_eq!(
        findings(&rotation(other)),
        ["entry 3: holds a head of 3 entries with another root than the log had"]
    );
    let mut end = rotation(None).remove(3);
    end.seq = 1;
    assert_eq!(
        findings(&[genesis(), end]),
        ["entry 1: ends a key of the log that is not ending"]
    );
}

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A log of which the entries at `gone` are, as an entry of it says of those at `told`, 401 days later.
fn pruned(gone: &[u64], told: &[u64], before: u64) -> Vec<String> {
    let mut entries = vec![genesis()];
    entries.extend((1..6).map(|seq| started(seq, 1000)));
    entries.push(telling(6, 1000 + 401 * DAY, told, before));
    without(gone, &entries)
}

/// An entry that says that those at `told` are gone.
fn telling(seq: u64, wall: i64, told: &[u64], before: u64) -> Entry {
    let positions: Positions = told.iter().copied().collect();
    let event = LogEvent::Pruned(Box::new(Pruned {
        before,
        kept_days: 400,
        entries: positions.count(),
        positions: positions.digest(),
        archive: Digest::of(b"manifest"),
        uid: 1000,
        user: "operator".to_owned(),
        login_uid: None,
    }));
    entry(seq, wall, event)
}

/// What is found in a log of which some entries are gone.
fn without(gone: &[u64], entries: &[Entry]) -> Vec<String> {
    let mut whole = Replay::new(ORIGIN, key().verifier());
    let mut replay = Replay::new(ORIGIN, key().verifier());
    let mut found = Vec::new();
    for entry in entries {
        let bytes = entry.to_bytes().unwrap();
        whole.entry(entry.seq, &bytes).ok();
        let taken = if gone.contains(&entry.seq) {
            replay.gone(entry.seq, leaf_hash(&bytes))
        } else {
            replay.entry(entry.seq, &bytes)
        };
        found.extend(taken.err().map(|finding| finding.to_string()));
    }
    let replayed = replay.finish();
    assert_eq!(replayed.head, whole.finish().head);
    found.extend(replayed.owed.iter().map(ToString::to_string));
    found
}

#[test]
fn what_was_pruned_leaves_the_tree_as_it_was_and_nothing_to_find() {
    assert_eq!(pruned(&[1, 2], &[1, 2], 4), Vec::<String>::new());
    assert_eq!(pruned(&[], &[], 0), Vec::<String>::new());
}

#[test]
fn what_is_gone_and_was_not_pruned_is_found() {
    for (gone, told, before, said) in [
        (
            &[1, 2][..],
            &[1][..],
            4,
            "entry 6: 2 entries are gone, and they are not the 1",
        ),
        (
            &[1],
            &[1, 2],
            4,
            "entry 6: 1 entries are gone, and they are not the 2",
        ),
        (
            &[1, 3],
            &[1, 2],
            5,
            "entry 6: 2 entries are gone, and they are not the 2",
        ),
        (
            &[1, 3],
            &[1, 3],
            3,
            "entry 3: entry 3 is gone, and entry 6 says that none is from 3 on",
        ),
        (
            &[1],
            &[1],
            7,
            "entry 6: says that entries before 7 were pruned",
        ),
    ] {
        let found = pruned(gone, told, before);
        assert!(
            found.iter().any(|found| found.starts_with(said)),
            "{found:?}"
        );
    }
    let found = pruned(&[1, 6], &[1], 4);
    assert_eq!(
        found,
        ["entry 6: 2 entries are gone, the last of them is 6, and no entry says they were pruned"]
    );
    assert!(!pruned(&[0], &[0], 4).is_empty());
}

#[test]
fn what_is_not_old_enough_is_not_pruned() {
    let log = |told_at| {
        let mut entries = vec![
            genesis(),
            started(1, 1000),
            started(2, 2000),
            started(3, 3000),
        ];
        entries.push(telling(4, told_at, &[1], 3));
        without(&[1], &entries)
    };
    assert_eq!(log(3001 + 400 * DAY), Vec::<String>::new());
    let found = log(3000 + 400 * DAY);
    assert!(
        found[0].starts_with("entry 4: says that entries before 3 were pruned"),
        "{found:?}"
    );
    assert!(found[0].contains("not yet 400 days old"), "{found:?}");
}

#[test]
fn a_clock_that_jumped_after_an_entry_that_is_gone_says_what_that_was() {
    let jumped = |last: i64| {
        let event = LogEvent::ClockJumped {
            last: Timestamp::from_millis(last),
            wall: Timestamp::from_millis(1500),
            reason: "the battery".to_owned(),
        };
        let mut entries = vec![genesis(), started(1, 1800), started(2, 2000)];
        entries.extend([entry(3, 1500, event), started(4, 2500)]);
        entries.push(telling(5, 2500 + 401 * DAY, &[2], 4));
        without(&[2], &entries)
    };
    assert_eq!(jumped(2000), Vec::<String>::new());
    let found = jumped(1700);
    assert!(found[0].contains("its `last`"), "{found:?}");
}
