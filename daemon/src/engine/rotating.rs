//! The keys that sign the log's heads, and their change.
//!
//! A rotation writes `key.rotated`, and from that head on the next key signs beside the old one. It is
//! done while the daemon is stopped, so that a daemon that runs has one key in force for as long as it
//! runs, and only ever drops the old one: when its time is over, which is `key.retired`. That entry
//! holds the last head that both keys signed.

use std::path::Path;
use std::time::Duration;

use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::note::{SignerKey, VerifierKey};
use countersign_shared::time::Timestamp;

use super::boot::{self, BootError, Settings};
use super::call::Rotation;
use super::mark::Mark;
use super::queue::queue;
use super::{Engine, EngineError, QUEUE, daemon_actor};
use crate::keyring::{Keyring, KeyringError};
use crate::store::{Store, StoreError};

/// What a log signs its heads with.
#[derive(Debug)]
pub(super) struct Signers {
    /// Which keys signed which heads so far.
    pub(super) keys: LogKeys,
    /// The key in force.
    pub(super) in_force: SignerKey,
    /// The one before it, as long as it signs as well.
    pub(super) ending: Option<Ending>,
    ring: Keyring,
}

/// A key that still signs although a newer one is in force.
#[derive(Debug)]
pub(super) struct Ending {
    /// Nothing when its file is gone: then no head can be signed, and it can only be ended.
    signer: Option<SignerKey>,
    until: Timestamp,
    /// The entry that announced its successor.
    rotated: u64,
}

impl Signers {
    /// Finds the keys that a log demands at its present end.
    pub(super) fn of(store: &Store, origin: &str, ring: Keyring) -> Result<Self, BootError> {
        let keys = keys_of(store, origin, &ring)?;
        let missing = || BootError::Log {
            problem: "it names no key of its own".to_owned(),
        };
        ring.check_public(&keys)?;
        let in_force = ring.signer(keys.current().ok_or_else(missing)?)?;
        let ending = keys.ending().map(|(key, until)| Ending {
            signer: ring.signer(key).ok(),
            until,
            rotated: rotated_at(&keys),
        });
        Ok(Self {
            keys,
            in_force,
            ending,
            ring,
        })
    }

    /// Refuses to go on without a key that has to sign.
    pub(super) fn check(&self) -> Result<(), BootError> {
        match (&self.ending, self.keys.ending()) {
            (Some(Ending { signer: None, .. }), Some((key, until))) => Err(BootError::EndingKey {
                key: key.to_string(),
                until,
            }),
            _ => Ok(()),
        }
    }

    /// Returns the keys that sign beside the one in force.
    pub(super) fn others(&self) -> &[SignerKey] {
        self.ending
            .as_ref()
            .map_or(&[], |ending| ending.signer.as_slice())
    }

    /// Puts the files of the keys where they belong.
    pub(super) fn settle(&mut self) -> Result<(), KeyringError> {
        self.ring.settle(&self.keys)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.ending
            .as_ref()
            .is_some_and(|ending| ending.until <= now)
    }
}

/// Reads which keys signed which heads from the entries that say so.
fn keys_of(store: &Store, origin: &str, ring: &Keyring) -> Result<LogKeys, BootError> {
    let damaged = |at: u64, problem: String| BootError::Log {
        problem: format!("entry {at}: {problem}"),
    };
    let mut keys = LogKeys::new(origin);
    let mut take = |at: u64| -> Result<bool, BootError> {
        let Some(bytes) = store.entry(at)? else {
            return Ok(false);
        };
        let entry = Entry::read(&bytes).map_err(|error| damaged(at, error.to_string()))?;
        keys.take(&entry)
            .map_err(|error| damaged(at, error.to_string()))?;
        Ok(true)
    };
    if !take(0)? {
        let first = ring.first().cloned();
        let begun = first.map(|key| LogKeys::begin(origin, key));
        return match begun {
            Some(Ok(keys)) => Ok(keys),
            Some(Err(error)) => Err(damaged(0, error.to_string())),
            None => Err(damaged(0, "there is no key to begin a log with".to_owned())),
        };
    }
    for (rotated, retired) in store.rotations()? {
        for at in std::iter::once(rotated).chain(retired) {
            if !take(at)? {
                return Err(damaged(at, "a change of key is missing".to_owned()));
            }
        }
    }
    Ok(keys)
}

fn rotated_at(keys: &LogKeys) -> u64 {
    keys.spans()
        .last()
        .map_or(0, |span| span.from.saturating_sub(1))
}

/// A rotation that was begun.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The key that ends.
    pub old: VerifierKey,
    /// The key in force.
    pub new: VerifierKey,
    /// When the old one ends by itself.
    pub until: Timestamp,
}

/// Begins a rotation: the next key signs from now on, and the old one beside it for `overlap`.
pub(super) fn rotate(
    path: &Path,
    settings: Settings,
    overlap: Duration,
    reason: String,
) -> Result<Rotated, BootError> {
    let mut engine = stopped(path, settings)?;
    engine.signers.check()?;
    if let Some((key, until)) = engine.signers.keys.ending() {
        return Err(BootError::Overlapping {
            key: key.to_string(),
            until,
        });
    }
    let next = engine.signers.ring.draw_next(&engine.signers.keys)?;
    let rotated = engine
        .announce_key(next, overlap, reason)
        .map_err(BootError::First)?;
    engine.signers.settle()?;
    engine.sync_mark();
    Ok(rotated)
}

