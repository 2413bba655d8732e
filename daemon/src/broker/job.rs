//! What the daemon and the warden tell each other. Both are one program of one version, so the form is
//! private.
//!
//! The job lies in a sealed file without a name: it holds secrets, which so stand in no argument
//! vector, no environment but the program's own, and no file that could be opened later.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};

use countersign_program::sealed::{self, Purpose};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Who the program runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The user.
    pub(crate) uid: u32,
    /// The primary group.
    pub(crate) gid: u32,
    /// The further groups.
    pub(crate) groups: Vec<u32>,
}

/// A limit of the kernel's (setrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Resource {
    /// Seconds of processors.
    Cpu,
    /// Bytes of address space.
    Memory,
    /// Bytes of one file.
    Filesize,
    /// Open files.
    Files,
    /// Processes of the user.
    Processes,
}

/// A private file of the run.
#[derive(Serialize, Deserialize)]
pub(super) struct PrivateFile {
    /// Its name in the temporary directory.
    pub(super) name: String,
    contents: String,
}

/// What is to be run, and how.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
    /// The user to become; the daemon's own where nothing is said.
    pub(super) identity: Option<Identity>,
    /// The limits.
    pub(super) limits: Vec<(Resource, u64)>,
    /// Whether an interpreter opens the program once more, by its descriptor.
    pub(super) is_script: bool,
    /// The path of the temporary directory to make, if the run has one.
    pub(super) temporary: Option<String>,
    /// What lies in it.
    pub(super) files: Vec<PrivateFile>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job(…)")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;

        self.argv.zeroize();
        self.environment.values_mut().for_each(String::zeroize);
        for file in &mut self.files {
            file.contents.zeroize();
        }
    }
}

impl Job {
    /// Begins a job.
    pub(super) fn new(argv: &[Zeroizing<Vec<u8>>]) -> Self {
        Self {
            argv: argv
                .iter()
                .map(|argument| BASE64.encode(argument))
                .collect(),
            environment: BTreeMap::new(),
            identity: None,
            limits: Vec::new(),
            is_script: false,
            temporary: None,
            files: Vec::new(),
        }
    }

    /// Sets a variable.
    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        self.environment
            .insert(name.to_owned(), BASE64.encode(value));
    }

    /// Adds a private file.
    pub(super) fn add_file(&mut self, name: &str, contents: &[u8]) {
        self.files.push(PrivateFile {
            name: name.to_owned(),
            contents: BASE64.encode(contents),
        });
    }

    /// Returns the argument vector.
    pub(super) fn argv(&self) -> io::Result<Vec<Vec<u8>>> {
        self.argv.iter().map(|text| decode(text)).collect()
    }

    /// Returns the environment.
    pub(super) fn environment(&self) -> io::Result<Vec<(&str, Vec<u8>)>> {
        let variables = self.environment.iter();
        variables
            .map(|(name, text)| Ok((name.as_str(), decode(text)?)))
            .collect()
    }

    /// Writes the job into a file that nobody can change or find.
    pub(super) fn seal(&self) -> io::Result<File> {
        let text = Zeroizing::new(serde_json::to_vec(self)?);
        sealed::copy(Purpose::Input, &mut text.as_slice())
    }

    /// Reads a job.
    pub(super) fn read(mut file: &File) -> io::Result<Self> {
        let mut text = Zeroizing::new(Vec::new());
        file.read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

impl PrivateFile {
    /// Returns what is to lie in it.
    pub(super) fn contents(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        decode(&self.contents).map(Zeroizing::new)
    }
}

fn decode(text: &str) -> io::Result<Vec<u8>> {
    BASE64.decode(text.as_bytes()).map_err(io::Error::other)
}

/// What the warden tells the daemon, one line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Told {
    /// The program runs.
    Started {
        /// Its process.
        pid: u32,
    },
    /// Nothing ran.
    NotStarted {
        /// Why.
        because: String,
    },
    /// The program has ended.
    Ended {
        /// Its exit code.
        exit: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// Nothing is left of it.
    Cleared,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_as_it_was_sealed_and_shows_nothing_of_itself() {
        let argv = [b"tool".to_vec(), vec![0xff, b'\n']].map(Zeroizing::new);
        let mut job = Job::new(&argv);
        job.set("TOKEN", b"hunter2");
        job.add_file("KEY", b"-----BEGIN");
        job.limits = vec![(Resource::Cpu, 5)];
        let read = Job::read(&job.seal().unwrap()).unwrap();
        assert_eq!(read.argv().unwrap(), argv.map(|argument| argument.to_vec()));
        assert_eq!(
            read.environment().unwrap(),
            [("TOKEN", b"hunter2".to_vec())]
        );
        assert_eq!(read.files[0].contents().unwrap().as_slice(), b"-----BEGIN");
        assert_eq!(read.limits, [(Resource::Cpu, 5)]);
        assert_eq!(format!("{read:?}"), "Job(…)");
    }
}
