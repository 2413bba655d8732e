//! Checks a database anew: that it is the log which its key signed, that every entry follows, and
//! that the rows of requests are what the entries lead to.
//!
//! Only the log's name and key are believed, and heads that were kept elsewhere. The steps: the
//! note; each leaf's hash, each stored node, the root; the replay with every signature
//! ([`Replay`]); the rules as they were kept; the rows; the documents and their renderings. It reads one snapshot, so the daemon
//! may go on. It changes nothing, and cannot tell a whole older database from the present one unless
//! a newer head is given.

use std::path::Path;

use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint;
use countersign_shared::log::entry::Entry;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::replay::{Replay, Replayed};
use countersign_shared::log::tree::{CompleteNode, Frontier, Hash, TreeHead, leaf_hash};

use crate::store::{Inspection, RawHead, RawLeaf, Store, StoreError};

mod document;
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
}

/// Checks the database at `path`.
///
/// # Errors
///
/// When it cannot be read at all, so that nothing can be said. A damaged one is a finding.
pub fn verify(path: &Path, trust: &Trust) -> Result<Report, StoreError> {
    let mut report = Report::default();
    match check(path, trust, &mut report) {
        Err(error) if error.is_damage() => {
            report.found(Place::Database, said(&error));
            Ok(report)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(report),
    }
}

fn check(path: &Path, trust: &Trust, report: &mut Report) -> Result<(), StoreError> {
    let database = Store::open_read_only(path)?.inspect()?;
    if let Some(problem) = database.damage()? {
        report.found(Place::Database, problem);
    }
    let stored = database.head()?;
    let signed = signed_head(stored.as_ref(), trust, report);
    let replayed = log(&database, trust, report)?;
    if let Some(stored) = stored {
        head(&stored, signed, replayed.head, report);
    }
    heads(trust, &replayed, report);
    if database.rules()?.as_deref() != replayed.rules.as_ref().map(|rules| &rules.as_bytes()[..]) {
        report.found(
            Place::Database,
            "the stored digest of the rules is not that of the log",
        );
    }
    rules::check(&database, &replayed, report)?;
    rows::compare(&database, &replayed, &trust.origin, report)
}

/// Rebuilds the tree and replays the entries.
fn log(database: &Inspection, trust: &Trust, report: &mut Report) -> Result<Replayed, StoreError> {
    let mut replay = Replay::new(&trust.origin, &trust.vkey);
    database.each_leaf(|leaf| {
        let at = replay.frontier().size();
        if u64::try_from(leaf.index) != Ok(at) {
            report.found(
                Place::Entry(at),
                format!("is missing; {} comes next", leaf.index),
            );
            // Nothing that comes later has a known place in the tree.
            return Ok(false);
        }
        let place = Place::Entry(at);
        if leaf.hash != leaf_hash(leaf.data).as_bytes() {
            report.found(
                place,
                "its bytes do not have the hash that is stored beside them",
            );
        }
        if let Err(finding) = replay.entry(at, leaf.data) {
            let request = finding
                .request
                .map(|id| format!(" ({id})"))
                .unwrap_or_default();
            report.found(place, format!("{}{request}", finding.problem));
        }
        check_request_column(at, &leaf, report);
        check_nodes(place, replay.completed(), leaf.nodes, report);
        Ok(true)
    })?;
    let replayed = replay.finish();
    for finding in &replayed.owed {
        report.found(Place::Entry(finding.index), finding.problem.to_string());
    }
    report.entries = replayed.head.size;
    report.requests = u64::try_from(replayed.requests.len()).unwrap_or(u64::MAX);
    report.decisions = replayed.decisions;
    report.people.clone_from(&replayed.people);
    report.head = Some(replayed.head);
    report.witnessed = replayed.witnessed;
    Ok(replayed)
}

/// The inner nodes of the tree that stand beside the leaf that completes them.
fn check_nodes(place: Place, completed: &[CompleteNode], stored: &[u8], report: &mut Report) {
    let (stored, rest) = stored.as_chunks::<{ Hash::LEN }>();
    let inner = completed.iter().filter(|node| node.level > 0);
    for (node, stored) in inner.clone().zip(stored) {
        if stored != node.hash.as_bytes() {
            let (level, index) = (node.level, node.index);
            let place = Place::Node { level, index };
            report.found(place, "is not the hash of what is below it");
        }
    }
    let (expected, found) = (inner.count(), stored.len());
    if expected != found || !rest.is_empty() {
        let problem = format!("completes {expected} nodes of the tree, and has {found}");
        report.found(place, problem);
    }
}

/// The column by which a request's entries are looked up.
fn check_request_column(at: u64, leaf: &RawLeaf<'_>, report: &mut Report) {
    // An entry that cannot be read was told already.
    let Ok(entry) = Entry::read(leaf.data) else {
        return;
    };
    if leaf.request
        != entry
            .request
            .as_ref()
            .map(RequestId::as_bytes)
            .map(|id| &id[..])
    {
        report.found(
            Place::Entry(at),
            "stands in the table under another request than it names",
        );
    }
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

/// Compares the rebuilt tree with heads that were kept elsewhere.
fn heads(trust: &Trust, replayed: &Replayed, report: &mut Report) {
    for kept in &trust.heads {
        let size = kept.size;
        match replayed.root_at(size) {
            None => {
                let problem = format!("a head of {size} entries was kept, here are fewer");
                report.found(Place::Head, problem);
            }
            Some(root) if root != kept.root => {
                let problem = format!("a head of {size} entries was kept with another root");
                report.found(Place::Head, problem);
            }
            Some(_) => report.witnessed = report.witnessed.max(size),
        }
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
