//! Watching what the daemon runs itself.
//!
//! The output is the program's, which may be the agent's words: it reaches the terminal line by line in
//! the form that cannot act there, or, when asked for, a file or another program as exact bytes.

use countersign_shared::text::{Printable, Untrusted};
use countersign_shared::wire::pb::output_response::Message;

use super::exit::{Done, Trouble};
use super::{Session, output};

/// The longest line that is waited for, in bytes.
const LONGEST: usize = 16 << 10;

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
    let mut pieces = session.client.output(&arguments.id).await?;
    let (mut stdout, mut stderr) = (Lines::new(""), Lines::new("stderr: "));
    while let Some(message) = pieces
        .message()
        .await
        .map_err(|status| Trouble::failure(&status))?
        .and_then(|it| it.message)
    {
        let is_read = match message {
            Message::Stdout(bytes) if arguments.raw => output::bytes(&bytes),
            Message::Stdout(bytes) => stdout.take(&bytes),
            Message::Stderr(_) if arguments.raw => true,
            Message::Stderr(bytes) => stderr.take(&bytes),
            Message::Missed(pieces) => {
                output::message(&format!("{pieces} pieces were missed here: too slow"));
                true
            }
        };
        if !is_read {
            return Ok(());
        }
    }
    stdout.end();
    stderr.end();
    Ok(())
}

/// One output, written line by line.
struct Lines {
    label: Printable,
    begun: Vec<u8>,
}

impl Lines {
    fn new(label: &'static str) -> Self {
        Self {
            label: Printable::ours(label),
            begun: Vec::new(),
        }
    }

    /// Takes a piece; tells whether somebody still reads.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let mut is_read = true;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if self.begun.ends_with(b"\n") {
                self.begun.pop();
                is_read = self.write();
            } else if self.begun.len() > LONGEST {
                is_read = self.write();
            }
        }
        is_read
    }

    fn end(&mut self) {
        if !self.begun.is_empty() {
            self.write();
        }
    }

    fn write(&mut self) -> bool {
        let line = Printable::exact(&Untrusted::from_bytes(std::mem::take(&mut self.begun)));
        output::line(&Printable::concat([&self.label, &line]))
    }
}
