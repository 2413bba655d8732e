//! `countersignd export`: the log handed out, under its signed head.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use countersign_evidence::export::{self, ExportError, Exported, Filter, Kind};
use countersign_evidence::pack::{self, Order, Packed, Scope};
use countersign_evidence::sink::Directory;
use countersign_evidence::source::Period;
use countersign_evidence::tiles;
use countersign_shared::id::RequestId;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::when::When;

use super::{VERIFICATION_FAILED, configured, log_key, say};
use crate::clock::Clock;
use crate::export::Snapshot;

/// What the log is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A directory that an auditor checks without this program.
    Evidence,
    /// A directory of C2SP tlog-tiles, entries included.
    Tiles,
    /// The exact bytes, one entry to a line.
    Jsonl,
    /// A table for spreadsheets.
    Csv,
    /// Events of the Open Cybersecurity Schema Framework 1.8.
    Ocsf,
    /// Events in the Common Event Format.
    Cef,
}

/// What is exported, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the log is written as.
    #[arg(value_enum)]
    format: Format,
    /// The file or directory to make; it must not be there yet. `-` is standard output, for a file.
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
    /// Only from this time on, such as 2026-07-01, 2026-07-01T08:00:00Z, or 36h for so long ago.
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
    /// Only this request.
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
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
    match write(&source, &key, arguments) {
        Ok(said) => {
            if is_standard(&arguments.output) {
                tracing::info!("{said}");
            } else {
                say(&said)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refused(error),
    }
}

/// Ends a command that came to nothing: with its own exit code where the log was tampered with.
pub(super) fn refused(error: anyhow::Error) -> anyhow::Result<ExitCode> {
    match error.downcast_ref::<ExportError>() {
        Some(found) if is_tampering(found) => {
            tracing::error!("{error:#}; `countersign verify` says more");
            Ok(ExitCode::from(VERIFICATION_FAILED))
        }
        Some(_) | None => Err(error),
    }
}

fn write(source: &Snapshot, key: &VerifierKey, arguments: &Arguments) -> anyhow::Result<String> {
    let now = Clock::machine()?.now().wall;
    let [from, to] = [arguments.from, arguments.to].map(|when| Some(when?.seen_from(now)));
    let period = Period { from, until: to };
    if let (Some(from), Some(to)) = (from, to) {
        anyhow::ensure!(from < to, "`--to` {to} is not after `--from` {from}");
    }
    for time in [from, to].into_iter().flatten() {
        anyhow::ensure!(
            time <= now,
            "{time} has not come yet: what happens until then is not in the log; leave it out, or name an \
             earlier time"
        );
    }
    let is_limited = period != Period::default();
    let output = &arguments.output;
    match arguments.format {
        Format::Evidence => {
            let scope = match arguments.request {
                Some(_) if is_limited => {
                    anyhow::bail!("a pack is about a time or about a request, not both")
                }
                Some(id) => Scope::Request(id),
                None => Scope::Period(period),
            };
            let order = Order {
                scope,
                made_at: now,
                software: format!("countersignd {}", env!("CARGO_PKG_VERSION")),
            };
            let packed = in_directory(output, |sink| pack::write(source, key, &order, sink))?;
            Ok(packed_words(output, &packed))
        }
        Format::Tiles => {
            if is_limited || arguments.request.is_some() {
                anyhow::bail!(
                    "tiles are of the whole log; leave out `--from`, `--to`, `--request`"
                );
            }
            let exported = in_directory(output, |sink| tiles::write(source, key, sink))?;
            Ok(words(&exported))
        }
        Format::Jsonl => in_file(source, key, arguments, period, Kind::Jsonl),
        Format::Csv => in_file(source, key, arguments, period, Kind::Csv),
        Format::Ocsf => in_file(source, key, arguments, period, Kind::Ocsf),
        Format::Cef => in_file(source, key, arguments, period, Kind::Cef),
    }
}

/// Makes a directory and fills it. One that could not be filled goes again: nobody shall take it
/// for an export.
fn in_directory<T>(
    output: &Path,
    fill: impl FnOnce(&mut Directory) -> Result<T, ExportError>,
) -> anyhow::Result<T> {
    anyhow::ensure!(
        !is_standard(output),
        "`-` cannot hold a directory; name one"
    );
    let mut sink = Directory::create(output)
        .with_context(|| format!("cannot make the directory `{}`", output.display()))?;
    fill(&mut sink).map_err(|error| {
        fs::remove_dir_all(output).ok();
        error.into()
    })
}

fn in_file(
    source: &Snapshot,
    key: &VerifierKey,
    arguments: &Arguments,
    period: Period,
    kind: Kind,
) -> anyhow::Result<String> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let filter = Filter {
        period,
        request: arguments.request,
    };
    let output = &arguments.output;
    if is_standard(output) {
        let mut out = BufWriter::new(io::stdout().lock());
        let exported = export::write(source, key, &filter, kind, &mut out)?;
        out.flush().context("cannot write to standard output")?;
        return Ok(words(&exported));
    }
    let failed = || format!("cannot write `{}`", output.display());
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(output)
        .with_context(failed)?;
    let mut out = BufWriter::new(file);
    let done = export::write(source, key, &filter, kind, &mut out)
        .map_err(anyhow::Error::from)
        .and_then(|exported| out.flush().with_context(failed).map(|()| exported));
    match done {
        Ok(exported) => Ok(words(&exported)),
        Err(error) => {
            fs::remove_file(output).ok();
            Err(error)
        }
    }
}

fn is_standard(output: &Path) -> bool {
    output == Path::new("-")
}

fn words(exported: &Exported) -> String {
    let head = exported.head.head();
    let written = exported.written;
    let gone = match exported.gone {
        0 => String::new(),
        gone => format!("; {gone} entries were pruned before, older packs have them"),
    };
    format!(
        "{written} entries written, head {} {}{gone}",
        head.size, head.root
    )
}

fn packed_words(output: &Path, packed: &Packed) -> String {
    let head = packed.head.head();
    let mut text = format!(
        "{} requests, {} entries, {} statements, head {} {}",
        packed.requests, packed.entries, packed.statements, head.size, head.root
    );
    for (count, what) in [
        (packed.erased.len(), "documents were erased before"),
        (packed.rules_missing.len(), "sets of rules were not kept"),
    ] {
        if count > 0 {
            text = format!("{text}; {count} {what}");
        }
    }
    format!("{text}\nto check it: sh {}/verify.sh", output.display())
}

/// Tells what is wrong with the log from what is wrong with the disk.
const fn is_tampering(error: &ExportError) -> bool {
    match error {
        ExportError::Record { .. }
        | ExportError::Head(_)
        | ExportError::Keys(_)
        | ExportError::OtherKey
        | ExportError::Order { .. }
        | ExportError::Short { .. }
        | ExportError::Root { .. }
        | ExportError::Tree(_)
        | ExportError::Pruning(_)
        | ExportError::Document { .. }
        | ExportError::Rules { .. } => true,
        ExportError::Source(_)
        | ExportError::Write { .. }
        | ExportError::Pruned { .. }
        | ExportError::Untold { .. } => false,
    }
}
