//! Where files go: a directory that was not there before.
//!
//! Nothing is overwritten. A file that could not be written to its end is an error at
//! [`SinkFile::close`], never silence.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that is being written.
pub trait SinkFile: Write {
    /// Ends the file; an error means that it is not whole.
    ///
    /// # Errors
    ///
    /// When what is still to be written cannot be.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// A place for files with relative names, `/` between their parts.
pub trait Sink {
    /// Begins a file that is not there yet.
    ///
    /// # Errors
    ///
    /// When it is there already, or cannot be made.
    fn begin(&mut self, name: &str) -> io::Result<Box<dyn SinkFile>>;
}

/// A directory of the file system.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Makes the directory, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// When something of that name is there already, or it cannot be made.
    pub fn create(root: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().mode(0o700).create(root)?;
        Ok(Self {
            root: root.to_owned(),
        })
    }
}

impl Sink for Directory {
    fn begin(&mut self, name: &str) -> io::Result<Box<dyn SinkFile>> {
        if !is_plain(name) {
            let problem = format!(
                "`{}` is not a name below a directory",
                name.escape_default()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(Stored(BufWriter::new(file))))
    }
}

/// Tells whether a name stays below the directory it is joined to.
pub(crate) fn is_plain(name: &str) -> bool {
    name.split('/').all(|part| {
        !matches!(part, "" | "." | "..") && !part.chars().any(|c| c.is_control() || c == '\\')
    })
}

struct Stored(BufWriter<File>);

impl Write for Stored {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl SinkFile for Stored {
    fn close(mut self: Box<Self>) -> io::Result<()> {
        // Not synced to the disk: whoever needs the files after a power cut makes them again.
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_or_file_that_is_there_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("pack");
        let mut directory = Directory::create(&root).unwrap();
        let mut file = directory.begin("a/b").unwrap();
        file.write_all(b"text").unwrap();
        file.close().unwrap();
        assert_eq!(fs::read(root.join("a/b")).unwrap(), b"text");
        assert!(directory.begin("a/b").is_err());
        assert!(Directory::create(&root).is_err());
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        let mut directory = Directory::create(&parent.path().join("pack")).unwrap();
        for name in ["../x", "/etc/x", "a/../../x", "", "a//b", ".", "a\nb"] {
            assert!(directory.begin(name).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
