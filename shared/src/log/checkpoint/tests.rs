use proptest::prelude::*;

use super::*;
use crate::log::tree::leaf_hash;

const ORIGIN: &str = "example.com/log";

fn signer(seed: u8) -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

fn checkpoint(size: u64, root: Hash) -> Checkpoint {
    Checkpoint::new(ORIGIN, TreeHead { size, root }).unwrap()
}

const TEXT: &str = "example.com/log\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n";

/// `TEXT`, signed with the seed of 32 ones.
const NOTE: &str = "example.com/log\n\
    1\n\
    bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n\n\
    \u{2014} example.com/log m+XTxgT/eQLaMDlpPN9IqHZPELfe/N6aVP0qAukNIU9FwFBfUMGYAFlzUjAgHslr1vGRorF0hhggr9VPSOjvvqhk8AM=\n";

#[test]
fn the_note_of_a_log_with_one_empty_entry_is_this() {
    let one = checkpoint(1, leaf_hash(b""));
    assert_eq!(one.to_text(), TEXT);
    assert_eq!(one.sign(&signer(1)), NOTE);
    assert_eq!(open(NOTE, &[signer(1).verifier().clone()], ORIGIN), Ok(one));
}

#[test]
fn a_checkpoint_in_another_spelling_is_refused() {
    let root = "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=";
    let long = "o".repeat(MAX_ORIGIN + 1);
    for (text, error) in [
        (String::new(), CheckpointError::Lines),
        (TEXT.trim_end().to_owned(), CheckpointError::Lines),
        (format!("{TEXT}extension\n"), CheckpointError::Lines),
        (format!("{TEXT}\n"), CheckpointError::Lines),
        (format!("{ORIGIN}\n1\n"), CheckpointError::Lines),
        (format!("\n1\n{root}\n"), CheckpointError::Origin),
        (format!("{long}\n1\n{root}\n"), CheckpointError::Origin),
        (format!("a\tb\n1\n{root}\n"), CheckpointError::Origin),
        (format!("{ORIGIN}\n\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n01\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n00\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n+1\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n-1\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n 1\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n1 \n{root}\n"), CheckpointError::Size),
        (
            format!("{ORIGIN}\n\u{661}\n{root}\n"),
            CheckpointError::Size,
        ),
        (
            format!("{ORIGIN}\n9223372036854775808\n{root}\n"),
            CheckpointError::Size,
        ),
        (
            format!("{ORIGIN}\n99999999999999999999\n{root}\n"),
            CheckpointError::Size,
        ),
        (format!("{ORIGIN}\n1\n\n"), CheckpointError::Root),
        (TEXT.replace("oB0=", ""), CheckpointError::Root),
        (format!("{ORIGIN}\n1\n{root} \n"), CheckpointError::Root),
        (format!("{ORIGIN}\n1\nAAAA{root}\n"), CheckpointError::Root),
        (
            format!("{ORIGIN}\n0\n{root}\n"),
            CheckpointError::EmptyRoot {
                found: leaf_hash(b""),
            },
        ),
    ] {
        assert_eq!(Checkpoint::from_text(&text), Err(error), "{text}");
    }
}

#[test]
fn the_largest_and_the_smallest_log_can_be_written() {
    for (size, root) in [(0, empty_root()), (MAX_SIZE, leaf_hash(b""))] {
        let checkpoint = checkpoint(size, root);
        assert_eq!(Checkpoint::from_text(&checkpoint.to_text()), Ok(checkpoint));
    }
    let head = TreeHead {
        size: MAX_SIZE + 1,
        root: leaf_hash(b""),
    };
    assert_eq!(Checkpoint::new(ORIGIN, head), Err(CheckpointError::Size));
}

#[test]
fn the_head_of_another_log_or_key_is_refused() {
    let key = [signer(1).verifier().clone()];
    let error = CheckpointError::OtherLog {
        expected: "example.com/other".to_owned(),
    };
    assert_eq!(open(NOTE, &key, "example.com/other"), Err(error));
    let stranger = checkpoint(1, leaf_hash(b"")).sign(&signer(2));
    assert_eq!(
        open(&stranger, &key, ORIGIN),
        Err(CheckpointError::Note(NoteError::Unsigned { known: 1 }))
    );
}

#[test]
fn a_signed_note_that_is_no_checkpoint_is_refused() {
    let key = [signer(1).verifier().clone()];
    let note = signer(1).sign("hello\n").unwrap();
    assert_eq!(open(&note, &key, ORIGIN), Err(CheckpointError::Lines));
}

proptest! {
    #[test]
    fn every_checkpoint_is_read_back(origin in "[^\\p{Cc}]{1,40}", size in 1..=MAX_SIZE, root: [u8; 32], seed: [u8; 32]) {
        let head = TreeHead { size, root: Hash::from_bytes(root) };
        let checkpoint = Checkpoint::new(&origin, head).unwrap();
        let signer = SignerKey::from_seed("log", &seed).unwrap();
        let note = checkpoint.sign(&signer);
        prop_assert_eq!(signer.sign(&checkpoint.to_text()), Ok(note.clone()));
        prop_assert_eq!(open(&note, &[signer.verifier().clone()], &origin), Ok(checkpoint));
    }

    #[test]
    fn what_is_read_is_written_the_same(text in "(a|a/b)\n[0-9+ ]{0,3}\nbjQLnP\\+zepicpUTmu3gKLHiQHT\\+zNzh2hRGjBhevoB[0-9]=?\n{1,2}") {
        if let Ok(checkpoint) = Checkpoint::from_text(&text) {
            prop_assert_eq!(checkpoint.to_text(), text);
        }
    }
}
