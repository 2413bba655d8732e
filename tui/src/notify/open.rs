//! Starts the console in a terminal. It is told which request to load; nothing is decided by that.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_shared::id::RequestId;

/// What is tried when no terminal is configured: the desktop's own choice, in its two forms.
const TERMINALS: [&[&str]; 2] = [&["xdg-terminal-exec"], &["x-terminal-emulator", "-e"]];

/// The console could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No terminal is configured, and none of the usual ones is there.
    #[error(
        "no terminal was found; name one in notify.toml, such as `terminal = [\"foot\", \"-e\"]`"
    )]
    NoTerminal,
    /// The terminal does not start.
    #[error("the terminal `{program}` does not start")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// This program does not know its own path.
    #[error("this program's own path cannot be told")]
    Own(#[source] io::Error),
}

/// How the console is started.
#[derive(Debug, Clone)]
pub struct Opener {
    /// The terminal with its arguments; empty for the desktop's own choice.
    pub terminal: Vec<String>,
    /// The home that was named, if one was.
    pub home: Option<PathBuf>,
    /// The key that was named, if one was.
    pub key: Option<PathBuf>,
}

impl Opener {
    /// Opens the console, on a request if one is meant.
    ///
    /// # Errors
    ///
    /// When no terminal starts.
    pub fn open(&self, request: Option<RequestId>) -> Result<(), OpenError> {
        let own = std::env::current_exe().map_err(OpenError::Own)?;
        let console = self.console(&own, request);
        if let Some((program, arguments)) = self.terminal.split_first() {
            return start(program, arguments, &console);
        }
        for words in TERMINALS {
            let Some((program, arguments)) = words.split_first() else {
                continue;
            };
            match start(program, arguments, &console) {
                Err(OpenError::Start { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                done => return done,
            }
        }
        Err(OpenError::NoTerminal)
    }

    /// Returns the console's own command line.
    fn console(&self, own: &Path, request: Option<RequestId>) -> Vec<OsString> {
        let mut words = vec![own.as_os_str().to_owned()];
        let paths = [("--home", &self.home), ("--key", &self.key)];
        for (flag, path) in paths {
            if let Some(path) = path {
                words.extend([flag.into(), path.as_os_str().to_owned()]);
            }
        }
        if let Some(id) = request {
            words.extend(["--open".into(), id.to_string().into()]);
        }
        words
    }
}

/// Starts a terminal that outlives this program and that nobody waits for.
fn start(
    program: &str,
    arguments: &[impl AsRef<std::ffi::OsStr>],
    console: &[OsString],
) -> Result<(), OpenError> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(console)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().map_err(|source| OpenError::Start {
        program: program.to_owned(),
        source,
    })?;
    // Its end is taken note of, so that no dead process stays behind.
    std::thread::spawn(move || drop(child.wait()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_told_home_key_and_request_as_separate_words() {
        let opener = Opener {
            terminal: Vec::new(),
            home: Some("/srv/a b".into()),
            key: None,
        };
        let id = RequestId::from_bytes([7; 16]);
        let words = opener.console(Path::new("/usr/bin/countersign"), Some(id));
        let id = id.to_string();
        assert_eq!(
            words,
            ["/usr/bin/countersign", "--home", "/srv/a b", "--open", &id]
        );
    }

    #[test]
    fn a_terminal_that_is_not_there_is_named() {
        let opener = Opener {
            terminal: vec!["/nonexistent/terminal".to_owned()],
            home: None,
            key: None,
        };
        let error = opener.open(None).unwrap_err();
        assert!(
            error.to_string().contains("/nonexistent/terminal"),
            "{error}"
        );
    }
}
