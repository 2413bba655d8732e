//! What a call would change in files: their contents before, as they are on disk now, and after, as
//! the client's tool would leave them.
//!
//! The contents before stand in the action whole, so the request is bound to them: a file that is
//! another one by the time of the approval makes another action. What a tool would do that cannot be
//! told from here (a text that occurs twice, mixed line ends) is not guessed: such a call is denied
//! with the reason, which its agent can act on.

mod edit;
mod file;
mod heredoc;
mod notebook;
mod patch;
mod seek;
mod work;

use std::io;
use std::path::PathBuf;

use countersign_shared::action::{Change, Contents};

pub(super) use edit::Replacement;
pub(super) use file::resolve;
pub(super) use notebook::{CellChange, NotebookEdit};

/// What a call would change cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    /// A path that could mean several files.
    #[error("the path `{path}` {problem}; name the file by its absolute path")]
    Path {
        /// The path, as it was written.
        path: String,
        /// Why not.
        problem: &'static str,
    },
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, or no file.
    #[error("`{}` is not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than a request may be.
    #[error("`{}` has more than {limit} bytes, which is the most that can be shown", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is no such file.
    #[error("`{}` does not exist", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// There is such a file.
    #[error("`{}` exists and is not empty", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// More than a person could be shown, or than can be told in time.
    #[error("what it would change is too much to show; make the change in smaller parts")]
    TooMuch,
    /// A text edit of something that is no text.
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The text to be replaced is not there.
    #[error("the text to replace does not occur in `{}` as it is on disk", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The text to be replaced is there more than once, or another number of times than expected.
    #[error("the text to replace occurs {found} times in `{}`, and not {expected}", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// How often it occurs.
        found: usize,
        /// How often it should.
        expected: u64,
    },
    /// Replacing a text by itself.
    #[error("the text to replace in `{}` and the new one are the same", path.display())]
    Same {
        /// The file.
        path: PathBuf,
    },
    /// Line ends that tools treat differently.
    #[error("`{}` has both kinds of line ends, and what would be written cannot be told", path.display())]
    LineEnds {
        /// The file.
        path: PathBuf,
    },
    /// The patch is none.
    #[error("line {line} of the patch {problem}")]
    Patch {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The patch does not fit the file.
    #[error("the patch does not fit `{}`: {what} is not there: `{text}`", path.display())]
    DoesNotFit {
        /// The file.
        path: PathBuf,
        /// What is not there.
        what: &'static str,
        /// Its first line.
        text: String,
    },
    /// One file is changed twice by one patch.
    #[error("the patch changes `{}` twice", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
    },
    /// The notebook is none, or has no such cell.
    #[error("the notebook `{}` {problem}", path.display())]
    Notebook {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Where files are looked for, and how much of them is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workspace<'w> {
    /// The directory that relative paths begin at.
    pub(super) cwd: &'w str,
    /// The largest file, in bytes.
    pub(super) limit: usize,
}

impl Workspace<'_> {
    /// Returns what giving a file new contents would change.
    pub(super) fn write(&self, path: &str, contents: &str) -> Result<Change, ChangeError> {
        let place = resolve(path, self.cwd)?;
        let before = file::read(&place.real, self.limit)?;
        Ok(place.change(before, Some(Contents::Text(contents.to_owned()))))
    }

    /// Returns what replacing texts would change.
    pub(super) fn edit(
        &self,
        path: &str,
        replacements: &[Replacement],
    ) -> Result<Change, ChangeError> {
        let place = resolve(path, self.cwd)?;
        let before = file::read(&place.real, self.limit)?;
        let after = edit::apply(&place.real, before.as_ref(), replacements, self.limit)?;
        Ok(place.change(before, Some(Contents::Text(after))))
    }

    /// Returns what a patch would change.
    pub(super) fn patch(&self, text: &str) -> Result<Vec<Change>, ChangeError> {
        patch::apply(&patch::read(text)?, self)
    }

    /// Returns what a patch in a shell's text would change, if that is all the text does.
    pub(super) fn patch_in_shell(&self, command: &str) -> Result<Option<Vec<Change>>, ChangeError> {
        let Some(found) = heredoc::find(command) else {
            return Ok(None);
        };
        let cwd = match &found.directory {
            Some(directory) => resolve(directory, self.cwd)?.written,
            None => self.cwd.to_owned(),
        };
        let inner = Workspace { cwd: &cwd, ..*self };
        inner.patch(&found.body).map(Some)
    }

    /// Returns what would change in a notebook.
    pub(super) fn notebook(&self, edit: &NotebookEdit) -> Result<CellChange, ChangeError> {
        let place = resolve(&edit.path, self.cwd)?;
        let before = file::read(&place.real, self.limit)?;
        notebook::change(&place.real, before.as_ref(), edit)
    }
}

#[cfg(test)]
mod tests;
