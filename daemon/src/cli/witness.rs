//! `countersignd witness`: watches logs of other machines, without a home.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use countersign_shared::log::note::VerifierKey;

use super::say;
use crate::clock::Clock;
use crate::socket::raise_descriptor_limit;
use crate::witness::{Book, key, serve};

/// Whose heads are cosigned, with what, and where that is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The address to listen on, such as 192.0.2.7:7380; port 0 takes one that is free.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The key of a log that is watched, as its `log.vkey` has it. Repeatable.
    #[arg(long = "log", value_name = "VKEY", required = true, num_args = 1..)]
    logs: Vec<VerifierKey>,
    /// The file of the witness's own key; made when it is missing.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the witness is called, when its key is made; else a name by chance.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The directory that remembers how far each log had come; made when it is missing.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

/// Runs the command until it is told to stop.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    raise_descriptor_limit().context("cannot raise the limit of open files")?;
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display()))
    };
    let (file, state) = (absolute(&arguments.key)?, absolute(&arguments.state)?);
    let key = key::read_or_make(&file, arguments.name.as_deref())?;
    let vkey = key.verifier().to_string();
    let book = Book::open(&state, key, arguments.logs.clone(), Clock::machine()?)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(arguments.listen)
                .await
                .with_context(|| format!("cannot listen on {}", arguments.listen))?;
            let at = listener.local_addr().context("cannot listen")?;
            say(&format!("vkey {vkey}\nlistening on http://{at}"))?;
            serve(listener, book)
                .await
                .context("cannot wait for signals")
        })
}
