//! Everything a run depends on, taken once, before anybody is asked.
//!
//! The action is written from what was taken, and what was taken is what runs: the same argv, the
//! opened program, the opened directory, the same variables, the same input. The action can be
//! written again at any time; it differs when, and only when, something changed under it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use countersign_program::directory::{Directory, DirectoryError};
use countersign_program::program::{Program, ProgramError};
use countersign_shared::action::{
    ActionBuilder, ActionError, Contents, Program as Described, Text,
};
use countersign_shared::limits::Limits;

use super::input::InputError;
use crate::cli::RunOptions;

/// The variables that are passed on without being named.
const PASSED_ON: [&str; 8] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TERM",
];

/// The run cannot be described, so nobody can be asked about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Standard input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A path that no reviewer could be shown as it is.
    #[error("the path `{}` is not UTF-8", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// `--env` names a variable that is not there.
    #[error("the variable `{name}` is not set")]
    Unset {
        /// The variable.
        name: String,
    },
    /// The action does not satisfy the schema, or is too large.
    #[error("the command cannot be asked for")]
    Action(#[source] ActionError),
}

/// What a run depends on.
#[derive(Debug)]
pub(super) struct Capture {
    argv: Vec<OsString>,
    program: Program,
    directory: Directory,
    environment: BTreeMap<String, OsString>,
    input: Option<Contents>,
    target: (String, String),
    claims: Vec<(&'static str, String)>,
}

impl Capture {
    /// Takes everything but standard input, which `input` is.
    ///
    /// # Errors
    /// When something is missing or cannot be read.
    pub(super) fn take(
        options: &RunOptions,
        variables: impl Iterator<Item = (OsString, OsString)>,
        input: Option<Contents>,
    ) -> Result<Self, CaptureError> {
        let environment = select(variables, &options.environment)?;
        let directory = Directory::open(options.cwd.as_deref().unwrap_or(Path::new(".")))?;
        let search_path = environment.get("PATH").map(OsString::as_os_str);
        let name = options.command.first().map_or(OsStr::new(""), |name| name);
        let program = Program::open(name, search_path, directory.path())?;
        let target = options.target.clone().unwrap_or_else(host);
        let claims = [("agent", &options.agent), ("reason", &options.reason)];
        Ok(Self {
            argv: options.command.clone(),
            program,
            directory,
            environment,
            input,
            target: (options.target_kind.clone(), target),
            claims: claims
                .into_iter()
                .filter_map(|(name, text)| Some((name, text.clone()?)))
                .collect(),
        })
    }

    /// Writes the action, from what would be used now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn action(&self, limits: &Limits) -> Result<Vec<u8>, CaptureError> {
        let argv = self
            .argv
            .iter()
            .map(|argument| Text::from_bytes(argument.as_bytes().to_vec()))
            .collect();
        let program = Described {
            path: text(self.program.path())?.to_owned(),
            digest: self.program.digest(),
        };
        let (kind, name) = &self.target;
        let mut action = ActionBuilder::exec(kind, name, argv, &program, self.input.as_ref())
            .cwd(text(self.directory.path())?);
        for (name, value) in &self.environment {
            action = action.environment(name, Text::from_bytes(value.as_bytes().to_vec()));
        }
        for (name, text) in &self.claims {
            action = action.claim(name, text);
        }
        action.build(limits).map_err(CaptureError::Action)
    }

    /// Looks whether program and directory are still the ones that were taken. The rest is held in
    /// memory.
    ///
    /// # Errors
    /// When one has changed.
    pub(super) fn check(&self) -> Result<(), CaptureError> {
        self.program.check()?;
        Ok(self.directory.check()?)
    }

    /// Returns the argument vector.
    pub(super) fn argv(&self) -> &[OsString] {
        &self.argv
    }

    /// Returns the program.
    pub(super) const fn program(&self) -> &Program {
        &self.program
    }

    /// Returns the directory.
    pub(super) const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Returns the whole environment.
    pub(super) const fn environment(&self) -> &BTreeMap<String, OsString> {
        &self.environment
    }

    /// Returns the input.
    pub(super) const fn input(&self) -> Option<&Contents> {
        self.input.as_ref()
    }
}

fn text(path: &Path) -> Result<&str, CaptureError> {
    path.to_str().ok_or_else(|| CaptureError::NotText {
        path: path.to_path_buf(),
    })
}

/// Picks the variables that are passed on; all others are not.
fn select(
    variables: impl Iterator<Item = (OsString, OsString)>,
    named: &[String],
) -> Result<BTreeMap<String, OsString>, CaptureError> {
    let selected: BTreeMap<String, OsString> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| {
            PASSED_ON.contains(&name.as_str()) || name.starts_with("LC_") || named.contains(name)
        })
        .collect();
    match named.iter().find(|name| !selected.contains_key(*name)) {
        Some(name) => Err(CaptureError::Unset { name: name.clone() }),
        None => Ok(selected),
    }
}

/// Returns this host's name.
fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
