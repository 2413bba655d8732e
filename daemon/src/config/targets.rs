//! `targets.toml`: what the operator says about targets, by kind and name.
//!
//! Nothing else may say it: an agent cannot call production a test. A target that is not listed has
//! the environment [`Targets::UNKNOWN`] and nothing more.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_shared::home::Layout;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{ConfigError, Source, read_text};
use crate::home::HomeError;

/// One target of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What it is, such as `database`.
    pub kind: String,
    /// Its name, byte for byte as actions name it.
    pub name: String,
    /// Where it belongs, such as `prod`.
    pub environment: Option<String>,
    /// What policy may ask for.
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// What kind of data it holds, such as `pii`.
    pub classification: Option<String>,
}

/// The catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Targets(Vec<Target>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    target: Vec<Spanned<Target>>,
}

impl Targets {
    /// The environment of a target that is not listed, or listed without one.
    pub const UNKNOWN: &'static str = "unknown";

    /// Reads and checks `targets.toml`. No file is an empty catalogue: every target is unknown.
    ///
    /// # Errors
    /// When the file cannot be trusted or is not exactly as it must be.
    pub fn load(layout: &Layout) -> Result<Self, ConfigError> {
        let file = layout.targets_file();
        match read_text(&file) {
            Ok(text) => Self::parse(&file, &text),
            Err(ConfigError::Home(HomeError::Missing(path))) if path == file => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Checks the text of `targets.toml`; `file` is named in errors.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let raw: Raw = source.read()?;
        let mut seen = BTreeSet::new();
        for entry in &raw.target {
            let target = entry.get_ref();
            if target.kind.is_empty() || target.name.is_empty() {
                return Err(source.wrong(entry, "`kind` and `name` of a target cannot be empty"));
            }
            if !seen.insert((&target.kind, &target.name)) {
                return Err(source.wrong(
                    entry,
                    &format!("the {} `{}` is listed twice", target.kind, target.name),
                ));
            }
        }
        Ok(Self(
            raw.target.into_iter().map(Spanned::into_inner).collect(),
        ))
    }

    /// Finds a target, byte for byte.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Target> {
        self.0
            .iter()
            .find(|target| target.kind == kind && target.name == name)
    }

    /// Returns all of them, in the order of the file.
    pub fn all(&self) -> &[Target] {
        &self.0
    }
}
