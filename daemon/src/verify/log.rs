//! Rebuilds the tree and replays the entries, and compares the rows of requests as these end.
//!
//! One thread reads, all processors hash, parse and check signatures, and the caller's thread
//! replays in order. A request that ended is compared with its row and let go, so memory is that of
//! the requests alive at one place of the log, and some tens of bytes for each request; what has to be
//! remembered of each entry lies in a temporary file.
//!
//! The reader has a connection of its own, whose snapshot is a moment younger: it stops where the
//! older one ends, by which rows are compared.

use countersign_evidence::verify::{Failure, in_order, shelved};
use countersign_shared::id::RequestId;
use countersign_shared::log::replay::{Prepared, Replay, Replayed};
use countersign_shared::log::tree::{CompleteNode, Hash};

use super::archive::{Archived, Archives};
use super::report::{Place, Report};
use super::{Trust, rows};
use crate::store::{Inspection, StoreError, pruned};

/// How many entries are handed from thread to thread at once.
const PIECE: usize = 128;

/// How often requests that ended are let go, in entries.
const LET_GO: u64 = 4_096;

/// A row of the log.
struct Leaf {
    index: i64,
    data: Vec<u8>,
    hash: Vec<u8>,
    nodes: Vec<u8>,
    request: Option<Vec<u8>>,
    /// Whether the bytes are of a pack: they were pruned.
    is_archived: bool,
}

/// A row of the log that was looked at by itself.
struct Looked {
    index: i64,
    /// The entry, or the hash of one that was pruned. Whether it may be is told by the others.
    prepared: Result<Prepared, Hash>,
    nodes: Vec<u8>,
    has_its_hash: bool,
    has_its_request: bool,
    is_archived: bool,
}

impl Looked {
    fn at(leaf: Leaf) -> Self {
        if let Some(hash) = pruned(&leaf.data, &leaf.hash) {
            return Self {
                index: leaf.index,
                prepared: Err(hash),
                has_its_hash: true,
                has_its_request: leaf.request.is_none(),
                is_archived: false,
                nodes: leaf.nodes,
            };
        }
        let prepared = Prepared::of(&leaf.data);
        // An entry that cannot be read is told by the replay.
        let has_its_request = prepared.entry().is_none_or(|entry| {
            let request = entry.request.as_ref().map(RequestId::as_bytes);
            let request = request.filter(|_| !leaf.is_archived);
            request.map(|id| &id[..]) == leaf.request.as_deref()
        });
        Self {
            index: leaf.index,
            has_its_hash: leaf.hash == prepared.leaf().as_bytes(),
            has_its_request,
            prepared: Ok(prepared),
            is_archived: leaf.is_archived,
            nodes: leaf.nodes,
        }
    }
}

