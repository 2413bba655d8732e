//! Reading the log, a line for each entry.

use countersign_shared::log::entry::Entry;
use countersign_shared::text::Printable;
use serde_json::Value;

use super::exit::{Done, Trouble};
use super::{Session, output};

/// How many entries are asked for at once.
const PAGE: u32 = 500;

/// What to read.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only entries about this request, by the beginning of its id.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Begin at this index.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Write the entries as JSON, one on a line.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn log(mut session: Session, arguments: &Arguments) -> Done {
    let mut at = arguments.from;
    loop {
        let page = session.client.read_log(at, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        for bytes in page {
            let entry = Entry::read(&bytes).map_err(|error| {
                Trouble::new(
                    9,
                    "log",
                    format!("entry {at}: {}", super::exit::chain(&error)),
                )
            })?;
            at = at.saturating_add(1);
            if !is_about(&entry, arguments.request.as_deref()) {
                continue;
            }
            if arguments.json {
                let value: Value =
                    serde_json::from_slice(&bytes).map_err(|error| Trouble::failure(&error))?;
                output::json(&value);
            } else {
                output::line(&line(&entry));
            }
        }
    }
}

fn is_about(entry: &Entry, request: Option<&str>) -> bool {
    request.is_none_or(|wanted| {
        entry
            .request
            .is_some_and(|id| id.to_string().starts_with(wanted))
    })
}

fn line(entry: &Entry) -> Printable {
    let about = entry.request.map_or_else(String::new, |id| id.to_string());
    Printable::concat([
        &Printable::from_ours(format!("{:>6} {} ", entry.seq, entry.now.wall)),
        &output::padded(entry.body.entry_type(), 24),
        &output::padded(&about, 31),
        &output::shown(&entry.actor.id),
    ])
}
