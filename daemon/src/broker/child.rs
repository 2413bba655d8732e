//! The daemon's end of a warden: started with a job and the descriptors it takes, told of signals,
//! listened to.
//!
//! The daemon starts processes in one way only, which costs the same however much memory it has, and
//! leaves every descriptor closed to them: what the program needs goes through the socket.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;

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

/// Starts a warden for a job. An error means that nothing ran.
pub(super) fn start(
    job: &Job,
    input: InputFrom,
    program: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
) -> io::Result<Started> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
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
    let process = Command::new("/proc/self/exe")
        .arg(WARDEN)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let files = [
        job.as_fd(),
        program,
        directory,
        input_end.as_fd(),
        output_end.as_fd(),
        errors_end.as_fd(),
    ];
    hand_over(&ours, &files)?;
    let (read, write) = UnixStream::from_std(ours)?.into_split();
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

/// Sends the descriptors. They wait in the socket until the warden takes them.
fn hand_over(socket: &StdStream, files: &[BorrowedFd<'_>; FILES]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other(
            "the descriptors do not fit into a message",
        ));
    }
    let byte = [io::IoSlice::new(&[0])];
    sendmsg(socket, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
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

    /// Waits until the warden, and with it all that came of the program, is gone.
    pub(super) async fn gone(mut self) {
        drop(self.process.wait().await);
    }
}
