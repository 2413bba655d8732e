//! How this person is called: `notify.toml`, in the user's own configuration directory.
//!
//! It is the reviewer's alone; the daemon never reads it, and nothing in it decides. An unknown key
//! is an error, as in every file of ours.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::quiet::Quiet;
use crate::console::ring::Ring;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not as it must be.
    #[error("{}:{line}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// How this person is called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The terminal that "Open" starts, with its arguments; the console's command is added.
    /// Empty for the desktop's own choice.
    pub terminal: Vec<String>,
    /// When only tier high and above is told.
    pub quiet_hours: Option<Quiet>,
    /// How the console rings.
    pub ring: Ring,
}

impl Settings {
    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or something in it is not understood.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(SettingsError::Read {
                path: path.to_path_buf(),
                source,
            }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.bytes().take(start);
            SettingsError::Wrong {
                path: path.to_path_buf(),
                line: before
                    .filter(|byte| *byte == b'\n')
                    .count()
                    .saturating_add(1),
                message: error.message().lines().collect::<Vec<_>>().join("; "),
            }
        })
    }
}

/// Returns where the file is: below the XDG configuration directory; nothing when the environment
/// names no such place.
pub fn place() -> Option<PathBuf> {
    config_home().map(|dir| dir.join("countersign").join("notify.toml"))
}

/// Returns the XDG configuration directory.
pub fn config_home() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Path::new("notify.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read_and_none_is_needed() {
        assert_eq!(parse("").unwrap(), Settings::default());
        let text =
            "terminal = [\"foot\", \"-e\"]\nquiet_hours = \"22:00-07:00\"\nring = \"osc9\"\n";
        let settings = parse(text).unwrap();
        assert_eq!(settings.terminal, ["foot", "-e"]);
        assert_eq!(settings.quiet_hours.unwrap().to_string(), "22:00-07:00");
        assert_eq!(settings.ring, Ring::Osc9);
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        for (text, says) in [
            (
                "ring = \"bell\"\nrings = 1\n",
                "notify.toml:2: unknown field `rings`",
            ),
            (
                "quiet_hours = \"22-7\"\n",
                "notify.toml:1: quiet hours are written",
            ),
            (
                "\nring = \"loud\"\n",
                "notify.toml:2: unknown variant `loud`",
            ),
            ("terminal = \"foot\"\n", "notify.toml:1: invalid type"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
