//! The few kernel and libc calls that have no safe wrapper, each behind a small safe function.
//!
//! Nothing here decides anything: it asks and returns the answer or the error. The account functions
//! go through NSS, so that users of LDAP or systemd-homed are found as well.

#![expect(
    unsafe_code,
    reason = "SO_PEERCRED and SO_PEERPIDFD, signal 0 through a pidfd, watching a pidfd, inherited \
              descriptors, close_range, getauxval, what runs between fork and exec, adjtimex, SIOCOUTQ and the account database have no safe wrapper in \
              rustix, tokio or std"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Mutex;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `SO_PEERPIDFD` of Linux 6.5: a pidfd of the process that called `connect`.
const SO_PEERPIDFD: libc::c_int = 77;

/// The longest account or group record that is read, in bytes.
const RECORD_LIMIT: usize = 4 << 20;

/// What the kernel recorded about the peer when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerCredentials {
    /// The effective user.
    pub(crate) uid: u32,
    /// The effective group.
    pub(crate) gid: u32,
    /// The process, 0 when it has no number in our namespace.
    pub(crate) pid: i32,
}

/// An entry of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// An entry of the group database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// The group's number.
    pub gid: u32,
    /// The login names listed as members; those with this primary group need not be among them.
    pub members: Vec<String>,
}

/// Reads one socket option of level `SOL_SOCKET` into a plain integer struct.
///
/// `T` must be valid for every bit pattern; both callers pass C structs of integers.
fn socket_option<T: Copy>(socket: impl AsFd, name: libc::c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let wanted = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let mut length = wanted;
    // SAFETY: `value` is writable for `length` bytes, and the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if length != wanted {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    // SAFETY: the kernel filled all bytes, and `T` is made of integers.
    Ok(unsafe { value.assume_init() })
}

/// Reads `SO_PEERCRED`.
pub(crate) fn peer_credentials(socket: impl AsFd) -> io::Result<PeerCredentials> {
    let raw: libc::ucred = socket_option(socket, libc::SO_PEERCRED)?;
    Ok(PeerCredentials {
        uid: raw.uid,
        gid: raw.gid,
        pid: raw.pid,
    })
}

