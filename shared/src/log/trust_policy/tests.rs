use proptest::prelude::*;

use super::super::cosignature::CosignerKey;
use super::super::note::SignerKey;
use super::super::tree::{Hash, TreeHead};
use super::*;

const ORIGIN: &str = "countersign/test";

fn log() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
}

fn witness(seed: u8) -> CosignerKey {
    CosignerKey::from_seed(&format!("w{seed}.example"), &[seed; 32]).unwrap()
}

fn vkey(seed: u8) -> String {
    witness(seed).verifier().to_string()
}

/// The example of the specification, with keys.
fn example() -> String {
    let [x1, x2, x3, y1, y2, y3] = [1, 2, 3, 4, 5, 6].map(vkey);
    let log = log();
    let log = log.verifier();
    format!(
        "# who is believed\n\n log\t{log}  \n\
         witness X1 {x1}\nwitness X2 {x2}\nwitness X3 {x3}\n\
         group X-witnesses 2 X1 X2 X3\n\
         witness Y1 {y1} http://Y1:7380/\nwitness Y2 {y2}\nwitness Y3 {y3}\n\
         group Y-witnesses any Y1 Y2 Y3\n\
         group X-and-Y all X-witnesses Y-witnesses\n\
         quorum X-and-Y\n"
    )
}

fn read(text: &str) -> TrustPolicy {
    TrustPolicy::read(text.as_bytes()).unwrap()
}

fn head(root: u8) -> Checkpoint {
    let root = Hash::from_bytes([root; 32]);
    Checkpoint::new(ORIGIN, TreeHead { size: 12, root }).unwrap()
}

/// A head that the log has signed and these witnesses have cosigned.
fn note(witnesses: &[u8]) -> String {
    let mut note = head(7).sign(&log());
    for seed in witnesses {
        note.push_str(&witness(*seed).cosign(&head(7), 5).unwrap().to_line());
    }
    note
}

#[test]
fn the_example_of_the_specification_is_satisfied_by_its_quorums_only() {
    let policy = read(&example());
    assert_eq!(policy.logs().len(), 1);
    assert_eq!(policy.logs()[0].key, *log().verifier());
    assert_eq!(policy.witnesses().len(), 6);
    assert_eq!(policy.witnesses()[0].url, None);
    assert_eq!(
        policy.witnesses()[3].url.as_deref(),
        Some("http://Y1:7380/")
    );
    assert!(!policy.asks_nobody());
    for (cosigned, is_enough) in [
        (&[1, 2, 4][..], true),
        (&[2, 3, 6], true),
        (&[1, 2, 3, 4, 5, 6], true),
        (&[], false),
        (&[1, 2, 3], false),
        (&[1, 4, 5, 6], false),
        (&[1, 1, 4], false),
        (&[1, 7, 4], false),
    ] {
        let judged = policy.judge(&note(cosigned)).unwrap();
        assert_eq!(judged.is_quorum, is_enough, "{cosigned:?}");
        let satisfied = policy.satisfied(&note(cosigned));
        assert_eq!(satisfied.is_ok(), is_enough, "{cosigned:?}");
        if let Ok(found) = satisfied {
            assert_eq!(found, head(7));
        }
    }
}

#[test]
fn a_head_that_no_log_of_the_policy_signed_is_not_accepted_however_many_cosigned() {
    let policy = read(&example());
    let thief = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let other = SignerKey::from_seed("countersign/other", &[9; 32]).unwrap();
    for signed in [head(7).sign(&thief), {
        let root = *head(7).root();
        let head = Checkpoint::new("countersign/other", TreeHead { size: 12, root }).unwrap();
        head.sign(&other)
    }] {
        let refused = policy.satisfied(&signed).unwrap_err();
        assert!(matches!(refused, Unsatisfied::Log(_)), "{refused}");
    }
    let nobody = read("quorum none\n");
    assert!(nobody.asks_nobody());
    assert!(nobody.satisfied(&note(&[])).is_err());
    let nobody = read(&format!("log {}\nquorum none\n", log().verifier()));
    assert_eq!(nobody.satisfied(&note(&[])).unwrap(), head(7));
}

#[test]
fn a_wrong_cosignature_of_a_known_witness_is_no_head_at_all() {
    let policy = read(&example());
    let of_a_fork = witness(1).cosign(&head(8), 5).unwrap().to_line();
    let spoilt = format!("{}{of_a_fork}", note(&[1, 2, 4]));
    let refused = policy.satisfied(&spoilt).unwrap_err();
    assert!(matches!(refused, Unsatisfied::Cosignature(_)), "{refused}");
}

#[test]
fn names_are_bytes_and_one_witness_can_be_the_quorum() {
    let mut text = format!("witness \u{212a} {}\nwitness K {}\n", vkey(1), vkey(2)).into_bytes();
    text.extend_from_slice(b"# \xff\xfe\nquorum K\n");
    let policy = TrustPolicy::read(&text).unwrap();
    assert!(!policy.judge(&note(&[1])).unwrap().is_quorum);
    assert!(policy.judge(&note(&[2])).unwrap().is_quorum);
}

