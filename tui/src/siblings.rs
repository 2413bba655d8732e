//! The other programs of this installation: beside this program's own file, never on `PATH`.

use std::io;
use std::path::PathBuf;

/// A program of the installation is not there.
#[derive(Debug, thiserror::Error)]
pub enum SiblingError {
    /// Where this program itself is cannot be told.
    #[error("cannot tell where this program is")]
    Own(#[source] io::Error),
    /// There is no such program beside this one.
    #[error("`{name}` is not beside this program, at `{}`; install them together", path.display())]
    Missing {
        /// The program.
        name: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
}

/// Returns the path of a program beside this one.
pub fn sibling(name: &'static str) -> Result<PathBuf, SiblingError> {
    let own = std::env::current_exe().map_err(SiblingError::Own)?;
    let path = own.with_file_name(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(SiblingError::Missing { name, path })
    }
}
