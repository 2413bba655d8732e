//! The command line of `countersignd`, and the start in order: descriptors, home, lock, rules, keys,
//! engine, sockets. Each step that fails stops the start and says what to do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use countersign_shared::home::{Environment, Layout, Mode};
use countersign_shared::log::note::VerifierKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::reason::reason;
use crate::broker;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Call, Engine, Settings};
use crate::home::{self, Home};
use crate::identity::Accounts;
use crate::init;
use crate::keyring::Keyring;
use crate::reload;
use crate::rpc::{self, Desk};
use crate::rules::Rules;
use crate::secrets::Secrets;
use crate::socket::{Lock, SocketGroups, Sockets, raise_descriptor_limit};
use crate::stream::{Origin, Streams};
use crate::sys;
use crate::witnesses::{Setup, Witnesses};

mod backup;
mod erase;
mod export;
mod policy;
mod profiles;
mod progress;
mod prune;
mod reason;
mod rotate;
mod rules;
mod usage;
mod verify;
mod witness;

/// The exit code of a check that found something wrong.
const VERIFICATION_FAILED: u8 = 9;

/// The largest file that holds a verifier key or a head, in bytes.
const NOTE_LIMIT: usize = 256 * 1024;

/// Holds privileged actions until enough of the right people have signed them.
#[derive(Debug, Parser)]
#[command(name = "countersignd", version, max_term_width = 100)]
struct Arguments {
    /// The directory that holds everything; without it `COUNTERSIGN_HOME`, or the usual places.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Accept a wall clock that is behind the log, for this reason; recorded in the log.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    accept_clock: Option<String>,
    #[command(subcommand)]
    task: Option<Task>,
}

/// What the daemon's program does instead of serving.
#[derive(Debug, Subcommand)]
enum Task {
    /// Make a home: configuration, keys, and a roster with the first reviewer.
    Init(InitArguments),
    /// Check the log, every signature in it, and the database; the daemon may go on meanwhile.
    Verify(verify::Arguments),
    /// Copy the database while the daemon goes on, and say the head of its log.
    Backup(backup::Arguments),
    /// Go on from a database that was restored from an older copy; recorded in the log.
    AdoptRollback {
        /// Why there is nothing newer to go on from.
        #[arg(long, value_name = "WHY", value_parser = reason)]
        reason: String,
    },
    /// Erase the document of one request before its time; recorded in the log.
    Erase(erase::Arguments),
    /// Take away what was over long ago, after it was handed out and checked; recorded in the log.
    Prune(prune::Arguments),
    /// Change the log's key while the daemon is stopped: the old one signs along for a while.
    RotateLogKey(rotate::Arguments),
    /// Hand the log out: an evidence pack, tiles, or a file for other programs.
    Export(export::Arguments),
    /// Say who used which data.
    Usage(usage::Arguments),
    /// Look at policies before they take force.
    #[command(subcommand)]
    Policy(policy::Task),
    /// Say whether what the profiles name is there: accounts, programs, directories, secrets.
    Profiles(profiles::Arguments),
    /// Put the rules of the files in force without the reviewers, when none of them can sign.
    AdoptRules(rules::AdoptArguments),
    /// Watch logs of other machines: cosign heads that continue all that was seen of them.
    Witness(witness::Arguments),
}

/// What a home is made of.
#[derive(Debug, clap::Args)]
struct InitArguments {
    /// Whether agents and reviewers are one OS user or separate ones: user or system.
    #[arg(long, value_parser = mode)]
    mode: Mode,
    /// The first reviewer's name.
    #[arg(long, value_name = "NAME")]
    reviewer: String,
    /// The first reviewer's OS account.
    #[arg(long, value_name = "ACCOUNT")]
    user: String,
    /// The first reviewer's public key.
    #[arg(long, value_name = "PUBLIC_KEY_FILE")]
    key: PathBuf,
    /// The account the daemon runs as in system mode.
    #[arg(long, value_name = "ACCOUNT")]
    daemon_user: Option<String>,
    /// Write no policy: then everything is held until somebody approves it.
    #[arg(long)]
    no_policy: bool,
}

fn mode(text: &str) -> Result<Mode, &'static str> {
    match text {
        "user" => Ok(Mode::User),
        "system" => Ok(Mode::System),
        _ => Err("must be `user` or `system`"),
    }
}

