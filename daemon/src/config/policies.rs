//! The texts that decide beside people and configuration: what policies are made of
//! (`policy/*.cedar`, `targets.toml` and `kinds.toml`), and `profiles.toml`.
//!
//! Files that are not there are empty: then every target is unknown, only the known kinds exist,
//! and everything is held under the default requirement. What the texts mean is `policy`'s. Files
//! that are only looked at, such as policies somebody thinks of putting in force, may lie anywhere
//! and be anybody's ([`Candidates`]); those of a home are trusted after a look at who could change
//! them, or not at all.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use countersign_policy::catalogue::Catalogue;
use countersign_policy::kinds::Kinds;
use countersign_policy::load::PolicyFile;
use countersign_policy::place::FileError;
use countersign_shared::home::Layout;

use super::{ConfigError, FILE_LIMIT, Profile, profiles, read_text};
use crate::home::HomeError;

/// How many policy files are read at most.
const MOST_FILES: usize = 1000;

/// How long all texts together may be, in bytes: one message shows them to a person.
const MOST_BYTES: usize = 4 << 20;

/// The name of the file that says what targets there are.
const TARGETS: &str = "targets.toml";
/// The name of the file that says what kinds there are.
const KINDS: &str = "kinds.toml";
/// The name of the file that says what the daemon runs itself.
const PROFILES: &str = "profiles.toml";
/// What the names of policy files begin with.
const POLICY: &str = "policy/";

/// The texts of policies, and what they speak about.
#[derive(Debug, Clone, Default)]
pub struct PolicySources {
    /// Every file that is there, by the name that it has, or would have, below a home, such as
    /// `policy/exports.cedar`.
    pub texts: BTreeMap<String, String>,
    /// The policy files, by name as errors give it.
    pub files: Vec<PolicyFile>,
    /// What the operator says of targets.
    pub catalogue: Catalogue,
    /// What kinds there are.
    pub kinds: Kinds,
    /// What the daemon runs itself.
    pub profiles: Vec<Profile>,
}

impl PolicySources {
    /// Reads the policies of a home.
    ///
    /// # Errors
    /// When a file cannot be trusted, is not text, or is not exactly as it must be.
    pub fn load(layout: &Layout) -> Result<Self, ConfigError> {
        Candidates::default().load(layout)
    }

    /// Takes texts that were read before, by their names below a home.
    ///
    /// # Errors
    /// When one is not exactly as it must be, or all are too long.
    pub fn of_texts(texts: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let one = |name: &str| texts.get(name).map(|text| (name.to_owned(), text.clone()));
        let (targets, kinds, profiles) = (one(TARGETS), one(KINDS), one(PROFILES));
        let files = texts
            .into_iter()
            .filter(|(name, _)| name.starts_with(POLICY))
            .map(|(name, text)| PolicyFile { name, text })
            .collect();
        Self::made(files, targets, kinds, profiles)
    }

    /// Makes them of policies, targets, kinds and profiles, each with its name as errors give it.
    fn made(
        files: Vec<PolicyFile>,
        targets: Option<(String, String)>,
        kinds: Option<(String, String)>,
        profiles: Option<(String, String)>,
    ) -> Result<Self, ConfigError> {
        let catalogue = match &targets {
            None => Catalogue::default(),
            Some((name, text)) => Catalogue::parse(name, text).map_err(|errors| wrong(&errors))?,
        };
        let parsed = match &kinds {
            None => Kinds::known(),
            Some((name, text)) => Kinds::parse(name, text).map_err(|errors| wrong(&errors))?,
        };
        let runs = match &profiles {
            None => Vec::new(),
            Some((name, text)) => profiles::parse(Path::new(name), text)?,
        };
        let mut texts = BTreeMap::new();
        for (name, text) in [(TARGETS, targets), (KINDS, kinds), (PROFILES, profiles)] {
            texts.extend(text.map(|(_, text)| (name.to_owned(), text)));
        }
        for file in &files {
            let name = file.name.rsplit('/').next().unwrap_or(&file.name);
            texts.insert(format!("{POLICY}{name}"), file.text.clone());
        }
        let found = texts.values().map(String::len).sum();
        if found > MOST_BYTES {
            let limit = MOST_BYTES;
            return Err(ConfigError::TooLong { limit, found });
        }
        Ok(Self {
            texts,
            files,
            catalogue,
            kinds: parsed,
            profiles: runs,
        })
    }
}

