//! How the console calls somebody who looks elsewhere: the bell, or a notification that the terminal
//! itself shows. What is written is a constant of ours; nothing of a request is in it.

use serde::Deserialize;

/// What a terminal shows.
const TEXT: &str = "a request waits for a decision";

/// How to ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    /// Not at all.
    Off,
    /// BEL.
    #[default]
    Bell,
    /// OSC 9, as of iTerm2; also known to `WezTerm`, foot, ghostty and Windows Terminal.
    Osc9,
    /// OSC 777, as of urxvt; also known to foot and ghostty.
    Osc777,
    /// OSC 99, as of kitty.
    Osc99,
}

impl Ring {
    /// Returns what is written to the terminal. Inside tmux a notification is wrapped so that it
    /// reaches the terminal around it, which tmux lets through with `allow-passthrough on`.
    pub fn bytes(self, in_tmux: bool) -> Vec<u8> {
        let sequence = match self {
            Self::Off => return Vec::new(),
            // tmux rings by itself, and marks the window.
            Self::Bell => return vec![0x07],
            Self::Osc9 => format!("\x1b]9;Countersign: {TEXT}\x07"),
            Self::Osc777 => format!("\x1b]777;notify;Countersign;{TEXT}\x07"),
            Self::Osc99 => format!("\x1b]99;i=countersign;Countersign: {TEXT}\x1b\\"),
        };
        if in_tmux {
            format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")).into_bytes()
        } else {
            sequence.into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_one_sequence_that_ends() {
        assert_eq!(Ring::Off.bytes(true), b"");
        assert_eq!(Ring::Bell.bytes(true), b"\x07");
        let text = "a request waits for a decision";
        for (ring, plain) in [
            (Ring::Osc9, format!("\x1b]9;Countersign: {text}\x07")),
            (
                Ring::Osc777,
                format!("\x1b]777;notify;Countersign;{text}\x07"),
            ),
            (
                Ring::Osc99,
                format!("\x1b]99;i=countersign;Countersign: {text}\x1b\\"),
            ),
        ] {
            assert_eq!(ring.bytes(false), plain.as_bytes(), "{ring:?}");
        }
    }

    #[test]
    fn inside_tmux_every_escape_is_doubled_within_one_wrapping() {
        assert_eq!(
            Ring::Osc99.bytes(true),
            b"\x1bPtmux;\x1b\x1b]99;i=countersign;Countersign: a request waits for a decision\x1b\x1b\\\x1b\\"
        );
    }
}
