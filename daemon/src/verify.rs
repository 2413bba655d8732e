//! Checks a database anew: that it is the log which its key signed, that every entry follows, and
//! that the rows of requests are what the entries lead to.
//!
//! Only the log's name and one of its keys are believed, heads that were kept elsewhere, and witnesses
//! that a policy names. The steps: the
//! note; each leaf's hash, each stored node, the root; the replay with every signature
//! ([`replay`]); the rules as they were kept; the rows; the documents and their renderings. It reads
//! as of one moment, so the daemon may go on. It changes nothing, and tells a whole older database
//! from the present one by the mark beside it, or by a newer head that is given.
//!
//! [`replay`]: countersign_shared::log::replay

use std::path::{Path, PathBuf};
use std::thread;

use countersign_evidence::verify::Failure;
use countersign_shared::digest::Digest;
use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::replay::Replayed;
use countersign_shared::log::tree::{Frontier, TreeHead};
use countersign_shared::log::trust_policy::TrustPolicy;

use crate::engine::mark::{self, Reached};
use crate::store::{Inspection, RawHead, Store, StoreError};

mod archive;
mod cosigned;
mod document;
mod log;
mod report;
mod rows;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

pub use report::{Finding, Place, Report};

use archive::Archives;

/// What is believed.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The log's name.
    pub origin: String,
    /// A key of the log: the one it began with, or one that its own entries lead to.
    pub vkey: VerifierKey,
    /// Heads of the log that were kept elsewhere, as notes.
    pub heads: Vec<String>,
    /// Which witnesses are believed.
    pub policy: Option<TrustPolicy>,
    /// Evidence packs that hold what was pruned.
    pub archives: Vec<PathBuf>,
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
    let reached = trust.mark.as_deref().and_then(|mark| reached(mark, report));
    let database = Store::open_read_only(path)?.inspect()?;
    let leaves = Store::open_read_only(path)?.inspect()?;
    let stored = database.head()?;
    let archives = archives(trust)?;
    let manifests = archives.manifests();
    let (damage, replayed) = thread::scope(|scope| {
        let damage = scope.spawn(|| Store::open_read_only(path)?.inspect()?.damage());
        let replayed = log::replay(&database, leaves, archives, trust, report, progress);
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
    let (replayed, shelf) = replayed?;
    remembered(&shelf)?;
    let signed = signed_head(stored.as_ref(), &keys(trust, &replayed), report);
    if let Some(stored) = stored {
        head(&stored, signed, replayed.head, report);
    }
    heads(trust, &replayed, report);
    named(&manifests, &replayed, report);
    cosigned::check(&database, &replayed, trust, report)?;
    if let (Some(path), Some(bytes)) = (&trust.mark, reached) {
        marked(path, &bytes, &replayed, report);
    }
    rotations(&database, &replayed.keys, report)?;
    if database.rules()?.as_deref() != replayed.rules.as_ref().map(|rules| &rules.as_bytes()[..]) {
        report.found(
            Place::Database,
            "the stored digest of the rules is not that of the log",
        );
    }
    rules::check(&database, &replayed, report)?;
    rows::strays(&database, &replayed, report)?;
    remembered(&shelf)
}

/// Makes sure that the replay had all that it had to remember: else what it found follows from nothing.
fn remembered(shelf: &Failure) -> Result<(), StoreError> {
    match shelf.error() {
        Some(source) => Err(StoreError::File {
            path: std::env::temp_dir(),
            source,
        }),
        None => Ok(()),
    }
}

/// Opens the packs that hold what was pruned.
fn archives(trust: &Trust) -> Result<Archives, StoreError> {
    Archives::open(&trust.archives).map_err(|source| StoreError::File {
        path: trust.archives.iter().collect(),
        source,
    })
}

/// Finds packs that no entry names.
fn named(manifests: &[(PathBuf, Digest)], replayed: &Replayed, report: &mut Report) {
    for (root, manifest) in manifests {
        if !replayed.archives.contains(manifest) {
            report.found(
                Place::Database,
                format!(
                    "the log names no pack with the manifest of `{}`",
                    root.display()
                ),
            );
        }
    }
}

/// Returns the keys of the log: the one that is believed, where no entry names any.
fn keys(trust: &Trust, replayed: &Replayed) -> LogKeys {
    match LogKeys::begin(&trust.origin, trust.vkey.clone()) {
        Ok(believed) if replayed.keys.current().is_none() => believed,
        Ok(_) | Err(_) => replayed.keys.clone(),
    }
}

/// Checks the note against the keys that sign at the end of the log.
fn signed_head(stored: Option<&RawHead>, keys: &LogKeys, report: &mut Report) -> Option<TreeHead> {
    let Some(stored) = stored else {
        report.found(Place::Head, "there is none");
        return None;
    };
    let Ok(note) = std::str::from_utf8(&stored.note) else {
        report.found(Place::Head, "the note is not text");
        return None;
    };
    match keys.open(note) {
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

/// Reads the file that says how far the log had come.
fn reached(path: &Path, report: &mut Report) -> Option<Vec<u8>> {
    match mark::bytes(path) {
        Ok(Some(bytes)) => return Some(bytes),
        Ok(None) => report.found(Place::Mark, "there is none beside the database"),
        Err(error) => report.found(Place::Mark, said(&error)),
    }
    None
}

/// Compares the rebuilt tree with how far the log had come.
fn marked(path: &Path, bytes: &[u8], replayed: &Replayed, report: &mut Report) {
    match mark::said(path, bytes, &replayed.keys) {
        Ok(Reached::Head(head)) => {
            if let Some(problem) = contradicts(replayed, head, "was reached") {
                report.found(Place::Mark, problem);
            }
        }
        Ok(Reached::Nothing | Reached::Unknown) => {}
        Err(error) => report.found(Place::Mark, said(&error)),
    }
}

/// Compares the rebuilt tree with heads that were kept elsewhere.
fn heads(trust: &Trust, replayed: &Replayed, report: &mut Report) {
    for note in &trust.heads {
        let kept = match replayed.keys.open_kept(note) {
            Ok(kept) => *kept.head(),
            Err(error) => {
                report.found(Place::Head, format!("one that was kept: {}", said(&error)));
                continue;
            }
        };
        match contradicts(replayed, kept, "was kept") {
            Some(problem) => report.found(Place::Head, problem),
            None => report.witnessed = report.witnessed.max(kept.size),
        }
    }
}

/// Compares where the database says that keys changed with the entries.
fn rotations(database: &Inspection, keys: &LogKeys, report: &mut Report) -> Result<(), StoreError> {
    let ends = keys.spans().iter().map(|span| span.to);
    let begins = keys.spans().iter().skip(1);
    let told = begins
        .map(|span| span.from.saturating_sub(1))
        .zip(ends)
        .collect::<Vec<_>>();
    if database.store().rotations()? != told {
        report.found(
            Place::Database,
            "the stored places where the log's key changed are not those of the log",
        );
    }
    Ok(())
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