/// Files that stand in for those of a home while they are looked at. None of them takes force.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The directory of the policies and their cases.
    pub policy: Option<PathBuf>,
    /// The catalogue.
    pub targets: Option<PathBuf>,
    /// The kinds.
    pub kinds: Option<PathBuf>,
}

impl Candidates {
    /// Reads the policies of a home, with these files in place of its own.
    ///
    /// # Errors
    /// When a file is not there, is not text, or is not exactly as it must be; of the home's own
    /// files, also when they cannot be trusted.
    pub fn load(&self, layout: &Layout) -> Result<PolicySources, ConfigError> {
        let targets = one(self.targets.as_deref(), &layout.targets_file())?;
        let kinds = one(self.kinds.as_deref(), &layout.kinds_file())?;
        let files = self.texts(layout, ".cedar")?;
        if let Some(directory) = self.policy.as_deref().filter(|_| files.is_empty()) {
            let directory = shown(directory);
            let text = format!("`{directory}` holds no policy: name the directory of `*.cedar`");
            return Err(ConfigError::Text(text));
        }
        let profiles = one(None, &layout.profiles_file())?;
        PolicySources::made(files, targets, kinds, profiles)
    }

    /// Reads the files of cases beside the policies, sorted by name: each name with its text.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn cases(&self, layout: &Layout) -> Result<Vec<PolicyFile>, ConfigError> {
        self.texts(layout, ".test.toml")
    }

    /// Reads the files of the policies' directory whose names end so.
    fn texts(&self, layout: &Layout, ending: &str) -> Result<Vec<PolicyFile>, ConfigError> {
        if let Some(directory) = &self.policy {
            return texts(directory, &shown(directory), ending, read_any);
        }
        let directory = layout.policy_dir();
        match texts(&directory, "policy", ending, read_text) {
            Err(ConfigError::Home(HomeError::Read { path, source }))
                if path == directory && source.kind() == ErrorKind::NotFound =>
            {
                Ok(Vec::new())
            }
            other => other,
        }
    }
}

/// Reads the file that was given, which has to be there, or the home's own, which does not; returns
/// its name as errors give it, and its text.
fn one(given: Option<&Path>, own: &Path) -> Result<Option<(String, String)>, ConfigError> {
    match given {
        Some(file) => Ok(Some((shown(file), read_any(file)?))),
        None => Ok(optional(own)?.map(|text| (name(own), text))),
    }
}

