//! A judge of everything that a program of ours writes.
//!
//! Characters come from an allow-list: what the encoder draws as itself, and the chrome's own
//! symbols. On a terminal, a fixed set of sequences is allowed beside it, and nothing else is.

use countersign_shared::text::{Printable, Untrusted};
use vte::{Params, Parser, Perform};

/// The chrome's symbols, see the console's theme.
const CHROME: &str = "│✓↪→▲●◐×·─┃=";

/// The private modes that the console sets and takes back.
const MODES: [u16; 6] = [7, 25, 1004, 1049, 2004, 2026];

/// What a terminal was told, as far as it is allowed.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// What is not allowed, in words.
    pub(crate) offences: Vec<String>,
    /// How often the bell rang.
    pub(crate) bells: usize,
    /// The private modes that are set in the end.
    pub(crate) modes: Vec<u16>,
    /// How many characters were drawn.
    pub(crate) drawn: usize,
    last: Option<char>,
}

impl Terminal {
    /// Reads everything that was written to a terminal.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        // As terminals are found.
        let mut terminal = Self {
            modes: vec![7, 25],
            ..Self::default()
        };
        Parser::new().advance(&mut terminal, bytes);
        if std::str::from_utf8(bytes).is_err() {
            terminal
                .offences
                .push("bytes that are not UTF-8".to_owned());
        }
        terminal
    }
}

impl Perform for Terminal {
    fn print(&mut self, c: char) {
        self.drawn += 1;
        if !may_stand(self.last, c) {
            self.offences.push(format!("{c:?} behind {:?}", self.last));
        }
        self.last = Some(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x07 => self.bells += 1,
            _ => self.offences.push(format!("control character {byte:#04x}")),
        }
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.offences
            .push(format!("device control string {action:?}"));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.offences
            .push(format!("operating system command {params:?}"));
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _: bool, action: char) {
        // What is drawn elsewhere joins nothing here.
        self.last = None;
        match (intermediates, action) {
            ([], 'm' | 'H' | 'J' | 'K') => {}
            ([b'?'], 'h' | 'l') => {
                for mode in params.iter().flatten() {
                    if !MODES.contains(mode) {
                        self.offences.push(format!("mode {mode}"));
                    }
                    self.modes.retain(|other| other != mode);
                    if action == 'h' {
                        self.modes.push(*mode);
                    }
                }
            }
            _ => self.offences.push(format!(
                "control sequence {intermediates:?} {params:?} {action:?}"
            )),
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        self.offences
            .push(format!("escape sequence {intermediates:?} {byte:#04x}"));
    }
}

/// Says what in a text for a pipe is not allowed: anything but lines of printable characters.
pub(crate) fn offences_of_lines(text: &str) -> Vec<String> {
    let mut last = None;
    let mut offences = Vec::new();
    for c in text.chars() {
        if c != '\n' && !may_stand(last, c) {
            offences.push(format!("{c:?} behind {last:?}"));
        }
        last = (c != '\n').then_some(c);
    }
    offences
}

/// Tells whether one of the encodings draws `c` as itself behind `last`.
fn may_stand(last: Option<char>, c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    if CHROME.contains(c) || is_drawn(&Printable::exact(&Untrusted::new(c.to_string())), c) {
        return true;
    }
    // The readable view of claims keeps letters that run right to left.
    if Printable::prose(&Untrusted::new(c.to_string()))
        .iter()
        .any(|row| is_drawn(row, c))
    {
        return true;
    }
    // A mark, a joiner or a selector needs something to stand on.
    let Some(last) = last.filter(|last| *last != ' ') else {
        return false;
    };
    match c {
        '\u{fe0f}' | '\u{200d}' | '\u{1f3fb}'..='\u{1f3ff}' => !last.is_ascii(),
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        _ => {
            is_drawn(&Printable::exact(&Untrusted::new(format!("a{c}"))), c)
                || is_drawn(
                    &Printable::exact(&Untrusted::new(format!("\u{1100}{c}"))),
                    c,
                )
                || is_drawn(
                    &Printable::exact(&Untrusted::new(format!("\u{1100}\u{1161}{c}"))),
                    c,
                )
        }
    }
}

fn is_drawn(text: &Printable, c: char) -> bool {
    text.as_str().contains(c)
}

#[test]
fn the_judge_knows_what_a_terminal_obeys() {
    for bytes in [
        "\u{1b}]0;x\u{7}",
        "\u{1b}P1q\u{1b}\\",
        "\u{1b}c",
        "\u{1b}[6n",
        "\u{1b}[?1000h",
        "\u{1b}[2;3r",
        "a\tb",
        "\r",
        "\u{9b}2J",
        "\u{202e}",
        "\u{200b}",
        "\u{e0041}",
        "\u{ad}",
        " \u{301}",
        "\u{fffd}",
        "a\u{200d}",
        "\u{3164}",
        "\u{a0}",
    ] {
        assert!(
            !Terminal::read(bytes.as_bytes()).offences.is_empty(),
            "{bytes:?}"
        );
        assert!(!offences_of_lines(bytes).is_empty(), "{bytes:?}");
    }
    let fine = "\u{1b}[?1049h\u{1b}[1;31mcafé\u{1b}[0m \u{1b}[3;4H漢字 │ e\u{301}\u{7}\u{1b}[?25h";
    let terminal = Terminal::read(fine.as_bytes());
    assert_eq!(
        (terminal.offences, terminal.bells),
        (Vec::<String>::new(), 1)
    );
    assert_eq!(terminal.modes, [7, 1049, 25]);
    assert!(!Terminal::read(b"\xff").offences.is_empty());
}
