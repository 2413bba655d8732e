//! Where the files of one installation are. Paths only: nothing here touches a file system.
//!
//! `--home DIR` (or `COUNTERSIGN_HOME`) puts everything into one directory. Without it user mode
//! follows the XDG base directories and system mode the usual places. Daemon, console and agent all
//! find the same paths by calling [`Layout::candidates`] with the same arguments.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The longest path that fits a socket address on Linux, without its final NUL.
pub const SOCKET_PATH_LIMIT: usize = 107;

/// The name of our directory below `/etc`, `/run` and the XDG directories.
const NAME: &str = "countersign";

/// The places cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeError {
    /// A variable must hold an absolute path: a relative one means another place for each program.
    #[error("`{variable}` must be an absolute path, found `{}`", found.escape_debug())]
    NotAbsolute {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        found: String,
    },
    /// There is neither an XDG variable nor a home directory to start from.
    #[error("`{0}` and `HOME` are unset, so pass `--home DIR`")]
    NoHome(&'static str),
    /// The socket's path does not fit into a socket address.
    #[error(
        "the socket path `{}` has {found} bytes, the limit is {SOCKET_PATH_LIMIT}, so choose a \
         shorter `--home`",
        path.escape_debug()
    )]
    SocketPathTooLong {
        /// The path.
        path: String,
        /// Its length in bytes.
        found: usize,
    },
}

/// Who shares the machine with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One person, one uid.
    User,
    /// Agents, reviewers and daemon are different OS users.
    System,
}

/// The environment variables that decide, as the program found them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment<'a> {
    /// `COUNTERSIGN_HOME`.
    pub countersign_home: Option<&'a OsStr>,
    /// `HOME`.
    pub home: Option<&'a OsStr>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<&'a OsStr>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<&'a OsStr>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<&'a OsStr>,
}

/// The directories of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    config: PathBuf,
    state: PathBuf,
    run: PathBuf,
}

impl Layout {
    /// Returns everything in one directory, as `--home` wants it.
    ///
    /// # Errors
    /// When a socket below it would not fit into a socket address.
    pub fn at(home: &Path) -> Result<Self, HomeError> {
        Self {
            config: home.to_path_buf(),
            state: home.to_path_buf(),
            run: home.join("run"),
        }
        .fitting()
    }

    /// Returns the places of system mode.
    pub fn system() -> Self {
        Self {
            config: Path::new("/etc").join(NAME),
            state: Path::new("/var/lib").join(NAME),
            run: Path::new("/run").join(NAME),
        }
    }

    /// Returns the places of user mode. Without `XDG_RUNTIME_DIR` the sockets live in `run` below
    /// the state directory, which is as private.
    ///
    /// # Errors
    /// When a variable is relative, none is set, or a socket path is too long.
    pub fn user(environment: &Environment<'_>) -> Result<Self, HomeError> {
        let config = base(
            ("XDG_CONFIG_HOME", environment.xdg_config_home),
            environment.home,
            ".config",
        )?;
        let state = base(
            ("XDG_STATE_HOME", environment.xdg_state_home),
            environment.home,
            ".local/state",
        )?;
        let run = match absolute("XDG_RUNTIME_DIR", environment.xdg_runtime_dir)? {
            Some(runtime) => runtime.join(NAME),
            None => state.join("run"),
        };
        Self { config, state, run }.fitting()
    }

    /// Returns the places to look for `countersign.toml`, in order; the first that has one counts.
    ///
    /// `option` is `--home`, joined to `current_dir` when relative; it wins over the environment.
    /// With neither, the system's comes before the user's: an account cannot put its own daemon
    /// before the one the machine's owner installed without saying `--home`.
    ///
    /// # Errors
    /// When the environment does not tell a place.
    pub fn candidates(
        option: Option<&Path>,
        current_dir: &Path,
        environment: &Environment<'_>,
    ) -> Result<Vec<Self>, HomeError> {
        if let Some(home) = option {
            return Ok(vec![Self::at(&current_dir.join(home))?]);
        }
        if let Some(home) = absolute("COUNTERSIGN_HOME", environment.countersign_home)? {
            return Ok(vec![Self::at(&home)?]);
        }
        Ok(vec![Self::system(), Self::user(environment)?])
    }

    fn fitting(self) -> Result<Self, HomeError> {
        for socket in [self.agent_socket(), self.review_socket()] {
            let found = socket.as_os_str().len();
            if found > SOCKET_PATH_LIMIT {
                return Err(HomeError::SocketPathTooLong {
                    path: socket.to_string_lossy().into_owned(),
                    found,
                });
            }
        }
        Ok(self)
    }

    /// Where the operator's files are.
    pub fn config_dir(&self) -> &Path {
        &self.config
    }

    /// Where the daemon's own files are.
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// Where the sockets are.
    pub fn run_dir(&self) -> &Path {
        &self.run
    }

    /// Tells whether operator's and daemon's files share one directory.
    pub fn is_one_directory(&self) -> bool {
        self.config == self.state
    }