/// Expects each text to be refused at a line and column, with these words.
#[track_caller]
fn refused(texts: &[(String, usize, usize, &str)]) {
    for (text, line, column, said) in texts {
        let error = TrustPolicy::read(text.as_bytes()).unwrap_err();
        let place = format!("line {line}, column {column}: ");
        let shown = error.to_string();
        assert!(
            shown.starts_with(&place) && shown.contains(said),
            "{shown}: {text}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_log_or_a_witness_is_told_with_its_line_and_column() {
    let (a, log) = (vkey(1), log().verifier().to_string());
    refused(&[
        ("  logs x\n".to_owned(), 1, 3, "`logs` begins no line"),
        ("log\n".to_owned(), 1, 4, "the log's key is missing"),
        (format!("log {a}\n"), 1, 5, "type 0x04"),
        (format!("witness A {log}\n"), 1, 11, "type 0x01"),
        (
            format!("log {log} u v\n"),
            1,
            log.len() + 8,
            "`v` is too much",
        ),
        (format!("log {log}\nlog {log}\n"), 2, 5, "in line 1 already"),
        (
            format!("witness A {a}\nwitness C {a}\n"),
            2,
            11,
            "in line 1 already",
        ),
        (
            format!("witness A {a}\nwitness A {}\n", vkey(3)),
            2,
            9,
            "`A` is defined in line 1 already",
        ),
        (
            format!("witness none {a}\n"),
            1,
            9,
            "no name for anything else",
        ),
    ]);
    let error = TrustPolicy::read(b"log \xff\n").unwrap_err();
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
}

#[test]
fn what_is_wrong_with_a_group_or_the_quorum_is_told_with_its_line_and_column() {
    let two = format!("witness A {}\nwitness B {}\n", vkey(1), vkey(2));
    let in_two = |line: &str| format!("{two}{line}\n");
    refused(&[
        (String::new(), 1, 1, "no quorum"),
        (two.clone(), 3, 1, "no quorum"),
        (in_two("group B any A"), 3, 7, "`B` is defined in line 2"),
        (
            in_two("group none any A"),
            3,
            7,
            "no name for anything else",
        ),
        (in_two("group G any"), 3, 12, "a member is missing"),
        (in_two("group G any none"), 3, 13, "`none` is not defined"),
        (in_two("group G any G"), 3, 13, "`G` is not defined"),
        (format!("group G any A\n{two}"), 1, 13, "`A` is not defined"),
        (in_two("group G any A A"), 3, 15, "can be one only once"),
        (
            in_two("group G any A\ngroup H any B A"),
            4,
            15,
            "member of the group in line 3 already",
        ),
        (in_two("quorum C"), 3, 8, "`C` is not defined"),
        (in_two("quorum A B"), 3, 10, "`B` is too much"),
        (in_two("quorum A\nquorum B"), 4, 1, "in line 3 already"),
    ]);
    for threshold in ["0", "3", "01", "+1", "ALL"] {
        let text = in_two(&format!("group G {threshold} A B"));
        refused(&[(text, 3, 9, "a number from 1 to 2")]);
    }
}

#[test]
fn a_file_that_was_cut_off_or_holds_other_characters_is_refused() {
    refused(&[
        ("quorum none".to_owned(), 1, 11, "not end with a newline"),
        ("quorum none\r\n".to_owned(), 1, 12, "0x0d"),
        ("#".repeat(MAX_POLICY) + "\n", 1, 1, "at most 65536 bytes"),
    ]);
}

#[test]
fn thirty_two_of_each_are_read_and_there_is_an_end() {
    let key = |index: usize| {
        let seed = [u8::try_from(index).unwrap(); 32];
        CosignerKey::from_seed("w", &seed)
            .unwrap()
            .verifier()
            .to_string()
    };
    let of = |count: usize| {
        let line = |index| {
            format!(
                "witness W{index} {}\ngroup G{index} all W{index}\n",
                key(index)
            )
        };
        (1..=count).map(line).collect::<Vec<_>>().concat()
    };
    let policy = read(&format!("{}quorum G{MAX_WITNESSES}\n", of(MAX_WITNESSES)));
    assert_eq!(policy.witnesses().len(), MAX_WITNESSES);
    let error = TrustPolicy::read(of(MAX_WITNESSES + 1).as_bytes()).unwrap_err();
    assert_eq!(error.problem, Problem::TooManyWitnesses);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_a_policy_or_an_error_in_a_line_there_is(
        bytes in any::<Vec<u8>>(),
        lines in proptest::collection::vec("(log|witness|group|quorum|#)?[ \t]{0,2}[a-z0-9 ]{0,20}", 0..6),
    ) {
        for text in [bytes, lines.join("\n").into_bytes(), (lines.join("\n") + "\n").into_bytes()] {
            if let Err(error) = TrustPolicy::read(&text) {
                let all = text.split_inclusive(|byte| *byte == b'\n').count();
                prop_assert!((1..=all + 1).contains(&error.line), "{error}");
                prop_assert!(error.column >= 1);
            }
        }
    }

    #[test]
    fn more_cosignatures_never_make_a_quorum_none(some in 0u8..64, more in 0u8..64) {
        let policy = read(&example());
        let held = |bits: u8| {
            let seeds = (1u8..=6).filter(move |seed| bits >> (seed - 1) & 1 == 1);
            let keys: Vec<WitnessKey> = seeds.map(|seed| witness(seed).verifier().clone()).collect();
            policy.is_quorum(&keys)
        };
        prop_assert!(!held(some) || held(some | more));
        let (x, y) = ((some & 7).count_ones(), (some >> 3).count_ones());
        prop_assert_eq!(held(some), x >= 2 && y >= 1);
    }
}
