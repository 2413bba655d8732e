//! Standard input, read to its end before anybody is asked: it can carry the real command.
//!
//! A terminal and `/dev/null` give the program nothing; a pipe, a socket or a file is read whole
//! and given to the program as bytes that can no longer change. Other devices are refused: they
//! have no end.

use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd as _;
use std::process::Stdio;

use countersign_program::sealed::{self, Purpose};
use countersign_shared::action::Contents;
use rustix::fs::FileType;

/// Standard input cannot be what a program is given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// It cannot be read.
    #[error("standard input cannot be read")]
    Read(#[source] io::Error),
    /// It is larger than an action may be.
    #[error("standard input has more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// How many were read.
        found: usize,
    },
    /// It is a device.
    #[error("standard input is a device, which has no end")]
    Device,
    /// The copy for the program cannot be made.
    #[error("standard input cannot be handed on")]
    Copy(#[source] io::Error),
}

/// Tells whether our own standard input has something to read. Does not wait for it.
///
/// # Errors
/// When it has no end.
pub(crate) fn is_there() -> Result<bool, InputError> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(false);
    }
    let stat = rustix::fs::fstat(stdin.as_fd()).map_err(|errno| InputError::Read(errno.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice if is_null(stat.st_rdev) => Ok(false),
        FileType::CharacterDevice | FileType::BlockDevice => Err(InputError::Device),
        FileType::RegularFile
        | FileType::Fifo
        | FileType::Socket
        | FileType::Directory
        | FileType::Symlink
        | FileType::Unknown => Ok(true),
    }
}

/// Reads our own standard input, at most `limit` bytes.
///
/// # Errors
/// When it cannot be read to its end within the limit.
pub(crate) fn read(limit: usize) -> Result<Contents, InputError> {
    read_all(io::stdin().lock(), limit)
}

/// Tells whether a device is `/dev/null`.
fn is_null(device: u64) -> bool {
    rustix::fs::major(device) == 1 && rustix::fs::minor(device) == 3
}

fn read_all(from: impl Read, limit: usize) -> Result<Contents, InputError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    from.take(most)
        .read_to_end(&mut bytes)
        .map_err(InputError::Read)?;
    if bytes.len() > limit {
        return Err(InputError::TooLarge {
            limit,
            found: bytes.len(),
        });
    }
    Ok(Contents::of(bytes))
}

/// Makes the program's standard input.
///
/// # Errors
/// When the copy cannot be made.
pub(crate) fn hand_on(contents: Option<&Contents>) -> Result<Stdio, InputError> {
    let Some(contents) = contents else {
        return Ok(Stdio::null());
    };
    sealed::copy(Purpose::Input, &mut contents.as_bytes())
        .map(Stdio::from)
        .map_err(InputError::Copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused_and_not_cut() {
        let bytes = [b'x'; 11];
        assert_eq!(
            read_all(&bytes[..10], 10).unwrap(),
            Contents::Text("x".repeat(10))
        );
        let error = read_all(&bytes[..], 10).unwrap_err();
        assert!(matches!(
            error,
            InputError::TooLarge {
                limit: 10,
                found: 11
            }
        ));
    }

    #[test]
    fn an_input_without_bytes_is_not_the_same_as_none() {
        assert_eq!(
            read_all(io::empty(), 10).unwrap(),
            Contents::Text(String::new())
        );
    }
}
