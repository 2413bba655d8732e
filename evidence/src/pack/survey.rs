//! The first reading of the log: its tree, and where in it the period lies.

use std::collections::BTreeMap;
use std::ops::Range;

use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint::{Checkpoint, unverified};
use countersign_shared::log::entry::{Entry, EntryError};
use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::pruning::Pruning;
use countersign_shared::time::Timestamp;

use super::{Order, Scope};
use crate::export::{ExportError, follow};
use crate::record::{Record, RecordError};
use crate::sink::Sink;
use crate::source::{Leaf, Period, Source};
use crate::tiles::Tiles;

/// What the first reading found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) head: Checkpoint,
    /// The smallest stretch of positions that holds every entry of the period; the end of the log
    /// when the pack is about one request.
    pub(super) range: Range<u64>,
    /// The positions of the entries that say who may sign.
    pub(super) roster_entries: Vec<u64>,
    /// The positions of the entries that say which keys sign the log, up to its end.
    pub(super) key_entries: Vec<u64>,
    /// The keys that these entries tell.
    pub(super) keys: LogKeys,
    /// The requests whose documents were erased within the range, with the position of the entry: long
    /// after they ended, as it may be. For a pack about a request only that one.
    pub(super) erased: BTreeMap<RequestId, u64>,
    /// What of the log is gone.
    pub(super) pruning: Pruning,
    /// The positions of the entries that say that others were pruned.
    pub(super) pruned: Vec<u64>,
    /// The time of the entry before the range; nothing when it was pruned.
    pub(super) before: Option<Timestamp>,
    /// The time of the entry after the range.
    pub(super) after: Option<Timestamp>,
    /// The time of the last entry.
    pub(super) last: Option<Timestamp>,
}

impl Survey {
    /// Reads the log once, and writes the hashes of its tree and its head, which has to be signed by
    /// the keys that the log itself tells; `key` has to be one of them.
    pub(super) fn of(
        source: &impl Source,
        key: &VerifierKey,
        order: &Order,
        note: &str,
        sink: &mut dyn Sink,
    ) -> Result<Self, ExportError> {
        let size = unverified(note)?.size();
        let mut keys = LogKeys::new(key.name());
        let mut key_entries = Vec::new();
        let mut tiles = Tiles::hashes_only(sink);
        let mut place = Place::default();
        let mut roster_entries = Vec::new();
        let mut last = None;
        let mut pruning = Pruning::default();
        let mut pruned = Vec::new();
        let mut erased = BTreeMap::new();
        source.entries(0..size, &mut |at, leaf| {
            let expected = tiles.frontier().size();
            if at != expected {
                return Err(ExportError::Order {
                    expected,
                    found: at,
                });
            }
            let bytes = match leaf {
                Leaf::Entry(bytes) => bytes,
                Leaf::Pruned(hash) => {
                    pruning.gone(at);
                    place.previous = None;
                    return tiles.leaf(hash);
                }
            };
            tiles.entry(bytes)?;
            let record = Record::read(at, bytes)
                .map_err(|problem| ExportError::Record { seq: at, problem })?;
            follow(&mut pruning, &record)?;
            if record.entry_type == "log.pruned" {
                pruned.push(at);
            }
            if let Scope::Period(period) = order.scope {
                place.take(at, record.time, period);
            }
            if record.entry_type == "document.erased" {
                erased.extend(record.request.map(|id| (id, at)));
            }
            last = Some(record.time);
            if is_roster(&record) {
                roster_entries.push(at);
            }
            if is_about_keys(&record.entry_type) {
                take_key(&mut keys, at, bytes)?;
                key_entries.push(at);
            }
            Ok(())
        })?;
        if !keys.has(key) {
            return Err(ExportError::OtherKey);
        }
        let head = keys.open(note)?;
        drop(tiles.finish_under(note, head.clone())?);
        let range = match order.scope {
            Scope::Period(_) => place.begin..place.end,
            Scope::Request(_) => head.size()..head.size(),
        };
        erased.retain(|id, at| match order.scope {
            Scope::Period(_) => range.contains(at),
            Scope::Request(only) => *id == only,
        });
        pruning.finish()?;
        let before = pruning.before();
        if range.start < before {
            return Err(gone(source, "this time", before));
        }
        // Who could sign after the period is no part of it; who began the log is.
        roster_entries.retain(|seq| *seq == 0 || *seq < range.end);
        Ok(Self {
            head,
            range,
            roster_entries,
            key_entries,
            keys,
            erased,
            pruning,
            pruned,
            before: place.before,
            after: place.after,
            last,
        })
    }
}

