use proptest::prelude::*;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::encode::{Layout, encode, encode_each};
use super::*;

fn exact(bytes: &[u8]) -> String {
    Printable::exact(&Untrusted::from_bytes(bytes.to_vec())).to_string()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    Printable::exact_lines(&Untrusted::from_bytes(bytes.to_vec()))
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn prose(text: &str) -> Vec<String> {
    Printable::prose(&Untrusted::new(text))
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Characters that were used in attacks, beside those that people write.
fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        4 => prop::char::range(' ', '~'),
        2 => Just(' '),
        2 => prop::sample::select("<<<<U+0x202E >xX".chars().collect::<Vec<_>>()),
        1 => prop::char::range('\0', '\u{a0}'),
        1 => Just('\n'),
        1 => prop::char::range('\u{300}', '\u{36f}'),
        1 => prop::char::range('\u{590}', '\u{8ff}'),
        1 => prop::char::range('\u{1100}', '\u{11ff}'),
        1 => prop::char::range('\u{2000}', '\u{206f}'),
        1 => prop::char::range('\u{fe00}', '\u{fe0f}'),
        1 => prop::char::range('\u{1f3fb}', '\u{1f468}'),
        1 => prop::char::range('\u{e0000}', '\u{e01ff}'),
        1 => any::<char>(),
    ]
}

