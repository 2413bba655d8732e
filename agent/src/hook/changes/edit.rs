//! Replacing texts in a file, as the tools that do it agree on.
//!
//! They look for the text to be replaced in the file with its line ends made uniform, and write the
//! file's own line ends back. A file that has both kinds is left alone.

use std::path::Path;

use countersign_shared::action::Contents;

use super::work::Work;
use super::{ChangeError, file};

/// One text for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hook) struct Replacement {
    /// What is replaced; empty to make a file that is not there.
    pub(in crate::hook) old: String,
    /// What stands there then.
    pub(in crate::hook) new: String,
    /// Wherever it occurs, and not only where it occurs once.
    pub(in crate::hook) all: bool,
    /// How often it has to occur, where that was said.
    pub(in crate::hook) expected: Option<u64>,
}

/// Returns the file's text after all replacements, one after the other; at no time has it more than
/// `limit` bytes.
pub(super) fn apply(
    path: &Path,
    before: Option<&Contents>,
    replacements: &[Replacement],
    limit: usize,
) -> Result<String, ChangeError> {
    let makes_file = replacements
        .first()
        .is_some_and(|first| first.old.is_empty());
    let text = match before {
        None if makes_file => "",
        before => file::text(path, before)?,
    };
    let ends = LineEnds::of(text).ok_or_else(|| ChangeError::LineEnds {
        path: path.to_path_buf(),
    })?;
    let mut text = ends.unify(text);
    let mut work = Work::new();
    for replacement in replacements {
        work.spend(text.len().saturating_add(replacement.old.len()))?;
        text = replace(path, &text, replacement, limit)?;
    }
    Ok(ends.restore(&text))
}

fn replace(
    path: &Path,
    text: &str,
    replacement: &Replacement,
    limit: usize,
) -> Result<String, ChangeError> {
    let owned = || path.to_path_buf();
    let Replacement { old, new, .. } = replacement;
    if old == new {
        return Err(ChangeError::Same { path: owned() });
    }
    if old.is_empty() {
        return if text.is_empty() {
            Ok(new.clone())
        } else {
            Err(ChangeError::Exists { path: owned() })
        };
    }
    let found = text.matches(old.as_str()).count();
    let kept = text.len().saturating_sub(found.saturating_mul(old.len()));
    if kept.saturating_add(found.saturating_mul(new.len())) > limit {
        return Err(ChangeError::TooMuch);
    }
    let expected = match (replacement.all, replacement.expected) {
        (_, Some(expected)) => Some(expected),
        (true, None) => None,
        (false, None) => Some(1),
    };
    if found == 0 {
        return Err(ChangeError::NotFound { path: owned() });
    }
    match expected {
        Some(expected) if u64::try_from(found) != Ok(expected) => Err(ChangeError::Ambiguous {
            path: owned(),
            found,
            expected,
        }),
        Some(_) | None => Ok(text.replace(old.as_str(), new)),
    }
}

/// How the lines of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnds {
    /// With a line feed.
    Feed,
    /// With a carriage return and a line feed.
    ReturnFeed,
}

impl LineEnds {
    /// Looks how lines end; `None` when not all end alike.
    fn of(text: &str) -> Option<Self> {
        let feeds = text.matches('\n').count();
        match text.matches("\r\n").count() {
            0 => Some(Self::Feed),
            both if both == feeds => Some(Self::ReturnFeed),
            _ => None,
        }
    }

    fn unify(self, text: &str) -> String {
        match self {
            Self::Feed => text.to_owned(),
            Self::ReturnFeed => text.replace("\r\n", "\n"),
        }
    }

    fn restore(self, text: &str) -> String {
        match self {
            Self::Feed => text.to_owned(),
            Self::ReturnFeed => text.replace("\r\n", "\n").replace('\n', "\r\n"),
        }
    }
}
