//! The people's command line.
//!
//! Deciding verbs need the full id and at least 16 digits of the digest, so nothing is approved that
//! was not looked at; "approve the next one" does not exist.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use countersign_client::heads::{Heads, HeadsError};
use countersign_client::place::{self, Place};
use countersign_client::private::Lasting;
use countersign_client::shown::{AnswerError, ShownHead};

mod ask;
mod console;
mod daemons;
mod decide;
mod doctor;
mod exit;
mod glass;
mod init;
mod log;
mod notify;
mod output;
mod policy;
mod receipt;
mod reviewer;
mod rules;
mod running;
mod show;
mod trust;

use exit::{Done, Trouble};

use crate::client::Client;
use crate::review::{ReviewError, caught_up};

/// Look at what agents ask for, and approve or deny it with your own key.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100)]
struct Arguments {
    /// The directory that holds everything; without it `COUNTERSIGN_HOME`, or the usual places.
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    #[command(flatten)]
    console: console::Arguments,
    /// Your key, when it cannot be told which one is meant; for `init` and `reviewer add`, a public key.
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything: a daemon, three agents and the console, with nothing to set up.
    Demo,
    /// Make a home: configuration, keys, and a roster with the first reviewer.
    Init(init::Arguments),
    /// List requests, newest first.
    List(show::ListArguments),
    /// Show a request completely, as it would be signed.
    Show(show::ShowArguments),
    /// Show what a request would change in files.
    Diff(show::DiffArguments),
    /// Follow requests, a line for each change.
    Watch(show::WatchArguments),
    /// Approve a request.
    Approve(decide::ApproveArguments),
    /// Deny a request.
    Deny(decide::DenyArguments),
    /// Say that you are on it.
    Claim(decide::IdArguments),
    /// Say that you are no longer on it.
    Release(decide::IdArguments),
    /// Call for more eyes.
    Escalate(decide::ActArguments),
    /// Take back an approval that was not used yet.
    Revoke(decide::ActArguments),
    /// Ask for the end of a run; what the daemon runs itself is ended at once.
    Kill(decide::ActArguments),
    /// Follow what a run of the daemon's own writes, from now until its end.
    Output(running::Arguments),
    /// Say how a run went that nobody could follow to its end.
    Settle(decide::SettleArguments),
    /// Approve alone, in an emergency: everybody is told, and another person has to review it.
    BreakGlass(glass::BreakArguments),
    /// Say that you reviewed what somebody approved by breaking the glass.
    CloseDebt(glass::CloseArguments),
    /// List what people owe: reviews after broken glass, and runs of unknown end.
    Debts(glass::DebtsArguments),
    /// Read the log.
    Log(log::Arguments),
    /// Write proofs that the entries of a request are in the log, to be checked offline.
    Receipt(receipt::Arguments),
    /// Edit the roster: who may decide.
    #[command(subcommand)]
    Reviewer(reviewer::Command),
    /// Look at policies before they take force.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Look at the rules in force and the proposed ones, and sign those.
    #[command(subcommand)]
    Rules(rules::Command),
    /// Check the whole log: tree, signatures, and that it tells the same as the tables; or an export.
    Verify(daemons::VerifyArguments),
    /// Hand the log out: an evidence pack, tiles, or a file for other programs.
    Export(daemons::ExportArguments),
    /// Say who used which data.
    Usage(daemons::UsageArguments),
    /// Copy the database while the daemon goes on, and say the head of its log.
    Backup(daemons::BackupArguments),
    /// Go on from a database that was restored from an older copy; recorded in the log.
    AdoptRollback(daemons::AdoptRollbackArguments),
    /// Erase the document of one request before its time; recorded in the log.
    Erase(daemons::EraseArguments),
    /// Take away what was over long ago, after it was handed out and checked; recorded in the log.
    Prune(daemons::PruneArguments),
    /// Check this installation and say what to mend.
    Doctor(doctor::Arguments),
    /// Believe another key of the log from now on, after comparing it.
    AdoptLogKey(trust::Arguments),
    /// Tell of requests on the desktop, until it is ended.
    Notify(notify::Arguments),
    /// Write shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page.
    Man,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let as_json = arguments.command.as_ref().is_some_and(Command::wants_json);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.report(as_json),
    }
}

