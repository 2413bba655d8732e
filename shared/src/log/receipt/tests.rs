use proptest::prelude::*;

use super::*;
use crate::log::note::SignerKey;
use crate::log::proof::prove_inclusion;
use crate::log::tree::Frontier;

const ORIGIN: &str = "example.com/log";

fn signer() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn keys() -> [VerifierKey; 1] {
    [signer().verifier().clone()]
}

/// The receipt of entry `index` in the log of the one-byte entries 0, 1, 2, ….
fn receipt(index: u8, size: u8, extra: Option<Vec<u8>>) -> Receipt {
    let mut frontier = Frontier::new();
    let mut nodes = std::collections::HashMap::new();
    for byte in 0..size {
        for node in frontier.push(leaf_hash(&[byte])).unwrap() {
            nodes.insert((node.level, node.index), node.hash);
        }
    }
    let fetch = |level, index| nodes.get(&(level, index)).copied().ok_or(());
    let proof = prove_inclusion(index.into(), size.into(), fetch).unwrap();
    let note = Checkpoint::new(ORIGIN, frontier.head())
        .unwrap()
        .sign(&signer());
    Receipt::new(index.into(), extra, proof, note).unwrap()
}

const GOLDEN: &str = "c2sp.org/tlog-proof@v1\n\
    extra AQ==\n\
    index 1\n\
    lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=\n\
    /PCmxwDdE+J0tvuo3uqN2bJuTu3eNJVxfKyECMnFF38=\n\n\
    example.com/log\n\
    3\n\
    O2zM1+PgI/85MAbwMDFe562esRGwIrQfun5bejlz9og=\n\n\
    \u{2014} example.com/log m+XTxpWqbxm+aArXoic7OblSf+jie0SAlOWitIRQk7y0R0fZ1Smm7VfWhCbqs/LJ4cpIMmnDqmcGqRMvLwq+qQzHbg4=\n";

#[test]
fn the_receipt_of_the_second_of_three_entries_is_this() {
    let receipt = receipt(1, 3, Some(vec![1]));
    assert_eq!(receipt.to_text(), GOLDEN);
    let read = Receipt::read(GOLDEN).unwrap();
    assert_eq!(read, receipt);
    assert_eq!(read.extra(), Some([1].as_slice()));
    assert_eq!(read.verify(&[1], &keys(), ORIGIN).unwrap().size(), 3);
}

#[test]
fn the_example_of_the_specification_has_the_form_of_a_receipt() {
    // The page shortens its signatures; a few bytes stand in for them here.
    let text = "c2sp.org/tlog-proof@v1\n\
        extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\n\
        index 73894\n\
        gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\
        B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\
        EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n\
        RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n\
        AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n\
        \n\
        example.com/fancylog\n\
        109482\n\
        sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\
        \n\
        \u{2014} example.com/fancylog hI2DJwAA\n\
        \u{2014} witness1.example mJirIkAA\n";
    let receipt = Receipt::read(text).unwrap();
    assert_eq!((receipt.index(), receipt.proof().len()), (73894, 5));
    assert_eq!(receipt.to_text(), text);
}

#[test]
fn a_receipt_in_another_form_is_refused() {
    let good = receipt(1, 3, Some(vec![1])).to_text();
    let hash = receipt(1, 3, None).proof()[0].to_base64();
    for (text, error) in [
        (String::new(), ReceiptError::Header),
        (good.replace("@v1", "@v2"), ReceiptError::Header),
        (format!("\n{good}"), ReceiptError::Header),
        (good.replace("@v1\n", "@v1\r\n"), ReceiptError::Header),
        (good.replace("extra AQ==", "extra "), ReceiptError::Extra),
        (good.replace("extra AQ==", "extra AQ"), ReceiptError::Extra),
        (
            good.replace("extra AQ==", "extra AR=="),
            ReceiptError::Extra,
        ),
        (
            good.replace("extra AQ==", "extra AQ==\nextra AQ=="),
            ReceiptError::Index,
        ),
        (good.replace("extra AQ==", "note AQ=="), ReceiptError::Index),
        (good.replace("index 1\n", ""), ReceiptError::Index),
        (good.replace("index 1", "index 01"), ReceiptError::Index),
        (good.replace("index 1", "index +1"), ReceiptError::Index),
        (good.replace("index 1", "index  1"), ReceiptError::Index),
        (
            good.replace("index 1", "index 9223372036854775808"),
            ReceiptError::Index,
        ),
        (
            good.replace("index 1", "index 1\nindex 1"),
            ReceiptError::Hash { line: 4 },
        ),
        (good.replace("lqKW", ""), ReceiptError::Hash { line: 4 }),
        (
            good.replace(&hash, &format!("{hash}\r")),
            ReceiptError::Hash { line: 4 },
        ),
        (
            good.replace(&hash, &[hash.as_str(); 63].join("\n")),
            ReceiptError::TooManyHashes,
        ),
        (
            good.split("\n\n").next().unwrap().to_owned(),
            ReceiptError::NoHead,
        ),
        (
            "c2sp.org/tlog-proof@v1\nindex 0\n\n".to_owned(),
            ReceiptError::Note(NoteError::NoSignatures),
        ),
        (
            "x".repeat(MAX_RECEIPT + 1),
            ReceiptError::TooLong {
                found: MAX_RECEIPT + 1,
            },
        ),
    ] {
        assert_eq!(Receipt::read(&text), Err(error), "{text:.300}");
    }
}

