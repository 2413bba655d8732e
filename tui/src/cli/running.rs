//! Watching what the daemon runs itself.
//!
//! The output is the program's, which may be the agent's words: it reaches the terminal line by line in
//! the form that cannot act there, or, when asked for, a file or another program as exact bytes.

use countersign_shared::text::Printable;
use countersign_shared::wire::pb::output_response::Message;

use super::exit::{Done, Trouble};
use super::{Session, output};
use crate::entries::lines::{Lines, Written};

/// What to follow.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The id, or an unambiguous beginning of it.
    id: String,
    /// Write the exact bytes of standard output, and nothing of standard error.
    #[arg(long)]
    raw: bool,
}

pub(super) async fn output(mut session: Session, arguments: &Arguments) -> Done {
    if arguments.raw {
        output::check_raw()?;
    }
    let mut pieces = session.client.output(&arguments.id).await?;
    let (mut stdout, mut stderr) = (Lines::new(false), Lines::new(true));
    while let Some(message) = pieces
        .message()
        .await
        .map_err(|status| Trouble::failure(&status))?
        .and_then(|it| it.message)
    {
        let is_read = match message {
            Message::Stdout(bytes) if arguments.raw => output::bytes(&bytes),
            Message::Stdout(bytes) => write(stdout.take(&bytes)),
            Message::Stderr(_) if arguments.raw => true,
            Message::Stderr(bytes) => write(stderr.take(&bytes)),
            Message::Missed(pieces) => {
                output::message(&format!("{pieces} pieces were missed here: too slow"));
                true
            }
        };
        if !is_read {
            return Ok(());
        }
    }
    write(stdout.end().into_iter().chain(stderr.end()));
    Ok(())
}

/// Writes lines; tells whether somebody still reads.
fn write(lines: impl IntoIterator<Item = Written>) -> bool {
    lines.into_iter().all(|line| {
        let label = Printable::ours(if line.is_error { "stderr: " } else { "" });
        output::line(&Printable::concat([&label, &line.text]))
    })
}
