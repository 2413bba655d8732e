//! `profiles.toml`: what the daemon runs for agents, as whom, and with which secrets.
//!
//! Here is the file's form, and what can be said of it without looking at the machine; a file that is
//! not there holds no profile. Whether accounts and programs are there, and may be what the profile
//! makes of them, the broker finds out. No value of a secret stands in the file: only where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::limits::read_span;
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Source, is_a_name};

/// The longest name of a profile, in bytes.
const LONGEST_NAME: usize = 64;

/// What makes a loader or an interpreter run something else than the program; nobody but the operator
/// sets these.
const DECISIVE: [&str; 12] = [
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "IFS",
    "NODE_OPTIONS",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "TMPDIR",
];

/// One profile, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name that agents use, and reviewers see.
    pub name: String,
    /// The OS account to run as; the daemon's own where nothing is said.
    pub user: Option<String>,
    /// Further OS groups.
    pub groups: Vec<String>,
    /// The OS accounts of agents that may use it.
    pub agents: Vec<String>,
    /// The OS groups whose members may.
    pub agent_groups: Vec<String>,
    /// What may be run.
    pub programs: Vec<AllowedProgram>,
    /// Where it may run, these and what lies below; the first one where the agent says nothing.
    pub directories: Vec<PathBuf>,
    /// Variables that are always set.
    pub environment: BTreeMap<String, String>,
    /// Variables that the agent may set.
    pub from_agent: BTreeSet<String>,
    /// The secrets, by the variable that leads to each.
    pub secrets: BTreeMap<String, (SecretSource, Delivery)>,
    /// What a run may use up.
    pub limits: ProfileLimits,
    /// Where standard input comes from.
    pub input: Input,
    /// Whether each run has a temporary directory of its own.
    pub temporary: bool,
    /// What a run acts on, as kind and name: the profile itself where nothing is said.
    pub target: (String, String),
}

/// A program that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedProgram {
    /// The absolute path.
    pub path: PathBuf,
    /// What its contents must hash to.
    pub digest: Option<Digest>,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In a file of `$CREDENTIALS_DIRECTORY` (systemd.exec(5), `LoadCredential=`).
    Credential(String),
    /// In what a command prints.
    Command(Vec<String>),
}

/// How a program gets a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// As the value of the variable.
    Environment,
    /// In a file of its own, whose path is the value of the variable.
    File,
}

impl Delivery {
    /// Returns the word that stands in the file and in an action.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::File => "file",
        }
    }
}

/// Where standard input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// From the action, where reviewers see it.
    #[default]
    Shown,
    /// From the agent while the program runs; nobody sees it before.
    Streamed,
}

impl Input {
    /// Returns the word that stands in the file and in an action.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Streamed => "streamed",
        }
    }
}

/// What one run may use up; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileLimits {
    /// Time of processors, for each process.
    pub cpu: Option<Duration>,
    /// Address space, for each process, in bytes.
    pub memory: Option<u64>,
    /// The size of a file that is written, in bytes.
    pub file_size: Option<u64>,
    /// Open files, for each process.
    pub files: Option<u64>,
    /// Processes of the account, those of other runs included.
    pub processes: Option<u64>,
    /// What it writes to standard output and standard error together, in bytes.
    pub output: u64,
    /// How long it runs.
    pub max_run: Duration,
}

