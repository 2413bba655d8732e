//! Receipts of a request's entries, for whoever has to be shown later that they were in the log.
//!
//! Each is checked here first: the entry is under a head that continues every head this user has
//! seen. A receipt (C2SP `tlog-proof`) can then be checked offline with the log's public key alone.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use countersign_client::shown::Inclusion;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::Entry;
use countersign_shared::log::receipt::Receipt;

use super::exit::{Done, Trouble, chain};
use super::{Session, output};
use crate::review::{Review, ReviewError, caught_up};

/// How many entries are asked for at once.
const PAGE: u32 = 500;

/// What to prove.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The id, or an unambiguous beginning of it.
    id: String,
    /// Write one file for each entry into this directory, which is made when it is missing;
    /// without it the receipts go to standard output, one after the other.
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
}

pub(super) async fn receipt(mut session: Session, arguments: &Arguments) -> Done {
    let review = Review::load(&mut session.client, &mut session.heads, &arguments.id).await?;
    let id = review.document.id();
    let first = review.answer.received.as_ref().map_or(0, |it| it.index);
    let mut made = 0usize;
    for index in entries_of(&mut session, id, first).await? {
        let (name, text) = one(&mut session, id, index).await?;
        match &arguments.output {
            None => {
                output::bytes(text.as_bytes());
            }
            Some(directory) => {
                let path = write(directory, &name, &text)?;
                output::ours(&format!("made {}", path.display()));
            }
        }
        made = made.saturating_add(1);
    }
    if made == 0 {
        return Err(Trouble::new(
            9,
            "log",
            "the log holds no entry of this request",
        ));
    }
    Ok(())
}

/// Returns the positions of all entries about a request, which the daemon alone says; each is
/// proven after.
async fn entries_of(session: &mut Session, id: RequestId, first: u64) -> Result<Vec<u64>, Trouble> {
    let mut found = Vec::new();
    let mut at = first;
    let mut gone = 0u64;
    loop {
        let page = session.client.read_log(at, PAGE).await?;
        if page.is_empty() {
            if gone > 0 {
                output::message(&format!(
                    "{gone} entries behind its first one are gone, and what they were about is not known here: \
                     `countersign verify` says whether they were pruned"
                ));
            }
            return Ok(found);
        }
        for bytes in page {
            if bytes.is_empty() {
                gone = gone.saturating_add(1);
                at = at.saturating_add(1);
                continue;
            }
            let entry = Entry::read(&bytes).map_err(|error| {
                Trouble::new(9, "log", format!("entry {at}: {}", chain(&error)))
            })?;
            if entry.request == Some(id) {
                found.push(at);
            }
            at = at.saturating_add(1);
        }
    }
}

/// Fetches and checks one receipt; returns it with the name of its file.
async fn one(
    session: &mut Session,
    id: RequestId,
    index: u64,
) -> Result<(String, String), Trouble> {
    let known = caught_up::<ReviewError>(&mut session.client, &mut session.heads).await?;
    let inclusion: Inclusion = session.client.prove(index, known).await?;
    session
        .heads
        .check(&inclusion, &[], id)
        .map_err(ReviewError::from)?;
    let unsound = |error: &dyn std::error::Error| {
        Trouble::new(9, "log", format!("entry {index}: {}", chain(error)))
    };
    let entry = Entry::read(&inclusion.entry).map_err(|error| unsound(&error))?;
    let name = format!("{id}.{index}.{}.tlog-proof", entry.body.entry_type());
    let receipt = Receipt::new(
        index,
        Some(inclusion.entry),
        inclusion.proof,
        inclusion.head.note,
    )
    .map_err(|error| unsound(&error))?;
    Ok((name, receipt.to_text()))
}

/// Writes a receipt into a file that was not there.
fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf, Trouble> {
    let path = directory.join(name);
    let written = fs::create_dir_all(directory).and_then(|()| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Trouble::new(
            1,
            "exists",
            format!("`{}` is there already; it was not changed", path.display()),
        )),
        Err(error) => Err(Trouble::new(
            1,
            "failure",
            format!("`{}` cannot be written: {error}", path.display()),
        )),
    }
}