/// Bytes that are mostly text, with runs, and now and then not UTF-8.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => (character(), 1..3_usize).prop_map(|(c, count)| c.to_string().repeat(count).into_bytes()),
        1 => (character(), 3..80_usize).prop_map(|(c, count)| c.to_string().repeat(count).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
        1 => prop::sample::select(vec!["<U+202E>", "<0xFF>", "<U+000A x400>", "<masked ", "<U+", "<0x", "<"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// The independent statement of what may reach a screen.
fn assert_drawable(text: &str) {
    let mut marks = 0;
    for c in text.chars() {
        let group = c.general_category_group();
        let class = unicode_bidi::bidi_class(c);
        assert!(
            c == ' '
                || matches!(
                    group,
                    GeneralCategoryGroup::Letter
                        | GeneralCategoryGroup::Mark
                        | GeneralCategoryGroup::Number
                        | GeneralCategoryGroup::Punctuation
                        | GeneralCategoryGroup::Symbol
                ),
            "U+{:04X} in {text}",
            u32::from(c)
        );
        assert!(
            matches!(
                class,
                unicode_bidi::BidiClass::L
                    | unicode_bidi::BidiClass::EN
                    | unicode_bidi::BidiClass::ES
                    | unicode_bidi::BidiClass::ET
                    | unicode_bidi::BidiClass::CS
                    | unicode_bidi::BidiClass::NSM
                    | unicode_bidi::BidiClass::ON
                    | unicode_bidi::BidiClass::WS
            ),
            "U+{:04X} in {text}",
            u32::from(c)
        );
        marks = if group == GeneralCategoryGroup::Mark {
            marks + 1
        } else {
            0
        };
        assert!(marks <= 2, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_come_back_from_their_exact_encoding(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(decode(&exact(&bytes)), Ok(bytes));
    }

    #[test]
    fn hostile_text_comes_back_from_its_exact_encoding(bytes in hostile()) {
        let text = Untrusted::from_bytes(bytes.clone());
        prop_assert_eq!(decode(&exact(&bytes)), Ok(bytes.clone()));
        prop_assert_eq!(decode(Printable::exact_line(&text).as_str()), Ok(bytes.clone()));
        let word = Printable::exact_word(&text);
        prop_assert!(!word.as_str().contains(' '));
        prop_assert_eq!(read_exact(word.as_str()), Ok(bytes));
    }

    #[test]
    fn hostile_text_comes_back_from_its_rows(bytes in hostile()) {
        let rows = lines(&bytes);
        prop_assert_eq!(decode_lines(rows.iter().map(String::as_str)), Ok(bytes));
    }

    #[test]
    fn nothing_that_hides_or_acts_is_left(bytes in hostile()) {
        let text = Untrusted::from_bytes(bytes);
        assert_drawable(Printable::exact(&text).as_str());
        assert_drawable(Printable::exact_line(&text).as_str());
        assert_drawable(Printable::exact_word(&text).as_str());
        assert_drawable(Printable::from_ours(String::from_utf8_lossy(text.raw())).as_str());
        for row in Printable::exact_lines(&text) {
            assert_drawable(row.as_str());
        }
        for row in Findings::of(&text).summary() {
            assert_drawable(row.as_str());
        }
        assert_drawable(&format!("{text:?}"));
    }

    #[test]
    fn segments_are_the_text_and_only_markers_are_marked(bytes in hostile()) {
        let text = Printable::exact(&Untrusted::from_bytes(bytes));
        let mut whole = String::new();
        for part in text.segments() {
            whole.push_str(part.text);
            match part.kind {
                SegmentKind::Plain => prop_assert!(!part.text.contains("<U+") && !part.text.contains("<0x")),
                SegmentKind::Marker => {
                    prop_assert!(part.text.starts_with("<U+") || part.text.starts_with("<0x"));
                    prop_assert!(part.text.ends_with('>') && part.text.is_ascii());
                }
            }
        }
        prop_assert_eq!(whole, text.as_str());
    }

    #[test]
    fn a_text_has_one_spelling(text in "(<(U[+]|0x)[0-9A-F]{1,6}( x[0-9]{1,3})?>|[a-z<> ]){0,12}") {
        if let Ok(bytes) = decode(&text) {
            let source = Untrusted::from_bytes(bytes);
            prop_assert!(
                Printable::exact(&source).as_str() == text || Printable::exact_line(&source).as_str() == text
            );
        }
    }

    #[test]
    fn prose_holds_nothing_that_acts_on_a_terminal(bytes in hostile()) {
        for row in Printable::prose(&Untrusted::from_bytes(bytes)) {
            let tagged = row.as_str().starts_with("<RTL> ");
            let mut zero = 0;
            for c in row.as_str().chars() {
                prop_assert!(!c.is_control() && !class::is_bidi_control(c) && !class::is_tag(c));
                prop_assert!(tagged || !class::is_right_to_left(c));
                zero = if unicode_width::UnicodeWidthChar::width(c) == Some(0) { zero + 1 } else { 0 };
                prop_assert!(zero <= 2, "{}", row);
            }
        }
    }
}

#[test]
fn each_class_has_the_spelling_of_the_table() {
    for (bytes, spelling) in [
        (&b"rm -rf /\rls"[..], "rm -rf /<U+000D>ls"),
        (b"a\tb\nc", "a<U+0009>b<U+000A>c"),
        (b"\x1b]0;x\x07", "<U+001B>]0;x<U+0007>"),
        ("\u{9b}".as_bytes(), "<U+009B>"),
        (b"\xff\xfe\xff", "<0xFF><0xFE><0xFF>"),
        (b"\xff\xff\xff\xff", "<0xFF x4>"),
        (
            "\u{202e}\u{202e}\u{202e}".as_bytes(),
            "<U+202E><U+202E><U+202E>",
        ),
        ("\u{202e}\u{202e}\u{202e}\u{202e}".as_bytes(), "<U+202E x4>"),
        (b"a        b", "a        b"),
        (b"a         b", "a<U+0020 x9>b"),
        (b"a ", "a<U+0020>"),
        (b"a < b <= c <U+", "a < b <= c <U+003C>U+"),
        (b"<0x<U<0", "<U+003C>0x<U<0"),
        (b"<masked x><masked>", "<U+003C>masked x><masked>"),
        ("שלום".as_bytes(), "<U+05E9><U+05DC><U+05D5><U+05DD>"),
        (
            "e\u{301}\u{301}\u{301}x".as_bytes(),
            "e\u{301}\u{301}<U+0301>x",
        ),
        ("\u{301}".as_bytes(), "<U+0301>"),
        ("=\u{338}".as_bytes(), "=<U+0338>"),
        (
            "\u{1112}\u{1161}\u{11ab}\u{11ab}a\u{1161}".as_bytes(),
            "\u{1112}\u{1161}\u{11ab}<U+11AB>a<U+1161>",
        ),
        ("👍\u{1f3fd}❤\u{fe0f}".as_bytes(), "👍<U+1F3FD>❤<U+FE0F>"),
        ("x\u{e0041}".as_bytes(), "x<U+E0041>"),
        ("café 漢字 한국어".as_bytes(), "café 漢字 한국어"),
    ] {
        assert_eq!(exact(bytes), spelling);
    }
}

#[test]
fn rows_are_split_at_line_feeds_and_long_runs_fold() {
    assert_eq!(lines(b""), [""]);
    assert_eq!(lines(b"a"), ["a"]);
    assert_eq!(lines(b"a\n"), ["a", ""]);
    assert_eq!(lines(b"a\n\n\nb"), ["a", "", "", "b"]);
    assert_eq!(
        lines(b"a\n\n\n\nb\r\n"),
        ["a", "<U+000A x4>", "b<U+000D>", ""]
    );
    assert_eq!(lines(b"\n\n\n\n\n"), ["<U+000A x5>"]);
    assert_eq!(lines(b"            x"), ["            x"]);
    let rows = Printable::exact_rows(&Untrusted::new("a\nb\n\n\n\nc\nd"));
    let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 2, 3, 6, 7]);
    let rows = Printable::exact_rows(&Untrusted::new("\n\n\n\nc"));
    let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 5]);
}

#[test]
fn a_spelling_that_the_encoder_does_not_use_is_refused() {
    for text in [
        "<U+0041>",
        "<U+41>",
        "<U+202e>",
        "<U+0202E>",
        "<U+202E x1>",
        "<U+202E x3>",
        "<U+202E x04>",
        "<0xC3><0xA9>",
        "<0xff>",
        "<U+>",
        "<U+110000>",
        "<U+D800>",
        "<U+202E",
        "<0x",
        "\t",
        "a ",
        "<U+202E><U+202E><U+202E><U+202E>",
        "<U+202E x99999999999999999999>",
        "<U+202E x4000000000>",
    ] {
        assert!(decode(text).is_err(), "{text}");
    }
}

#[test]
fn prose_reads_as_it_was_written() {
    assert_eq!(prose("a\tb\n\nc"), ["a    b", "", "c"]);
    assert_eq!(prose("ok שלום\nfine"), ["<RTL> ok שלום", "fine"]);
    assert_eq!(prose("👨‍👩‍👧 ❤️ 👍🏽"), ["👨‍👩‍👧 ❤️ 👍🏽"]);
    assert_eq!(
        prose("a\u{200d}b\u{fe0f}\u{1f3fd}"),
        ["a<U+200D>b<U+FE0F><U+1F3FD>"]
    );
    assert_eq!(
        prose("<RTL> x\u{202e}\u{1b}"),
        ["<U+003C>RTL> x<U+202E><U+001B>"]
    );
    assert_eq!(
        prose("a\u{1f468}\u{fe0f}\u{fe0f}"),
        ["a\u{1f468}\u{fe0f}<U+FE0F>"]
    );
}

#[test]
fn a_mebibyte_of_anything_is_encoded_in_one_pass() {
    const SIZE: usize = 1 << 20;
    for piece in [
        "a",
        " ",
        "\0",
        "\u{202e}",
        "<U+",
        "\u{301}",
        "e\u{301}\u{301}\u{301}",
        "\0\u{1}",
        "\n",
        "\na",
        "漢",
    ] {
        let bytes = piece.repeat(SIZE / piece.len()).into_bytes();
        let text = Untrusted::from_bytes(bytes.clone());
        assert_eq!(
            decode(Printable::exact(&text).as_str()).as_ref(),
            Ok(&bytes)
        );
        let rows = Printable::exact_lines(&text);
        assert_eq!(decode_lines(rows.iter().map(Printable::as_str)), Ok(bytes));
        assert!(!Printable::prose(&text).is_empty());
        assert!(Findings::of(&text).longest_line() <= SIZE);
    }
}

proptest! {
    #[test]
    fn plain_ascii_is_encoded_and_searched_as_any_other_text(
        text in "[ -~]{0,80}|[a-z<U+ ]{0,40}|( {0,80}[a-z]){0,3}",
    ) {
        for layout in [Layout::Field, Layout::Line, Layout::Word, Layout::Ours] {
            let (fast, each) = (encode(text.as_bytes(), layout), encode_each(text.as_bytes(), layout));
            prop_assert_eq!(fast, each);
        }
        let found = Findings::of(&Untrusted::new(text.as_str()));
        prop_assert_eq!(found, findings::each(text.as_bytes()));
        let quote = Printable::ours("\"");
        let exact = Printable::exact(&Untrusted::new(text.as_str()));
        prop_assert_eq!(Printable::exact_quoted(&text), Printable::concat([&quote, &exact, &quote]));
    }
}