/// Says that something is gone, and from when on everything is there.
pub(super) fn gone(source: &impl Source, what: &'static str, before: u64) -> ExportError {
    let mut from = None;
    let read = source.entries(before..before.saturating_add(1), &mut |at, leaf| {
        if let Leaf::Entry(bytes) = leaf {
            let problem = |problem| ExportError::Record { seq: at, problem };
            from = Some(Record::read(at, bytes).map_err(problem)?.time);
        }
        Ok(())
    });
    match (read, from) {
        (Err(error), _) => error,
        (Ok(()), Some(from)) => ExportError::Pruned { what, before, from },
        (Ok(()), None) => ExportError::Short {
            expected: before.saturating_add(1),
            found: before,
        },
    }
}

/// Tells whether an entry says who may sign, or by what right.
pub(super) fn is_roster(record: &Record<'_>) -> bool {
    matches!(
        record.entry_type.as_str(),
        "log.genesis"
            | "rules.changed"
            | "rules.proposed"
            | "rules.withdrawn"
            | "rules.signed"
            | "rules.acknowledged"
    )
}

/// Tells whether an entry of this type says which key signs the log.
fn is_about_keys(entry_type: &str) -> bool {
    matches!(entry_type, "log.genesis" | "key.rotated" | "key.retired")
}

/// Follows the log's keys. The head that two of them signed together is compared with the tree by
/// whoever checks the pack.
fn take_key(keys: &mut LogKeys, seq: u64, bytes: &[u8]) -> Result<(), ExportError> {
    let unreadable = |error: EntryError| ExportError::Record {
        seq,
        problem: RecordError::Fields {
            problem: error.to_string(),
        },
    };
    let entry = Entry::read(bytes).map_err(unreadable)?;
    match keys.take(&entry) {
        Ok(_) => Ok(()),
        Err(problem) => Err(ExportError::Keys(problem)),
    }
}

/// Where a period lies, as far as the log was read.
#[derive(Debug, Default)]
struct Place {
    begin: u64,
    end: u64,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    found: bool,
    previous: Option<Timestamp>,
}

impl Place {
    fn take(&mut self, at: u64, time: Timestamp, period: Period) {
        let next = at.saturating_add(1);
        if period.holds(time) {
            if !self.found {
                self.found = true;
                self.begin = at;
                self.before = self.previous;
            }
            self.end = next;
            self.after = None;
        } else if !self.found && period.from.is_some_and(|from| time < from) {
            // Where an empty period lies: after what came too early.
            (self.begin, self.end) = (next, next);
            self.before = Some(time);
            self.after = None;
        } else if at == self.end {
            self.after = Some(time);
        }
        self.previous = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(
        times: &[i64],
        from: Option<i64>,
        until: Option<i64>,
    ) -> (Range<u64>, Option<i64>, Option<i64>) {
        let time = Timestamp::from_millis;
        let period = Period {
            from: from.map(time),
            until: until.map(time),
        };
        let mut place = Place::default();
        for (at, wall) in (0u64..).zip(times) {
            place.take(at, time(*wall), period);
        }
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        (
            place.begin..place.end,
            millis(place.before),
            millis(place.after),
        )
    }

    #[test]
    fn a_period_lies_between_its_neighbours() {
        let times = [10, 20, 30, 40, 50];
        assert_eq!(place(&times, None, None), (0..5, None, None));
        assert_eq!(
            place(&times, Some(20), Some(40)),
            (1..3, Some(10), Some(40))
        );
        assert_eq!(place(&times, Some(50), None), (4..5, Some(40), None));
        assert_eq!(place(&times, None, Some(10)), (0..0, None, Some(10)));
        assert_eq!(
            place(&times, Some(31), Some(39)),
            (3..3, Some(30), Some(40))
        );
        assert_eq!(place(&times, Some(60), None), (5..5, Some(50), None));
        assert_eq!(place(&[], None, None), (0..0, None, None));
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_no_entry_of_the_period_out() {
        let times = [10, 20, 90, 30, 40, 90];
        assert_eq!(
            place(&times, Some(20), Some(41)),
            (1..5, Some(10), Some(90))
        );
    }
}
