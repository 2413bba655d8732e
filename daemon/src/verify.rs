//! Checks a database anew: that it is the log which its key signed, that every entry follows, and
//! that the rows of requests are what the entries lead to.
//!
//! Only the log's name and key are believed, and heads that were kept elsewhere. The steps: the
//! note; each leaf's hash, each stored node, the root; the replay with every signature
//! ([`replay`]); the rules as they were kept; the rows; the documents and their renderings. It reads
//! as of one moment, so the daemon may go on. It changes nothing, and tells a whole older database
//! from the present one by the mark beside it, or by a newer head that is given.
//!
//! [`replay`]: countersign_shared::log::replay

use std::path::{Path, PathBuf};
use std::thread;

use countersign_shared::log::checkpoint;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::replay::Replayed;
use countersign_shared::log::tree::{Frontier, TreeHead};

use crate::engine::mark::{self, Reached};
use crate::store::{RawHead, Store, StoreError};

mod document;
mod log;
mod report;
mod rows;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

pub use report::{Finding, Place, Report};

/// What is believed.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The log's name.
    pub origin: String,
    /// The log's key.
    pub vkey: VerifierKey,
    /// Heads of the log that were kept elsewhere.
    pub heads: Vec<TreeHead>,
    /// The file beside the database of a home that says how far its log had come. It lies on the same
    /// machine, so it shows a restored copy and witnesses nothing.
    pub mark: Option<PathBuf>,
}

/// Checks the database at `path`. `progress` is told how many entries are done, and of how many.
///
/// # Errors
///
/// When it cannot be read at all, so that nothing can be said. A damaged one is a finding.
pub fn verify(
    path: &Path,
    trust: &Trust,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    match check(path, trust, &mut report, progress) {
        Err(error) if error.is_damage() => {
            report.found(Place::Database, said(&error));
            Ok(report)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(report),
    }
}

fn check(
    path: &Path,
    trust: &Trust,
    report: &mut Report,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    // Before the database, which is then at least as new.
    let reached = trust
        .mark
        .as_deref()
        .and_then(|mark| reached(mark, trust, report));
    let database = Store::open_read_only(path)?.inspect()?;
    let leaves = Store::open_read_only(path)?.inspect()?;
    let stored = database.head()?;
    let signed = signed_head(stored.as_ref(), trust, report);
    let (damage, replayed) = thread::scope(|scope| {
        let damage = scope.spawn(|| Store::open_read_only(path)?.inspect()?.damage());
        let replayed = log::replay(&database, leaves, trust, report, progress);
        (damage.join(), replayed)
    });
    match damage {
        Ok(damage) => {
            if let Some(problem) = damage? {
                report.found(Place::Database, problem);
            }
        }
        Err(_) => report.found(Place::Database, "the file could not be checked"),
    }
    let replayed = replayed?;
    if let Some(stored) = stored {
        head(&stored, signed, replayed.head, report);
    }
    heads(trust, &replayed, report);
    if let Some(reached) = reached
        && let Some(problem) = contradicts(&replayed, reached, "was reached")
    {
        report.found(Place::Mark, problem);
    }
    if database.rules()?.as_deref() != replayed.rules.as_ref().map(|rules| &rules.as_bytes()[..]) {
        report.found(
            Place::Database,
            "the stored digest of the rules is not that of the log",
        );
    }
    rules::check(&database, &replayed, report)?;
    rows::strays(&database, &replayed, report)
}

/// Checks the note against the log's key.
fn signed_head(stored: Option<&RawHead>, trust: &Trust, report: &mut Report) -> Option<TreeHead> {
    let Some(stored) = stored else {
        report.found(Place::Head, "there is none");
        return None;
    };
    let Ok(note) = std::str::from_utf8(&stored.note) else {
        report.found(Place::Head, "the note is not text");
        return None;
    };
    match checkpoint::open(note, std::slice::from_ref(&trust.vkey), &trust.origin) {
        Ok(signed) => Some(*signed.head()),
        Err(error) => {
            report.found(Place::Head, said(&error));
            None
        }
    }
}

/// Compares the stored head, and the one that the log's key signed, with the rebuilt tree.
fn head(stored: &RawHead, signed: Option<TreeHead>, rebuilt: TreeHead, report: &mut Report) {
    let place = Place::Head;
    let TreeHead { size, root } = rebuilt;
    if u64::try_from(stored.size) != Ok(size) {
        let problem = format!("is of {} entries, and there are {size}", stored.size);
        report.found(place, problem);
    }
    match Frontier::from_bytes(&stored.frontier) {
        Err(error) => report.found(place, format!("the stored edge: {error}")),
        Ok(edge) if edge.head() != rebuilt => {
            report.found(place, "the stored edge is not the one over the entries");
        }
        Ok(_) => {}
    }
    match signed {
        Some(signed) if signed.size != size => {
            let signed = signed.size;
            report.found(
                place,
                format!("the log's key signed {signed} entries, here are {size}"),
            );
        }
        Some(signed) if signed.root != root => {
            let signed = signed.root;
            report.found(
                place,
                format!("the log's key signed the root {signed}, here is {root}"),
            );
        }
        Some(_) | None => {}
    }
}

/// Reads how far the log had come.
fn reached(path: &Path, trust: &Trust, report: &mut Report) -> Option<TreeHead> {
    match mark::read(path, &trust.vkey) {
        Ok(Reached::Head(head)) => return Some(head),
        Ok(Reached::Nothing) => {}
        Ok(Reached::Unknown) => report.found(Place::Mark, "there is none beside the database"),
        Err(error) => report.found(Place::Mark, said(&error)),
    }
    None
}

/// Compares the rebuilt tree with heads that were kept elsewhere.
fn heads(trust: &Trust, replayed: &Replayed, report: &mut Report) {
    for kept in &trust.heads {
        match contradicts(replayed, *kept, "was kept") {
            Some(problem) => report.found(Place::Head, problem),
            None => report.witnessed = report.witnessed.max(kept.size),
        }
    }
}

/// Says in which way the log does not contain a head.
fn contradicts(replayed: &Replayed, head: TreeHead, what: &str) -> Option<String> {
    let size = head.size;
    match replayed.root_at(size) {
        None => Some(format!("a head of {size} entries {what}, here are fewer")),
        Some(root) if root != head.root => {
            Some(format!("a head of {size} entries {what} with another root"))
        }
        Some(_) => None,
    }
}

/// Writes an error with its causes on one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
