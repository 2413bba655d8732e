//! Checks a directory of tiles, or an evidence pack, on all processors.
//!
//! The head against the log's keys, which its entries lead to from the one that is believed, and heads
//! that were kept elsewhere; every entry as the leaf at its place; the tiles; and, where all entries are there, each of them by the replay of the log:
//! sequence, time, signatures, the request machine, and the heads that people signed. In a pack the
//! documents and the manifest as well. A pack of a part of a log cannot be replayed: its entries
//! and signatures are checked each by itself, [`Report::replayed`] is false, and its own script,
//! which knows the tables, says more.
//!
//! Memory is that of the requests that are alive at one place of the log, and some tens of bytes for each
//! request; what has to be remembered of each entry lies in a temporary file.

use std::fs;
use std::path::Path;

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::Body;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::replay::{Prepared, Problem, Replay};
use countersign_shared::log::tree::TreeHead;
use countersign_shared::log::trust_policy::TrustPolicy;
use countersign_shared::machine::Event;

use crate::export::ExportError;
use crate::tiles::Tiles;

mod compare;
mod contents;
mod entries;
mod keys;
mod pipeline;
mod report;
mod shelf;
#[cfg(test)]
mod tests;

pub use pipeline::in_order;
pub use report::{Finding, Report};
pub use shelf::{Failure, shelved};

use compare::Comparing;
use entries::Entries;
use keys::Told;

/// Nothing can be said about the directory.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It holds neither tiles with entries nor a pack.
    #[error("`{path}` is neither a directory of tiles nor an evidence pack")]
    Unknown {
        /// The directory.
        path: String,
    },
    /// There is no log key to believe.
    #[error("there is no log key: name the file that holds it")]
    NoKey,
    /// A file cannot be read.
    #[error("`{name}` cannot be read")]
    Read {
        /// The file.
        name: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// What is believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// A key of the log, the one it began with or one that its entries lead to; the one that the
    /// directory itself names when there is none here.
    pub key: Option<VerifierKey>,
    /// Heads of the log that were kept elsewhere, as notes.
    pub heads: Vec<String>,
    /// Which witnesses are believed.
    pub policy: Option<TrustPolicy>,
}

/// Checks a directory. `progress` is told how many entries are done, and of how many.
///
/// # Errors
///
/// When nothing can be said. What is wrong with the directory is a finding.
pub fn verify_directory(
    root: &Path,
    trust: &Trust,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, VerifyError> {
    let entries = Entries::of(root)?;
    let key = match &trust.key {
        Some(key) => key.clone(),
        None => entries.named_key()?,
    };
    let note = read_text(root, "checkpoint")?;
    let mut report = Report::default();
    let told = keys::told(&entries, &key);
    if !told.keys.has(&key) {
        let other = || ("entry 0".to_owned(), Problem::LogKey.to_string());
        let (place, problem) = told.problem.unwrap_or_else(other);
        report.found(place, problem);
        return Ok(report);
    }
    let head = match told.keys.open(&note) {
        Ok(head) => head,
        Err(error) => {
            report.found("checkpoint", said(&error));
            return Ok(report);
        }
    };
    keys::missing(&entries, &told, &mut report);
    let kept = keys::kept(&told.keys, &trust.heads, &mut report);
    if let Some(policy) = &trust.policy {
        cosigned(policy, &note, &head, &mut report);
    }
    let mut check = Check {
        root,
        head: &head,
        key: &key,
        note: &note,
        told: &told,
        kept: &kept,
        report: &mut report,
    };
    if entries.is_whole(head.size()) {
        check.whole(&entries, progress)?;
    } else {
        check.part(&entries, progress);
    }
    if entries.is_pack() {
        contents::manifest(root, &mut report)?;
    }
    Ok(report)
}

/// Looks at the cosignatures below the head.
fn cosigned(policy: &TrustPolicy, note: &str, head: &Checkpoint, report: &mut Report) {
    match policy.judge(note) {
        Ok(standing) => {
            let is_held = standing.is_quorum && !standing.cosignatures.is_empty();
            let size = if is_held { head.size() } else { 0 };
            report.quorum = Some(size);
            report.witnessed = report.witnessed.max(size);
        }
        Err(error) => report.found("checkpoint", said(&error)),
    }
}

struct Check<'c> {
    root: &'c Path,
    head: &'c Checkpoint,
    key: &'c VerifierKey,
    note: &'c str,
    told: &'c Told,
    /// Heads that were kept elsewhere.
    kept: &'c [TreeHead],
    report: &'c mut Report,
}

/// How often requests that ended are let go, in entries.
const LET_GO: u64 = 4_096;

