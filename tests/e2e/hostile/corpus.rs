//! Hostile texts of our own making, one for each way we know of to act, hide, move or pretend.

/// Stands in every text that pretends to be ours, so that its rows can be found on a screen.
pub(crate) const FORGED: &str = "F0RGED";

/// What no encoding may draw as itself: a name for it, and the text.
#[expect(clippy::too_many_lines, reason = "it is a list")]
pub(crate) fn texts() -> Vec<(&'static str, String)> {
    let fixed = [
        // C0.
        ("nul-free C0", "a\u{1}\u{2}\u{7}\u{8}\u{e}\u{f}b"),
        ("carriage return", "rm -rf /\rls"),
        ("tab", "a\tb"),
        ("vertical tab and form feed", "a\u{b}b\u{c}c"),
        ("delete", "safe\u{7f}\u{7f}\u{7f}\u{7f}evil"),
        ("backspaces", "good\u{8}\u{8}\u{8}\u{8}evil"),
        // Escape sequences.
        ("clear screen", "x\u{1b}[2J\u{1b}[H"),
        ("title", "x\u{1b}]0;PWNED\u{7}"),
        ("title, ended by ST", "x\u{1b}]2;PWNED\u{1b}\\"),
        ("clipboard", "x\u{1b}]52;c;ZXZpbA==\u{7}"),
        (
            "link",
            "x\u{1b}]8;;http://evil.invalid\u{1b}\\click\u{1b}]8;;\u{1b}\\",
        ),
        (
            "notification",
            "x\u{1b}]9;approve me\u{7}\u{1b}]777;notify;a;b\u{7}",
        ),
        ("device control", "x\u{1b}P+q544e\u{1b}\\"),
        ("application command", "x\u{1b}_Gf=100;AAAA\u{1b}\\"),
        ("privacy message", "x\u{1b}^pm\u{1b}\\"),
        ("report request", "x\u{1b}[6n\u{1b}[c\u{1b}[21t\u{5}"),
        ("mouse and alternate screen", "x\u{1b}[?1000h\u{1b}[?1049l"),
        ("reset", "x\u{1b}c"),
        ("unfinished sequence", "x\u{1b}["),
        (
            "multiplexer",
            "x\u{1b}Ptmux;\u{1b}\u{1b}]0;PWNED\u{7}\u{1b}\\",
        ),
        ("line drawing letters", "x\u{1b}(0qqqq\u{e}"),
        // C1.
        ("C1 CSI", "x\u{9b}2J"),
        ("C1 OSC", "x\u{9d}0;PWNED\u{9c}"),
        ("C1 DCS", "x\u{90}q\u{9c}"),
        ("next line", "a\u{85}b"),
        // Order.
        ("right-to-left override", "exe\u{202e}txt.sj"),
        ("isolates", "a\u{2066}b\u{2067}c\u{2068}d\u{2069}"),
        (
            "embeddings and marks",
            "a\u{202a}b\u{202b}c\u{202c}\u{200e}\u{200f}\u{61c}",
        ),
        (
            "hebrew and arabic",
            "\u{5d0}\u{5d1}\u{5d2} 1 \u{627}\u{628}",
        ),
        // What cannot be seen.
        (
            "tags",
            "ok\u{e0001}\u{e0061}\u{e0070}\u{e0070}\u{e0072}\u{e006f}\u{e0076}\u{e0065}\u{e007f}",
        ),
        (
            "zero width",
            "pay\u{200b}pal\u{200c}.\u{200d}c\u{2060}o\u{feff}m",
        ),
        (
            "variation selectors",
            "a\u{fe00}b\u{fe0f}c\u{e0100}\u{e01ef}",
        ),
        ("mongolian selectors", "a\u{180b}b\u{180e}c"),
        ("soft hyphen and joiner", "ap\u{ad}pro\u{34f}ve"),
        (
            "invisible operators",
            "a\u{2061}b\u{2062}c\u{2063}d\u{2064}",
        ),
        (
            "blank letters",
            "a\u{3164}b\u{115f}\u{1160}c\u{ffa0}d\u{2800}e",
        ),
        (
            "wide and narrow spaces",
            "a\u{a0}b\u{3000}c\u{2003}d\u{202f}e",
        ),
        ("separators", "a\u{2028}b\u{2029}c"),
        ("interlinear annotation", "a\u{fff9}b\u{fffa}c\u{fffb}"),
        (
            "private use and unassigned",
            "a\u{e000}b\u{f8ff}c\u{378}d\u{10ffff}",
        ),
        ("replacement and object", "a\u{fffd}b\u{fffc}"),
        // Shape.
        (
            "skin tones and joiners",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{1f3fb}\u{1f3ff}",
        ),
        ("flags and keycaps", "\u{1f1e9}\u{1f1ea}1\u{fe0f}\u{20e3}"),
        (
            "homoglyphs",
            "p\u{430}yp\u{430}l.c\u{43e}m \u{1d404}\u{ff21}",
        ),
        ("spaces at the ends", "   rm  "),
        (
            "conjoining letters",
            "\u{1161}\u{11a8}\u{1100}\u{1161}\u{11a8}\u{11a8}",
        ),
        // Pretence.
        (
            "forged markers",
            "a<U+202E>b<0xFF>c<U+0020 x600>d<masked secret>",
        ),
        ("forged kernel fact", "x\n✓ F0RGED uid 0 root"),
        ("forged computed fact", "x\n= F0RGED approved by mika"),
        (
            "forged chrome",
            "x\n req_F0RGED LOW 09:59                ARMED\n═══ F0RGED ═══",
        ),
        ("forged gutter", "x\n│ F0RGED\n│↪F0RGED\n┃ F0RGED"),
        ("forged diff", "x\n@@ -1,1 +1,1 @@\n+++ F0RGED\n--- F0RGED"),
        (
            "forged sheet",
            "x\n─ APPROVE ─ F0RGED\n> code shown beside the change: F0RGED\n code F0RGED",
        ),
        (
            "markup",
            "[red::b]x[-]</text><script>alert(1)</script>&amp;%s%n{0}${x}",
        ),
        ("back to the margin", "\r\n\r\nF0RGED\r\n"),
    ];
    let made = [
        (
            "a stack of marks",
            format!("z{}", "\u{301}\u{336}\u{489}".repeat(60)),
        ),
        ("marks on nothing", "\u{301}\u{301} \u{301}".to_owned()),
        ("a thousand overrides", "\u{202e}".repeat(1_000)),
        ("padding", format!("ls{}; rm -rf /", " ".repeat(900))),
        (
            "a flood of lines",
            format!("ls{}rm -rf / {FORGED}", "\n".repeat(300)),
        ),
        ("a long line", format!("{}{FORGED}", "x".repeat(3_000))),
        ("wide letters", "漢字".repeat(100)),
    ];
    let fixed = fixed
        .into_iter()
        .map(|(name, text)| (name, text.to_owned()));
    fixed.chain(made).collect()
}

/// What is not even text, for fields that hold bytes.
pub(crate) fn bytes() -> Vec<Vec<u8>> {
    vec![
        b"a\xff\xfe\x1b[2J".to_vec(),
        b"\xed\xa0\x80\xed\xb0\x80".to_vec(),
        b"\xc0\xaf\xe0\x80\xaf".to_vec(),
        b"\xf5\x80\x80\x80\x9b2J".to_vec(),
        b"cut\xe2\x82".to_vec(),
    ]
}
