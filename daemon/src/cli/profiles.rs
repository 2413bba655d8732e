//! `countersignd profiles`: whether what the profiles name is there, a line for each.
//!
//! Nothing is run, and no running daemon is asked: the files of the home are read, as the user that the
//! daemon runs as, and as nobody else.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{configured, say};
use crate::broker::presence;
use crate::broker::profiles::Profiles;
use crate::config::PolicySources;
use crate::rules::Rules;

/// How the lines are written.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// What was found about a profile.
struct Found {
    profile: String,
    is_well: bool,
    says: String,
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (layout, config) = configured(home)?;
    let state = layout.state_dir();
    let owner = std::fs::metadata(state)
        .with_context(|| format!("cannot look at `{}`", state.display()))?
        .uid();
    if owner != crate::home::us() {
        // For anybody else a secret that is well kept looks like one that is missing.
        bail!("run this as the user that the daemon runs as, who has uid {owner}");
    }
    let written = PolicySources::load(&layout)?.profiles;
    // With an empty file there is nothing that rules could be wrong about.
    let members = if written.is_empty() {
        Vec::new()
    } else {
        Rules::reload(&layout, &config)?.members
    };
    let (_, left_out) = Profiles::resolve(written.clone(), config.mode, &config.groups, &members)?;
    let mut found: Vec<Found> = left_out
        .into_iter()
        .map(|error| Found {
            profile: error.profile().unwrap_or_default().to_owned(),
            is_well: false,
            says: error.to_string(),
        })
        .collect();
    for profile in &written {
        let name = &profile.name;
        let problems = presence::problems(profile);
        if problems.is_empty() && found.iter().all(|it| it.profile != *name) {
            found.push(Found {
                profile: name.clone(),
                is_well: true,
                says: format!("profiles.toml: `profile.{name}`: what it names is there"),
            });
        }
        found.extend(problems.into_iter().map(|problem| Found {
            profile: name.clone(),
            is_well: false,
            says: format!("profiles.toml: `profile.{name}`: {problem}"),
        }));
    }
    tell(&found, arguments.json)?;
    Ok(if found.iter().all(|it| it.is_well) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(found: &[Found], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let checks: Vec<_> = found
            .iter()
            .map(|it| json!({"profile": it.profile, "ok": it.is_well, "message": it.says}))
            .collect();
        return say(&json!({"schema": 1, "checks": checks}).to_string());
    }
    if found.is_empty() {
        return say("there are no profiles");
    }
    for it in found {
        let mark = if it.is_well { "ok  " } else { "bad " };
        say(&format!("{mark} {}", it.says))?;
    }
    Ok(())
}
