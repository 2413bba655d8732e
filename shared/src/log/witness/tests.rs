use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::super::note::SignerKey;
use super::super::proof::prove_consistency;
use super::super::tree::{CompleteNode, Frontier, leaf_hash};
use super::*;

const ORIGIN: &str = "countersign/test";

/// The log of the tests of another witness, litewitness: origin, key, and what it sends.
const THEIRS: &str =
    "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
const THEIR_KEY: &str = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f";
const ONE: (&str, &str) = (
    "1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
);
const THREE: (&str, &str) = (
    "3\nRcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=",
    "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
);
const THREE_BADLY: (&str, &str) = (
    THREE.0,
    "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6gx=",
);
const FIVE: (&str, &str) = (
    "5\nQrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=",
    "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
);
const TO_THREE: &str = "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
    KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
const TO_FIVE: &str = "KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
    KgMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
    wgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE=\n\
    KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

fn theirs(origin: &str, old: u64, proof: &str, head: (&str, &str)) -> String {
    let (head, signature) = head;
    format!("old {old}\n{proof}\n{origin}\n{head}\n\n\u{2014} {origin} {signature}\n")
}

/// A witness that remembers one log.
struct Memory {
    keys: Vec<VerifierKey>,
    last: TreeHead,
}

impl Memory {
    fn of(key: VerifierKey) -> Self {
        Self {
            keys: vec![key],
            last: TreeHead::empty(),
        }
    }

    fn take(&mut self, body: impl AsRef<[u8]>) -> Result<Checkpoint, Refusal> {
        let last = self.last;
        let (head, _) = judge(body.as_ref(), &self.keys, |_| Ok::<_, Refusal>(last))?;
        self.last = *head.head();
        Ok(head)
    }

    fn status(&mut self, body: impl AsRef<[u8]>) -> u16 {
        self.take(body)
            .map_or_else(|refusal| refusal.status(), |_| 200)
    }
}

#[test]
fn what_another_witness_is_tested_with_is_answered_as_the_specification_says() {
    let key = HEXLOWER.decode(THEIR_KEY.as_bytes()).unwrap();
    let key = VerifierKey::new(THEIRS, key.as_slice().try_into().unwrap()).unwrap();
    let mut witness = Memory::of(key);
    let none = "";
    let bent = TO_THREE.replacen("KgIAAAAA", "KgIAAAAB", 1);
    let other = THEIRS.replace("e562", "e563");
    for (body, status) in [
        (theirs(THEIRS, 0, none, ONE), 200),
        (theirs(THEIRS, 1, TO_THREE, THREE_BADLY), 400),
        (theirs(THEIRS, 1, TO_THREE, (FIVE.0, THREE.1)), 403),
        (theirs(&other, 1, TO_THREE, THREE), 404),
        (theirs(THEIRS, 1, none, THREE), 422),
        (theirs(THEIRS, 1, &bent, THREE), 422),
        (theirs(THEIRS, 4, none, THREE), 400),
        (theirs(THEIRS, 1, TO_THREE, THREE), 200),
        (theirs(THEIRS, 1, TO_THREE, FIVE), 409),
        (theirs(THEIRS, 3, TO_FIVE, FIVE), 200),
        (theirs(THEIRS, 0, none, FIVE), 409),
        (theirs(THEIRS, 5, none, FIVE), 200),
    ] {
        let before = witness.last;
        let answer = witness.take(&body);
        let found = answer.as_ref().map_or_else(Refusal::status, |_| 200);
        assert_eq!(found, status, "{answer:?}: {body}");
        if status != 200 {
            assert_eq!(witness.last, before);
        }
        if status == 409 {
            let size = before.size;
            assert_eq!(answer.unwrap_err(), Refusal::Conflict { size });
        }
    }
    assert_eq!(witness.last.size, 5);
}

/// A log in memory.
struct Grown {
    edge: Frontier,
    nodes: Vec<CompleteNode>,
    key: SignerKey,
}

impl Grown {
    fn of(entries: &[u8]) -> Self {
        let mut grown = Self {
            edge: Frontier::new(),
            nodes: Vec::new(),
            key: SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap(),
        };
        for entry in entries {
            grown
                .nodes
                .extend(grown.edge.push(leaf_hash(&[*entry])).unwrap());
        }
        grown
    }

    fn submission(&self, old: u64) -> Submission {
        let stored = |level, index| {
            let found = self
                .nodes
                .iter()
                .find(|it| (it.level, it.index) == (level, index));
            found.map(|it| it.hash).ok_or(())
        };
        let size = self.edge.size();
        let proof = prove_consistency(old.min(size), size, stored).unwrap();
        let note = Checkpoint::new(ORIGIN, self.edge.head())
            .unwrap()
            .sign(&self.key);
        Submission { old, proof, note }
    }
}

