//! `countersign adopt-log-key`: which key of the log this user believes, when the log itself can no
//! longer tell.

use countersign_client::heads;
use countersign_client::place;
use countersign_shared::log::note::VerifierKey;

use super::exit::{Done, Trouble, chain};
use super::output;

/// Which key.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The whole key, as the operator gave it by another way than this machine.
    #[arg(value_name = "VKEY")]
    vkey: VerifierKey,
}

/// Believes the key from now on. The head that was kept stays.
pub(super) fn adopt(arguments: Arguments) -> Done {
    let state_dir = place::state_dir().map_err(|error| Trouble::failure(&error))?;
    let adopted = heads::adopt(&state_dir, arguments.vkey)
        .map_err(|error| Trouble::new(9, "log", chain(&error)))?;
    output::ours(&adopted.to_string());
    Ok(())
}
