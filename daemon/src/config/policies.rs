//! What policies are made of: `policy/*.cedar`, `targets.toml` and `kinds.toml`.
//!
//! Files that are not there are empty: then every target is unknown, only the known kinds exist,
//! and everything is held under the default requirement. What the texts mean is `policy`'s.

use std::ffi::OsStr;
use std::path::Path;

use countersign_policy::catalogue::Catalogue;
use countersign_policy::kinds::Kinds;
use countersign_policy::load::PolicyFile;
use countersign_policy::place::FileError;
use countersign_shared::home::Layout;

use super::{ConfigError, read_text};
use crate::home::HomeError;

/// How many policy files are read at most.
const MOST_FILES: usize = 1000;

/// The texts of policies, and what they speak about.
#[derive(Debug, Clone, Default)]
pub struct PolicySources {
    /// The policy files, by name.
    pub files: Vec<PolicyFile>,
    /// What the operator says of targets.
    pub catalogue: Catalogue,
    /// What kinds there are.
    pub kinds: Kinds,
}

impl PolicySources {
    /// Reads the policies of a home.
    ///
    /// # Errors
    /// When a file cannot be trusted, is not text, or is not exactly as it must be.
    pub fn load(layout: &Layout) -> Result<Self, ConfigError> {
        let catalogue = match optional(&layout.targets_file())? {
            None => Catalogue::default(),
            Some(text) => Catalogue::parse(&name(&layout.targets_file()), &text)
                .map_err(|errors| wrong(&errors))?,
        };
        let kinds = match optional(&layout.kinds_file())? {
            None => Kinds::known(),
            Some(text) => {
                Kinds::parse(&name(&layout.kinds_file()), &text).map_err(|errors| wrong(&errors))?
            }
        };
        Ok(Self {
            files: files(&layout.policy_dir())?,
            catalogue,
            kinds,
        })
    }
}

/// Reads all policy files of a directory, sorted by name.
fn files(directory: &Path) -> Result<Vec<PolicyFile>, ConfigError> {
    let failed = |source| {
        let path = directory.to_path_buf();
        ConfigError::Home(HomeError::Read { path, source })
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension() != Some(OsStr::new("cedar")) {
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(ConfigError::TooMany {
                directory: directory.to_path_buf(),
                limit: MOST_FILES,
            });
        }
        files.push(PolicyFile {
            text: read_text(&path)?,
            name: format!("policy/{}", name(&path)),
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn optional(file: &Path) -> Result<Option<String>, ConfigError> {
    match read_text(file) {
        Ok(text) => Ok(Some(text)),
        Err(ConfigError::Home(HomeError::Missing(path))) if path == file => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the name of a file, harmless to show.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().escape_debug().to_string()
}

fn wrong(errors: &[FileError]) -> ConfigError {
    ConfigError::Text(
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Layout) {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::at(directory.path()).unwrap();
        (directory, layout)
    }

    #[test]
    fn missing_files_are_empty_and_unreadable_ones_are_errors() {
        let (_directory, layout) = home();
        let empty = PolicySources::load(&layout).unwrap();
        assert!(empty.files.is_empty() && empty.kinds.declared().next().is_none());
        std::fs::write(layout.targets_file(), b"\xff").unwrap();
        assert!(matches!(
            PolicySources::load(&layout),
            Err(ConfigError::NotText { offset: 0, .. })
        ));
    }

    #[test]
    fn cedar_files_are_read_by_name_and_nothing_else_is() {
        let (_directory, layout) = home();
        let directory = layout.policy_dir();
        std::fs::create_dir(&directory).unwrap();
        for name in ["b.cedar", "a.cedar", "a.cedar.bak", "cases.test.toml"] {
            std::fs::write(directory.join(name), name).unwrap();
        }
        let names: Vec<String> = PolicySources::load(&layout)
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["policy/a.cedar", "policy/b.cedar"]);
        std::os::unix::fs::symlink("a.cedar", directory.join("c.cedar")).unwrap();
        assert!(PolicySources::load(&layout).is_err(), "a link was followed");
    }

    #[test]
    fn a_mistake_is_named_with_its_file_and_line() {
        let (_directory, layout) = home();
        std::fs::write(
            layout.targets_file(),
            "[[target]]\nkind = \"k\"\nnmae = 1\n",
        )
        .unwrap();
        let error = PolicySources::load(&layout).unwrap_err().to_string();
        assert!(error.starts_with("targets.toml:"), "{error}");
        std::fs::remove_file(layout.targets_file()).unwrap();
        std::fs::write(layout.kinds_file(), "[[kind]]\nname = \"a\"\n").unwrap();
        let error = PolicySources::load(&layout).unwrap_err().to_string();
        assert!(error.starts_with("kinds.toml:"), "{error}");
    }
}
