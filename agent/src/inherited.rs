//! Descriptors that the caller left open.
//!
//! A program that is run gets stdin, stdout and stderr and nothing else: what it could read from
//! another descriptor no reviewer has seen. So every other one is closed on exec, before anything
//! of ours is opened. The one that `--status-fd` names stays ours, out of the program's reach.
#![expect(
    unsafe_code,
    reason = "descriptors that we did not open have no owner to borrow from"
)]

use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags};

/// Closes on exec all descriptors from 3 on, and returns a copy of `status`.
///
/// Called once, while the process has nothing of its own open, and no thread but one that waits and
/// opens nothing.
///
/// # Errors
/// When `status` is not open, or the list of descriptors cannot be read.
pub(crate) fn close_on_exec(status: Option<RawFd>) -> Result<Option<OwnedFd>, Errno> {
    for entry in fs::read_dir("/proc/self/fd").map_err(|_| Errno::BADF)? {
        let name = entry.map_err(|_| Errno::BADF)?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        if number < 3 {
            continue;
        }
        match rustix::io::fcntl_setfd(borrow(number), FdFlags::CLOEXEC) {
            // The descriptor of the list itself is closed by the time it is looked at.
            Ok(()) | Err(Errno::BADF) => {}
            Err(errno) => return Err(errno),
        }
    }
    match status {
        Some(number) if number >= 0 => rustix::io::fcntl_dupfd_cloexec(borrow(number), 3).map(Some),
        Some(_) => Err(Errno::BADF),
        None => Ok(None),
    }
}

/// Borrows a descriptor by its number, for one call that fails when it is not open.
fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the number is not -1, and the borrow ends with the one system call it is made for.
    // Nothing else runs yet that could close the number and give it to another file meanwhile.
    unsafe { BorrowedFd::borrow_raw(number) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_program_is_not_given_a_descriptor_that_we_were_given() {
        let file = tempfile::tempfile().unwrap();
        rustix::io::fcntl_setfd(&file, FdFlags::empty()).unwrap();
        let status = close_on_exec(Some(file.as_raw_fd())).unwrap().unwrap();
        for flags in [
            rustix::io::fcntl_getfd(&file).unwrap(),
            rustix::io::fcntl_getfd(&status).unwrap(),
        ] {
            assert_eq!(flags, FdFlags::CLOEXEC);
        }
    }

    #[test]
    fn a_status_descriptor_that_is_not_open_is_refused() {
        assert_eq!(close_on_exec(Some(9_999)).unwrap_err(), Errno::BADF);
        assert_eq!(close_on_exec(Some(-1)).unwrap_err(), Errno::BADF);
    }
}
