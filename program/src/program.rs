//! The program file: found once, opened once, hashed through the descriptor, and run through it.
//!
//! A name that is looked up twice can lead to two programs. So the descriptor is what is hashed and
//! what is executed; the path is looked at again only to notice that somebody put another file
//! there.
//!
//! The kernel lets nobody write a binary that runs, but a script is read by its interpreter, piece
//! by piece, while anybody may rewrite it. So what is hashed and executed of a script is a sealed
//! copy, and the interpreter is given `/proc/self/fd/N` of that. Which interpreter the first line
//! names is looked up by the kernel and is not part of this; neither is a script that is an argument
//! of an interpreter (`sh deploy.sh`), or what a program reads once it runs.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::digest::Digest;
use rustix::fs::{Access, AtFlags, OFlags};
use sha2::{Digest as _, Sha256};

use crate::sealed::{self, Purpose};

/// The largest script, in bytes: its copy is held in memory.
const LARGEST_SCRIPT: u64 = 64 * 1024 * 1024;

/// There is no such program, or it cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No file of that name.
    #[error("the program `{}` is not found", name.display())]
    NotFound {
        /// The name.
        name: OsString,
    },
    /// There is a file, and it is no program for us.
    #[error("the program `{}` cannot be run: {reason}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The file cannot be read, so nobody can be shown what would run.
    #[error("the program `{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The script cannot be held still.
    #[error("the script `{}` cannot be copied to where nobody can change it", path.display())]
    Seal {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The script is too large to be held still.
    #[error("the script `{}` has more than {LARGEST_SCRIPT} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not the file, or not the contents, that were asked for.
    #[error("the program `{}` changed while the request was pending", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// An opened program.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    file: File,
    digest: Digest,
    script: Option<File>,
}

impl Program {
    /// Finds `name` as `execvp` would, in `search_path` and `cwd`, and opens what it finds.
    ///
    /// # Errors
    /// When there is none, or it is not a file that can be both run and read.
    pub fn open(
        name: &OsStr,
        search_path: Option<&OsStr>,
        cwd: &Path,
    ) -> Result<Self, ProgramError> {
        let found = find(name, search_path, cwd)?;
        let path = found.canonicalize().map_err(|source| ProgramError::Read {
            path: found,
            source,
        })?;
        let read = |source| ProgramError::Read {
            path: path.clone(),
            source,
        };
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path)
            .map_err(read)?;
        if !file.metadata().map_err(read)?.is_file() {
            return Err(ProgramError::NotExecutable {
                path,
                reason: "it is not a file",
            });
        }
        let (digest, is_script) = hash(&file).map_err(read)?;
        let script = is_script.then(|| hold_still(&path, &file)).transpose()?;
        let digest = match &script {
            // What runs is the copy, so the copy is what counts.
            Some(script) => hash(script).map_err(read)?.0,
            None => digest,
        };
        Ok(Self {
            path,
            file,
            digest,
            script,
        })
    }

    /// Returns the absolute path, after every symbolic link.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the digest of the contents.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the file to execute: the one that was opened, or a script's sealed copy.
    pub fn file(&self) -> &File {
        self.script.as_ref().unwrap_or(&self.file)
    }

    /// Tells whether an interpreter will open the file once more, by its descriptor.
    pub const fn is_script(&self) -> bool {
        self.script.is_some()
    }

    /// Hashes the opened file again, and looks whether the path still leads to it.
    ///
    /// # Errors
    /// When either has changed.
    pub fn check(&self) -> Result<(), ProgramError> {
        let changed = || ProgramError::Changed {
            path: self.path.clone(),
        };
        let (digest, _) = hash(&self.file).map_err(|_| changed())?;
        let opened = self.file.metadata().map_err(|_| changed())?;
        let named = std::fs::symlink_metadata(&self.path).map_err(|_| changed())?;
        let is_same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
        if digest == self.digest && is_same {
            Ok(())
        } else {
            Err(changed())
        }
    }
}

/// Finds a file that may be executed.
fn find(name: &OsStr, search_path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, ProgramError> {
    let not_found = || ProgramError::NotFound {
        name: name.to_owned(),
    };
    if name.is_empty() {
        return Err(not_found());
    }
    if name.as_bytes().contains(&b'/') {
        let path = cwd.join(name);
        return match judge(&path) {
            Candidate::Program => Ok(path),
            Candidate::Missing => Err(not_found()),
            Candidate::Other(reason) => Err(ProgramError::NotExecutable { path, reason }),
        };
    }
    let mut passed_over = None;
    for dir in std::env::split_paths(search_path.unwrap_or_default()) {
        // An empty part of PATH means the current directory, as it does for a shell.
        let path = cwd.join(dir).join(name);
        match judge(&path) {
            Candidate::Program => return Ok(path),
            Candidate::Missing => {}
            Candidate::Other(reason) => {
                passed_over.get_or_insert(ProgramError::NotExecutable { path, reason });
            }
        }
    }
    Err(passed_over.unwrap_or_else(not_found))
}

enum Candidate {
    Program,
    Missing,
    Other(&'static str),
}

fn judge(path: &Path) -> Candidate {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Candidate::Other("permission denied")
        }
        Err(_) => Candidate::Missing,
        Ok(found) if !found.is_file() => Candidate::Other("it is not a file"),
        Ok(_) => {
            let flags = AtFlags::EACCESS;
            match rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, flags) {
                Ok(()) => Candidate::Program,
                Err(_) => Candidate::Other("it is not executable"),
            }
        }
    }
}