impl Check<'_> {
    /// Replays all entries.
    fn whole(
        &mut self,
        entries: &Entries<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), VerifyError> {
        let size = self.head.size();
        let (mut replay, place) = shelved(Replay::new(self.key.name(), self.key));
        let mut comparing = Comparing::new(self.root);
        let mut tiles = Tiles::hashes_only(&mut comparing);
        let mut requests = 0u64;
        let (root, report) = (self.root, &mut *self.report);
        let read = entries.prepared(&mut |seq, prepared: Prepared| {
            let at = replay.frontier().size();
            if seq != at {
                report.found(
                    format!("entry {at}"),
                    format!("is missing; {seq} comes next"),
                );
                return false;
            }
            if let Err(error) = tiles.leaf(*prepared.leaf()) {
                report.found(format!("entry {at}"), said(&error));
                return false;
            }
            if let Err(finding) = replay.prepared(at, prepared) {
                report.found(format!("entry {at}"), finding.problem.to_string());
            }
            if at.is_multiple_of(LET_GO) {
                for life in replay.take_ended() {
                    requests = requests.saturating_add(1);
                    contents::document(root, entries.is_pack(), &life, report);
                }
                progress(at, size);
            }
            true
        });
        if let Err(problem) = read {
            report.found(problem.0, problem.1);
        }
        tiled(tiles, self.note, self.head, report);
        for name in comparing.differing() {
            report.found(name, "is not what follows from the entries");
        }
        let replayed = replay.finish();
        for finding in &replayed.owed {
            report.found(
                format!("entry {}", finding.index),
                finding.problem.to_string(),
            );
        }
        for life in replayed.requests.values() {
            requests = requests.saturating_add(1);
            contents::document(root, entries.is_pack(), life, report);
        }
        for kept in self.kept {
            match replayed.root_at(kept.size) {
                None => report.found(
                    "head",
                    format!("one of {} entries was kept, here are fewer", kept.size),
                ),
                Some(root) if root != kept.root => {
                    report.found(
                        "head",
                        format!("one of {} entries was kept with another root", kept.size),
                    );
                }
                Some(_) => report.witnessed = report.witnessed.max(kept.size),
            }
        }
        if let Some(cause) = place.error() {
            let name = "the temporary file of the replay".to_owned();
            return Err(VerifyError::Read { name, cause });
        }
        report.replayed = true;
        report.entries = replayed.head.size;
        report.requests = requests;
        report.decisions = replayed.decisions;
        report.people.clone_from(&replayed.people);
        report.head = Some(replayed.head);
        report.witnessed = report.witnessed.max(replayed.witnessed);
        progress(size, size);
        Ok(())
    }

    /// Checks entries of which some are not there: each as the leaf at its place.
    fn part(&mut self, entries: &Entries<'_>, progress: &mut dyn FnMut(u64, u64)) {
        let size = self.head.size();
        let mut comparing = Comparing::new(self.root);
        let mut tiles = Tiles::hashes_only(&mut comparing);
        let mut leaves = compare::Leaves::new(self.root, size);
        let report = &mut *self.report;
        if let Some((place, problem)) = &self.told.problem {
            report.found(place.clone(), problem.clone());
        }
        let mut handovers = self.told.handovers.iter().peekable();
        let mut kept: Vec<&TreeHead> = self.kept.iter().collect();
        kept.sort_by_key(|head| head.size);
        let mut kept = kept.into_iter().peekable();
        for at in 0..=size {
            while let Some(head) = kept.next_if(|head| head.size == at) {
                if tiles.frontier().root() == head.root {
                    report.witnessed = report.witnessed.max(at);
                } else {
                    report.found(
                        "head",
                        format!("one of {at} entries was kept with another root"),
                    );
                }
            }
            while let Some((seq, head)) = handovers.next_if(|(_, head)| head.size == at) {
                if tiles.frontier().root() != head.root {
                    let problem = Problem::Handover { size: at };
                    report.found(format!("entry {seq}"), problem.to_string());
                }
            }
            if at == size {
                break;
            }
            let pushed = leaves
                .get(at)
                .and_then(|leaf| tiles.leaf(leaf).map_err(|error| said(&error)));
            if let Err(problem) = pushed {
                return report.found(format!("entry {at}"), problem);
            }
        }
        for head in kept {
            report.found(
                "head",
                format!("one of {} entries was kept, here are fewer", head.size),
            );
        }
        tiled(tiles, self.note, self.head, report);
        for name in comparing.differing() {
            report.found(name, "is not what follows from the leaves");
        }
        let mut last = None;
        let root = self.root;
        let read = entries.prepared(&mut |seq, prepared: Prepared| {
            let place = format!("entry {seq}");
            if last.is_some_and(|last| last >= seq) {
                report.found(place.clone(), "stands out of its order, or twice");
            }
            last = Some(seq);
            report.entries = report.entries.saturating_add(1);
            match leaves.get(seq) {
                Ok(leaf) if leaf == *prepared.leaf() => {}
                Ok(_) => report.found(place.clone(), "is not the one in the log's tree"),
                Err(problem) => report.found(place.clone(), problem),
            }
            if let Some(entry) = prepared.entry()
                && let (Some(id), Body::Request(Event::Received(received))) =
                    (entry.request, &entry.body)
            {
                contents::received(root, id, received, report);
            }
            match prepared.by_itself() {
                Ok(true) => report.decisions = report.decisions.saturating_add(1),
                Ok(false) => {}
                Err(problem) => report.found(place, problem),
            }
            if report.entries.is_multiple_of(LET_GO) {
                progress(seq, size);
            }
            true
        });
        if let Err(problem) = read {
            report.found(problem.0, problem.1);
        }
        report.head = Some(*self.head.head());
        progress(size, size);
    }
}

/// Ends the tree, which has to have the head's root.
fn tiled(tiles: Tiles<'_>, note: &str, head: &Checkpoint, report: &mut Report) {
    match tiles.finish_under(note, head.clone()) {
        Ok(_) | Err(ExportError::Write { .. }) => {}
        Err(error) => report.found("head", said(&error)),
    }
}

fn read_text(root: &Path, name: &str) -> Result<String, VerifyError> {
    fs::read_to_string(root.join(name)).map_err(|cause| VerifyError::Read {
        name: name.to_owned(),
        cause,
    })
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
