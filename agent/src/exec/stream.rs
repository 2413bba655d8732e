//! The run, as this side sees it: output is passed on as it comes, and only as fast as it is taken.

use std::io;
use std::pin::pin;
use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::text::Printable;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Stderr, Stdout};

use crate::asked::Asked;
use crate::client::{AnswerError, Begun, ClientError, FromRun, Inclusion, News, RunEnded, ToRun};
use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::Finished;
use crate::run::outcome::{Ending, NotRun};
use crate::session::Session;
use crate::signals::Signals;
use crate::telling::{forget, warn};
use crate::tickets::Ticket;

/// How much of standard input is sent at once, in bytes.
const PIECE: usize = 32 << 10;

/// The exit code of a program whose reader went away, as a shell has it (SIGPIPE).
const NO_READER: u8 = 141;

/// Adds the request to a failure.
pub(super) fn tell(asked: &Asked, failure: Failure) -> NotRun {
    NotRun {
        ticket: Some(Box::new(asked.ticket().clone())),
        ..NotRun::of(failure)
    }
}

/// How far it came without an end.
enum Cut {
    /// The connection is lost, or what came over it cannot be believed.
    Failed(Failure),
    /// Nobody reads our output any more.
    NoReader,
    /// A signal came, and the program takes neither input nor the signal behind it; or its end is behind
    /// output that nobody takes.
    Interrupted(Signal),
}

/// Has the daemon run it, unless it does already, and stays until it has ended.
pub(super) async fn run(
    mut asked: Asked,
    session: &mut Session,
    action: &[u8],
    streams: bool,
    signals: &mut Signals,
) -> Ending {
    let (by, to, from) = match asked.take_begun() {
        Some(begun) => {
            let Begun { by, to, from } = *begun;
            (Some(by), to, from)
        }
        None if asked.has_run() => return unheard(session, asked),
        None => match session.execute(asked.ticket(), action).await {
            Ok((to, from)) => (None, to, from),
            Err(error) => return not_taken(&asked, session, error).await,
        },
    };
    let began = clock::boot();
    let feeding = feed(to.clone(), streams);
    let ended = follow(&asked, session, (by, to, from), signals, feeding).await;
    match ended {
        Ok(ended) => {
            let duration = clock::boot().saturating_sub(began);
            over(session, asked.into_ticket(), ended, duration)
        }
        Err(Cut::Failed(failure)) => unknown(&failure, Some(asked.into_ticket())),
        Err(Cut::NoReader) => left(NO_READER, Some(asked.into_ticket())),
        Err(Cut::Interrupted(signal)) => {
            left(code(None, Some(number(signal))), Some(asked.into_ticket()))
        }
    }
}

/// Says what failed after something may have begun. The daemon ends it, and says in the log how.
pub(super) fn unknown(failure: &Failure, ticket: Option<Ticket>) -> Ending {
    output::failure(failure, false);
    let exit = if failure.exit == Exit::Interrupted {
        Exit::Interrupted
    } else {
        Exit::Failure
    };
    left(exit.for_run(), ticket)
}

/// Leaves a run, of which nobody here knows the end.
fn left(code: u8, ticket: Option<Ticket>) -> Ending {
    Ending::Ran {
        code,
        ticket: ticket.map(Box::new),
        state: State::Indeterminate,
        end: None,
    }
}

/// Tells of a run whose beginning was never heard of, because the connection was lost.
fn unheard(session: &Session, asked: Asked) -> Ending {
    let state = asked.state();
    let message = if matches!(state, State::Succeeded | State::Failed) {
        format!("it ran, and {state}; what it wrote was lost with the connection")
    } else {
        "the connection was lost while the daemon ran it".to_owned()
    };
    let failure = seen_by(&asked, Failure::new(Exit::Failure, "run-lost", message));
    output::failure(&failure, false);
    // Nobody takes anything up.
    forget(session, asked.ticket());
    Ending::Ran {
        code: Exit::Failure.for_run(),
        ticket: Some(Box::new(asked.into_ticket())),
        state,
        end: None,
    }
}