/// Replays the entries of `leaves` up to the end of `database`, whose rows are compared.
pub(super) fn replay(
    database: &Inspection,
    leaves: Inspection,
    archives: Archives,
    trust: &Trust,
    report: &mut Report,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Replayed, Failure), StoreError> {
    let end = database.end()?;
    let all = u64::try_from(end).unwrap_or(0);
    let (mut replay, shelf) = shelved(Replay::new(&trust.origin, &trust.vkey));
    // What is wrong with the log is told before what is wrong with rows.
    let mut rows_report = Report::default();
    let mut failed = None;
    let mut requests = 0u64;
    let mut from_packs = Archived::default();
    let mut without = Vec::new();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let read = move |put: &mut dyn FnMut(Vec<Leaf>) -> bool| pieces(&leaves, archives, end, put);
    let look = |piece: Vec<Leaf>| -> Vec<Looked> { piece.into_iter().map(Looked::at).collect() };
    let mut one = |looked: Looked, report: &mut Report| -> Result<bool, StoreError> {
        if looked.is_archived {
            let entry = looked.prepared.as_ref().ok().and_then(Prepared::entry);
            from_packs.take(entry.and_then(|entry| entry.request));
        }
        if !entry(&mut replay, looked, report) {
            // Nothing that comes later has a known place in the tree.
            return Ok(false);
        }
        let done = replay.frontier().size();
        if done.is_multiple_of(LET_GO) {
            let ended = replay.take_ended();
            requests = requests.saturating_add(u64::try_from(ended.len()).unwrap_or(0));
            let ended = from_packs.part(ended, trust, &mut without, &mut rows_report);
            without.extend(rows::compare(
                database,
                &ended,
                &trust.origin,
                &mut rows_report,
            )?);
            progress(done, all);
        }
        Ok(true)
    };
    let mut take = |piece: Vec<Looked>| {
        piece.into_iter().all(|looked| match one(looked, report) {
            Ok(more) => more,
            Err(error) => {
                failed = Some(error);
                false
            }
        })
    };
    let read = in_order(workers, read, look, &mut take);
    match (failed, read) {
        (Some(error), _) | (None, Some(Err(error))) => return Err(error),
        (None, Some(Ok(()))) => {}
        (None, None) => return Err(StoreError::row("the log could not be read to its end")),
    }
    let replayed = replay.finish();
    for finding in &replayed.owed {
        report.found(Place::Entry(finding.index), finding.problem.to_string());
    }
    let left: Vec<_> = replayed.requests.values().cloned().collect();
    requests = requests.saturating_add(u64::try_from(left.len()).unwrap_or(0));
    let left = from_packs.part(left, trust, &mut without, &mut rows_report);
    without.extend(rows::compare(
        database,
        &left,
        &trust.origin,
        &mut rows_report,
    )?);
    rows::erased(database, &without, &replayed, &mut rows_report)?;
    report.add(rows_report);
    report.entries = replayed.head.size;
    report.requests = requests;
    report.decisions = replayed.decisions;
    report.people.clone_from(&replayed.people);
    report.head = Some(replayed.head);
    report.witnessed = replayed.witnessed;
    report.erased_early = replayed.erased_early;
    report.pruned = replayed.pruning.positions().count();
    report.archived = from_packs.entries();
    progress(all, all);
    Ok((replayed, shelf))
}

/// Reads the rows of the log before `end`.
fn pieces(
    leaves: &Inspection,
    mut archives: Archives,
    end: i64,
    put: &mut dyn FnMut(Vec<Leaf>) -> bool,
) -> Result<(), StoreError> {
    let mut piece = Vec::with_capacity(PIECE);
    leaves.each_leaf(|leaf| {
        if leaf.index >= end {
            return Ok(false);
        }
        let kept = match (pruned(leaf.data, leaf.hash), u64::try_from(leaf.index)) {
            (Some(hash), Ok(at)) => archives.entry(at, &hash)?,
            (Some(_) | None, Ok(_) | Err(_)) => None,
        };
        let is_archived = kept.is_some();
        piece.push(Leaf {
            index: leaf.index,
            data: kept.unwrap_or_else(|| leaf.data.to_vec()),
            hash: leaf.hash.to_vec(),
            nodes: leaf.nodes.to_vec(),
            request: leaf.request.map(<[u8]>::to_vec),
            is_archived,
        });
        Ok(piece.len() < PIECE || put(std::mem::take(&mut piece)))
    })?;
    if !piece.is_empty() {
        put(piece);
    }
    Ok(())
}

/// Takes an entry; tells whether those that come after it can be taken.
fn entry(replay: &mut Replay, looked: Looked, report: &mut Report) -> bool {
    let at = replay.frontier().size();
    let place = Place::Entry(at);
    if u64::try_from(looked.index) != Ok(at) {
        report.found(place, format!("is missing; {} comes next", looked.index));
        return false;
    }
    if !looked.has_its_hash {
        report.found(
            place,
            "its bytes do not have the hash that is stored beside them",
        );
    }
    let taken = match looked.prepared {
        Ok(prepared) if looked.is_archived => replay.archived(at, prepared),
        Ok(prepared) => replay.prepared(at, prepared),
        Err(hash) => replay.gone(at, hash),
    };
    if let Err(finding) = taken {
        let request = finding
            .request
            .map(|id| format!(" ({id})"))
            .unwrap_or_default();
        report.found(place, format!("{}{request}", finding.problem));
    }
    if !looked.has_its_request {
        report.found(
            place,
            "stands in the table under another request than it names",
        );
    }
    check_nodes(place, replay.completed(), &looked.nodes, report);
    true
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
