//! The log's keys, as the entries of a directory tell them, before anything else is believed.
//!
//! The entries are read once more for this, and only those that name a key are looked at. That they are
//! leaves of the tree under the head that these keys signed is found out afterwards, with all others.

use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::replay::Problem;
use countersign_shared::log::tree::TreeHead;

use super::entries::Entries;
use super::report::Report;
use super::said;
use crate::tiles::is_pruning;

/// What the entries tell of keys.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) keys: LogKeys,
    /// The heads that two keys signed together, each with the position of its entry, by size.
    pub(super) handovers: Vec<(u64, TreeHead)>,
    /// The position before which entries were pruned, as the last entry about that says.
    pub(super) pruned_before: u64,
    /// The first place where they do not follow, and what is wrong there.
    pub(super) problem: Option<(String, String)>,
}

/// How the entries end that name keys: of the fields of an entry, whose names are sorted, the type is
/// the last but one.
const ENDS: [&[u8]; 3] = [
    b"\"type\":\"log.genesis\",\"v\":1}",
    b"\"type\":\"key.rotated\",\"v\":1}",
    b"\"type\":\"key.retired\",\"v\":1}",
];

/// Reads what the entries tell. Where some are not there that may have told of a key, and what is left
/// does not lead to `key`, that alone is what is believed.
pub(super) fn told(entries: &Entries<'_>, key: &VerifierKey) -> Told {
    let mut told = Told {
        keys: LogKeys::new(key.name()),
        handovers: Vec::new(),
        pruned_before: 0,
        problem: None,
    };
    let read = entries.each(&mut |seq, bytes| {
        if is_pruning(bytes)
            && let Ok(entry) = Entry::read(bytes)
            && let Body::Log(LogEvent::Pruned(pruned)) = entry.body
        {
            told.pruned_before = pruned.before;
        }
        if told.problem.is_some() || !ENDS.iter().any(|end| bytes.ends_with(end)) {
            return;
        }
        let Ok(entry) = Entry::read(bytes) else {
            return;
        };
        match told.keys.take(&entry) {
            Ok(Some(head)) => told.handovers.push((seq, head)),
            Ok(None) => {}
            Err(error) => {
                let problem = Problem::Keys(error).to_string();
                told.problem = Some((format!("entry {seq}"), problem));
            }
        }
    });
    // Else it is told by the reading that checks.
    if let Err(unreadable) = read
        && told.keys.current().is_none()
    {
        told.problem = Some(unreadable);
    }
    let follows = told.problem.is_none() && told.keys.has(key);
    if entries.without().is_some()
        && !follows
        && let Ok(believed) = LogKeys::begin(key.name(), key.clone())
    {
        told.keys = believed;
        told.handovers.clear();
        told.problem = None;
    }
    told
}

/// Finds bundles that are not there although no entry says that they were pruned.
pub(super) fn missing(entries: &Entries<'_>, told: &Told, report: &mut Report) {
    if let Some((name, first)) = entries.without()
        && first >= told.pruned_before
    {
        report.found(name, "is missing, and no entry says that it was pruned");
    }
}

/// Opens heads that were kept elsewhere with the keys of their time.
pub(super) fn kept(keys: &LogKeys, notes: &[String], report: &mut Report) -> Vec<TreeHead> {
    notes
        .iter()
        .filter_map(|note| match keys.open_kept(note) {
            Ok(head) => Some(*head.head()),
            Err(error) => {
                report.found("head", format!("one that was kept: {}", said(&error)));
                None
            }
        })
        .collect()
}