/// Tells why the use was not taken, and wants no more of the request.
async fn not_taken(asked: &Asked, session: &mut Session, error: ClientError) -> Ending {
    if error.leaves_open() {
        return unknown(&lost(asked, error), Some(asked.ticket().clone()));
    }
    if !error.is_taken() {
        asked.let_go(session).await;
    }
    tell(asked, error.into()).into()
}

/// Passes on what comes, until the end.
async fn follow(
    asked: &Asked,
    session: &mut Session,
    (by, to, mut from): (Option<Box<Inclusion>>, ToRun, FromRun),
    signals: &mut Signals,
    feeding: impl Future<Output = io::Result<()>>,
) -> Result<RunEnded, Cut> {
    let mut feeding = pin!(feeding);
    let mut is_fed = false;
    let by = match by {
        Some(by) => by,
        None => match from.next().await {
            Ok(News::Redeemed(by)) => by,
            Ok(_) => {
                return Err(Cut::Failed(lost(
                    asked,
                    AnswerError { field: "redeemed" }.into(),
                )));
            }
            Err(error) => return Err(Cut::Failed(lost(asked, error))),
        },
    };
    check(asked, session, &by).await?;
    let mut taker = Taker {
        asked,
        from,
        stdout: tokio::io::stdout(),
        stderr: tokio::io::stderr(),
        waiting: None,
        taken: 0,
    };
    // How much had been taken when a signal found output waiting: the end that it leads to is behind that.
    let mut stood_at = None;
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                let stands_at = taker.waiting.as_ref().map(|_| taker.taken);
                if stands_at.is_some() && stands_at == stood_at {
                    return Err(Cut::Interrupted(signal));
                }
                stood_at = stands_at;
                let mut on_its_way = pin!(to.signal(number(signal)));
                // A program whose output is not taken takes no input, and the signal is behind that.
                let is_passed = loop {
                    tokio::select! {
                        biased;
                        is_passed = &mut on_its_way => break is_passed,
                        ended = taker.step() => if let Some(ended) = ended? {
                            return Ok(ended);
                        },
                    }
                };
                if !is_passed {
                    return Err(Cut::Interrupted(signal));
                }
            }
            fed = &mut feeding, if !is_fed => {
                // What was read so far is not all there is: going away here ends the run.
                fed.map_err(|error| {
                    Cut::Failed(Failure::of(Exit::Failure, "cannot-read-input", &error))
                })?;
                is_fed = true;
            }
            ended = taker.step() => if let Some(ended) = ended? {
                return Ok(ended);
            },
        }
    }
}

/// Checks that the log holds the use, and is the one that others were shown.
async fn check(asked: &Asked, session: &mut Session, by: &Inclusion) -> Result<(), Cut> {
    let not_believed = |failure| Cut::Failed(seen_by(asked, failure));
    let checked = session.check_use(asked.id(), by);
    checked.map_err(|error| not_believed(error.into()))?;
    session.meet_others().await.map_err(not_believed)
}

/// Takes what comes of the run.
struct Taker<'a> {
    asked: &'a Asked,
    from: FromRun,
    stdout: Stdout,
    stderr: Stderr,
    /// Output that nobody has taken yet. Until then nothing more is read from the daemon.
    waiting: Option<Waiting>,
    /// How many pieces were taken.
    taken: u64,
}

/// Output on its way.
struct Waiting {
    is_error: bool,
    bytes: Vec<u8>,
    written: usize,
}

impl Taker<'_> {
    /// Writes the output that waits, or else takes what comes next; returns the end, once that comes. It may
    /// be given up at any time, and goes on where it was.
    async fn step(&mut self) -> Result<Option<RunEnded>, Cut> {
        if let Some(waiting) = &mut self.waiting {
            let passed = if waiting.is_error {
                waiting.pass_on(&mut self.stderr).await
            } else {
                waiting.pass_on(&mut self.stdout).await
            };
            passed.map_err(|_| Cut::NoReader)?;
            self.waiting = None;
            self.taken = self.taken.saturating_add(1);
            return Ok(None);
        }
        let news = self.from.next().await;
        match news.map_err(|error| Cut::Failed(lost(self.asked, error)))? {
            News::Started => {}
            News::Stdout(bytes) => self.waiting = Some(Waiting::new(bytes, false)),
            News::Stderr(bytes) => self.waiting = Some(Waiting::new(bytes, true)),
            News::Ended(ended) => return Ok(Some(ended)),
            News::Redeemed(_) => {
                let strange = AnswerError { field: "redeemed" };
                return Err(Cut::Failed(lost(self.asked, strange.into())));
            }
        }
        Ok(None)
    }
}

