//! `targets.toml`: what the operator says about targets, by kind and name.
//!
//! Nothing else may say it: an agent cannot call production a test. A target that is not listed has
//! the environment and the classification [`UNKNOWN`], no labels and no parents. A target takes
//! environment and classification from its parent where it has none of its own, and adds its
//! labels to those of its parent. Nothing here reads a file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::place::{FileError, Source};

/// The environment and the classification of a target that the operator says nothing about.
pub const UNKNOWN: &str = "unknown";

/// How many parents stand above a target at most.
const DEPTH: usize = 16;

/// The kind and the name of a target, byte for byte as actions name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Key {
    /// What it is, such as `database`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// Returns the key of a kind and a name.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
        }
    }

    /// Reads `kind/name`; a kind holds no slash, a name may.
    pub fn read(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        (!kind.is_empty() && !name.is_empty()).then(|| Self::new(kind, name))
    }

    /// Writes `kind/name`, as policies name the target: `Target::"database/orders"`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// One target of the catalogue, with what it has from its parents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Which one.
    #[serde(flatten)]
    pub key: Key,
    /// Where it belongs, such as `prod`, or [`UNKNOWN`].
    pub environment: String,
    /// What policy may ask for.
    pub labels: BTreeSet<String>,
    /// What kind of data it holds, such as `pii`, or [`UNKNOWN`].
    pub classification: String,
    /// The target it is part of.
    pub parent: Option<Key>,
}

/// The catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue(BTreeMap<Key, Target>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    target: Vec<Spanned<RawTarget>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    kind: Spanned<String>,
    name: Spanned<String>,
    environment: Option<Spanned<String>>,
    #[serde(default)]
    labels: Vec<Spanned<String>>,
    classification: Option<Spanned<String>>,
    parent: Option<Spanned<String>>,
}

impl Catalogue {
    /// Reads the text of `targets.toml`; `file` is named in errors.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileError>> {
        let source = Source { file, text };
        let raw: Raw = source.read().map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let mut all = BTreeMap::new();
        for entry in &raw.target {
            match entry.get_ref().check(&source) {
                Err(wrong) => errors.extend(wrong),
                Ok(target) => {
                    if let Some(first) = all.insert(target.key.clone(), (target, entry)) {
                        let key = &first.0.key;
                        errors.push(source.wrong(
                            entry,
                            format!("the {} `{}` is listed twice", key.kind, key.name),
                        ));
                    }
                }
            }
        }
        for (target, entry) in all.values() {
            let Some(parent) = &target.parent else {
                continue;
            };
            let place = entry
                .get_ref()
                .parent
                .as_ref()
                .map_or(0, |it| it.span().start);
            if !all.contains_key(parent) {
                let message = format!("the parent `{}` is not listed", parent.path());
                errors.push(source.wrong_at(place, message));
            } else if chain(&all, target).is_none() {
                let message = format!(
                    "the parents of `{}` go round in a circle, or are more than {DEPTH}",
                    target.key.path()
                );
                errors.push(source.wrong_at(place, message));
            }
        }
        if !errors.is_empty() {
            errors.sort_by(|a, b| a.place.cmp(&b.place));
            return Err(errors);
        }
        let inherited = all.values().map(|(target, _)| {
            let mut whole = target.clone();
            for above in chain(&all, target).unwrap_or_default() {
                for (mine, theirs) in [
                    (&mut whole.environment, &above.environment),
                    (&mut whole.classification, &above.classification),
                ] {
                    if mine == UNKNOWN {
                        mine.clone_from(theirs);
                    }
                }
                whole.labels.extend(above.labels.iter().cloned());
            }
            (whole.key.clone(), whole)
        });
        Ok(Self(inherited.collect()))
    }

    /// Finds a target, byte for byte.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Target> {
        self.0.get(&Key::new(kind, name))
    }

    /// Returns what the operator says of a data set or table, whatever kind it is listed under of
    /// `data`, `dataset` and `table`.
    pub fn classification_of_data(&self, name: &str) -> &str {
        self.listed_classification(name).unwrap_or(UNKNOWN)
    }

    /// Returns the same where the operator says it; nothing for data that is not listed, or is
    /// listed without a classification.
    pub fn listed_classification(&self, name: &str) -> Option<&str> {
        ["data", "dataset", "table"]
            .into_iter()
            .find_map(|kind| self.find(kind, name))
            .map(|target| target.classification.as_str())
            .filter(|classification| *classification != UNKNOWN)
    }

    /// Returns all of them, sorted by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.values()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RawTarget {
    fn check(&self, source: &Source<'_>) -> Result<Target, Vec<FileError>> {
        let mut errors = Vec::new();
        let kind = self.kind.get_ref();
        let word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        if kind.is_empty() || !kind.bytes().all(word) {
            let message = "a target's `kind` is words of a-z, 0-9 and `-`, joined by dots";
            errors.push(source.wrong(&self.kind, message));
        }
        if self.name.get_ref().is_empty() {
            errors.push(source.wrong(&self.name, "a target's `name` cannot be empty"));
        }
        for (what, value) in [
            ("environment", &self.environment),
            ("classification", &self.classification),
        ] {
            if let Some(value) = value
                && (value.get_ref().is_empty() || value.get_ref() == UNKNOWN)
            {
                let message = format!("leave `{what}` out where it is not known");
                errors.push(source.wrong(value, message));
            }
        }
        for label in &self.labels {
            if label.get_ref().is_empty() {
                errors.push(source.wrong(label, "a label cannot be empty"));
            }
        }
        let parent = self.parent.as_ref().and_then(|text| {
            let key = Key::read(text.get_ref());
            if key.is_none() {
                let message = "a `parent` is written `kind/name`, such as `cluster/eu-1`";
                errors.push(source.wrong(text, message));
            }
            key
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let said = |value: &Option<Spanned<String>>| {
            value
                .as_ref()
                .map_or_else(|| UNKNOWN.to_owned(), |it| it.get_ref().clone())
        };
        Ok(Target {
            key: Key::new(kind, self.name.get_ref()),
            environment: said(&self.environment),
            labels: self.labels.iter().map(|it| it.get_ref().clone()).collect(),
            classification: said(&self.classification),
            parent,
        })
    }
}

type Listed<'a> = BTreeMap<Key, (Target, &'a Spanned<RawTarget>)>;

/// Returns the targets above one, the nearest first; nothing when they do not end.
fn chain<'m>(all: &'m Listed<'_>, target: &Target) -> Option<Vec<&'m Target>> {
    let mut above = Vec::new();
    let mut next = target.parent.as_ref();
    while let Some(key) = next {
        let (parent, _) = all.get(key)?;
        above.push(parent);
        if above.len() > DEPTH {
            return None;
        }
        next = parent.parent.as_ref();
    }
    Some(above)
}

#[cfg(test)]
mod tests;