impl Command {
    fn wants_json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Show(arguments) => arguments.json,
            Self::Watch(arguments) => arguments.json,
            Self::Debts(arguments) => arguments.json,
            Self::Log(arguments) => arguments.json,
            Self::Policy(command) => command.wants_json(),
            Self::Verify(arguments) => arguments.json,
            Self::Rules(command) => command.wants_json(),
            Self::Usage(arguments) => arguments.json,
            Self::Reviewer(reviewer::Command::List { json }) => *json,
            Self::Doctor(arguments) => arguments.json,
            Self::Demo
            | Self::Init(_)
            | Self::Diff(_)
            | Self::Approve(_)
            | Self::Deny(_)
            | Self::Claim(_)
            | Self::Release(_)
            | Self::Escalate(_)
            | Self::Revoke(_)
            | Self::Kill(_)
            | Self::Output(_)
            | Self::Settle(_)
            | Self::BreakGlass(_)
            | Self::CloseDebt(_)
            | Self::Receipt(_)
            | Self::Export(_)
            | Self::Backup(_)
            | Self::AdoptRollback(_)
            | Self::Erase(_)
            | Self::Prune(_)
            | Self::Reviewer(_)
            | Self::Notify(_)
            | Self::AdoptLogKey(_)
            | Self::Completions { .. }
            | Self::Man => false,
        }
    }
}

fn run(arguments: Arguments) -> Done {
    let Arguments {
        home,
        console,
        key,
        command,
    } = arguments;
    let find = || Place::find(home.as_deref()).map_err(|error| Trouble::failure(&error));
    match command {
        None => console.open(&find, key),
        Some(Command::Demo) => {
            crate::demo::run(console.options()?).map_err(|error| Trouble::failure(&error))
        }
        Some(Command::Init(arguments)) => init::init(home.as_deref(), &arguments, key.as_deref()),
        Some(Command::List(arguments)) => in_session(&find()?, async |session| {
            show::list(session, &arguments).await
        }),
        Some(Command::Show(arguments)) => in_session(&find()?, async |session| {
            show::show(session, &arguments).await
        }),
        Some(Command::Diff(arguments)) => in_session(&find()?, async |session| {
            show::diff(session, &arguments).await
        }),
        Some(Command::Watch(arguments)) => in_session(&find()?, async |session| {
            show::watch(session, &arguments).await
        }),
        Some(Command::Approve(arguments)) => in_session(&find()?, async |session| {
            decide::approve(session, &arguments, key.as_deref()).await
        }),
        Some(Command::Deny(arguments)) => in_session(&find()?, async |session| {
            decide::deny(session, &arguments, key.as_deref()).await
        }),
        Some(Command::Claim(arguments)) => in_session(&find()?, async |session| {
            decide::claim(session, &arguments).await
        }),
        Some(Command::Release(arguments)) => in_session(&find()?, async |session| {
            decide::release(session, &arguments).await
        }),
        Some(Command::Escalate(arguments)) => in_session(&find()?, async |session| {
            decide::act(session, decide::Kind::Escalate, &arguments, key.as_deref()).await
        }),
        Some(Command::Revoke(arguments)) => in_session(&find()?, async |session| {
            decide::act(session, decide::Kind::Revoke, &arguments, key.as_deref()).await
        }),
        Some(Command::Kill(arguments)) => in_session(&find()?, async |session| {
            decide::act(session, decide::Kind::Kill, &arguments, key.as_deref()).await
        }),
        Some(Command::Output(arguments)) => in_session(&find()?, async |session| {
            running::output(session, &arguments).await
        }),
        Some(Command::Settle(arguments)) => in_session(&find()?, async |session| {
            decide::settle(session, &arguments, key.as_deref()).await
        }),
        Some(Command::BreakGlass(arguments)) => in_session(&find()?, async |session| {
            glass::break_glass(session, &arguments, key.as_deref()).await
        }),
        Some(Command::CloseDebt(arguments)) => in_session(&find()?, async |session| {
            glass::close_debt(session, &arguments, key.as_deref()).await
        }),
        Some(Command::Debts(arguments)) => in_session(&find()?, async |session| {
            glass::debts(session, &arguments).await
        }),
        Some(Command::Log(arguments)) => in_session(&find()?, async |session| {
            log::log(session, &arguments).await
        }),
        Some(Command::Receipt(arguments)) => in_session(&find()?, async |session| {
            receipt::receipt(session, &arguments).await
        }),
        Some(Command::Reviewer(command)) => {
            reviewer::reviewer(home.as_deref(), &command, key.as_deref())
        }
        Some(Command::Policy(policy::Command::Explain(arguments))) => {
            in_session(&find()?, async |session| {
                policy::explain(session, &arguments).await
            })
        }
        Some(Command::Policy(command)) => policy::policy(home.as_deref(), &command),
        Some(Command::Rules(command)) => in_session(&find()?, async |session| {
            rules::rules(session, &command, key.as_deref()).await
        }),
        Some(Command::Verify(arguments)) => daemons::verify(home.as_deref(), &arguments),
        Some(Command::Export(arguments)) => daemons::export(home.as_deref(), &arguments),
        Some(Command::Backup(arguments)) => daemons::backup(home.as_deref(), &arguments),
        Some(Command::AdoptRollback(arguments)) => daemons::adopt(home.as_deref(), &arguments),
        Some(Command::Erase(arguments)) => daemons::erase(home.as_deref(), &arguments),
        Some(Command::Prune(arguments)) => daemons::prune(home.as_deref(), &arguments),
        Some(Command::Usage(arguments)) => daemons::usage(home.as_deref(), &arguments),
        Some(Command::Doctor(arguments)) => {
            doctor::doctor(home.as_deref(), key.as_deref(), &arguments)
        }
        Some(Command::AdoptLogKey(arguments)) => trust::adopt(arguments),
        Some(Command::Notify(arguments)) => {
            notify::notify(home.as_deref(), &arguments, key.as_deref())
        }
        Some(Command::Completions { shell }) => {
            completions(shell);
            Ok(())
        }
        Some(Command::Man) => manual(),
    }
}

