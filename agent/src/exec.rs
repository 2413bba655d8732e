//! `exec`: has the daemon run a command, with secrets that never come to this side.
//!
//! The daemon says what the profile would run; the action is put together from that and what was asked
//! for; people sign it; and then the daemon looks again and runs it. This side passes input, signals
//! and output on, and holds nothing that the command needs. When it goes away, the run ends.

mod action;
mod stream;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use countersign_shared::action::Contents;
use countersign_shared::limits::Limits;

use crate::asked::{self, Answer, Asked};
use crate::cli::ExecOptions;
use crate::client::{Asking, AtOnce, Describe};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::run::outcome::{self, Ending, NotRun};
use crate::run::read_input;
use crate::session::Session;
use crate::signals::Signals;

use action::Described;

/// Has a command run, if it is approved, and returns the exit code.
///
/// # Errors
/// Never with something run: then its exit code is the result.
pub(crate) async fn perform(
    home: Option<&Path>,
    options: Box<ExecOptions>,
    status: Option<OwnedFd>,
) -> Result<u8, Failure> {
    let ending = match attempt(home, &options).await {
        Ok(ending) | Err(ending) => ending,
    };
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

/// Does all of it. An error is an ending in which nothing ran.
async fn attempt(home: Option<&Path>, options: &ExecOptions) -> Result<Ending, Ending> {
    let limits = Limits::default();
    let wanted = wanted(options).map_err(not_run)?;
    let mut signals =
        Signals::catch().map_err(|error| not_run(Failure::of(Exit::Failure, "signals", &error)))?;
    let mut session = Session::open_connected(home).await.map_err(not_run)?;
    let described = session
        .describe(&wanted)
        .await
        .map_err(|error| not_run(error.into()))?;
    let described = Described::read(&described).map_err(not_run)?;
    let input = tokio::select! {
        biased;
        signal = signals.next() => return Err(not_run(asked::interrupted(signal))),
        input = input(&described, &limits) => input?,
    };
    let action = described
        .action(options, input.as_ref(), &limits)
        .map_err(not_run)?;
    let asking = Asking {
        action: action.clone(),
        submission: crate::request::token().map_err(not_run)?,
        ask_key: String::new(),
        attached: true,
        at_once: AtOnce::Daemon,
    };
    let unwanted = async { asked::interrupted(signals.come().await) };
    let submitted = Asked::submit_unless(&mut session, asking, unwanted).await;
    let asked = submitted.map_err(not_asked)?;
    if !asked.has_run() {
        approved(&asked, &mut session, &mut signals).await?;
    }
    let streams = described.streams();
    Ok(stream::run(asked, &mut session, &action, streams, &mut signals).await)
}

/// Waits for the approval, until right before the one use is taken.
async fn approved(
    asked: &Asked,
    session: &mut Session,
    signals: &mut Signals,
) -> Result<(), Ending> {
    match asked.wait(session, None, signals).await {
        Ok(Answer::Approved) => {}
        // Without a limit of ours there is nothing else to wait for.
        Ok(Answer::StillPending) => {
            asked.let_go(session).await;
            return Err(stream::tell(asked, asked::expired(asked.id())).into());
        }
        Err(failure) => return Err(stream::tell(asked, failure).into()),
    }
    let unwanted = match signals.arrived().await {
        Some(signal) => Err(asked::interrupted(signal)),
        None => session.meet_others().await,
    };
    if let Err(failure) = unwanted {
        asked.let_go(session).await;
        return Err(stream::tell(asked, failure).into());
    }
    Ok(())
}

fn not_run(failure: Failure) -> Ending {
    NotRun::of(failure).into()
}

/// Tells why the asking failed. The daemon may have begun a run whose answer was lost: then nobody is to
/// read here that nothing ran.
fn not_asked(failure: Failure) -> Ending {
    if failure.may_have_run {
        stream::unknown(&failure, None)
    } else {
        not_run(failure)
    }
}

/// Reads what reviewers are to see of standard input. What is streamed they see nothing of, and the
/// document says so.
async fn input(described: &Described, limits: &Limits) -> Result<Option<Contents>, Ending> {
    if described.streams() {
        return Ok(None);
    }
    read_input(limits).await.map_err(Ending::from)
}

/// Puts together what is asked of the profile.
fn wanted(options: &ExecOptions) -> Result<Describe, Failure> {
    use std::os::unix::ffi::OsStrExt as _;

    let program = options.command.first();
    let directory = match &options.cwd {
        None => String::new(),
        Some(path) => absolute(path)?,
    };
    let environment = options.environment.iter().map(|name| {
        let value = std::env::var_os(name).ok_or_else(|| {
            let message = format!("the variable `{}` is not set", name.escape_debug());
            Failure::new(Exit::Usage, "not-set", message)
        })?;
        Ok((name.clone(), value.as_bytes().to_vec()))
    });
    Ok(Describe {
        profile: options.profile.clone(),
        program: program.map_or_else(Vec::new, |program| program.as_bytes().to_vec()),
        directory,
        environment: environment.collect::<Result<_, Failure>>()?,
    })
}

/// The daemon's current directory is another one.
fn absolute(path: &Path) -> Result<String, Failure> {
    let whole: PathBuf = std::path::absolute(path)
        .map_err(|error| Failure::of(Exit::Failure, "cannot-describe", &error))?;
    whole.into_os_string().into_string().map_err(|_| {
        let message = format!("the path `{}` is not UTF-8", path.display());
        Failure::new(Exit::Failure, "cannot-describe", message)
    })
}
