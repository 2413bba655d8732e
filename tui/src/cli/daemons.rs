//! Commands that the daemon's own program runs: they read its database, which only its owner may.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_shared::id::RequestId;

use super::exit::{Done, Trouble};
use crate::siblings::sibling;

/// What is checked, and against what.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArguments {
    /// A database, a directory of tiles or an evidence pack; without it the database of the home.
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The log's key, as it was noted elsewhere; without it the one of the home.
    #[arg(long, value_name = "FILE")]
    vkey: Option<PathBuf>,
    /// A head of the log that was kept elsewhere; the log must still contain it. Repeatable.
    #[arg(long, value_name = "FILE")]
    head: Vec<PathBuf>,
    /// Which witnesses are believed (C2SP tlog-policy); without it what the home's `[witnesses]` names.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// An evidence pack that `prune` made, whose entries are checked with all others. Repeatable.
    #[arg(long, value_name = "DIR")]
    archive: Vec<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What is exported, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// What the log is written as: evidence, tiles, jsonl, csv, ocsf or cef.
    #[arg(value_parser = ["evidence", "tiles", "jsonl", "csv", "ocsf", "cef"])]
    format: String,
    /// The file or directory to make; it must not be there yet. `-` is standard output, for a file.
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
    /// Only from this time on, such as 2026-07-01, 2026-07-01T08:00:00Z, or 36h for so long ago.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only this request.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
}

/// What is counted.
#[derive(Debug, clap::Args)]
pub(super) struct UsageArguments {
    /// What uses are counted by: data, agent, reviewer or destination.
    #[arg(long, value_parser = ["data", "agent", "reviewer", "destination"])]
    by: String,
    /// Only from this time on, such as 2026-07-01, 2026-07-01T08:00:00Z, or 36h for so long ago.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Write JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Where a copy of the database goes.
#[derive(Debug, clap::Args)]
pub(super) struct BackupArguments {
    /// The file to make; it must not be there yet.
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
}

/// Why an older database is gone on from.
#[derive(Debug, clap::Args)]
pub(super) struct AdoptRollbackArguments {
    /// Why there is nothing newer to go on from.
    #[arg(long, value_name = "WHY")]
    reason: String,
}

/// Which document is erased, and why.
#[derive(Debug, clap::Args)]
pub(super) struct EraseArguments {
    /// The request.
    id: RequestId,
    /// Why it may not be kept as long as the others.
    #[arg(long, value_name = "WHY")]
    reason: String,
}

/// What is pruned, and where it is handed out to.
#[derive(Debug, clap::Args)]
pub(super) struct PruneArguments {
    /// The directory to make; an evidence pack of what goes.
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    archive: Option<PathBuf>,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// A call of the daemon's program.
struct Call(Command);

impl Call {
    fn new(home: Option<&Path>, task: &str) -> Result<Self, Trouble> {
        let program = sibling("countersignd").map_err(|error| Trouble::failure(&error))?;
        let mut command = Command::new(program);
        if let Some(home) = home {
            command.arg("--home").arg(home);
        }
        command.arg(task);
        Ok(Self(command))
    }

    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) {
        // In one word, so that no value is taken for an option.
        let mut word = std::ffi::OsString::from(name);
        word.push("=");
        word.push(value);
        self.0.arg(word);
    }

    fn options<V: AsRef<OsStr>>(&mut self, name: &str, values: impl IntoIterator<Item = V>) {
        for value in values {
            self.option(name, value);
        }
    }

    /// Runs it; what it says is for the same eyes. `tampered` and `failed` say how it can end badly.
    fn run(mut self, is_silent: bool, tampered: &'static str, failed: &'static str) -> Done {
        let status = self.0.status().map_err(|error| Trouble::failure(&error))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(9) if is_silent => Err(Trouble::silent(9)),
            Some(9) => Err(Trouble::new(9, "tampered", tampered)),
            Some(_) | None => Err(Trouble::new(1, "failure", failed)),
        }
    }
}

/// Checks a database, tiles or a pack.
pub(super) fn verify(home: Option<&Path>, arguments: &VerifyArguments) -> Done {
    let mut call = Call::new(home, "verify")?;
    call.options("--vkey", &arguments.vkey);
    call.options("--head", &arguments.head);
    call.options("--policy", &arguments.policy);
    call.options("--archive", &arguments.archive);
    if arguments.json {
        call.0.arg("--json");
    }
    if let Some(path) = &arguments.path {
        // Behind the dashes a path is a path, whatever it begins with.
        call.0.arg("--").arg(path);
    }
    let failed = "the log could not be checked";
    call.run(
        arguments.json,
        "the log was tampered with, see above",
        failed,
    )
}

/// Hands the log out.
pub(super) fn export(home: Option<&Path>, arguments: &ExportArguments) -> Done {
    let mut call = Call::new(home, "export")?;
    call.0.arg(&arguments.format);
    call.option("--output", &arguments.output);
    call.options("--from", &arguments.from);
    call.options("--to", &arguments.to);
    call.options("--request", &arguments.request);
    let failed = "nothing was exported";
    call.run(
        false,
        "the log was tampered with; nothing was exported",
        failed,
    )
}

/// Counts who used which data.
pub(super) fn usage(home: Option<&Path>, arguments: &UsageArguments) -> Done {
    let mut call = Call::new(home, "usage")?;
    call.option("--by", &arguments.by);
    call.options("--since", &arguments.since);
    if arguments.json {
        call.0.arg("--json");
    }
    let failed = "the uses of data could not be counted";
    call.run(
        arguments.json,
        "the log was tampered with, see above",
        failed,
    )
}

/// Copies the database.
pub(super) fn backup(home: Option<&Path>, arguments: &BackupArguments) -> Done {
    let mut call = Call::new(home, "backup")?;
    call.option("--output", &arguments.output);
    let failed = "the database was not copied";
    call.run(false, failed, failed)
}

/// Goes on from an older database.
pub(super) fn adopt(home: Option<&Path>, arguments: &AdoptRollbackArguments) -> Done {
    let mut call = Call::new(home, "adopt-rollback")?;
    call.option("--reason", &arguments.reason);
    let failed = "nothing was adopted";
    call.run(false, failed, failed)
}

/// Erases the document of one request.
pub(super) fn erase(home: Option<&Path>, arguments: &EraseArguments) -> Done {
    let mut call = Call::new(home, "erase")?;
    call.0.arg(arguments.id.to_string());
    call.option("--reason", &arguments.reason);
    let failed = "nothing was erased";
    call.run(false, failed, failed)
}

/// Prunes the log.
pub(super) fn prune(home: Option<&Path>, arguments: &PruneArguments) -> Done {
    let mut call = Call::new(home, "prune")?;
    if let Some(archive) = &arguments.archive {
        call.option("--archive", archive);
    }
    if arguments.dry_run {
        call.0.arg("--dry-run");
    }
    let failed = "nothing was pruned";
    call.run(false, failed, failed)
}

/// Asks whether what the profiles name is there: what is found about each, and whether it is well;
/// nothing when this user may not read the files.
pub(super) fn profiles(home: Option<&Path>) -> Option<Vec<(bool, String)>> {
    let mut call = Call::new(home, "profiles").ok()?;
    call.0.arg("--json").stdin(Stdio::null());
    let told = call.0.output().ok()?.stdout;
    let told: serde_json::Value = serde_json::from_slice(&told).ok()?;
    let checks = told.get("checks")?.as_array()?.iter();
    checks
        .map(|check| {
            let says = check.get("message")?.as_str()?.to_owned();
            Some((check.get("ok")?.as_bool()?, says))
        })
        .collect()
}
