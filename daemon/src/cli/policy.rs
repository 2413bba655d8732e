//! `policy check|test|replay`: looking at policies before they take force.
//!
//! Nothing here takes force, and no running daemon is asked: the files of the home are read, and for
//! a replay its database, as it is at one moment.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use countersign_policy::cases::{self, Tested};
use countersign_policy::check::check;
use countersign_policy::load::Policies;
use countersign_policy::replay::{Past, Replayed};
use countersign_shared::home::Layout;
use countersign_shared::machine::{PolicyOutcome, State};
use countersign_shared::time::Timestamp;
use countersign_shared::when::When;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::{Candidates, Config, PolicySources};
use crate::rules::Ground;
use crate::store::{Asked, Store};

/// How many requests of the past are read ahead of those that are judged.
const AHEAD: usize = 256;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Say what keeps the policies from loading, and what is odd about them.
    Check(Files),
    /// Run the cases of the files `*.test.toml` beside the policies.
    Test(Files),
    /// Judge every request of the past under these policies, and list what would change.
    Replay(Replay),
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
    since: Option<When>,
    /// How many changes are listed; all are counted.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    list: usize,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

impl Files {
    fn candidates(&self) -> Candidates {
        Candidates {
            policy: self.policy.clone(),
            targets: self.targets.clone(),
            kinds: self.kinds.clone(),
        }
    }
}

/// Does it. What is wrong with policies or cases is the result, and ends with 1.
pub(super) fn run(home: Option<&Path>, task: &Task) -> anyhow::Result<ExitCode> {
    let (layout, config) = super::configured(home)?;
    match task {
        Task::Check(files) => check_policies(&layout, &config, &files.candidates()),
        Task::Test(files) => test(&layout, &config, &files.candidates()),
        Task::Replay(options) => replay(&layout, &config, options),
    }
}

/// Reads files and what they stand on; a file that is not as it must be is a result.
fn read<T>(read: Result<T, crate::config::ConfigError>) -> Result<T, Wrong> {
    read.map_err(|error| Wrong(format!("{:#}", anyhow::Error::from(error))))
}

/// What is wrong with the files, a line for each mistake.
struct Wrong(String);

impl Wrong {
    fn report(&self) -> anyhow::Result<ExitCode> {
        let lines: Vec<String> = self
            .0
            .lines()
            .map(|line| format!("error: {line}"))
            .collect();
        say(&lines.join("\n"))?;
        Ok(ExitCode::FAILURE)
    }
}

fn check_policies(
    layout: &Layout,
    config: &Config,
    candidates: &Candidates,
) -> anyhow::Result<ExitCode> {
    let sources = match read(candidates.load(layout)) {
        Ok(sources) => sources,
        Err(wrong) => return wrong.report(),
    };
    let checked = check(Ground::of(layout, config)?.under(&sources));
    say(&checked)?;
    Ok(code(checked.loads()))
}

/// Loads policies, or says what is wrong with them.
fn load(
    layout: &Layout,
    config: &Config,
    candidates: &Candidates,
) -> anyhow::Result<Result<Policies, Wrong>> {
    let sources: PolicySources = match read(candidates.load(layout)) {
        Ok(sources) => sources,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let loaded = Ground::of(layout, config)?.load(&sources);
    Ok(loaded.map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Wrong(lines.join("\n"))
    }))
}

fn test(layout: &Layout, config: &Config, candidates: &Candidates) -> anyhow::Result<ExitCode> {
    let policies = match load(layout, config, candidates)? {
        Ok(policies) => policies,
        Err(wrong) => return wrong.report(),
    };
    let files = match read(candidates.cases(layout)) {
        Ok(files) => files,
        Err(wrong) => return wrong.report(),
    };
    let (mut cases, mut mistakes) = (Vec::new(), Vec::new());
    for file in &files {
        match cases::parse(&file.name, &file.text) {
            Ok(more) => cases.extend(more),
            Err(errors) => mistakes.extend(errors.iter().map(ToString::to_string)),
        }
    }
    if !mistakes.is_empty() {
        return Wrong(mistakes.join("\n")).report();
    }
    if cases.is_empty() {
        // Nothing that was tested has passed.
        bail!("there is no case to run: write some into a file `*.test.toml` beside the policies");
    }
    let tested: Tested = cases::run(&policies, &cases);
    say(&tested)?;
    Ok(code(tested.failed() == 0))
}

fn replay(layout: &Layout, config: &Config, options: &Replay) -> anyhow::Result<ExitCode> {
    let since = match &options.since {
        None => Timestamp::from_millis(i64::MIN),
        Some(when) => when.seen_from(Clock::machine()?.now().wall),
    };
    let policies = match load(layout, config, &options.files.candidates())? {
        Ok(policies) => policies,
        Err(wrong) => return wrong.report(),
    };
    let database = layout.database();
    if matches!(database.try_exists(), Ok(false)) {
        let database = database.display();
        bail!("nothing was asked yet: `{database}` is made by the first start of the daemon");
    }
    let replayed = judge_past(&database, &policies, since, options.list).with_context(|| {
        let database = database.display();
        format!("cannot read `{database}`; run this as the user that the daemon runs as")
    })?;
    if options.json {
        say(&replayed.to_json())?;
    } else {
        say(&replayed)?;
    }
    Ok(code(!replayed.broken))
}

/// Judges what was asked since then. One thread reads, and never far ahead of those that judge.
fn judge_past(
    database: &Path,
    policies: &Policies,
    since: Timestamp,
    most: usize,
) -> anyhow::Result<Replayed> {
    let asked = Store::open_read_only(database)?.inspect()?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    thread::scope(|scope| {
        let judging = scope.spawn(|| policies.replay(receiver.into_iter(), threads, most));
        // Nobody takes more only when the judging broke off, which it says itself.
        let read = asked.each_asked(since, |asked| sender.send(past(asked)).is_ok());
        drop(sender);
        let replayed = judging.join();
        read?;
        match replayed {
            Ok(replayed) => Ok(replayed),
            Err(_) => bail!("the judging broke off: nothing of it counts"),
        }
    })
}

/// Returns a request as it was judged then. A document that cannot be read has no facts.
fn past(asked: Asked) -> Past {
    let request = asked.request;
    let requirement = request.requirement().clone();
    // Policy alone refuses a request, and lets it pass where it asks nobody.
    let outcome = if request.state() == State::Refused {
        PolicyOutcome::Refuse
    } else if requirement.reviews.is_empty() {
        PolicyOutcome::Permit
    } else {
        PolicyOutcome::Hold
    };
    let mut document: Value = serde_json::from_slice(&asked.document).unwrap_or_default();
    let mut part = |name: &str| document.get_mut(name).map(Value::take).unwrap_or_default();
    Past {
        id: request.id().to_string(),
        outcome,
        requirement,
        facts: part("facts"),
        action: part("action"),
    }
}

fn say(text: &dyn Display) -> anyhow::Result<()> {
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes())
        .context("cannot write to standard output")
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
