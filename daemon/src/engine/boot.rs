//! Starting the engine: the database is checked against the log's key, the rules are compared with
//! the ones in force, and open requests are taken up again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use countersign_shared::document::Document;
use countersign_shared::log::checkpoint;
use countersign_shared::log::entry::LogEvent;
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::Frontier;
use countersign_shared::time::Timestamp;
use tokio::sync::broadcast;

use super::history::{HOUR, History};
use super::submitting::before;
use super::{
    CHANGES, Card, Clock, Engine, EngineError, Exit, Index, Live, LogTail, Reserve, Rules, Store,
    daemon_actor,
};
use crate::store::StoreError;

/// What the engine is started with.
#[derive(Debug)]
pub struct Settings {
    /// The log's origin.
    pub origin: String,
    /// The log's key.
    pub key: SignerKey,
    /// The clocks.
    pub clock: Clock,
    /// The rules.
    pub rules: Rules,
    /// The reason for accepting a wall clock that is behind the log, if somebody accepts it.
    pub accept_clock: Option<String>,
}

/// The engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The database cannot be used.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The stored head is not what the leaves say, or is not signed by the log's key.
    #[error("the log is damaged: {problem}; run `countersign verify`")]
    Log {
        /// What is wrong.
        problem: String,
    },
    /// A stored document cannot be read.
    #[error("the document of {id} is damaged: {problem}")]
    Document {
        /// The request.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// The first entries cannot be written.
    #[error("cannot write the first entries")]
    First(#[source] EngineError),
    /// The thread cannot be started.
    #[error("cannot start the engine's thread")]
    Thread(#[source] std::io::Error),
}

/// Opens everything and writes the entries of a start.
pub(super) fn open(path: &Path, settings: Settings, calls: Exit) -> Result<Engine, BootError> {
    let store = Store::open(path)?;
    let (frontier, note) = match store.head()? {
        Some((frontier, note)) => {
            check_head(&store, &settings, &frontier, &note)?;
            (frontier, note)
        }
        None if store.is_blank()? => (Frontier::new(), String::new()),
        None => {
            let problem = "the head is missing".to_owned();
            return Err(BootError::Log { problem });
        }
    };
    let last = last_time(&store, frontier.size())?;
    let Settings {
        origin,
        key,
        clock,
        rules,
        accept_clock,
    } = settings;
    let mut engine = Engine {
        store,
        clock,
        key,
        tail: LogTail::new(origin, frontier),
        note,
        separation: rules.separation(),
        rules: Arc::new(rules),
        live: HashMap::new(),
        index: Index::default(),
        history: History::default(),
        staged: HashMap::new(),
        calls,
        changes: broadcast::Sender::new(CHANGES),
        counts: BTreeMap::new(),
        counting_since: None,
        next_waiter: 0,
        last,
        draining: false,
        down: false,
        told: super::heads::Told::default(),
        unlogged: false,
        reserve: Reserve::beside(path),
        swept_ms: 0,
    };
    engine.load()?;
    engine
        .first_entries(accept_clock)
        .map_err(BootError::First)?;
    Ok(engine)
}

/// Checks that the head is signed by the log's key and is the one over the stored leaves' edge.
fn check_head(
    store: &Store,
    settings: &Settings,
    frontier: &Frontier,
    note: &str,
) -> Result<(), BootError> {
    let damaged = |problem: String| BootError::Log { problem };
    let keys = [settings.key.verifier().clone()];
    let head = checkpoint::open(note, &keys, &settings.origin)
        .map_err(|error| damaged(format!("the stored head: {error}")))?;
    if *head.head() != frontier.head() {
        return Err(damaged(
            "the stored head is not the one of the stored edge".to_owned(),
        ));
    }
    let root = store.root_at(head.size())?;
    if root != head.head().root {
        return Err(damaged(
            "the stored nodes do not lead to the stored head".to_owned(),
        ));
    }
    if store.entry(head.size())?.is_some() {
        return Err(damaged(
            "there are entries after the stored head".to_owned(),
        ));
    }
    Ok(())
}

/// Returns the time of the last entry, or the start of Unix time in a new log.
fn last_time(store: &Store, size: u64) -> Result<Timestamp, BootError> {
    let Some(at) = size.checked_sub(1) else {
        return Ok(Timestamp::from_millis(0));
    };
    let damaged = |problem: String| BootError::Log {
        problem: format!("entry {at}: {problem}"),
    };
    let bytes = store
        .entry(at)?
        .ok_or_else(|| damaged("is missing".to_owned()))?;
    let entry = countersign_shared::log::entry::Entry::read(&bytes)
        .map_err(|error| damaged(error.to_string()))?;
    Ok(entry.now.wall)
}

impl Engine {
    /// Takes up every request that has not ended (R14).
    fn load(&mut self) -> Result<(), BootError> {
        let now = self.now();
        let grace = self.rules.limits.disconnect_grace;
        let (store, live, index) = (&self.store, &mut self.live, &mut self.index);
        let history = &self.history;
        store.each_since(before(now.wall, HOUR), |asked| {
            history.note_asked(asked.uid, asked.at, asked.is_held);
        })?;
        store.each_denied_since(before(now.wall, HOUR), |uid, at| {
            history.note_denied(uid, at);
        })?;
        store.each_open::<BootError>(|row| {
            let id = row.request.id();
            let damaged = |problem: String| BootError::Document {
                id: id.to_string(),
                problem,
            };
            let document =
                Document::read(&row.document).map_err(|error| damaged(error.to_string()))?;
            if document.digest() != row.request.digest() {
                let problem = "its digest is not the one that was received";
                return Err(damaged(problem.to_owned()));
            }
            let entry = store.entry_behind(id, row.request.state())?;
            let card = Card::of(&document);
            let mut open = Live::new(row.request, entry, card, row.intake, &now, grace);
            open.is_shared = store.is_joined(id)?;
            index.learn(id, &open);
            live.insert(id, open);
            Ok(())
        })
    }

    /// Writes the genesis of a new log, or a change of rules, and that the daemon started.
    fn first_entries(&mut self, accept_clock: Option<String>) -> Result<(), EngineError> {
        if let Some(reason) = accept_clock
            && self.clock_behind().is_some()
        {
            self.accept_clock(reason)?;
        }
        let mut outcome = Ok(());
        let durable = self.commit(|engine, batch, scene| {
            outcome = engine.step(batch, scene, |engine, step| {
                let software = format!("countersignd {}", env!("CARGO_PKG_VERSION"));
                let rules = Arc::clone(&engine.rules);
                match engine.store.rules()? {
                    None => {
                        let change = rules.change(rules.digest, scene.now.wall);
                        let genesis = LogEvent::Genesis {
                            vkey: engine.key.verifier().to_string(),
                            software: software.clone(),
                            mode: rules.mode,
                            rules: Box::new(change),
                        };
                        step.note(&mut engine.store, scene, daemon_actor(), genesis)?;
                        engine.store.put_rules(&rules.kept)?;
                    }
                    Some(before) if before != rules.digest => {
                        engine.replace_rules(step, scene, &rules, before)?;
                    }
                    Some(_) => {}
                }
                engine.store.forget_joined()?;
                let started = LogEvent::DaemonStarted { software };
                step.note(&mut engine.store, scene, daemon_actor(), started)?;
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

    /// Writes that a wall clock behind the log was accepted; from then on entries carry it.
    fn accept_clock(&mut self, reason: String) -> Result<(), EngineError> {
        let (last, wall) = (self.last, self.clock.now().wall);
        tracing::warn!(%last, %wall, "a wall clock behind the log was accepted");
        self.last = wall;
        let mut outcome = Ok(0);
        let durable = self.commit(|engine, batch, scene| {
            let event = LogEvent::ClockJumped { last, wall, reason };
            outcome = engine.step(batch, scene, |engine, step| {
                Ok(step.note(&mut engine.store, scene, daemon_actor(), event)?)
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
}