/// Ends the old key before its time. Returns it.
pub(super) fn finish(
    path: &Path,
    settings: Settings,
    reason: String,
) -> Result<VerifierKey, BootError> {
    let mut engine = stopped(path, settings)?;
    let (key, _) = engine.signers.keys.ending().ok_or(BootError::NothingEnds)?;
    let key = key.clone();
    engine.retire(Some(reason)).map_err(BootError::First)?;
    engine.signers.settle()?;
    engine.sync_mark();
    Ok(key)
}

/// Opens the log of a daemon that does not run.
fn stopped(path: &Path, settings: Settings) -> Result<Engine, BootError> {
    let (_, exit) = queue(QUEUE);
    let mut engine = boot::as_it_is(path, settings, exit)?;
    if engine.note.is_empty() {
        return Err(BootError::NotBegun);
    }
    engine.mark = Some(Mark::resume(path, &engine.note).map_err(BootError::Mark)?);
    Ok(engine)
}

impl Engine {
    fn announce_key(
        &mut self,
        next: SignerKey,
        overlap: Duration,
        reason: String,
    ) -> Result<Rotated, EngineError> {
        let (old, new) = (
            self.signers.in_force.verifier().clone(),
            next.verifier().clone(),
        );
        let until = self.now().wall.plus(overlap);
        let event = LogEvent::KeyRotated {
            old: old.to_string(),
            new: new.to_string(),
            until,
            reason,
        };
        let keys = self.signers.keys.clone();
        let signer = Some(std::mem::replace(&mut self.signers.in_force, next));
        self.signers.ending = Some(Ending {
            signer,
            until,
            rotated: self.tail.size(),
        });
        if let Err(error) = self.change_keys(event) {
            self.signers.keys = keys;
            if let Some(signer) = self.signers.ending.take().and_then(|ending| ending.signer) {
                self.signers.in_force = signer;
            }
            return Err(error);
        }
        Ok(Rotated { old, new, until })
    }

    /// Ends the old key, for a reason or because its time is over.
    fn retire(&mut self, reason: Option<String>) -> Result<(), EngineError> {
        let Some((key, _)) = self.signers.keys.ending() else {
            return Ok(());
        };
        let event = LogEvent::KeyRetired {
            vkey: key.to_string(),
            head: self.note.clone(),
            reason,
        };
        let (keys, ending) = (self.signers.keys.clone(), self.signers.ending.take());
        let done = self.change_keys(event);
        if done.is_err() {
            (self.signers.keys, self.signers.ending) = (keys, ending);
        }
        done
    }

    /// Writes a change of keys, under a head that is signed as it demands: the signers are the new
    /// ones already.
    fn change_keys(&mut self, event: LogEvent) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        let durable = self.commit(|engine, batch, scene| {
            outcome = engine.step(batch, scene, |engine, step| {
                let at = step.note(&mut engine.store, scene, daemon_actor(), event)?;
                let unreadable =
                    |problem: String| StoreError::row(format!("entry {at}: {problem}"));
                let bytes = engine.store.entry(at)?.unwrap_or_default();
                let entry = Entry::read(&bytes).map_err(|error| unreadable(error.to_string()))?;
                let keys = &mut engine.signers.keys;
                keys.take(&entry)
                    .map_err(|error| unreadable(error.to_string()))?;
                if matches!(entry.body, Body::Log(LogEvent::KeyRotated { .. })) {
                    engine.store.begin_rotation(at)?;
                } else {
                    engine.store.end_rotation(at)?;
                }
                Ok(())
            });
            Vec::new()
        });
        outcome?;
        if durable {
            Ok(())
        } else {
            Err(EngineError::LogUnavailable(None))
        }
    }

    /// Ends the old key when its time is over, and removes its file.
    pub(super) fn retire_when_over(&mut self) {
        if !self.signers.is_over(self.now().wall) || self.down || self.reserve.is_spent() {
            return;
        }
        match self.retire(None) {
            Ok(()) => {
                tracing::warn!(
                    "the log's old key has ended; heads are signed with the new one alone"
                );
                if let Err(error) = self.signers.settle() {
                    let error = super::Chain(&error);
                    tracing::error!(%error, "the file of the ended key is still there");
                }
            }
            Err(error) => tracing::error!(%error, "the log's old key could not be ended"),
        }
    }

    /// Returns the change of key that whoever holds the old one has to learn of.
    pub(super) fn rotation(&self, size: u64) -> Result<Option<Rotation>, EngineError> {
        let Some(Ending { rotated: index, .. }) = self.signers.ending else {
            return Ok(None);
        };
        let entry = self.store.entry(index)?.ok_or_else(|| {
            EngineError::from(StoreError::row(format!("entry {index} is missing")))
        })?;
        let proof = self.store.prove_inclusion(index, size)?;
        Ok(Some(Rotation {
            index,
            entry,
            proof,
        }))
    }

    fn sync_mark(&self) {
        if let Some(mark) = &self.mark {
            mark.sync();
        }
    }
}
