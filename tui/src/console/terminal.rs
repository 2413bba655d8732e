//! The terminal: taken over on the way in, given back on every way out.
//!
//! Raw mode, the alternate screen, bracketed paste and focus reports; never the mouse, so that no
//! click and no wheel can do anything. Lines do not wrap: where a terminal takes a character for wider
//! than we do, the surplus must not land on the row below, before its gutter. A guard gives everything back when dropped, and a panic hook
//! does so before the message is printed. Signals are the runner's.

use std::io::{self, BufWriter, Stdout, Write as _};

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
};
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::ring::Ring;

/// What a frame is collected in before it is written at once.
const BUFFER: usize = 64 << 10;

/// A terminal whose writes are collected.
pub type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Holds the terminal; gives it back when dropped.
#[derive(Debug)]
pub struct Guard {
    _private: (),
}

impl Guard {
    /// Takes the terminal over.
    pub fn enter() -> io::Result<Self> {
        // From here on, whatever fails is undone.
        let guard = Self { _private: () };
        enable_raw_mode()?;
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            DisableLineWrap,
            cursor::Hide
        )?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes a screen for a terminal that a [`Guard`] holds.
pub fn screen() -> io::Result<Screen> {
    let writer = BufWriter::with_capacity(BUFFER, io::stdout());
    Terminal::new(CrosstermBackend::new(writer))
}

/// Has every panic give the terminal back before its message is printed.
pub fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        before(panic);
    }));
}

/// Rings. The only bytes that are not part of a frame; constants of ours.
pub fn ring(ring: Ring) -> io::Result<()> {
    let in_tmux = std::env::var_os("TMUX").is_some_and(|value| !value.is_empty());
    let mut out = io::stdout();
    out.write_all(&ring.bytes(in_tmux))?;
    out.flush()
}

/// Gives everything back. Each step is tried whatever became of the others.
fn give_back() {
    let mut out = io::stdout();
    let _shown = execute!(
        out,
        DisableFocusChange,
        DisableBracketedPaste,
        EnableLineWrap
    );
    let _left = execute!(out, LeaveAlternateScreen, cursor::Show);
    let _cooked = disable_raw_mode();
}
