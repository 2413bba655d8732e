//! The operator's files: `countersign.toml`, `reviewers.toml`, `targets.toml`, `kinds.toml`,
//! `profiles.toml`, and the policies.
//!
//! Each is read whole, strictly: an unknown key, a wrong type or a value out of range stops the
//! start with file, line and column, because a mistyped key that is ignored is a control that is
//! off. Requirements and lifetimes stay text here; the module that owns their grammar reads them.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_shared::home::{Layout, Mode};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::home::{HomeError, read_trusted, shown};

mod policies;
mod profiles;
mod reviewers;
mod stream;
mod witnesses;

pub use policies::{Candidates, PolicySources};
pub use profiles::{AllowedProgram, Delivery, Input, Profile, ProfileLimits, SecretSource};
pub use reviewers::{load_roster, parse_roster};
pub use stream::{Receiver, Stream};
pub use witnesses::WitnessesTable;

/// The longest file that is read, in bytes.
const FILE_LIMIT: usize = 4 << 20;

/// The longest origin of a log, in bytes.
const ORIGIN_LIMIT: usize = 128;

/// A day, in seconds.
const DAY_S: u64 = 24 * 60 * 60;

/// The OS user of the daemon in system mode when the file names none.
const DAEMON_USER: &str = "countersign";

/// A file that the daemon does not start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read, or cannot be trusted.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// It is not text.
    #[error("`{}` is not UTF-8: byte {offset} does not fit", shown(file))]
    NotText {
        /// The file.
        file: PathBuf,
        /// The first bad byte, counted from 0.
        offset: usize,
    },
    /// Something in a file of targets or kinds is not as it must be; each with its place.
    #[error("{0}")]
    Text(String),
    /// There are more policy files than are read.
    #[error(
        "`{}` holds more than {limit} policy files; put them together",
        shown(directory)
    )]
    TooMany {
        /// The directory.
        directory: PathBuf,
        /// How many are read.
        limit: usize,
    },
    /// The policies, targets and kinds are longer together than one message may be.
    #[error(
        "policies, targets.toml and kinds.toml have {found} bytes together, the limit is {limit}"
    )]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The size in bytes.
        found: usize,
    },
    /// Something in it is not as it must be.
    #[error("{}:{line}:{column}: {message}", shown(file))]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

/// The contents of `countersign.toml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// Who shares the machine with whom.
    pub mode: Mode,
    /// The name of the log.
    pub origin: String,
    /// The OS groups of system mode.
    pub groups: Groups,
    /// The OS user the daemon runs as in system mode; clients compare the listener with it.
    pub daemon_user: String,
    /// What is asked for when no permit says more.
    pub default_requirement: DefaultRequirement,
    /// The table `[limits]`, as it was written.
    pub limits: Option<toml::Table>,
    /// Who may break the glass; nobody when the table is absent.
    pub break_glass: BreakGlass,
    /// How new rules take force.
    pub rules: RulesTable,
    /// How long what is stored is kept.
    pub retention: Retention,
    /// To whom the log goes as it grows; to nobody when the table is absent.
    pub stream: Option<Stream>,
    /// Who elsewhere is sent heads of the log; nobody when the table is absent.
    pub witnesses: Option<WitnessesTable>,
}

/// The table `[rules]`: how new rules take force in system mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesTable {
    /// How many different reviewers have to sign new rules.
    pub signers: NonZeroU32,
}

impl Default for RulesTable {
    fn default() -> Self {
        Self {
            signers: NonZeroU32::MIN,
        }
    }
}

/// The table `[retention]`: how long is kept what was asked, and what the log says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Days")]
pub struct Retention {
    /// How many days documents are kept, from when the request was received; for ever when absent.
    documents_days: Option<NonZeroU16>,
    /// How many days entries are kept at least, before `countersignd prune` may take them away; they
    /// are for ever when absent.
    entries_days: Option<NonZeroU16>,
}

/// [`Retention`] as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Days {
    documents_days: Option<NonZeroU16>,
    entries_days: Option<NonZeroU16>,
}

impl TryFrom<Days> for Retention {
    type Error = String;

    fn try_from(days: Days) -> Result<Self, String> {
        let Days {
            documents_days,
            entries_days,
        } = days;
        match (documents_days, entries_days) {
            // Whatever erases a document writes an entry about it.
            (Some(documents), Some(entries)) if documents >= entries => Err(format!(
                "`documents_days` is {documents}, and has to be less than `entries_days`, {entries}: a \
                 document goes before the entries about it"
            )),
            (documents_days, entries_days) => Ok(Self {
                documents_days,
                entries_days,
            }),
        }
    }
}

impl Retention {
    /// Returns how many days entries are kept before they may be pruned; nothing for ever.
    pub const fn entries_days(self) -> Option<NonZeroU16> {
        self.entries_days
    }

    /// Returns how long documents are kept; nothing for ever.
    pub fn documents(self) -> Option<Duration> {
        self.documents_days
            .map(|days| Duration::from_secs(u64::from(days.get()).saturating_mul(DAY_S)))
    }
}

/// The table `[break_glass]`: who may approve alone, in an emergency (R17). Nobody by being in some
/// other group, or by being the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakGlass {
    /// Names of people in the roster.
    pub people: Vec<String>,
    /// Groups of the roster, all of whose people may.
    pub groups: Vec<String>,
}