#[test]
fn a_fork_is_never_cosigned_and_the_longer_honest_log_is() {
    let honest = [1, 2, 3, 4, 5, 6, 7];
    let mut witness = Memory::of(Grown::of(&[]).key.verifier().clone());
    assert_eq!(
        witness.status(Grown::of(&honest[..5]).submission(0).to_text()),
        200
    );
    let other = [1, 2, 9, 4, 5, 6, 7, 8];
    // Of the size that was cosigned, it is another head of that size.
    for (fork, status) in [(&other[..5], 409), (&other[..6], 422), (&other, 422)] {
        assert_eq!(
            witness.status(Grown::of(fork).submission(5).to_text()),
            status
        );
    }
    // Its own proof from an earlier size does not help, and neither does beginning anew.
    for old in 0..5 {
        assert_eq!(
            witness.status(Grown::of(&other).submission(old).to_text()),
            409
        );
    }
    assert_eq!(
        witness.status(Grown::of(&honest[..4]).submission(4).to_text()),
        409
    );
    assert_eq!(
        witness.status(Grown::of(&honest).submission(5).to_text()),
        200
    );
}

#[test]
fn a_head_that_the_logs_key_did_not_sign_is_forbidden() {
    let mut log = Grown::of(&[1, 2]);
    let mut witness = Memory::of(log.key.verifier().clone());
    log.key = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    assert_eq!(witness.status(log.submission(0).to_text()), 403);
    // Under another name it is another log.
    log.key = SignerKey::from_seed("countersign/other", &[9; 32]).unwrap();
    assert_eq!(witness.status(log.submission(0).to_text()), 403);
    assert_eq!(witness.last, TreeHead::empty());
}

#[test]
fn a_log_without_entries_has_the_root_of_nothing_and_a_first_head_no_proof() {
    let log = Grown::of(&[]);
    let mut witness = Memory::of(log.key.verifier().clone());
    assert_eq!(witness.status(log.submission(0).to_text()), 200);
    let text = format!("{ORIGIN}\n0\n{}\n", leaf_hash(b"x").to_base64());
    let note = log.key.sign(&text).unwrap();
    let wrong = Submission {
        old: 0,
        proof: Vec::new(),
        note,
    };
    assert_eq!(witness.status(wrong.to_text()), 422);
    let mut with_proof = Grown::of(&[1, 2]).submission(0);
    with_proof.proof = vec![leaf_hash(b"x")];
    assert_eq!(witness.status(with_proof.to_text()), 422);
}

#[test]
fn a_request_in_another_form_is_malformed() {
    let log = Grown::of(&[1, 2, 3]);
    let mut witness = Memory::of(log.key.verifier().clone());
    let good = log.submission(0).to_text();
    let extended = log.key.sign(&format!(
        "{ORIGIN}\n0\n{}\nmore\n",
        leaf_hash(b"x").to_base64()
    ));
    let hashes = format!("{}\n", leaf_hash(b"x").to_base64());
    for body in [
        String::new(),
        "old 0\n".to_owned(),
        good.replacen("old 0", "old  0", 1),
        good.replacen("old 0", "old 00", 1),
        good.replacen("old 0", "old -1", 1),
        good.replacen("old 0", "size 0", 1),
        good.replacen("old 0\n", "old 0\nnonsense\n", 1),
        good.replacen("old 0\n", "old 0", 1),
        good.replacen("old 0\n", &format!("old 0\n{}", hashes.repeat(64)), 1),
        format!("old 0\n\n{}", extended.unwrap()),
        format!("old 0\n\n{}", "x".repeat(MAX_BODY)),
    ] {
        assert_eq!(witness.status(&body), 400, "{body}");
    }
    assert_eq!(witness.status(b"old 0\n\n\xff\xfe"), 400);
    assert_eq!(witness.status(&good), 200);
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic_and_are_never_cosigned(
        body in any::<Vec<u8>>(),
        text in "old [0-9]{1,3}\n([A-Za-z0-9+/=]{44}\n){0,3}\n(\\PC{0,40}\n){0,5}",
    ) {
        let mut witness = Memory::of(Grown::of(&[]).key.verifier().clone());
        prop_assert!(witness.take(&body).is_err());
        prop_assert!(witness.take(&text).is_err());
    }

    #[test]
    fn what_is_written_is_read(old in 0u64..9, entries in 0u8..9) {
        let entries: Vec<u8> = (0..entries).collect();
        let submission = Grown::of(&entries).submission(old);
        let read = Submission::read(submission.to_text().as_bytes()).unwrap();
        prop_assert_eq!(read, submission);
    }
}
