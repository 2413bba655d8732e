//! `countersignd usage`: who used which data, counted from what ran.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use countersign_evidence::source::Period;
use countersign_evidence::usage::{By, Usage};
use countersign_shared::when::When;

use super::export::refused;
use super::{configured, log_key, say};
use crate::clock::Clock;
use crate::export::Snapshot;

/// What uses are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    /// The name of the data.
    Data,
    /// What the agent calls itself, or its principal.
    Agent,
    /// Each person who approved.
    Reviewer,
    /// Where the data went.
    Destination,
}

/// What is counted.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What uses are counted by.
    #[arg(long, value_enum)]
    by: Word,
    /// Only from this time on, such as 2026-07-01, 2026-07-01T08:00:00Z, or 36h for so long ago.
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (layout, _) = configured(home)?;
    let key = log_key(&layout)?;
    let database = layout.database();
    let source = Snapshot::open(&database).with_context(|| {
        let database = database.display();
        format!("cannot read `{database}`; run this as the user that the daemon runs as")
    })?;
    let by = match arguments.by {
        Word::Data => By::Data,
        Word::Agent => By::Agent,
        Word::Reviewer => By::Reviewer,
        Word::Destination => By::Destination,
    };
    let now = Clock::machine()?.now().wall;
    let since = arguments.since.map(|when| when.seen_from(now));
    let period = Period {
        from: since,
        until: None,
    };
    let usage = match Usage::of(&source, &key, by, period) {
        Ok(usage) => usage,
        Err(error) => return refused(error.into()),
    };
    if arguments.json {
        say(&usage.to_json().to_string())?;
    } else {
        say(&usage.to_text())?;
    }
    Ok(ExitCode::SUCCESS)
}