impl Waiting {
    const fn new(bytes: Vec<u8>, is_error: bool) -> Self {
        Self {
            is_error,
            bytes,
            written: 0,
        }
    }

    async fn pass_on(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while let Some(rest) = self
            .bytes
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match to.write(rest).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.written = self.written.saturating_add(count),
            }
        }
        to.flush().await
    }
}

/// Sends standard input as it comes, where it is streamed.
async fn feed(to: ToRun, streams: bool) -> io::Result<()> {
    if !streams {
        return Ok(());
    }
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; PIECE];
    loop {
        let count = stdin.read(&mut buffer).await?;
        match buffer.get(..count).filter(|read| !read.is_empty()) {
            Some(read) if to.input(read.to_vec()).await => {}
            // The program wants no more of it, or is over.
            Some(_) => return Ok(()),
            None => {
                to.end_input().await;
                return Ok(());
            }
        }
    }
}

fn lost(asked: &Asked, error: ClientError) -> Failure {
    seen_by(asked, error.into())
}

/// Says where it is seen how a run ended.
fn seen_by(asked: &Asked, failure: Failure) -> Failure {
    let id = asked.id();
    failure.hint(format!(
        "a run of {id} ends with this call; a reviewer sees how: `countersign show {id}`"
    ))
}

/// Turns the daemon's word into an ending.
fn over(session: &Session, ticket: Ticket, ended: RunEnded, duration: Duration) -> Ending {
    let RunEnded {
        state,
        because,
        reason,
        exit,
        signal,
    } = ended;
    if state.has_ended() {
        forget(session, &ticket);
    }
    let because = Printable::exact(&because);
    let ticket = Some(Box::new(ticket));
    if state == State::NotRun {
        let message = format!("nothing ran: {because}");
        let exit = if reason == "not-started" {
            Exit::Failure
        } else {
            Exit::Conflict
        };
        let failure = Failure::new(exit, &reason, message).hint("ask again");
        let mut not_run = NotRun::of(failure);
        if reason == "not-started" {
            // As env(1): it was found, and could not be run.
            not_run.code = 126;
        }
        not_run.ticket = ticket;
        return not_run.into();
    }
    if !because.as_str().is_empty() {
        warn(because.as_str());
    }
    let end = Finished {
        // As the log has it; what was ended is not what its exit code says.
        outcome: if state == State::Killed {
            "killed"
        } else {
            Finished::word(exit)
        },
        exit,
        signal,
        stdout: None,
        stderr: None,
        duration: Some(duration),
    };
    let is_known = exit.is_some() || signal.is_some();
    Ending::Ran {
        code: code(exit, signal),
        ticket,
        state,
        end: is_known.then_some(end),
    }
}

/// Returns the exit code that a shell would see.
fn code(exit: Option<i32>, signal: Option<i32>) -> u8 {
    let number = match (exit, signal) {
        (Some(exit), _) => exit,
        (None, Some(signal)) => signal.saturating_add(128),
        (None, None) => 125,
    };
    u8::try_from(number & 0xff).unwrap_or(125)
}

/// Returns the number that the protocol has for a signal.
fn number(signal: Signal) -> i32 {
    signal.as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_one_a_shell_would_see() {
        assert_eq!(code(Some(3), None), 3);
        assert_eq!(code(None, Some(15)), 143);
        assert_eq!(code(None, None), 125);
    }

    #[test]
    fn the_signals_that_are_passed_on_have_these_numbers() {
        let all = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
        assert_eq!(all.map(number), [1, 2, 3, 15]);
    }
}
