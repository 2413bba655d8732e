//! The command line. What it accepts, and nothing of what it does.

mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_shared::id::RequestId;
use countersign_shared::log::note::VerifierKey;

pub use crate::hook::Dialect;
pub use values::{Argument, ChangedFile, DataUseArgument, SecretArgument, SecretSource};

/// Asks for an action before it happens, and runs only what was approved.
#[derive(Debug, Parser)]
#[command(name = "countersign-agent", version, disable_help_subcommand = true)]
#[command(after_help = "\
Exit codes: 0 ok or approved, 1 failure, 2 usage, 3 denied or refused, 4 not authorised,
5 expired or lapsed, 6 conflict, 7 daemon unreachable, 8 still pending, 9 verification failed,
130 interrupted. `run` and `exec` give the program's own code; when nothing ran: 120 denied, refused or
conflict, 121 expired, 122 daemon unreachable, 125 internal, 126 and 127 as env(1).")]
pub struct Arguments {
    /// The daemon's home directory, also `COUNTERSIGN_HOME`
    #[arg(long, value_name = "DIR", global = true)]
    pub home: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask for an action that you carry out yourself
    Request(Box<RequestOptions>),
    /// Wait until a request is decided
    Wait(WaitOptions),
    /// Take a request back
    Withdraw(OneRequest),
    /// Take the one use of an approved request, just before carrying it out
    Redeem(RedeemOptions),
    /// Tell what became of a redeemed request
    Report(ReportOptions),
    /// Ask for a command, and run exactly what was approved
    Run(Box<RunOptions>),
    /// Have the daemon run a command as a profile says, with secrets that stay there
    Exec(Box<ExecOptions>),
    /// Answer an agent's client that is about to use a tool
    Hook(HookOptions),
    /// Put the hook into a client's settings
    Install(InstallOptions),
    /// Stand in front of an MCP server, and let a call of a tool through once it was approved
    Mcp(McpOptions),
    /// Be the tool that Claude Code asks for permission (`--permission-prompt-tool`)
    PermissionTool(PermissionToolOptions),
    /// Believe another key of the log from now on, after comparing it
    AdoptLogKey(AdoptLogKeyOptions),
}

impl Command {
    /// Tells whether the result is to be JSON.
    pub const fn as_json(&self) -> bool {
        match self {
            Self::Request(options) => options.json,
            Self::Wait(options) => options.json,
            Self::Withdraw(options) => options.json,
            Self::Redeem(options) => options.json,
            Self::Report(options) => options.json,
            Self::Run(_)
            | Self::Exec(_)
            | Self::Hook(_)
            | Self::Install(_)
            | Self::Mcp(_)
            | Self::PermissionTool(_)
            | Self::AdoptLogKey(_) => false,
        }
    }
}

/// Believe another key of the log from now on, after comparing it.
#[derive(Debug, Args)]
pub struct AdoptLogKeyOptions {
    /// The whole key, as the operator gave it by another way than this machine
    #[arg(value_name = "VKEY")]
    pub vkey: VerifierKey,
}

/// Ask for an action that you carry out yourself.
#[derive(Debug, Args)]
pub struct RequestOptions {
    /// What would be done, a dotted verb such as `data.export`
    #[arg(long, value_name = "KIND", required_unless_present = "document")]
    pub kind: Option<String>,
    /// The name of what it would be done to
    #[arg(long, value_name = "NAME", required_unless_present = "document")]
    pub target: Option<String>,
    /// The kind of that, such as `database`; by default as the kind of the action says
    #[arg(long, value_name = "KIND")]
    pub target_kind: Option<String>,
    /// An argument: NAME=TEXT, or NAME:=JSON for anything but a text
    #[arg(long = "argument", value_name = "NAME=TEXT")]
    pub arguments: Vec<Argument>,
    /// An argument that is masked before anybody sees it: NAME=@FILE or NAME=env:VARIABLE
    #[arg(long = "secret", value_name = "NAME=@FILE|env:VAR")]
    pub secrets: Vec<SecretArgument>,
    /// A file that would change: PATH as it is now, NEWFILE as it would be (empty: removed)
    #[arg(long = "change", value_name = "PATH=NEWFILE")]
    pub changes: Vec<ChangedFile>,
    /// Data that would be touched:
    /// NAME,access=read|write|delete|export[,classification=C][,records=N][,destination=D]
    #[arg(long = "data", value_name = "DATA")]
    pub data: Vec<DataUseArgument>,
    /// A file with the whole action as JSON, instead of the options above
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "kind", "target", "target_kind", "arguments", "secrets", "changes", "data", "reason",
        "agent",
    ])]
    pub document: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What this agent calls itself
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Wait this long for the decision, such as `10m`; the request goes on without it
    #[arg(long, value_name = "TIME", value_parser = values::span)]
    pub wait: Option<Duration>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Wait until a request is decided.
