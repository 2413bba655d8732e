//! `countersignd verify`: checks a database, a directory of tiles, or an evidence pack.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use countersign_evidence::verify::{Trust as DirectoryTrust, verify_directory};
use countersign_shared::home::Layout;
use countersign_shared::log::checkpoint;
use countersign_shared::log::keeper::HeadKeeper;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::trust_policy::TrustPolicy;

use super::progress::Progress;
use super::{VERIFICATION_FAILED, configured, found, key_of, log_key, say};
use crate::config::Config;
use crate::verify::{self, Trust};
use crate::witnesses::read_policy;

/// What is checked, and against what.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A database, a directory of tiles or an evidence pack; without it the database of the home.
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The log's key, as it was noted elsewhere; without it the one of the home, and without a home
    /// the one that a pack names itself.
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
    /// Write the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let named = arguments.vkey.as_deref().map(key_of).transpose()?;
    let (text, is_good) = match &arguments.path {
        Some(path) if path.is_dir() => directory(home, path, named, arguments)?,
        path => database(home, path.as_deref(), named, arguments)?,
    };
    say(&text)?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(VERIFICATION_FAILED)
    })
}

fn database(
    home: Option<&Path>,
    path: Option<&Path>,
    named: Option<VerifierKey>,
    arguments: &Arguments,
) -> anyhow::Result<(String, bool)> {
    let policy = arguments.policy.as_deref();
    let (path, vkey, mark, policy) = match (path, named) {
        (Some(path), Some(vkey)) => (path.to_owned(), vkey, None, policy_of(policy, None)?),
        (Some(path), None) => {
            let (layout, config) = configured(home)?;
            let policy = policy_of(policy, Some((&layout, &config)))?;
            (path.to_owned(), log_key(&layout)?, None, policy)
        }
        (None, named) => {
            let (layout, config) = configured(home)?;
            let vkey = named.map_or_else(|| log_key(&layout), Ok)?;
            let policy = policy_of(policy, Some((&layout, &config)))?;
            (layout.database(), vkey, Some(layout.head()), policy)
        }
    };
    let trust = Trust {
        origin: vkey.name().to_owned(),
        heads: heads(&arguments.head, vkey.name())?,
        vkey,
        policy,
        archives: arguments.archive.clone(),
        mark,
    };
    let mut progress = Progress::of("entries checked");
    let report = verify::verify(&path, &trust, &mut |done, all| progress.tell(done, all));
    progress.end();
    let report = report.with_context(|| {
        let path = path.display();
        format!("cannot check `{path}`; run this as the user that the daemon runs as")
    })?;
    let text = if arguments.json {
        report.to_json().to_string()
    } else {
        report.to_string()
    };
    Ok((text, report.is_good()))
}

fn directory(
    home: Option<&Path>,
    path: &Path,
    named: Option<VerifierKey>,
    arguments: &Arguments,
) -> anyhow::Result<(String, bool)> {
    anyhow::ensure!(
        arguments.archive.is_empty(),
        "`--archive` goes with a database; a pack and tiles are checked as they are"
    );
    let note = std::fs::read_to_string(path.join("checkpoint")).unwrap_or_default();
    let origin = note.lines().next().unwrap_or_default();
    let own = match (home, &named) {
        (Some(_), _) => Some(configured(home)?),
        // Somebody who checks a pack on a machine of their own has no home. One that is there and cannot
        // be read is no reason to believe the pack.
        (None, None) => found(None).context("name the log's key with `--vkey FILE`")?,
        (None, Some(_)) => found(None).ok().flatten(),
    };
    if let (Some(_), None, Some((layout, config))) = (home, &named, &own) {
        anyhow::ensure!(
            config.origin == origin,
            "`{}` is of another log than `{}`; name its key with `--vkey FILE`",
            path.display(),
            layout.config_file().display()
        );
    }
    let own = own.filter(|(_, config)| config.origin == origin);
    let own = own.as_ref().map(|(layout, config)| (layout, config));
    let policy = policy_of(arguments.policy.as_deref(), own)?;
    let (key, believed) = match (named, own) {
        (Some(key), _) => (Some(key), "named"),
        (None, Some((layout, _))) => (Some(log_key(layout)?), "home"),
        (None, None) => (None, "pack"),
    };
    let heads = match &key {
        Some(key) => heads(&arguments.head, key.name())?,
        None if arguments.head.is_empty() => Vec::new(),
        None => anyhow::bail!("heads can be compared only under a key: name it with `--vkey FILE`"),
    };
    let trust = DirectoryTrust { key, heads, policy };
    let mut progress = Progress::of("entries checked");
    let report = verify_directory(path, &trust, &mut |done, all| progress.tell(done, all));
    progress.end();
    let report = report.with_context(|| format!("cannot check `{}`", path.display()))?;
    let text = if arguments.json {
        let mut json = report.to_json();
        // A pack that is good under the key that it names itself says nothing about who made it.
        if let Some(members) = json.as_object_mut() {
            members.insert("key".to_owned(), believed.into());
        }
        json.to_string()
    } else {
        let note = match believed {
            "pack" => {
                "\nnote: the log's key is believed as this pack has it; name it with `--vkey FILE`"
            }
            _ => "",
        };
        format!("{report}{note}")
    };
    Ok((text, report.is_good()))
}

/// Reads the policy that is named, or else that of the home, if it has one.
fn policy_of(
    named: Option<&Path>,
    home: Option<(&Layout, &Config)>,
) -> anyhow::Result<Option<TrustPolicy>> {
    let of_home = || {
        let (layout, config) = home?;
        Some(config.witnesses.as_ref()?.policy_file(layout))
    };
    let file = named.map(std::path::absolute).transpose()?.or_else(of_home);
    Ok(file.as_deref().map(read_policy).transpose()?)
}

/// Reads heads that were kept elsewhere. Whether the log's keys signed them is found out with its keys.
fn heads(files: &[PathBuf], origin: &str) -> anyhow::Result<Vec<String>> {
    let read = |file: &PathBuf| -> anyhow::Result<String> {
        let note = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the head `{}`", file.display()))?;
        // A file kept by a console or an agent holds the note behind a few lines of its own.
        let note = match HeadKeeper::from_text(&note) {
            Ok(kept) => kept.note().map_or(String::new(), str::to_owned),
            Err(_) => note,
        };
        let head = checkpoint::unverified(&note)
            .with_context(|| format!("`{}` is not a head of this log", file.display()))?;
        anyhow::ensure!(
            head.origin() == origin,
            "`{}` is not a head of this log: it is one of another log than `{origin}`",
            file.display()
        );
        Ok(note)
    };
    files.iter().map(read).collect()
}
