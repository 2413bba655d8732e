//! The daemon's end of a warden: given a job and the descriptors it takes, told of signals, listened to.
//!
//! The daemon starts processes in one way only, which costs the same however much memory it has, and
//! leaves every descriptor closed to them: what the program needs goes through the socket. To start one
//! takes longer than most programs run, so after the first run there are some that wait for the next jobs.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

use super::WARDEN;
use super::job::{Job, Told};
use super::warden::FILES;

/// How many wardens wait for a job: one that is ready, and one that may still be starting.
const SPARE: usize = 2;

/// Where the program's input comes from.
#[derive(Debug)]
pub(super) enum InputFrom {
    /// From nowhere.
    Nothing,
    /// From a file that holds all of it.
    File(File),
    /// From whoever writes into a pipe.
    Pipe,
}

/// What is told to the warden.
#[derive(Debug)]
pub(super) struct Orders(OwnedWriteHalf);

/// What the warden tells.
#[derive(Debug)]
pub(super) struct News {
    lines: Lines<BufReader<OwnedReadHalf>>,
    process: Child,
}

/// A warden that has its job.
#[derive(Debug)]
pub(super) struct Started {
    /// The way to it.
    pub(super) orders: Orders,
    /// The way from it.
    pub(super) news: News,
    /// The program's standard input, where somebody writes it.
    pub(super) input: Option<Sender>,
    /// The program's standard output.
    pub(super) output: Receiver,
    /// The program's standard error.
    pub(super) errors: Receiver,
}

/// A warden that has no job yet.
#[derive(Debug)]
struct Idle {
    socket: StdStream,
    process: Child,
}

impl Idle {
    fn start() -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = Command::new("/proc/self/exe")
            .arg(WARDEN)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            socket: ours,
            process,
        })
    }

    /// Sends the descriptors. They wait in the socket until the warden takes them.
    fn hand_over(&self, files: &[BorrowedFd<'_>; FILES]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(io::Error::other(
                "the descriptors do not fit into a message",
            ));
        }
        let byte = [io::IoSlice::new(&[0])];
        sendmsg(&self.socket, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// The wardens.
#[derive(Debug, Default)]
pub(super) struct Wardens {
    spare: Mutex<VecDeque<Idle>>,
    /// Held by whoever starts some, so that many runs that end at once do not each.
    starting: Mutex<()>,
}

impl Wardens {
    /// Has some wait for the next jobs. Without them a job waits for its own.
    pub(super) fn prepare(&self) {
        let Ok(_starting) = self.starting.try_lock() else {
            return;
        };
        while self.spare().len() < SPARE {
            let Ok(started) = Idle::start() else {
                return;
            };
            self.spare().push_back(started);
        }
    }

    fn spare(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the descriptors of a job to a warden.
    fn employ(&self, files: &[BorrowedFd<'_>; FILES]) -> io::Result<Idle> {
        loop {
            let Some(spare) = self.spare().pop_front() else {
                break;
            };
            // Where it is gone, so may others be.
            if spare.hand_over(files).is_ok() {
                return Ok(spare);
            }
        }
        let started = Idle::start()?;
        started.hand_over(files)?;
        Ok(started)
    }
}

/// Gives a job to a warden. An error means that nothing ran.
pub(super) fn start(
    wardens: &Wardens,
    job: &Job,
    input: InputFrom,
    program: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
) -> io::Result<Started> {
    let (output, output_end) = pipe_with(PipeFlags::CLOEXEC)?;
    let (errors, errors_end) = pipe_with(PipeFlags::CLOEXEC)?;
    let (input_end, input) = match input {
        InputFrom::Nothing => (OwnedFd::from(File::open("/dev/null")?), None),
        InputFrom::File(file) => (OwnedFd::from(file), None),
        InputFrom::Pipe => {
            let (end, input) = pipe_with(PipeFlags::CLOEXEC)?;
            (end, Some(Sender::from_owned_fd(input)?))
        }
    };
    let job = job.seal()?;
    let files = [
        job.as_fd(),
        program,
        directory,
        input_end.as_fd(),
        output_end.as_fd(),
        errors_end.as_fd(),
    ];
    let Idle { socket, process } = wardens.employ(&files)?;
    let (read, write) = UnixStream::from_std(socket)?.into_split();
    Ok(Started {
        orders: Orders(write),
        news: News {
            lines: BufReader::new(read).lines(),
            process,
        },
        input,
        output: Receiver::from_owned_fd(output)?,
        errors: Receiver::from_owned_fd(errors)?,
    })
}

impl Orders {
    /// Passes a signal on, or ends everything.
    pub(super) async fn signal(&mut self, number: u8) {
        // A warden that is gone has ended everything already.
        drop(self.0.write_all(&[number]).await);
    }
}

impl News {
    /// Waits for what the warden tells next; `None` when it is gone.
    pub(super) async fn next(&mut self) -> Option<Told> {
        let line = self.lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Waits until all that came of the program is gone, or the warden itself.
    pub(super) async fn gone(mut self) {
        let is_cleared = self.next().await == Some(Told::Cleared);
        let end = async move { drop(self.process.wait().await) };
        if is_cleared {
            // Its own end is of interest to nobody.
            tokio::spawn(end);
        } else {
            end.await;
        }
    }
}
