//! A log of a few entries, shown to several processes of one user.

use std::convert::Infallible;

use countersign_shared::log::note::SignerKey;
use countersign_shared::log::proof::{prove_consistency, prove_inclusion};
use countersign_shared::log::tree::{Frontier, TreeHead};

use super::*;

mod rotating;

const ORIGIN: &str = "countersign/test";

/// A log that can be made to lie.
struct Log {
    key: SignerKey,
    entries: Vec<Vec<u8>>,
}

impl Log {
    fn new(entries: &[&[u8]]) -> Self {
        Self {
            key: SignerKey::from_seed(ORIGIN, &[5; 32]).unwrap(),
            entries: entries.iter().map(|entry| entry.to_vec()).collect(),
        }
    }

    fn node(&self, level: u8, index: u64) -> Hash {
        let width = 1u64 << level;
        self.head_of(index * width, (index + 1) * width).root
    }

    fn head_of(&self, from: u64, to: u64) -> TreeHead {
        let mut frontier = Frontier::default();
        for index in from..to {
            let entry = &self.entries[usize::try_from(index).unwrap()];
            let _nodes = frontier.push(leaf_hash(entry)).unwrap();
        }
        frontier.head()
    }

    fn size(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap()
    }

    fn shown(&self, from: u64) -> ShownHead {
        let head = self.head_of(0, self.size());
        ShownHead {
            note: Checkpoint::new(ORIGIN, head).unwrap().sign(&self.key),
            proof: prove_consistency(from, self.size(), |level, index| {
                Ok::<_, Infallible>(self.node(level, index))
            })
            .unwrap(),
            from,
            rotation: None,
        }
    }

    fn inclusion(&self, index: u64, from: u64) -> Inclusion {
        Inclusion {
            index,
            entry: self.entries[usize::try_from(index).unwrap()].clone(),
            proof: prove_inclusion(index, self.size(), |level, index| {
                Ok::<_, Infallible>(self.node(level, index))
            })
            .unwrap(),
            head: self.shown(from),
        }
    }

    fn consistency(&self, gap: Gap) -> Consistency {
        let proof = prove_consistency(gap.from, gap.to, |level, index| {
            Ok::<_, Infallible>(self.node(level, index))
        });
        Consistency {
            proof: proof.unwrap(),
            size: self.size(),
        }
    }

    fn heads(&self, home: &tempfile::TempDir) -> Heads {
        Heads::open(home.path(), self.key.verifier().clone(), Lasting::PowerCut).unwrap()
    }
}

fn request() -> RequestId {
    RequestId::from_bytes([9; 16])
}

fn redeemed() -> Vec<u8> {
    format!(
        r#"{{"request":"{}","type":"request.redeemed","v":1}}"#,
        request()
    )
    .into_bytes()
}

#[test]
fn a_log_that_grows_is_followed_across_processes() {
    let home = tempfile::tempdir().unwrap();
    let mut log = Log::new(&[b"a", b"b", b"c"]);
    log.heads(&home).accept(&log.shown(0)).unwrap();
    log.entries.push(b"d".to_vec());
    let mut later = log.heads(&home);
    assert_eq!(later.catch_up().unwrap(), 3);
    later.accept(&log.shown(3)).unwrap();
    assert_eq!(log.heads(&home).catch_up().unwrap(), 4);
}

#[test]
fn a_log_that_changed_what_was_shown_is_not_accepted() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a", b"b", b"c"]);
    log.heads(&home).accept(&log.shown(0)).unwrap();
    for other in [
        Log::new(&[b"a", b"x", b"c", b"d"]),
        Log::new(&[b"a", b"b", b"x"]),
        Log::new(&[b"a", b"b"]),
    ] {
        let from = other.size().min(3);
        let error = other.heads(&home).accept(&other.shown(from)).unwrap_err();
        assert!(matches!(error, HeadsError::Fork(_)), "{error}");
        assert_eq!(log.heads(&home).catch_up().unwrap(), 3);
    }
}

#[test]
fn another_key_under_the_same_name_is_not_accepted() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a"]);
    log.heads(&home).accept(&log.shown(0)).unwrap();
    let other = SignerKey::from_seed(ORIGIN, &[6; 32])
        .unwrap()
        .verifier()
        .clone();
    let mut heads = Heads::open(home.path(), other, Lasting::PowerCut).unwrap();
    let error = heads.accept(&log.shown(1)).unwrap_err();
    assert!(matches!(error, HeadsError::OtherKey { .. }), "{error}");
    assert_eq!(log.heads(&home).catch_up().unwrap(), 1);
}