/// Reads `SO_PEERPIDFD`; `ENOPROTOOPT` where the kernel has none.
pub(crate) fn peer_pidfd(socket: impl AsFd) -> io::Result<OwnedFd> {
    let raw: libc::c_int = socket_option(socket, SO_PEERPIDFD)?;
    if raw < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    // SAFETY: the kernel made this descriptor for us in the call above, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends signal 0 through a pidfd: an error of `ESRCH` means the process is gone.
pub(crate) fn probe_pidfd(pidfd: impl AsFd) -> io::Result<()> {
    // SAFETY: the call takes a descriptor that is open here, and no pointer but a null `siginfo`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            0,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes over a descriptor that this process was started with.
///
/// To be called once for each number, while the process has one thread and has opened nothing itself:
/// then nobody else owns it.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number and no pointer; for one that is not open it fails.
    if number < 3 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and by the rule above nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets no descriptor but the standard three go on to a program that this process starts, also those
/// that it was started with itself.
pub(crate) fn keep_descriptors() -> io::Result<()> {
    // SAFETY: the call takes numbers and no pointer, and closes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Tells whether the program file gave this process rights that whoever started it has not: by
/// file capabilities, or a set-id bit (`AT_SECURE`, getauxval(3)).
pub(crate) fn has_rights_of_its_file() -> bool {
    // SAFETY: the call takes a number and reads what the kernel put beside the arguments.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Watches a descriptor for the moment it becomes readable. Needs a running tokio.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `AsyncFd` keeps the `OwnedFd`, which stays the same open descriptor until dropped.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
        .map_err(io::Error::from)
}

/// Asks the kernel whether its clock is disciplined: `Ok(true)` when it is.
pub(crate) fn clock_is_synchronised() -> io::Result<bool> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: a zeroed `timex` has `modes` 0, which only reads.
    let result = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed integers, then filled by the kernel.
    let state = unsafe { state.assume_init() };
    Ok(result != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0)
}

/// Copies a C string of the account database.
///
/// # Safety
/// `text` is null or points to a string that ends in NUL and lives during the call.
unsafe fn owned_text(text: *const libc::c_char) -> io::Result<String> {
    if text.is_null() {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Copies a record of the user database.
///
/// # Safety
/// The pointers of `record` are those that libc set and are still alive.
unsafe fn owned_account(record: &libc::passwd) -> io::Result<Account> {
    Ok(Account {
        // SAFETY: promised by the caller.
        name: unsafe { owned_text(record.pw_name) }?,
        uid: record.pw_uid,
        gid: record.pw_gid,
    })
}

/// Calls one of the `get…_r` functions with a growing buffer. `None`: no such entry.
fn lookup<R, T>(
    call: impl Fn(*mut R, *mut libc::c_char, usize, *mut *mut R) -> libc::c_int,
    copy: impl Fn(&R) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let mut size = 4096;
    loop {
        let mut buffer: Vec<libc::c_char> = vec![0; size];
        let mut record = MaybeUninit::<R>::zeroed();
        let mut found: *mut R = std::ptr::null_mut();
        let code = call(
            record.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        );
        match code {
            // SAFETY: libc set `found` to `record`, whose pointers lead into `buffer`; both live.
            0 => return unsafe { found.as_ref() }.map(copy).transpose(),
            libc::ERANGE if size < RECORD_LIMIT => size *= 4,
            libc::EINTR => {}
            // What POSIX lets an implementation say instead of "not found".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            other => return Err(io::Error::from_raw_os_error(other)),
        }
    }
}

/// Looks an account up by its number.
pub(crate) fn account_by_uid(uid: u32) -> io::Result<Option<Account>> {
    lookup(
        // SAFETY: `lookup` passes a record, a buffer of the size it says, and a place for the result.
        |record, buffer, size, found| unsafe { libc::getpwuid_r(uid, record, buffer, size, found) },
        // SAFETY: `lookup` calls this while the buffer lives.
        |record: &libc::passwd| unsafe { owned_account(record) },
    )
}

/// Looks an account up by its name, byte for byte.
pub(crate) fn account_by_name(name: &str) -> io::Result<Option<Account>> {
    let wanted = CString::new(name)?;
    let found = lookup(
        // SAFETY: as above, and `wanted` ends in NUL and lives.
        |record, buffer, size, found| unsafe {
            libc::getpwnam_r(wanted.as_ptr(), record, buffer, size, found)
        },
        // SAFETY: `lookup` calls this while the buffer lives.
        |record: &libc::passwd| unsafe { owned_account(record) },
    )?;
    // A directory service may ignore case; identity here is byte-exact.
    Ok(found.filter(|account| account.name == name))
}

/// Looks a group up by its name, byte for byte.
pub(crate) fn group_by_name(name: &str) -> io::Result<Option<Group>> {
    let wanted = CString::new(name)?;
    let found = lookup(
        // SAFETY: as above, and `wanted` ends in NUL and lives.
        |record, buffer, size, found| unsafe {
            libc::getgrnam_r(wanted.as_ptr(), record, buffer, size, found)
        },
        // SAFETY: set by libc, and the buffer lives.
        |record: &libc::group| unsafe { owned_group(record) },
    )?;
    Ok(found.filter(|group| group.name == name))
}

/// Finds a group by its number.
pub(crate) fn group_by_gid(gid: u32) -> io::Result<Option<Group>> {
    lookup(
        // SAFETY: as above.
        |record, buffer, size, found| unsafe { libc::getgrgid_r(gid, record, buffer, size, found) },
        // SAFETY: set by libc, and the buffer lives.
        |record: &libc::group| unsafe { owned_group(record) },
    )
}

/// Copies a record of the group database.
///
/// # Safety
///
/// The record's pointers are as libc set them, and what they point to lives.
unsafe fn owned_group(record: &libc::group) -> io::Result<Group> {
    let mut members = Vec::new();
    let mut next = record.gr_mem;
    // SAFETY: `gr_mem` is null or a list of strings that ends in a null pointer.
    while let Some(member) = unsafe { next.as_ref() }.filter(|member| !member.is_null()) {
        // SAFETY: as above.
        members.push(unsafe { owned_text(*member) }?);
        // SAFETY: the list goes on until its null pointer, which ends the loop.
        next = unsafe { next.add(1) };
    }
    Ok(Group {
        // SAFETY: as the caller says.
        name: unsafe { owned_text(record.gr_name) }?,
        gid: record.gr_gid,
        members,
    })
}

/// Returns how many bytes a TCP connection has taken that the other side has not acknowledged
/// (`SIOCOUTQ`, tcp(7)).
pub(crate) fn unacknowledged(socket: impl AsFd) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one `int`, which `bytes` is. `TIOCOUTQ` is the same number.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    u64::try_from(bytes).map_err(io::Error::other)
}

/// Returns every group of an account, the primary one included.
pub(crate) fn groups_of(account: &Account) -> io::Result<Vec<u32>> {
    let name = CString::new(account.name.as_str())?;
    let mut room: libc::c_int = 64;
    loop {
        let size = usize::try_from(room).map_err(io::Error::other)?;
        let mut groups: Vec<libc::gid_t> = vec![0; size];
        let mut count = room;
        // SAFETY: `groups` has room for `count` numbers, and `name` ends in NUL.
        let result = unsafe {
            libc::getgrouplist(
                name.as_ptr(),
                account.gid,
                groups.as_mut_ptr(),
                &raw mut count,
            )
        };
        if result >= 0 {
            groups.truncate(usize::try_from(count).map_err(io::Error::other)?);
            return Ok(groups);
        }
        // Linux never has more than 65,536 groups per process.
        if room > 65_536 {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        room = room.saturating_mul(2).max(count);
    }
}

/// Lists the accounts that the user database enumerates; a directory service may hide some.
pub(crate) fn accounts() -> io::Result<Vec<Account>> {
    // `getpwent` keeps its place in one global, which this lock guards.
    static PLACE: Mutex<()> = Mutex::new(());
    let _guard = PLACE
        .lock()
        .map_err(|_| io::Error::other("the lock on the user database is poisoned"))?;
    let mut found = Vec::new();
    // SAFETY: guarded by `PLACE`; nothing else in this program calls these three functions.
    unsafe {
        libc::setpwent();
        while let Some(record) = libc::getpwent().as_ref() {
            found.push(owned_account(record));
        }
        libc::endpwent();
    }
    found.into_iter().collect()
}

/// Has `command` run `step` in the copy of this process that it makes, and nothing else: a step that returns
/// did not exec, and the error is that of the start.
///
/// # Errors
///
/// When this process has other threads: what these held would be held in the copy for ever.
pub(crate) fn instead_of(
    command: &mut Command,
    mut step: impl FnMut() -> io::Error + Send + Sync + 'static,
) -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other(
            "a process of several threads is not copied",
        ));
    }
    // SAFETY: only this thread is there to hold a lock or to be in the middle of anything, and it is here.
    unsafe {
        command.pre_exec(move || Err(step()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_number_and_by_name() {
        let root = account_by_uid(0).unwrap().unwrap();
        assert_eq!(account_by_name(&root.name).unwrap().unwrap(), root);
        assert!(accounts().unwrap().contains(&root));
        assert!(groups_of(&root).unwrap().contains(&root.gid));
    }

    #[test]
    fn an_unknown_account_is_none_and_not_an_error() {
        assert_eq!(account_by_uid(0x7fff_fff0).unwrap(), None);
        assert_eq!(account_by_name("no-such-account").unwrap(), None);
        assert_eq!(group_by_name("no-such-group").unwrap(), None);
        assert!(account_by_name("nul\0inside").is_err());
    }

    #[test]
    fn what_this_process_was_started_with_goes_no_further() {
        let (read, _write) = rustix::pipe::pipe().unwrap();
        let goes_on = || {
            let flags = rustix::io::fcntl_getfd(&read).unwrap();
            !flags.contains(rustix::io::FdFlags::CLOEXEC)
        };
        assert!(goes_on());
        keep_descriptors().unwrap();
        assert!(!goes_on());
        assert!(!has_rights_of_its_file());
    }

    #[test]
    fn the_clock_can_be_asked() {
        clock_is_synchronised().unwrap();
    }
}
