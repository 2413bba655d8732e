use proptest::prelude::*;

use super::*;

const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
const PETER_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// Type and seed of the key above, as the Go package's documentation prints them.
const PETER_SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const PETER_SIGNATURE: &str = "\u{2014} PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, &[seed; 32]).unwrap()
}

/// The note's signature lines.
fn lines(note: &str) -> &str {
    note.rsplit_once("\n\n").unwrap().1
}

#[test]
fn the_example_of_the_specification_verifies() {
    let key: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    assert_eq!(key.to_string(), EXAMPLE_KEY);
    assert_eq!(key.name(), "example.com/foo");
    let verified = verify(EXAMPLE_NOTE, std::slice::from_ref(&key)).unwrap();
    assert_eq!(verified.text, "This is an example message.\n");
    assert_eq!(verified.by, [key]);
}

#[test]
fn the_example_of_the_go_package_is_signed_and_verified_byte_for_byte() {
    let secret = BASE64.decode(PETER_SECRET.as_bytes()).unwrap();
    let signer = SignerKey::from_seed("PeterNeumann", secret[1..].try_into().unwrap()).unwrap();
    assert_eq!(signer.verifier().to_string(), PETER_KEY);
    let note = signer.sign(PETER_TEXT).unwrap();
    assert_eq!(note, format!("{PETER_TEXT}\n{PETER_SIGNATURE}"));
    assert_eq!(
        verify(&note, &[PETER_KEY.parse().unwrap()]).unwrap().text,
        PETER_TEXT
    );
}

#[test]
fn other_implementations_verifier_keys_keep_their_spelling() {
    for text in [
        "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
        "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
    ] {
        assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
    }
}

#[test]
fn a_verifier_key_in_another_spelling_is_refused() {
    let body = "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    for (text, error) in [
        (String::new(), KeyError::Form),
        (EXAMPLE_KEY.replace('+', " "), KeyError::Form),
        (format!("example.com/foo+530D903A+{body}"), KeyError::Form),
        (format!("example.com/foo+530d903+{body}"), KeyError::Form),
        (format!("example.com/foo+530d903a00+{body}"), KeyError::Form),
        (format!("{EXAMPLE_KEY}\n"), KeyError::Form),
        (format!("{EXAMPLE_KEY}AAAA"), KeyError::Form),
        (
            EXAMPLE_KEY.trim_end_matches("3U2k").to_owned(),
            KeyError::Form,
        ),
        ("example.com/foo+530d903a+".to_owned(), KeyError::Form),
        (format!("+530d903a+{body}"), KeyError::Name),
        (format!("a b+530d903a+{body}"), KeyError::Name),
        (format!("a\u{2003}b+530d903a+{body}"), KeyError::Name),
        (format!("a\u{7f}b+530d903a+{body}"), KeyError::Name),
        (
            format!("{}+530d903a+{body}", "a".repeat(256)),
            KeyError::Name,
        ),
        (
            "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2".to_owned(),
            KeyError::Type {
                name: "remora.n621.de".to_owned(),
                found: 4,
                wanted: 1,
            },
        ),
        (
            format!("example.com/fop+530d903a+{body}"),
            KeyError::Id {
                name: "example.com/fop".to_owned(),
                expected: HEX_OF_FOP.to_owned(),
                found: "530d903a".to_owned(),
            },
        ),
    ] {
        assert_eq!(text.parse::<VerifierKey>(), Err(error), "{text}");
    }
}

/// The key id that the example's key has under the name `example.com/fop`.
const HEX_OF_FOP: &str = "7de3800f";