#[test]
fn a_kept_head_that_was_tampered_with_stops_everything() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a"]);
    let mut heads = log.heads(&home);
    heads.accept(&log.shown(0)).unwrap();
    let text = fs::read_to_string(&heads.path).unwrap();
    fs::write(&heads.path, text.replace("\n1\n", "\n2\n")).unwrap();
    let error =
        Heads::open(home.path(), log.key.verifier().clone(), Lasting::PowerCut).unwrap_err();
    assert!(matches!(error, HeadsError::Kept { .. }), "{error}");
}

#[test]
fn what_a_power_cut_emptied_is_nothing_only_where_no_disk_was_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a"]);
    let mut heads = log.heads(&home);
    heads.accept(&log.shown(0)).unwrap();
    for left in [&b""[..], &[0; 300]] {
        fs::write(&heads.path, left).unwrap();
        let open = |lasting| Heads::open(home.path(), log.key.verifier().clone(), lasting);
        assert_eq!(open(Lasting::Process).unwrap().last(), None);
        let error = open(Lasting::PowerCut).unwrap_err();
        assert!(matches!(error, HeadsError::Kept { .. }), "{error}");
    }
}

#[test]
fn an_entry_counts_only_under_its_own_type_and_request() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a", &redeemed(), b"c"]);
    let mut heads = log.heads(&home);
    let shown = log.inclusion(1, 0);
    heads
        .check(&shown, &["request.redeemed"], request())
        .unwrap();
    assert_eq!(heads.catch_up().unwrap(), 3);
    let other = RequestId::from_bytes([8; 16]);
    for (kind, request) in [
        (&["request.approved"][..], request()),
        (&["request.redeemed"], other),
        (&[], other),
    ] {
        let error = heads.check(&shown, kind, request).unwrap_err();
        assert!(matches!(error, HeadsError::Entry { .. }), "{error}");
    }
}

#[test]
fn an_entry_that_is_not_in_the_log_does_not_count() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::new(&[b"a", b"b", b"c"]);
    let mut shown = log.inclusion(1, 0);
    shown.entry = redeemed();
    let error = log
        .heads(&home)
        .check(&shown, &["request.redeemed"], request())
        .unwrap_err();
    assert!(matches!(error, HeadsError::Inclusion(_)), "{error}");
}

#[test]
fn an_entry_under_a_head_that_does_not_continue_the_kept_one_does_not_count() {
    let home = tempfile::tempdir().unwrap();
    let kept = Log::new(&[b"a", b"b"]);
    let mut heads = kept.heads(&home);
    heads.accept(&kept.shown(0)).unwrap();
    let mut refused = |inclusion: &Inclusion| {
        let error = heads
            .check(inclusion, &["request.redeemed"], request())
            .unwrap_err();
        let HeadsError::Fork(fork) = error else {
            panic!("{error}");
        };
        assert_eq!(heads.catch_up().unwrap(), 2);
        fork
    };
    let older = Log::new(&[&redeemed()]);
    let fork = refused(&older.inclusion(0, 0));
    assert!(
        matches!(
            fork,
            Fork::WentBack {
                kept: 2,
                found: 1,
                ..
            }
        ),
        "{fork}"
    );
    let unproven = Log::new(&[b"a", b"b", &redeemed()]);
    for from in [0, 1] {
        let fork = refused(&unproven.inclusion(2, from));
        assert!(
            matches!(fork, Fork::OtherStart { kept: 2, found } if found == from),
            "{fork}"
        );
    }
    let other = Log::new(&[b"x", &redeemed()]);
    let fork = refused(&other.inclusion(1, 0));
    assert!(matches!(fork, Fork::Forked { .. }), "{fork}");
    let rewritten = Log::new(&[b"a", b"x", &redeemed()]);
    let fork = refused(&rewritten.inclusion(2, 2));
    assert!(matches!(fork, Fork::Forked { .. }), "{fork}");
}

#[test]
fn an_entry_counts_under_the_kept_head_and_under_one_proven_from_it() {
    let home = tempfile::tempdir().unwrap();
    let mut log = Log::new(&[b"a", &redeemed()]);
    let mut heads = log.heads(&home);
    heads.accept(&log.shown(0)).unwrap();
    // A log that has not grown has nothing to prove, so its proof begins at 0.
    heads
        .check(&log.inclusion(1, 0), &["request.redeemed"], request())
        .unwrap();
    log.entries.push(b"c".to_vec());
    heads
        .check(&log.inclusion(1, 2), &["request.redeemed"], request())
        .unwrap();
    assert_eq!(heads.catch_up().unwrap(), 3);
}