#[test]
fn a_second_blank_line_belongs_to_the_head_and_spoils_it() {
    let good = receipt(1, 3, None).to_text();
    let text = good.replace("\n\nexample", "\n\n\nexample");
    let receipt = Receipt::read(&text).unwrap();
    assert_eq!(receipt.to_text(), text);
    assert!(matches!(
        receipt.verify(&[1], &keys(), ORIGIN),
        Err(ReceiptError::Checkpoint(CheckpointError::Note(_)))
    ));
}

#[test]
fn parts_that_could_not_be_read_back_make_no_receipt() {
    let good = receipt(0, 1, None);
    let note = || good.checkpoint_note().to_owned();
    let hashes = vec![leaf_hash(b""); 64];
    assert_eq!(
        Receipt::new(0, None, hashes, note()),
        Err(ReceiptError::TooManyHashes)
    );
    assert_eq!(
        Receipt::new(MAX_SIZE + 1, None, Vec::new(), note()),
        Err(ReceiptError::Index)
    );
    let extra = Some(vec![0; MAX_EXTRA + 1]);
    assert_eq!(
        Receipt::new(0, extra, Vec::new(), note()),
        Err(ReceiptError::Extra)
    );
    let empty = Receipt::new(0, Some(Vec::new()), Vec::new(), note());
    assert_eq!(empty, Ok(good));
}

#[test]
fn the_largest_receipt_is_read_back() {
    let text = "x".repeat(MAX_NOTE - 130) + "\n";
    let note = signer().sign(&text).unwrap();
    let extra = Some(vec![0; MAX_EXTRA]);
    let receipt = Receipt::new(MAX_SIZE, extra, vec![leaf_hash(b""); 63], note).unwrap();
    assert_eq!(Receipt::read(&receipt.to_text()), Ok(receipt));
}

#[test]
fn a_receipt_proves_no_other_entry_log_or_key() {
    let good = receipt(1, 3, Some(vec![2]));
    assert!(good.verify(&[1], &keys(), ORIGIN).is_ok());
    assert!(matches!(
        good.verify(&[2], &keys(), ORIGIN),
        Err(ReceiptError::Proof { index: 1, .. })
    ));
    assert!(matches!(
        good.verify(&[1], &keys(), "example.com/other"),
        Err(ReceiptError::Checkpoint(CheckpointError::OtherLog { .. }))
    ));
    let stranger = SignerKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    assert!(matches!(
        good.verify(&[1], &[stranger.verifier().clone()], ORIGIN),
        Err(ReceiptError::Checkpoint(CheckpointError::Note(_)))
    ));
}

proptest! {
    #[test]
    fn every_receipt_is_read_back_and_verifies(
        (size, index) in (1u8..130).prop_flat_map(|n| (Just(n), 0..n)),
        extra: Option<Vec<u8>>,
    ) {
        let receipt = receipt(index, size, extra);
        let read = Receipt::read(&receipt.to_text()).unwrap();
        prop_assert_eq!(&read, &receipt);
        prop_assert!(read.verify(&[index], &keys(), ORIGIN).is_ok());
    }

    #[test]
    fn no_bit_of_a_receipt_without_extra_can_be_flipped(place: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = receipt(5, 11, None).to_text().into_bytes();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(receipt) = String::from_utf8(bytes).map_err(|_| ()).and_then(|t| Receipt::read(&t).map_err(|_| ())) {
            prop_assert!(receipt.verify(&[5], &keys(), ORIGIN).is_err());
        }
    }

    #[test]
    fn what_is_read_is_written_the_same(place: prop::sample::Index, byte in "[ -~\n]") {
        let mut text = receipt(1, 3, Some(vec![1])).to_text().replace('\u{2014}', "~");
        let at = place.index(text.len());
        text.replace_range(at..=at, &byte);
        let text = text.replace('~', "\u{2014}");
        if let Ok(receipt) = Receipt::read(&text) {
            prop_assert_eq!(receipt.to_text(), text);
        }
    }
}