impl Default for ProfileLimits {
    fn default() -> Self {
        Self {
            cpu: None,
            memory: None,
            file_size: None,
            files: Some(1024),
            processes: None,
            output: 64 << 20,
            max_run: Duration::from_secs(60 * 60),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    profile: BTreeMap<String, Spanned<RawProfile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    user: Option<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default)]
    agents: Vec<Spanned<String>>,
    #[serde(default)]
    agent_groups: Vec<Spanned<String>>,
    programs: Spanned<Vec<Spanned<RawProgram>>>,
    directories: Spanned<Vec<Spanned<PathBuf>>>,
    #[serde(default)]
    environment: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    from_agent: Vec<Spanned<String>>,
    #[serde(default)]
    secrets: BTreeMap<String, Spanned<RawSecret>>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    input: Input,
    #[serde(default = "yes")]
    temporary: bool,
    target: Option<Spanned<RawTarget>>,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawProgram {
    Path(PathBuf),
    Pinned(RawPinned),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPinned {
    path: PathBuf,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecret {
    file: Option<PathBuf>,
    credential: Option<String>,
    command: Option<Vec<String>>,
    #[serde(rename = "as")]
    delivery: Option<Delivery>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    kind: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    cpu: Option<Spanned<String>>,
    memory: Option<Spanned<u64>>,
    file_size: Option<Spanned<u64>>,
    files: Option<Spanned<u64>>,
    processes: Option<Spanned<u64>>,
    output: Option<Spanned<u64>>,
    max_run: Option<Spanned<String>>,
}

/// Checks the text of `profiles.toml`; `file` is named in errors.
///
/// # Errors
/// When it is not exactly as it must be.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Profile>, ConfigError> {
    let source = Source { file, text };
    let raw: RawFile = source.read()?;
    raw.profile
        .into_iter()
        .map(|(name, raw)| profile(&source, name, raw))
        .collect()
}

fn profile(
    source: &Source<'_>,
    name: String,
    raw: Spanned<RawProfile>,
) -> Result<Profile, ConfigError> {
    let is_word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(is_word) {
        let problem = "a profile's name has 1 to 64 of `a-z`, `0-9`, `-` and `_`";
        return Err(source.wrong(&raw, problem));
    }
    let whole = raw.span().start;
    let raw = raw.into_inner();
    let programs = programs(source, &raw.programs)?;
    let directories = directories(source, &raw.directories)?;
    let mut environment = BTreeMap::new();
    for (variable, value) in raw.environment {
        if !is_variable(&variable) || value.get_ref().contains('\0') {
            return Err(source.wrong(&value, "not the name and value of a variable"));
        }
        environment.insert(variable, value.into_inner());
    }
    let mut from_agent = BTreeSet::new();
    for variable in raw.from_agent {
        let text = variable.get_ref();
        if !is_variable(text) || DECISIVE.contains(&text.as_str()) || text.starts_with("LD_") {
            let problem = "not a variable that an agent may set: it decides what is run";
            return Err(source.wrong(&variable, problem));
        }
        if environment.contains_key(text) {
            return Err(source.wrong(&variable, "is set by `environment` already"));
        }
        from_agent.insert(variable.into_inner());
    }
    let mut secrets = BTreeMap::new();
    for (variable, raw) in raw.secrets {
        let taken = environment.contains_key(&variable) || from_agent.contains(&variable);
        if !is_variable(&variable) || taken || variable == "TMPDIR" {
            let problem = "a secret has the name of a variable that nothing else sets";
            return Err(source.wrong(&raw, problem));
        }
        secrets.insert(variable, secret(source, &raw)?);
    }
    let by_file = secrets.values().any(|(_, how)| *how == Delivery::File);
    if by_file && !raw.temporary {
        let problem = "a secret `as = \"file\"` needs `temporary = true`: its file lies there";
        return Err(source.wrong_at(whole, problem));
    }
    let target = match raw.target {
        None => ("profile".to_owned(), name.clone()),
        Some(target) => {
            let RawTarget { kind, name } = target.get_ref();
            if kind.is_empty() || name.is_empty() {
                return Err(source.wrong(&target, "a target has a kind and a name"));
            }
            (kind.clone(), name.clone())
        }
    };
    Ok(Profile {
        name,
        user: raw.user.map(|user| named(source, user)).transpose()?,
        groups: all_named(source, raw.groups)?,
        agents: all_named(source, raw.agents)?,
        agent_groups: all_named(source, raw.agent_groups)?,
        programs,
        directories,
        environment,
        from_agent,
        secrets,
        limits: limits(source, &raw.limits)?,
        input: raw.input,
        temporary: raw.temporary,
        target,
    })
}

fn programs(
    source: &Source<'_>,
    raw: &Spanned<Vec<Spanned<RawProgram>>>,
) -> Result<Vec<AllowedProgram>, ConfigError> {
    let mut programs = Vec::new();
    for place in raw.get_ref() {
        let (path, pinned) = match place.get_ref() {
            RawProgram::Path(path) => (path, None),
            RawProgram::Pinned(pinned) => (&pinned.path, Some(&pinned.sha256)),
        };
        if !path.is_absolute() {
            return Err(source.wrong(place, "a program is named by its absolute path"));
        }
        let digest = pinned.map(|text| Digest::from_hex(text)).transpose();
        let digest = digest
            .map_err(|_| source.wrong(place, "`sha256` has 64 lower-case hexadecimal digits"))?;
        programs.push(AllowedProgram {
            path: path.clone(),
            digest,
        });
    }
    if programs.is_empty() {
        return Err(source.wrong(raw, "a profile names the programs that it runs"));
    }
    Ok(programs)
}

fn directories(
    source: &Source<'_>,
    raw: &Spanned<Vec<Spanned<PathBuf>>>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let mut directories = Vec::new();
    for place in raw.get_ref() {
        if !place.get_ref().is_absolute() {
            return Err(source.wrong(place, "a directory is named by its absolute path"));
        }
        directories.push(place.get_ref().clone());
    }
    if directories.is_empty() {
        return Err(source.wrong(raw, "a profile names the directories that it runs in"));
    }
    Ok(directories)
}

fn secret(
    source: &Source<'_>,
    place: &Spanned<RawSecret>,
) -> Result<(SecretSource, Delivery), ConfigError> {
    let raw = place.get_ref();
    let found = match (&raw.file, &raw.credential, &raw.command) {
        (Some(file), None, None) if file.is_absolute() => SecretSource::File(file.clone()),
        (None, Some(name), None) if is_file_name(name) => SecretSource::Credential(name.clone()),
        (None, None, Some(command))
            if command
                .first()
                .is_some_and(|program| program.starts_with('/'))
                && !command.iter().any(|argument| argument.contains('\0')) =>
        {
            SecretSource::Command(command.clone())
        }
        _ => {
            let problem = "a secret has one of `file` (an absolute path), `credential` (a name) \
                           and `command` (a list that begins with an absolute path)";
            return Err(source.wrong(place, problem));
        }
    };
    Ok((found, raw.delivery.unwrap_or(Delivery::Environment)))
}

fn limits(source: &Source<'_>, raw: &RawLimits) -> Result<ProfileLimits, ConfigError> {
    let standard = ProfileLimits::default();
    let span = |place: &Spanned<String>| {
        let whole =
            read_span(place.get_ref()).map_err(|error| source.wrong(place, &error.to_string()))?;
        if whole.subsec_nanos() != 0 || u32::try_from(whole.as_secs()).is_err() {
            return Err(source.wrong(place, "must be whole seconds"));
        }
        Ok(whole)
    };
    let count = |place: &Option<Spanned<u64>>, otherwise: Option<u64>| match place {
        None => Ok(otherwise),
        Some(place) if *place.get_ref() == 0 => Err(source.wrong(place, "must be more than 0")),
        Some(place) => Ok(Some(*place.get_ref())),
    };
    Ok(ProfileLimits {
        cpu: raw.cpu.as_ref().map(span).transpose()?,
        memory: count(&raw.memory, standard.memory)?,
        file_size: count(&raw.file_size, standard.file_size)?,
        files: count(&raw.files, standard.files)?,
        processes: count(&raw.processes, standard.processes)?,
        output: count(&raw.output, None)?.unwrap_or(standard.output),
        max_run: match &raw.max_run {
            None => standard.max_run,
            Some(place) => span(place)?,
        },
    })
}

fn all_named(source: &Source<'_>, names: Vec<Spanned<String>>) -> Result<Vec<String>, ConfigError> {
    names.into_iter().map(|name| named(source, name)).collect()
}

fn named(source: &Source<'_>, name: Spanned<String>) -> Result<String, ConfigError> {
    if !is_a_name(name.get_ref()) || name.get_ref().len() > LONGEST_NAME {
        return Err(source.wrong(&name, "not the name of an OS account or group"));
    }
    Ok(name.into_inner())
}

/// Tells whether a text names a variable (POSIX, base definitions, 8.1).
fn is_variable(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = text
        .bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit());
    begins_well && text.len() <= LONGEST_NAME && text.bytes().all(known)
}

/// Tells whether a text is the name of a file in a directory, and leads nowhere else.
fn is_file_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
