//! `countersignd erase`: the document of one request goes before its time, such as one that holds what
//! nobody should have written into it.
//!
//! It runs instead of the daemon, as the daemon's user. The entry says who ran it and why; the entries
//! about the request and the document's digest stay.

use std::path::Path;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::ErasedEarly;

use super::{Opened, reason::reason, say};
use crate::engine::Engine;
use crate::identity::Operator;

/// Which document is erased, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The request, by its full id; it has to be over.
    id: RequestId,
    /// Why; recorded in the log.
    #[arg(long, value_name = "WHY", value_parser = reason)]
    reason: String,
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<()> {
    let by = by(&arguments.reason)?;
    let opened = Opened::open(home)?;
    let database = opened.home.layout().database();
    let id = arguments.id;
    let is_clean = Engine::erase_early(&database, opened.settings, id, by)?;
    say(&format!(
        "the document of {id} is erased and that is recorded; copies and exports made before still \
         have it"
    ))?;
    if !is_clean {
        say(
            "somebody reads the database now, so its journal still holds the document: end that and \
             start the daemon",
        )?;
    }
    Ok(())
}

/// Says who runs this, as the kernel does.
fn by(reason: &str) -> anyhow::Result<ErasedEarly> {
    let Operator {
        uid,
        user,
        login_uid,
    } = Operator::of_this_process()?;
    Ok(ErasedEarly {
        uid,
        user,
        login_uid,
        reason: reason.to_owned(),
    })
}
