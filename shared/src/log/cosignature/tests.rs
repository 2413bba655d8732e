use data_encoding::{BASE64, HEXLOWER};
use proptest::prelude::*;

use super::super::note::SignerKey;
use super::super::tree::{Hash, TreeHead};
use super::*;

/// The key with which the tests of another witness, litewitness, run.
const SEED: &str = "31ffc2116ecbe003acaa800ab70757bd7d53206e3febef6a6d0796d95530b34f";
const VKEY: &str = "example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q";
const TEXT: &str =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
/// Made over the head of the specification's example by Python's `cryptography`.
const LINE: &str = "\u{2014} example.com/witness EKHAGQAAAABkGFDLTNoErpaFYoIjxSg1oJ6wS+ZgVHSd9KzgU\
    Vie5EgN4+xyT4Krxt1jLqJ0MhEs9ruPoxFVPPKvVikwV7Gp4/vDAA==\n";
const TIME_OF_LINE: u64 = 1_679_315_147;
/// The two lines below that example.
const LOGS_LINE: &str = "\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJur\
    mRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
const OTHERS_LINE: &str = "\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHe\
    olMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

fn key() -> CosignerKey {
    let seed = HEXLOWER.decode(SEED.as_bytes()).unwrap();
    CosignerKey::from_seed("example.com/witness", seed.as_slice().try_into().unwrap()).unwrap()
}

fn other(seed: u8) -> CosignerKey {
    CosignerKey::from_seed("other.example", &[seed; 32]).unwrap()
}

fn head() -> Checkpoint {
    Checkpoint::from_text(TEXT).unwrap()
}

#[test]
fn a_cosignature_is_what_another_implementation_makes_byte_for_byte() {
    let key = key();
    assert_eq!(key.verifier().to_string(), VKEY);
    assert_eq!(VKEY.parse::<WitnessKey>().unwrap(), *key.verifier());
    let made = key.cosign(&head(), TIME_OF_LINE).unwrap();
    assert_eq!(made.to_line(), LINE);
    assert_eq!(note_of(&head(), &[made]), format!("{TEXT}\n{LINE}"));
}

#[test]
fn lines_of_the_log_and_of_other_witnesses_are_ignored() {
    let note = format!("{TEXT}\n{LOGS_LINE}{OTHERS_LINE}{LINE}");
    let found = verify(&note, &[key().verifier().clone()]).unwrap();
    let [one] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(one.by(), key().verifier());
    assert_eq!(one.time(), TIME_OF_LINE);
    assert_eq!(verify(&note, &[other(1).verifier().clone()]).unwrap(), []);
    assert_eq!(verify(&note, &[]).unwrap(), []);
}

#[test]
fn a_key_of_the_public_network_keeps_its_spelling_and_no_other_type_is_one() {
    let text = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    assert_eq!(text.parse::<WitnessKey>().unwrap().to_string(), text);
    let log = SignerKey::from_seed("example.com/log", &[1; 32]).unwrap();
    let error = log
        .verifier()
        .to_string()
        .parse::<WitnessKey>()
        .unwrap_err();
    assert!(
        error.to_string().contains("type 0x01") && error.to_string().contains("0x04"),
        "{error}"
    );
}

#[test]
fn one_wrong_line_of_a_known_witness_spoils_the_note() {
    let mut known = vec![key().verifier().clone()];
    let elsewhere = Checkpoint::new(
        "example.com/behind-the-sofa",
        TreeHead {
            size: 20_852_163,
            root: Hash::from_bytes([7; 32]),
        },
    )
    .unwrap();
    let of_a_fork = key().cosign(&elsewhere, TIME_OF_LINE).unwrap().to_line();
    let [_, _, payload] = *LINE.trim_end().split(' ').collect::<Vec<_>>() else {
        panic!("{LINE}");
    };
    let bytes = BASE64.decode(payload.as_bytes()).unwrap();
    let line = |bytes: &[u8]| format!("\u{2014} example.com/witness {}\n", BASE64.encode(bytes));
    let mut later = bytes.clone();
    later[11] ^= 1;
    for wrong in [
        of_a_fork,
        line(&later),
        line(&bytes[..bytes.len() - 1]),
        line(&[&bytes[..], &[0]].concat()),
        line(&bytes[..4 + TIME]),
        line(&[&bytes[..4], &bytes[4 + TIME..]].concat()),
    ] {
        for note in [
            format!("{TEXT}\n{wrong}"),
            format!("{TEXT}\n{LINE}{wrong}"),
            format!("{TEXT}\n{wrong}{LINE}"),
        ] {
            let refused = verify(&note, &known).unwrap_err();
            assert!(matches!(refused, CosignatureError::Bad { .. }), "{refused}");
        }
    }
    // A key that no witness can be told from is no key.
    known.push(other(2).verifier().clone());
    assert!(verify(&format!("{TEXT}\n{LINE}"), &known).is_ok());
}

