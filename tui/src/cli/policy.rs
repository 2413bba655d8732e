//! Looking at policies: what keeps them from loading, what their cases say, what they would have made
//! of the past, and why a request is where it is.
//!
//! All but the last is done by the daemon's own program, on the files of the home, which only its
//! owner may read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use serde_json::{Value, json};

use super::exit::{Done, Trouble};
use super::{Session, output};
use crate::siblings::sibling;

/// What to do with policies.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say what keeps the policies from loading, and what is odd about them.
    Check(Files),
    /// Run the cases of the files `*.test.toml` beside the policies.
    Test(Files),
    /// Judge every request of the past under these policies, and list what would change.
    Replay(Replay),
    /// Say why a request is where it is, and who could approve it now.
    Explain(Explain),
}

/// Which files; what is not given is the home's own.
#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// The directory of the policies, and of their cases.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// The catalogue of targets.
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// The kinds of your own.
    #[arg(long, value_name = "FILE")]
    kinds: Option<PathBuf>,
}

/// What to judge anew.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    #[command(flatten)]
    files: Files,
    /// Only what was received since then: a time, a day such as 2026-11-21, or how long ago, such as
    /// 36h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many changes are listed; all are counted.
    #[arg(long, value_name = "COUNT")]
    list: Option<usize>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// What to explain.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The id, or an unambiguous beginning of it.
    id: String,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

impl Files {
    fn arguments(&self) -> Vec<OsString> {
        [
            ("--policy=", &self.policy),
            ("--targets=", &self.targets),
            ("--kinds=", &self.kinds),
        ]
        .into_iter()
        .filter_map(|(option, path)| Some(joined(option, path.as_deref()?)))
        .collect()
    }
}

/// Returns an option with its value in one piece, whatever the value begins with.
fn joined(option: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(value);
    argument
}

impl Command {
    /// Tells whether JSON is to be written.
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Check(_) | Self::Test(_) => false,
            Self::Replay(replay) => replay.json,
            Self::Explain(explain) => explain.json,
        }
    }

    /// Returns what the daemon's program is told; nothing when the daemon itself is asked.
    fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::Check(files) => [vec!["check".into()], files.arguments()].concat(),
            Self::Test(files) => [vec!["test".into()], files.arguments()].concat(),
            Self::Replay(replay) => {
                let mut arguments = vec!["replay".into()];
                arguments.extend(replay.files.arguments());
                arguments.extend(replay.since.iter().map(|since| joined("--since=", since)));
                let list = replay
                    .list
                    .map(|count| joined("--list=", count.to_string()));
                arguments.extend(list);
                arguments.extend(replay.json.then(|| "--json".into()));
                arguments
            }
            Self::Explain(_) => Vec::new(),
        }
    }
}

/// Asks the daemon why a request is where it is.
pub(super) async fn explain(mut session: Session, arguments: &Explain) -> Done {
    let (id, explanation) = session.client.explain(&arguments.id).await?;
    if arguments.json {
        let mut value = json!({"schema": 1, "id": id});
        let fields =
            serde_json::to_value(&explanation).map_err(|error| Trouble::failure(&error))?;
        if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
            value.extend(fields);
        }
        output::json(&value);
        return Ok(());
    }
    for line in explanation.lines() {
        output::line(&line);
    }
    Ok(())
}

/// Lets the daemon's program do it. What it found is on the screen, so that its code says the rest.
pub(super) fn policy(home: Option<&Path>, command: &Command) -> Done {
    let program = sibling("countersignd").map_err(|error| Trouble::failure(&error))?;
    let mut process = Process::new(program);
    if let Some(home) = home {
        process.arg("--home").arg(home);
    }
    process.arg("policy").args(command.arguments());
    let status = process.status().map_err(|error| Trouble::failure(&error))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(_) => Err(Trouble::silent(1)),
        None => Err(Trouble::new(
            1,
            "failure",
            "the daemon's program was ended by a signal",
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn every_option_reaches_the_daemons_program() {
        for line in [
            "check --policy=a --targets=b --kinds=c",
            "test --policy=-x",
            "replay --policy=a --since=36h --list=5 --json",
        ] {
            let words = ["policy"].into_iter().chain(line.split(' '));
            let parsed = Line::try_parse_from(words).unwrap();
            let told: Vec<String> = parsed
                .command
                .arguments()
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect();
            assert_eq!(told.join(" "), line);
        }
    }
}
