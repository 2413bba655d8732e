//! What stands between the warden and the program: a copy of the warden that becomes whom the profile names,
//! gives up every right to become anybody else, limits itself, and is then replaced. The same goes for the
//! sweeper, which is this program again, and removes what the program left.
//!
//! One thread; neither the daemon's database nor its sockets are open here. A program that is told from here
//! not to have started was not.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use countersign_program::through;
use rustix::fs::Mode;
use rustix::io::FdFlags;
use rustix::process::{Gid, Pid, Resource as Kernel, Rlimit, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::job::{Identity, Job, Resource};
use crate::sys;

/// Runs as the sweeper of one run; the argument is the descriptor of its job.
pub(super) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let job = arguments.next().and_then(|job| job.into_string().ok());
    match job.map(|job| inherited(&job).and_then(|job| sweep(&File::from(job)))) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    }
}

/// Takes over a descriptor that the warden left open, and lets it go no further.
fn inherited(number: &str) -> io::Result<OwnedFd> {
    let file = sys::inherited(number.parse().map_err(io::Error::other)?)?;
    rustix::io::fcntl_setfd(&file, FdFlags::CLOEXEC)?;
    Ok(file)
}

/// Becomes the program; returns only why it did not.
pub(super) fn become_program(
    warden: Pid,
    job: &File,
    program: &OwnedFd,
    directory: &OwnedFd,
) -> io::Error {
    match run(warden, job, program, directory) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn run(warden: Pid, job: &File, program: &OwnedFd, directory: &OwnedFd) -> io::Result<Infallible> {
    let job = Job::read(job)?;
    let argv = job.argv()?;
    // Its own session: no terminal, and one group that a signal reaches as a whole.
    rustix::process::setsid()?;
    become_user(job.identity.as_ref())?;
    die_with(warden)?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    if let Some(temporary) = &job.temporary {
        make(Path::new(temporary), &job)?;
    }
    rustix::process::fchdir(directory)?;
    if job.is_script {
        // The interpreter opens the script by the same name once more, after the exec.
        rustix::io::fcntl_setfd(program, FdFlags::empty())?;
    }
    let path = through(program.as_fd());
    let mut command = Command::new(path);
    command
        .arg0(OsStr::from_bytes(argv.first().map_or(b"", Vec::as_slice)))
        .args(
            argv.iter()
                .skip(1)
                .map(|argument| OsStr::from_bytes(argument)),
        )
        .env_clear();
    for (name, value) in job.environment()? {
        command.env(name, OsString::from_vec(value));
    }
    limit(&job)?;
    Err(command.exec())
}

/// Becomes the user of the profile, and nobody else any more.
fn become_user(identity: Option<&Identity>) -> io::Result<()> {
    if let Some(Identity { uid, gid, groups }) = identity {
        let (user, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
        // They survive the change of the user where the daemon was never root.
        rustix::thread::clear_ambient_capability_set()?;
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, none)?;
        let is_changed = rustix::process::getuid() == user
            && rustix::process::geteuid() == user
            && rustix::process::getegid() == group;
        if !is_changed || rustix::thread::set_thread_uid(Uid::ROOT).is_ok() {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
    }
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// Makes sure that the program does not outlive the warden. A change of the user undoes it, so it comes
/// after that.
fn die_with(warden: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(warden) {
        Ok(())
    } else {
        Err(io::Error::other("the warden is gone"))
    }
}

/// Makes the temporary directory, with what lies in it.
fn make(temporary: &Path, job: &Job) -> io::Result<()> {
    // Not one that is there already: somebody else would have made it.
    DirBuilder::new().mode(0o700).create(temporary)?;
    for file in &job.files {
        let path = temporary.join(&file.name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o400);
        options.open(path)?.write_all(&file.contents()?)?;
    }
    Ok(())
}

/// Sets the limits; the last thing before the exec, so that they are the program's alone.
fn limit(job: &Job) -> io::Result<()> {
    let set = |resource, limit: u64| {
        let both = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        rustix::process::setrlimit(resource, both).map_err(io::Error::from)
    };
    // The memory of a process that crashes holds its secrets.
    set(Kernel::Core, 0)?;
    for (resource, limit) in &job.limits {
        let kernel = match resource {
            Resource::Cpu => Kernel::Cpu,
            Resource::Memory => Kernel::As,
            Resource::Filesize => Kernel::Fsize,
            Resource::Files => Kernel::Nofile,
            Resource::Processes => Kernel::Nproc,
        };
        // What is less already stays so.
        let most = rustix::process::getrlimit(kernel).maximum;
        set(kernel, most.map_or(*limit, |most| most.min(*limit)))?;
    }
    Ok(())
}

/// Removes a run's temporary directory, as the user whose it is.
fn sweep(job: &File) -> io::Result<()> {
    let job = Job::read(job)?;
    become_user(job.identity.as_ref())?;
    match &job.temporary {
        Some(temporary) => std::fs::remove_dir_all(temporary),
        None => Ok(()),
    }
}
