//! `countersignd prune`: what was over longer ago than `[retention]` keeps is handed out, and goes.
//!
//! It runs instead of the daemon, as the daemon's user. The hashes of the entries stay in the log's tree,
//! and the entry `log.pruned` binds which ones are gone, and the pack that holds them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Opened, log_key, say};
use crate::identity::Operator;
use crate::pruning::Outlook;

/// Where what goes is handed out to.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory to make; an evidence pack of what goes.
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    archive: Option<PathBuf>,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<()> {
    let opened = Opened::open(home)?;
    let database = opened.home.layout().database();
    let days = opened.config.retention.entries_days().context(
        "entries are kept for ever: no `entries_days` in the table `[retention]` of \
         countersign.toml says how long they are",
    )?;
    let now = opened.settings.clock.now().wall;
    let outlook = Outlook::of(&database, now, days)?;
    let Some(plan) = outlook.plan else {
        let before = outlook.last.map_or_else(String::new, |last| {
            format!(
                "; last time it was what stood before entry {}, and the pack whose manifest.sha256 has the \
                 digest {} holds it",
                last.before, last.archive
            )
        });
        return say(&format!(
            "nothing was over more than {days} days ago; nothing is pruned{before}"
        ));
    };
    let (before, requests) = (plan.before, plan.requests.len());
    let archive = match &arguments.archive {
        Some(archive) if !arguments.dry_run => archive,
        Some(_) | None => {
            return say(&format!(
                "{requests} requests would go that were over before entry {before}, more than {days} \
                 days ago; nothing is pruned"
            ));
        }
    };
    let by = Operator::of_this_process()?;
    let key = log_key(opened.home.layout())?;
    let gone = plan.carry_out(&database, &key, opened.settings, archive, by)?;
    say(&format!(
        "{} entries about {} requests were pruned, and that is recorded; their hashes are in the log, and \
         everything else is in `{}`: keep that",
        gone.entries,
        gone.requests,
        archive.display()
    ))?;
    if !gone.is_clean {
        say(
            "somebody reads the database now, so its journal still holds what went: end that and start \
             the daemon",
        )?;
    }
    Ok(())
}
