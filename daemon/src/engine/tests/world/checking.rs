//! What a log in a test has to be, looked at from outside.

use std::collections::BTreeMap;

use countersign_shared::digest::Digest;
use countersign_shared::log::entry::{Body, Entry};
use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::tree::{Frontier, leaf_hash};
use countersign_shared::machine::{Event, Request};
use countersign_shared::time::Timestamp;

use super::super::super::*;
use super::{ORIGIN, World};
use crate::store::StoreError;

impl World {
    /// Returns the type of every entry.
    pub(in super::super) fn types(&self) -> Vec<String> {
        entries(&self.engine.store)
            .iter()
            .map(|entry| entry.body.entry_type().to_owned())
            .collect()
    }

    /// Returns the digests before and after of every change of rules in the log.
    pub(in super::super) fn rule_changes(&self) -> Vec<(Digest, Digest)> {
        entries(&self.engine.store)
            .into_iter()
            .filter_map(|entry| match entry.body {
                Body::Request(Event::RulesChanged(change)) => Some((change.previous, change.rules)),
                Body::Request(_) | Body::Log(_) => None,
            })
            .collect()
    }

    /// Returns the time of the last entry.
    pub(in super::super) fn last_wall(&self) -> Timestamp {
        entries(&self.engine.store).last().unwrap().now.wall
    }

    /// Checks memory, rows and log against each other.
    pub(in super::super) fn check(&self) {
        check_store(&self.engine.store);
        assert!(self.engine.staged.is_empty(), "a copy outlived its batch");
        let (frontier, note) = self.engine.store.head().unwrap().unwrap();
        assert_eq!(frontier.head(), self.engine.tail.frontier().head());
        assert_eq!(note, self.engine.note);
        let mut open = 0;
        self.engine
            .store
            .each_request::<StoreError>(|row| {
                let live = self.engine.live.get(&row.request.id());
                assert_eq!(live.is_some(), row.request.state().is_live());
                if let Some(live) = live {
                    open += 1;
                    assert_eq!(live.request, row.request, "memory and row differ");
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(open, self.engine.live.len());
    }
}

pub(in super::super) fn entries(store: &Store) -> Vec<Entry> {
    let mut entries = Vec::new();
    store
        .each_entry::<StoreError>(0, |at, data, hash| {
            assert_eq!(
                leaf_hash(data).as_bytes(),
                hash,
                "entry {at} has another hash"
            );
            let entry = Entry::read(data).unwrap();
            assert_eq!(entry.seq, at);
            entries.push(entry);
            Ok(true)
        })
        .unwrap();
    entries
}

/// Checks a log that nobody writes now: hashes, head, order of time, and that replaying the entries
/// through the machine gives exactly the rows.
pub(in super::super) fn check_store(store: &Store) {
    let entries = entries(store);
    let mut frontier = Frontier::new();
    let mut machines: BTreeMap<[u8; 16], Request> = BTreeMap::new();
    let mut last = Timestamp::from_millis(0);
    let mut keys = LogKeys::new(ORIGIN);
    for entry in &entries {
        keys.take(entry).unwrap();
        frontier
            .push(leaf_hash(&entry.to_bytes().unwrap()))
            .unwrap();
        if entry.body.entry_type() != "clock.jumped" {
            assert!(
                entry.now.wall >= last,
                "entry {} goes back in time",
                entry.seq
            );
        }
        last = entry.now.wall;
        match (&entry.body, entry.request) {
            (Body::Request(Event::Received(received)), Some(id)) => {
                let (request, _) = Request::receive(&entry.now, id, (**received).clone());
                assert!(machines.insert(*id.as_bytes(), request).is_none());
            }
            (Body::Request(event), Some(id)) => {
                let machine = machines.get_mut(id.as_bytes()).unwrap();
                drop(machine.apply(&entry.now, event).unwrap());
            }
            (Body::Request(event), None) => {
                for machine in machines.values_mut().filter(|it| it.state().is_live()) {
                    drop(machine.apply(&entry.now, event).unwrap());
                }
            }
            (Body::Log(LogEvent::DataAccessed(_) | LogEvent::DocumentErased { .. }), request) => {
                assert!(request.is_some_and(|id| machines.contains_key(id.as_bytes())));
            }
            (Body::Log(_), request) => assert_eq!(request, None),
        }
    }
    let (stored, note) = store.head().unwrap().unwrap();
    assert_eq!(stored.head(), frontier.head());
    let head = keys.open(&note).unwrap();
    assert_eq!(*head.head(), frontier.head());
    let mut rows = 0;
    store
        .each_request::<StoreError>(|row| {
            rows += 1;
            let machine = machines.get(row.request.id().as_bytes());
            assert_eq!(machine, Some(&row.request), "row and log differ");
            assert!(row.request.owed().is_none());
            Ok(())
        })
        .unwrap();
    assert_eq!(rows, machines.len());
}
