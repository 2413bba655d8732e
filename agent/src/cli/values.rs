//! Values of options that have a form of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use countersign_shared::action::{Access, DataUse};
use countersign_shared::limits::read_span;
use serde_json::Value;

/// The text of an option is not in its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// There is no `=`.
    #[error("expected {expected}")]
    Form {
        /// The form.
        expected: &'static str,
    },
    /// What follows `:=` is no JSON.
    #[error("what follows `:=` is not JSON: {message}")]
    Json {
        /// Why not.
        message: String,
    },
    /// A part of a data use is not known.
    #[error("`{part}` is none of `access`, `classification`, `records` and `destination`")]
    Part {
        /// The part.
        part: String,
    },
    /// It is not said what is done to the data.
    #[error("data needs `access=read`, `write`, `delete` or `export`")]
    Access,
    /// The number of records is none.
    #[error("`records` is a number, found `{found}`")]
    Records {
        /// What was found.
        found: String,
    },
}

/// `NAME=TEXT` or `NAME:=JSON`.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl FromStr for Argument {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (name, rest) = pair(text, "NAME=TEXT or NAME:=JSON")?;
        if let Some(name) = name.strip_suffix(':').filter(|name| !name.is_empty()) {
            let value = serde_json::from_str(rest).map_err(|error| ValueError::Json {
                message: error.to_string(),
            })?;
            return Ok(Self {
                name: name.to_owned(),
                value,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            value: Value::String(rest.to_owned()),
        })
    }
}

/// `NAME=@FILE` or `NAME=env:VARIABLE`. A secret itself never stands on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArgument {
    /// The argument's name.
    pub name: String,
    /// Where its value comes from.
    pub source: SecretSource,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The contents of a file, without a line feed at the end.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl FromStr for SecretArgument {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let expected = "NAME=@FILE or NAME=env:VARIABLE, and never the secret itself";
        let (name, rest) = pair(text, expected)?;
        let source = if let Some(file) = rest.strip_prefix('@').filter(|file| !file.is_empty()) {
            SecretSource::File(file.into())
        } else if let Some(variable) = rest.strip_prefix("env:").filter(|name| !name.is_empty()) {
            SecretSource::Variable(variable.to_owned())
        } else {
            return Err(ValueError::Form { expected });
        };
        Ok(Self {
            name: name.to_owned(),
            source,
        })
    }
}

/// `PATH=NEWFILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// The file that would change.
    pub path: String,
    /// A file with the new contents; `None` when it would be removed.
    pub new: Option<PathBuf>,
}

impl FromStr for ChangedFile {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (path, new) = pair(text, "PATH=NEWFILE, or PATH= for a file that is removed")?;
        Ok(Self {
            path: path.to_owned(),
            new: (!new.is_empty()).then(|| new.into()),
        })
    }
}

/// `NAME,access=…[,classification=…][,records=…][,destination=…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataUseArgument(pub DataUse);

impl FromStr for DataUseArgument {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut parts = text.split(',');
        let name = parts.next().filter(|name| !name.is_empty());
        let expected = "NAME,access=read|write|delete|export";
        let mut access = None;
        let mut data = DataUse {
            name: name.ok_or(ValueError::Form { expected })?.to_owned(),
            classification: None,
            access: Access::Read,
            records: None,
            destination: None,
        };
        for part in parts {
            let (name, value) = pair(part, expected)?;
            match name {
                "access" => {
                    let found: Access = value.parse().map_err(|()| ValueError::Access)?;
                    access = Some(found);
                }
                "classification" => data.classification = Some(value.to_owned()),
                "destination" => data.destination = Some(value.to_owned()),
                "records" => {
                    let found = || ValueError::Records {
                        found: value.to_owned(),
                    };
                    data.records = Some(value.parse().map_err(|_| found())?);
                }
                _ => {
                    return Err(ValueError::Part {
                        part: name.to_owned(),
                    });
                }
            }
        }
        data.access = access.ok_or(ValueError::Access)?;
        Ok(Self(data))
    }
}

/// Splits at the first `=`; the name is not empty.
fn pair<'t>(text: &'t str, expected: &'static str) -> Result<(&'t str, &'t str), ValueError> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or(ValueError::Form { expected })
}

/// Reads a span of time.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    read_span(text).map_err(|error| error.to_string())
}

/// Reads the name of a variable of the environment.
pub(super) fn variable(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || text.contains('=') {
        return Err(ValueError::Form {
            expected: "the name of a variable, without its value",
        });
    }
    Ok(text.to_owned())
}
/// Reads an address to listen on; a port alone is one of this machine.
///
/// # Errors
/// When it is none.
pub(super) fn listen(text: &str) -> Result<SocketAddr, ValueError> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| ValueError::Form {
        expected: "PORT or ADDR:PORT, such as 8700 or 127.0.0.1:8700",
    })
}