/// Reads the files of a directory whose names end so, sorted by name.
fn texts(
    directory: &Path,
    called: &str,
    ending: &str,
    read: impl Fn(&Path) -> Result<String, ConfigError>,
) -> Result<Vec<PolicyFile>, ConfigError> {
    let failed = |source| {
        let path = directory.to_path_buf();
        ConfigError::Home(HomeError::Read { path, source })
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ends = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().ends_with(ending.as_bytes()));
        // A name that is all ending is hidden: an editor's, or nobody's.
        if !ends || path.file_name() == Some(OsStr::new(ending)) {
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(ConfigError::TooMany {
                directory: directory.to_path_buf(),
                limit: MOST_FILES,
            });
        }
        files.push(PolicyFile {
            text: read(&path)?,
            name: format!("{called}/{}", name(&path)),
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    // Names that are not UTF-8 can look the same. A forbid must not get lost by that.
    let twice = files.windows(2).find_map(|pair| match pair {
        [one, other] if one.name == other.name => Some(&one.name),
        _ => None,
    });
    match twice {
        None => Ok(files),
        Some(name) => Err(ConfigError::Text(format!(
            "two files are shown as `{name}`; rename one of them"
        ))),
    }
}

/// Reads a file that decides nothing, whosever it is.
fn read_any(file: &Path) -> Result<String, ConfigError> {
    let failed = |source| {
        let path = file.to_path_buf();
        ConfigError::Home(HomeError::Read { path, source })
    };
    let opened = std::fs::File::open(file).map_err(failed)?;
    let metadata = opened.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(HomeError::NotAFile(file.to_path_buf()).into());
    }
    let most = u64::try_from(FILE_LIMIT).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    opened
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > FILE_LIMIT {
        return Err(HomeError::TooLarge {
            path: file.to_path_buf(),
            found: metadata.len(),
            limit: FILE_LIMIT,
        }
        .into());
    }
    super::text_of(file, bytes)
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
    shown(Path::new(name))
}

/// Returns a path, harmless to show.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

fn wrong(errors: &[FileError]) -> ConfigError {
    ConfigError::Text(
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
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
    fn what_is_only_looked_at_may_lie_anywhere_and_has_to_be_there() {
        let (_directory, layout) = home();
        let elsewhere = tempfile::tempdir().unwrap();
        let policy = elsewhere.path().join("next");
        std::fs::create_dir(&policy).unwrap();
        for name in ["a.cedar", "a.test.toml", ".cedar", ".test.toml", "b.toml"] {
            std::fs::write(policy.join(name), "").unwrap();
        }
        let candidates = Candidates {
            policy: Some(policy.clone()),
            ..Candidates::default()
        };
        let names = |files: Vec<PolicyFile>| -> Vec<String> {
            files.into_iter().map(|file| file.name).collect()
        };
        let name = |name: &str| vec![format!("{}/{name}", policy.display())];
        let loaded = candidates.load(&layout).unwrap().files;
        assert_eq!(names(loaded), name("a.cedar"));
        let cases = candidates.cases(&layout).unwrap();
        assert_eq!(names(cases), name("a.test.toml"));
        assert!(Candidates::default().cases(&layout).unwrap().is_empty());
        for candidates in [
            Candidates {
                policy: Some(elsewhere.path().join("nowhere")),
                ..Candidates::default()
            },
            Candidates {
                policy: Some(elsewhere.path().to_path_buf()),
                ..Candidates::default()
            },
            Candidates {
                targets: Some(elsewhere.path().join("nowhere")),
                ..Candidates::default()
            },
            Candidates {
                kinds: Some(policy),
                ..Candidates::default()
            },
        ] {
            assert!(candidates.load(&layout).is_err(), "{candidates:?}");
        }
    }

    #[test]
    fn files_that_would_be_shown_under_one_name_are_refused() {
        use std::os::unix::ffi::OsStrExt as _;

        let (_directory, layout) = home();
        let directory = layout.policy_dir();
        std::fs::create_dir(&directory).unwrap();
        for name in [b"a\xfe.cedar", b"a\xff.cedar"] {
            std::fs::write(directory.join(OsStr::from_bytes(name)), "").unwrap();
        }
        let error = PolicySources::load(&layout).unwrap_err().to_string();
        assert!(error.contains("two files are shown as"), "{error}");
    }

    #[test]
    fn texts_have_the_names_that_they_would_have_below_a_home() {
        let (directory, layout) = home();
        std::fs::create_dir(layout.policy_dir()).unwrap();
        std::fs::write(layout.policy_dir().join("a.cedar"), "// a").unwrap();
        std::fs::write(layout.targets_file(), "").unwrap();
        let candidates = Candidates {
            policy: Some(layout.policy_dir()),
            targets: Some(directory.path().join("next.toml")),
            kinds: None,
        };
        std::fs::copy(layout.targets_file(), directory.path().join("next.toml")).unwrap();
        let own = PolicySources::load(&layout).unwrap();
        assert_eq!(own.texts, candidates.load(&layout).unwrap().texts);
        let again = PolicySources::of_texts(own.texts.clone()).unwrap();
        assert_eq!(again.texts, own.texts);
        assert_eq!(again.files.len(), 1);
        let long = BTreeMap::from([(TARGETS.to_owned(), "#".repeat(MOST_BYTES + 1))]);
        assert!(matches!(
            PolicySources::of_texts(long),
            Err(ConfigError::TooLong { .. })
        ));
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