#[test]
fn a_head_is_opened_by_a_known_witnesss_word_about_that_log_only() {
    let note = format!("{TEXT}\n{OTHERS_LINE}{LINE}");
    let known = [key().verifier().clone()];
    let (found, cosignatures) = open(&note, &known, head().origin()).unwrap();
    assert_eq!((found, cosignatures.len()), (head(), 1));
    let refused = open(&note, &known, "example.com/other").unwrap_err();
    assert!(matches!(refused, CosignatureError::Head(_)), "{refused}");
    for (note, known) in [(format!("{TEXT}\n{LOGS_LINE}"), &known[..]), (note, &[])] {
        let refused = open(&note, known, head().origin()).unwrap_err();
        assert!(
            matches!(refused, CosignatureError::Unsigned { .. }),
            "{refused}"
        );
    }
}

#[test]
fn of_several_by_one_witness_the_latest_counts_and_it_counts_once() {
    let key = key();
    let lines: String = [5, 9, 7]
        .iter()
        .map(|time| key.cosign(&head(), *time).unwrap().to_line())
        .collect();
    let known = [key.verifier().clone(), key.verifier().clone()];
    let found = verify(&format!("{TEXT}\n{lines}"), &known).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].time(), 9);
}

#[test]
fn a_time_that_does_not_fit_is_neither_made_nor_believed() {
    let key = key();
    let refused = key.cosign(&head(), MAX_TIME + 1).unwrap_err();
    assert_eq!(
        refused,
        CosignatureError::Time {
            found: MAX_TIME + 1
        }
    );
    let signature = key.secret.sign(message(u64::MAX, TEXT).as_bytes());
    let payload = [&u64::MAX.to_be_bytes()[..], &signature.to_bytes()].concat();
    let note = format!("{TEXT}\n{}", note::line_of(key.verifier(), &payload));
    assert!(verify(&note, &[key.verifier().clone()]).is_err());
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", key());
    assert!(
        shown.contains(VKEY) && !shown.contains("31, 255"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn arbitrary_lines_below_a_head_never_panic(lines in "\\PC{0,200}", bytes in any::<Vec<u8>>()) {
        let known = [key().verifier().clone()];
        drop(verify(&lines, &known));
        drop(verify(&format!("{TEXT}\n{lines}\n"), &known));
        let line = note::line_of(key().verifier(), &bytes);
        let note = format!("{TEXT}\n{line}");
        prop_assert!(verify(&note, &known).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_cosignature_is_refused_or_ignored(at in 0usize..76, bit in 0u8..8) {
        let [_, _, payload] = *LINE.trim_end().split(' ').collect::<Vec<_>>() else {
            panic!("{LINE}");
        };
        let mut bytes = BASE64.decode(payload.as_bytes()).unwrap();
        bytes[at] ^= 1 << bit;
        let note = format!("{TEXT}\n\u{2014} example.com/witness {}\n", BASE64.encode(&bytes));
        match verify(&note, &[key().verifier().clone()]) {
            Ok(found) => prop_assert!(at < 4 && found.is_empty()),
            Err(error) => {
                let is_bad = matches!(error, CosignatureError::Bad { .. });
                prop_assert!(is_bad && at >= 4);
            }
        }
    }
}