/// The OS groups that may connect in system mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Groups {
    /// Who may connect to `agent.sock`.
    pub agents: String,
    /// Who may connect to `review.sock`.
    pub reviewers: String,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            agents: "agents".to_owned(),
            reviewers: "reviewers".to_owned(),
        }
    }
}

/// The table `[default_requirement]`, as it was written; absent keys have defaults elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DefaultRequirement {
    /// Who reviews: `N of GROUP and N of GROUP`.
    pub review: Option<String>,
    /// low, medium, high or critical.
    pub tier: Option<String>,
    /// The least assurance of an approval.
    pub assurance: Option<String>,
    /// How long a request lives.
    pub ttl: Option<String>,
    /// How long an approval stays valid.
    pub grant: Option<String>,
    /// How long a run may take.
    pub max_run: Option<String>,
    /// `allow` when the requester's own signature may count.
    pub self_attest: Option<String>,
    /// When nobody decided, who is called: `at N% to GROUP`.
    pub escalate: Option<String>,
}

/// `countersign.toml` with the places of the values that are judged after reading.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    mode: Mode,
    origin: Spanned<String>,
    #[serde(default)]
    groups: Option<Spanned<Groups>>,
    daemon_user: Option<Spanned<String>>,
    #[serde(default)]
    default_requirement: DefaultRequirement,
    limits: Option<toml::Table>,
    #[serde(default)]
    break_glass: BreakGlass,
    #[serde(default)]
    rules: RulesTable,
    #[serde(default)]
    retention: Retention,
    stream: Option<Spanned<stream::Raw>>,
    witnesses: Option<WitnessesTable>,
}

impl Config {
    /// Reads and checks `countersign.toml`.
    ///
    /// # Errors
    /// When the file cannot be trusted or is not exactly as it must be.
    pub fn load(layout: &Layout) -> Result<Self, ConfigError> {
        let file = layout.config_file();
        let text = read_text(&file)?;
        Self::parse(&file, &text)
    }

    /// Checks the text of `countersign.toml`; `file` is named in errors.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let raw: Raw = source.read()?;
        let origin = raw.origin.get_ref();
        if !is_an_origin(origin) {
            return Err(source.wrong(
                &raw.origin,
                &format!(
                    "an origin has 1 to {ORIGIN_LIMIT} visible ASCII characters other than `+`, \
                     such as `countersign/0123456789abcdefghjkmnpqrs`"
                ),
            ));
        }
        let groups = raw
            .groups
            .as_ref()
            .map_or_else(Groups::default, |groups| groups.get_ref().clone());
        if let Some(place) = &raw.groups {
            let sound = is_a_name(&groups.agents) && is_a_name(&groups.reviewers);
            if !sound || groups.agents == groups.reviewers {
                return Err(source.wrong(
                    place,
                    "`agents` and `reviewers` must name two different groups",
                ));
            }
        }
        if let Some(user) = raw
            .daemon_user
            .as_ref()
            .filter(|user| !is_a_name(user.get_ref()))
        {
            return Err(source.wrong(user, "`daemon_user` must name an account"));
        }
        let stream = raw
            .stream
            .as_ref()
            .map(|table| Stream::judge(&source, table))
            .transpose()?;
        Ok(Self {
            mode: raw.mode,
            origin: origin.clone(),
            groups,
            daemon_user: raw
                .daemon_user
                .map_or_else(|| DAEMON_USER.to_owned(), Spanned::into_inner),
            default_requirement: raw.default_requirement,
            limits: raw.limits,
            break_glass: raw.break_glass,
            rules: raw.rules,
            retention: raw.retention,
            stream,
            witnesses: raw.witnesses,
        })
    }
}

/// Reads a decisive file as text.
fn read_text(file: &Path) -> Result<String, ConfigError> {
    text_of(file, read_trusted(file, FILE_LIMIT)?)
}

/// Takes the bytes of a file as text.
fn text_of(file: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| ConfigError::NotText {
        file: file.to_path_buf(),
        offset: error.utf8_error().valid_up_to(),
    })
}

/// Tells whether `text` can name a log (C2SP signed-note: no white space, no `+`).
fn is_an_origin(text: &str) -> bool {
    (1..=ORIGIN_LIMIT).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'+')
}

/// Tells whether `text` can name an OS account or group (no separator of the account database).
pub(crate) fn is_a_name(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b',' | b'/'))
}

/// A file's text, to say where in it something is wrong.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            self.wrong_at(start, error.message())
        })
    }

    fn wrong<T>(&self, place: &Spanned<T>, message: &str) -> ConfigError {
        self.wrong_at(place.span().start, message)
    }

    fn wrong_at(&self, offset: usize, message: &str) -> ConfigError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let column = before
            .get(line_start..)
            .map_or(0, |line| line.chars().count());
        ConfigError::Wrong {
            file: self.file.to_path_buf(),
            line: before.matches('\n').count().saturating_add(1),
            column: column.saturating_add(1),
            // The parser quotes the file, and one message is one line.
            message: message
                .lines()
                .collect::<Vec<_>>()
                .join("; ")
                .chars()
                .flat_map(|c| match c {
                    '\'' | '"' => vec![c],
                    c => c.escape_debug().collect(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
