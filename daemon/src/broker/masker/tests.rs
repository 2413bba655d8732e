use super::*;

fn patterns(secrets: &[(&str, &str)]) -> Patterns {
    Patterns::of(
        secrets
            .iter()
            .map(|(name, value)| (*name, value.as_bytes())),
    )
    .unwrap()
}

fn masked(patterns: &Patterns, pieces: &[&[u8]]) -> String {
    let mut masker = Masker::new(patterns.clone());
    let mut passed = Vec::new();
    for piece in pieces {
        passed.extend(masker.push(piece));
    }
    passed.extend(masker.finish());
    String::from_utf8(passed).unwrap()
}

#[test]
fn a_secret_is_masked_wherever_the_output_is_cut() {
    let patterns = patterns(&[("A", "hunter2-hunter2"), ("B", "hunter2-hunter2-and-more")]);
    let text = b"x hunter2-hunter2-and-more, hunter2-hunter2. hunter2-hunter";
    let expected = "x [masked B], [masked A]. hunter2-hunter";
    assert_eq!(masked(&patterns, &[text]), expected);
    for first in 0..text.len() {
        let (left, right) = text.split_at(first);
        assert_eq!(
            masked(&patterns, &[left, right]),
            expected,
            "cut at {first}"
        );
        for second in 0..right.len() {
            let (middle, right) = right.split_at(second);
            let pieces = [left, middle, right];
            assert_eq!(masked(&patterns, &pieces), expected, "{pieces:?}");
        }
    }
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(masked(&patterns, &bytes), expected);
}

#[test]
fn secrets_that_overlap_leave_nothing_of_either() {
    let patterns = patterns(&[("A", "abcdefgh"), ("B", "efghijklmn")]);
    for pieces in [
        [b"-abcdefghijklmn-".as_slice(), b""],
        [b"-abcdefgh".as_slice(), b"ijklmn-"],
        [b"-abcdef".as_slice(), b"ghijklmn-"],
    ] {
        assert_eq!(masked(&patterns, &pieces), "-[masked A]-", "{pieces:?}");
    }
}

#[test]
fn what_cannot_become_a_secret_any_more_is_passed_on_at_once() {
    let mut masker = Masker::new(patterns(&[("A", "hunter2-hunter2")]));
    assert_eq!(masker.push(b"ready> "), b"ready> ");
    assert_eq!(masker.push(b"> hunt"), b"> ");
    assert_eq!(masker.push(b"ing\n"), b"hunting\n");
    assert_eq!(masker.finish(), b"");
}

#[test]
fn the_forms_that_programs_write_are_masked_as_well() {
    let value = "p\"ss word/+\n=2nd line of it";
    let patterns = patterns(&[("A", value)]);
    let whole = BASE64.encode(value.as_bytes());
    let basic = BASE64.encode(format!("deploy:{value}").as_bytes());
    let basic1 = BASE64.encode(format!("deploy1:{value}").as_bytes());
    for written in [
        HEXLOWER.encode(value.as_bytes()),
        HEXUPPER.encode(value.as_bytes()),
        whole,
        serde_json::Value::from(value).to_string(),
        "p%22ss%20word%2F%2B%0A%3D2nd%20line%20of%20it".to_owned(),
        "=2nd line of it".to_owned(),
    ] {
        let shown = masked(&patterns, &[written.as_bytes()]);
        assert!(shown.contains("[masked A]"), "{written}: {shown}");
        assert!(shown.len() < 20, "{written}: {shown}");
    }
    for written in [basic, basic1] {
        let shown = masked(&patterns, &[written.as_bytes()]);
        assert!(shown.contains("[masked A]"), "{written}: {shown}");
    }
}

#[test]
fn a_flood_of_what_overlaps_itself_is_neither_shown_nor_held() {
    let patterns = patterns(&[("A", "aaaaaaaa")]);
    let mut masker = Masker::new(patterns);
    let (piece, mut passed) = (vec![b'a'; 32 << 10], Vec::new());
    for _ in 0..64 {
        passed.extend(masker.push(&piece));
        assert!(
            masker.held.len() <= MOST_HELD + (64 << 10),
            "{}",
            masker.held.len()
        );
    }
    passed.extend(masker.push(b"a!"));
    passed.extend(masker.finish());
    assert_eq!(String::from_utf8(passed).unwrap(), "[masked A]!");
}

#[test]
fn without_secrets_every_byte_passes_as_it_came() {
    let patterns = patterns(&[]);
    assert_eq!(masked(&patterns, &[b"aaa", b"", b"bbb"]), "aaabbb");
}