/// Runs the daemon until it is told to stop, or a part of one of its runs.
pub fn main() -> ExitCode {
    if let Some(code) = broker::part() {
        return code;
    }
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let done = match &arguments.task {
        Some(Task::Init(options)) => {
            make_home(arguments.home.as_deref(), options).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::Backup(options)) => {
            backup::run(arguments.home.as_deref(), options).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::AdoptRollback { reason }) => {
            adopt_rollback(arguments.home.as_deref(), reason).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::Erase(options)) => {
            erase::run(arguments.home.as_deref(), options).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::Prune(options)) => {
            prune::run(arguments.home.as_deref(), options).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::RotateLogKey(options)) => {
            rotate::run(arguments.home.as_deref(), options).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::Verify(options)) => verify::run(arguments.home.as_deref(), options),
        Some(Task::Export(options)) => export::run(arguments.home.as_deref(), options),
        Some(Task::Usage(options)) => usage::run(arguments.home.as_deref(), options),
        Some(Task::Profiles(options)) => profiles::run(arguments.home.as_deref(), options),
        Some(Task::Policy(task)) => policy::run(arguments.home.as_deref(), task),
        Some(Task::AdoptRules(options)) => {
            rules::adopt(arguments.home.as_deref(), options).map(|()| ExitCode::SUCCESS)
        }
        Some(Task::Witness(options)) => witness::run(options).map(|()| ExitCode::SUCCESS),
        None => run(arguments).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make_home(home: Option<&Path>, options: &InitArguments) -> anyhow::Result<()> {
    let layout = match (home, options.mode) {
        (None, Mode::System) if std::env::var_os("COUNTERSIGN_HOME").is_none() => Layout::system(),
        (Some(_) | None, Mode::User | Mode::System) => candidates(home)?
            .pop()
            .context("the environment names no place for a home; give `--home DIR`")?,
    };
    let key = std::fs::read_to_string(&options.key)
        .with_context(|| format!("cannot read the public key `{}`", options.key.display()))?;
    let made = init::init(&init::Options {
        layout,
        mode: options.mode,
        reviewer: options.reviewer.clone(),
        user: options.user.clone(),
        key: key.trim().to_owned(),
        daemon_user: options.daemon_user.clone(),
        policy: !options.no_policy,
    })?;
    let mut lines = String::new();
    for path in &made.paths {
        writeln!(lines, "made {}", path.display()).context("cannot write a line")?;
    }
    write!(lines, "log {}\nvkey {}\n", made.origin, made.vkey).context("cannot write a line")?;
    std::io::Write::write_all(&mut std::io::stdout(), lines.as_bytes())
        .context("cannot write to standard output")
}

/// Reads the key of a home's log.
fn log_key(layout: &Layout) -> anyhow::Result<VerifierKey> {
    key_of(&layout.log_vkey())
}

/// Reads a log's key.
fn key_of(file: &Path) -> anyhow::Result<VerifierKey> {
    read_text(file)?
        .trim_end()
        .parse()
        .with_context(|| format!("`{}` does not hold a log's key", file.display()))
}

/// Writes to standard output.
fn say(text: &str) -> anyhow::Result<()> {
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes())
        .context("cannot write to standard output")
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    String::from_utf8(home::read_trusted(file, NOTE_LIMIT)?)
        .with_context(|| format!("`{}` is not text", file.display()))
}

/// A home that is ours alone, and what the engine is started with.
struct Opened {
    home: Home,
    config: Config,
    lock: Lock,
    settings: Settings,
}

impl Opened {
    fn open(home: Option<&Path>) -> anyhow::Result<Self> {
        let (layout, config) = configured(home)?;
        let home = Home::open(layout, config.mode)?;
        let lock = Lock::take(home.layout())?;
        let clock = Clock::machine()?;
        let rules = Rules::load(home.layout(), &config)?;
        reload::check_separation(&home, &config, &rules)?;
        let keys = Keyring::read(home.layout().state_dir(), &config.origin)?;
        let settings = Settings {
            origin: config.origin.clone(),
            keys,
            clock,
            rules,
            adopt: None,
            accept_clock: None,
            keep_documents: config.retention.documents(),
        };
        Ok(Self {
            home,
            config,
            lock,
            settings,
        })
    }
}

/// Goes on from an older database, without serving.
fn adopt_rollback(home: Option<&Path>, reason: &str) -> anyhow::Result<()> {
    let opened = Opened::open(home)?;
    let database = opened.home.layout().database();
    let lost = Engine::adopt_rollback(&database, opened.settings, reason.to_owned())?;
    say(&format!(
        "{lost}\nadopted and recorded; what waited or was approved is invalidated"
    ))
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    sys::keep_descriptors().context("cannot keep inherited descriptors from what is started")?;
    raise_descriptor_limit().context("cannot raise the limit of open files")?;
    let Opened {
        home,
        config,
        lock,
        mut settings,
    } = Opened::open(arguments.home.as_deref())?;
    settings.accept_clock = arguments.accept_clock;
    settings.rules.profiles.check_means()?;
    let secrets = Secrets::new(*home.mask_key()?);
    let clock = settings.clock.clone();
    let engine = Engine::start(&home.layout().database(), settings)?;
    let origin = Origin {
        log: config.origin.clone(),
        database: home.layout().database(),
        released: engine.released(),
        clock: clock.clone(),
    };
    let streams = Streams::start(config.stream.as_ref(), &origin)
        .context("cannot start what streams the log")?;
    let setup = Setup::load(home.layout(), config.witnesses.as_ref(), engine.keys())?;
    let vkey = engine.key().to_string();
    let database = home.layout().database();
    let origin = config.origin.clone();
    let desk = Desk::new(engine, secrets, clock, origin, vkey, streams, database);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(serve(&home, &config, &lock, desk, setup))
}

/// Returns the places to look for a home.
fn candidates(home: Option<&Path>) -> anyhow::Result<Vec<Layout>> {
    let variable = |name| std::env::var_os(name);
    let (own, user, config, state, runtime) = (
        variable("COUNTERSIGN_HOME"),
        variable("HOME"),
        variable("XDG_CONFIG_HOME"),
        variable("XDG_STATE_HOME"),
        variable("XDG_RUNTIME_DIR"),
    );
    let environment = Environment {
        countersign_home: own.as_deref(),
        home: user.as_deref(),
        xdg_config_home: config.as_deref(),
        xdg_state_home: state.as_deref(),
        xdg_runtime_dir: runtime.as_deref(),
    };
    let here = std::env::current_dir().context("there is no current directory")?;
    Ok(Layout::candidates(home, &here, &environment)?)
}

/// Finds the home and reads its configuration.
fn configured(home: Option<&Path>) -> anyhow::Result<(Layout, Config)> {
    if let Some(found) = found(home)? {
        return Ok(found);
    }
    let places: Vec<String> = candidates(home)?
        .iter()
        .map(|layout| layout.config_file().display().to_string())
        .collect();
    bail!(
        "there is no {}; `countersign init` makes one",
        places.join(" and no ")
    )
}

/// As [`configured`]; nothing where there is no home.
fn found(home: Option<&Path>) -> anyhow::Result<Option<(Layout, Config)>> {
    for layout in &candidates(home)? {
        let file = layout.config_file();
        let there = file.try_exists().with_context(|| {
            let file = file.display();
            format!("cannot look for `{file}`; run this as the user that the daemon runs as")
        })?;
        if there {
            let config = Config::load(layout)?;
            return Ok(Some((layout.clone(), config)));
        }
    }
    Ok(None)
}

async fn serve(
    home: &Home,
    config: &Config,
    lock: &Lock,
    mut desk: Desk,
    setup: Option<Setup>,
) -> anyhow::Result<()> {
    // Dropped at the end, and the tasks with it.
    let _calls = setup.map(|setup| {
        let (witnesses, calls) = Witnesses::start(setup, desk.engine());
        desk.send_heads_to(witnesses);
        calls
    });
    let desk = Arc::new(desk);
    let groups = match config.mode {
        Mode::User => None,
        Mode::System => Some(socket_groups(config)?),
    };
    let sockets = Sockets::bind(home, groups, lock)?;
    publish_key(home, desk.vkey())?;
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut reload = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tracing::info!(
        agents = %home.layout().agent_socket().display(),
        reviewers = %home.layout().review_socket().display(),
        "ready"
    );
    rpc::watch_again(&desk)
        .await
        .context("cannot ask what is running")?;
    let server = tokio::spawn(rpc::serve(Arc::clone(&desk), sockets, stopped));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => reload::reload(home, config, &desk).await,
            () = desk.engine().ended() => bail!("the engine failed; nothing is permitted without it"),
        }
    }
    tracing::info!("stopping");
    desk.runs().stop().await;
    desk.engine()
        .ask(Call::Stop)
        .await
        .context("cannot write that the daemon stopped")?;
    desk.streams().stop().await;
    stop.send_replace(true);
    // Streams of waiting callers end with the engine; whoever still sends is not waited for.
    tokio::time::timeout(std::time::Duration::from_secs(2), server)
        .await
        .ok();
    Ok(())
}

/// Puts the log's public key beside the sockets, where agents can read it: they check every head
/// that comes with an answer, and may not look into the state directory.
fn publish_key(home: &Home, vkey: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let path = home.layout().run_dir().join("log.vkey");
    std::fs::write(&path, format!("{vkey}\n"))
        .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// Resolves the groups that may connect in system mode.
fn socket_groups(config: &Config) -> anyhow::Result<SocketGroups> {
    let gid = |name: &str| -> anyhow::Result<u32> {
        let group = Accounts.group(name)?;
        Ok(group
            .with_context(|| format!("there is no OS group `{name}`"))?
            .gid)
    };
    Ok(SocketGroups {
        agents: gid(&config.groups.agents)?,
        reviewers: gid(&config.groups.reviewers)?,
    })
}
