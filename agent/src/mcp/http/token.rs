//! The token that clients have to show: read from a file that nobody else can read, or made.
//!
//! It is never printed, only the file's place is.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::digest::Digest;
use data_encoding::HEXLOWER;
use rustix::fs::OFlags;

/// The shortest token, in bytes: as many as 128 bits take in hexadecimal digits.
const SHORTEST: usize = 32;

/// The longest file with a token, in bytes.
const LONGEST: u64 = 4096;

/// The token cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error(
        "others than its owner can read or write `{}` (mode {mode:03o}); make it 600",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is another's, who can change it.
    #[error("`{}` belongs to user {owner}, not to the one who runs this", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// It is no token.
    #[error(
        "`{}` does not hold a token: at least {SHORTEST} bytes of visible ASCII on one line",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
}

/// Returns where the token of the proxy in front of this server lies when nothing else is said.
pub(super) fn usual_place(state: &Path, server: &str) -> PathBuf {
    let is_plain = !server.is_empty()
        && server.len() <= 64
        && server
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let name = if is_plain {
        server.to_owned()
    } else {
        Digest::of(server.as_bytes()).to_hex()
    };
    state.join("mcp-tokens").join(name)
}

/// Reads a token from a file that only its owner can read, and makes both when there is no file.
///
/// # Errors
/// When there is none and none can be made.
pub(super) fn read_or_make(path: &Path) -> Result<String, TokenError> {
    match read(path) {
        Err(TokenError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(path)?;
            read(path)
        }
        other => other,
    }
}

/// Reads a token from a file that only its owner can read.
///
/// # Errors
/// When there is none in it, or others can read it.
pub(super) fn read(path: &Path) -> Result<String, TokenError> {
    let failed = |source| TokenError::Read {
        path: path.to_path_buf(),
        source,
    };
    // A named pipe would be waited for.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::Error::other("it is no plain file")));
    }
    let mode = found.mode() & 0o777;
    let path = path.to_path_buf();
    if mode.trailing_zeros() < 6 {
        return Err(TokenError::Open { path, mode });
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && found.uid() != 0 {
        let owner = found.uid();
        return Err(TokenError::Foreign { path, owner });
    }
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(failed_at(&path))?;
    let token = text.trim_end_matches(['\r', '\n']);
    if token.len() >= SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(token.to_owned())
    } else {
        Err(TokenError::Format { path })
    }
}

fn failed_at(path: &Path) -> impl FnOnce(io::Error) -> TokenError {
    let path = path.to_path_buf();
    |source| TokenError::Read { path, source }
}

/// Makes a token of 256 random bits. Who comes second leaves the first one's.
fn make(path: &Path) -> Result<(), TokenError> {
    let failed = |source| TokenError::Write {
        path: path.to_path_buf(),
        source,
    };
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| failed(io::Error::other(error)))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(|error| failed(io::Error::other(error)))?;
    let draft = dir.join(format!(".token-{}", HEXLOWER.encode(&suffix)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    let written = file
        .write_all(format!("{}\n", HEXLOWER.encode(&random)).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path));
    drop(std::fs::remove_file(&draft));
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_is_long_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read(&path)
        };
        assert_eq!(write(&format!("{TOKEN}\n"), 0o600).unwrap(), TOKEN);
        for text in ["", "short", "0123456789abcdef 0123456789abcdef", "\n"] {
            assert!(matches!(write(text, 0o600), Err(TokenError::Format { .. })));
        }
        for mode in [0o640, 0o604, 0o620] {
            assert!(matches!(write(TOKEN, mode), Err(TokenError::Open { .. })));
        }
        let directory = dir.path().join("directory");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(read(&directory), Err(TokenError::Read { .. })));
    }

    #[test]
    fn a_token_that_is_not_there_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = usual_place(dir.path(), "db");
        assert_eq!(path, dir.path().join("mcp-tokens/db"));
        let token = read_or_make(&path).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(read_or_make(&path).unwrap(), token);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let other = usual_place(dir.path(), "another");
        assert_ne!(read_or_make(&other).unwrap(), token);
    }

    #[test]
    fn a_file_that_is_no_token_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            read_or_make(&path),
            Err(TokenError::Format { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn no_name_of_a_server_leads_out_of_the_directory() {
        for name in ["../x", "a/b", "", ".", "http://127.0.0.1:1/mcp"] {
            let place = usual_place(Path::new("/s"), name);
            assert_eq!(place.parent(), Some(Path::new("/s/mcp-tokens")), "{name}");
            assert!(place.components().all(|part| part.as_os_str() != ".."));
        }
    }
}