#[derive(Debug, Args)]
pub struct WaitOptions {
    /// The full id
    #[arg(value_name = "ID")]
    pub id: RequestId,
    /// Stop waiting after this long, such as `10m`
    #[arg(long, value_name = "TIME", value_parser = values::span)]
    pub timeout: Option<Duration>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Names one request.
#[derive(Debug, Args)]
pub struct OneRequest {
    /// The full id
    #[arg(value_name = "ID")]
    pub id: RequestId,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Take the one use of an approved request.
#[derive(Debug, Args)]
pub struct RedeemOptions {
    /// The full id
    #[arg(value_name = "ID")]
    pub id: RequestId,
    /// The request document whose action you are about to carry out
    #[arg(long, value_name = "FILE")]
    pub document: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Tell what became of a redeemed request.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// The full id
    #[arg(value_name = "ID")]
    pub id: RequestId,
    /// How it ended; may be left out when `run` could not deliver its own report
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<Outcome>,
    /// The exit code
    #[arg(long, value_name = "N", requires = "outcome")]
    pub exit: Option<u8>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// How something ended, as its own doer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
}

/// Answer an agent's client that is about to use a tool.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the client's event as JSON from standard input. A decision is exit code 0 and the client's own
JSON; any failure is empty standard output and exit code 2, which clients take for a no.")]
pub struct HookOptions {
    /// Whose event it is, and whose dialect the answer is in
    #[arg(value_name = "CLIENT")]
    pub client: Dialect,
    /// The event, for a client that does not name it in what it writes
    #[arg(long, value_name = "NAME")]
    pub event: Option<String>,
    /// Answer within this time, which must be shorter than the client's own limit
    #[arg(long, value_name = "TIME", value_parser = values::span)]
    pub limit: Option<Duration>,
    /// Let a client without a terminal end and come back with the call, instead of denying it for
    /// now; claude only, and only where nothing else permits the call
    #[arg(long)]
    pub defer: bool,
}

/// Put the hook into a client's settings.
#[derive(Debug, Args)]
#[command(after_help = "\
Everything else in the settings stays as it is. What a hook is worth in each place, and what each
client does when it is killed or taken out, is in docs/agents.md.")]
pub struct InstallOptions {
    /// Whose settings
    #[arg(value_name = "CLIENT")]
    pub client: Dialect,
    /// Whose settings
    #[command(flatten)]
    pub scope: ScopeOptions,
    /// Print the settings as they would be, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take the hook out again
    #[arg(long)]
    pub remove: bool,
}

/// Whose settings; the user's when nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct ScopeOptions {
    /// The user's settings, which is meant when nothing is said
    #[arg(long)]
    pub user: bool,
    /// The settings of the project in the current directory
    #[arg(long)]
    pub project: bool,
    /// The machine's settings, which only root can write: claude and codex
    #[arg(long)]
    pub managed: bool,
}

/// Stand in front of an MCP server.
#[derive(Debug, Args)]
#[command(after_help = "\
Speaks MCP on standard input and output, or over HTTP, and starts the server with the same environment.
Everything passes as it is but calls of tools, each of which is held until it is approved.")]
pub struct McpOptions {
    /// The server's name, as the client's settings have it; by default the program's
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Speak Streamable HTTP on this address instead of standard input: `PORT` of this machine, or
    /// `ADDR:PORT`
    #[arg(long, value_name = "ADDR", value_parser = values::listen)]
    pub http: Option<SocketAddr>,
    /// Listen on an address that other machines can reach, too, though the token travels in clear
    #[arg(long, requires = "http")]
    pub beyond_this_machine: bool,
    /// The address of the server, such as `http://127.0.0.1:8600/mcp`
    #[arg(long, value_name = "URL", requires = "http")]
    pub upstream: Option<String>,
    /// A file with the token that clients have to show; made when it is not there
    #[arg(long, value_name = "FILE", requires = "http")]
    pub token_file: Option<PathBuf>,
    /// A file with the token that the server wants to see, so that the agent need not have it
    #[arg(long, value_name = "FILE", requires = "upstream")]
    pub upstream_token_file: Option<PathBuf>,
    /// Have the daemon run the server as this profile says, which streams its input
    #[arg(long = "as", value_name = "PROFILE", conflicts_with = "upstream")]
    pub profile: Option<String>,
    /// The server's command and its arguments, after `--`
    #[arg(
        value_name = "SERVER",
        required_unless_present = "upstream",
        conflicts_with = "upstream",
        last = true
    )]
    pub server: Vec<OsString>,
}

/// Be the tool that Claude Code asks for permission.
#[derive(Debug, Args)]
#[command(after_help = "\
Speaks MCP on standard input and output, with the one tool `approve`. Whatever fails is a deny.")]
pub struct PermissionToolOptions {
    /// Deny for now after this time; the request waits on, and the same call takes it up
    #[arg(long, value_name = "TIME", value_parser = values::span, default_value = "23h")]
    pub limit: Duration,
}

/// Ask for a command, and run exactly what was approved.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The name of what the command acts on; by default this host
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The kind of that
    #[arg(long, value_name = "KIND", default_value = "host")]
    pub target_kind: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What this agent calls itself
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// A variable of the environment to pass on, shown to the reviewer with its value
    #[arg(long = "env", value_name = "NAME", value_parser = values::variable)]
    pub environment: Vec<String>,
    /// The directory to run in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Write what happened as JSON to this descriptor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub status_fd: Option<i32>,
    /// The command and its arguments, after `--`
    #[arg(value_name = "CMD", required = true, last = true)]
    pub command: Vec<OsString>,
}

/// Have the daemon run a command as a profile says.
#[derive(Debug, Args)]
#[command(after_help = "\
The daemon's operator writes the profiles: whom the command runs as, which programs, where, and with
which secrets. Reviewers are shown all of it but the secrets. The run ends with this process.")]
pub struct ExecOptions {
    /// The profile
    #[arg(long = "as", value_name = "PROFILE")]
    pub profile: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What this agent calls itself
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// A variable to pass on, one that the profile takes from agents
    #[arg(long = "env", value_name = "NAME", value_parser = values::variable)]
    pub environment: Vec<String>,
    /// The directory to run in; by default the profile's first one
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Write what happened as JSON to this descriptor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub status_fd: Option<i32>,
    /// The command and its arguments, after `--`; the program by its path, or by its name alone
    #[arg(value_name = "CMD", required = true, last = true)]
    pub command: Vec<OsString>,
}

#[cfg(test)]
mod tests;
