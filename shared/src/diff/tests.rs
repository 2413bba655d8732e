use proptest::prelude::*;

use super::*;
use crate::text::decode;

fn change(before: Option<&[u8]>, after: Option<&[u8]>) -> Change {
    Change {
        path: Untrusted::new("a.txt"),
        before: before.map(|bytes| Contents::of(bytes.to_vec())),
        after: after.map(|bytes| Contents::of(bytes.to_vec())),
        mode: None,
    }
}

fn compared(before: &str, after: &str) -> FileDiff {
    diff(
        &change(Some(before.as_bytes()), Some(after.as_bytes())),
        None,
    )
    .unwrap()
}

/// Puts the rows of one side together.
fn side(diff: &FileDiff, left_out: RowKind) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in diff.rows.iter().filter(|row| row.kind != left_out) {
        bytes.extend(decode(row.text.as_str()).unwrap());
        bytes.extend(row.line_feed.then_some(b'\n'));
    }
    bytes
}

/// Writes a diff as `diff -u` does, with emphasis in brackets.
fn unified(diff: &FileDiff) -> Vec<String> {
    let mut text = Vec::new();
    for hunk in &diff.hunks {
        text.push(hunk.heading().to_string());
        for row in &diff.rows[hunk.rows.clone()] {
            let mut line = row.text.to_string();
            for range in row.emphasis.iter().rev() {
                line.insert(range.end, ']');
                line.insert(range.start, '[');
            }
            let sign = match row.kind {
                RowKind::Context => ' ',
                RowKind::Added => '+',
                RowKind::Removed => '-',
            };
            text.push(format!("{sign}{line}"));
        }
    }
    text
}

fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "[ab]{0,2}",
        2 => "let [xyz]{1,3} = [0-9]{1,2};",
        1 => "[ \t\r\u{202e}<U+é漢\u{301}]{0,12}",
        1 => "\\PC{0,20}",
    ];
    let end = prop_oneof![8 => Just("\n"), 1 => Just("\r\n"), 1 => Just("")];
    prop::collection::vec((line, end), 0..20)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_rows_are_both_sides_in_full(before in text(), after in text()) {
        let diff = compared(&before, &after);
        if !diff.contents_not_shown {
            prop_assert_eq!(side(&diff, RowKind::Added), before.as_bytes());
            prop_assert_eq!(side(&diff, RowKind::Removed), after.as_bytes());
        }
        prop_assert_eq!(diff.kind == FileKind::Unchanged, diff.added + diff.removed == 0);
    }

    #[test]
    fn a_passed_deadline_leaves_nothing_out(before in text(), after in text()) {
        #[expect(clippy::disallowed_methods, reason = "a deadline is an instant")]
        let deadline = Instant::now();
        std::hint::black_box(Digest::of(b"some time"));
        let change = change(Some(before.as_bytes()), Some(after.as_bytes()));
        let diff = diff(&change, Some(deadline)).unwrap();
        prop_assert!(diff.coarse);
        if !diff.contents_not_shown {
            prop_assert_eq!(side(&diff, RowKind::Added), before.as_bytes());
            prop_assert_eq!(side(&diff, RowKind::Removed), after.as_bytes());
        }
    }

    #[test]
    fn every_row_is_in_a_hunk_or_counted_as_collapsed(before in text(), after in text()) {
        let diff = compared(&before, &after);
        let mut at = 0;
        let (mut added, mut removed) = (0, 0);
        for hunk in &diff.hunks {
            prop_assert_eq!(hunk.rows.start, at + hunk.collapsed_before);
            prop_assert!(diff.rows[at..hunk.rows.start].iter().all(|row| row.kind == RowKind::Context));
            let rows = &diff.rows[hunk.rows.clone()];
            added += rows.iter().filter(|row| row.kind == RowKind::Added).count();
            removed += rows.iter().filter(|row| row.kind == RowKind::Removed).count();
            let old: Vec<_> = rows.iter().filter_map(|row| row.old_line).collect();
            let new: Vec<_> = rows.iter().filter_map(|row| row.new_line).collect();
            prop_assert_eq!(u32::try_from(old.len()), Ok(hunk.old_lines));
            prop_assert_eq!(u32::try_from(new.len()), Ok(hunk.new_lines));
            prop_assert!(old.first().is_none_or(|line| *line == hunk.old_start));
            prop_assert!(new.first().is_none_or(|line| *line == hunk.new_start));
            at = hunk.rows.end;
        }
        prop_assert_eq!(at + diff.collapsed_after, diff.rows.len());
        prop_assert_eq!((added, removed), (diff.added, diff.removed));
    }

    #[test]
    fn emphasis_is_where_a_pair_differs(before in text(), after in text()) {
        let diff = compared(&before, &after);
        for (at, row) in diff.rows.iter().enumerate() {
            let Some(pair) = row.pair else {
                prop_assert!(row.emphasis.is_empty());
                continue;
            };
            let other = &diff.rows[pair];
            prop_assert_eq!(other.pair, Some(at));
            let plain = |row: &Row| {
                let mut text = row.text.to_string();
                for range in row.emphasis.iter().rev() {
                    prop_assert!(text.get(range.clone()).is_some_and(|part| !part.is_empty()));
                    text.replace_range(range.clone(), "");
                }
                Ok(text)
            };
            if !row.emphasis.is_empty() || !other.emphasis.is_empty() {
                prop_assert_eq!(plain(row)?, plain(other)?);
            }
        }
    }
}

