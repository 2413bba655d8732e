//! Where the daemon's socket, the log's key and our own files are.
//!
//! The daemon's places come from [`Layout`]. Our own are the user's: tickets and kept heads lie in
//! `COUNTERSIGN_STATE`, or else in `countersign` below the XDG state directory.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use countersign_shared::home::{Environment, HomeError, Layout};
use countersign_shared::log::note::{KeyError, VerifierKey};

/// The places cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The daemon's places cannot be told.
    #[error("the daemon's home cannot be told")]
    Home(#[source] HomeError),
    /// The current directory is gone or hidden.
    #[error("cannot ask for the current directory")]
    CurrentDirectory {
        /// Why.
        source: io::Error,
    },
    /// A variable must hold an absolute path.
    #[error("`{variable}` must be an absolute path, found `{}`", found.display())]
    NotAbsolute {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        found: PathBuf,
    },
    /// There is no place for tickets and kept heads.
    #[error("`COUNTERSIGN_STATE`, `XDG_STATE_HOME` and `HOME` are unset")]
    NoState,
    /// Without the log's key its heads cannot be checked, and nothing may run.
    #[error(
        "the log's public key is in none of {}",
        looked_at.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    NoLogKey {
        /// The files looked for.
        looked_at: Vec<PathBuf>,
    },
    /// The file does not hold the log's key.
    #[error("`{}` does not hold the log's public key", path.display())]
    LogKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

/// One installation, as a client sees it.
#[derive(Debug, Clone)]
pub struct Place {
    layout: Layout,
    daemon: ExpectedDaemon,
}

/// Whose process must listen at the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedDaemon {
    /// Our own user's, as in user mode.
    Own,
    /// The owner of the directory of the socket.
    OwnerOfDirectory,
}

impl Place {
    /// Finds the installation: that of `--home`, else of the environment, else the system's, else
    /// the user's.
    ///
    /// # Errors
    /// When no place can be told. Whether a daemon runs there is not looked at.
    pub fn find(home: Option<&Path>) -> Result<Self, PlaceError> {
        let current =
            std::env::current_dir().map_err(|source| PlaceError::CurrentDirectory { source })?;
        let [countersign_home, home_dir, config, state, runtime] = [
            "COUNTERSIGN_HOME",
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_RUNTIME_DIR",
        ]
        .map(std::env::var_os);
        let environment = Environment {
            countersign_home: countersign_home.as_deref(),
            home: home_dir.as_deref(),
            xdg_config_home: config.as_deref(),
            xdg_state_home: state.as_deref(),
            xdg_runtime_dir: runtime.as_deref(),
        };
        let candidates =
            Layout::candidates(home, &current, &environment).map_err(PlaceError::Home)?;
        let own = Layout::user(&environment).ok();
        let layout = candidates
            .iter()
            .find(|layout| is_configured(layout))
            .or(candidates.last())
            .ok_or(PlaceError::NoState)?
            .clone();
        let daemon = if own.as_ref() == Some(&layout) {
            ExpectedDaemon::Own
        } else {
            ExpectedDaemon::OwnerOfDirectory
        };
        Ok(Self { layout, daemon })
    }

    /// Returns the directory of the sockets.
    pub fn run_dir(&self) -> &Path {
        self.layout.run_dir()
    }

    /// Returns the agents' socket.
    pub fn agent_socket(&self) -> PathBuf {
        self.layout.agent_socket()
    }

    /// Returns the reviewers' socket.
    pub fn review_socket(&self) -> PathBuf {
        self.layout.review_socket()
    }

    /// Returns all the daemon's places.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Tells whose process must listen there.
    pub const fn daemon(&self) -> ExpectedDaemon {
        self.daemon
    }

    /// Reads the key that the log's heads are signed with.
    ///
    /// An agent may not look into the daemon's state directory in system mode, so the operator's
    /// directory and that of the sockets come first.
    ///
    /// # Errors
    /// When no such file can be read, or it holds something else.
    pub fn log_key(&self) -> Result<VerifierKey, PlaceError> {
        let in_state = self.layout.log_vkey();
        let name = in_state.file_name().unwrap_or(OsStr::new("log.vkey"));
        let files = [
            self.layout.config_dir().join(name),
            self.layout.run_dir().join(name),
            in_state.clone(),
        ];
        for path in &files {
            if let Ok(text) = std::fs::read_to_string(path) {
                return text
                    .trim_end_matches('\n')
                    .parse()
                    .map_err(|source| PlaceError::LogKey {
                        path: path.clone(),
                        source,
                    });
            }
        }
        let mut looked_at = files.to_vec();
        looked_at.dedup();
        Err(PlaceError::NoLogKey { looked_at })
    }
}

/// Tells whether an installation is there. One that we may not look into is.
fn is_configured(layout: &Layout) -> bool {
    match std::fs::symlink_metadata(layout.config_file()) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// Returns the directory of our own files.
///
/// # Errors
/// When the environment does not tell one.
pub fn state_dir() -> Result<PathBuf, PlaceError> {
    choose_state_dir(|variable| std::env::var_os(variable).map(PathBuf::from))
}

fn choose_state_dir(
    variable: impl Fn(&'static str) -> Option<PathBuf>,
) -> Result<PathBuf, PlaceError> {
    for (name, below) in [
        ("COUNTERSIGN_STATE", ""),
        ("XDG_STATE_HOME", "countersign"),
        ("HOME", ".local/state/countersign"),
    ] {
        match variable(name).filter(|path| !path.as_os_str().is_empty()) {
            None => {}
            Some(path) if path.is_absolute() && below.is_empty() => return Ok(path),
            Some(path) if path.is_absolute() => return Ok(path.join(below)),
            Some(found) => {
                return Err(PlaceError::NotAbsolute {
                    variable: name,
                    found,
                });
            }
        }
    }
    Err(PlaceError::NoState)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(variables: &[(&str, &str)]) -> Result<PathBuf, PlaceError> {
        choose_state_dir(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn our_own_variable_wins_then_xdg_then_the_home_directory() {
        let all = [
            ("COUNTERSIGN_STATE", "/c"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(choose(&all).unwrap(), Path::new("/c"));
        assert_eq!(choose(&all[1..]).unwrap(), Path::new("/x/countersign"));
        assert_eq!(
            choose(&all[2..]).unwrap(),
            Path::new("/h/.local/state/countersign")
        );
        assert!(matches!(choose(&[]), Err(PlaceError::NoState)));
    }

    #[test]
    fn a_relative_place_is_refused_rather_than_passed_over() {
        let variables = [("COUNTERSIGN_STATE", "c"), ("HOME", "/h")];
        assert!(matches!(
            choose(&variables),
            Err(PlaceError::NotAbsolute {
                variable: "COUNTERSIGN_STATE",
                ..
            })
        ));
    }
}
