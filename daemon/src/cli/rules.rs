//! `countersignd adopt-rules`: the loud way out when no reviewer can sign new rules any more.
//!
//! It runs instead of the daemon, as the daemon's user, and changes nothing but the rules: those that
//! the files make take force, with an entry that says so and why. Every console shows it until a
//! reviewer acknowledges it.

use std::path::Path;

use anyhow::Context as _;

use super::{Opened, reason::reason};
use crate::engine::{Call, Engine};

/// Why rules are adopted.
#[derive(Debug, clap::Args)]
pub(super) struct AdoptArguments {
    /// Why; recorded in the log, and shown on every console until a reviewer acknowledges it.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: String,
}

/// Puts the rules of the files in force.
pub(super) fn adopt(home: Option<&Path>, options: &AdoptArguments) -> anyhow::Result<()> {
    let mut opened = Opened::open(home)?;
    let digest = opened.settings.rules.digest;
    opened.settings.adopt = Some(options.reason.clone());
    let engine = Engine::start(&opened.home.layout().database(), opened.settings)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(engine.ask(Call::Stop))
        .context("the rules were adopted; that the program stopped could not be written")?;
    let text = format!("adopted {digest}; a reviewer has to acknowledge it\n");
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())
        .context("cannot write to standard output")
}
