//! Bytes that nobody can change any more, as a file: a sealed memfd.
//!
//! What was hashed is copied here once and then handed to another program. A file in a directory can
//! be rewritten in place by whoever may write it, also while somebody reads it piece by piece; this
//! one cannot, by anybody. Where the kernel does not seal, there is no file: an unsealed copy is
//! never returned.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// What the copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be read; it can never be executed.
    Input,
    /// To be executed by its descriptor.
    Script,
}

impl Purpose {
    /// Returns the name that the kernel shows, and what it says about executing.
    const fn flags(self) -> (&'static str, MemfdFlags) {
        match self {
            Self::Input => ("stdin", MemfdFlags::NOEXEC_SEAL),
            Self::Script => ("script", MemfdFlags::EXEC),
        }
    }
}

/// Copies everything that `from` gives into a file that can no longer change, open for reading only,
/// from its beginning.
///
/// # Errors
/// When it cannot be read, copied or sealed.
pub fn copy(purpose: Purpose, from: &mut impl Read) -> io::Result<File> {
    let mut draft = create(purpose)?;
    io::copy(from, &mut draft)?;
    draft.flush()?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&draft, seals)?;
    if !rustix::fs::fcntl_get_seals(&draft)?.contains(seals) {
        return Err(io::Error::other("the kernel did not seal the copy"));
    }
    // The kernel executes no file that is open for writing.
    OpenOptions::new().read(true).open(crate::through(&draft))
}

fn create(purpose: Purpose) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let (name, executing) = purpose.flags();
    match rustix::fs::memfd_create(name, flags | executing) {
        // Kernels before 6.3 do not know the distinction, and all their copies can be executed.
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?.into()),
        created => Ok(created?.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn the_copy_can_be_read_and_never_changed() {
        for purpose in [Purpose::Input, Purpose::Script] {
            let mut file = copy(purpose, &mut b"select 1".as_slice()).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "select 1");
            // Its owner may open it for writing, and still not write.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let mut writable = OpenOptions::new().write(true).open(path).unwrap();
            writable.write_all(b"drop").unwrap_err();
            writable.set_len(0).unwrap_err();
            writable.set_len(100).unwrap_err();
            rustix::fs::fcntl_add_seals(&writable, SealFlags::FUTURE_WRITE).unwrap_err();
        }
    }

    #[test]
    fn a_copy_that_could_not_be_made_whole_is_none() {
        struct Breaks;
        impl io::Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        copy(Purpose::Script, &mut b"#!".chain(Breaks)).unwrap_err();
    }
}
