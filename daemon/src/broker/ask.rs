//! What a profile makes of an asking: the program and the directory, opened; the variables; and the
//! parts of the action that say so.
//!
//! The same is done when an agent prepares to ask, when it asks, and before the one use is taken, where that
//! is not one with the asking; what was opened is looked at once more after it. Only when the action is, each time, what the profile makes of it then, does anything run
//! (R9). What agents write into these parts so holds for nothing: it is compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_program::directory::Directory;
use countersign_program::program::Program;
use countersign_shared::action::{Contents, Program as Shown, Text};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::profiles::{Profiles, Resolved};
use super::{BrokerError, arguments};
use crate::home::way::check_unchangeable;
use crate::identity::Peer;

pub(crate) use super::arguments::profile_of;

/// The variables that are set where the profile does not.
const STANDARD: [(&str, &str); 2] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
];

/// What is asked of a profile.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The profile's name.
    pub(crate) profile: &'a str,
    /// The program, by name or path.
    pub(crate) program: &'a [u8],
    /// Where it shall run; the profile's first directory where nothing is said.
    pub(crate) directory: Option<&'a str>,
    /// The variables that the agent sets.
    pub(crate) environment: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// What a profile makes of it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) profile: Arc<Resolved>,
    pub(super) program: Program,
    pub(super) directory: Directory,
    pub(super) environment: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl Prepared {
    /// Opens what a profile would use. Blocks: files are looked up and hashed.
    pub(crate) fn of(
        profiles: &Profiles,
        peer: &Peer,
        wanted: Wanted<'_>,
    ) -> Result<Self, BrokerError> {
        let no_profile = || BrokerError::NoProfile {
            name: wanted.profile.escape_debug().to_string(),
        };
        let profile = profiles.of(wanted.profile, peer).ok_or_else(no_profile)?;
        let program = program(profile, wanted.program)?;
        let directory = directory(profile, wanted.directory)?;
        let environment = environment(profile, wanted.environment)?;
        Ok(Self {
            profile: Arc::clone(profile),
            program,
            directory,
            environment,
        })
    }

    /// Opens what an action would use, and compares it with the action.
    pub(crate) fn of_action(
        profiles: &Profiles,
        peer: &Peer,
        action: &Value,
    ) -> Result<Self, BrokerError> {
        let text = |pointer: &str| action.pointer(pointer).and_then(Value::as_str);
        // Policy has judged the kind: under another one it has not judged a program.
        if text("/kind") != Some(arguments::KIND) {
            return Err(BrokerError::NotBrokered);
        }
        let name = text("/arguments/profile/name").ok_or(BrokerError::NotBrokered)?;
        let other = |field: &'static str| BrokerError::Differs {
            profile: name.escape_debug().to_string(),
            field,
        };
        let argv = arguments::argv(action).ok_or_else(|| other("/arguments/argv"))?;
        let mut environment =
            arguments::environment(action).ok_or_else(|| other("/context/environment"))?;
        let profile = profiles.of(name, peer);
        environment.retain(|name, _| {
            profile.is_some_and(|profile| profile.written.from_agent.contains(name))
        });
        let wanted = Wanted {
            profile: name,
            program: argv.first().map_or(b"", |program| program.as_slice()),
            directory: text("/context/cwd"),
            environment,
        };
        let prepared = Self::of(profiles, peer, wanted)?;
        match prepared.difference(action) {
            None => Ok(prepared),
            Some(field) => Err(other(field)),
        }
    }

    /// Returns the first part of an action that is not what it must be.
    fn difference(&self, action: &Value) -> Option<&'static str> {
        let expected = self.to_value();
        let parts = [
            ("/target", "target"),
            ("/arguments/program", "program"),
            ("/arguments/profile", "profile"),
            ("/context/cwd", "cwd"),
        ];
        let differs = |(pointer, part): &(&'static str, &str)| {
            action.pointer(pointer).is_none() || action.pointer(pointer) != expected.get(*part)
        };
        if let Some((pointer, _)) = parts.iter().find(|part| differs(part)) {
            return Some(pointer);
        }
        // Neither describes what the daemon would do.
        let beside = ["/arguments/tool", "/changes"];
        if let Some(pointer) = beside.iter().find(|part| action.pointer(part).is_some()) {
            return Some(pointer);
        }
        if arguments::environment(action).as_ref() != Some(&self.environment) {
            return Some("/context/environment");
        }
        let streams = self.profile.written.input == crate::config::Input::Streamed;
        let has_input = action
            .pointer("/arguments/stdin")
            .is_some_and(|input| !input.is_null());
        (streams && has_input).then_some("/arguments/stdin")
    }

    /// Returns the parts of an action that the profile decides.
    pub(crate) fn to_value(&self) -> Value {
        let program = Shown {
            // Checked when it was opened.
            path: self.program.path().to_string_lossy().into_owned(),
            digest: self.program.digest(),
        };
        let environment: Map<String, Value> = self
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), Text::from_bytes(value.to_vec()).into_value()))
            .collect();
        let (kind, name) = &self.profile.written.target;
        json!({
            "target": { "kind": kind, "name": name },
            "program": program.to_value(),
            "profile": self.profile.described(),
            "cwd": self.directory.path().to_string_lossy(),
            "environment": environment,
        })
    }

    /// Looks whether program and directory are still the ones that were opened. Blocks.
    pub(super) fn check(&self) -> Result<(), String> {
        self.program.check().map_err(|error| error.to_string())?;
        self.directory.check().map_err(|error| error.to_string())
    }

    /// Tells whether a run takes secrets.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.profile.written.secrets.is_empty()
    }

    /// Returns the longest that a run may take, in seconds.
    pub(crate) fn max_run_s(&self) -> u32 {
        let seconds = self.profile.written.limits.max_run.as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

fn refuses(profile: &Resolved, problem: String) -> BrokerError {
    BrokerError::Refuses {
        profile: profile.written.name.clone(),
        problem,
    }
}

/// Opens the program that a name or a path means: one that the profile lists, and no other.
fn program(profile: &Resolved, wanted: &[u8]) -> Result<Program, BrokerError> {
    let wanted = Path::new(OsStr::from_bytes(wanted));
    let is_path = wanted.as_os_str().as_bytes().contains(&b'/');
    let mut found = profile.written.programs.iter().filter(|program| {
        if is_path {
            program.path == wanted
        } else {
            program.path.file_name() == Some(wanted.as_os_str())
        }
    });
    let shown = wanted.as_os_str().as_bytes().escape_ascii();
    let allowed = match (found.next(), found.next()) {
        (Some(program), None) => program,
        (None, _) => return Err(refuses(profile, format!("does not run `{shown}`"))),
        (Some(_), Some(_)) => {
            let problem = format!("runs more than one `{shown}`; name it by its path");
            return Err(refuses(profile, problem));
        }
    };
    let opened = Program::open(allowed.path.as_os_str(), None, Path::new("/"))
        .map_err(|error| refuses(profile, format!("cannot run it: {error}")))?;
    // What an agent could change, or lead elsewhere, it would have run as somebody else before
    // anybody looked.
    let led = check_unchangeable(&allowed.path).map_err(|error| {
        refuses(
            profile,
            format!("does not run what others can change: {error}"),
        )
    })?;
    if led != opened.path() {
        let problem = "does not run a program whose path changes meanwhile".to_owned();
        return Err(refuses(profile, problem));
    }
    if opened.path().to_str().is_none() {
        return Err(refuses(
            profile,
            "cannot show the program's path".to_owned(),
        ));
    }
    match allowed.digest {
        Some(digest) if digest != opened.digest() => {
            let (path, found) = (allowed.path.display(), opened.digest().to_hex());
            let problem = format!("wants another `{path}` than the one with the sha256 {found}");
            Err(refuses(profile, problem))
        }
        Some(_) | None => Ok(opened),
    }
}

/// Opens the directory: one of the profile's, or below one.
fn directory(profile: &Resolved, wanted: Option<&str>) -> Result<Directory, BrokerError> {
    let listed = &profile.written.directories;
    let first = || listed.first().cloned().unwrap_or_default();
    let wanted = wanted.map_or_else(first, PathBuf::from);
    if !wanted.is_absolute() {
        let problem = "runs in a directory that is named by its absolute path".to_owned();
        return Err(refuses(profile, problem));
    }
    let opened = Directory::open(&wanted)
        .map_err(|error| refuses(profile, format!("cannot run there: {error}")))?;
    // As it is written: whoever owns what is above could make a link of it, to anywhere.
    let is_inside = listed.iter().any(|path| opened.path().starts_with(path));
    if !is_inside || opened.path().to_str().is_none() {
        let shown = wanted.as_os_str().as_bytes().escape_ascii();
        return Err(refuses(profile, format!("does not run in `{shown}`")));
    }
    Ok(opened)
}

/// Puts the environment together. What the profile sets, nobody else does.
fn environment(
    profile: &Resolved,
    from_agent: BTreeMap<String, Zeroizing<Vec<u8>>>,
) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, BrokerError> {
    let written = &profile.written;
    if let Some(name) = from_agent
        .keys()
        .find(|name| !written.from_agent.contains(*name))
    {
        let name = name.escape_debug();
        return Err(refuses(
            profile,
            format!("does not take `{name}` from an agent"),
        ));
    }
    let user = profile.user.as_str();
    let mut all: BTreeMap<String, Zeroizing<Vec<u8>>> = STANDARD
        .into_iter()
        .chain([("USER", user), ("LOGNAME", user)])
        .chain(
            written
                .environment
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
        .filter(|(name, _)| !written.secrets.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), Zeroizing::new(value.as_bytes().to_vec())))
        .collect();
    all.extend(from_agent);
    match all.iter().find(|(_, value)| value.contains(&0)) {
        Some((name, _)) => Err(refuses(
            profile,
            format!("cannot set `{name}`: it holds NUL"),
        )),
        None => Ok(all),
    }
}

/// Returns the input that an action holds.
pub(super) fn input_of(action: &Value) -> Result<Option<Contents>, BrokerError> {
    match action.pointer("/arguments/stdin") {
        Some(Value::Null) => Ok(None),
        Some(input) => Contents::read(input)
            .map(Some)
            .ok_or(BrokerError::OtherAction),
        None => Err(BrokerError::OtherAction),
    }
}

#[cfg(test)]
mod tests;
