//! Files as a call names them, and as they are on disk.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use countersign_shared::action::{Change, Contents};
use rustix::fs::OFlags;

use super::ChangeError;

/// A file that a call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hook) struct Place {
    /// The path as it was written, made absolute.
    pub(in crate::hook) written: String,
    /// Where it leads, after every link that is there.
    pub(in crate::hook) real: PathBuf,
}

impl Place {
    /// Returns a change of this file.
    pub(super) fn change(&self, before: Option<Contents>, after: Option<Contents>) -> Change {
        Change {
            // It was made of texts and names that were found to be text.
            path: self.real.to_string_lossy().into_owned(),
            before,
            after,
            mode: None,
        }
    }
}

/// Makes a path absolute and follows it as far as it exists.
pub(in crate::hook) fn resolve(path: &str, cwd: &str) -> Result<Place, ChangeError> {
    let wrong = |problem| ChangeError::Path {
        path: path.to_owned(),
        problem,
    };
    if path.is_empty() {
        return Err(wrong("is empty"));
    }
    if path.starts_with('~') {
        return Err(wrong("could mean a home directory or a name"));
    }
    if path.contains('\0') {
        return Err(wrong("holds a NUL"));
    }
    let absolute = Path::new(cwd).join(path);
    if !absolute.is_absolute() {
        return Err(wrong("begins nowhere"));
    }
    let real = follow(&absolute).map_err(|problem| match problem {
        Broken::Because(problem) => wrong(problem),
        Broken::Io(source) => ChangeError::Read {
            path: absolute.clone(),
            source,
        },
    })?;
    if real.to_str().is_none() {
        return Err(wrong("leads to a name that is not UTF-8"));
    }
    let written = absolute
        .to_str()
        .ok_or_else(|| wrong("is not UTF-8"))?
        .to_owned();
    Ok(Place { written, real })
}

enum Broken {
    Because(&'static str),
    Io(io::Error),
}

/// Follows every link of the part of a path that exists; the rest must be plain names.
fn follow(path: &Path) -> Result<PathBuf, Broken> {
    let mut existing = path.to_path_buf();
    let mut rest = Vec::new();
    loop {
        match existing.canonicalize() {
            Ok(real) => {
                return Ok(rest.iter().rev().fold(real, |real, name| real.join(name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Broken::Io(error)),
        }
        // A link that leads nowhere: where a tool would write, only the tool knows.
        if existing.symlink_metadata().is_ok() {
            return Err(Broken::Because("is a link that leads nowhere"));
        }
        match existing.components().next_back() {
            Some(Component::Normal(name)) => rest.push(name.to_owned()),
            _ => {
                return Err(Broken::Because(
                    "goes up from a directory that is not there",
                ));
            }
        }
        if !existing.pop() {
            return Err(Broken::Because("begins nowhere"));
        }
    }
}

/// Reads a file whole; `None` when there is none.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Contents>, ChangeError> {
    let failed = |source| ChangeError::Read {
        path: path.to_path_buf(),
        source,
    };
    // Opening a pipe must not wait for whoever writes it.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ChangeError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(ChangeError::TooLarge {
            path: path.to_path_buf(),
            limit,
        });
    }
    Ok(Some(Contents::of(bytes)))
}

/// Takes a file's contents as text.
pub(super) fn text<'c>(
    path: &Path,
    contents: Option<&'c Contents>,
) -> Result<&'c str, ChangeError> {
    match contents {
        Some(Contents::Text(text)) => Ok(text),
        Some(Contents::Bytes(_)) => Err(ChangeError::NotText {
            path: path.to_path_buf(),
        }),
        None => Err(ChangeError::Absent {
            path: path.to_path_buf(),
        }),
    }
}
