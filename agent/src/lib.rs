//! The agents' side of Countersign: asks first, waits, and runs only what was approved.
//!
//! Nothing here can sign or decide: of the protocol's two services only the agents' one is
//! compiled in. It fails closed: each path that does not end in a checked approval ends with
//! nothing run and an exit code that says why.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`request`], [`ticketed`] | ask, then wait, withdraw, redeem and report from other processes |
//! | [`run`] | ask for a command, and run exactly that |
//! | [`exec`] | have the daemon run a command, with what this side never holds |
//! | [`hook`], [`install`] | answer an agent's client that is about to use a tool; put that into its settings |
//! | [`mcp`] | stand in front of an MCP server |
//! | [`asked`], [`telling`] | one asking from the submit to the one use: the core of all that acts |
//! | [`session`], [`waiting`], [`status`] | the conversation, through restarts of the daemon |
//! | [`client`], [`wire`] | the calls; socket and places are in `countersign-client` |
//! | [`tickets`], [`calls`] | what is kept between processes |
//! | [`compare`], [`report`] | the document against what was asked; what became of the run |
//! | [`failure`], [`exit`], [`output`] | what is said at the end |
//! | [`clock`], [`signals`], [`inherited`] | the kernel's side |

mod asked;
mod calls;
pub mod cli;
pub mod client;
mod clock;
pub mod compare;
mod exec;
pub mod exit;
pub mod failure;
mod hook;
mod inherited;
mod install;
mod mcp;
mod output;
pub mod report;
mod request;
mod run;
mod session;
mod signals;
mod status;
mod telling;
mod ticketed;
pub mod tickets;
mod waiting;
mod wire;

use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use clap::Parser as _;
use countersign_shared::text::Printable;

use cli::{Arguments, Command};
use exit::Exit;
use failure::Failure;

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    match std::panic::catch_unwind(run_command) {
        Ok(code) => code,
        // The usual code of a panic means "go on" to clients that call hooks.
        Err(_) if asks_for("hook") => ExitCode::from(hook::FAILED),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Tells whether the command line asks for a command, as far as can be told without reading it whole.
fn asks_for(command: &str) -> bool {
    let commands = <Arguments as clap::CommandFactory>::command();
    let first = std::env::args_os().skip(1).find(|argument| {
        commands
            .get_subcommands()
            .any(|known| argument == known.get_name())
    });
    first.is_some_and(|first| first == command)
}

fn run_command() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    let status_fd = match &arguments.command {
        Command::Run(run) => run.status_fd,
        Command::Exec(exec) => exec.status_fd,
        Command::Request(_)
        | Command::Wait(_)
        | Command::Withdraw(_)
        | Command::Redeem(_)
        | Command::Report(_)
        | Command::Hook(_)
        | Command::Install(_)
        | Command::Mcp(_)
        | Command::PermissionTool(_)
        | Command::AdoptLogKey(_) => None,
    };
    let code_of = match arguments.command {
        Command::Run(_) | Command::Exec(_) => |exit: Exit| exit.for_run(),
        Command::Hook(_) => |_| hook::FAILED,
        Command::Request(_)
        | Command::Wait(_)
        | Command::Withdraw(_)
        | Command::Redeem(_)
        | Command::Report(_)
        | Command::Install(_)
        | Command::Mcp(_)
        | Command::PermissionTool(_)
        | Command::AdoptLogKey(_) => |exit: Exit| exit.number(),
    };
    let as_json = arguments.command.as_json();
    let watched = if let Command::Hook(options) = &arguments.command {
        hook::watch(options)
    } else {
        Ok(())
    };
    let result = watched
        .and_then(|()| {
            inherited::close_on_exec(status_fd).map_err(|errno| {
                Failure::of(Exit::Usage, "status-fd", &errno).hint(
                    "open the descriptor that `--status-fd` names, as in `--status-fd 3 3>file`",
                )
            })
        })
        .and_then(|status| {
            signals::outlive_file_limit()
                .map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
            start(arguments, status)
        });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::failure(&failure, as_json);
            ExitCode::from(code_of(failure.exit))
        }
    }
}

/// Runs one command in a runtime of its own.
fn start(arguments: Arguments, status: Option<OwnedFd>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failure, "no-runtime", &error))?;
    let code = runtime.block_on(perform(arguments, status));
    // A thread that still waits for input of no interest must not keep the process.
    runtime.shutdown_background();
    code
}

async fn perform(arguments: Arguments, status: Option<OwnedFd>) -> Result<u8, Failure> {
    let home = arguments.home.as_deref();
    match arguments.command {
        Command::Request(options) => Ok(request::perform(home, options).await?.number()),
        Command::Wait(options) => Ok(ticketed::wait(home, options).await?.number()),
        Command::Withdraw(options) => Ok(ticketed::withdraw(home, options).await?.number()),
        Command::Redeem(options) => Ok(ticketed::redeem(home, options).await?.number()),
        Command::Report(options) => Ok(ticketed::report(home, options).await?.number()),
        Command::Run(options) => run::perform(home, options, status).await,
        Command::Exec(options) => exec::perform(home, options, status).await,
        Command::Hook(options) => hook::perform(home, options).await,
        Command::Install(options) => Ok(install::perform(home, options).await?.number()),
        Command::Mcp(options) => mcp::perform(home, options).await,
        Command::PermissionTool(options) => mcp::permission::perform(home, options).await,
        Command::AdoptLogKey(options) => Ok(session::adopt_log_key(options.vkey)?.number()),
    }
}

/// Prints what clap has to say and returns its exit code, which `run` moves out of the child's way.
fn explain(error: &clap::Error) -> ExitCode {
    if asks_for("hook") && !std::io::stdin().is_terminal() {
        // What cannot be said must not end us otherwise than what can.
        drop(signals::outlive_file_limit());
        // A client waits for a decision, and would take help on stdout for none.
        for line in error.to_string().lines() {
            output::message(&Printable::from_ours(line));
        }
        return ExitCode::from(hook::FAILED);
    }
    drop(error.print());
    let runs = asks_for("run") || asks_for("exec");
    ExitCode::from(match (error.exit_code(), runs) {
        (0, _) => Exit::Ok.number(),
        (_, true) => Exit::Usage.for_run(),
        (_, false) => Exit::Usage.number(),
    })
}
