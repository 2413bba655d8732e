//! `reviewers.toml`: the people, checked as a roster.
//!
//! What a person must be is the roster's business; here is where in the file one is not.

use std::path::Path;

use countersign_shared::home::Layout;
use countersign_shared::roster::{Person, Roster};
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Source, read_text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    reviewer: Vec<Spanned<Person>>,
}

/// Reads and checks `reviewers.toml`.
///
/// # Errors
/// When the file cannot be trusted or is not exactly as it must be.
pub fn load_roster(layout: &Layout) -> Result<Roster, ConfigError> {
    let file = layout.reviewers_file();
    parse_roster(&file, &read_text(&file)?)
}

/// Checks the text of `reviewers.toml`; `file` is named in errors.
///
/// # Errors
/// What is wrong, and where.
pub fn parse_roster(file: &Path, text: &str) -> Result<Roster, ConfigError> {
    let source = Source { file, text };
    let raw: Raw = source.read()?;
    let people: Vec<Person> = raw
        .reviewer
        .iter()
        .map(|entry| entry.get_ref().clone())
        .collect();
    Roster::from_people(people.clone()).map_err(|error| {
        // The first person with whom it goes wrong is the one to point at.
        let culprit = (1..=people.len())
            .find(|count| {
                Roster::from_people(people.iter().take(*count).cloned().collect()).is_err()
            })
            .and_then(|count| raw.reviewer.get(count.saturating_sub(1)));
        source.wrong_at(
            culprit.map_or(0, |entry| entry.span().start),
            &error.to_string(),
        )
    })
}