#[test]
fn points_that_anyone_can_sign_for_or_that_have_two_spellings_are_refused() {
    let identity = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    // The identity with the sign of its zero x set, and y = 4 written as 4 + p.
    let mut negative_zero = identity;
    negative_zero[31] = 0x80;
    let mut beyond_p = [0xff; 32];
    beyond_p[0] = 0xf1;
    beyond_p[31] = 0x7f;
    for bytes in [identity, negative_zero, beyond_p, [0; 32]] {
        let error = KeyError::Point {
            name: "log".to_owned(),
        };
        assert_eq!(VerifierKey::new("log", &bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn debug_of_a_signer_shows_no_secret() {
    let shown = format!("{:?}", signer("log", 0xab));
    assert!(shown.contains("log+"));
    assert!(!shown.contains("171"), "{shown}");
    assert!(!shown.to_lowercase().contains("abab"), "{shown}");
}

#[test]
fn unknown_signatures_are_ignored_and_a_known_one_is_needed() {
    let (log, witness) = (signer("log", 1), signer("witness", 2));
    let text = "hello\n";
    let note = log.sign(text).unwrap() + lines(&witness.sign(text).unwrap());
    let keys = |signers: &[&SignerKey]| -> Vec<VerifierKey> {
        signers.iter().map(|s| s.verifier().clone()).collect()
    };
    assert_eq!(
        verify(&note, &keys(&[&witness, &log])).unwrap().by,
        keys(&[&log, &witness])
    );
    assert_eq!(
        verify(&note, &keys(&[&witness])).unwrap().by,
        keys(&[&witness])
    );
    let stranger = signer("log", 3);
    assert_eq!(
        verify(&note, &keys(&[&stranger])),
        Err(NoteError::Unsigned { known: 1 })
    );
    assert_eq!(verify(&note, &[]), Err(NoteError::Unsigned { known: 0 }));
}

#[test]
fn one_wrong_signature_of_a_known_key_refuses_the_note() {
    let (log, witness) = (signer("log", 1), signer("witness", 2));
    let note = log.sign("hello\n").unwrap() + lines(&witness.sign("other\n").unwrap());
    let both = [log.verifier().clone(), witness.verifier().clone()];
    let name = "witness".to_owned();
    assert_eq!(verify(&note, &both), Err(NoteError::BadSignature { name }));
    assert!(verify(&note, &both[..1]).is_ok());
}

#[test]
fn a_known_keys_signature_of_another_length_is_wrong() {
    let log = signer("log", 1);
    for length in [1, 63, 65, 72] {
        let mut bytes = log.verifier().id().to_vec();
        bytes.resize(4 + length, 7);
        let note = format!("hello\n\n\u{2014} log {}\n", BASE64.encode(&bytes));
        assert!(matches!(
            verify(&note, &[log.verifier().clone()]),
            Err(NoteError::BadSignature { .. })
        ));
    }
}

#[test]
fn a_signature_repeated_counts_once() {
    let log = signer("log", 1);
    let note = log.sign("hello\n").unwrap();
    let twice = format!("{note}{}", lines(&note));
    assert_eq!(
        verify(&twice, &[log.verifier().clone()]).unwrap().by.len(),
        1
    );
}

#[test]
fn one_hundred_signatures_are_accepted_and_one_more_is_not() {
    let signers: Vec<SignerKey> = (0..=100).map(|n| signer(&format!("key{n}"), n)).collect();
    let sign = |count: usize| {
        signers[..count]
            .iter()
            .fold("hello\n\n".to_owned(), |note, signer| {
                note + lines(&signer.sign("hello\n").unwrap())
            })
    };
    let last = [signers[99].verifier().clone()];
    assert!(verify(&sign(100), &last).is_ok());
    assert_eq!(
        verify(&sign(101), &last),
        Err(NoteError::TooManySignatures { found: 101 })
    );
}

#[test]
fn malformed_notes_are_refused() {
    let log = signer("log", 1);
    let good = log.sign("hello\n").unwrap();
    let line = lines(&good);
    for (note, error) in [
        (String::new(), NoteError::NoSignatures),
        ("hello\n".to_owned(), NoteError::NoSignatures),
        ("hello\n\n".to_owned(), NoteError::NoSignatures),
        (format!("hello\n{line}"), NoteError::NoSignatures),
        (good.trim_end().to_owned(), NoteError::NoSignatures),
        (format!("hello\n\n{line}\n"), NoteError::NoSignatures),
        (good.replace('\n', "\r\n"), NoteError::Control { at: 5 }),
        (
            good.replace("hello", "he\u{1b}lo"),
            NoteError::Control { at: 2 },
        ),
        (
            good.replace("hello", "he\u{9b}lo"),
            NoteError::Control { at: 2 },
        ),
        (
            format!("{good}hello\n"),
            NoteError::SignatureLine { line: 2 },
        ),
        (
            good.replace('\u{2014}', "-"),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            good.replace(" log ", " l+g "),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            good.replace(" log ", " lo\u{a0}g "),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            good.replace(" log ", "  "),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            good.replace(" log ", " log  "),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            format!("{}=\n", good.trim_end()),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            "hello\n\n\u{2014} log AAAAAA==\n".to_owned(),
            NoteError::SignatureLine { line: 1 },
        ),
        (
            format!("{}{good}", "x".repeat(MAX_NOTE)),
            NoteError::TooLong {
                found: MAX_NOTE + good.len(),
            },
        ),
    ] {
        assert_eq!(
            verify(&note, &[log.verifier().clone()]),
            Err(error),
            "{note:.200}"
        );
    }
}

#[test]
fn texts_that_cannot_be_read_back_are_not_signed() {
    let log = signer("log", 1);
    for (text, error) in [
        ("", NoteError::Unfinished),
        ("hello", NoteError::Unfinished),
        ("he\0llo\n", NoteError::Control { at: 2 }),
        ("\thello\n", NoteError::Control { at: 0 }),
    ] {
        assert_eq!(log.sign(text), Err(error));
    }
    let endless = "x".repeat(MAX_NOTE - 10) + "\n";
    assert!(matches!(log.sign(&endless), Err(NoteError::TooLong { .. })));
}

proptest! {
    #[test]
    fn a_signed_text_is_read_back_whole(text in "([^\\p{Cc}]{0,30}\n){1,6}", name in "[^\\p{Cc}\\s+]{1,20}", seed: [u8; 32]) {
        let signer = SignerKey::from_seed(&name, &seed).unwrap();
        let note = signer.sign(&text).unwrap();
        let key: VerifierKey = signer.verifier().to_string().parse().unwrap();
        prop_assert_eq!(&key, signer.verifier());
        prop_assert_eq!(verify(&note, &[key]).unwrap().text, text);
    }

    #[test]
    fn no_bit_of_a_note_can_be_flipped(place: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = EXAMPLE_NOTE.as_bytes().to_vec();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(note) = String::from_utf8(bytes) {
            prop_assert!(verify(&note, &[EXAMPLE_KEY.parse().unwrap()]).is_err(), "{note}");
        }
    }

    #[test]
    fn no_bit_of_a_verifier_key_can_be_flipped(place: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = EXAMPLE_KEY.as_bytes().to_vec();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(key) = String::from_utf8(bytes) {
            prop_assert!(key.parse::<VerifierKey>().is_err(), "{key}");
        }
    }

    #[test]
    fn reading_anything_as_a_note_gives_an_error(text: String) {
        prop_assert!(verify(&text, &[EXAMPLE_KEY.parse().unwrap()]).is_err());
    }
}