#[test]
fn a_changed_word_is_emphasised_and_context_is_collapsed() {
    let lines: Vec<_> = (1..=20)
        .map(|line| format!("line {line} is here\n"))
        .collect();
    let before = lines.concat();
    let diff = compared(&before, &before.replace("line 10 is", "line 10 was"));
    assert_eq!(
        unified(&diff),
        [
            "@@ -7,7 +7,7 @@",
            " line 7 is here",
            " line 8 is here",
            " line 9 is here",
            "-line 10 [is] here",
            "+line 10 [was] here",
            " line 11 is here",
            " line 12 is here",
            " line 13 is here",
        ]
    );
    assert_eq!(diff.hunks[0].collapsed_before, 6);
    assert_eq!(diff.collapsed_after, 7);
}

#[test]
fn a_file_that_comes_or_goes_is_one_hunk() {
    let added = diff(&change(None, Some(b"a\nb\n")), None).unwrap();
    assert_eq!(added.kind, FileKind::Added);
    assert_eq!(unified(&added), ["@@ -0,0 +1,2 @@", "+a", "+b"]);
    let removed = diff(&change(Some(b"a\n"), None), None).unwrap();
    assert_eq!(removed.kind, FileKind::Removed);
    assert_eq!(unified(&removed), ["@@ -1,1 +0,0 @@", "-a"]);
    let empty = diff(&change(None, Some(b"")), None).unwrap();
    assert_eq!((empty.kind, empty.rows.len()), (FileKind::Added, 0));
}

#[test]
fn a_change_without_contents_is_refused() {
    let error = diff(&change(None, None), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the change of `a.txt` has contents neither before nor after"
    );
}

#[test]
fn line_endings_and_the_last_line_feed_are_changes() {
    let diff = compared("a\r\nb\n", "a\nb");
    assert_eq!(
        unified(&diff),
        ["@@ -1,2 +1,2 @@", "-a[<U+000D>]", "-b", "+a", "+b"]
    );
    let notes: Vec<_> = diff.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "after: no line feed at the end",
            "lines ending in CR LF: 1 before, 0 after"
        ]
    );
}

#[test]
fn a_mode_alone_is_a_change() {
    let mut change = change(Some(b"a\n"), Some(b"a\n"));
    assert_eq!(diff(&change, None).unwrap().kind, FileKind::Unchanged);
    change.mode = Some(0o755);
    let diff = diff(&change, None).unwrap();
    assert_eq!(diff.kind, FileKind::Mode);
    assert_eq!(diff.notes()[0].as_str(), "mode becomes 0755");
    assert_eq!((diff.hunks.len(), diff.collapsed_after), (0, 1));
}

#[test]
fn contents_that_are_not_text_are_described() {
    let diff = diff(&change(Some(b"\x89PNG\0\x1b"), Some(b"text\n")), None).unwrap();
    assert!(diff.contents_not_shown);
    assert_eq!(unified(&diff), ["@@ -0,0 +1,1 @@", "+text"]);
    let head = &diff.before.as_ref().unwrap().head;
    assert_eq!(head[0].as_str(), "00000000 89 50 4e 47 00 1b  |.PNG..|");
    assert!(
        diff.notes()[0]
            .as_str()
            .starts_with("before: 6 bytes that are not text, sha256:")
    );
}

#[test]
fn very_long_lines_are_emphasised_from_both_ends() {
    let middle = "x y ".repeat(2_000);
    let diff = compared(
        &format!("{middle}a {middle}\n"),
        &format!("{middle}b {middle}\n"),
    );
    let row = &diff.rows[0];
    assert_eq!(row.emphasis.len(), 1);
    assert_eq!(row.text.as_str().get(row.emphasis[0].clone()), Some("a"));
}

/// Writes a long file of few different lines.
fn numbers(modulus: u32) -> String {
    let lines: Vec<_> = (0..100_000)
        .map(|line| format!("{}\n", line % modulus))
        .collect();
    lines.concat()
}

#[test]
fn the_largest_file_is_compared_before_its_deadline_or_coarsely() {
    let before = numbers(7);
    let after = numbers(5);
    #[expect(clippy::disallowed_methods, reason = "a deadline is an instant")]
    let deadline = Instant::now() + std::time::Duration::from_millis(200);
    let change = change(Some(before.as_bytes()), Some(after.as_bytes()));
    let diff = diff(&change, Some(deadline)).unwrap();
    assert!(deadline.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(side(&diff, RowKind::Added), before.as_bytes());
    assert_eq!(side(&diff, RowKind::Removed), after.as_bytes());
}
