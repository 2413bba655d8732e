//! `run`: asks for a command and runs exactly what was approved (R9).
//!
//! Everything the command depends on is taken first ([`capture`]) and written into the action.
//! After an approval by people, and always once more after the one use was taken, it is looked at again and
//! the action is written again: only when it is byte for byte the one that was asked for, and the
//! document that was signed holds it, does the program start, from the very descriptors that were
//! looked at. On every other path nothing runs.
//!
//! A difference that is seen before the redemption takes the request back; one that is seen after
//! it is reported as `not-run`.

mod capture;
mod execute;
pub(crate) mod input;
pub(crate) mod outcome;
mod see_through;
mod tee;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use countersign_shared::action::Contents;
use countersign_shared::limits::Limits;
use countersign_shared::text::Printable;

use crate::asked::{self, Asked};
use crate::cli::RunOptions;
use crate::client::{Asking, AtOnce};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::session::Session;
use crate::signals::Signals;

use capture::Capture;
use input::InputError;
use outcome::{Ending, NotRun};

/// How long standard input may be silent before we say what we are waiting for.
const INPUT_NOTICE: Duration = Duration::from_secs(2);

/// Asks for a command, runs it if it is approved, and returns the exit code.
///
/// # Errors
/// Never with something run: then its exit code is the result.
pub(crate) async fn perform(
    home: Option<&Path>,
    options: Box<RunOptions>,
    status: Option<OwnedFd>,
) -> Result<u8, Failure> {
    let ending = attempt(home, &options).await;
    if let Some(status) = status {
        outcome::write_status(status, &ending);
    }
    match ending {
        Ending::Ran { code, .. } => Ok(code),
        Ending::NotRun(not_run) => {
            output::failure(&not_run.failure, false);
            Ok(not_run.code)
        }
    }
}

/// Does all of it; each early return is a path on which nothing ran.
async fn attempt(home: Option<&Path>, options: &RunOptions) -> Ending {
    let limits = Limits::default();
    let input = match read_input(&limits).await {
        Ok(input) => input,
        Err(not_run) => return not_run.into(),
    };
    // What fails here is told after what is wrong with the command.
    let session = Session::open_connected(home).await;
    let taken = Capture::take(options, std::env::vars_os(), input)
        .and_then(|capture| Ok((capture.action(&limits)?, capture)));
    let (action, capture) = match taken {
        Ok(taken) => taken,
        Err(error) => return NotRun::before_asking(&error).into(),
    };
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return NotRun::of(Failure::of(Exit::Failure, "signals", &error)).into(),
    };
    let mut session = match session {
        Ok(session) => session,
        Err(failure) => return NotRun::of(failure).into(),
    };
    let asking = match crate::request::token() {
        Ok(submission) => Asking {
            action,
            submission,
            ask_key: String::new(),
            attached: true,
            at_once: AtOnce::Own,
        },
        Err(failure) => return NotRun::of(failure).into(),
    };
    if let Some(signal) = signals.arrived().await {
        return NotRun::of(asked::interrupted(signal)).into();
    }
    let unwanted = async { asked::interrupted(signals.next().await) };
    match Asked::submit_unless(&mut session, asking, unwanted).await {
        Ok(asked) => {
            see_through::see_through(asked, &mut session, &capture, &limits, &mut signals).await
        }
        Err(failure) => NotRun::of(failure).into(),
    }
}

/// Reads standard input to its end, and says so when that takes long.
pub(crate) async fn read_input(limits: &Limits) -> Result<Option<Contents>, NotRun> {
    let limit = limits.action_bytes;
    let before = |error: InputError| NotRun::before_asking(&error.into());
    if !input::is_there().map_err(before)? {
        return Ok(None);
    }
    let mut reading = tokio::task::spawn_blocking(move || input::read(limit));
    let read = if let Ok(read) = tokio::time::timeout(INPUT_NOTICE, &mut reading).await {
        read
    } else {
        output::message(&Printable::ours(
            "reading standard input to its end; if the command needs none, use </dev/null",
        ));
        reading.await
    };
    match read {
        Ok(read) => read.map(Some).map_err(before),
        Err(error) => Err(NotRun::of(Failure::of(Exit::Failure, "internal", &error))),
    }
}
