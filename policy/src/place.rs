//! Where in a file something stands: for errors that a person goes to and mends.

use std::fmt;

/// A place in a text file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's name, as the operator knows it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// Finds the byte `offset` of `text`.
    pub fn of(file: &str, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let column = before
            .get(line_start..)
            .map_or(0, |line| line.chars().count());
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count().saturating_add(1),
            column: column.saturating_add(1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something in a TOML file is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct FileError {
    /// Where.
    pub place: Place,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A TOML file's text, to say where in it something is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// Reads the whole text into a type.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, FileError> {
        toml::from_str(self.text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            // The parser quotes the file, and one message is one line.
            let lines: Vec<&str> = error.message().lines().collect();
            self.wrong_at(start, lines.join("; ").escape_debug().to_string())
        })
    }

    /// Makes the error for a value.
    pub(crate) fn wrong<T>(
        &self,
        value: &toml::Spanned<T>,
        message: impl Into<String>,
    ) -> FileError {
        self.wrong_at(value.span().start, message)
    }

    /// Makes the error for a byte.
    pub(crate) fn wrong_at(&self, offset: usize, message: impl Into<String>) -> FileError {
        FileError {
            place: Place::of(self.file, self.text, offset),
            message: message.into(),
        }
    }
}
