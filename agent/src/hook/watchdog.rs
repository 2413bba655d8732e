//! Ends a hook at its limit, whatever else hangs.
//!
//! A client that is not answered in its own time makes the call. What waits in an orderly way ends
//! before; this is for what does not: a file system that does not answer, work without end, a reader
//! of our errors that has stopped reading. It runs on a thread of its own, opens nothing and waits for
//! nobody. A thread that the kernel itself does not let go of is beyond it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::output;

use super::{FAILED, gate};

/// How long an answer may take to be written that was begun before the limit.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How long the reason may take to be written. Without one it is a "no" as well.
const REASON: Duration = Duration::from_millis(200);

/// Who has the last word: nobody yet, the answer, or the watchdog.
static LAST: AtomicU8 = AtomicU8::new(OPEN);
const OPEN: u8 = 0;
const ANSWER: u8 = 1;
const LATE: u8 = 2;

/// Begins to watch: the process ends after `limit` with exit code 2 and nothing on stdout, unless it has
/// ended before.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn start(limit: Duration) -> Result<(), Failure> {
    let watch = move || {
        thread::sleep(limit);
        if LAST.swap(LATE, Ordering::SeqCst) == ANSWER {
            thread::sleep(LAST_WORD);
        }
        // The reader of our errors may be what hangs.
        let said = thread::Builder::new().spawn(|| output::failure(&gate::too_slow(), false));
        if said.is_ok() {
            thread::sleep(REASON);
        }
        std::process::exit(i32::from(FAILED));
    };
    match thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(watch)
    {
        // It ends with the process.
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::of(
            crate::exit::Exit::Failure,
            "no-watchdog",
            &error,
        )),
    }
}

/// Takes the last word for an answer. Without it nothing may be written to stdout any more.
///
/// # Errors
/// When it is too late for one.
pub(super) fn last_word() -> Result<(), Failure> {
    match LAST.compare_exchange(OPEN, ANSWER, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) | Err(ANSWER) => Ok(()),
        Err(_) => Err(gate::too_slow()),
    }
}
