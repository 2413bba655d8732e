//! `countersignd backup`: a copy of the database while the daemon goes on.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use countersign_shared::log::checkpoint;

use super::progress::Progress;
use super::{configured, log_key, say};
use crate::store::Store;

/// Where the copy goes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to make; it must not be there yet.
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
}

/// Runs the command.
pub(super) fn run(home: Option<&Path>, arguments: &Arguments) -> anyhow::Result<()> {
    let (layout, _) = configured(home)?;
    let key = log_key(&layout)?;
    let (database, output) = (layout.database(), &arguments.output);
    let source = Store::open_read_only(&database)
        .and_then(Store::inspect)
        .with_context(|| {
            let database = database.display();
            format!("cannot read `{database}`; run this as the user that the daemon runs as")
        })?;
    let mut progress = Progress::of("pages copied");
    let copied = source.back_up(output, &mut |done, all| progress.tell(done, all));
    progress.end();
    copied.with_context(|| format!("cannot make the copy `{}`", output.display()))?;
    // What is said of the copy is read from the copy.
    let copy = Store::open_read_only(output).context("the copy cannot be read")?;
    let (frontier, note) = copy
        .head()
        .context("the copy cannot be read")?
        .context("the log has no head yet")?;
    let head = checkpoint::open(&note, std::slice::from_ref(&key), key.name())
        .context("the copy has a head that the log's key did not sign")?;
    anyhow::ensure!(
        *head.head() == frontier.head(),
        "the copy's head is not the one over its entries; run `countersign verify`"
    );
    say(&format!(
        "made {}\nhead {} {}\nnote: keys and rules are not in it; `countersignd verify {}` checks it\n\n{}",
        output.display(),
        head.size(),
        head.head().root,
        output.display(),
        note.trim_end()
    ))
}