    /// `countersign.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("countersign.toml")
    }

    /// `reviewers.toml`.
    pub fn reviewers_file(&self) -> PathBuf {
        self.config.join("reviewers.toml")
    }

    /// `targets.toml`.
    pub fn targets_file(&self) -> PathBuf {
        self.config.join("targets.toml")
    }

    /// `profiles.toml`, where the daemon runs something itself.
    pub fn profiles_file(&self) -> PathBuf {
        self.config.join("profiles.toml")
    }

    /// `kinds.toml`, where there are kinds of one's own.
    pub fn kinds_file(&self) -> PathBuf {
        self.config.join("kinds.toml")
    }

    /// The directory of the Cedar files.
    pub fn policy_dir(&self) -> PathBuf {
        self.config.join("policy")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.state.join("state.db")
    }

    /// The log's signing key: a seed of 32 bytes.
    pub fn log_key(&self) -> PathBuf {
        self.state.join("log.key")
    }

    /// The log's next signing key, from its making until it is in force.
    pub fn log_key_next(&self) -> PathBuf {
        self.state.join("log.key.next")
    }

    /// The log's signing key before, as long as it signs every head as well.
    pub fn log_key_ending(&self) -> PathBuf {
        self.state.join("log.key.ending")
    }

    /// The log's verifier key, which is public.
    pub fn log_vkey(&self) -> PathBuf {
        self.state.join("log.vkey")
    }

    /// The key of the mask tags: 32 bytes.
    pub fn mask_key(&self) -> PathBuf {
        self.state.join("mask.key")
    }

    /// The last signed head.
    pub fn head(&self) -> PathBuf {
        self.state.join("head")
    }

    /// The file whose lock says that a daemon runs here.
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// The socket of the agents.
    pub fn agent_socket(&self) -> PathBuf {
        self.run.join("agent.sock")
    }

    /// The socket of the reviewers.
    pub fn review_socket(&self) -> PathBuf {
        self.run.join("review.sock")
    }
}

/// Takes an absolute path from a variable. Unset and empty are the same (XDG base directories).
fn absolute(variable: &'static str, value: Option<&OsStr>) -> Result<Option<PathBuf>, HomeError> {
    match value.filter(|value| !value.is_empty()).map(Path::new) {
        None => Ok(None),
        Some(path) if path.is_absolute() => Ok(Some(path.to_path_buf())),
        Some(path) => Err(HomeError::NotAbsolute {
            variable,
            found: path.to_string_lossy().into_owned(),
        }),
    }
}

/// Our directory in an XDG base directory, or in its default below the home directory.
fn base(
    (variable, value): (&'static str, Option<&OsStr>),
    home: Option<&OsStr>,
    default: &str,
) -> Result<PathBuf, HomeError> {
    if let Some(path) = absolute(variable, value)? {
        return Ok(path.join(NAME));
    }
    let home = absolute("HOME", home)?.ok_or(HomeError::NoHome(variable))?;
    Ok(home.join(default).join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment<'static> {
        Environment {
            home: Some(OsStr::new("/home/mika")),
            ..Environment::default()
        }
    }

    fn find(option: Option<&str>, environment: &Environment<'_>) -> Result<Vec<Layout>, HomeError> {
        Layout::candidates(option.map(Path::new), Path::new("/other"), environment)
    }

    #[test]
    fn a_home_holds_everything() {
        let found = find(Some("/tmp/h"), &environment()).unwrap();
        let [layout] = found.as_slice() else {
            panic!("one place")
        };
        assert_eq!(layout.config_file(), Path::new("/tmp/h/countersign.toml"));
        assert_eq!(layout.database(), Path::new("/tmp/h/state.db"));
        assert_eq!(layout.agent_socket(), Path::new("/tmp/h/run/agent.sock"));
        assert_eq!(layout.review_socket(), Path::new("/tmp/h/run/review.sock"));
        assert!(layout.is_one_directory());
    }

    #[test]
    fn the_option_wins_over_the_environment_and_may_be_relative() {
        let environment = Environment {
            countersign_home: Some(OsStr::new("/elsewhere")),
            ..environment()
        };
        let by_option = find(Some("h"), &environment).unwrap();
        assert_eq!(by_option, [Layout::at(Path::new("/other/h")).unwrap()]);
        let by_variable = find(None, &environment).unwrap();
        assert_eq!(by_variable, [Layout::at(Path::new("/elsewhere")).unwrap()]);
    }

    #[test]
    fn without_a_home_the_system_comes_before_the_user() {
        let user = Environment {
            xdg_config_home: Some(OsStr::new("/c")),
            xdg_state_home: Some(OsStr::new("")),
            xdg_runtime_dir: Some(OsStr::new("/run/user/1000")),
            ..environment()
        };
        let found = find(None, &user).unwrap();
        assert_eq!(found.first(), Some(&Layout::system()));
        let user = found.get(1).unwrap();
        assert_eq!(user.config_dir(), Path::new("/c/countersign"));
        assert_eq!(
            user.state_dir(),
            Path::new("/home/mika/.local/state/countersign")
        );
        assert_eq!(user.run_dir(), Path::new("/run/user/1000/countersign"));
    }

    #[test]
    fn without_a_runtime_directory_the_sockets_live_in_the_state() {
        let layout = Layout::user(&environment()).unwrap();
        assert_eq!(layout.run_dir(), layout.state_dir().join("run"));
    }

    #[test]
    fn a_relative_variable_is_refused() {
        let environment = Environment {
            countersign_home: Some(OsStr::new("h")),
            ..environment()
        };
        assert_eq!(
            find(None, &environment),
            Err(HomeError::NotAbsolute {
                variable: "COUNTERSIGN_HOME",
                found: "h".to_owned()
            })
        );
        assert_eq!(
            Layout::user(&Environment::default()),
            Err(HomeError::NoHome("XDG_CONFIG_HOME"))
        );
    }

    #[test]
    fn a_socket_path_that_does_not_fit_is_refused() {
        let fits = format!(
            "/{}",
            "x".repeat(SOCKET_PATH_LIMIT - "//run/review.sock".len())
        );
        assert!(Layout::at(Path::new(&fits)).is_ok());
        let error = Layout::at(Path::new(&format!("{fits}x"))).unwrap_err();
        assert!(error.to_string().contains("108 bytes"), "{error}");
    }
}