/// Copies a script to where nobody can change it.
fn hold_still(path: &Path, file: &File) -> Result<File, ProgramError> {
    let failed = |source| ProgramError::Seal {
        path: path.to_path_buf(),
        source,
    };
    let mut reader = file.try_clone().map_err(failed)?;
    reader.rewind().map_err(failed)?;
    let most = LARGEST_SCRIPT.saturating_add(1);
    let copy = sealed::copy(Purpose::Script, &mut reader.take(most)).map_err(failed)?;
    if copy.metadata().map_err(failed)?.len() > LARGEST_SCRIPT {
        return Err(ProgramError::TooLarge {
            path: path.to_path_buf(),
        });
    }
    Ok(copy)
}

/// Hashes a file from its beginning and tells whether it is a script.
fn hash(file: &File) -> io::Result<(Digest, bool)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut offset = 0;
    let mut is_script = false;
    loop {
        let count = file.read_at(&mut buffer, offset)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        is_script = is_script || (offset == 0 && read.starts_with(b"#!"));
        hasher.update(read);
        offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok((Digest::from_bytes(hasher.finalize().into()), is_script))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn dir() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        (dir, path)
    }

    fn open(name: &str, search_path: &Path, cwd: &Path) -> Result<Program, ProgramError> {
        Program::open(name.as_ref(), Some(search_path.as_os_str()), cwd)
    }

    #[test]
    fn a_link_is_followed_once_and_shown_as_what_it_leads_to() {
        let (_dir, path) = dir();
        write(&path.join("real"), "#!/bin/sh\n", 0o755);
        symlink(path.join("real"), path.join("tool")).unwrap();
        let program = open("tool", &path, Path::new("/")).unwrap();
        assert_eq!(program.path(), path.join("real"));
        assert_eq!(program.digest(), Digest::of(b"#!/bin/sh\n"));
        assert!(program.is_script());
        program.check().unwrap();
    }

    #[test]
    fn the_search_passes_over_what_cannot_run() {
        let (_dir, path) = dir();
        for name in ["a", "b", "c"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        fs::create_dir(path.join("a/tool")).unwrap();
        write(&path.join("b/tool"), "not for us", 0o644);
        write(&path.join("c/tool"), "\u{7f}ELF", 0o755);
        let search = std::env::join_paths(["a", "b", "c"].map(|name| path.join(name))).unwrap();
        let program = Program::open("tool".as_ref(), Some(&search), Path::new("/")).unwrap();
        assert_eq!(program.path(), path.join("c/tool"));
        assert!(!program.is_script());
    }

    #[test]
    fn what_is_missing_and_what_cannot_run_are_told_apart() {
        let (_dir, path) = dir();
        write(&path.join("plain"), "x", 0o644);
        let error = open("plain", &path, &path).unwrap_err();
        assert!(
            matches!(error, ProgramError::NotExecutable { .. }),
            "{error}"
        );
        for name in ["absent", "./absent", ""] {
            let error = open(name, &path, &path).unwrap_err();
            assert!(
                matches!(error, ProgramError::NotFound { .. }),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn a_name_with_a_slash_is_never_searched_for() {
        let (_dir, path) = dir();
        write(&path.join("tool"), "\u{7f}ELF", 0o755);
        let program = open("./tool", Path::new("/nowhere"), &path).unwrap();
        assert_eq!(program.path(), path.join("tool"));
    }

    #[test]
    fn contents_written_in_place_are_noticed() {
        let (_dir, path) = dir();
        write(&path.join("tool"), "#!/bin/sh\necho safe\n", 0o755);
        let program = open("tool", &path, &path).unwrap();
        fs::write(path.join("tool"), "#!/bin/sh\necho evil\n").unwrap();
        assert!(matches!(program.check(), Err(ProgramError::Changed { .. })));
    }

    #[test]
    fn another_file_under_the_same_name_is_noticed() {
        let (_dir, path) = dir();
        write(&path.join("tool"), "#!/bin/sh\n", 0o755);
        let program = open("tool", &path, &path).unwrap();
        // The same contents: only the file is another one.
        write(&path.join("other"), "#!/bin/sh\n", 0o755);
        fs::rename(path.join("other"), path.join("tool")).unwrap();
        assert!(matches!(program.check(), Err(ProgramError::Changed { .. })));
        fs::remove_file(path.join("tool")).unwrap();
        assert!(matches!(program.check(), Err(ProgramError::Changed { .. })));
    }

    #[test]
    fn a_script_is_executed_from_a_copy_that_follows_no_rewriting() {
        let (_dir, path) = dir();
        write(&path.join("tool"), "#!/bin/sh\necho safe\n", 0o755);
        let program = open("tool", &path, &path).unwrap();
        fs::write(path.join("tool"), "#!/bin/sh\necho evil\n").unwrap();
        let mut text = String::new();
        program.file().read_to_string(&mut text).unwrap();
        assert_eq!(text, "#!/bin/sh\necho safe\n");
        assert_eq!(program.digest(), Digest::of(text.as_bytes()));
        assert!(program.is_script());
    }

    #[test]
    fn a_script_that_is_too_large_to_hold_still_is_not_run() {
        let (_dir, path) = dir();
        write(&path.join("tool"), "#!/bin/sh\n", 0o755);
        let file = OpenOptions::new().write(true).open(path.join("tool"));
        file.unwrap().set_len(LARGEST_SCRIPT + 1).unwrap();
        let error = open("tool", &path, &path).unwrap_err();
        assert!(matches!(error, ProgramError::TooLarge { .. }), "{error}");
    }
}
