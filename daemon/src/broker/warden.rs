//! The warden: this program again, as a process that stays with one run.
//!
//! It starts the program, passes signals on, tells the daemon how the program ended, and ends whatever
//! came of it: also what made a session of its own, because what loses its parent becomes the warden's
//! child. It does so too when the daemon goes away in any manner, which closes the socket between them.
//! It keeps the daemon's user, so that a program that runs as another cannot end it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open};

use super::job::{Job, Told};
use super::{SWEEPER, launcher};
use crate::sys;

/// How many descriptors come with a job.
pub(super) const FILES: usize = 6;

/// The message that ends everything at once.
pub(super) const KILL: u8 = 9;

/// The signals that are passed on.
pub(super) const SIGNALS: [(u8, Signal); 4] = [
    (1, Signal::HUP),
    (2, Signal::INT),
    (3, Signal::QUIT),
    (15, Signal::TERM),
];

/// How often what lost its parent and ended is taken in while the program runs.
const TAKING_IN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The longest pause between two looks at what is still there.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Runs as the warden of one run; standard input is the socket to the daemon.
pub(super) fn main(_arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let control = rustix::stdio::stdin();
    match stay(control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let because = error.to_string();
            // The daemon sees the end of the socket in any case.
            drop(tell(control, &Told::NotStarted { because }));
            ExitCode::FAILURE
        }
    }
}

/// Starts the program and stays until nothing is left of it.
fn stay(control: BorrowedFd<'_>) -> io::Result<()> {
    let [job, program, directory, input, output, errors] = receive(control)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let job = File::from(job);
    let mut child = match start(&job, program, directory, [input, output, errors]) {
        Ok(child) => child,
        Err(error) => {
            sweep(&job);
            return Err(error);
        }
    };
    let pid = Pid::from_child(&child);
    let ended = tell(control, &Told::Started { pid: child.id() })
        .and_then(|()| watch(control, &mut child, pid));
    // Nothing is left behind, however it ended.
    let told = match ended {
        Ok(Some(status)) => tell(
            control,
            &Told::Ended {
                exit: status.code(),
                signal: status.signal(),
            },
        ),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    clear(pid);
    sweep(&job);
    told.and_then(|()| tell(control, &Told::Cleared))
}

/// Takes the job and the descriptors that come with it.
fn receive(control: BorrowedFd<'_>) -> io::Result<[OwnedFd; FILES]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut pieces = [io::IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(control, &mut pieces, &mut ancillary, flags)?;
    let mut files = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            files.extend(more);
        }
    }
    files
        .try_into()
        .map_err(|_| io::Error::other("the job did not come whole"))
}

/// Starts the program, in a copy of this process that becomes it. What fails before that comes through the
/// pipe, which an exec closes.
fn start(
    job: &File,
    program: OwnedFd,
    directory: OwnedFd,
    [input, output, errors]: [OwnedFd; 3],
) -> io::Result<Child> {
    let (report, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let (job, warden) = (job.try_clone()?, rustix::process::getpid());
    let mut command = Command::new("/proc/self/exe");
    command
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(errors));
    sys::instead_of(&mut command, move || {
        let error = launcher::become_program(warden, &job, &program, &directory);
        // Whoever reads this says that nothing ran; when nobody does, nothing ran either.
        let _ = rustix::io::write(&write, error.to_string().as_bytes());
        error
    })?;
    let started = command.spawn();
    // With it this end of the pipe.
    drop(command);
    started.map_err(|error| {
        let mut because = String::new();
        match File::from(report).read_to_string(&mut because) {
            Ok(length) if length > 0 => io::Error::other(because),
            Ok(_) | Err(_) => error,
        }
    })
}

/// Passes signals on until the program ends, or the daemon wants the end or is gone: then `None`.
fn watch(control: BorrowedFd<'_>, child: &mut Child, pid: Pid) -> io::Result<Option<ExitStatus>> {
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut watched = [
            PollFd::new(&ended, PollFlags::IN),
            PollFd::from_borrowed_fd(control, PollFlags::IN),
        ];
        match poll(&mut watched, Some(&TAKING_IN)) {
            Ok(0) => {
                take_in(pid);
                continue;
            }
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [by_itself, by_daemon] = watched.map(|one| !one.revents().is_empty());
        if by_itself {
            return child.wait().map(Some);
        }
        if by_daemon {
            let mut byte = [0];
            let count = match rustix::io::read(control, &mut byte) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(_) => 0,
            };
            let signal = SIGNALS.iter().find(|(number, _)| [*number] == byte);
            match signal {
                _ if count == 0 => return Ok(None),
                Some((_, signal)) => pass_on(pid, *signal),
                None if byte == [KILL] => {
                    pass_on(pid, Signal::KILL);
                    return child.wait().map(Some);
                }
                None => {}
            }
        }
    }
}

/// Takes in what lost its parent and has ended, so that it does not keep its number; the program itself
/// is waited for by its handle.
fn take_in(program: Pid) {
    for child in children().into_iter().filter(|child| *child != program) {
        let _ = rustix::process::waitpid(Some(child), WaitOptions::NOHANG);
    }
}

/// Sends a signal to the program's group; one that is gone has no need of it.
fn pass_on(pid: Pid, signal: Signal) {
    let _ = rustix::process::kill_process_group(pid, signal);
}

/// Ends everything that came of the program, and takes its end in.
fn clear(group: Pid) {
    let mut pause = Duration::from_millis(1);
    loop {
        pass_on(group, Signal::KILL);
        for child in children() {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // Nothing is left.
                Err(_) => return,
            }
        }
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Returns the children of this process: its own, and those that lost their parent.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let listed = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    listed
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}

/// Removes the temporary directory, as the user whose it is.
fn sweep(job: &File) {
    let temporary = rewind(job)
        .and_then(|()| Job::read(job))
        .ok()
        .and_then(|mut job| job.temporary.take());
    let Some(temporary) = temporary else {
        return;
    };
    match rustix::fs::rmdir(&temporary) {
        // Mostly nothing is left in it, or it was never made.
        Ok(()) | Err(Errno::NOENT) => return,
        Err(_) => {}
    }
    if rewind(job).is_err() || rustix::io::fcntl_setfd(job, FdFlags::empty()).is_err() {
        return;
    }
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(SWEEPER)
        .arg(job.as_raw_fd().to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // What cannot be removed stays where nobody else can look.
    drop(command.status());
}

fn rewind(mut job: &File) -> io::Result<()> {
    use std::io::Seek as _;

    job.rewind()
}

/// Tells the daemon something.
fn tell(control: BorrowedFd<'_>, told: &Told) -> io::Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        let count = rustix::io::write(control, rest)?;
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(())
}
