//! Asking for a line on the controlling terminal.
//!
//! Standard input is never read, so that nothing piped in can answer.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};

use countersign_shared::text::Printable;

/// The longest answer, in bytes.
const LONGEST: usize = 4_096;

/// Asks on `/dev/tty` and returns the line without its end.
///
/// # Errors
///
/// When there is no terminal, or it was closed.
pub(super) fn line(prompt: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    write!(terminal, "{}", Printable::from_ours(prompt))?;
    terminal.flush()?;
    let mut answer = String::new();
    let read = io::Read::take(BufReader::new(terminal), LONGEST as u64).read_line(&mut answer)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}