#[test]
fn a_process_that_was_overtaken_goes_on_from_the_file() {
    let home = tempfile::tempdir().unwrap();
    let mut log = Log::new(&[b"a", b"b"]);
    let (mut one, mut two) = (log.heads(&home), log.heads(&home));
    one.accept(&log.shown(0)).unwrap();
    log.entries.push(b"c".to_vec());
    // The second one was asked before the first had written, so it knows nothing of that head.
    two.accept(&log.shown(0)).unwrap();
    assert_eq!(log.heads(&home).catch_up().unwrap(), 2);
    log.entries.push(b"d".to_vec());
    let known = one.catch_up().unwrap();
    one.accept(&log.shown(known)).unwrap();
    // Until the log has shown that the one continues the other, it goes on from its own.
    assert_eq!(two.catch_up().unwrap(), 3);
    let gap = two.gap().unwrap();
    assert_eq!((gap.from, gap.to), (3, 4));
    assert_eq!(two.bridge(&log.consistency(gap)).unwrap(), 4);
    assert_eq!((two.catch_up().unwrap(), two.gap()), (4, None));
}

#[test]
fn a_process_that_is_ahead_of_the_file_moves_it_on() {
    let home = tempfile::tempdir().unwrap();
    let mut log = Log::new(&[b"a"]);
    let mut one = log.heads(&home);
    one.accept(&log.shown(0)).unwrap();
    let mut two = log.heads(&home);
    log.entries.push(b"b".to_vec());
    one.accept(&log.shown(1)).unwrap();
    log.entries.push(b"c".to_vec());
    two.accept(&log.shown(1)).unwrap();
    assert_eq!(log.heads(&home).catch_up().unwrap(), 2, "it was not proven");
    assert_eq!(two.catch_up().unwrap(), 3);
    let gap = two.gap().unwrap();
    assert_eq!((gap.from, gap.to), (2, 3));
    assert_eq!(two.bridge(&log.consistency(gap)).unwrap(), 3);
    assert_eq!(log.heads(&home).catch_up().unwrap(), 3);
    assert_eq!(two.gap(), None);
}

#[test]
fn two_processes_that_were_shown_two_histories_find_out() {
    for theirs in [Log::new(&[b"a", b"x", b"c", b"d"]), Log::new(&[b"a", b"x"])] {
        let home = tempfile::tempdir().unwrap();
        let log = Log::new(&[b"a"]);
        let mut one = log.heads(&home);
        one.accept(&log.shown(0)).unwrap();
        let mut two = log.heads(&home);
        let ours = Log::new(&[b"a", b"b", b"c"]);
        one.accept(&theirs.shown(1)).unwrap();
        two.accept(&ours.shown(1)).unwrap();
        for _ in 0..2 {
            assert_eq!(two.catch_up().unwrap(), 3);
            let gap = two.gap().unwrap();
            let longer = if theirs.size() > ours.size() {
                &theirs
            } else {
                &ours
            };
            let error = two.bridge(&longer.consistency(gap)).unwrap_err();
            assert!(
                matches!(error, HeadsError::Fork(Fork::Forked { .. })),
                "{error}"
            );
        }
        assert_eq!(two.last().map(Checkpoint::size), Some(3), "its own stays");
    }
}

#[test]
fn a_log_that_has_fewer_entries_than_another_process_was_shown_went_back() {
    let home = tempfile::tempdir().unwrap();
    let mut log = Log::new(&[b"a"]);
    let mut one = log.heads(&home);
    one.accept(&log.shown(0)).unwrap();
    let mut two = log.heads(&home);
    log.entries.push(b"b".to_vec());
    one.accept(&log.shown(1)).unwrap();
    assert_eq!(two.catch_up().unwrap(), 1);
    let shown = Consistency {
        proof: Vec::new(),
        size: 1,
    };
    let error = two.bridge(&shown).unwrap_err();
    assert!(
        matches!(
            error,
            HeadsError::Fork(Fork::WentBack {
                kept: 2,
                found: 1,
                ..
            })
        ),
        "{error}"
    );
}

#[test]
fn a_head_that_cannot_be_kept_is_not_accepted_the_second_time_either() {
    let home = tempfile::tempdir().unwrap();
    let mut log = Log::new(&[b"a"]);
    let mut heads = log.heads(&home);
    heads.accept(&log.shown(0)).unwrap();
    log.entries.push(b"b".to_vec());
    let lock = heads.path.with_extension("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    for _ in 0..2 {
        let error = heads.accept(&log.shown(1)).unwrap_err();
        assert!(error.is_ours(), "{error}");
        assert_eq!(heads.last().map(Checkpoint::size), Some(1));
    }
    fs::remove_dir(&lock).unwrap();
    heads.accept(&log.shown(1)).unwrap();
    assert_eq!(heads.catch_up().unwrap(), 2);
}