fn completions(shell: clap_complete::Shell) {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "countersign", &mut text);
    output::bytes(&text);
}

fn manual() -> Done {
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command())
        .render(&mut text)
        .map_err(|error| Trouble::failure(&error))?;
    output::bytes(&text);
    Ok(())
}

/// A connected command: the place, the connection, and the heads this user has kept.
#[derive(Debug)]
struct Session {
    place: Place,
    client: Client,
    heads: Heads,
    state_dir: PathBuf,
}

/// Connects and runs a command.
fn in_session(place: &Place, command: impl AsyncFnOnce(Session) -> Done) -> Done {
    runtime()?.block_on(async {
        let mut client = Client::connect(place).await?;
        let key = place.log_key().map_err(|error| Trouble::failure(&error))?;
        let state_dir = place::state_dir().map_err(|error| Trouble::failure(&error))?;
        let mut heads = Heads::open(&state_dir, key, Lasting::PowerCut)
            .map_err(|error| Trouble::from(ReviewError::from(error)))?;
        let doubt = doubt(&mut client, &mut heads).await?;
        if let Some(error) = &doubt {
            let what = if error.is_ours() {
                "it cannot be checked whether this log is the one that was seen before"
            } else {
                "this log is not the one that was seen before"
            };
            output::message(&format!(
                "warning: {what}; what follows is the daemon's word"
            ));
        }
        let done = command(Session {
            place: place.clone(),
            client,
            heads,
            state_dir,
        })
        .await;
        // Nothing ends well that was told by such a log.
        done.and_then(|()| doubt.map_or(Ok(()), |error| Err(ReviewError::from(error).into())))
    })
}

/// Looks whether the log still begins with what this user has seen of it; returns what stands against that.
async fn doubt(client: &mut Client, heads: &mut Heads) -> Result<Option<HeadsError>, Trouble> {
    let known = caught_up::<ReviewError>(client, heads).await?;
    let head = client.head(known).await?.head;
    let head = head
        .ok_or(AnswerError { field: "head" })
        .and_then(ShownHead::try_from);
    let head = head.map_err(ReviewError::from)?;
    match heads.accept(&head) {
        Ok(()) => Ok(None),
        // Another command of this user was faster.
        Err(error) if error.is_behind() && !error.went_back_behind(known) => Ok(None),
        Err(error) => Ok(Some(error)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::failure(&error))
}

/// Reads the wall clock, the one place where the command line does.
#[expect(
    clippy::disallowed_methods,
    reason = "a statement says when it was made"
)]
pub(crate) fn wall_time() -> countersign_shared::time::Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    countersign_shared::time::Timestamp::from_millis(
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
