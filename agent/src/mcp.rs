//! `mcp`: stands in front of an MCP server, and lets a call of a tool through once it was approved.
//!
//! Messages pass as the bytes that came: nothing is written anew, so nothing gets lost, whatever
//! revision of the protocol the two sides speak. Only a copy is read, strictly. A message that two
//! readers could take for different things is not passed on, in either direction, because one of them
//! could take it for a call. Elicitation and sampling pass like everything else, and approve nothing:
//! they ask the agent's own side.
//!
//! | module | what it is |
//! |---|---|
//! | `strict`, `lines` | bytes as JSON that cannot be read in two ways; as lines |
//! | `message`, `call` | what a message is; all that a call says |
//! | `action`, `pins` | the call as an action; what servers say of their tools, and said before |
//! | `gate`, `open` | one call from the asking to the report; those that have no answer yet |
//! | `answer` | the few messages of our own |
//! | `server` | a server that is a process of our own |
//! | `brokered` | a server that the daemon runs |
//! | `stdio` | the proxy on the standard streams |
//! | `http` | the proxy over Streamable HTTP |
//! | `permission` | the tool that a client asks when nothing else permits a call |

pub(crate) mod action;
mod answer;
mod brokered;
mod call;
pub(crate) mod gate;
mod http;
mod lines;
mod message;
mod open;
pub(crate) mod permission;
pub(crate) mod pins;
mod server;
mod stdio;
mod strict;

use std::ffi::OsStr;
use std::path::Path;

use crate::cli::McpOptions;
use crate::exit::Exit;
use crate::failure::Failure;

use gate::Gate;

/// Stands in front of a server until either side ends, and returns the server's exit code.
///
/// # Errors
/// When the server cannot be started.
pub(crate) async fn perform(home: Option<&Path>, options: McpOptions) -> Result<u8, Failure> {
    let server = match options.name {
        Some(name) => name,
        None => options
            .server
            .first()
            .and_then(|program| Path::new(program).file_name())
            .and_then(OsStr::to_str)
            .map(str::to_owned)
            .or_else(|| options.upstream.clone())
            .ok_or_else(|| {
                Failure::new(Exit::Usage, "no-name", "the server has no name")
                    .hint("give it the name that the client's settings have for it, with `--name`")
            })?,
    };
    let gate = Gate::open(home, server.clone())?;
    let command = match &options.profile {
        None => options.server,
        Some(profile) => brokered::command(home, profile, options.server)?,
    };
    let Some(listen) = options.http else {
        return stdio::run(gate, &command).await;
    };
    let behind = match &options.upstream {
        Some(url) => http::Behind::Url(url),
        None => http::Behind::Command(&command),
    };
    let options = http::Options {
        listen,
        beyond_this_machine: options.beyond_this_machine,
        server: behind,
        name: &server,
        token: options.token_file.as_deref(),
        upstream_token: options.upstream_token_file.as_deref(),
    };
    http::run(gate, &options).await
}
